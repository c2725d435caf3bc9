/* SPDX-License-Identifier: MIT */
/*
 * lib/crc32c.c - CRC-32C by the CRC32 instruction (SDM vol. 2, "CRC32"), eight bytes a step.
 *
 * Every CPU with second-stage paging has the instruction, and it uses general registers only.  The
 * Makefile gives this one file -mcrc32; boot/selftest.c checks that the CPU has it.
 */
#include "lib/crc32c.h"

#include <string.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t c = ~crc, word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		c = __builtin_ia32_crc32di(c, word);
	}
	for (; len; p++, len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return ~(uint32_t)c;
}
