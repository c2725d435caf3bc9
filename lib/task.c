/* SPDX-License-Identifier: MIT */
/*
 * lib/task.c - cooperative tasks and the loop that runs them.
 *
 * Owns the table of tasks, the queue of those that are ready, and the deadlines of those that wait.
 * sched_run() is the machine's main loop: poll the network, wake who is due, run one task until it
 * waits or yields, and halt the CPU when nobody is ready.  Read next: vmm/vcpu.c.
 */
#include "lib/task.h"

#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/task_arch.h"
#include "lib/time.h"

#define POLLS_MAX  8
#define SLICE_NS   NS_PER_MS                    /* a turn while others are ready */
#define ALONE_NS   (10 * NS_PER_MS)             /* a turn while nobody is        */
#define LEAST_NS   (50 * NS_PER_US)             /* a turn, whoever is late       */

_Static_assert(ALONE_NS < SCHED_TURN_MAX_NS, "a turn that ends when it should is not too long");

enum task_state { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_ENDED };

struct task {
	enum task_state state;
	const char     *name;
	void          (*run)(void *arg);
	void           *arg;
	void           *stack_top, *stack_pointer;
	struct task    *next;                   /* in the ready queue               */
	struct event   *event;                  /* what a waiting task waits for    */
	uint64_t        deadline_ns;            /* of a waiting task                */
};

static struct task tasks[TASKS_MAX];
static struct task *tasks_end = tasks;          /* behind the last that was ever in use */
static struct task *current;                    /* NULL: the scheduler itself       */
static struct task *ready_first, *ready_last;
static void *scheduler_stack;
static sched_poll_fn *polls[POLLS_MAX];
static unsigned npolls;
static uint64_t idle_tsc;
static uint64_t turn_end_ns;                    /* the running task shall yield by then */
static uint64_t breath_end_ns;                  /* ... and long work by then            */
static struct sched_turns turns;

volatile bool sched_wanted;

static void make_ready(struct task *t)
{
	t->state = TASK_READY;
	t->next = NULL;
	if (ready_last)
		ready_last->next = t;
	else
		ready_first = t;
	ready_last = t;
	sched_wanted = true;
}

static struct task *take_ready(void)
{
	struct task *t = ready_first;

	if (!t)
		return NULL;
	ready_first = t->next;
	if (!ready_first)
		ready_last = NULL;
	return t;
}

/* Leave the CPU to the scheduler; comes back when it runs this task again. */
static void leave(enum task_state state)
{
	ASSERT(current);
	if (state == TASK_READY)
		make_ready(current);
	else
		current->state = state;
	task_switch(&current->stack_pointer, scheduler_stack);
}

static void task_start(void)
{
	current->run(current->arg);
	leave(TASK_ENDED);
	panic("a task went on after its end: %s", current->name);
}

enum err task_create(const char *name, void (*run)(void *arg), void *arg)
{
	for (struct task *t = tasks; t < tasks + TASKS_MAX; t++) {
		if (t->state != TASK_FREE)
			continue;
		void *top = task_stack_alloc();
		if (!top)
			return fail(ERR_NO_MEMORY, "no stack left for task %s", name);
		*t = (struct task){ .name = name, .run = run, .arg = arg, .stack_top = top };
		t->stack_pointer = task_prepare(top, task_start);
		tasks_end = MAX(tasks_end, t + 1);
		make_ready(t);
		return OK;
	}
	return fail(ERR_NO_MEMORY, "all %d tasks are in use; %s cannot start", TASKS_MAX, name);
}

void task_yield(void)
{
	leave(TASK_READY);
}

/* Interrupts are off while a task runs: only the clock tells that others may be waiting. */
void task_breathe(void)
{
	if (current && (sched_wanted || time_now_ns() >= breath_end_ns))
		task_yield();
}

void event_signal(struct event *e)
{
	e->set = true;
	if (e->waiter && e->waiter->state == TASK_WAITING)
		make_ready(e->waiter);
}

bool event_wait(struct event *e, uint64_t deadline_ns)
{
	ASSERT(current);
	ASSERT(!e->waiter);
	if (!e->set && time_now_ns() < deadline_ns) {
		e->waiter = current;
		current->event = e;
		current->deadline_ns = deadline_ns;
		leave(TASK_WAITING);
		current->event = NULL;
		e->waiter = NULL;
	}
	bool was_set = e->set;
	e->set = false;
	return was_set;
}

void sched_poke(void)
{
	sched_wanted = true;
}

uint64_t sched_deadline_ns(void)
{
	return turn_end_ns;
}

void sched_add_poll(sched_poll_fn *poll)
{
	ASSERT(npolls < POLLS_MAX);
	polls[npolls++] = poll;
}

uint64_t sched_idle_tsc(void)
{
	return idle_tsc;
}

const char *task_name(void)
{
	return current ? current->name : "boot";
}

static uint64_t run_polls(uint64_t now)
{
	uint64_t next = NEVER_NS;

	for (unsigned i = 0; i < npolls; i++)
		next = MIN(next, polls[i](now));
	return next;
}

/* Wake who is due; the nearest deadline of the others. */
static uint64_t wake_due(uint64_t now)
{
	uint64_t next = NEVER_NS;

	for (struct task *t = tasks; t < tasks_end; t++) {
		if (t->state != TASK_WAITING)
			continue;
		if (t->deadline_ns <= now)
			make_ready(t);
		else
			next = MIN(next, t->deadline_ns);
	}
	return next;
}

const struct sched_turns *sched_turns(void)
{
	return &turns;
}

static void count_turn(const char *name, uint64_t ns)
{
	turns.count++;
	turns.too_long += ns > SCHED_TURN_MAX_NS;
	if (ns <= turns.longest_ns)
		return;
	turns.longest_ns = ns;
	fmt_format(turns.longest, sizeof(turns.longest), "%s", name);
}

static void run_one(struct task *t, uint64_t now, uint64_t next_ns)
{
	turn_end_ns = MIN(next_ns, now + (ready_first ? SLICE_NS : ALONE_NS));
	turn_end_ns = MAX(turn_end_ns, now + LEAST_NS);
	breath_end_ns = MIN(turn_end_ns, now + SLICE_NS);
	t->state = TASK_RUNNING;
	current = t;
	task_switch(&scheduler_stack, t->stack_pointer);
	current = NULL;
	/* A vCPU's name goes with its VM. */
	count_turn(t->state == TASK_ENDED ? "a task at its end" : t->name, time_now_ns() - now);
	if (t->state == TASK_ENDED) {
		task_stack_free(t->stack_top);
		t->state = TASK_FREE;
	}
}

_Noreturn void sched_run(void (*idle)(uint64_t deadline_ns))
{
	for (;;) {
		sched_wanted = false;
		uint64_t now = time_now_ns();
		uint64_t next_ns = run_polls(now);
		next_ns = MIN(next_ns, wake_due(now));
		uint64_t polled = time_now_ns();
		count_turn("network", polled - now);
		struct task *t = take_ready();
		if (t) {
			sched_wanted = false;
			run_one(t, polled, next_ns);
		} else if (!sched_wanted) {
			uint64_t began = time_tsc();
			idle(next_ns);
			idle_tsc += time_tsc() - began;
		}
	}
}
