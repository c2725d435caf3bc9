/* SPDX-License-Identifier: MIT */
/*
 * lib/random.c - a random number generator with one 256-bit key as its whole state.
 *
 * Output: a block's first half becomes the next key, so that who steals the key learns nothing
 * about the past.  Input: entropy is xored onto the key, which is then replaced.
 */
#include "lib/random.h"

#include <string.h>

#define KEY_LEN         32u
#define BLOCK_LEN       64u
#define ROUNDS          20u

static uint8_t state_key[KEY_LEN];

static uint32_t rotl(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void quarter_round(uint32_t *s, unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b]; s[d] = rotl(s[d] ^ s[a], 16);
	s[c] += s[d]; s[b] = rotl(s[b] ^ s[c], 12);
	s[a] += s[b]; s[d] = rotl(s[d] ^ s[a], 8);
	s[c] += s[d]; s[b] = rotl(s[b] ^ s[c], 7);
}

/* Four rows of four words: constants; key; key; counter and nonce.  Little-endian, as we are. */
void random_chacha20(const uint8_t key[32], uint32_t counter, const uint8_t nonce[12],
                     uint8_t out[64])
{
	uint32_t start[16], s[16];

	memcpy(&start[0], "expand 32-byte k", 16);
	memcpy(&start[4], key, 32);
	start[12] = counter;
	memcpy(&start[13], nonce, 12);
	memcpy(s, start, sizeof(s));
	for (unsigned round = 0; round < ROUNDS; round += 2) {
		for (unsigned i = 0; i < 4; i++)        /* columns */
			quarter_round(s, i, 4 + i, 8 + i, 12 + i);
		for (unsigned i = 0; i < 4; i++)        /* diagonals */
			quarter_round(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
	}
	for (unsigned i = 0; i < 16; i++)
		s[i] += start[i];
	memcpy(out, s, BLOCK_LEN);
}

/* A fresh block; its first half is the new key, the second may be given away. */
static void next_block(uint8_t block[BLOCK_LEN])
{
	static const uint8_t nonce[12];

	random_chacha20(state_key, 0, nonce, block);
	memcpy(state_key, block, KEY_LEN);
}

void random_stir(const void *entropy, size_t len)
{
	const uint8_t *from = entropy;
	uint8_t block[BLOCK_LEN];

	for (size_t at = 0; at < len; at += KEY_LEN) {
		for (size_t i = 0; i < KEY_LEN && at + i < len; i++)
			state_key[i] ^= from[at + i];
		next_block(block);
	}
}

void random_bytes(void *to, size_t len)
{
	uint8_t *out = to;
	uint8_t block[BLOCK_LEN];

	while (len) {
		size_t n = MIN(len, (size_t)(BLOCK_LEN - KEY_LEN));

		next_block(block);
		memcpy(out, block + KEY_LEN, n);
		out += n;
		len -= n;
	}
	memset(block, 0, sizeof(block));
}
