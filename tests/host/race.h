/* SPDX-License-Identifier: MIT */
/*
 * tests/host/race.h - another vCPU that writes to guest memory while we are at it.
 */
#ifndef TESTS_HOST_RACE_H
#define TESTS_HOST_RACE_H

#include "vmm/mem.h"

/*
 * Just before our next write to the page at `page` of the guest, `what(page)` happens: the page is
 * read-only until then.  `what` may call race_begin() again, for another page.
 */
void race_begin(struct mem *m, uint64_t page, void (*what)(uint64_t page));

/* The pages that nobody has written to: so late nothing happens any more. */
void race_end(void);

#endif
