/* SPDX-License-Identifier: MIT */
/*
 * tests/host/acpi_bytes.h - writing ACPI tables byte by byte, for tests of who reads them.
 */
#ifndef TESTS_HOST_ACPI_BYTES_H
#define TESTS_HOST_ACPI_BYTES_H

#include <string.h>

#include "lib/types.h"

#define ACPI_CHECKSUM_AT 9              /* in a table's header */

static inline void put(uint8_t *p, uint64_t value, unsigned bytes)
{
	memcpy(p, &value, bytes);
}

/* The byte at `at` becomes what makes the sum of all `len` zero. */
static inline void checksum(uint8_t *p, size_t len, size_t at)
{
	uint8_t sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)-sum;
}

#endif
