/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_task.c - turns of the scheduler: who gets them, how long they are, who is told.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "lib/config.h"
#include "lib/task.h"
#include "lib/task_arch.h"
#include "lib/time.h"

/* --- Tasks on ucontext ----------------------------------------------------------------------- */

#define STACK_BYTES (256 * KIB)

struct context { ucontext_t uc; bool used; uint8_t stack[STACK_BYTES]; };
static struct context *contexts[TASKS_MAX], main_context, *current = &main_context;

void *task_stack_alloc(void)
{
	for (unsigned i = 0; i < TASKS_MAX; i++) {
		if (!contexts[i])
			contexts[i] = calloc(1, sizeof(struct context));
		if (contexts[i]->used)
			continue;
		contexts[i]->used = true;
		return contexts[i];
	}
	return NULL;
}

void task_stack_free(void *top) { ((struct context *)top)->used = false; }

void *task_prepare(void *top, void (*start)(void))
{
	struct context *c = top;

	getcontext(&c->uc);
	c->uc.uc_stack.ss_sp = c->stack;
	c->uc.uc_stack.ss_size = STACK_BYTES;
	makecontext(&c->uc, start, 0);
	return c;
}

void task_switch(void **save, void *load)
{
	struct context *from = current;

	*save = from;
	current = load;
	swapcontext(&from->uc, &current->uc);
}

static jmp_buf out;

static void idle(uint64_t deadline_ns)
{
	if (deadline_ns == NEVER_NS) {
		cpu_here()->away = NULL;
		host_lock_take();               /* as sched_run() finds it */
		longjmp(out, 1);
	}
	support_now_ns = MAX(support_now_ns, deadline_ns);
}

/* Until nobody has anything to do. */
static void run(void)
{
	if (!setjmp(out))
		sched_run(idle);
	current = &main_context;
}

/* --- Long work ------------------------------------------------------------------------------- */

#define STEP_NS (100 * NS_PER_US)

static unsigned steps, steps_at_other;

static void works_long(void *breathes)
{
	for (steps = 0; steps < 300; steps++) {
		support_now_ns += STEP_NS;
		if (breathes)
			task_breathe();
	}
}

static void other(void *arg)
{
	(void)arg;
	steps_at_other = steps;
}

static void long_work_that_breathes_lets_others_run_within_a_millisecond(void **state)
{
	uint64_t before = sched_turns()->too_long;

	(void)state;
	assert_int_equal(task_create("worker", works_long, "yes"), OK);
	assert_int_equal(task_create("other", other, NULL), OK);
	run();
	assert_int_equal(steps, 300);
	assert_in_range(steps_at_other, 5, 12);
	assert_int_equal(sched_turns()->too_long, before);
	assert_true(sched_turns()->longest_ns <= 2 * NS_PER_MS);
}

/* Nobody else is ready: the network is polled all the same. */
static unsigned polls;

static uint64_t count_poll(uint64_t now_ns)
{
	(void)now_ns;
	polls++;
	return NEVER_NS;
}

static void long_work_alone_lets_the_network_in(void **state)
{
	(void)state;
	sched_add_poll(count_poll);
	assert_int_equal(task_create("worker", works_long, "yes"), OK);
	polls = 0;
	run();
	assert_true(polls >= 25);               /* 30 ms of work */
}

/* Runs after the others: what it breaks stays broken in the figures. */
static void a_turn_that_is_too_long_is_counted_by_name(void **state)
{
	uint64_t before = sched_turns()->too_long;
	const struct sched_turns *t = sched_turns();

	(void)state;
	assert_int_equal(task_create("sits on it", works_long, NULL), OK);
	assert_int_equal(task_create("other", other, NULL), OK);
	run();
	assert_int_equal(t->too_long, before + 1);
	assert_int_equal(t->longest_ns, 300 * STEP_NS);
	/* It ended in that turn, and its name may have gone with it. */
	assert_string_equal(t->longest, "a task at its end");
	assert_int_equal(steps_at_other, 300);
}

/* --- Guests' shares -------------------------------------------------------------------------- */

#define GUESTS      3
#define WINDOW_NS   (600 * NS_PER_MS)
#define UNFAIR_NS   (16 * NS_PER_MS)            /* ahead by 8, looked at after each turn of 4 */

static struct guest {
	uint64_t turn_ns;                       /* it yields by itself after so long */
	uint64_t end_ns;
	uint64_t ran_ns, gap_ns;                /* in all; the longest without */
} guests[GUESTS];

static void never_rests(void *arg)
{
	struct guest *g = arg;
	uint64_t last = support_now_ns;

	while (support_now_ns < g->end_ns) {
		uint64_t left = sched_deadline_ns() - MIN(sched_deadline_ns(), support_now_ns);
		uint64_t ns = MAX(MIN(left, g->turn_ns), NS_PER_US);

		g->gap_ns = MAX(g->gap_ns, support_now_ns - last);
		support_now_ns += ns;
		last = support_now_ns;
		g->ran_ns += ns;
		task_yield();
	}
}

static void create_guest(unsigned i, uint64_t turn_ns)
{
	guests[i] = (struct guest){ .turn_ns = turn_ns, .end_ns = support_now_ns + WINDOW_NS };
	assert_int_equal(task_create_anywhere("guest", never_rests, &guests[i]), OK);
}

static void assert_same_shares(void)
{
	uint64_t least = NEVER_NS, most = 0;

	for (unsigned i = 0; i < GUESTS; i++) {
		least = MIN(least, guests[i].ran_ns);
		most = MAX(most, guests[i].ran_ns);
		assert_true(guests[i].gap_ns <= 2 * UNFAIR_NS);
	}
	assert_true(most - least <= UNFAIR_NS);
}

/* One is interrupted all the time, and does not lose by it. */
static void guests_get_the_same_however_short_their_turns_are(void **state)
{
	(void)state;
	create_guest(0, NS_PER_S);
	create_guest(1, 30 * NS_PER_US);
	create_guest(2, 700 * NS_PER_US);
	run();
	assert_same_shares();
}

/* The other CPU is busy with something else for ever: whoever waits there changes places. */
static void guests_that_wait_elsewhere_get_the_same(void **state)
{
	static uint8_t somebody;

	(void)state;
	cpus_online = 2;
	host_cpus[1] = (struct host_cpu){ .self = &host_cpus[1], .number = 1,
	                                  .current = (struct task *)&somebody };
	for (unsigned i = 0; i < GUESTS; i++)
		create_guest(i, NS_PER_S);
	run();
	cpus_online = 1;
	assert_same_shares();
}

/* What it had while it was alone is not held against it, and not against the others. */
static void a_guest_that_was_alone_for_long_has_no_debt(void **state)
{
	(void)state;
	create_guest(0, NS_PER_S);
	run();
	for (unsigned i = 0; i < GUESTS; i++)
		create_guest(i, NS_PER_S);
	run();
	assert_same_shares();
}

#define LEAD_NS         (6 * NS_PER_MS)         /* no more than a guest may be ahead */

/* It is ahead of the guests that come: they have their turns before it has its next. */
static void begins_alone(void *arg)
{
	support_now_ns += LEAD_NS;
	never_rests(arg);
}

/*
 * Turns of guests come between its own; it had its slice, so it waits at the end of the queue.
 * That one of them is ahead, and has none, does not make the others' turns more.
 */
static void a_task_of_the_host_waits_for_a_turn_of_each_guest(void **state)
{
	static struct guest host_task;

	(void)state;
	guests[0] = host_task = (struct guest){ .turn_ns = NS_PER_S,
	                                        .end_ns = support_now_ns + WINDOW_NS };
	assert_int_equal(task_create_anywhere("guest", begins_alone, &guests[0]), OK);
	create_guest(1, NS_PER_S);
	create_guest(2, NS_PER_S);
	assert_int_equal(task_create("host", never_rests, &host_task), OK);
	run();
	assert_in_range(host_task.gap_ns, 1, GUESTS * NS_PER_MS);
	assert_same_shares();
}

#define MANY            8
#define WAIT_MAX_NS     (35 * NS_PER_MS)        /* patience, and turns of those who lost theirs */

/* Far ahead of many, it would wait until each of them has caught up: 6 ms each. */
static void a_guest_that_is_ahead_does_not_wait_for_all_to_catch_up(void **state)
{
	static struct guest others[MANY], first;

	(void)state;
	first = (struct guest){ .turn_ns = NS_PER_S, .end_ns = support_now_ns + WINDOW_NS };
	assert_int_equal(task_create_anywhere("first", begins_alone, &first), OK);
	for (unsigned i = 0; i < MANY; i++) {
		others[i] = first;
		assert_int_equal(task_create_anywhere("guest", never_rests, &others[i]), OK);
	}
	run();
	assert_true(first.gap_ns <= WAIT_MAX_NS);
	for (unsigned i = 0; i < MANY; i++)
		assert_in_range(others[i].ran_ns, first.ran_ns - UNFAIR_NS,
		                first.ran_ns + UNFAIR_NS);
}

static void breathing_outside_of_a_task_does_nothing(void **state)
{
	(void)state;
	support_now_ns += NS_PER_S;
	task_breathe();
	assert_string_equal(task_name(), "boot");
}

static void every_vcpu_and_every_connection_has_a_task(void **state)
{
	unsigned n = 0;

	(void)state;
	while (task_create("one of many", other, NULL) == OK)
		n++;
	assert_int_equal(n, TASKS_MAX);
	assert_true(n >= VMS_MAX * VCPUS_MAX + CHANS_MAX);
	run();
	assert_int_equal(task_create("after them", other, NULL), OK);
	run();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(breathing_outside_of_a_task_does_nothing),
		cmocka_unit_test(long_work_that_breathes_lets_others_run_within_a_millisecond),
		cmocka_unit_test(long_work_alone_lets_the_network_in),
		cmocka_unit_test(guests_get_the_same_however_short_their_turns_are),
		cmocka_unit_test(guests_that_wait_elsewhere_get_the_same),
		cmocka_unit_test(a_guest_that_was_alone_for_long_has_no_debt),
		cmocka_unit_test(a_task_of_the_host_waits_for_a_turn_of_each_guest),
		cmocka_unit_test(a_guest_that_is_ahead_does_not_wait_for_all_to_catch_up),
		cmocka_unit_test(a_turn_that_is_too_long_is_counted_by_name),
		cmocka_unit_test(every_vcpu_and_every_connection_has_a_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
