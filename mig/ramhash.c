/* SPDX-License-Identifier: MIT */
/*
 * mig/ramhash.c - a fingerprint of RAM that finds accidents, at an instruction for two bytes.
 *
 * The verified handoff hashes all RAM on both sides while the guest stands still, so the hash is
 * paid in downtime.  It defends against our own mistakes (a page that was not sent, sent twice in
 * the wrong order, or written to the wrong place), not against a forger: who could forge RAM also
 * sends the hash.  SHA-256 costs some 20 instructions a byte, 40 s for 96 MiB on an emulated
 * machine of 50 MIPS; this costs about one second, and needs no instruction set extension.
 *
 * Four lanes of 64 bits take every fourth word.  A step, h = rotate((h ^ word) * odd), is a
 * bijection of h for a given word and of the word for a given h: a difference in one word always
 * survives to the end, and differences in several cancel with a chance of 2^-64 a lane.  It is not
 * the CRC that already guards the records, so the two do not share a blind spot.
 */
#include "mig/ramhash.h"

#include <string.h>

#define LANES      4
#define ROTATE     29
#define MULTIPLIER 0x9e3779b97f4a7c15ull /* 2^64 / golden ratio, odd: no structure of its own */

static const uint64_t seed[LANES] = {
	/* fractional parts of the square roots of 2, 3, 5, 7 */
	0x6a09e667f3bcc908ull,
	0xbb67ae8584caa73bull,
	0x3c6ef372fe94f82bull,
	0xa54ff53a5f1d36f1ull,
};

static inline uint64_t step(uint64_t h, uint64_t word)
{
	h = (h ^ word) * MULTIPLIER;
	return h << ROTATE | h >> (64 - ROTATE);
}

void ramhash_begin(struct ramhash *h)
{
	memcpy(h->lane, seed, sizeof(seed));
}

void ramhash_page(struct ramhash *h, uint64_t index, const void *page)
{
	uint64_t a = h->lane[0], b = h->lane[1], c = h->lane[2], d = h->lane[3];
	const uint8_t *p = page;

	a = step(a, index);
	b = step(b, ~index);
	for (unsigned i = 0; i < PAGE_SIZE; i += LANES * sizeof(uint64_t)) {
		uint64_t word[LANES];

		memcpy(word, p + i, sizeof(word));
		a = step(a, word[0]);
		b = step(b, word[1]);
		c = step(c, word[2]);
		d = step(d, word[3]);
	}
	h->lane[0] = a;
	h->lane[1] = b;
	h->lane[2] = c;
	h->lane[3] = d;
}

void ramhash_end(struct ramhash *h, uint8_t out[RAMHASH_LEN])
{
	/* Every lane into every other, twice around. */
	for (unsigned i = 0; i < 2 * LANES; i++)
		h->lane[(i + 1) % LANES] = step(h->lane[(i + 1) % LANES], h->lane[i % LANES]);
	for (unsigned i = 0; i < RAMHASH_LEN; i++)
		out[i] = (uint8_t)(h->lane[i / 8] >> 8 * (i % 8));
}
