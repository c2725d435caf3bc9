/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vuart.h - a 16550A serial port (National PC16550D data sheet), COM1.
 *
 * What the guest sends is out at once; what a person types waits in `input` until the receive
 * FIFO has room, so nothing overruns.
 */
#ifndef VMM_DEV_VUART_H
#define VMM_DEV_VUART_H

#include "vmm/dev.h"
#include "vmm/dev/console.h"

#define VUART_FIFO 16

struct vuart {
	uint8_t  ier, lcr, mcr, scr, dll, dlm;
	uint8_t  fcr;                           /* bit 0 FIFOs on, bits 7:6 trigger level   */
	uint8_t  lsr_errors;                    /* overrun, until LSR is read               */
	uint8_t  msr_lines, msr_delta;          /* modem lines as last seen; what changed   */
	uint8_t  thre_pending;                  /* the "transmitter empty" interrupt waits  */
	uint8_t  fifo[VUART_FIFO], fifo_head, fifo_count;
	struct console_input input;
	struct console *console;                /* derived */
	struct wire irq;                        /* derived */
};

extern const struct dev_ops vuart_ops;

void vuart_init(struct vuart *u, struct console *console, struct wire irq);

/* Typed by a person; returns how many bytes were taken. */
size_t vuart_input(struct vuart *u, const void *bytes, size_t len);

#endif
