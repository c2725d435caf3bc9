/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/smp.c - the other CPUs.
 *
 * They are started one after the other by the boot CPU, which waits, so that until both agree only
 * one of the two does anything (SDM vol. 3, "MP Initialization Protocol Algorithm"):
 *
 *   boot CPU                              the other one
 *   INIT, START, START                    ap.S: from real mode to smp_ap_main()
 *   waits for AP_MEASURE                  segments, IDT, APIC; compares its features; AP_MEASURE
 *   asks for its TSC, many times          answers
 *   AP_SWITCH_ON                          becomes a hypervisor's; AP_READY
 *   counts it, AP_GO                      halts until there is work, then the scheduler
 *
 * A CPU that fails says AP_FAILED; it and one that is late get INIT, so that they do nothing more.
 * Afterwards CPUs are poked by an interrupt, or by an NMI where one may not get through.
 * Read next: lib/cpu.h, lib/task.c.
 */
#include "arch/x86_64/smp.h"

#include <string.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/idt.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/stack.h"
#include "arch/x86_64/timer.h"
#include "lib/log.h"
#include "lib/task.h"
#include "vmm/virt.h"

#define INIT_NS         (10 * NS_PER_MS)        /* as the manual has it */
#define START_NS        (200 * NS_PER_US)
#define ANSWER_MAX_NS   (500 * NS_PER_MS)       /* between two of its states */
#define TSC_ROUNDS      64
#define TSC_WAIT_NS     (10 * NS_PER_MS)
#define SKEW_MAX_NS     NS_PER_US               /* guests must not see time run backwards */

/* What ap.S loads; in this order. */
struct { uint64_t cr3; void *stack_top; struct host_cpu *cpu; } ap_boot;
extern const uint8_t ap_trampoline[], ap_trampoline_end[], ap_gdt_address[], ap_start_address[];
extern const uint8_t ap_gdt[], ap_start32[];

_Noreturn void smp_ap_main(struct host_cpu *c);         /* from ap.S */

/* A state is left by one of the two CPUs only, and the next CPU begins when this one is GONE. */
static volatile enum {
	AP_STARTING, AP_MEASURE, AP_SWITCH_ON, AP_READY, AP_GO, AP_GONE, AP_FAILED
} state;
static struct { volatile uint64_t asked, answered, tsc; } tsc_question;
static struct smp_skew skews[CPUS_MAX];
static enum smp_fault fault;                    /* that the CPU being started is to show */
static bool nmi_poked[CPUS_MAX];

/* What must be the same on all CPUs, because guests move between them. */
enum reg { REG_EAX, REG_EBX, REG_ECX, REG_EDX };
static const struct { uint32_t leaf, subleaf; enum reg reg; } compared[] = {
	{ CPUID_FEATURES, 0, REG_ECX }, { CPUID_FEATURES, 0, REG_EDX },
	{ CPUID_FEATURES7, 0, REG_EBX }, { CPUID_FEATURES7, 0, REG_ECX },
	{ CPUID_FEATURES7, 0, REG_EDX },
	{ CPUID_XSAVE, 0, REG_EAX }, { CPUID_XSAVE, 1, REG_EAX },
	{ CPUID_EXT_FEATURES, 0, REG_ECX }, { CPUID_EXT_FEATURES, 0, REG_EDX },
	{ CPUID_EXT_ADDRESS, 0, REG_EAX },
};
static uint32_t of_boot_cpu[COUNT(compared)];

static uint32_t read_compared(unsigned i)
{
	struct cpuid r = insn_cpuid(compared[i].leaf, compared[i].subleaf);
	const uint32_t value[] = { r.eax, r.ebx, r.ecx, r.edx };

	return value[compared[i].reg];
}

static void wait_ns(uint64_t ns)
{
	uint64_t until = time_now_ns() + ns;

	while (time_now_ns() < until)
		insn_pause();
}

/* --- On the other CPU ------------------------------------------------------------------------- */

static bool same_features(const struct host_cpu *c)
{
	static const char *const names[] = { "EAX", "EBX", "ECX", "EDX" };

	for (unsigned i = 0; i < COUNT(compared); i++) {
		uint32_t value = read_compared(i);
		if (fault == SMP_DIFFERS)
			value ^= BIT(0);
		if (value == of_boot_cpu[i])
			continue;
		log_line("cpu: APIC ID %u: CPUID leaf 0x%x %s is 0x%x, the boot CPU's 0x%x",
		         c->apic_id, compared[i].leaf, names[compared[i].reg], value,
		         of_boot_cpu[i]);
		return false;
	}
	return true;
}

static void answer_tsc(void)
{
	uint64_t last = 0;

	while (state == AP_MEASURE) {
		if (tsc_question.asked != last) {
			last = tsc_question.asked;
			tsc_question.tsc = insn_rdtsc();
			tsc_question.answered = last;
		}
		insn_pause();
	}
}

/* For tests: a CPU that is broken, or slower than we wait. */
static void act_out(void)
{
	while (fault == SMP_NEVER)
		insn_hlt();
	if (fault == SMP_LATE)
		wait_ns(2 * ANSWER_MAX_NS);
}

/* True: it may run guests; false: it may not, and has said why. */
static bool take_part(struct host_cpu *c)
{
	if (!same_features(c))
		return false;
	state = AP_MEASURE;
	answer_tsc();
	return state == AP_SWITCH_ON && virt->cpu_on(c->number) == OK;
}

void smp_ap_main(struct host_cpu *c)
{
	cpu_become(c);
	cpu_load();
	idt_load();
	apic_init_cpu();
	act_out();
	state = take_part(c) ? AP_READY : AP_FAILED;
	while (state == AP_READY)
		insn_pause();
	while (state != AP_GO)                  /* until INIT */
		insn_hlt();
	state = AP_GONE;
	arch_idle(NEVER_NS);                    /* the boot CPU has noted that we are halted */
	c->away = NULL;
	host_lock_take();
	sched_run(arch_idle);
}

/* --- On the boot CPU -------------------------------------------------------------------------- */

/* Until the other CPU has gone on from `from`; false: it has not. */
static bool has_left(unsigned from)
{
	uint64_t until = time_now_ns() + ANSWER_MAX_NS;

	while (state == from && time_now_ns() < until)
		insn_pause();
	return state != from;
}

/* Ask for its TSC between two looks at ours; the narrowest pair of looks says the most. */
static enum err measure_skew(const struct host_cpu *c)
{
	struct smp_skew best = { 0, UINT64_MAX };

	tsc_question.asked = tsc_question.answered = 0;
	for (unsigned i = 1; i <= TSC_ROUNDS; i++) {
		uint64_t before = insn_rdtsc(), until = before + time_ns_to_tsc(TSC_WAIT_NS);
		tsc_question.asked = i;
		while (tsc_question.answered != i && insn_rdtsc() < until)
			insn_pause();
		uint64_t half = (insn_rdtsc() - before) / 2;
		if (tsc_question.answered == i && half < best.within)
			best = (struct smp_skew){ (int64_t)(tsc_question.tsc - before - half),
			                          half };
	}
	skews[c->number] = best;
	if (best.within == UINT64_MAX)
		return fail(ERR_TIMEOUT, "cpu: APIC ID %u does not tell its TSC", c->apic_id);
	uint64_t ticks = (uint64_t)(best.ticks < 0 ? -best.ticks : best.ticks);
	if (ticks > best.within + time_ns_to_tsc(SKEW_MAX_NS))
		return fail(ERR_NOT_SUPPORTED, "cpu: APIC ID %u: its TSC differs by %ld ticks from"
		            " the boot CPU's", c->apic_id, best.ticks);
	return OK;
}

static enum err send_start(uint32_t id, hpa_t page)
{
	enum err e = apic_send_init(id);

	wait_ns(INIT_NS);
	for (unsigned i = 0; i < 2 && e == OK && state == AP_STARTING; i++) {
		e = apic_send_start(id, (uint8_t)(page.v >> PAGE_SHIFT));
		wait_ns(START_NS);
	}
	return e;
}

static enum err start(struct host_cpu *c, hpa_t page)
{
	if (!apic_is_x2() && c->apic_id > APIC_XAPIC_ID_MAX)
		return fail(ERR_NOT_SUPPORTED, "cpu: APIC ID %u needs x2APIC", c->apic_id);
	enum err e = send_start(c->apic_id, page);
	if (e == OK && !has_left(AP_STARTING))
		return fail(ERR_TIMEOUT, "cpu: APIC ID %u did not come within %llu ms of START",
		            c->apic_id, ANSWER_MAX_NS / NS_PER_MS);
	if (e == OK && state == AP_MEASURE)
		e = measure_skew(c);
	if (e == OK && state == AP_MEASURE) {
		state = AP_SWITCH_ON;
		if (!has_left(AP_SWITCH_ON))
			return fail(ERR_TIMEOUT, "cpu: APIC ID %u stopped half-way", c->apic_id);
	}
	if (e != OK || state != AP_READY)
		return e != OK ? e : ERR_NOT_SUPPORTED;
	c->away = cpu_halted;
	state = AP_GO;
	if (!has_left(AP_GO))
		return fail(ERR_TIMEOUT, "cpu: APIC ID %u did not go on", c->apic_id);
	return OK;
}

/* With the next free number; a CPU that fails does not use its number up. */
static void try_start(uint32_t apic_id, hpa_t page)
{
	struct host_cpu *c = &host_cpus[cpus_online];

	*c = (struct host_cpu){ .self = c, .number = cpus_online, .apic_id = apic_id };
	ap_boot.cpu = c;
	ap_boot.stack_top = stack_scheduler_top(c->number);
	state = AP_STARTING;
	if (start(c, page) != OK) {
		state = AP_FAILED;
		apic_send_init(apic_id);
		log_line("cpu: APIC ID %u is left off", apic_id);
		return;
	}
	cpus_online++;
	log_line("cpu: %u is APIC ID %u; its TSC is %ld ticks from the boot CPU's (within %lu)",
	         c->number, apic_id, skews[c->number].ticks, skews[c->number].within);
}

static unsigned count_others(const struct acpi_info *acpi, unsigned limit)
{
	unsigned n = 0, max = MIN(limit ? limit : CPUS_MAX, CPUS_MAX) - 1;

	for (unsigned i = 0; i < acpi->ncpus && n < max; i++)
		n += acpi->apic_id[i] != apic_id();
	return n;
}

/* `field` of the copy is to hold the 32-bit address of `target`. */
static void fill_in(uint8_t *copy, const uint8_t *field, const uint8_t *target)
{
	uint32_t address = (uint32_t)(uintptr_t)target;

	ASSERT(address == (uintptr_t)target);   /* the image is below 4 GiB: linker.ld */
	memcpy(copy + (field - ap_trampoline), &address, sizeof(address));
}

static void write_trampoline(hpa_t page)
{
	uint8_t *copy = hpa_ptr(page);

	ASSERT(page.v && page.v < MIB && !(page.v % PAGE_SIZE));
	memcpy(copy, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	fill_in(copy, ap_gdt_address, ap_gdt);
	fill_in(copy, ap_start_address, ap_start32);
}

enum err smp_start(const struct acpi_info *acpi, unsigned limit, hpa_t page, enum smp_fault first)
{
	unsigned others = count_others(acpi, limit);

	host_cpus[0].apic_id = apic_id();
	if (!others)
		return OK;
	enum err e = stack_cpus_init(others);
	if (e != OK)
		return e;
	write_trampoline(page);
	for (unsigned i = 0; i < COUNT(compared); i++)
		of_boot_cpu[i] = read_compared(i);
	ap_boot.cr3 = insn_read_cr3();
	paging_freeze();
	fault = first;
	for (unsigned i = 0; i < acpi->ncpus && cpus_online <= others; i++) {
		if (acpi->apic_id[i] == apic_id())
			continue;
		try_start(acpi->apic_id[i], page);
		fault = SMP_SOUND;
	}
	log_line("cpu: %u of %u run", cpus_online, acpi->ncpus);
	return OK;
}

struct smp_skew smp_skew(unsigned cpu)
{
	return skews[cpu];
}

/* --- Afterwards ------------------------------------------------------------------------------- */

void cpu_poke(const struct host_cpu *c)
{
	if (apic_send_irq(c->apic_id, VECTOR_POKE) != OK)
		panic("%s", err_reason());
}

void cpu_poke_hard(const struct host_cpu *c)
{
	__atomic_store_n(&nmi_poked[c->number], true, __ATOMIC_RELEASE);
	if (apic_send_nmi(c->apic_id) != OK)
		panic("%s", err_reason());
}

bool smp_take_nmi_poke(void)
{
	return __atomic_exchange_n(&nmi_poked[cpu_here()->number], false, __ATOMIC_ACQ_REL);
}

/* Who waits for a CPU that panics, or for what it holds, would wait for ever. */
void cpu_pause(void)
{
	panic_join();
	insn_pause();
}

void smp_stop_others(void)
{
	for (unsigned i = 0; i < cpus_online; i++)
		if (&host_cpus[i] != cpu_here())
			apic_send_nmi(host_cpus[i].apic_id);
}
