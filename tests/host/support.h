/* SPDX-License-Identifier: MIT */
/*
 * tests/host/support.h - the machine as host tests see it; include it first, it brings cmocka.
 * The TSC runs at 1 GHz, so ticks are nanoseconds, unless a test sets another rate.
 */
#ifndef TESTS_HOST_SUPPORT_H
#define TESTS_HOST_SUPPORT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail                                      /* cmocka's macro; ours is in lib/err.h */
#undef fail_msg                                  /* which was made of it                */
#define fail_msg(...)                                            \
	do {                                                     \
		print_error(__VA_ARGS__);                        \
		print_error("\n");                               \
		_fail(__FILE__, __LINE__);                       \
	} while (0)

extern uint64_t support_now_ns;                 /* what time_now_ns() returns      */
extern uint64_t support_tsc_khz;                /* the TSC is now_ns at this rate  */
extern jmp_buf *support_panic_to;               /* where an expected panic goes    */
extern char support_panic_text[256];

/* Which CPU runs the test; what happens when another one is poked, and in each breath of a wait. */
struct host_cpu;
extern struct host_cpu *support_cpu;
extern void (*support_poked)(const struct host_cpu *c, bool hard);
extern void (*support_paused)(void);

/* `statement` must end in panic(). */
#define assert_panics(statement)                                 \
	do {                                                     \
		jmp_buf here;                                    \
		support_panic_to = &here;                        \
		if (!setjmp(here)) {                             \
			statement;                               \
			support_panic_to = NULL;                 \
			print_error("no panic: %s\n", #statement); \
			_fail(__FILE__, __LINE__);               \
		}                                                \
		support_panic_to = NULL;                         \
	} while (0)

#endif
