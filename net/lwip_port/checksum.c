/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/checksum.c - the Internet checksum (RFC 1071), eight bytes at a time.
 *
 * Pure.  Called by lwIP for every TCP segment and header; RFC 1071, section 2, is why the words may
 * be of any size: ones' complement sums are the same in every width, folded at the end.
 */
#include <string.h>

#include "net/lwip_port/arch/cc.h"
#include "lib/types.h"

/* Ones' complement addition: the carry comes back in at the bottom. */
static inline uint64_t add(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

static inline uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * The sum of the 16-bit words as they lie in memory, not inverted; an odd byte gets a 0 behind it.
 */
uint16_t lwip_port_checksum(const void *data, int len)
{
	const uint8_t *p = data;
	uint64_t sum = 0, tail = 0;
	size_t n = (size_t)len;

	for (; n >= 32; n -= 32, p += 32) {
		sum = add(sum, load(p));
		sum = add(sum, load(p + 8));
		sum = add(sum, load(p + 16));
		sum = add(sum, load(p + 24));
	}
	for (; n >= 8; n -= 8, p += 8)
		sum = add(sum, load(p));
	memcpy(&tail, p, n);
	sum = add(sum, tail);
	sum = (sum >> 32) + (sum & MASK(31, 0));
	sum = (sum >> 32) + (sum & MASK(31, 0));
	sum = (sum >> 16) + (sum & MASK(15, 0));
	sum = (sum >> 16) + (sum & MASK(15, 0));
	return (uint16_t)sum;
}
