/* SPDX-License-Identifier: MIT */
/*
 * lib/bitmap.h - bits in an array of 64-bit words.
 */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

#include "lib/types.h"

#define BITMAP_WORDS(nbits) (((nbits) + 63) / 64)

static inline bool bitmap_test(const uint64_t *map, uint64_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}
static inline void bitmap_set(uint64_t *map, uint64_t bit) { map[bit / 64] |= BIT(bit % 64); }
static inline void bitmap_clear(uint64_t *map, uint64_t bit) { map[bit / 64] &= ~BIT(bit % 64); }

/* First set bit at or after `from`, or nbits when there is none. */
uint64_t bitmap_next(const uint64_t *map, uint64_t nbits, uint64_t from);

/* How many of the first nbits are set. */
uint64_t bitmap_weight(const uint64_t *map, uint64_t nbits);

/* Set or clear the first nbits; bits beyond stay. */
void bitmap_fill(uint64_t *map, uint64_t nbits, bool value);

/* to |= from; from = 0. */
void bitmap_drain(uint64_t *to, uint64_t *from, uint64_t nbits);

#endif
