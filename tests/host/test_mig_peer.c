/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_mig_peer.c - a destination that means harm: until GRANT the guest is still here
 * and goes on within a time that is known, and later moves of this host do not suffer.
 */
#include "tests/host/support.h"

#include "tests/host/mig_moves.h"

#define ACK_LEN          (WIRE_HEADER_LEN + sizeof(uint64_t))
#define STOP_MAX_NS      (params.downtime_max_ns + MIG_STOP_OVER_NS + 2 * MIG_GOODBYE_NS)
#define NEARLY_NS        (100 * NS_PER_MS)       /* before somebody loses patience            */

/* How this peer behaves. */
static struct {
	uint64_t run_ns;                        /* in RUNNING                                  */
	uint64_t ack_step;                      /* of the ACKs that it sends without end ...   */
	enum wire_type flood_at;                /* ... from this record on; 0: it does not     */
	enum wire_type slow_at;                 /* the link carries nearly nothing from here on */
	uint64_t stop_pause_ns;                 /* before each record of a stop               */
	enum wire_type drip_at;                 /* ACKs of one byte each, and so long between: */
	uint64_t drip_ns;
	enum wire_type half_at;                 /* begins to answer, and says no more          */
} peer;

static void send_number(struct stream *s, enum wire_type type, uint64_t number)
{
	struct wire_out body = stream_body(s);

	wire_put_u64(&body, number);
	stream_send(s, type, &body, NEVER_NS);
}

/*
 * ACKs for as long as the source listens.  Each comes with the first half of the next, so that
 * there is always something to read and something to wait for.
 */
static void flood(struct stream *s)
{
	struct wire_record rec = { .type = WIRE_ACK, .length = sizeof(uint64_t), .id = s->id };
	uint64_t acked = s->bytes_in;
	uint8_t two[2 * ACK_LEN];
	size_t from = ACK_LEN;

	rec.sequence = s->sequence_out;
	do {
		struct wire_out w = { .buf = two + ACK_LEN, .size = ACK_LEN,
				      .len = WIRE_HEADER_LEN };

		wire_put_u64(&w, acked);
		wire_put_header(w.buf, &rec, w.buf + WIRE_HEADER_LEN);
		rec.sequence++;
		acked += peer.ack_step;
		if (s->chan->ops->send(s->chan, two + from, 3 * ACK_LEN / 2 - from, NEVER_NS) != OK)
			return;
		memcpy(two, two + ACK_LEN, ACK_LEN);
		from = ACK_LEN / 2;
		task_yield();
	} while (rec.sequence);
}

static void sleep_for(uint64_t ns)
{
	struct event never = { 0 };

	event_wait(&never, time_now_ns() + ns);
}

static void drip(struct stream *s)
{
	for (uint64_t acked = outgoing()->acked; !outgoing()->st.ended; sleep_for(peer.drip_ns))
		send_number(s, WIRE_ACK, ++acked);
}

/* The operator cancels; the rest of the answer never comes. */
static void half(struct stream *s)
{
	static const uint8_t begin[WIRE_HEADER_LEN / 2];

	s->chan->ops->send(s->chan, begin, sizeof(begin), NEVER_NS);
	sleep_for(NEARLY_NS);
	mig_cancel(id);
	while (!outgoing()->st.ended)
		sleep_for(NEARLY_NS);
}

static void answer(struct stream *s, enum wire_type type)
{
	static const uint8_t hash[RAMHASH_LEN];
	struct wire_out body = stream_body(s);

	if (type == WIRE_HELLO) {
		send_number(s, WIRE_ACCEPT, 1);
	} else if (type == WIRE_END) {
		wire_put_bytes(&body, hash, sizeof(hash));
		stream_send(s, WIRE_READY, &body, NEVER_NS);
	} else if (type == WIRE_GRANT) {
		send_number(s, WIRE_RUNNING, peer.run_ns);
	} else {
		send_number(s, WIRE_ACK, s->bytes_in);
	}
}

static void serve(void *chan)
{
	static uint8_t out[STREAM_BUF_LEN], in[STREAM_BUF_LEN];
	struct wire_record rec;
	struct wire_in body;
	struct stream s;

	stream_init(&s, chan, out, in);
	enum err e = stream_recv_open(&s, NEVER_NS);
	if (e == OK)
		e = stream_send_open(&s, NEVER_NS);
	if (e == OK)
		e = stream_recv_first(&s, &rec, &body, NEVER_NS);
	while (e == OK) {
		if (rec.type == peer.slow_at && outgoing()->stopped)
			chan_mem.ns_per_kib = NS_PER_S;
		if (rec.type == peer.flood_at) {
			flood(&s);
			break;
		}
		if (rec.type == peer.drip_at) {
			drip(&s);
			break;
		}
		if (rec.type == peer.half_at) {
			half(&s);
			break;
		}
		answer(&s, rec.type);
		if (outgoing()->stopped && peer.stop_pause_ns)
			sleep_for(peer.stop_pause_ns);
		e = stream_recv(&s, &rec, &body, NEVER_NS);
	}
	stream_close(&s);
}

static void begin_with_peer(void)
{
	begin();
	memset(&peer, 0, sizeof(peer));
	truth.serve = serve;
	truth.any_clock = true;
}

static bool all_is_over(void)
{
	return outgoing()->st.ended && !chan_mem.open;
}

static const struct mig_status *run_to_the_end(void)
{
	two_hosts_run(all_is_over, ENOUGH_NS);
	assert_true(all_is_over());
	return &outgoing()->st;
}

static void what_a_peer_says_of_its_own_time_is_not_more_than_it_took(void **state)
{
	(void)state;
	begin_with_peer();
	peer.run_ns = 1000 * NS_PER_S;
	start();
	assert_true(run_to_the_end()->ok);
	assert_true(host_a.node.fixed_ns[0] < NS_PER_S);
	two_hosts_end();
}

static void acks_without_end_do_not_hold_a_stopped_guest(void **state)
{
	(void)state;
	for (uint64_t step = 0; step < 2; step++) {
		begin_with_peer();
		peer.flood_at = WIRE_END;
		peer.ack_step = step;
		start();
		const struct mig_status *st = run_to_the_end();
		assert_false(st->ok);
		assert_true(st->downtime_ns < STOP_MAX_NS);
		assert_ptr_equal(two_hosts_owner(), &host_a);
		two_hosts_end();
	}
}

static void cancel_it(void)
{
	if (outgoing()->src == SRC_PRECOPY)
		mig_cancel(id);
}

static void acks_without_end_do_not_hold_off_a_cancel(void **state)
{
	(void)state;
	for (uint64_t step = 0; step < 2; step++) {
		begin_with_peer();
		peer.flood_at = WIRE_PAGES;
		peer.ack_step = step;
		chan_mem.fault = FAULT_CALL;
		chan_mem.call = cancel_it;
		chan_mem.at = 2000;
		start();
		assert_false(run_to_the_end()->ok);
		assert_ptr_equal(two_hosts_owner(), &host_a);
		two_hosts_end();
	}
}

/* Each record still arrives in time, but there are many. */
static void a_link_that_becomes_slow_does_not_hold_a_stopped_guest(void **state)
{
	(void)state;
	begin_with_peer();
	peer.slow_at = WIRE_ROUND;
	truth.writes_per_turn = 40;
	truth.pages_written = 400;
	params.downtime_max_ns = 100 * NS_PER_MS;
	start();
	const struct mig_status *st = run_to_the_end();
	assert_false(st->ok);
	assert_true(st->downtime_ns < 100 * NS_PER_S);
	assert_non_null(strstr(st->result, "stands still"));
	assert_ptr_equal(two_hosts_owner(), &host_a);
	two_hosts_end();
}

/* From the stop on each send waits until the peer has read what was sent before. */
static bool narrow_when_stopped(void)
{
	chan_mem.window = outgoing()->stopped ? ACK_LEN : 0;
	return false;
}

/* Each record is taken before patience with it ends, but there are many: one time is for all. */
static void a_peer_that_takes_its_time_with_each_section_does_not_hold_a_stopped_guest(void **state)
{
	(void)state;
	begin_with_peer();
	peer.stop_pause_ns = MIG_STUNNED_NS - NEARLY_NS;
	chan_mem.holds = narrow_when_stopped;
	start();
	const struct mig_status *st = run_to_the_end();
	assert_false(st->ok);
	assert_true(st->downtime_ns < STOP_MAX_NS);
	assert_non_null(strstr(st->result, "stands still"));
	assert_ptr_equal(two_hosts_owner(), &host_a);
	two_hosts_end();
}

/* Also for the wait behind them: READY is as late as each of them was. */
static void a_slow_stop_that_ends_in_time_goes_through(void **state)
{
	(void)state;
	begin_with_peer();
	peer.stop_pause_ns = MIG_STOP_OVER_NS / 20;
	chan_mem.holds = narrow_when_stopped;
	start();
	const struct mig_status *st = run_to_the_end();
	assert_true(st->ok);
	assert_true(st->downtime_ns > 5 * peer.stop_pause_ns);
	two_hosts_end();
}

static void acks_of_a_byte_each_do_not_hold_a_round(void **state)
{
	(void)state;
	begin_with_peer();
	peer.drip_at = WIRE_ROUND;
	peer.drip_ns = MIG_SILENCE_NS - NEARLY_NS;
	start();
	const struct mig_status *st = run_to_the_end();
	assert_false(st->ok);
	assert_true(st->ended_ns - st->started_ns < MIG_DRAIN_NS + MIG_SILENCE_NS);
	assert_non_null(strstr(st->result, "b is too slow: after 60 s"));
	assert_ptr_equal(two_hosts_owner(), &host_a);
	two_hosts_end();
}

static void half_an_answer_does_not_hold_off_a_cancel(void **state)
{
	static const enum wire_type asked[] = { WIRE_HELLO, WIRE_ROUND, WIRE_END };

	(void)state;
	for (unsigned i = 0; i < COUNT(asked); i++) {
		begin_with_peer();
		peer.half_at = asked[i];
		start();
		const struct mig_status *st = run_to_the_end();
		assert_false(st->ok);
		assert_true(st->ended_ns - st->started_ns < 10 * NS_PER_S);
		assert_ptr_equal(two_hosts_owner(), &host_a);
		two_hosts_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_peer_says_of_its_own_time_is_not_more_than_it_took),
		cmocka_unit_test(acks_without_end_do_not_hold_a_stopped_guest),
		cmocka_unit_test(acks_without_end_do_not_hold_off_a_cancel),
		cmocka_unit_test(a_link_that_becomes_slow_does_not_hold_a_stopped_guest),
		cmocka_unit_test(
			a_peer_that_takes_its_time_with_each_section_does_not_hold_a_stopped_guest),
		cmocka_unit_test(a_slow_stop_that_ends_in_time_goes_through),
		cmocka_unit_test(acks_of_a_byte_each_do_not_hold_a_round),
		cmocka_unit_test(half_an_answer_does_not_hold_off_a_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
