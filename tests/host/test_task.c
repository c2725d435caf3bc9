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
		cmocka_unit_test(a_turn_that_is_too_long_is_counted_by_name),
		cmocka_unit_test(every_vcpu_and_every_connection_has_a_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
