/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_check.h - what this CPU has of AMD-V, and which rule of VMRUN a VMCB breaks.
 *  Pure.
 */
#ifndef SVM_CHECK_H
#define SVM_CHECK_H

#include "arch/x86_64/defs/svm.h"
#include "lib/types.h"

/* CPUID's leaf of AMD-V and what VMRUN's checks depend on, read once. */
struct svm_caps {
	uint32_t asids;                                 /* how many tags there are, 0 included  */
	uint32_t features;                              /* CPUIDSVM_EDX_...                     */
	unsigned phys_bits;                             /* width of a physical address          */
	uint64_t cr4_known;                             /* bits of CR4 that this CPU has        */
	uint64_t efer_known;
};

/*
 * The rule that a VMRUN of this VMCB would break, as text; NULL when none is.  Knows APM vol. 2,
 * "Canonicalization and Consistency Checks", and those of "Event Injection".
 */
const char *svm_check(const struct vmcb *m, const struct svm_caps *caps);

#endif
