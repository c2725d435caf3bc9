/* SPDX-License-Identifier: MIT */
/*
 * lib/pattern.h - pages that are checked whole before they are written again.
 *
 * All 512 words of a page follow from its address and its generation.  Pages are visited in a
 * scattered order, every page in its turn.  A word that is not as it was left ends the guest.
 */
#ifndef GUEST_PATTERN_H
#define GUEST_PATTERN_H

#include <stdint.h>

struct pattern {
	uint64_t first, count;           /* address of the first page; pages          */
	uint32_t *generations;           /* of each page; `count` of them, the user's */
	uint64_t stride, cursor;
	uint64_t written;                /* pages since pattern_start()               */
};

/* With `first`, `count` and `generations` set: every page gets its first contents. */
void pattern_start(struct pattern *p);

void pattern_rewrite(struct pattern *p, uint64_t pages);
void pattern_verify(const struct pattern *p);    /* all pages */

#endif
