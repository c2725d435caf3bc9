/* SPDX-License-Identifier: MIT */
/*
 * vmm/trace.h - what happened, as typed records in a ring; formatted off the hot path.
 */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

#include "lib/config.h"
#include "lib/time.h"
#include "lib/types.h"

/* name, text, what a and b mean; one list for the console, gwctl trace and docs/trace.md */
#define TRACE_EVENTS(E)                                              \
	E(VM_EXIT,    "exit",      "kind | detail << 8", "rip")      \
	E(VM_INJECT,  "inject",    "type | vector << 8", "error")    \
	E(VM_RUN,     "run state", "old", "new")                     \
	E(CODE_SPLIT, "code split", "address", "how many now")       \
	E(MIG_ROUND,  "round",     "pages", "ns")                    \
	E(MIG_STATE,  "migration", "old", "new")

enum trace_event {
#define E(name, text, a, b) TRACE_##name,
	TRACE_EVENTS(E)
#undef E
	TRACE_NEVENTS
};

struct trace_record { uint64_t tsc; uint16_t event, cpu; uint32_t vcpu; uint64_t a, b; };
_Static_assert(sizeof(struct trace_record) == 32, "two records per cache line");

struct trace {
	struct trace_record *ring;      /* TRACE_RECORDS entries, borrowed for the trace's life */
	uint64_t             next;      /* records written since trace_init()                   */
};

void     trace_init(struct trace *t, struct trace_record *ring);

/* In the path of every exit, so here. */
static inline void trace_add(struct trace *t, enum trace_event event, uint32_t vcpu, uint64_t a,
                             uint64_t b)
{
	struct trace_record *r = &t->ring[t->next++ & (TRACE_RECORDS - 1)];

	r->tsc = time_tsc();
	r->event = (uint16_t)event;
	r->cpu = 0;
	r->vcpu = vcpu;
	r->a = a;
	r->b = b;
}

/*
 * Copy records with numbers from *from on, oldest first, at most `max`; *from becomes the next
 * number.
 */
unsigned trace_read(const struct trace *t, uint64_t *from, struct trace_record *out, unsigned max);

#endif
