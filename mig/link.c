/* SPDX-License-Identifier: MIT */
/*
 * mig/link.c - bandwidth from what arrived lately, round trip from answers on an empty link.
 *
 * Bandwidth is bytes by time over the last one to two seconds of carrying, not an average of rates:
 * ten fast milliseconds and a hundred slow ones are a slow link, and a downtime is paid in time.
 * Called by mig/precopy.c.
 */
#include "mig/link.h"

#include "lib/time.h"

#define WINDOW_NS        NS_PER_S
#define ROUND_TRIP_WEIGHT 4                      /* a new one counts for one fourth */
#define BYTES_S_MIN      1024                    /* to divide by: slower is no link */

void link_carried(struct link *l, uint64_t bytes, uint64_t ns)
{
	if (l->ns[0] >= WINDOW_NS) {
		l->bytes[1] = l->bytes[0];
		l->ns[1] = l->ns[0];
		l->bytes[0] = l->ns[0] = 0;
	}
	l->bytes[0] += bytes;
	l->ns[0] += ns;
}

void link_answered(struct link *l, uint64_t ns)
{
	ns = MAX(ns, 1u);
	l->round_trip_ns = l->round_trip_ns ?
		(l->round_trip_ns * (ROUND_TRIP_WEIGHT - 1) + ns) / ROUND_TRIP_WEIGHT : ns;
}

uint64_t link_bytes_s(const struct link *l)
{
	uint64_t us = (l->ns[0] + l->ns[1]) / NS_PER_US;

	return us ? (l->bytes[0] + l->bytes[1]) * (NS_PER_S / NS_PER_US) / us : 0;
}

uint64_t link_transfer_ns(const struct link *l, uint64_t bytes)
{
	uint64_t rate = MAX(link_bytes_s(l), BYTES_S_MIN);

	return bytes / rate * NS_PER_S + bytes % rate * NS_PER_S / rate;
}
