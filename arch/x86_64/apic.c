/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/apic.c - the local APIC of this CPU, messages to others, silence for the 8259s.
 *
 * Owns each CPU's local APIC and its timer.  The timer only wakes the CPU from idle: TSC-deadline
 * mode where there is one, else the counter, whose rate is measured against the TSC.  (SDM vol. 3,
 * "Advanced Programmable Interrupt Controller")  Called by irq.c, timer.c and smp.c.
 */
#include "arch/x86_64/apic.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/paging.h"
#include "lib/log.h"
#include "lib/time.h"

#define CALIBRATE_NS    (5 * NS_PER_MS)
#define SEND_PATIENCE   1000000u        /* reads; a message takes a few */

static volatile uint8_t *registers;     /* xAPIC; NULL in x2APIC mode    */
static bool deadline_mode;
static uint64_t ticks_per_ns_frac;      /* counter rate, fixed point     */
#define RATE_SHIFT      32

static uint32_t read(unsigned reg)
{
	if (registers)
		return *(volatile uint32_t *)(registers + reg);
	return (uint32_t)insn_rdmsr(MSR_X2APIC_BASE + reg / 16);
}

static void write(unsigned reg, uint32_t value)
{
	if (registers)
		*(volatile uint32_t *)(registers + reg) = value;
	else
		insn_wrmsr(MSR_X2APIC_BASE + reg / 16, value);
}

uint32_t apic_id(void)
{
	uint32_t id = read(APIC_ID);

	return registers ? (uint32_t)GET(APIC_XAPIC_ID, id) : id;
}

bool apic_is_x2(void)
{
	return !registers;
}

void apic_eoi(void)
{
	write(APIC_EOI, 0);
}

/* Given vectors of their own, so that a stray interrupt is recognised, then masked for good. */
static void mask_8259s(void)
{
	static const struct { uint16_t port; uint8_t value; } sequence[] = {
		{ PIC1_COMMAND, PIC_ICW1_INIT }, { PIC2_COMMAND, PIC_ICW1_INIT },
		{ PIC1_DATA, VECTOR_PIC_BASE }, { PIC2_DATA, VECTOR_PIC_BASE + 8 },
		{ PIC1_DATA, 1 << PIC_CASCADE_IRQ }, { PIC2_DATA, PIC_CASCADE_IRQ },
		{ PIC1_DATA, PIC_ICW4_8086 }, { PIC2_DATA, PIC_ICW4_8086 },
		{ PIC1_DATA, 0xff }, { PIC2_DATA, 0xff },
	};

	for (unsigned i = 0; i < COUNT(sequence); i++)
		insn_outb(sequence[i].port, sequence[i].value);
}

/* From xAPIC to x2APIC in two writes: the direct way from "off" is forbidden. */
static void switch_on(void)
{
	uint64_t base = insn_rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	insn_wrmsr(MSR_APIC_BASE, base);
	if (!registers)
		insn_wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
}

static enum err find_registers(const struct acpi_info *acpi)
{
	uint64_t base = insn_rdmsr(MSR_APIC_BASE);

	if (cpu_has_x2apic())
		return OK;
	uint64_t address = base & APIC_BASE_ADDRESS;
	if (acpi->present && acpi->lapic_address != address)
		log_line("apic: ACPI says 0x%lx, the CPU says 0x%lx: the CPU is right",
		         acpi->lapic_address, address);
	registers = paging_map_device(hpa(address), PAGE_SIZE);
	return registers ? OK : ERR_NO_MEMORY;
}

static void init_here(void)
{
	static const unsigned lvts[] = {
		APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR, APIC_LVT_PERF,
		APIC_LVT_THERMAL,
	};

	switch_on();
	unsigned max_lvt = (unsigned)GET(APIC_VERSION_MAX_LVT, read(APIC_VERSION));
	for (unsigned i = 0; i < COUNT(lvts) && i <= max_lvt; i++)
		write(lvts[i], APIC_LVT_MASKED);
	/* By convention the pin for NMIs. */
	write(APIC_LVT_LINT1, (uint32_t)PUT(APIC_LVT_MODE, APIC_MODE_NMI));
	write(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
	write(APIC_TPR, 0);
	write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	for (unsigned i = 0; i < 256; i++)      /* whatever the firmware left in service */
		apic_eoi();
}

enum err apic_init(const struct acpi_info *acpi)
{
	mask_8259s();
	enum err e = find_registers(acpi);
	if (e != OK)
		return e;
	init_here();
	log_line("apic: local APIC %u, %s", apic_id(),
	         registers ? "xAPIC (registers in memory)" : "x2APIC");
	return OK;
}

/* --- Messages --------------------------------------------------------------------------------- */

/*
 * SDM vol. 3, "Interrupt Command Register (ICR)".  In x2APIC mode the write is not ordered after
 * earlier stores ("MSR Access in x2APIC Mode"), and the other CPU is to see those.
 */
static enum err send(uint32_t id, uint64_t mode, uint8_t vector)
{
	uint32_t low = (uint32_t)PUT(APIC_ICR_MODE, mode) | vector | (uint32_t)APIC_ICR_ASSERT;

	insn_mfence();
	if (!registers) {
		insn_wrmsr(MSR_X2APIC_BASE + APIC_ICR / 16, PUT(APIC_ICR_DEST, (uint64_t)id) | low);
		return OK;
	}
	write(APIC_ICR_HIGH, (uint32_t)PUT(APIC_XAPIC_ID, id));
	write(APIC_ICR, low);
	for (unsigned i = 0; i < SEND_PATIENCE; i++) {
		if (!(read(APIC_ICR) & APIC_ICR_PENDING))
			return OK;
		insn_pause();
	}
	return refuse(ERR_TIMEOUT, "apic: a message to APIC ID %u was not sent", id);
}

enum err apic_send_irq(uint32_t id, uint8_t vector) { return send(id, APIC_MODE_FIXED, vector); }
enum err apic_send_nmi(uint32_t id) { return send(id, APIC_MODE_NMI, 0); }
enum err apic_send_init(uint32_t id) { return send(id, APIC_MODE_INIT, 0); }
enum err apic_send_start(uint32_t id, uint8_t page) { return send(id, APIC_MODE_STARTUP, page); }

/* --- The timer -------------------------------------------------------------------------------- */

/* The counter's rate: let it run down for a known time. */
static enum err measure_counter(void)
{
	write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	write(APIC_TIMER_INITIAL, UINT32_MAX);
	uint64_t start = time_tsc(), wait = time_ns_to_tsc(CALIBRATE_NS);
	while (time_tsc() - start < wait)
		insn_pause();
	uint64_t ran = UINT32_MAX - read(APIC_TIMER_CURRENT);
	write(APIC_TIMER_INITIAL, 0);
	ticks_per_ns_frac = (ran << RATE_SHIFT) / CALIBRATE_NS;
	if (!ran)
		return fail(ERR_NOT_SUPPORTED, "the local APIC's timer does not count");
	return OK;
}

static void timer_init_here(void)
{
	uint64_t mode = deadline_mode ? APIC_TIMER_DEADLINE : APIC_TIMER_ONE_SHOT;

	write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	write(APIC_LVT_TIMER, VECTOR_TIMER | (uint32_t)PUT(APIC_LVT_TIMER_MODE, mode));
	insn_mfence();                  /* the mode is set before a deadline is */
}

enum err apic_timer_init(void)
{
	deadline_mode = cpu_has_tsc_deadline();
	enum err e = deadline_mode ? OK : measure_counter();
	timer_init_here();
	return e;
}

void apic_init_cpu(void)
{
	init_here();
	timer_init_here();
}

static void arm(uint64_t tsc)
{
	cpu_here()->timer_tsc = tsc;
	if (deadline_mode) {
		insn_wrmsr(MSR_TSC_DEADLINE, tsc);
		return;
	}
	uint64_t now = time_tsc(), ns = tsc > now ? time_tsc_to_ns(tsc - now) : 0;
	ns = MIN(ns, NS_PER_S);                 /* a longer sleep is several short ones */
	uint64_t count = ns * ticks_per_ns_frac >> RATE_SHIFT;
	write(APIC_TIMER_INITIAL, (uint32_t)MAX(1, MIN(count, UINT32_MAX)));
}

void apic_timer_arm(uint64_t tsc)
{
	tsc = MAX(1, tsc);                      /* 0 means: not armed */
	if (tsc != cpu_here()->timer_tsc)
		arm(tsc);
}

bool apic_timer_is_armed(void)
{
	return cpu_here()->timer_tsc;
}

void apic_timer_fired(void)
{
	cpu_here()->timer_tsc = 0;
}

void apic_timer_stop(void)
{
	cpu_here()->timer_tsc = 0;
	if (deadline_mode)
		insn_wrmsr(MSR_TSC_DEADLINE, 0);
	else
		write(APIC_TIMER_INITIAL, 0);
}
