/* SPDX-License-Identifier: MIT */
/*
 * tests/host/support.c - what pure files need from the machine, for tests on the host: a clock and
 * CPUs that tests set, and a panic that fails the test (or is expected: see support.h).
 */
#include "tests/host/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cpu.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"

uint64_t support_now_ns;
uint64_t support_tsc_khz = 1000000;
jmp_buf *support_panic_to;
char support_panic_text[256];

struct host_cpu *support_cpu = host_cpus;
void (*support_poked)(const struct host_cpu *c, bool hard);
void (*support_paused)(void);

struct host_cpu *cpu_here(void) { return support_cpu; }

void cpu_poke(const struct host_cpu *c)
{
	if (support_poked)
		support_poked(c, false);
}

void cpu_poke_hard(const struct host_cpu *c)
{
	if (support_poked)
		support_poked(c, true);
}

void cpu_pause(void)
{
	if (support_paused)
		support_paused();
}

uint64_t time_now_ns(void) { return support_now_ns; }
uint64_t time_tsc(void) { return time_ns_to_tsc(support_now_ns); }
uint64_t time_tsc_khz(void) { return support_tsc_khz; }
uint64_t time_tsc_to_ns(uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * 1000000 / support_tsc_khz);
}
uint64_t time_ns_to_tsc(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * support_tsc_khz / 1000000);
}

/* Where a test has a scheduler, its own counts. */
__attribute__((weak)) void task_breathe(void) { }

_Noreturn void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(support_panic_text, sizeof(support_panic_text), fmt, args);
	va_end(args);
	if (support_panic_to)
		longjmp(*support_panic_to, 1);
	fprintf(stderr, "panic: %s\n", support_panic_text);
	abort();
}
