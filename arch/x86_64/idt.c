/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/idt.c - exceptions and interrupts of the host.
 *
 * An exception is a bug of ours and ends in panic_trap(); an interrupt goes to irq_dispatch(); an
 * NMI is the watchdog's, another CPU's, or counted.  All CPUs share the table.  Double fault, NMI
 * and machine check run on stacks of their own (TSS.IST), because the stack may be what is broken.
 * Read next: arch/x86_64/irq.c, arch/x86_64/panic.c.
 */
#include "arch/x86_64/idt.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/trap.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/watchdog.h"

/* SDM vol. 3, "64-Bit Mode IDT" */
struct gate {
	uint16_t offset_low, selector;
	uint8_t  ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "IDT gate layout");

#define GATE_INTERRUPT  0x8e            /* present, DPL 0, interrupts off on entry */

static struct gate idt[TRAP_VECTORS] __attribute__((aligned(16)));
extern const uint8_t trap_entries[TRAP_VECTORS][TRAP_ENTRY_BYTES];

static const uint8_t ist_of[VECTOR_EXCEPTIONS] = {
	[EXCEPTION_DF]  = IST_DOUBLE_FAULT,
	[EXCEPTION_NMI] = IST_NMI,
	[EXCEPTION_MC]  = IST_MACHINE_CHECK,
};

enum err idt_init(void)
{
	for (unsigned v = 0; v < TRAP_VECTORS; v++) {
		uint64_t entry = (uintptr_t)trap_entries[v];
		idt[v] = (struct gate){
			.offset_low = (uint16_t)entry, .offset_middle = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32), .selector = CPU_SEL_CODE,
			.ist = v < VECTOR_EXCEPTIONS ? ist_of[v] : 0, .type = GATE_INTERRUPT,
		};
	}
	idt_load();
	return OK;
}

void idt_load(void)
{
	struct table_register r = { sizeof(idt) - 1, (uintptr_t)idt };

	insn_lidt(&r);
}

const char *trap_name(uint64_t vector)
{
	static const char *const names[VECTOR_EXCEPTIONS] = {
		"divide error", "debug", "NMI", "breakpoint", "overflow", "bound range",
		"invalid opcode", "no FPU", "double fault", "coprocessor overrun", "invalid TSS",
		"segment not present", "stack fault", "general protection", "page fault",
		[16] = "x87 error", "alignment check", "machine check", "SIMD error",
		"virtualisation exception", "control protection",
	};
	const char *name = vector < VECTOR_EXCEPTIONS ? names[vector] : NULL;

	return name ? name : "exception";
}

extern const uint8_t msr_try_rdmsr[], msr_try_missing[];

static void nmi(const struct trap_frame *f)
{
	panic_join();
	if (smp_take_nmi_poke())
		irq_counters.nmi_pokes++;
	else if (cpu_here() != &host_cpus[0] || !watchdog_tick(f))
		irq_counters.nmis++;
}

void trap_handle(struct trap_frame *f)
{
	if (f->vector == EXCEPTION_NMI)
		nmi(f);
	else if (f->vector == EXCEPTION_GP && f->rip == (uintptr_t)msr_try_rdmsr)
		f->rip = (uintptr_t)msr_try_missing;
	else if (f->vector < VECTOR_EXCEPTIONS)
		panic_trap(f);
	else
		irq_dispatch((uint8_t)f->vector);
}
