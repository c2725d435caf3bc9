/* SPDX-License-Identifier: MIT */
/*
 * tests/host/two_hosts.h - two hosts in one test: the real lib/task.c, mig/ and vmm/mem.c, with a
 * guest that is RAM, a writer and two sections.  One thread, a clock that jumps when all sleep:
 * every run is the same.
 */
#ifndef TESTS_HOST_TWO_HOSTS_H
#define TESTS_HOST_TWO_HOSTS_H

#include "mig/job.h"

#define GUEST_RAM       (4 * MIB)
#define GUEST_PAGES     (GUEST_RAM / PAGE_SIZE)

struct host {
	const char     *name;
	struct mig_node node;
	struct vm      *vm[VMS_MAX];
	unsigned        announces;
	bool            tracking;
	bool            other_cpu;              /* offers a CPU with a feature less         */
};
extern struct host host_a, host_b, *here;

/* What the guest should contain, whoever runs it; and how hard it writes. */
struct guest_truth {
	uint64_t value[GUEST_PAGES];            /* first word of each page                  */
	uint64_t device;                        /* of the section "counter"                 */
	unsigned writes_per_turn, pages_written;
	uint64_t turns;
	unsigned throttled;                     /* the most that it ever was                */
	bool     no_way;                        /* the peer cannot be reached at all        */
	unsigned queries;                       /* connects of a source in doubt ...        */
	unsigned unreachable;                   /* ... the first of which fail              */
	bool     sparse;                        /* it writes pages that are mostly zeros    */
	bool     any_clock;                     /* the guest's clock need not be right      */
	bool     bend_ghost;                    /* change a page of the ghost before READY  */
	void   (*serve)(void *chan);            /* in place of host_b: who answers host_a       */
	bool     check_fails;                   /* the destination's section refuses        */
	uint64_t vm_clock_ns;                   /* VM time when the guest last stopped ...  */
	uint64_t stopped_at_ns;                 /* ... and when that was                    */
};
extern struct guest_truth truth;

extern unsigned two_hosts_filled;               /* pages of the guest that are not zero     */
void two_hosts_begin(void);                     /* fresh: a guest "demo" runs on host_a     */
void two_hosts_end(void);                       /* nothing may be left behind               */

void two_hosts_drop_guest(void);                /* host_a has none any more                 */
void two_hosts_serve(struct chan *incoming);    /* a connection for host_b                  */

/* Run until `done` says so or nothing can happen any more, at most max_ns of virtual time. */
void two_hosts_run(bool (*done)(void), uint64_t max_ns);

/* The guest runs on exactly one host; which. Checks RAM and devices against the truth. */
struct host *two_hosts_owner(void);

struct vm *host_guest(struct host *h);          /* NULL: not there (a ghost counts as there) */
unsigned   host_serving(const struct host *h);  /* connections */
void host_restart(struct host *h);              /* forgets everything: power off and on      */

#endif
