/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/hazards.h - what a hostile guest could do with this CPU's own mistakes, and what is
 * done about it.
 *
 * hazards_decide() is pure: from what CPUID and IA32_ARCH_CAPABILITIES say to a set of defences,
 * each with a sentence for the self-test.  A vendor's probe calls cpu_defend(), which puts the
 * result into `defences`; its entry code obeys.  A CPU that needs nothing pays a test of one
 * byte an entry.  What is not defended against, and why: docs/limits.md.
 */
#ifndef ARCH_X86_64_HAZARDS_H
#define ARCH_X86_64_HAZARDS_H

/* Bits of defences.entry; assembly uses them too, so they are plain numbers.  Bit 0 is not used. */
#define DEFENCE_VERW    2       /* before an entry: the CPU's buffers are overwritten            */
#define DEFENCE_IBRS    4       /* IA32_SPEC_CTRL.IBRS: written after an exit, clear in guests   */
#define DEFENCE_RSB     8       /* after an exit: the return stack buffer is refilled            */
#define DEFENCES_ENTRY  3       /* where in struct defences they are                             */

#ifndef __ASSEMBLER__
#include "vmm/virt.h"

struct hazard_facts {
	uint32_t vendor[3];             /* CPUID leaf 0: EBX, EDX, ECX                     */
	unsigned family, model;         /* leaf 1, with their extensions                   */
	uint32_t leaf7_ebx, leaf7_edx;
	uint32_t leaf7_2_edx;           /* leaf 7, subleaf 2                               */
	uint32_t ext8_ebx;              /* leaf 0x80000008: where AMD says the same        */
	uint32_t ext21_eax;             /* leaf 0x80000021, AMD's                          */
	uint64_t arch_caps;             /* IA32_ARCH_CAPABILITIES, 0 where there is none   */
};

struct defences {
	bool     small_code;            /* guests run code by 4 KiB leaves: CVE-2018-12207 */
	bool     flush_l1d;             /* before an entry, if others ran since the last   */
	bool     ibpb;                  /* when a CPU goes from one VM to another          */
	uint8_t  entry;                 /* DEFENCE_*, for every entry and exit             */
	bool     auto_ibrs;             /* EFER.AIBRSE in the host: predictors, returns too */
	uint64_t spec_ctrl;             /* in IA32_SPEC_CTRL for good; 0: not touched      */
};
_Static_assert(offsetof(struct defences, entry) == DEFENCES_ENTRY, "as assembly looks for it");

#define HAZARDS 5

/* Sentences for the self-test: found means not affected, or held off. */
void hazards_decide(const struct hazard_facts *f, struct defences *out,
                    struct virt_feature says[HAZARDS]);

/* In force on this host.  Set by cpu_defend(), obeyed by the vendor's code. */
extern struct defences defences;
#endif
#endif
