/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_asid.h - which tag a vCPU's translations have in a CPU's TLB.  Pure.
 *
 * A CPU has few tags (ASIDs), 16 on one emulator.  They are given out in turn; when the last one is
 * gone a new generation begins, everything is flushed at once, and vCPUs with a tag of an older
 * generation get another one when they are next entered.  So "forget what this vCPU's tables said"
 * is: take a fresh tag, or flush the one it has where the CPU can flush a single one.
 */
#ifndef SVM_ASID_H
#define SVM_ASID_H

#include "arch/x86_64/defs/svm.h"

/* One a CPU. */
struct asid_pool {
	uint32_t last;                  /* the highest tag; 0 is the host's                     */
	uint32_t next;
	uint64_t generation;            /* begins with 1: 0 is nobody's                         */
	bool     by_asid;               /* this CPU can flush the tag of one vCPU               */
	uint64_t flushes;               /* flushes and fresh tags given: tests read it          */
};

/* One a vCPU, for the CPU where it is.  All zero: it has no tag. */
struct asid {
	uint32_t number;
	bool     stale;                 /* flushed by the next asid_take()                      */
	uint64_t generation;
};

/* `count` as CPUID says: number of tags, 0 included; at least 2. */
void asid_pool_init(struct asid_pool *p, uint32_t count, bool by_asid);

/* Nothing that the CPU remembers for this vCPU may be used after the next asid_take(). */
static inline void asid_forget(struct asid *a)
{
	a->stale = true;
}

/* It leaves this CPU for another, or comes from one: its tag here means nothing there. */
static inline void asid_leave(struct asid *a)
{
	a->generation = 0;
}

/* Make a->number valid for the coming VMRUN, and return the flush that this VMRUN must do. */
enum tlb_control asid_renew(struct asid_pool *p, struct asid *a);
static inline enum tlb_control asid_take(struct asid_pool *p, struct asid *a)
{
	if (a->generation == p->generation && !a->stale)
		return TLB_KEEP;
	return asid_renew(p, a);
}

#endif
