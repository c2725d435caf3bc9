/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_check.c - which rule of VMRUN does this VMCB break?
 *
 * A CPU says only "invalid".  This file repeats the CPU's own checks in the manual's order over the
 * VMCB and returns the first rule that does not hold, as text.  Pure, so each rule is tested on any
 * machine.  svm.c runs it when a VMRUN fails, and before the first one after a whole state was
 * loaded, because an emulated CPU may accept what a real one refuses.
 */
#include "arch/x86_64/svm/svm_check.h"

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/svm/vmcb.h"
#include "vmm/cpu_state.h"
#include "vmm/vcpu.h"

#define RULE(holds, text)                       \
	do {                                    \
		if (!(holds))                   \
			return text;            \
	} while (0)

#define CR3_RESERVED    MASK(63, 52)

/* A map of so many bytes lies within what this CPU can address. */
static bool map_fits(uint64_t at, uint64_t bytes, const struct svm_caps *c)
{
	return !((at + bytes - 1) >> c->phys_bits);
}

static bool long_mode(const struct vmcb *m)
{
	return (m->efer & EFER_LME) && (m->cr0 & CR0_PG);
}

static bool code_64(const struct vmcb *m)
{
	return long_mode(m) && (m->cs.attrib & VMCB_SEG_L);
}

/* APM vol. 2, "Canonicalization and Consistency Checks" */
static const char *check_registers(const struct vmcb *m, const struct svm_caps *c)
{
	RULE(m->efer & EFER_SVME, "EFER: SVME is clear");
	RULE((m->cr0 & CR0_CD) || !(m->cr0 & CR0_NW), "guest CR0: NW without CD");
	RULE(!(m->cr0 >> 32), "guest CR0: bits above 31");
	RULE(!(m->cr3 & CR3_RESERVED), "guest CR3: reserved bits");
	RULE(!(m->cr4 & ~c->cr4_known), "guest CR4: a reserved bit");
	RULE(!(m->dr6 >> 32), "guest DR6: bits above 31");
	RULE(!(m->dr7 >> 32), "guest DR7: bits above 31");
	RULE(!(m->efer & ~c->efer_known), "guest EFER: a reserved bit");
	RULE(!long_mode(m) || (m->cr4 & CR4_PAE), "guest CR4: long mode without PAE");
	RULE(!long_mode(m) || (m->cr0 & CR0_PE), "guest CR0: long mode without PE");
	RULE(!long_mode(m) || !(m->cs.attrib & VMCB_SEG_L) || !(m->cs.attrib & VMCB_SEG_DB),
	     "guest CS: both L and D in long mode");
	return NULL;
}

static const char *check_controls(const struct vmcb *m, const struct svm_caps *c)
{
	RULE(vmcb_intercepts(m, INTERCEPT_VMRUN), "VMRUN is not intercepted");
	RULE(map_fits(m->msrpm_pa, MSRPM_BYTES, c),
	     "MSR permission map: beyond the physical-address width");
	RULE(map_fits(m->iopm_pa, IOPM_BYTES, c),
	     "I/O permission map: beyond the physical-address width");
	RULE(m->asid, "ASID is 0");
	RULE(m->asid < c->asids, "ASID is more than this CPU has");
	RULE(!(m->np_control & NP_ENABLE) || !(m->n_cr3 >> c->phys_bits),
	     "nested CR3: beyond the physical-address width");
	RULE(!(m->np_control & NP_ENABLE) || (c->features & CPUIDSVM_EDX_NP),
	     "nested paging is not supported");
	RULE(!(m->np_control & NP_ENABLE) || cpu_state_pat_valid(m->g_pat),
	     "guest PAT: a memory type that does not exist");
	return NULL;
}

/* APM vol. 2, "Event Injection" */
static const char *check_event(const struct vmcb *m)
{
	uint64_t event = m->event_inj, type = GET(EVENTINJ_TYPE, event);
	uint64_t vector = GET(EVENTINJ_VECTOR, event);

	if (!(event & EVENTINJ_VALID))
		return NULL;
	RULE(type == EVENTINJ_INTR || (type >= EVENTINJ_NMI && type <= EVENTINJ_SOFT_IRQ),
	     "event injection: type is reserved");
	RULE(type != EVENTINJ_EXCEPTION || vector <= VECTOR_LAST_EXCEPTION,
	     "event injection: an exception whose vector is over 31");
	RULE(type != EVENTINJ_EXCEPTION || vector != VECTOR_NMI,
	     "event injection: an exception with the vector of NMIs");
	RULE(type != EVENTINJ_EXCEPTION || vector != VECTOR_BR || !code_64(m),
	     "event injection: #BR in 64-bit mode");
	return NULL;
}

const char *svm_check(const struct vmcb *m, const struct svm_caps *caps)
{
	const char *broken = check_registers(m, caps);

	if (!broken)
		broken = check_controls(m, caps);
	return broken ? broken : check_event(m);
}
