/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_mig.c - whole migrations between two hosts in memory, with the link cut before,
 * in and after every single message, every message bent, cancels at every message, and peers that
 * refuse, restart or stay silent.  After each, the guest runs exactly once, its memory, devices and
 * clock are right, and nothing is left behind on either host.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pages.h"
#include "tests/host/mig_moves.h"

static void guest_moves_with_memory_devices_and_clock(void **state)
{
	(void)state;
	begin();
	assert_ptr_equal(migrate(), &host_b);
	const struct mig_status *st = &outgoing()->st;
	assert_string_equal(st->result, "ok");
	assert_true(st->nrounds >= 2);
	assert_true(st->round[0].pages >= 500);
	assert_true(st->round[0].zero_pages >= 300);
	assert_int_equal(st->payload_bytes, st->pages_sent * PAGE_SIZE);
	assert_true(st->bytes_sent <= st->payload_bytes * 105 / 100);
	assert_true(st->downtime_ns > 0 && st->downtime_ns <= params.downtime_max_ns);
	assert_true(st->rate_bytes_s > 50 * MIB && st->rate_bytes_s < 150 * MIB);
	uint64_t parts = 0;
	for (unsigned i = 0; i < MIG_NPARTS; i++)
		parts += st->part_ns[i];
	assert_int_equal(parts, st->downtime_ns);
	/* The stop that is told is the one by which the guest's clock was moved forward. */
	assert_in_range(incoming()->st.downtime_ns, st->downtime_ns - st->round_trip_ns / 8,
			st->downtime_ns + st->round_trip_ns / 8);
	assert_int_equal(incoming()->st.pages_sent, st->pages_sent);
	two_hosts_end();
}

/*
 * The pages that are written all the time are mostly zeros here, those of round 0 are not: what the
 * stop costs is known from the pages that are left.
 */
static void the_prediction_knows_what_the_pages_left_cost(void **state)
{
	(void)state;
	for (unsigned sparse = 0; sparse < 2; sparse++) {
		begin();
		truth.sparse = sparse;
		truth.writes_per_turn = 40;
		truth.pages_written = 400;
		chan_mem.ns_per_kib = 200 * NS_PER_US;
		params.downtime_max_ns = 600 * NS_PER_MS;
		host_a.node.fixed_ns[0] = host_a.node.fixed_ns[1] = NS_PER_US;
		assert_ptr_equal(migrate(), &host_b);
		const struct mig_status *st = &outgoing()->st;
		assert_true(st->round[st->nrounds - 1].pages > 20);
		assert_true(st->predicted_downtime_ns * 3 / 2 > st->downtime_ns);
		assert_true(st->downtime_ns * 3 / 2 > st->predicted_downtime_ns);
		two_hosts_end();
	}
}

/* A host that stood still for seconds in one stop does not refuse the next guest for it. */
static void one_long_stop_is_not_what_all_are_expected_to_take(void **state)
{
	(void)state;
	for (unsigned before = 0; before < 3; before++) {
		begin();
		for (unsigned i = 0; i < COUNT(host_a.node.fixed_ns); i++)
			host_a.node.fixed_ns[i] = i == before ? 10 * NS_PER_S : NS_PER_US;
		assert_ptr_equal(migrate(), &host_b);
		assert_true(outgoing()->st.predicted_downtime_ns < NS_PER_S);
		two_hosts_end();
	}
}

static void stops_that_take_too_long_even_without_pages_are_refused(void **state)
{
	(void)state;
	begin();
	host_a.node.fixed_ns[0] = host_a.node.fixed_ns[2] = 10 * NS_PER_S;
	assert_ptr_equal(migrate(), &host_a);
	assert_non_null(strstr(outgoing()->st.result, "even with nothing left to send"));
	two_hosts_end();
}

static void verified_handoff_shows_the_same_hash_on_both_sides(void **state)
{
	(void)state;
	begin();
	params.verify = true;
	assert_ptr_equal(migrate(), &host_b);
	assert_true(outgoing()->st.ram_hash_valid && incoming()->st.ram_hash_valid);
	assert_memory_equal(outgoing()->st.ram_hash, incoming()->st.ram_hash, RAMHASH_LEN);
	two_hosts_end();
}

static void bend_ghost(void)
{
	struct vm *ghost = host_guest(&host_b);

	/* Into page 0, once the guest stands still: no later page repairs it. */
	if (ghost && outgoing()->src == SRC_STUNNED && !truth.bend_ghost) {
		truth.bend_ghost = true;
		((uint8_t *)(uintptr_t)mem_page(&ghost->mem, 3000 % GUEST_PAGES))[7] ^= 1;
	}
}

static void verify_finds_a_page_that_differs(void **state)
{
	unsigned last;

	(void)state;
	begin();
	params.verify = true;
	start();
	finish();
	last = chan_mem.sends;
	two_hosts_end();
	/* Bent before the source's VERIFY is sent: RUNNING, GRANT, READY come after it. */
	begin();
	params.verify = true;
	chan_mem.fault = FAULT_CALL;
	chan_mem.at = last - 5;                 /* END */
	chan_mem.call = bend_ghost;
	assert_ptr_equal(migrate(), &host_a);
	assert_true(truth.bend_ghost);
	assert_non_null(strstr(outgoing()->st.result, "hashes"));
	two_hosts_end();
}

/* How many runs left the guest at the source, and how many moved it. */
struct tally { unsigned stayed, moved, doubts; };

static void run_with(enum fault_kind fault, unsigned at, struct tally *t)
{
	begin();
	chan_mem.fault = fault;
	chan_mem.at = at;
	if (migrate() == &host_a)
		t->stayed++;
	else
		t->moved++;
	t->doubts += truth.queries > 0;
	two_hosts_end();
}

static void link_cut_at_every_message_leaves_one_guest(void **state)
{
	static const enum fault_kind cuts[] = { FAULT_CUT_BEFORE, FAULT_CUT_MIDDLE, FAULT_CUT_AFTER,
						FAULT_SILENCE };
	unsigned sends = count_sends(false);

	(void)state;
	for (unsigned k = 0; k < COUNT(cuts); k++) {
		struct tally t = { 0 };

		for (unsigned at = 0; at < sends; at++)
			run_with(cuts[k], at, &t);
		printf("  cut %u at %u messages: stayed %u, moved %u, in doubt for a while %u\n", k,
		       sends, t.stayed, t.moved, t.doubts);
		assert_true(t.stayed > sends / 2);
		assert_true(t.moved >= 1);      /* RUNNING lost: QUERY finds out          */
		assert_true(t.doubts >= 1);
	}
}

static void bent_byte_anywhere_is_refused(void **state)
{
	static const size_t offsets[] = { 0, 5, 9, 13, 17, 33, 41, 46, 48, 53, 70, 4000, 40000 };
	unsigned sends = count_sends(false);
	struct tally t = { 0 };

	(void)state;
	for (unsigned at = 0; at < sends; at++) {
		for (unsigned i = 0; i < COUNT(offsets); i++) {
			begin();
			chan_mem.flip_offset = offsets[i];
			chan_mem.fault = FAULT_FLIP;
			chan_mem.at = at;
			if (migrate() == &host_a)
				t.stayed++;
			else
				t.moved++;
			t.doubts += truth.queries > 0;
			two_hosts_end();
		}
	}
	printf("  %u messages bent: stayed %u, moved %u, in doubt for a while %u\n", sends,
	       t.stayed, t.moved, t.doubts);
	/* Only a bent RUNNING lets the guest move: it is the last message. */
	assert_int_equal(t.moved, COUNT(offsets));
	assert_true(t.doubts >= t.moved);
}

static enum err cancel_said;
static struct host *cancel_at;
static bool cancel_tried;

static void cancel_now(void)
{
	struct host *was = here;

	mig_node = &cancel_at->node;
	cancel_tried = cancel_at->node.slot[0].used;
	cancel_said = cancel_tried ? mig_cancel(cancel_at->node.slot[0].st.id) : ERR_NOT_FOUND;
	mig_node = &was->node;
}

static void cancel_at_every_message(struct host *at_host, unsigned sends)
{
	unsigned cancelled = 0, too_late = 0;

	for (unsigned at = 0; at < sends; at++) {
		begin();
		cancel_at = at_host;
		chan_mem.fault = FAULT_CALL;
		chan_mem.at = at;
		chan_mem.call = cancel_now;
		struct host *owner = migrate();
		/* A cancel that was accepted is kept; one that was not changes nothing. */
		assert_ptr_equal(owner, cancel_said == OK ? &host_a : &host_b);
		if (cancel_said == OK) {
			cancelled++;
			if (!strstr(outgoing()->st.result, "cancelled"))
				fail_msg("at message %u: %s", at, outgoing()->st.result);
		} else if (cancel_tried) {
			too_late++;
			assert_int_equal(cancel_said, ERR_BUSY);
		}
		two_hosts_end();
	}
	printf("  cancel at %s: %u cancelled, %u too late\n", at_host->name, cancelled, too_late);
	assert_true(cancelled > sends / 2);
	assert_true(too_late >= 1);
}

static void cancel_at_any_message_is_kept_or_refused(void **state)
{
	unsigned sends = count_sends(false);

	(void)state;
	cancel_at_every_message(&host_a, sends);
	cancel_at_every_message(&host_b, sends);
}

static void every_reason_is_given_before_the_first_page(void **state)
{
	(void)state;
	begin();
	host_b.other_cpu = true;
	assert_ptr_equal(migrate(), &host_a);
	const char *why = outgoing()->st.result;
	assert_non_null(strstr(why, "AVX2"));
	assert_non_null(strstr(why, "SMEP"));
	assert_int_equal(outgoing()->st.pages_sent, 0);
	assert_int_equal(outgoing()->st.downtime_ns, 0);
	two_hosts_end();
}

static void too_little_memory_is_refused_before_the_first_page(void **state)
{
	hpa_t all;
	unsigned n = 0;

	(void)state;
	begin();
	while (pages_stats().frames_free > 6 && frame_alloc(&all) == OK)
		n++;
	assert_true(n > 0);
	assert_ptr_equal(migrate(), &host_a);
	assert_non_null(strstr(outgoing()->st.result, "MiB are free"));
	assert_int_equal(outgoing()->st.pages_sent, 0);
	for (; n; n--, all = hpa(all.v + FRAME_SIZE))
		;                               /* given back below, in one go */
	two_hosts_run(NULL, NS_PER_MS);
}

static void guest_that_writes_too_fast_stays_and_says_why(void **state)
{
	(void)state;
	begin();
	truth.writes_per_turn = 400;
	truth.pages_written = 1000;
	params.downtime_max_ns = 40 * NS_PER_MS;
	chan_mem.ns_per_kib = 100 * NS_PER_US;
	assert_ptr_equal(migrate(), &host_a);
	assert_non_null(strstr(outgoing()->st.result, "writes faster"));
	assert_int_equal(outgoing()->st.nrounds, MIG_ROUNDS_MAX - 1);
	two_hosts_end();
}

static void guest_that_writes_too_fast_is_throttled_until_it_is_caught(void **state)
{
	(void)state;
	begin();
	truth.writes_per_turn = 100;
	truth.pages_written = 1000;
	params.downtime_max_ns = 40 * NS_PER_MS;
	params.throttle = true;
	chan_mem.ns_per_kib = 100 * NS_PER_US;
	assert_ptr_equal(migrate(), &host_b);
	assert_true(truth.throttled >= 500);
	assert_int_equal(outgoing()->st.throttle_max, truth.throttled);
	assert_int_equal(outgoing()->st.throttle, 0);
	two_hosts_end();
}

static void throttle_ends_with_the_migration(void **state)
{
	(void)state;
	begin();
	truth.writes_per_turn = 400;
	truth.pages_written = 1000;
	params.downtime_max_ns = NS_PER_MS;     /* never reached */
	params.throttle = true;
	chan_mem.ns_per_kib = 100 * NS_PER_US;
	assert_ptr_equal(migrate(), &host_a);   /* two_hosts_owner() looks at it */
	assert_true(truth.throttled >= 500);
	two_hosts_end();
}

static void calm_guest_is_not_throttled(void **state)
{
	(void)state;
	begin();
	params.throttle = true;
	assert_ptr_equal(migrate(), &host_b);
	assert_int_equal(truth.throttled, 0);
	two_hosts_end();
}

static void time_out_cancels(void **state)
{
	(void)state;
	begin();
	truth.writes_per_turn = 400;
	truth.pages_written = 1000;
	params.downtime_max_ns = 40 * NS_PER_MS;
	chan_mem.ns_per_kib = 100 * NS_PER_US;
	params.timeout_ns = NS_PER_S;
	assert_ptr_equal(migrate(), &host_a);
	assert_non_null(strstr(outgoing()->st.result, "not done after 1 s"));
	two_hosts_end();
}

static void section_that_the_peer_refuses_keeps_the_guest_here(void **state)
{
	(void)state;
	begin();
	truth.check_fails = true;
	assert_ptr_equal(migrate(), &host_a);
	assert_non_null(strstr(outgoing()->st.result, "section toy: count is wrong"));
	two_hosts_end();
}

static void unreachable_peer_changes_nothing(void **state)
{
	(void)state;
	begin();
	truth.no_way = true;
	assert_ptr_equal(migrate(), &host_a);
	assert_int_equal(outgoing()->st.downtime_ns, 0);
	two_hosts_end();
}

/* Cut the link after GRANT arrived, so that RUNNING is lost. */
static void into_doubt(unsigned unreachable)
{
	unsigned last = count_sends(false) - 1;

	begin();
	chan_mem.fault = FAULT_CUT_BEFORE;
	chan_mem.at = last;
	truth.unreachable = unreachable;
	start();
	two_hosts_run(in_doubt, ENOUGH_NS);
	assert_true(in_doubt());
}

static void doubt_asks_until_the_peer_can_be_reached(void **state)
{
	(void)state;
	into_doubt(12);
	two_hosts_run(NULL, 2 * NS_PER_S);
	assert_true(in_doubt());
	assert_non_null(strstr(outgoing()->st.result, "in doubt"));
	assert_int_equal(mig_cancel(id), ERR_BUSY);
	assert_ptr_equal(finish(), &host_b);
	two_hosts_end();
}

static void peer_that_restarted_cannot_say_and_the_operator_decides(void **state)
{
	(void)state;
	into_doubt(1);
	two_hosts_run(NULL, 50 * NS_PER_MS);
	/* Host b loses power, and the guest with it. */
	struct vm *lost = host_guest(&host_b);
	struct host *was = here;
	here = &host_b;
	lost->run = VM_STOPPED;
	vm_delete(lost);
	here = was;
	support_now_ns += NS_PER_S;             /* another boot, another boot id */
	host_restart(&host_b);
	mig_node = &host_a.node;
	two_hosts_run(NULL, 60 * NS_PER_S);
	assert_true(in_doubt());
	assert_non_null(strstr(outgoing()->st.result, "restarted"));
	mig_node = &host_a.node;
	assert_int_equal(mig_resolve(id, true), OK);
	truth.turns = 0;
	two_hosts_run(ended, 60 * NS_PER_S);
	assert_int_equal(outgoing()->src, SRC_ABORTED);
	assert_int_equal(host_guest(&host_a)->run, VM_RUNNING);
	two_hosts_end();
}

static bool grant_is_sent(void) { return outgoing()->src == SRC_GRANTED; }

/*
 * The link dies with GRANT in our buffers; the operator sees a ghost that does not run, and says
 * so.  When the link comes back, that GRANT must not arrive.
 */
static void grant_that_is_still_on_its_way_dies_with_the_doubt(void **state)
{
	(void)state;
	begin();
	truth.unreachable = 1000;
	truth.any_clock = true;
	chan_mem.holds = grant_is_sent;
	start();
	two_hosts_run(in_doubt, ENOUGH_NS);
	assert_true(in_doubt());
	assert_int_equal(incoming()->dst, DST_READY);
	mig_node = &host_a.node;
	assert_int_equal(mig_resolve(id, true), OK);
	two_hosts_run(NULL, NS_PER_S);
	assert_int_equal(outgoing()->src, SRC_ABORTED);
	assert_int_equal(host_guest(&host_b)->run, VM_GHOST);
	assert_false(chan_mem_heal());
	assert_ptr_equal(finish(), &host_a);
	two_hosts_end();
}

static void operator_may_say_that_the_peer_runs_it(void **state)
{
	(void)state;
	into_doubt(1000);
	two_hosts_run(NULL, 5 * NS_PER_S);
	mig_node = &host_a.node;
	assert_int_equal(mig_resolve(id, false), OK);
	two_hosts_run(ended, 60 * NS_PER_S);
	assert_int_equal(outgoing()->src, SRC_RELEASED);
	assert_ptr_equal(two_hosts_owner(), &host_b);
	assert_int_equal(mig_resolve(id, true), ERR_BUSY);
	two_hosts_end();
}

static void requests_are_checked(void **state)
{
	struct mig_status st;
	uint32_t ids[4];

	(void)state;
	begin();
	params.to[0] = 0;
	assert_int_equal(mig_start(host_guest(&host_a), &params, &id), ERR_BAD_ARGUMENT);
	params.to[0] = 'b';
	host_guest(&host_a)->run = VM_PAUSED;
	assert_int_equal(mig_start(host_guest(&host_a), &params, &id), ERR_BUSY);
	host_guest(&host_a)->run = VM_RUNNING;
	start();
	assert_int_equal(mig_start(host_guest(&host_a), &params, &id), ERR_BUSY);
	assert_int_equal(mig_status(99, &st), ERR_NOT_FOUND);
	assert_int_equal(mig_cancel(99), ERR_NOT_FOUND);
	assert_int_equal(mig_resolve(1, true), ERR_BUSY);
	assert_int_equal(mig_list(ids, 4), 1);
	finish();
	mig_node = &host_a.node;
	assert_int_equal(mig_status(1, &st), OK);
	assert_string_equal(st.state, "RELEASED");
	assert_int_equal(mig_cancel(1), ERR_BUSY);
	two_hosts_end();
}

/* A stranger's HELLO with the last epoch there is: ours do not begin again at 0. */
static void epochs_do_not_wrap(void **state)
{
	struct wire_id last = { .epoch = UINT64_MAX };

	(void)state;
	begin();
	mig_node = &host_a.node;
	memcpy(last.uuid, host_guest(&host_a)->config.uuid, sizeof(last.uuid));
	mig_remember(&last, VERDICT_RUN);
	assert_int_equal(mig_start(host_guest(&host_a), &params, &id), ERR_REFUSED);
	assert_null(host_guest(&host_a)->owner);
	two_hosts_end();
}

/*
 * Back and forth: epochs grow, the memory of both hosts does not stand in the way, nothing
 * leaks.
 */
static void fifty_migrations_back_and_forth(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 50; i++) {
		struct host *from = i % 2 ? &host_b : &host_a, *to = i % 2 ? &host_a : &host_b;

		here = from;
		mig_node = &from->node;
		params.verify = i % 3 == 0;
		assert_int_equal(mig_start(host_guest(from), &params, &id), OK);
		do
			two_hosts_run(NULL, 20 * NS_PER_MS);
		while (host_guest(from) || chan_mem.open);
		assert_ptr_equal(two_hosts_owner(), to);
		from->tracking = false;
		mig_node = &from->node;
		assert_int_equal(mig_highest_epoch((const uint8_t[16]){ 7, 7, 7 }), i + 1);
	}
	two_hosts_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_moves_with_memory_devices_and_clock),
		cmocka_unit_test(the_prediction_knows_what_the_pages_left_cost),
		cmocka_unit_test(one_long_stop_is_not_what_all_are_expected_to_take),
		cmocka_unit_test(stops_that_take_too_long_even_without_pages_are_refused),
		cmocka_unit_test(verified_handoff_shows_the_same_hash_on_both_sides),
		cmocka_unit_test(verify_finds_a_page_that_differs),
		cmocka_unit_test(link_cut_at_every_message_leaves_one_guest),
		cmocka_unit_test(bent_byte_anywhere_is_refused),
		cmocka_unit_test(cancel_at_any_message_is_kept_or_refused),
		cmocka_unit_test(every_reason_is_given_before_the_first_page),
		cmocka_unit_test(guest_that_writes_too_fast_stays_and_says_why),
		cmocka_unit_test(guest_that_writes_too_fast_is_throttled_until_it_is_caught),
		cmocka_unit_test(throttle_ends_with_the_migration),
		cmocka_unit_test(calm_guest_is_not_throttled),
		cmocka_unit_test(time_out_cancels),
		cmocka_unit_test(section_that_the_peer_refuses_keeps_the_guest_here),
		cmocka_unit_test(unreachable_peer_changes_nothing),
		cmocka_unit_test(doubt_asks_until_the_peer_can_be_reached),
		cmocka_unit_test(peer_that_restarted_cannot_say_and_the_operator_decides),
		cmocka_unit_test(grant_that_is_still_on_its_way_dies_with_the_doubt),
		cmocka_unit_test(operator_may_say_that_the_peer_runs_it),
		cmocka_unit_test(requests_are_checked),
		cmocka_unit_test(epochs_do_not_wrap),
		cmocka_unit_test(fifty_migrations_back_and_forth),
		cmocka_unit_test(
			too_little_memory_is_refused_before_the_first_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
