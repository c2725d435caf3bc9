/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/vmcb.h - what is in a VMCB before the guest's state is.  Pure.
 */
#ifndef VMCB_H
#define VMCB_H

#include "arch/x86_64/defs/svm.h"
#include "vmm/cpuid.h"

/* What differs from one vCPU to the next. */
struct vmcb_plan {
	hpa_t    iopm, msrpm, nested_root;
	bool     rdtscp, invpcid;       /* instructions that the guest's CPUID announces        */
	uint64_t tsc_offset;
};

/* Controls: what the guest may do without us.  Everything else of `m` becomes 0. */
void vmcb_build(struct vmcb *m, const struct vmcb_plan *plan);

/* Whether the guest's next instruction of this kind exits. */
void vmcb_intercept(struct vmcb *m, enum svm_intercept what, bool on);

bool vmcb_intercepts(const struct vmcb *m, enum svm_intercept what);

/*
 * The guest's CR0, but for CD and NW, which are returned: a core whose caches are off is slow for
 * whoever shares it.  Writes that change more than TS and MP exit; while one of the two is set,
 * each access does.
 */
uint64_t vmcb_set_cr0(struct vmcb *m, uint64_t cr0);
/* The guest's whole CR0 for one instruction, which does not exit; `kept`: as returned above. */
void vmcb_open_cr0(struct vmcb *m, uint64_t kept);

/* The map of the MSRs that a guest reads and writes itself, TSC_AUX only if asked for. */
void vmcb_msrpm_build(uint8_t map[MSRPM_BYTES], bool tsc_aux);

/* What a guest with this CPUID table has of the instructions in struct vmcb_plan. */
bool vmcb_offers_tsc_aux(const struct cpuid_table *t);
bool vmcb_offers_invpcid(const struct cpuid_table *t);

#endif
