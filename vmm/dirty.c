/* SPDX-License-Identifier: MIT */
/*
 * vmm/dirty.c - which guest pages changed since we last looked.
 *
 * Two kinds of writers leave two kinds of marks: the guest's CPU sets dirty bits in the stage-2
 * tables (vmm/stage2.c), the host's own writes set bits in the software bitmap (vmm/mem.c).  A
 * harvest is the union of both.
 *
 * Order is everything: note and clear, flush, then copy.  A CPU that still holds a translation with
 * "dirty" set in its TLB sets no new bit, so a write after the copy would be lost.  Called by, and
 * read next: mig/precopy.c.
 */
#include "vmm/dirty.h"

#include "lib/bitmap.h"
#include "vmm/guest_mode.h"
#include "vmm/vm.h"

enum err dirty_start(struct vm *vm)
{
	guest_mode_flush(vm);           /* should it fail, tables are freed: nobody may be inside */
	enum err e = stage2_track_start(&vm->s2, &vm->mem);

	/* Flush even after a failure: tables were split and joined again on the way. */
	guest_mode_flush(vm);
	if (e == OK)
		bitmap_fill(vm->mem.soft_dirty, vm->mem.ram_pages, false);
	return e;
}

void dirty_stop(struct vm *vm)
{
	guest_mode_flush(vm);           /* no CPU walks a table that is about to be freed */
	stage2_track_stop(&vm->s2, &vm->mem);
	guest_mode_flush(vm);
}

/* Move the software bitmap into `todo`; returns how many bits that added. */
static uint64_t harvest_soft(struct mem *m, uint64_t *todo)
{
	uint64_t added = 0;

	for (uint64_t i = 0; i < BITMAP_WORDS(m->ram_pages); i++) {
		if (!m->soft_dirty[i])
			continue;
		uint64_t word = __atomic_exchange_n(&m->soft_dirty[i], 0, __ATOMIC_ACQ_REL);
		uint64_t more = word & ~todo[i];
		added += bitmap_weight(&more, 64);
		todo[i] |= word;
	}
	return added;
}

uint64_t dirty_harvest(struct vm *vm, uint64_t *todo)
{
	stage2_harvest_begin(&vm->s2, &vm->mem);
	guest_mode_flush(vm);
	uint64_t added = stage2_harvest_end(&vm->s2, &vm->mem, todo);
	guest_mode_flush(vm);
	vm->tlb.harvests++;
	return added + harvest_soft(&vm->mem, todo);
}
