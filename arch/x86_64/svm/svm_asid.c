/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_asid.c - giving out a CPU's TLB tags; the idea is in the header.
 *
 * Pure.  (APM vol. 2, "TLB Control")  Called by svm.c before each VMRUN; read next: npt.c.
 */
#include "arch/x86_64/svm/svm_asid.h"

/* Whatever a predecessor left in the TLB goes with the first tag that is given out. */
void asid_pool_init(struct asid_pool *p, uint32_t count, bool by_asid)
{
	*p = (struct asid_pool){ .last = count - 1, .next = count, .generation = 1,
	                         .by_asid = by_asid };
}

enum tlb_control asid_renew(struct asid_pool *p, struct asid *a)
{
	bool mine = a->generation == p->generation;

	p->flushes++;
	a->stale = false;
	if (mine && p->by_asid)
		return TLB_FLUSH_ASID;
	if (p->next <= p->last) {
		a->number = p->next++;          /* nobody had it since everything was flushed */
		a->generation = p->generation;
		return TLB_KEEP;
	}
	a->number = 1;
	a->generation = ++p->generation;
	p->next = a->number + 1;
	return TLB_FLUSH_ALL;
}
