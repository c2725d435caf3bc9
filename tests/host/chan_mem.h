/* SPDX-License-Identifier: MIT */
/*
 * tests/host/chan_mem.h - net/chan.h in memory: a pair of ends with a window, a speed, and faults
 * on demand.
 */
#ifndef TESTS_HOST_CHAN_MEM_H
#define TESTS_HOST_CHAN_MEM_H

#include "net/chan.h"

#define CHAN_MEM_WINDOW (256 * KIB)

/*
 * What goes wrong at the `at`th send() of the run, counted over all channels and both directions.
 */
enum fault_kind {
	FAULT_NONE,
	FAULT_CUT_BEFORE,       /* the connection breaks, nothing of it arrives                 */
	FAULT_CUT_MIDDLE,       /* half of it arrives, then the connection breaks               */
	FAULT_CUT_AFTER,        /* it arrives as a whole, then the connection breaks            */
	FAULT_SILENCE,          /* from here on nothing arrives, and nobody is told             */
	FAULT_FLIP,             /* one bit of it arrives wrong                                  */
	FAULT_CALL,             /* call() is run before it is sent                              */
	FAULT_KINDS
};

struct chan_mem_world {
	uint64_t ns_per_kib;            /* how long a send takes                                */
	unsigned sends;                 /* so far                                               */
	uint64_t bytes;
	enum fault_kind fault;
	unsigned at;
	size_t   flip_offset;           /* byte of the send, modulo its length                  */
	void   (*call)(void);
	uint8_t *tap;                   /* what the first end of a pair sends is kept here    */
	size_t   tap_len, tap_size;
	unsigned open;                  /* ends not yet closed                                  */
	size_t   window;                /* of what the first end sends; 0: CHAN_MEM_WINDOW      */
	/* The link dies, but this send stays in the sender's buffers, until chan_mem_heal(). */
	bool   (*holds)(void);
};
extern struct chan_mem_world chan_mem;

/* What was held arrives, unless its sender has hung up since; false: nothing arrived. */
bool chan_mem_heal(void);

void chan_mem_pair(const char *name_a, const char *name_b, struct chan **a, struct chan **b);

#endif
