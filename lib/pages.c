/* SPDX-License-Identifier: MIT */
/*
 * lib/pages.c - host memory: 4 KiB pages for us, 2 MiB frames for guests.
 *
 * Every region keeps one small record per 2 MiB frame at its own beginning.  A frame is free, given
 * out whole, or broken into pages; a broken frame has a list of its free pages threaded through the
 * pages themselves, and becomes whole again with its last page.  The ends of a region that fill no
 * frame, and the frames that hold the records, are broken for ever.
 */
#include "lib/pages.h"

#include <string.h>

#include "lib/log.h"
#include "lib/task.h"

#define REGIONS_MAX 128         /* firmware's map, with modules in the middle */

enum frame_use { USE_FREE, USE_WHOLE, USE_RUN, USE_PAGES };

struct frame_record {
	uint8_t  use;                           /* enum frame_use                               */
	bool     partial;                       /* not all of its 512 pages exist: never whole  */
	uint16_t used;                          /* pages given out                              */
	uint16_t free;                          /* pages on the list                            */
	void    *list;                          /* first free page                              */
};

struct region {
	uint64_t             first;             /* address of the first frame, 2 MiB aligned    */
	uint32_t             nframes;
	uint32_t             free_from;         /* no frame before this one is free             */
	struct frame_record *record;
};

static struct region regions[REGIONS_MAX];
static unsigned nregions;
static struct pages_stats stats;

static struct frame_record *record_of(uint64_t address, struct region **in)
{
	for (struct region *r = regions; r < regions + nregions; r++) {
		uint64_t i = (address - r->first) >> FRAME_SHIFT;
		if (address >= r->first && i < r->nframes) {
			*in = r;
			return &r->record[i];
		}
	}
	panic("address 0x%lx is in no memory region", address);
}

static void push_page(struct frame_record *f, uint64_t page)
{
	*(void **)page = f->list;
	f->list = (void *)page;
	f->free++;
}

/* Give the pages of [from, to) to their frames' lists; used for what fills no whole frame. */
static void add_loose(uint64_t from, uint64_t to)
{
	struct region *r;

	for (uint64_t page = from; page < to; page += PAGE_SIZE)
		push_page(record_of(page, &r), page);
}

void pages_add_region(hpa_t base, uint64_t len)
{
	uint64_t from = ALIGN_UP(base.v, PAGE_SIZE), to = ALIGN_DOWN(base.v + len, PAGE_SIZE);

	if (to <= from)
		return;
	if (nregions == REGIONS_MAX) {
		log_line("memory: 0x%lx to 0x%lx is not used: more than %d pieces", from, to,
		         REGIONS_MAX);
		return;
	}
	struct region r = { .first = ALIGN_DOWN(from, FRAME_SIZE) };
	r.nframes = (uint32_t)((ALIGN_UP(to, FRAME_SIZE) - r.first) >> FRAME_SHIFT);
	uint64_t records = ALIGN_UP(r.nframes * sizeof(struct frame_record), PAGE_SIZE);
	if (to - from <= records)
		return;
	r.record = (struct frame_record *)from;
	memset(r.record, 0, records);
	from += records;
	regions[nregions++] = r;

	uint64_t whole_from = ALIGN_UP(from, FRAME_SIZE), whole_to = ALIGN_DOWN(to, FRAME_SIZE);
	whole_from = MIN(whole_from, to);
	whole_to = MAX(whole_to, whole_from);
	for (uint32_t i = 0; i < r.nframes; i++) {
		uint64_t a = r.first + i * FRAME_SIZE;
		if (a >= whole_from && a + FRAME_SIZE <= whole_to) {
			stats.frames_total++;
			stats.frames_free++;
		} else {
			r.record[i].use = USE_PAGES;
			r.record[i].partial = true;
		}
	}
	add_loose(from, whole_from);
	add_loose(whole_to, to);
}

static void skip_used(struct region *r)
{
	while (r->free_from < r->nframes && r->record[r->free_from].use != USE_FREE)
		r->free_from++;
}

/* A frame is free again. */
static void set_free(struct region *r, struct frame_record *f)
{
	*f = (struct frame_record){ .use = USE_FREE };
	r->free_from = MIN(r->free_from, (uint32_t)(f - r->record));
	stats.frames_free++;
}

/* The first of `n` free frames in a row; false when there are none. */
static bool find_run(unsigned n, struct region **in, uint32_t *first)
{
	for (struct region *r = regions; r < regions + nregions; r++) {
		unsigned have = 0;
		skip_used(r);
		for (uint32_t i = r->free_from; i < r->nframes; i++) {
			have = r->record[i].use == USE_FREE ? have + 1 : 0;
			if (have == n) {
				*in = r;
				*first = i + 1 - n;
				return true;
			}
		}
	}
	return false;
}

static enum err take_run(unsigned n, enum frame_use use, hpa_t *out)
{
	struct region *r;
	uint32_t first;

	if (!n || !find_run(n, &r, &first))
		return fail(ERR_NO_MEMORY,
		            "no %u MiB of host memory in one piece: %lu of %lu MiB are free", n * 2,
		            stats.frames_free * 2, stats.frames_total * 2);
	for (unsigned i = 0; i < n; i++)
		r->record[first + i].use = (uint8_t)use;
	stats.frames_free -= n;
	*out = hpa(r->first + first * FRAME_SIZE);
	return OK;
}

static void give_back(uint64_t address, enum frame_use use)
{
	struct region *r;
	struct frame_record *f = record_of(address, &r);

	ASSERT(!(address & (FRAME_SIZE - 1)));
	ASSERT(f->use == use);
	set_free(r, f);
}

static void zero(hpa_t from, uint64_t len)
{
	for (uint64_t at = 0; at < len; at += TASK_STEP_BYTES) {
		memset(hpa_ptr(hpa(from.v + at)), 0, TASK_STEP_BYTES);
		task_breathe();
	}
}
_Static_assert(FRAME_SIZE % TASK_STEP_BYTES == 0, "a frame is whole steps");

enum err frame_alloc_used(hpa_t *out)
{
	enum err e = take_run(1, USE_WHOLE, out);

	if (e == OK)
		stats.bytes_guest += FRAME_SIZE;
	return e;
}

enum err frame_alloc(hpa_t *out)
{
	enum err e = frame_alloc_used(out);

	if (e == OK)
		zero(*out, FRAME_SIZE);
	return e;
}

void frame_free(hpa_t frame)
{
	give_back(frame.v, USE_WHOLE);
	stats.bytes_guest -= FRAME_SIZE;
}

enum err frames_alloc_used(unsigned n, hpa_t *out)
{
	enum err e = take_run(n, USE_RUN, out);

	if (e == OK)
		stats.pages_used += n * PAGES_PER_FRAME;
	return e;
}

enum err frames_alloc_run(unsigned n, hpa_t *out)
{
	enum err e = frames_alloc_used(n, out);

	if (e == OK)
		zero(*out, n * FRAME_SIZE);
	return e;
}

void frames_free_run(hpa_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		give_back(first.v + i * FRAME_SIZE, USE_RUN);
	stats.pages_used -= n * PAGES_PER_FRAME;
}

static struct frame_record *find_broken(void)
{
	for (struct region *r = regions; r < regions + nregions; r++)
		for (uint32_t i = 0; i < r->nframes; i++)
			if (r->record[i].use == USE_PAGES && r->record[i].free)
				return &r->record[i];
	return NULL;
}

static struct frame_record *break_frame(void)
{
	struct region *r;
	uint32_t i;

	if (!find_run(1, &r, &i))
		return NULL;
	struct frame_record *f = &r->record[i];
	*f = (struct frame_record){ .use = USE_PAGES };
	for (uint64_t n = PAGES_PER_FRAME; n-- > 0;)
		push_page(f, r->first + i * FRAME_SIZE + n * PAGE_SIZE);
	stats.frames_free--;
	return f;
}

enum err page_alloc(hpa_t *out)
{
	static struct frame_record *latest; /* most pages come from the frame of the one before */
	struct frame_record *f = latest && latest->use == USE_PAGES && latest->free ? latest :
	                                                                              find_broken();

	if (!f)
		f = break_frame();
	if (!f)
		return fail(ERR_NO_MEMORY, "no page of host memory is left");
	latest = f;
	void *page = f->list;
	f->list = *(void **)page;
	f->free--;
	f->used++;
	stats.pages_used++;
	memset(page, 0, PAGE_SIZE);
	*out = ptr_hpa(page);
	return OK;
}

void page_free(hpa_t page)
{
	struct region *r;
	struct frame_record *f = record_of(page.v, &r);

	ASSERT(!(page.v & (PAGE_SIZE - 1)));
	ASSERT(f->use == USE_PAGES && f->used);
	push_page(f, page.v);
	f->used--;
	stats.pages_used--;
	if (!f->used && !f->partial)
		set_free(r, f);
}

struct pages_stats pages_stats(void)
{
	return stats;
}
