/* SPDX-License-Identifier: MIT */
/*
 * tests/host/mig_moves.h - begin, start and finish a migration between two hosts in memory.
 */
#ifndef TESTS_HOST_MIG_MOVES_H
#define TESTS_HOST_MIG_MOVES_H

#include "tests/host/chan_mem.h"
#include "tests/host/two_hosts.h"

#define ENOUGH_NS (600 * NS_PER_S)

static struct mig_params params;
static uint32_t id;

static inline void begin(void)
{
	two_hosts_begin();
	params = (struct mig_params){ .to = "b", .downtime_max_ns = 20 * NS_PER_MS };
	chan_mem.at = UINT32_MAX;
}

static inline struct mig *outgoing(void) { return &host_a.node.slot[0]; }
static inline struct mig *incoming(void) { return &host_b.node.slot[0]; }
static inline bool ended(void)
{
	return outgoing()->st.ended && (!incoming()->used || incoming()->st.ended) &&
	       !chan_mem.open;
}
static inline bool in_doubt(void) { return outgoing()->src == SRC_DOUBT; }

static inline void start(void)
{
	assert_int_equal(mig_start(host_guest(&host_a), &params, &id), OK);
}

/* To the end, whatever it is; who has the guest? */
static inline struct host *finish(void)
{
	two_hosts_run(ended, ENOUGH_NS);
	if (!ended())
		fail_msg("it does not end: source %s, destination %s",
			 mig_src_name(outgoing()->src), mig_dst_name(incoming()->dst));
	struct host *owner = two_hosts_owner();
	/* The state tables and the world agree. */
	assert_int_equal(outgoing()->src, owner == &host_a ? SRC_ABORTED : SRC_RELEASED);
	assert_int_equal(outgoing()->st.ok, owner == &host_b);
	assert_true(outgoing()->st.result[0]);
	if (incoming()->used)
		assert_true(owner == &host_b ? incoming()->dst == DST_RUN
		                             : incoming()->dst == DST_REFUSED ||
		                               incoming()->dst == DST_IDLE);
	assert_true((host_guest(&host_a) == NULL) == (owner == &host_b));
	assert_true((host_guest(&host_b) == NULL) == (owner == &host_a));
	assert_int_equal(host_b.announces, owner == &host_b);
	return owner;
}

static inline struct host *migrate(void)
{
	start();
	return finish();
}

/* A migration without a fault, to count its messages. */
static inline unsigned count_sends(bool verify)
{
	begin();
	params.verify = verify;
	assert_ptr_equal(migrate(), &host_b);
	two_hosts_end();
	return chan_mem.sends;
}

#endif
