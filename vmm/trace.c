/* SPDX-License-Identifier: MIT */
/*
 * vmm/trace.c - the ring of trace records of one VM.
 *
 * Writing is a store of 32 bytes and never waits; a reader that is too slow finds its number moved
 * on.  Formatting is the reader's business: boot/commands.c, gwctl trace, tools/exitview.py.
 */
#include "vmm/trace.h"

_Static_assert((TRACE_RECORDS & (TRACE_RECORDS - 1)) == 0,
               "a record's place is its number, masked");

void trace_init(struct trace *t, struct trace_record *ring)
{
	t->ring = ring;
	t->next = 0;
}

unsigned trace_read(const struct trace *t, uint64_t *from, struct trace_record *out, unsigned max)
{
	uint64_t oldest = t->next > TRACE_RECORDS ? t->next - TRACE_RECORDS : 0;
	unsigned n = 0;

	if (*from < oldest)
		*from = oldest;
	if (*from > t->next)
		*from = t->next;
	while (n < max && *from < t->next)
		out[n++] = t->ring[(*from)++ & (TRACE_RECORDS - 1)];
	return n;
}
