/* SPDX-License-Identifier: MIT */
/*
 * vmm/stage2.c - second-stage page tables: guest-physical to host-physical.
 *
 * Owns the table pages of one VM.  Four levels of 512 entries; RAM hangs as 2 MiB leaves in level 2
 * or, while dirty pages are tracked and where some CPUs must run code, as 4 KiB leaves in level 1.
 * Which bits mean what comes from the CPU vendor as struct s2_format.
 *
 * The CPU sets accessed and dirty bits by itself and at any time, so what it may touch is changed
 * by atomic instructions only: a plain read and write could undo a bit set in between.
 *
 * The life of a dirty bit, with the flushes in between that make it safe: vmm/stage2.h at
 * stage2_harvest_begin().  Called by vmm/dirty.c, vmm/vm.c and the fault handler.
 */
#include "vmm/stage2.h"

#include "arch/x86_64/defs/pte.h"
#include "lib/bitmap.h"
#include "lib/log.h"
#include "lib/pages.h"

/*
 * Ours, in an entry that points to a table of leaves: "there may be dirty leaves below".  Both
 * vendors leave this bit to software there (SDM vol. 3, "Format of an EPT Page-Directory Entry that
 * References an EPT Page Table"; APM vol. 2, "Long-Mode Page Translation").
 */
#define NOTED           BIT(11)

#define LEVEL_ROOT      4
#define LEVEL_LARGE     2               /* whose leaves are 2 MiB */
#define LEVEL_PAGE      1

static unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + (level - 1) * PTE_INDEX_BITS;
}

static uint64_t *entry_in(hpa_t table, gpa_t a, unsigned level)
{
	return (uint64_t *)hpa_ptr(table) + (a.v >> level_shift(level)) % PTE_COUNT;
}

static hpa_t entry_hpa(uint64_t entry)
{
	return hpa(entry & PTE_ADDRESS);
}

static uint64_t rights(const struct s2_format *f)
{
	return f->read | f->write | f->exec;
}

static bool points_to_table(const struct s2_format *f, uint64_t entry, unsigned level)
{
	return level > LEVEL_PAGE && (entry & f->read) && !(entry & f->leaf);
}

static enum err table_alloc(struct stage2 *s, hpa_t *out)
{
	enum err e = page_alloc(out);

	if (e == OK)
		s->tables++;
	return e;
}

static void table_free(struct stage2 *s, hpa_t table)
{
	page_free(table);
	s->tables--;
}

enum err stage2_create(struct stage2 *s, const struct s2_format *fmt)
{
	*s = (struct stage2){ .fmt = fmt };
	return table_alloc(s, &s->root);
}

/* Four levels deep at most. */
static void free_below(struct stage2 *s, hpa_t table, unsigned level)
{
	uint64_t *entry = hpa_ptr(table);

	for (unsigned i = 0; i < PTE_COUNT && level > LEVEL_PAGE; i++)
		if (points_to_table(s->fmt, entry[i], level))
			free_below(s, entry_hpa(entry[i]), level - 1);
	table_free(s, table);
}

void stage2_destroy(struct stage2 *s)
{
	if (!s->root.v)
		return;
	free_below(s, s->root, LEVEL_ROOT);
	ASSERT(s->tables == 0);
	s->root = hpa(0);
}

/* The level-2 entry of `a`, making the tables above it. */
static enum err make_large_entry(struct stage2 *s, gpa_t a, uint64_t **out)
{
	hpa_t table = s->root;

	for (unsigned level = LEVEL_ROOT; level > LEVEL_LARGE; level--) {
		uint64_t *entry = entry_in(table, a, level);
		if (!*entry) {
			hpa_t below;
			enum err e = table_alloc(s, &below);
			if (e != OK)
				return e;
			*entry = below.v | rights(s->fmt) | s->fmt->table_type;
		}
		table = entry_hpa(*entry);
	}
	*out = entry_in(table, a, LEVEL_LARGE);
	return OK;
}

/* The level-2 entry of `a`, which is RAM and so has one. */
static uint64_t *large_entry(const struct stage2 *s, gpa_t a)
{
	hpa_t table = s->root;

	for (unsigned level = LEVEL_ROOT; level > LEVEL_LARGE; level--) {
		uint64_t entry = *entry_in(table, a, level);
		ASSERT(points_to_table(s->fmt, entry, level));
		table = entry_hpa(entry);
	}
	return entry_in(table, a, LEVEL_LARGE);
}

static uint64_t *frame_entry(const struct stage2 *s, const struct mem *m, uint64_t frame)
{
	return large_entry(s, mem_gpa(m, frame * PAGES_PER_FRAME));
}

/*
 * The same for one frame after the other: neighbours stand side by side in a table of 1 GiB, and
 * the hole of guest-physical memory begins and ends on a multiple of that.
 */
static uint64_t *next_frame_entry(const struct stage2 *s, const struct mem *m, uint64_t frame,
                                  uint64_t *before)
{
	return frame % PTE_COUNT ? before + 1 : frame_entry(s, m, frame);
}
_Static_assert(MEM_LOW_TOP % (PTE_COUNT * FRAME_SIZE) == 0,
               "no level-2 table is half RAM, half hole");

static uint64_t large_leaf(const struct stage2 *s, hpa_t frame)
{
	const struct s2_format *f = s->fmt;
	uint64_t allowed = f->small_code ? rights(f) & ~f->exec : rights(f);

	return frame.v | allowed | f->leaf | f->ram_type;
}

enum err stage2_map_ram(struct stage2 *s, const struct mem *m)
{
	for (uint64_t i = 0; i < m->nframes; i++) {
		uint64_t *entry;
		enum err e = make_large_entry(s, mem_gpa(m, i * PAGES_PER_FRAME), &entry);
		if (e != OK) {
			/* empty tables stay: they map nothing, destroy frees them */
			while (i-- > 0)
				*frame_entry(s, m, i) = 0;
			return e;
		}
		ASSERT(*entry == 0);
		*entry = large_leaf(s, m->frame[i]);
	}
	return OK;
}

bool stage2_lookup(const struct stage2 *s, gpa_t a, struct s2_leaf *out)
{
	hpa_t table = s->root;

	for (unsigned level = LEVEL_ROOT; level >= LEVEL_PAGE; level--) {
		uint64_t entry = *entry_in(table, a, level);
		uint64_t size = 1ull << level_shift(level);

		*out = (struct s2_leaf){ .entry = entry, .size = size };
		if (!(entry & s->fmt->read))
			return false;
		if (!points_to_table(s->fmt, entry, level)) {
			out->hpa = hpa((entry_hpa(entry).v & ~(size - 1)) | (a.v & (size - 1)));
			return true;
		}
		table = entry_hpa(entry);
	}
	return false;
}

/* --- Large leaves and small ones ------------------------------------------------------------ */

/*
 * Map the frame behind this entry by 4 KiB leaves in their first state: neither accessed nor dirty,
 * and read-only if only a fault can tell that a page is written.  A frame that holds code has its
 * table already.
 */
static enum err split(struct stage2 *s, uint64_t *large, hpa_t frame)
{
	const struct s2_format *f = s->fmt;
	uint64_t page = rights(f) | f->ram_type;
	hpa_t table = entry_hpa(*large);

	if (!points_to_table(f, *large, LEVEL_LARGE)) {
		enum err e = table_alloc(s, &table);
		if (e != OK)
			return e;
		s->splits++;
	}
	if (s->tracking && !f->dirty)
		page &= ~f->write;
	uint64_t *leaf = hpa_ptr(table);
	for (unsigned i = 0; i < PTE_COUNT; i++)
		__atomic_store_n(&leaf[i], (frame.v + i * PAGE_SIZE) | page, __ATOMIC_RELAXED);
	__atomic_store_n(large, table.v | rights(f) | f->table_type, __ATOMIC_RELEASE);
	return OK;
}

static void join(struct stage2 *s, uint64_t *large, hpa_t frame)
{
	hpa_t table = entry_hpa(*large);

	__atomic_store_n(large, large_leaf(s, frame), __ATOMIC_RELEASE);
	table_free(s, table);
	s->collapses++;
}

enum err stage2_fault_code(struct stage2 *s, const struct mem *m, gpa_t a)
{
	if (!s->fmt->small_code || !mem_is_ram(m, a, 1))
		return ERR_BAD_ARGUMENT;
	uint64_t *large = large_entry(s, a);
	if (points_to_table(s->fmt, *large, LEVEL_LARGE))
		return OK;              /* another vCPU was faster */
	enum err e = split(s, large, m->frame[mem_index(m, a) / PAGES_PER_FRAME]);
	if (e == OK)
		s->code_splits++;
	return e;
}

/* --- Tracking ------------------------------------------------------------------------------- */

enum err stage2_track_start(struct stage2 *s, const struct mem *m)
{
	uint64_t *large = NULL;

	ASSERT(!s->tracking);
	s->tracking = true;
	for (uint64_t i = 0; i < m->nframes; i++) {
		large = next_frame_entry(s, m, i, large);
		enum err e = split(s, large, m->frame[i]);
		if (e != OK) {
			stage2_track_stop(s, m);
			return e;
		}
	}
	return OK;
}

void stage2_track_stop(struct stage2 *s, const struct mem *m)
{
	uint64_t *large = NULL;

	ASSERT(s->tracking);
	s->tracking = false;
	for (uint64_t i = 0; i < m->nframes; i++) {
		large = next_frame_entry(s, m, i, large);
		if (points_to_table(s->fmt, *large, LEVEL_LARGE))
			join(s, large, m->frame[i]);
	}
}

void stage2_harvest_begin(struct stage2 *s, const struct mem *m)
{
	const struct s2_format *f = s->fmt;
	uint64_t *large = NULL;

	ASSERT(s->tracking);
	if (!f->accessed)
		return;                 /* stage2_fault_dirty() notes */
	for (uint64_t i = 0; i < m->nframes; i++) {
		large = next_frame_entry(s, m, i, large);
		if (!(*large & f->accessed))
			continue;
		__atomic_fetch_or(large, NOTED, __ATOMIC_RELAXED);
		__atomic_fetch_and(large, ~f->accessed, __ATOMIC_RELAXED);
	}
}

/* Move dirty state of `n` leaves; `mark` is the bit that says dirty. */
static uint64_t harvest_leaves(uint64_t *leaf, unsigned n, uint64_t mark, uint64_t *map,
                               uint64_t first_index)
{
	uint64_t added = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!(leaf[i] & mark))
			continue;
		__atomic_fetch_and(&leaf[i], ~mark, __ATOMIC_RELAXED);
		if (!bitmap_test(map, first_index + i)) {
			bitmap_set(map, first_index + i);
			added++;
		}
	}
	return added;
}

#define GROUP 8
_Static_assert(PTE_COUNT % GROUP == 0, "a table is made of whole groups");

/*
 * Most leaves of a table are clean, and this is part of a migration's downtime: look at eight at
 * once.
 */
static uint64_t harvest_table(uint64_t *leaf, uint64_t mark, uint64_t *map, uint64_t first_index)
{
	uint64_t added = 0;

	for (unsigned i = 0; i < PTE_COUNT; i += GROUP) {
		const uint64_t *l = leaf + i;
		if ((l[0] | l[1] | l[2] | l[3] | l[4] | l[5] | l[6] | l[7]) & mark)
			added += harvest_leaves(leaf + i, GROUP, mark, map, first_index + i);
	}
	return added;
}

uint64_t stage2_harvest_end(struct stage2 *s, const struct mem *m, uint64_t *map)
{
	uint64_t mark = s->fmt->dirty ? s->fmt->dirty : s->fmt->write, added = 0;
	uint64_t *large = NULL;

	ASSERT(s->tracking);
	for (uint64_t i = 0; i < m->nframes; i++) {
		large = next_frame_entry(s, m, i, large);
		if (!(*large & NOTED))
			continue;
		__atomic_fetch_and(large, ~NOTED, __ATOMIC_RELAXED);
		added += harvest_table(hpa_ptr(entry_hpa(*large)), mark, map, i * PAGES_PER_FRAME);
	}
	return added;
}

bool stage2_fault_dirty(struct stage2 *s, const struct mem *m, gpa_t a)
{
	const struct s2_format *f = s->fmt;

	if (!s->tracking || f->dirty || !mem_is_ram(m, a, 1))
		return false;
	uint64_t *large = large_entry(s, a);
	uint64_t *leaf = entry_in(entry_hpa(*large), a, LEVEL_PAGE);
	/* Already writable: another vCPU was faster, and the guest only has to try again. */
	__atomic_fetch_or(large, NOTED, __ATOMIC_RELAXED);
	__atomic_fetch_or(leaf, f->write, __ATOMIC_RELAXED);
	return true;
}
