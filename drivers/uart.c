/* SPDX-License-Identifier: MIT */
/*
 * drivers/uart.c - COM1 (16550) as the host's console: output only, 115200 8N1, polled.
 *
 * It is the first thing that boot sets up and the last that a panic uses, so it needs nothing else
 * to work: no memory, no clock, no interrupts.  Called as a log sink (lib/log.h).
 */
#include "drivers/uart.h"

#include "arch/x86_64/insn.h"
#include "arch/x86_64/defs/boot.h"

#define COM1_SCRATCH    (COM1_DATA + 7)
#define COM1_MCR        (COM1_DATA + 4)
#define MCR_DTR_RTS     0x03
#define PROBE_PATTERN   0x5a

static bool present;

/* The scratch register keeps what it is given; an empty bus answers 0xff. */
static bool probe(void)
{
	insn_outb(COM1_SCRATCH, PROBE_PATTERN);
	if (insn_inb(COM1_SCRATCH) != PROBE_PATTERN)
		return false;
	insn_outb(COM1_SCRATCH, 0);
	return insn_inb(COM1_SCRATCH) == 0;
}

bool uart_init(void)
{
	present = probe();
	if (!present)
		return false;
	insn_outb(COM1_IER, 0);
	insn_outb(COM1_LCR, COM1_LCR_DLAB);
	insn_outb(COM1_DATA, COM1_DIVISOR_115200);
	insn_outb(COM1_IER, 0);
	insn_outb(COM1_LCR, COM1_LCR_8N1);
	insn_outb(COM1_FCR, COM1_FCR_ON);
	insn_outb(COM1_MCR, MCR_DTR_RTS);
	return true;
}

static void put(char c)
{
	for (unsigned i = 0; i < UART_PATIENCE; i++)
		if (insn_inb(COM1_LSR) & COM1_LSR_THRE) {
			insn_outb(COM1_DATA, (uint8_t)c);
			return;
		}
	present = false;                /* it stopped sending: do not pay for every character */
}

void uart_write(const char *text, size_t len)
{
	for (size_t i = 0; present && i < len; i++) {
		if (text[i] == '\n')
			put('\r');
		put(text[i]);
	}
}
