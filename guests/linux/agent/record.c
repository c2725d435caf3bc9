/* SPDX-License-Identifier: MIT */
/* record.c - makes and checks the records of record.h. */
#include <string.h>

#include "record.h"

enum { CRC_POLYNOMIAL = (int)0xedb88320, GOLDEN = (int)0x9e3779b9 };

static uint32_t crc_table[256];

void record_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ (uint32_t)CRC_POLYNOMIAL : c >> 1;
		crc_table[i] = c;
	}
}

static uint32_t crc_add(uint32_t crc, const uint8_t *bytes, size_t length)
{
	crc = ~crc;
	for (size_t i = 0; i < length; i++)
		crc = crc_table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

static void fill(const struct record_flow *flow, uint8_t *payload)
{
	uint32_t x = flow->seed ^ flow->sequence * (uint32_t)GOLDEN;

	if (!x)
		x = 1;                           /* xorshift stays at 0 for ever */
	for (uint32_t i = 0; i < flow->length; i += 4) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		memcpy(payload + i, &x, 4);
	}
}

size_t record_make(struct record_flow *flow, uint8_t *out, uint64_t now_ns, uint32_t verified,
		   uint32_t errors)
{
	uint8_t *payload = out + sizeof(struct record_header);

	fill(flow, payload);
	flow->crc = crc_add(flow->crc, payload, flow->length);
	struct record_header h = {
		.magic = RECORD_MAGIC, .sequence = flow->sequence++, .length = flow->length,
		.crc = flow->crc, .sent_ns = now_ns, .verified = verified, .errors = errors,
	};
	memcpy(out, &h, sizeof(h));
	return sizeof(h) + flow->length;
}

bool record_check(struct record_flow *flow, const uint8_t *in)
{
	uint8_t expected[RECORD_PAYLOAD_MAX];
	const uint8_t *payload = in + sizeof(struct record_header);
	struct record_header h;

	memcpy(&h, in, sizeof(h));
	fill(flow, expected);
	flow->crc = crc_add(flow->crc, payload, flow->length);
	bool good = h.magic == RECORD_MAGIC && h.sequence == flow->sequence &&
		    h.length == flow->length && h.crc == flow->crc &&
		    !memcmp(payload, expected, flow->length);
	flow->sequence++;
	return good;
}
