/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_mig_memory.c - what a host remembers of guests and epochs when it has to forget.
 */
#include "tests/host/support.h"

#include <string.h>

#include "tests/host/mig_moves.h"

static struct wire_id id_of(uint8_t guest, uint64_t epoch)
{
	return (struct wire_id){ .uuid = { guest, 1 }, .epoch = epoch };
}

static void remember(uint8_t guest, uint64_t epoch, enum mig_verdict verdict)
{
	struct wire_id one = id_of(guest, epoch);

	mig_remember(&one, verdict);
}

static bool remembers(uint8_t guest, uint64_t epoch)
{
	struct wire_id one = id_of(guest, epoch);

	return mig_recall(&one);
}

/* Answers that somebody may still ask for, all younger than what came before. */
static void fill(unsigned places)
{
	while (places--) {
		struct wire_id one = { .uuid = { 0xff, (uint8_t)places, 2 }, .epoch = 1 };

		mig_remember(&one, VERDICT_RUN);
	}
}

static void attempts_that_were_repeated_go_first(void **state)
{
	(void)state;
	begin();
	remember(1, 1, VERDICT_RUN);            /* its old host may be in doubt */
	remember(2, 5, VERDICT_REFUSED);        /* so may this one's            */
	remember(3, 1, VERDICT_REFUSED);
	remember(3, 2, VERDICT_REFUSED);        /* ... but not this one's: it has tried again */
	remember(4, 1, VERDICT_SENT);           /* gone from here */
	fill(MIG_VERDICTS_MAX - 5);
	remember(9, 1, VERDICT_RUN);
	assert_false(remembers(3, 1));
	assert_true(remembers(4, 1));
	remember(9, 2, VERDICT_RUN);
	assert_false(remembers(4, 1));
	assert_true(remembers(1, 1) && remembers(2, 5) && remembers(3, 2));
	/* Nothing better is left: the oldest answer. */
	remember(9, 3, VERDICT_RUN);
	assert_false(remembers(1, 1));
	assert_true(remembers(2, 5));
	two_hosts_end();
}

/* A guest that moved on from here: its old host may have lost our RUNNING, and still asks. */
static void a_guest_that_moved_on_is_not_forgotten_before_others(void **state)
{
	(void)state;
	begin();
	remember(1, 1, VERDICT_RUN);
	remember(1, 2, VERDICT_SENT);
	remember(2, 1, VERDICT_SENT);
	remember(2, 2, VERDICT_SENT);
	fill(MIG_VERDICTS_MAX - 4);
	for (unsigned i = 0; i < 3; i++)
		remember(9, 1 + i, VERDICT_RUN);
	assert_true(remembers(1, 1));
	assert_false(remembers(1, 2) || remembers(2, 1) || remembers(2, 2));
	two_hosts_end();
}

static void what_runs_or_comes_here_is_kept(void **state)
{
	struct wire_id ours = { .epoch = 40 };

	(void)state;
	begin();
	mig_node = &host_a.node;
	memcpy(ours.uuid, host_guest(&host_a)->config.uuid, sizeof(ours.uuid));
	mig_remember(&ours, VERDICT_RUN);
	remember(1, 1, VERDICT_OPEN);
	fill(MIG_VERDICTS_MAX - 2);
	for (unsigned i = 0; i < MIG_VERDICTS_MAX; i++)
		remember(2, 1 + i, VERDICT_RUN);
	assert_true(remembers(1, 1));
	assert_int_equal(mig_next_epoch(ours.uuid), 41);
	two_hosts_end();
}

/* An epoch that was refused here says nothing about the guest, and is never used again. */
static void epochs_step_over_refusals(void **state)
{
	const uint8_t uuid[16] = { 1, 1 };

	(void)state;
	begin();
	assert_int_equal(mig_next_epoch(uuid), 1);
	remember(1, UINT64_MAX, VERDICT_REFUSED);
	remember(1, 3, VERDICT_RUN);
	remember(1, 4, VERDICT_REFUSED);
	remember(1, 5, VERDICT_REFUSED);
	assert_int_equal(mig_highest_epoch(uuid), 3);
	assert_int_equal(mig_next_epoch(uuid), 6);
	remember(1, UINT64_MAX - 1, VERDICT_RUN);
	assert_int_equal(mig_next_epoch(uuid), 0);
	two_hosts_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempts_that_were_repeated_go_first),
		cmocka_unit_test(a_guest_that_moved_on_is_not_forgotten_before_others),
		cmocka_unit_test(what_runs_or_comes_here_is_kept),
		cmocka_unit_test(epochs_step_over_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
