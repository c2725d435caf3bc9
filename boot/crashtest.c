/* SPDX-License-Identifier: MIT */
/*
 * boot/crashtest.c - break the host on purpose, to prove that it says so.
 *
 * test=NAME on the command line; tests/boot expects the screen of state for each.  A test that
 * comes back has found a protection missing, and that stops the boot.  Called by boot/main.c.
 */
#include "boot/boot.h"

#include <string.h>

#include "arch/x86_64/image.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/reset.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"

static void crash_fault(void)
{
	insn_ud2();
}

static void crash_panic(void)
{
	panic("asked for by test=panic, with the number %d", 42);
}

#define DEEPER_THAN_ANY_STACK   1000000

/* A frame of some size, so that few calls reach the guard page and none can step over it. */
static uint64_t descend(volatile uint64_t *above)
{
	volatile uint64_t here[64];

	here[0] = *above + 1;
	return here[0] < DEEPER_THAN_ANY_STACK ? descend(here) + here[0] : 0;
}

static void crash_guard(void)
{
	volatile uint64_t zero = 0;

	descend(&zero);
}

static void overflow_task(void *arg)
{
	(void)arg;
	crash_guard();
}

/* Crashes after the boot: a task's stack has its own guard page. */
static void crash_task(void)
{
	task_create("crash test", overflow_task, NULL);
}

static void crash_wx(void)
{
	*(volatile uint8_t *)(uintptr_t)__text_start = 0;
}

static void crash_nx(void)
{
	static uint8_t data[1] = { 0xc3 };      /* RET, if it were code */
	void (*function)(void);

	memcpy(&function, &(void *){ data }, sizeof(function));
	function();
}

static void crash_nullptr(void)
{
	const volatile uint8_t *volatile nowhere = NULL;

	(void)*nowhere;
}

/* When all CPUs are busy: one of them fails while others are inside guests or want the lock. */
#define GUESTS_BEGIN_NS (500 * NS_PER_MS)

static void late_panic_task(void *arg)
{
	struct event never = { 0 };

	(void)arg;
	event_wait(&never, time_now_ns() + GUESTS_BEGIN_NS);
	crash_panic();
}

static void crash_late(void)
{
	task_create("late crash test", late_panic_task, NULL);
}

/* While the boot CPU has nothing to do, who wakes up on another CPU is taken there. */
static void busy_task(void *arg)
{
	(void)arg;
	for (;;) {
		cpu_pause();            /* QEMU with -icount lets another CPU run then */
		task_yield();
	}
}

static void crash_elsewhere(void)
{
	task_create("busy test", busy_task, NULL);
	task_create_anywhere("late crash test", late_panic_task, NULL);
}

/* A task that never gives the CPU back: for the watchdog. */
static void stuck_task(void *arg)
{
	(void)arg;
	for (;;)
		insn_pause();
}

static void crash_stuck(void)
{
	task_create("stuck test", stuck_task, NULL);
}

static const struct {
	const char *name;
	void      (*run)(void);
	bool        later;                      /* it crashes after the boot */
} tests[] = {
	{ "fault", crash_fault, false }, { "panic", crash_panic, false },
	{ "guard", crash_guard, false }, { "task", crash_task, true },
	{ "late", crash_late, true }, { "elsewhere", crash_elsewhere, true },
	{ "stuck", crash_stuck, true }, { "reboot", reset_reboot, false },
	{ "poweroff", reset_poweroff, false }, { "wx", crash_wx, false },
	{ "nx", crash_nx, false }, { "nullptr", crash_nullptr, false },
};

enum err crashtest_run(void)
{
	for (unsigned i = 0; i < COUNT(tests); i++) {
		if (strcmp(boot_options.test, tests[i].name))
			continue;
		log_line("crash test: %s", tests[i].name);
		tests[i].run();
		if (!tests[i].later)
			return fail(ERR_NOT_SUPPORTED,
			            "crash test: %s came back: the host is not protected",
			            tests[i].name);
	}
	return OK;
}
