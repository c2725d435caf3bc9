/* SPDX-License-Identifier: MIT */
/*
 * drivers/uart.h - COM1 (16550) as the host's console: output only, 115200 8N1.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "lib/types.h"

/* False: nothing answers at COM1; uart_write() then does nothing. */
bool uart_init(void);

/*
 * A log sink: newline becomes CR LF.  Waits for the transmitter, but never for ever.  After
 * uart_defer() it only queues, unless the queue is full or the text is urgent (log_urgent).
 */
void uart_write(const char *text, size_t len);

/*
 * From now on uart_poll() sends: a line takes milliseconds on the wire, and a guest must not wait
 * for it.
 */
void uart_defer(void);

/* For sched_add_poll(): as much as the transmitter takes now. */
uint64_t uart_poll(uint64_t now_ns);

#endif
