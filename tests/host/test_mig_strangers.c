/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_mig_strangers.c - whoever comes to the migration port: no harm, an answer or a
 * close, and the next guest can still come.
 */
#include "tests/host/support.h"

#include <stdlib.h>

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
		assert_int_equal(host_b.node.serving, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_hello_of_the_same_epoch_changes_nothing),
		cmocka_unit_test(strangers_are_sent_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
