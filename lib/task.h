/* SPDX-License-Identifier: MIT */
/*
 * lib/task.h - cooperative tasks: straight-line code that can wait.
 *
 * A virtual CPU, the sending side of a migration and the receiving side are each a task with a
 * stack of its own.  A task runs until it waits or yields; nothing preempts it, and only one of all
 * the CPUs runs code of the hypervisor at a time (lib/cpu.h), so data that only tasks touch needs
 * no lock.  Interrupt handlers may only call event_signal() and sched_poke().
 *
 * The host's own tasks run on the boot CPU, where the network is polled.  A guest's task has its
 * place on the CPU with the fewest, and moves to one that is halted when it would have to wait.
 */
#ifndef LIB_TASK_H
#define LIB_TASK_H

#include "lib/cpu.h"
#include "lib/err.h"
#include "lib/types.h"

/*
 * Something to wait for.  At most one task waits on an event at a time.  All zero is a valid, unset
 * event.
 */
struct event {
	struct task *waiter;
	bool         set;
};

/* Make the event true and its waiter ready.  Setting twice is setting once. */
void event_signal(struct event *e);

/* Wait until the event is set (then clear it and return true) or deadline_ns has passed (false). */
bool event_wait(struct event *e, uint64_t deadline_ns);

/*
 * Start `run(arg)` as a task of the boot CPU, or of any.  `name` must outlive it.  The task ends
 * when run returns; its stack goes back to the pool.  ERR_NO_MEMORY when TASKS_MAX tasks exist.
 */
enum err task_create(const char *name, void (*run)(void *arg), void *arg);
enum err task_create_anywhere(const char *name, void (*run)(void *arg), void *arg);

/* Let everybody else who is ready run first. */
void task_yield(void);

/*
 * True when somebody else could use this CPU now, or another CPU waits for the host lock: long work
 * asks this now and then and yields.  (A vCPU gives the lock away at every entry, so it asks
 * host_cpu.wanted alone.)
 */
bool task_should_yield(void);

/*
 * Long work calls this after every step of a fraction of a millisecond: it lets others run when
 * somebody waits or the work had its millisecond.  From a task; elsewhere (at boot) it does
 * nothing.  What the caller looked at before may have changed after it.
 */
void task_breathe(void);
/* The same for work for which a guest stands still: after some milliseconds, whoever waits. */
void task_breathe_late(void);
#define TASK_STEP_BYTES (64 * KIB)      /* a step of work that writes memory */

/* From an interrupt handler, or from another CPU: a poll function has work. */
void sched_poke(void);

/*
 * The latest time at which the running task must yield: the nearest deadline of a sleeper here, but
 * at least 50 us from the beginning of its turn, so that it gets somewhere.
 */
uint64_t sched_deadline_ns(void);

/*
 * Functions called in every turn of the boot CPU's scheduler: NIC rings, lwIP's timers.  Each
 * returns the time it wants to be called again.
 */
typedef uint64_t sched_poll_fn(uint64_t now_ns);
void sched_add_poll(sched_poll_fn *poll);

/*
 * Each CPU's last call, with the host lock: runs tasks for ever; `idle` halts the CPU until an
 * interrupt or the deadline, without the lock.
 */
_Noreturn void sched_run(void (*idle)(uint64_t deadline_ns));

/* TSC ticks for which this CPU had nothing to do and was halted, since sched_run(); up to now. */
uint64_t sched_idle_tsc(const struct host_cpu *c);

/*
 * How long anybody kept the CPU for himself since sched_run(): a task from its turn's begin to its
 * wait or yield, or all poll functions together.  Beyond SCHED_TURN_MAX_NS somebody broke the
 * promise that a turn is short, and the name says who.
 */
#define SCHED_TURN_MAX_NS  (10 * NS_PER_MS)
#define SCHED_NAME_MAX     32
struct sched_turns {
	uint64_t count, too_long;
	uint64_t longest_ns;
	char     longest[SCHED_NAME_MAX];       /* the task's name, or "network" */
	uint64_t longest_wait_ns;               /* that a task was ready and had no CPU */
	char     longest_wait[SCHED_NAME_MAX];  /* its name                             */
};
const struct sched_turns *sched_turns(void);

/*
 * The longest time from a sched_poke(), or from the begin of a turn of one of the host's own tasks,
 * in which no interrupt can tell of a frame, until the poll functions had run: a frame that came
 * then was answered within that time, unless the request is a slow one.
 */
uint64_t sched_poll_wait_max_ns(void);

/* The running task's name, "boot" before sched_run(), for panic screens. */
const char *task_name(void);

#endif
