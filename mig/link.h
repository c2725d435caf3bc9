/* SPDX-License-Identifier: MIT */
/*
 * mig/link.h - what a migration has learnt about the way to its peer: bandwidth and round trip.
 */
#ifndef MIG_LINK_H
#define MIG_LINK_H

#include "lib/types.h"

/* All zero: nothing known. */
struct link {
	uint64_t bytes[2], ns[2];       /* carried while it was never idle: now, before */
	uint64_t round_trip_ns;         /* moving average; 0: not known */
};

/* In `ns`, `bytes` arrived, and the link was never idle. */
void     link_carried(struct link *l, uint64_t bytes, uint64_t ns);

/* A short record and its answer took so long, on an empty link. */
void     link_answered(struct link *l, uint64_t ns);

uint64_t link_bytes_s(const struct link *l);                    /* 0: not known               */
uint64_t link_transfer_ns(const struct link *l, uint64_t bytes); /* rate not known: very long  */

#endif
