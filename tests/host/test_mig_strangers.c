/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_mig_strangers.c - whoever comes to the migration port: no harm, an answer or a
 * close, and the next guest can still come.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fmt.h"
#include "tests/host/mig_moves.h"

/* Strangers on the port: no harm, an answer or a close, and the next guest can still come. */
static void strangers_are_sent_away(void **state)
{
	static uint8_t noise[5000];

	(void)state;
	begin();
	for (unsigned round = 0; round < 40; round++) {
		struct chan *mine, *theirs;

		chan_mem_pair("stranger", "b", &mine, &theirs);
		two_hosts_serve(theirs);
		srand(round);
		for (unsigned i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)rand();
		if (round % 2)                  /* with a right beginning */
			wire_put_stream(&(struct wire_out){ .buf = noise, .size = sizeof(noise) });
		mine->ops->send(mine, noise, round < 4 ? round : sizeof(noise), NEVER_NS);
		two_hosts_run(NULL, 30 * NS_PER_S);
		mine->ops->close(mine);
		assert_int_equal(host_serving(&host_b), 0);
	}
	two_hosts_run(NULL, NS_PER_S);
	here = &host_a;
	mig_node = &host_a.node;
	assert_ptr_equal(migrate(), &host_b);
	two_hosts_end();
}

/* The HELLO that opened the migration, once more from a stranger, while READY waits for GRANT. */
static struct chan *echo;

static void hello_again(void)
{
	static uint8_t out[STREAM_BUF_LEN], in[STREAM_BUF_LEN];
	struct host *was = here;
	struct stream s;
	struct chan *theirs;

	if (echo || incoming()->dst != DST_READY)
		return;
	chan_mem_pair("stranger", "b", &echo, &theirs);
	stream_init(&s, echo, out, in);
	s.id = incoming()->stream.id;
	struct wire_out body = stream_body(&s);
	assert_int_equal(stream_send_open(&s, NEVER_NS), OK);
	assert_int_equal(stream_send(&s, WIRE_HELLO, &body, NEVER_NS), OK);
	here = &host_b;
	mig_node = &host_b.node;
	assert_int_equal(task_create("peer", mig_serve, theirs), OK);
	here = was;
	mig_node = &was->node;
}

static void second_hello_of_the_same_epoch_changes_nothing(void **state)
{
	struct wire_record rec;
	uint8_t bytes[WIRE_STREAM_LEN + WIRE_HEADER_LEN];
	unsigned sends = count_sends(false), echoes = 0;

	(void)state;
	for (unsigned at = sends - sends / 8; at < sends; at++) {
		begin();
		echo = NULL;
		chan_mem.fault = FAULT_CALL;
		chan_mem.call = hello_again;
		chan_mem.at = at;
		start();
		two_hosts_run(NULL, 60 * NS_PER_S);
		if (echo) {
			assert_int_equal(echo->ops->recv(echo, bytes, sizeof(bytes), 0), OK);
			assert_int_equal(wire_take_header(bytes + WIRE_STREAM_LEN, &rec), OK);
			assert_int_equal(rec.type, WIRE_UNKNOWN);
			echo->ops->close(echo);
			echoes++;
		}
		assert_ptr_equal(finish(), &host_b);
		two_hosts_end();
	}
	assert_int_equal(echoes, 2);            /* at READY and at GRANT */
}

/* --- Somebody who speaks the protocol -------------------------------------------------------- */

static struct hello real;                       /* as the guest's own host sends it */
static uint8_t frame_out[STREAM_BUF_LEN], frame_in[STREAM_BUF_LEN];

static void learn_hello(void)
{
	static uint8_t tape[64 * KIB];
	struct wire_record rec;

	begin();
	chan_mem.tap = tape;
	chan_mem.tap_size = sizeof(tape);
	assert_ptr_equal(migrate(), &host_b);
	two_hosts_end();
	assert_int_equal(wire_take_header(tape + WIRE_STREAM_LEN, &rec), OK);
	assert_int_equal(rec.type, WIRE_HELLO);
	struct wire_in body = { .buf = tape + WIRE_STREAM_LEN + WIRE_HEADER_LEN,
				.size = rec.length };
	assert_int_equal(hello_take(&body, &real), OK);
}

/* Speaks to host b; then everybody has had time to act on it, and `s` may be read or closed. */
static struct stream stranger_says(const char *name, const struct hello *h, uint64_t epoch)
{
	struct chan *mine, *theirs;
	struct stream s;

	chan_mem_pair("b", name, &mine, &theirs);
	two_hosts_serve(theirs);
	stream_init(&s, mine, frame_out, frame_in);
	memcpy(s.id.uuid, h->config.uuid, sizeof(s.id.uuid));
	s.id.epoch = epoch;
	assert_int_equal(stream_send_open(&s, NEVER_NS), OK);
	struct wire_out body = stream_body(&s);
	hello_put(&body, h);
	assert_int_equal(stream_send(&s, WIRE_HELLO, &body, NEVER_NS), OK);
	two_hosts_run(NULL, 100 * NS_PER_MS);
	return s;
}

static uint32_t answer_to(struct stream *s)
{
	struct wire_record rec;
	struct wire_in body;

	assert_int_equal(stream_recv_open(s, 0), OK);
	assert_int_equal(stream_recv(s, &rec, &body, 0), OK);
	return rec.type;
}

static uint32_t say_and_leave(const char *name, const struct hello *h, uint64_t epoch)
{
	struct stream s = stranger_says(name, h, epoch);
	uint32_t type = answer_to(&s);

	stream_close(&s);
	two_hosts_run(NULL, NS_PER_S);
	return type;
}

static void be_a(void)
{
	here = &host_a;
	mig_node = &host_a.node;
}

/* There and back: nobody may have spoilt the guest's epochs, on either host. */
static void moves_there_and_back(void)
{
	struct host *to[] = { &host_b, &host_a };

	for (unsigned i = 0; i < 2; i++) {
		struct host *from = i ? &host_b : &host_a;

		here = from;
		mig_node = &from->node;
		assert_int_equal(mig_start(host_guest(from), &params, &id), OK);
		two_hosts_run(NULL, 5 * NS_PER_S);
		assert_ptr_equal(two_hosts_owner(), to[i]);
		from->tracking = false;
	}
}

static void an_epoch_that_was_refused_before_accept_is_not_remembered(void **state)
{
	(void)state;
	learn_hello();
	begin();
	struct hello wrong = real;
	wrong.config.ram_bytes *= 2;
	assert_int_equal(say_and_leave("x", &wrong, UINT64_MAX), WIRE_REFUSED);
	wrong = real;
	wrong.nsections--;                      /* found when the ghost is there */
	assert_int_equal(say_and_leave("x", &wrong, UINT64_MAX - 1), WIRE_REFUSED);
	mig_node = &host_b.node;
	assert_int_equal(host_b.node.order, 0);
	moves_there_and_back();
	two_hosts_end();
}

/* It is logged and listed before anybody looks whether a guest may be called so. */
static void a_name_with_a_terminals_letters_is_not_shown(void **state)
{
	struct hello wrong;

	(void)state;
	learn_hello();
	begin();
	wrong = real;
	wrong.config.ram_bytes *= 2;
	fmt_format(wrong.config.name, sizeof(wrong.config.name), "x\033[2J\nok\x9b");
	assert_int_equal(say_and_leave("x", &wrong, 1), WIRE_REFUSED);
	assert_true(incoming()->used);
	assert_string_equal(incoming()->st.vm, "x?[2J?ok?");
	two_hosts_end();
}

static void an_accepted_epoch_without_grant_does_not_hold_the_guest(void **state)
{
	(void)state;
	learn_hello();
	begin();
	assert_int_equal(say_and_leave("x", &real, UINT64_MAX), WIRE_ACCEPT);
	mig_node = &host_b.node;
	/* ... but it stays refused. */
	struct wire_id last = { .epoch = UINT64_MAX };
	memcpy(last.uuid, real.config.uuid, sizeof(last.uuid));
	assert_int_equal(mig_recall(&last)->verdict, VERDICT_REFUSED);
	assert_int_equal(say_and_leave("x", &real, UINT64_MAX), WIRE_REFUSED);
	moves_there_and_back();
	two_hosts_end();
}

/* --- Guests that are stuck on their way ------------------------------------------------------- */

static struct stream stuck[MIG_INCOMING_MAX];

static void fill_with_stuck_guests(void)
{
	for (unsigned i = 0; i < MIG_INCOMING_MAX; i++) {
		struct hello h = real;

		h.config.uuid[0] = (uint8_t)(100 + i);
		h.config.name[0] = (char)('p' + i);
		stuck[i] = stranger_says("x", &h, 1);
		assert_int_equal(answer_to(&stuck[i]), WIRE_ACCEPT);
	}
}

static void doubt_is_answered_while_all_guests_are_stuck(void **state)
{
	(void)state;
	learn_hello();
	unsigned last = count_sends(false) - 1;
	begin();
	chan_mem.fault = FAULT_CUT_BEFORE;      /* RUNNING is lost */
	chan_mem.at = last;
	truth.unreachable = 10;
	start();
	two_hosts_run(in_doubt, ENOUGH_NS);
	assert_true(in_doubt());
	fill_with_stuck_guests();
	/* One guest more is told why not. */
	struct hello fifth = real;
	fifth.config.uuid[0] = 99;
	assert_int_equal(say_and_leave("x", &fifth, 1), WIRE_REFUSED);
	assert_true(in_doubt());
	truth.unreachable = 0;
	two_hosts_run(NULL, 11 * NS_PER_S);
	assert_int_equal(outgoing()->src, SRC_RELEASED);
	for (unsigned i = 0; i < MIG_INCOMING_MAX; i++)
		stream_close(&stuck[i]);
	two_hosts_run(NULL, NS_PER_S);
	assert_ptr_equal(two_hosts_owner(), &host_b);
	two_hosts_end();
}

/* A QUERY that arrives damaged: REFUSED would give the guest back while it runs here. */
static void a_damaged_query_is_not_answered_with_refused(void **state)
{
	struct chan *mine, *theirs;
	struct stream s;

	(void)state;
	learn_hello();
	for (unsigned offset = 0; offset < WIRE_HEADER_LEN + 8; offset++) {
		begin();
		assert_ptr_equal(migrate(), &host_b);
		chan_mem_pair("b", "a", &mine, &theirs);
		two_hosts_serve(theirs);
		stream_init(&s, mine, frame_out, frame_in);
		s.id = outgoing()->stream.id;
		assert_int_equal(stream_send_open(&s, NEVER_NS), OK);
		struct wire_out body = stream_body(&s);
		wire_put_u64(&body, host_b.node.boot_id);
		chan_mem.fault = FAULT_FLIP;
		chan_mem.flip_offset = offset;
		chan_mem.at = chan_mem.sends;
		assert_int_equal(stream_send(&s, WIRE_QUERY, &body, NEVER_NS), OK);
		two_hosts_run(NULL, 10 * NS_PER_S);
		struct wire_record rec;
		struct wire_in answer;
		enum err e = stream_recv_open(&s, 0);
		if (e == OK)
			e = stream_recv(&s, &rec, &answer, 0);
		assert_true(e != OK || rec.type != WIRE_REFUSED);
		stream_close(&s);
		two_hosts_run(NULL, NS_PER_S);
		be_a();
		two_hosts_end();
	}
}

/* --- A source that tries again --------------------------------------------------------------- */

/* The link dies at message `at`; the operator cancels and begins anew.  False: it was too late. */
static bool begin_anew(unsigned at)
{
	chan_mem.fault = FAULT_SILENCE;
	chan_mem.at = at;
	start();
	two_hosts_run(NULL, 100 * NS_PER_MS);
	be_a();
	if (mig_cancel(id) != OK)
		return false;
	two_hosts_run(NULL, 2 * NS_PER_S);
	if (!outgoing()->st.ended)
		return false;
	be_a();
	return mig_start(host_guest(&host_a), &params, &id) == OK;
}

static void a_retry_takes_the_place_of_a_ghost_that_waits(void **state)
{
	unsigned sends = count_sends(false), replaced = 0;

	(void)state;
	for (unsigned at = 0; at < sends; at++) {
		begin();
		bool anew = begin_anew(at);
		bool ghost = anew && incoming()->used && !incoming()->st.ended &&
			     incoming()->dst != DST_IDLE;
		two_hosts_run(NULL, 3 * NS_PER_S);      /* far less than MIG_SILENCE_NS */
		if (anew) {
			assert_ptr_equal(two_hosts_owner(), &host_b);
			assert_int_equal(host_a.node.slot[1].src, SRC_RELEASED);
		}
		if (ghost) {
			assert_int_equal(incoming()->dst, DST_REFUSED);
			assert_non_null(strstr(incoming()->st.result, "anew"));
			replaced++;
		}
		two_hosts_run(NULL, 60 * NS_PER_S);
		two_hosts_owner();
		two_hosts_end();
	}
	printf("  %u of %u cuts left a ghost that made room\n", replaced, sends);
	assert_true(replaced > sends / 2);
}

static void a_stranger_does_not_take_the_place_of_a_ghost(void **state)
{
	(void)state;
	learn_hello();
	begin();
	chan_mem.fault = FAULT_SILENCE;
	chan_mem.at = 12;
	start();
	two_hosts_run(NULL, 100 * NS_PER_MS);
	assert_int_equal(incoming()->dst, DST_GHOST);
	assert_int_equal(say_and_leave("stranger", &real, 1000), WIRE_REFUSED);
	assert_int_equal(incoming()->dst, DST_GHOST);
	/* And what came before does not push out what came after. */
	assert_int_equal(say_and_leave("a", &real, 0), WIRE_REFUSED);
	assert_int_equal(incoming()->dst, DST_GHOST);
	two_hosts_run(NULL, 60 * NS_PER_S);
	assert_ptr_equal(two_hosts_owner(), &host_a);
	two_hosts_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_epoch_that_was_refused_before_accept_is_not_remembered),
		cmocka_unit_test(a_name_with_a_terminals_letters_is_not_shown),
		cmocka_unit_test(an_accepted_epoch_without_grant_does_not_hold_the_guest),
		cmocka_unit_test(doubt_is_answered_while_all_guests_are_stuck),
		cmocka_unit_test(a_damaged_query_is_not_answered_with_refused),
		cmocka_unit_test(a_retry_takes_the_place_of_a_ghost_that_waits),
		cmocka_unit_test(a_stranger_does_not_take_the_place_of_a_ghost),
		cmocka_unit_test(second_hello_of_the_same_epoch_changes_nothing),
		cmocka_unit_test(strangers_are_sent_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
