/* SPDX-License-Identifier: MIT */
/*
 * vmm/stage2.h - second-stage page tables: guest-physical to host-physical.
 *
 * Four levels of 512 entries, in the bits that struct s2_format names.  RAM is mapped by 2 MiB
 * leaves and split to 4 KiB while dirty pages are tracked.
 *
 * Where the format says small_code, a 2 MiB leaf forbids execution; the first fetch from it faults
 * and splits it into executable leaves of 4 KiB.  So the CPU never holds a large and a small
 * translation for one piece of code, which some turn into a machine check (arch/x86_64/hazards.h).
 */
#ifndef VMM_STAGE2_H
#define VMM_STAGE2_H

#include "lib/err.h"
#include "vmm/mem.h"
#include "vmm/virt.h"

struct stage2 {
	const struct s2_format *fmt;
	hpa_t    root;
	bool     tracking;              /* leaves are 4 KiB and dirty state is meaningful     */
	uint64_t tables;                /* pages taken for tables, root included              */
	uint64_t splits, collapses;     /* counters                                           */
	uint64_t code_splits;           /* of them, because the guest ran code there          */
};

enum err stage2_create(struct stage2 *s, const struct s2_format *fmt);
void     stage2_destroy(struct stage2 *s);

/* Map all of `m` by 2 MiB leaves.  All or nothing. */
enum err stage2_map_ram(struct stage2 *s, const struct mem *m);

/* What maps `a`: false when nothing does.  For tests, dumps and the fault handler. */
struct s2_leaf { uint64_t entry, size; hpa_t hpa; };
bool stage2_lookup(const struct stage2 *s, gpa_t a, struct s2_leaf *out);

/*
 * Begin tracking: split every leaf, forget old dirty state; without dirty bits in the format,
 * write-protect instead.  The caller flushes TLBs afterwards and takes all pages as dirty.
 */
enum err stage2_track_start(struct stage2 *s, const struct mem *m);

/* End tracking: join leaves to 2 MiB again, writable.  The caller flushes TLBs afterwards. */
void stage2_track_stop(struct stage2 *s, const struct mem *m);

/*
 * Move dirty state into `map` (bits are only set, by page index) and clear it in the tables, in the
 * two steps that make it safe to skip tables which the CPU did not use since the last harvest:
 *   1. stage2_harvest_begin(): note and clear the accessed bit of every entry that points to a
 *      table of leaves.                                     Then the caller flushes.
 *   2. stage2_harvest_end(): move dirty bits of the noted tables.  Then the caller flushes again,
 *      and only after that may a page be copied.
 * (A flush between the steps makes the CPU set the accessed bit anew for any later use, so nothing
 * is missed by the next harvest.)  Returns how many bits it set in `map` that were clear before.
 */
void     stage2_harvest_begin(struct stage2 *s, const struct mem *m);
uint64_t stage2_harvest_end(struct stage2 *s, const struct mem *m, uint64_t *map);

/*
 * Formats without dirty bits: a write fault on a tracked RAM page; sets it writable.  True if that
 * was the cause.
 */
bool stage2_fault_dirty(struct stage2 *s, const struct mem *m, gpa_t a);

/*
 * Formats with small_code: a fetch from a mapped RAM page faulted.  OK: the page is executable now,
 * and the caller flushes TLBs before the guest goes on.  ERR_BAD_ARGUMENT: that was not the cause.
 * ERR_NO_MEMORY: no page for the table.  At most one split a frame of RAM until tracking ends.
 */
enum err stage2_fault_code(struct stage2 *s, const struct mem *m, gpa_t a);

#endif
