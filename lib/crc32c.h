/* SPDX-License-Identifier: MIT */
/*
 * lib/crc32c.h - CRC-32C (Castagnoli), the checksum of every migration record (RFC 3720, appendix
 * B.4).
 */
#ifndef LIB_CRC32C_H
#define LIB_CRC32C_H

#include "lib/types.h"

/* CRC of `len` bytes continuing from `crc` (0 to begin).  "123456789" gives 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* Two ways to the same result: the CPU's instruction, or tables. */
enum crc32c_way { CRC32C_INSTRUCTION, CRC32C_TABLES };

/* Take this way from now on; before any call, it is the instruction. */
void crc32c_use(enum crc32c_way way);

/* Try both, where this CPU has the instruction, and take the faster; which one that is. */
enum crc32c_way crc32c_choose(bool has_instruction);

#endif
