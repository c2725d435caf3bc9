/* SPDX-License-Identifier: MIT */
/*
 * exitbench - what one exit of each common kind costs, in TSC ticks.
 *
 * Reason: `make bench` reads the lines `bench NAME TICKS` from the console.  On an emulator whose
 * TSC counts instructions, TICKS is the number of instructions that the hypervisor spent.
 * Each value is the best of several batches, without the cost of the empty loop; exit_hlt_wake is
 * the time from the timer's deadline to the first instruction of the guest's handler.
 * Option: loops=N instructions per batch (1000).  Verdict: PASS when all could be measured.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/trap.h"

const char guest_name[] = "exitbench";
const char guest_title[] = "cost of an exit (SDM vol. 3, \"Instructions That Cause VM Exits\")";

enum {
	BATCHES        = 5,
	VECTOR_TIMER   = 0x40,
	UART_SCRATCH   = COM1 + 7,
	WAKES          = 50,
	WAKE_AFTER_US  = 1000,
	WAITS_MAX      = 1000,
};

struct bench { const char *name; void (*run)(void); bool x2apic; };

static volatile uint64_t woken_at;
static uint64_t apic_base;           /* what do_wrmsr() writes back */

static void do_nothing(void)    { }
static void do_cpuid(void)      { insn_cpuid(0, 0); }
static void do_rdmsr(void)      { insn_rdmsr(MSR_APIC_BASE); }
static void do_wrmsr(void)      { insn_wrmsr(MSR_APIC_BASE, apic_base); }
static void do_pio_out(void)    { insn_outb(UART_SCRATCH, 0x55); }
static void do_pio_in(void)     { insn_inb(UART_SCRATCH); }
static void do_lapic_read(void) { apic_read(APIC_VERSION); }
static void do_lapic_write(void) { apic_write(APIC_ESR, 0); }

static const struct bench benches[] = {
	{ "exit_cpuid",            do_cpuid,       false },
	{ "exit_rdmsr",            do_rdmsr,       false },
	{ "exit_wrmsr",            do_wrmsr,       false },
	{ "exit_pio_device",       do_pio_out,     false },
	{ "exit_pio_device_in",    do_pio_in,      false },
	{ "exit_lapic_mmio",       do_lapic_read,  false },
	{ "exit_lapic_mmio_write", do_lapic_write, false },
	{ "exit_lapic_msr",        do_lapic_read,  true },
	{ "exit_lapic_msr_write",  do_lapic_write, true },
};

/* Not inlined: every batch must run the very loop whose empty cost is subtracted. */
__attribute__((noipa)) static uint64_t ticks_of(void (*run)(void), uint64_t loops)
{
	uint64_t best = UINT64_MAX;

	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t start = insn_rdtsc();
		for (uint64_t i = 0; i < loops; i++)
			run();
		uint64_t ticks = (insn_rdtsc() - start) / loops;
		if (ticks < best)
			best = ticks;
	}
	return best;
}

static void report(const char *name, uint64_t ticks, uint64_t floor)
{
	guest_print("bench %s %lu\n", name, ticks > floor ? ticks - floor : 0);
}

static void on_timer(struct trap_frame *frame)
{
	woken_at = insn_rdtsc();
	(void)frame;
	apic_eoi();
}

/*
 * Ticks of the APIC timer at divide 1 in WAKE_AFTER_US, from the TSC's own rate over the same time.
 */
static uint32_t apic_ticks_per_wake(void)
{
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
	uint32_t start = apic_read(APIC_TIMER_CURRENT);
	uint64_t tsc = insn_rdtsc();
	clock_wait_us(WAKE_AFTER_US * 20);
	uint64_t elapsed = insn_rdtsc() - tsc;
	uint64_t ticks = start - apic_read(APIC_TIMER_CURRENT);
	return (uint32_t)(ticks * (clock_tsc_hz() / (1000000 / WAKE_AFTER_US)) / elapsed);
}

/* One HLT that a timer ends; returns how long after the deadline the handler ran. */
static uint64_t wake_once(bool deadline_mode, uint64_t tsc_delay, uint32_t apic_delay)
{
	uint64_t deadline;

	woken_at = 0;
	insn_cli();
	if (deadline_mode) {
		deadline = insn_rdtsc() + tsc_delay;
		insn_wrmsr(MSR_TSC_DEADLINE, deadline);
	} else {
		apic_write(APIC_TIMER_INITIAL, apic_delay);
		deadline = insn_rdtsc() + tsc_delay;
	}
	for (int i = 0; !woken_at; i++) {
		CHECK(i < WAITS_MAX, "HLT ends, but not by the timer");
		insn_sti_hlt();
		insn_cli();
	}
	return woken_at > deadline ? woken_at - deadline : 0;
}

static void bench_wake(void)
{
	bool deadline_mode = apic_has_tsc_deadline();
	uint64_t tsc_delay = clock_tsc_hz() / (1000000 / WAKE_AFTER_US);
	uint32_t apic_delay = deadline_mode ? 0 : apic_ticks_per_wake();
	uint64_t best = UINT64_MAX, sum = 0;

	trap_handle(VECTOR_TIMER, on_timer);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline_mode ? LVT_TSC_DEADLINE : 0u));
	insn_barrier();              /* SDM vol. 3, "TSC-Deadline Mode": order MMIO before WRMSR */
	for (int i = 0; i < WAKES; i++) {
		uint64_t late = wake_once(deadline_mode, tsc_delay, apic_delay);
		sum += late;
		if (late < best)
			best = late;
	}
	report("exit_hlt_wake", best, 0);
	report("exit_hlt_wake_mean", sum / WAKES, 0);
	guest_print("exitbench: timer by %s\n", deadline_mode ? "TSC deadline" : "count");
}

void guest_main(void)
{
	uint64_t loops = guest_option("loops", 1000);
	CHECK(loops > 0, "loops=0");
	uint64_t floor = ticks_of(do_nothing, loops);

	guest_print("exitbench: TSC %lu kHz, empty loop %lu ticks\n", clock_tsc_hz() / 1000, floor);
	apic_enable(false);
	apic_base = insn_rdmsr(MSR_APIC_BASE);
	for (unsigned i = 0; i < COUNT(benches); i++) {
		if (benches[i].x2apic && !apic_has_x2())
			continue;
		if (benches[i].x2apic != apic_is_x2())
			apic_enable(benches[i].x2apic);
		report(benches[i].name, ticks_of(benches[i].run, loops), floor);
	}
	bench_wake();
}
