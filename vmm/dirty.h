/* SPDX-License-Identifier: MIT */
/*
 * vmm/dirty.h - which guest pages changed since we last looked: the union of what the CPU wrote
 * (stage-2 dirty bits) and what the host wrote (mem.c's software bitmap).
 */
#ifndef VMM_DIRTY_H
#define VMM_DIRTY_H

#include "lib/err.h"
#include "lib/types.h"

struct vm;

/* Start tracking: afterwards every page counts as clean; the caller sends all of RAM once. */
enum err dirty_start(struct vm *vm);
void     dirty_stop(struct vm *vm);

/*
 * Add every page written since the last call to `todo` (one bit a page index,
 * BITMAP_WORDS(ram_pages) words), clear the marks, flush the TLBs.  After return the pages may be
 * copied: a later write is marked anew.  Returns how many pages were added by this harvest.
 */
uint64_t dirty_harvest(struct vm *vm, uint64_t *todo);

#endif
