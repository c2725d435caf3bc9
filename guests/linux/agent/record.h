/* SPDX-License-Identifier: MIT */
/*
 * record.h - the numbered records that prove that a TCP connection lost nothing.
 *
 *   client                                  guest, port 7000
 *     | hello: magic seed factor length  ---> |   16 bytes, once
 *     | record 0                         ---> |   verified
 *     | <---  records 0 .. factor-1           |   `factor` records for every one received
 *     | record 1                         ---> |   and so on: the client sets the pace
 *     | end of stream                    ---> |
 *     | <---  last record, end of stream      |   its `verified` is final
 *
 * All fields little-endian.  The payload of a record is a pseudo-random sequence that depends on
 * the seed, the direction and the record's number; `crc` runs over all payload bytes of that
 * direction so far (CRC-32 as in zlib), so a byte lost, doubled or moved anywhere shows.
 * tools/demo-client is the other end and must agree with this file.
 */
#ifndef AGENT_RECORD_H
#define AGENT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RECORD_HELLO_MAGIC  = 0x69485747,        /* "GWHi" */
	RECORD_MAGIC        = 0x64725747,        /* "GWrd" */
	RECORD_PAYLOAD_MAX  = 8192,              /* bytes; a multiple of 4 */
	RECORD_FACTOR_MAX   = 1024,
	RECORD_TO_GUEST     = 0x00000000,        /* mixed into the seed, per direction */
	RECORD_TO_CLIENT    = 0x5a5a5a5a,
};

struct record_hello { uint32_t magic, seed, factor, length; };

struct record_header {
	uint32_t magic;
	uint32_t sequence;       /* from 0, per direction                                      */
	uint32_t length;         /* payload bytes                                              */
	uint32_t crc;            /* of all payload of this direction, this record included     */
	uint64_t sent_ns;        /* sender's CLOCK_MONOTONIC                                   */
	uint32_t verified;       /* records of the other direction found good so far           */
	uint32_t errors;         /* and found bad                                              */
};
_Static_assert(sizeof(struct record_hello) == 16, "hello on the wire");
_Static_assert(sizeof(struct record_header) == 32, "record header on the wire");

struct record_flow {             /* one direction of one connection */
	uint32_t seed;           /* direction already mixed in */
	uint32_t sequence;       /* of the next record         */
	uint32_t crc;
	uint32_t length;
};

void record_init(void);          /* once, before all else */

/* Make the next record of a flow; `out` holds header and payload.  Returns its size in bytes. */
size_t record_make(struct record_flow *flow, uint8_t *out, uint64_t now_ns, uint32_t verified,
		   uint32_t errors);

/* Is `in` (header and payload, complete) the record that the flow expects next? */
bool record_check(struct record_flow *flow, const uint8_t *in);

#endif
