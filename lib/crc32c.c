/* SPDX-License-Identifier: MIT */
/*
 * lib/crc32c.c - CRC-32C by the CRC32 instruction (SDM vol. 2, "CRC32") or by tables.
 *
 * Every CPU with second-stage paging has the instruction, and it uses general registers only.  But
 * under an emulator it may be a loop over 64 bits, for eight bytes of a page (QEMU's TCG): tables
 * are six times as fast there.  So both are timed at boot.  The Makefile gives this one file
 * -mcrc32.
 */
#include "lib/crc32c.h"

#include <string.h>

#include "lib/time.h"

#define POLYNOMIAL  0x82f63b78u         /* RFC 3720, appendix B.4, bits mirrored */
#define STEP        sizeof(uint64_t)
#define TRY_BYTES   1024
#define TRIES       16

/* table[i][b]: the CRC of byte b with i zero bytes behind it. */
static uint32_t table[STEP][256];
static enum crc32c_way chosen = CRC32C_INSTRUCTION;

static void fill_tables(void)
{
	for (uint32_t b = 0; b < COUNT(table[0]); b++) {
		uint32_t crc = b;

		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][b] = crc;
	}
	for (unsigned i = 1; i < STEP; i++)
		for (unsigned b = 0; b < COUNT(table[0]); b++)
			table[i][b] = table[i - 1][b] >> 8 ^ table[0][table[i - 1][b] & 0xff];
}

static uint32_t by_tables(uint32_t c, const uint8_t *p, size_t len)
{
	uint64_t v;

	for (; len >= STEP; p += STEP, len -= STEP) {
		memcpy(&v, p, STEP);
		v ^= c;
		c = table[7][v & 0xff] ^ table[6][v >> 8 & 0xff] ^
		    table[5][v >> 16 & 0xff] ^ table[4][v >> 24 & 0xff] ^
		    table[3][v >> 32 & 0xff] ^ table[2][v >> 40 & 0xff] ^
		    table[1][v >> 48 & 0xff] ^ table[0][v >> 56];
	}
	for (; len; p++, len--)
		c = c >> 8 ^ table[0][(c ^ *p) & 0xff];
	return c;
}

static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc, v;

	for (; len >= STEP; p += STEP, len -= STEP) {
		memcpy(&v, p, STEP);
		c = __builtin_ia32_crc32di(c, v);
	}
	for (; len; p++, len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return (uint32_t)c;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return ~(chosen == CRC32C_TABLES ? by_tables(~crc, data, len) :
					   by_instruction(~crc, data, len));
}

void crc32c_use(enum crc32c_way way)
{
	if (way == CRC32C_TABLES)
		fill_tables();
	chosen = way;
}

/*
 * The best of several: an interrupt, or an emulator's first look, makes any one of them long.  Of
 * bytes like those of programs: zeros cost a loop over bits less.
 */
static uint64_t time_it(enum crc32c_way way)
{
	static uint8_t some[TRY_BYTES];
	uint64_t best = UINT64_MAX;
	volatile uint32_t sink;         /* or the compiler leaves all of it out */

	crc32c_use(way);
	for (uint32_t i = 0, v = 1; i < sizeof(some); i++, v = v * 1664525 + 1013904223)
		some[i] = (uint8_t)(v >> 24);
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t begin = time_tsc();

		sink = crc32c(i, some, sizeof(some));
		(void)sink;
		best = MIN(best, time_tsc() - begin);
	}
	return best;
}

enum crc32c_way crc32c_choose(bool has_instruction)
{
	uint64_t tables = time_it(CRC32C_TABLES);

	if (has_instruction && time_it(CRC32C_INSTRUCTION) > tables)
		crc32c_use(CRC32C_TABLES);
	return chosen;
}
