/* SPDX-License-Identifier: MIT */
/*
 * mig/ramhash.h - a 256-bit fingerprint of a stopped guest's RAM, for the verified handoff.
 */
#ifndef MIG_RAMHASH_H
#define MIG_RAMHASH_H

#include "lib/types.h"

#define RAMHASH_LEN 32

struct ramhash { uint64_t lane[4]; };

void ramhash_begin(struct ramhash *h);
/* `page`: PAGE_SIZE bytes, any alignment. */
void ramhash_page(struct ramhash *h, uint64_t index, const void *page);
void ramhash_end(struct ramhash *h, uint8_t out[RAMHASH_LEN]);

#endif
