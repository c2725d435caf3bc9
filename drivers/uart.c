/* SPDX-License-Identifier: MIT */
/*
 * drivers/uart.c - COM1 (16550) as the host's console: output only, 115200 8N1, polled.
 *
 * It is the first thing that boot sets up and the last that a panic uses, so it needs nothing else
 * to work: no memory, no clock, no interrupts.  A character takes 87 us on the wire.  While the
 * host boots we wait for it; once guests run the text goes into a ring, from which uart_poll()
 * fills the transmitter's FIFO.  Called as a log sink (lib/log.h) and by the scheduler.
 */
#include "drivers/uart.h"

#include "arch/x86_64/defs/boot.h"
#include "arch/x86_64/insn.h"
#include "lib/log.h"
#include "lib/task.h"

#define COM1_IIR        COM1_FCR
#define COM1_MCR        (COM1_DATA + 4)
#define COM1_SCRATCH    (COM1_DATA + 7)
#define IIR_FIFO        0xc0            /* both bits: a FIFO that works */
#define MCR_DTR_RTS     0x03
#define PROBE_PATTERN   0x5a
#define FIFO_BYTES      16
#define CHARACTER_NS    86806           /* start, eight bits, stop at 115200 baud */
#define RING_BYTES      (16 * KIB)

static bool present, deferred;
static unsigned fifo_bytes = 1;
static char ring[RING_BYTES];
static uint64_t ring_in, ring_out;      /* bytes ever put in and taken out */

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
	if ((insn_inb(COM1_IIR) & IIR_FIFO) == IIR_FIFO)
		fifo_bytes = FIFO_BYTES;
	return true;
}

static bool empty(void)
{
	return insn_inb(COM1_LSR) & COM1_LSR_THRE;
}

static void put(char c)
{
	for (unsigned i = 0; i < UART_PATIENCE; i++)
		if (empty()) {
			insn_outb(COM1_DATA, (uint8_t)c);
			return;
		}
	present = false;                /* it stopped sending: do not pay for every character */
}

static void flush(void)
{
	while (present && ring_out < ring_in)
		put(ring[ring_out++ % RING_BYTES]);
}

static void queue(char c)
{
	if (ring_in - ring_out == RING_BYTES)
		put(ring[ring_out++ % RING_BYTES]);     /* full: wait for one, lose nothing */
	ring[ring_in++ % RING_BYTES] = c;
}

void uart_write(const char *text, size_t len)
{
	for (size_t i = 0; present && i < len; i++) {
		if (text[i] == '\n')
			queue('\r');
		queue(text[i]);
	}
	if (!deferred || log_urgent)
		flush();
	else if (cpu_here() != &host_cpus[0])
		sched_poke();                   /* it polls us, and may be halted */
}

void uart_defer(void)
{
	deferred = true;
}

uint64_t uart_poll(uint64_t now_ns)
{
	if (!present || ring_out == ring_in)
		return NEVER_NS;
	if (empty())
		for (unsigned i = 0; i < fifo_bytes && ring_out < ring_in; i++)
			insn_outb(COM1_DATA, (uint8_t)ring[ring_out++ % RING_BYTES]);
	return ring_out < ring_in ? now_ns + fifo_bytes * CHARACTER_NS : NEVER_NS;
}
