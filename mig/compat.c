/* SPDX-License-Identifier: MIT */
/*
 * mig/compat.c - everything that can be known to speak against a migration before its first page.
 *
 * A refusal here costs nothing: the guest has not stopped and no memory was sent.  Called by
 * mig/dest.c, before and after the ghost is made; its answer goes to the operator word by word.
 */
#include "mig/compat.h"

#include <stdarg.h>
#include <string.h>

#include "lib/fmt.h"

_Static_assert(WIRE_REASON_MAX == REASON_MAX, "what a host says arrives as a whole");

/* `sep` and the text; when there is no room for both, dots for this and all that follows. */
static void append(struct reasons *r, const char *sep, const char *fmt, va_list args)
{
	static const char more[] = " ...";
	size_t limit = sizeof(r->text) - sizeof(more);
	size_t want = (size_t)fmt_format(r->text + r->len, limit - r->len, "%s", sep);

	if (r->len + want < limit)
		want += (size_t)fmt_vformat(r->text + r->len + want, limit - r->len - want, fmt,
					    args);
	if (r->len + want < limit) {
		r->len += want;
		return;
	}
	r->len = limit - 1;
	memcpy(r->text + r->len, more, sizeof(more));
}

void reasons_add(struct reasons *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	append(r, r->n++ ? "; " : "", fmt, args);
	va_end(args);
}

/* One more of the things that the latest reason lists. */
static void reasons_list(struct reasons *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	append(r, ", ", fmt, args);
	va_end(args);
}

uint64_t compat_extra_bytes(uint64_t ram_bytes)
{
	/* 8 bytes of table and 3 bits of bitmaps a page, and a few frames for everything else. */
	return ram_bytes / PAGE_SIZE * 9 + 4 * FRAME_SIZE;
}

struct lacking { struct reasons *reasons; unsigned n; };

static void missing(void *ctx, const char *item)
{
	struct lacking *l = ctx;

	if (l->n++)
		reasons_list(l->reasons, "%s", item);
	else
		reasons_add(l->reasons, "the CPU here lacks %s", item);
}

void compat_check(const struct hello *h, const struct compat_here *here, struct reasons *r)
{
	struct lacking lacking = { .reasons = r };
	uint64_t need =
		ALIGN_UP(h->config.ram_bytes, FRAME_SIZE) + compat_extra_bytes(h->config.ram_bytes);

	cpuid_compare(&h->cpuid, &here->cpuid, missing, &lacking);
	if (!clock_tsc_plausible(h->tsc_khz))
		reasons_add(r, "the guest was told that its TSC runs at %llu kHz",
			    (unsigned long long)h->tsc_khz);
	if (need > here->bytes_free)
		reasons_add(r, "the guest needs %llu MiB of memory, %llu MiB are free here",
			    (unsigned long long)(need / MIB),
			    (unsigned long long)(here->bytes_free / MIB));
}

static bool same_section(const struct section_head *h, const struct section_ref *ref)
{
	return h->instance == ref->instance && strcmp(h->name, ref->section->name) == 0;
}

void compat_sections(const struct hello *h, const struct section_ref *ghost, unsigned n,
		     struct reasons *r)
{
	for (unsigned i = 0; i < h->nsections; i++) {
		unsigned k = 0;

		while (k < n && !same_section(&h->section[i], &ghost[k]))
			k++;
		if (k == n)
			reasons_add(r, "section %s.%u is unknown here", h->section[i].name,
				    h->section[i].instance);
		else if (section_match(&ghost[k], &h->section[i]) != OK)
			reasons_add(r, "%s", err_reason());
	}
	for (unsigned k = 0; k < n; k++) {
		unsigned i = 0;

		while (i < h->nsections && !same_section(&h->section[i], &ghost[k]))
			i++;
		if (i == h->nsections)
			reasons_add(r, "section %s.%u is needed here and will not come",
				    ghost[k].section->name, ghost[k].instance);
	}
}
