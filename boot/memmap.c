/* SPDX-License-Identifier: MIT */
/*
 * boot/memmap.c - which RAM is free: the boot loader's map minus what is in use.
 *
 * The firmware's regions may overlap; the cautious reading wins: a byte is RAM when one region says
 * so and no region says otherwise.  Called by boot/memory.c.
 */
#include "boot/memmap.h"

#include "lib/log.h"

void memmap_hole(struct memmap *m, uint64_t from, uint64_t to)
{
	ASSERT(m->nholes < MEMMAP_HOLES_MAX);
	ASSERT(from <= to);
	from = ALIGN_DOWN(from, PAGE_SIZE);
	to = to > UINT64_MAX - PAGE_SIZE ? to : ALIGN_UP(to, PAGE_SIZE);
	m->hole[m->nholes++] = (struct span){ from, to };
}

/* The lowest hole that `s` meets; empty when there is none. */
static struct span first_hole(const struct memmap *m, struct span s)
{
	struct span first = { UINT64_MAX, UINT64_MAX };

	for (unsigned i = 0; i < m->nholes; i++) {
		struct span h = m->hole[i];
		if (h.from < s.to && h.to > s.from && h.from < h.to && h.from < first.from)
			first = h;
	}
	return first;
}

static void each_piece(const struct memmap *m, struct span s, void (*give)(void *ctx, struct span),
                       void *ctx)
{
	while (s.from < s.to) {
		struct span h = first_hole(m, s);
		if (MIN(h.from, s.to) > s.from)
			give(ctx, (struct span){ s.from, MIN(h.from, s.to) });
		s.from = h.to;          /* grows each time: ends after at most nholes turns */
	}
}

void memmap_each(const struct memmap *m, const struct boot_info *info,
                 void (*give)(void *ctx, struct span), void *ctx)
{
	static struct memmap all;

	all = *m;
	for (unsigned i = 0; i < info->nregions; i++)
		if (!info->region[i].available)
			memmap_hole(&all, info->region[i].base,
			            info->region[i].base + info->region[i].len);
	for (unsigned i = 0; i < info->nregions; i++) {
		const struct mb_region *r = &info->region[i];
		if (!r->available)
			continue;
		uint64_t to = ALIGN_DOWN(r->base + r->len, PAGE_SIZE);
		uint64_t from = MIN(r->base, UINT64_MAX - PAGE_SIZE);
		from = ALIGN_UP(from, PAGE_SIZE);
		if (from < to) {
			each_piece(&all, (struct span){ from, to }, give, ctx);
			memmap_hole(&all, from, to);    /* given: not again */
		}
	}
}

uint64_t memmap_total(const struct boot_info *info)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < info->nregions; i++)
		if (info->region[i].available)
			total += info->region[i].len;
	return total;
}
