/* SPDX-License-Identifier: MIT */
/*
 * lib/random.h - random numbers for guests, UUIDs and sequence numbers: ChaCha20 (RFC 8439) under a
 * key that entropy is stirred into and that is replaced after every use.
 */
#ifndef LIB_RANDOM_H
#define LIB_RANDOM_H

#include "lib/types.h"

#define RANDOM_KEY_LEN 32

/* Mix `len` bytes into the key: RDSEED, RDRAND, or the jitter of the TSC (arch/x86_64/entropy.c). */
void random_stir(const void *entropy, size_t len);

/* Never fails; as good as what was stirred in before. */
void random_bytes(void *to, size_t len);

/* The ChaCha20 block function (RFC 8439, section 2.3). */
void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3], uint8_t out[64]);

#endif
