/* SPDX-License-Identifier: MIT */
/*
 * lib/bitmap.c - bits in an array of 64-bit words, a word at a time.
 */
#include "lib/bitmap.h"

uint64_t bitmap_next(const uint64_t *map, uint64_t nbits, uint64_t from)
{
	if (from >= nbits)
		return nbits;
	uint64_t word = from / 64;
	uint64_t bits = map[word] & (~0ull << (from % 64));

	while (!bits) {
		if (++word >= BITMAP_WORDS(nbits))
			return nbits;
		bits = map[word];
	}
	return MIN(word * 64 + (uint64_t)__builtin_ctzll(bits), nbits);
}

/* Without POPCNT: gcc would call into libgcc, which is built for user space. */
static unsigned weight_of(uint64_t v)
{
	v -= v >> 1 & 0x5555555555555555ull;
	v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (unsigned)(v * 0x0101010101010101ull >> 56);
}

static uint64_t last_word_mask(uint64_t nbits)
{
	return nbits % 64 ? BIT(nbits % 64) - 1 : ~0ull;
}

uint64_t bitmap_weight(const uint64_t *map, uint64_t nbits)
{
	uint64_t sum = 0;

	if (!nbits)
		return 0;
	for (uint64_t i = 0; i < BITMAP_WORDS(nbits) - 1; i++)
		sum += map[i] ? weight_of(map[i]) : 0;
	return sum + weight_of(map[BITMAP_WORDS(nbits) - 1] & last_word_mask(nbits));
}

void bitmap_fill(uint64_t *map, uint64_t nbits, bool value)
{
	if (!nbits)
		return;
	uint64_t last = BITMAP_WORDS(nbits) - 1, mask = last_word_mask(nbits);

	for (uint64_t i = 0; i < last; i++)
		map[i] = value ? ~0ull : 0;
	map[last] = value ? map[last] | mask : map[last] & ~mask;
}

void bitmap_drain(uint64_t *to, uint64_t *from, uint64_t nbits)
{
	for (uint64_t i = 0; i < BITMAP_WORDS(nbits); i++) {
		if (!from[i])
			continue;
		to[i] |= from[i];
		from[i] = 0;
	}
}
