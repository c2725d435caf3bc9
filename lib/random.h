/* SPDX-License-Identifier: MIT */
/*
 * lib/random.h - random numbers for guests, UUIDs and sequence numbers: ChaCha20 (RFC 8439) under a
 * key that entropy is stirred into, and that is replaced at every use.
 */
#ifndef LIB_RANDOM_H
#define LIB_RANDOM_H

#include "lib/types.h"

/* Mix `len` bytes into the key: RDSEED, RDRAND, the jitter of the TSC (arch/x86_64/entropy.c). */
void random_stir(const void *entropy, size_t len);

/* Never fails; as good as what was stirred in before.  One CPU at a time. */
void random_bytes(void *to, size_t len);

/* The block function (RFC 8439, "The ChaCha20 Block Function"). */
void random_chacha20(const uint8_t key[32], uint32_t counter, const uint8_t nonce[12],
                     uint8_t out[64]);

#endif
