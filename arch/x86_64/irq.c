/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/irq.c - interrupts of the host: who handles which vector.
 *
 * Owns the vectors for devices and the list of handlers behind each.  A vector belongs to one line
 * of the IOAPIC, which several PCI devices may share, or to one source of its own.  A
 * level-triggered line that nobody claims would come again for ever, so it is masked after a while
 * and the driver is left with polling.  Called from trap.S by way of idt.c.
 */
#include "arch/x86_64/irq.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/ioapic.h"
#include "lib/cpu.h"
#include "lib/log.h"

#define HANDLERS_MAX    16
#define NVECTORS        (VECTOR_DEVICE_LAST - VECTOR_DEVICE_FIRST + 1)
#define UNCLAIMED_MAX   10000           /* in a row, then the line is masked */
#define NO_LINE         (-1)
#define REPORT_NS       NS_PER_S
#define MESSAGE_BASE    0xfee00000ull   /* fixed delivery to one physical APIC ID, edge */
#define MESSAGE_DEST    MASK(19, 12)

struct handler {
	irq_handler_fn *run;
	void           *ctx;
	uint8_t         vector;
};

struct vector {
	bool     used;
	int      line;                  /* legacy IRQ, or NO_LINE            */
	unsigned unclaimed;             /* times in a row that nobody had it */
};

static struct handler handlers[HANDLERS_MAX];
static unsigned nhandlers;
static struct vector vectors[NVECTORS];

struct irq_counters irq_counters;

static int find_free(void)
{
	for (unsigned v = 0; v < NVECTORS; v++)
		if (!vectors[v].used)
			return (int)v;
	return -1;
}

static enum err add_handler(irq_handler_fn *run, void *ctx, unsigned v)
{
	if (nhandlers == HANDLERS_MAX)
		return fail(ERR_NO_MEMORY, "all %d interrupt handlers are in use", HANDLERS_MAX);
	handlers[nhandlers++] = (struct handler){ run, ctx, (uint8_t)(VECTOR_DEVICE_FIRST + v) };
	return OK;
}

enum err irq_vector_alloc(irq_handler_fn *handler, void *ctx, uint8_t *vector)
{
	int v = find_free();

	if (v < 0)
		return fail(ERR_NO_MEMORY, "no interrupt vector is left");
	enum err e = add_handler(handler, ctx, (unsigned)v);
	if (e != OK)
		return e;
	vectors[v] = (struct vector){ .used = true, .line = NO_LINE };
	*vector = (uint8_t)(VECTOR_DEVICE_FIRST + v);
	return OK;
}

enum err irq_message(uint8_t vector, struct irq_message *out)
{
	if (apic_id() > GET(MESSAGE_DEST, UINT64_MAX))
		return fail(ERR_NOT_SUPPORTED, "APIC ID %u is too large for a device's messages",
			    apic_id());
	*out = (struct irq_message){ MESSAGE_BASE | PUT(MESSAGE_DEST, (uint64_t)apic_id()),
				     vector };
	return OK;
}

static int find_line(unsigned line)
{
	for (unsigned v = 0; v < NVECTORS; v++)
		if (vectors[v].used && vectors[v].line == (int)line)
			return (int)v;
	return -1;
}

enum err irq_register(unsigned line, irq_handler_fn *handler, void *ctx)
{
	int v = find_line(line);
	uint8_t vector;

	if (v >= 0)                     /* routed already: one more device on the line */
		return add_handler(handler, ctx, (unsigned)v);
	enum err e = irq_vector_alloc(handler, ctx, &vector);
	if (e != OK)
		return e;
	v = vector - VECTOR_DEVICE_FIRST;
	e = ioapic_route(line, vector);
	if (e != OK) {
		vectors[v] = (struct vector){ 0 };
		nhandlers--;
		return e;
	}
	vectors[v].line = (int)line;
	return OK;
}

/* With the host lock, which a halted CPU does not have. */
static void device_irq(uint8_t vector)
{
	struct vector *v = &vectors[vector - VECTOR_DEVICE_FIRST];
	bool claimed = false;

	for (unsigned i = 0; i < nhandlers; i++)
		if (handlers[i].vector == vector && handlers[i].run(handlers[i].ctx))
			claimed = true;
	if (claimed) {
		v->unclaimed = 0;
	} else {
		irq_counters.unclaimed++;
		if (++v->unclaimed == UNCLAIMED_MAX && v->line != NO_LINE)
			ioapic_mask((unsigned)v->line);
	}
}

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void irq_dispatch(uint8_t vector)
{
	bool halted = cpu_here()->away;

	if (vector < VECTOR_DEVICE_FIRST || vector == VECTOR_SPURIOUS) {
		count(&irq_counters.spurious);  /* neither kind may be acknowledged */
		return;
	}
	count(&irq_counters.taken);
	if (vector <= VECTOR_DEVICE_LAST) {
		if (halted)
			host_lock_take();
		device_irq(vector);
		if (halted)
			host_lock_drop();
	} else if (vector == VECTOR_APIC_ERROR) {
		count(&irq_counters.apic_errors);
	} else if (vector == VECTOR_TIMER) {    /* it has woken us: that is all */
		apic_timer_fired();
	}
	apic_eoi();
}

void irq_take(void)
{
	insn_sti_nop_cli();
}

uint64_t irq_report(uint64_t now_ns)
{
	static struct irq_counters told;
	static uint64_t next_ns;
	const struct irq_counters *c = &irq_counters;

	if (now_ns < next_ns)
		return next_ns;
	next_ns = now_ns + REPORT_NS;
	if (c->nmis != told.nmis || c->apic_errors != told.apic_errors ||
	    c->unclaimed != told.unclaimed || c->spurious != told.spurious)
		log_line("irq: %lu NMIs, %lu APIC errors, %lu unclaimed, %lu spurious since boot",
		         c->nmis, c->apic_errors, c->unclaimed, c->spurious);
	told = *c;
	return next_ns;
}
