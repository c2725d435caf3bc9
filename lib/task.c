/* SPDX-License-Identifier: MIT */
/*
 * lib/task.c - cooperative tasks and the loop that runs them.
 *
 * Owns the table of tasks and the deadlines of those that wait; each CPU has a queue of those that
 * are ready (lib/cpu.h).  sched_run() is every CPU's main loop: poll the network (the boot CPU),
 * wake who is due, run one task until it waits or yields, and halt when nobody is ready.
 *
 * Fairness: tasks take turns of a slice.  Who waits before its slice is used up goes on with the
 * rest of it, ahead of the others, when it is woken; with its slice used up, a task goes to the end
 * of the queue.  So who sleeps a lot is served soon, and nobody gets more than a slice in a round.
 * When it is a guest's turn, that one runs which has had least of the CPUs; a guest that is ahead
 * of one that waits at another CPU changes places with it.  So guests that never rest get the same,
 * however many there are for so many CPUs.  One that has waited for too long has its turn all the
 * same: whom it is ahead of loses little by it.
 * Read next: vmm/vcpu.c.
 */
#include "lib/task.h"

#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/task_arch.h"
#include "lib/time.h"

#define POLLS_MAX  8
#define SLICE_NS   NS_PER_MS                    /* a turn while others are ready */
#define ALONE_NS   (4 * NS_PER_MS)              /* a turn while nobody is        */
#define LEAST_NS   (50 * NS_PER_US)             /* a turn, whoever is late       */
#define LATE_NS    (3 * NS_PER_MS)              /* task_breathe_late(): so much more */
#define AHEAD_NS   (4 * NS_PER_MS)              /* of one who waits elsewhere    */
#define PATIENCE_NS (20 * NS_PER_MS)            /* a guest's, however far ahead  */
#define WINDOW_NS  NS_PER_S                     /* the busy share is of this     */
#define PERMILLE   1000

_Static_assert(ALONE_NS < SCHED_TURN_MAX_NS, "a turn that ends when it should is not too long");

enum task_state { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_ENDED };

struct task {
	enum task_state state;
	const char     *name;
	void          (*run)(void *arg);
	void           *arg;
	void           *stack_top, *stack_pointer;
	struct host_cpu *cpu;                   /* where it is, or was last         */
	bool            anywhere;               /* may move to another CPU          */
	uint64_t        left_ns;                /* of its slice                     */
	uint64_t        served_ns;              /* a guest's: CPU time; see level() */
	uint64_t        ready_ns;               /* since when it waits for a CPU    */
	struct task    *next;                   /* in the ready queue               */
	struct event   *event;                  /* what a waiting task waits for    */
	uint64_t        deadline_ns;            /* of a waiting task                */
};

static struct task tasks[TASKS_MAX];
static struct task *tasks_end = tasks;          /* behind the last that was ever in use */
static sched_poll_fn *polls[POLLS_MAX];
static unsigned npolls;
static struct sched_turns turns;
static uint64_t poked_ns = NEVER_NS;            /* since when somebody waits for a poll */
static uint64_t deaf_ns = NEVER_NS;             /* since when nobody could have poked   */
static uint64_t poll_wait_max_ns;
static uint64_t began_ns;                       /* the boot CPU came to sched_run()     */

#define BOOT_CPU (&host_cpus[0])

/* --- Queues ----------------------------------------------------------------------------------- */

/* Something for this CPU to look at. */
static void want(struct host_cpu *c)
{
	c->wanted = true;
	if (c->away && c != cpu_here())
		cpu_poke(c);
}

static void put_first(struct host_cpu *c, struct task *t)
{
	t->next = c->ready_first;
	c->ready_first = t;
	if (!c->ready_last)
		c->ready_last = t;
}

static void put_last(struct host_cpu *c, struct task *t)
{
	t->next = NULL;
	if (c->ready_last)
		c->ready_last->next = t;
	else
		c->ready_first = t;
	c->ready_last = t;
}

static void take(struct host_cpu *c, struct task *t)
{
	struct task *before = NULL;

	for (struct task *q = c->ready_first; q != t; q = q->next)
		before = q;
	if (before)
		before->next = t->next;
	else
		c->ready_first = t->next;
	if (c->ready_last == t)
		c->ready_last = before;
}

/* `t` has the turn of the first in the queue, who waits on in the place of `t`. */
static void take_instead(struct host_cpu *c, struct task *t)
{
	struct task *first = c->ready_first, **at = &c->ready_first;

	take(c, first);
	if (t == first)
		return;
	while (*at != t)
		at = &(*at)->next;
	*at = first;
	first->next = t->next;
	if (c->ready_last == t)
		c->ready_last = first;
}

/* Of the guests in the queue the one that has had least; NULL: there is none. */
static struct task *least_served(const struct host_cpu *c)
{
	struct task *least = NULL;

	for (struct task *t = c->ready_first; t; t = t->next)
		if (t->anywhere && (!least || t->served_ns < least->served_ns))
			least = t;
	return least;
}

/* Of the guests in the queue the one that has waited longest; NULL: none has for too long. */
static struct task *impatient(const struct host_cpu *c, uint64_t now)
{
	struct task *longest = NULL;

	for (struct task *t = c->ready_first; t; t = t->next)
		if (t->anywhere && (!longest || t->ready_ns < longest->ready_ns))
			longest = t;
	return longest && now - longest->ready_ns > PATIENCE_NS ? longest : NULL;
}

static void place(struct task *t, struct host_cpu *c)
{
	if (t->anywhere) {
		t->cpu->placed--;
		c->placed++;
	}
	t->cpu = c;
}

static bool is_free(const struct host_cpu *c)
{
	return c->away == cpu_halted && !c->wanted;
}

/* Where a task that was woken is to run: a halted CPU, its own if it can be, the boot CPU last. */
static struct host_cpu *cpu_for(const struct task *t)
{
	if (!t->anywhere || is_free(t->cpu))
		return t->cpu;
	for (unsigned i = cpus_online; i-- > 0; )
		if (is_free(&host_cpus[i]))
			return &host_cpus[i];
	return t->cpu;
}

/* The CPU with the fewest guests; of several the one that polls no network. */
static struct host_cpu *emptiest_cpu(void)
{
	struct host_cpu *best = BOOT_CPU;

	for (unsigned i = cpus_online; i-- > 1; )
		if (host_cpus[i].placed < best->placed ||
		    (best == BOOT_CPU && host_cpus[i].placed == best->placed))
			best = &host_cpus[i];
	return best;
}

/*
 * What guests have had counts only against others that want a CPU at the same time.  Who comes back
 * to them has no claim to what it did not use; and nobody is far ahead, so that what it had while
 * there was enough for all is not held against it when there no longer is.
 */
static void level(struct task *t, bool comes_back)
{
	uint64_t least = NEVER_NS;

	for (const struct task *o = tasks; o < tasks_end; o++)
		if (o != t && o->anywhere && (o->state == TASK_READY || o->state == TASK_RUNNING))
			least = MIN(least, o->served_ns);
	if (least == NEVER_NS)
		return;
	t->served_ns = MIN(t->served_ns, least + 2 * AHEAD_NS);
	if (comes_back)
		t->served_ns = MAX(t->served_ns, least);
}

static void make_ready(struct task *t, bool woken)
{
	if (woken || t->cpu->ready_first)
		place(t, cpu_for(t));
	if (t->anywhere)
		level(t, t->state != TASK_RUNNING);
	t->state = TASK_READY;
	t->ready_ns = time_now_ns();
	if (woken && t->left_ns) {
		put_first(t->cpu, t);
	} else {
		t->left_ns = SLICE_NS;
		put_last(t->cpu, t);
	}
	want(t->cpu);
}

/* --- What tasks call -------------------------------------------------------------------------- */

/* Leave the CPU to the scheduler; comes back when it runs this task again, here or elsewhere. */
static void leave(enum task_state state)
{
	struct host_cpu *c = cpu_here();
	struct task *t = c->current;

	ASSERT(t);
	if (c->before_switch)
		c->before_switch(c);
	if (state == TASK_READY)
		make_ready(t, false);
	else
		t->state = state;
	task_switch(&t->stack_pointer, c->scheduler_stack);
}

static void task_start(void)
{
	struct task *t = cpu_here()->current;

	t->run(t->arg);
	leave(TASK_ENDED);
	panic("a task went on after its end: %s", t->name);
}

static enum err create(const struct task *model, struct host_cpu *c)
{
	for (struct task *t = tasks; t < tasks + TASKS_MAX; t++) {
		if (t->state != TASK_FREE)
			continue;
		void *top = task_stack_alloc();
		if (!top)
			return fail(ERR_NO_MEMORY, "no stack left for task %s", model->name);
		*t = *model;
		t->stack_top = top;
		t->stack_pointer = task_prepare(top, task_start);
		tasks_end = MAX(tasks_end, t + 1);
		t->cpu = c;
		c->placed += t->anywhere;
		make_ready(t, false);
		return OK;
	}
	return fail(ERR_NO_MEMORY, "all %d tasks are in use; %s cannot start", TASKS_MAX,
	            model->name);
}

enum err task_create(const char *name, void (*run)(void *arg), void *arg)
{
	return create(&(struct task){ .name = name, .run = run, .arg = arg }, BOOT_CPU);
}

enum err task_create_anywhere(const char *name, void (*run)(void *arg), void *arg)
{
	return create(&(struct task){ .name = name, .run = run, .arg = arg, .anywhere = true },
	              emptiest_cpu());
}

void task_yield(void)
{
	leave(TASK_READY);
}

bool task_should_yield(void)
{
	return cpu_here()->wanted || host_lock_contended();
}

/* Interrupts are off while a task runs: only the clock tells that others may be waiting. */
void task_breathe(void)
{
	const struct host_cpu *c = cpu_here();

	if (c->current && (task_should_yield() || time_now_ns() >= c->breath_end_ns))
		task_yield();
}

void task_breathe_late(void)
{
	const struct host_cpu *c = cpu_here();

	if (c->current && time_now_ns() >= c->breath_end_ns + LATE_NS)
		task_yield();
}

void event_signal(struct event *e)
{
	e->set = true;
	if (e->waiter && e->waiter->state == TASK_WAITING)
		make_ready(e->waiter, true);
}

bool event_wait(struct event *e, uint64_t deadline_ns)
{
	struct task *t = cpu_here()->current;

	ASSERT(t);
	ASSERT(!e->waiter);
	if (!e->set && time_now_ns() < deadline_ns) {
		e->waiter = t;
		t->event = e;
		t->deadline_ns = deadline_ns;
		leave(TASK_WAITING);
		t->event = NULL;
		e->waiter = NULL;
	}
	bool was_set = e->set;
	e->set = false;
	return was_set;
}

const char *task_name(void)
{
	const struct task *t = cpu_here()->current;

	return t ? t->name : cpu_here() == BOOT_CPU ? "boot" : "scheduler";
}

/* --- The scheduler ---------------------------------------------------------------------------- */

void sched_poke(void)
{
	if (poked_ns == NEVER_NS)
		poked_ns = time_now_ns();
	want(BOOT_CPU);
}

uint64_t sched_deadline_ns(void)
{
	return cpu_here()->turn_end_ns;
}

void sched_add_poll(sched_poll_fn *poll)
{
	ASSERT(npolls < POLLS_MAX);
	polls[npolls++] = poll;
}

uint64_t sched_idle_tsc(const struct host_cpu *c)
{
	uint64_t now = time_tsc();

	/* Its TSC may be a little ahead of ours. */
	return c->idle_tsc + (c->halted_tsc && now > c->halted_tsc ? now - c->halted_tsc : 0);
}

uint64_t sched_poll_wait_max_ns(void)
{
	return poll_wait_max_ns;
}

/* Frames that came during a turn of the host's own, with interrupts off, may be as old as that. */
static uint64_t run_polls(uint64_t now)
{
	uint64_t next = NEVER_NS, since = MIN(poked_ns, deaf_ns);

	poked_ns = deaf_ns = NEVER_NS;
	for (unsigned i = 0; i < npolls; i++)
		next = MIN(next, polls[i](now));
	if (since != NEVER_NS)
		poll_wait_max_ns = MAX(poll_wait_max_ns, time_now_ns() - since);
	return poked_ns == NEVER_NS ? next : now;       /* one poll made work for another */
}

/* Wake who is due on this CPU; the nearest deadline of the others. */
static uint64_t wake_due(const struct host_cpu *c, uint64_t now)
{
	uint64_t next = NEVER_NS;

	for (struct task *t = tasks; t < tasks_end; t++) {
		if (t->state != TASK_WAITING || t->cpu != c)
			continue;
		if (t->deadline_ns <= now)
			make_ready(t, true);
		else
			next = MIN(next, t->deadline_ns);
	}
	return next;
}

/* Of the guests that wait behind another task elsewhere the one that has had least, or NULL. */
static struct task *waits_elsewhere(const struct host_cpu *c)
{
	struct task *least = NULL;

	for (const struct host_cpu *o = host_cpus; o < host_cpus + cpus_online; o++) {
		struct task *t = o != c && o->current ? least_served(o) : NULL;
		if (t && (!least || t->served_ns < least->served_ns))
			least = t;
	}
	return least;
}

/* `t` was about to run here; one that waits elsewhere and is behind it takes its place. */
static struct task *change_places(struct host_cpu *c, struct task *t)
{
	struct task *other = waits_elsewhere(c);

	if (!other || other->served_ns + AHEAD_NS >= t->served_ns)
		return t;
	struct host_cpu *from = other->cpu;
	take(from, other);
	place(other, c);
	place(t, from);
	put_last(from, t);              /* where somebody waits turns are short already */
	return other;
}

/* A turn of guests goes to the one that has had least, also of those that wait elsewhere. */
static struct task *choose_guest(struct host_cpu *c, uint64_t now)
{
	struct task *t = impatient(c, now);

	if (t) {
		take_instead(c, t);
		return t;
	}
	t = least_served(c);
	take_instead(c, t);
	return change_places(c, t);
}

/* Who runs next on this CPU, NULL: nobody.  The host's tasks take their turns in order. */
static struct task *choose(struct host_cpu *c, uint64_t now)
{
	struct task *t = c->ready_first;

	if (t && t->anywhere)
		return choose_guest(c, now);
	if (t) {
		take(c, t);
		return t;
	}
	t = waits_elsewhere(c);
	if (t) {
		take(t->cpu, t);
		place(t, c);
	}
	return t;
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

static void count_wait(const struct task *t, uint64_t now)
{
	uint64_t since = MAX(t->ready_ns, began_ns);
	uint64_t ns = now > since ? now - since : 0;

	if (ns <= turns.longest_wait_ns)
		return;
	turns.longest_wait_ns = ns;
	fmt_format(turns.longest_wait, sizeof(turns.longest_wait), "%s", t->name);
}

static void run_one(struct host_cpu *c, struct task *t, uint64_t now, uint64_t next_ns)
{
	count_wait(t, now);
	c->turn_end_ns = MIN(next_ns, now + (c->ready_first ? t->left_ns : ALONE_NS));
	c->turn_end_ns = MAX(c->turn_end_ns, now + LEAST_NS);
	c->breath_end_ns = MIN(c->turn_end_ns, now + SLICE_NS);
	t->state = TASK_RUNNING;
	c->current = t;
	task_switch(&c->scheduler_stack, t->stack_pointer);
	c->current = NULL;
	uint64_t ran = time_now_ns() - now;
	t->served_ns += ran;
	if (c == BOOT_CPU && !t->anywhere)
		deaf_ns = MIN(deaf_ns, now);
	/* A vCPU's name goes with its VM. */
	count_turn(t->state == TASK_ENDED ? "a task at its end" : t->name, ran);
	if (t->state == TASK_WAITING)           /* otherwise its slice began anew */
		t->left_ns -= MIN(t->left_ns, ran);
	if (t->state == TASK_ENDED) {
		task_stack_free(t->stack_top);
		c->placed -= t->anywhere;
		t->state = TASK_FREE;
	}
}

/* Once in a while: what share of the time since was this CPU busy? */
static void measure_busy(struct host_cpu *c)
{
	uint64_t now = time_tsc(), ticks = now - c->window_tsc;

	if (time_tsc_to_ns(ticks) < WINDOW_NS)
		return;
	uint64_t idle = MIN(c->idle_tsc - c->window_idle, ticks);
	c->busy = PERMILLE - (unsigned)(idle * PERMILLE / ticks);
	c->window_tsc = now;
	c->window_idle = c->idle_tsc;
}

static void halt(struct host_cpu *c, uint64_t until_ns, void (*idle)(uint64_t deadline_ns))
{
	c->halted_tsc = time_tsc();
	c->away = cpu_halted;
	host_lock_drop();
	idle(until_ns);
	c->away = NULL;
	host_lock_take();
	c->idle_tsc += time_tsc() - c->halted_tsc;
	c->halted_tsc = 0;
}

_Noreturn void sched_run(void (*idle)(uint64_t deadline_ns))
{
	struct host_cpu *c = cpu_here();

	c->online_tsc = c->window_tsc = time_tsc();
	if (c == BOOT_CPU)
		began_ns = time_now_ns();
	for (;;) {
		if (host_lock_contended()) {
			host_lock_drop();
			host_lock_take();
		}
		c->wanted = false;
		uint64_t now = time_now_ns();
		uint64_t next_ns = c == BOOT_CPU ? run_polls(now) : NEVER_NS;
		next_ns = MIN(next_ns, wake_due(c, now));
		uint64_t polled = time_now_ns();
		if (c == BOOT_CPU)
			count_turn("network", polled - now);
		struct task *t = choose(c, polled);
		if (t) {
			c->wanted = false;
			run_one(c, t, polled, next_ns);
		} else if (!c->wanted) {
			halt(c, next_ns, idle);
		}
		measure_busy(c);
	}
}
