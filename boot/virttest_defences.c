/* SPDX-License-Identifier: MIT */
/*
 * boot/virttest_defences.c - test=virt: entry and exit with every set of defences that this CPU has
 * the instructions and registers for, needed here or not.  Called by boot/virttest.c.
 */
#include "boot/boot.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/insn.h"
#include "lib/log.h"

/* The numbers in defences.entry are bits: every sum of those that can be had here. */
static enum err run_sets(unsigned all, enum err (*run_guest)(void), unsigned *runs)
{
	for (unsigned entry = 0; entry <= all; entry++) {
		if (entry & ~all)
			continue;
		defences.entry = (uint8_t)entry;
		enum err e = run_guest();
		if (e != OK)
			return e;
		if ((entry & DEFENCE_IBRS) && insn_rdmsr(MSR_SPEC_CTRL) != SPEC_CTRL_IBRS)
			return fail(ERR_NOT_SUPPORTED, "IA32_SPEC_CTRL is not IBRS after an exit");
		++*runs;
	}
	return OK;
}

enum err virttest_defences(enum err (*run_guest)(void))
{
	const struct defences needed = defences;
	struct hazard_facts f;
	unsigned runs = 0;

	cpu_hazard_facts(&f);
	bool ibrs = f.leaf7_edx & CPUID7_EDX_SPEC_CTRL, l1d = f.leaf7_edx & CPUID7_EDX_L1D_FLUSH;
	defences.ibpb = ibrs;
	defences.flush_l1d = l1d;
	enum err e = run_sets(DEFENCE_VERW | DEFENCE_RSB | (ibrs ? DEFENCE_IBRS : 0), run_guest,
	                      &runs);
	defences = needed;
	if (ibrs)
		insn_wrmsr(MSR_SPEC_CTRL, needed.spec_ctrl);
	log_line("virt test: %u sets of defences%s%s", runs, ibrs ? ", IBRS" : "",
	         l1d ? ", L1D flush" : "");
	return e;
}
