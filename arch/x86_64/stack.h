/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/stack.h - every stack of the host, each with an unmapped guard page below it.
 * Implements the stacks of lib/task_arch.h.
 */
#ifndef ARCH_X86_64_STACK_H
#define ARCH_X86_64_STACK_H

#include "lib/err.h"
#include "lib/types.h"

/* Take all guard pages out of the map; after paging_init(). */
enum err stack_guards_init(void);

/* Stacks for `n` CPUs beside the boot CPU (numbers 1 to n), with their guard pages; once. */
enum err stack_cpus_init(unsigned n);

/* Top of a CPU's stack for IST entry `i` (IST_DOUBLE_FAULT ...); of its scheduler's. */
void *stack_ist_top(unsigned cpu, unsigned i);
void *stack_scheduler_top(unsigned cpu);

/* The name of the stack whose guard page holds `address`, or NULL: for the double-fault screen. */
const char *stack_of_guard(uint64_t address);

/* True when [address, address + len) lies within one stack: a backtrace reads nothing else. */
bool stack_contains(uint64_t address, uint64_t len);

#endif
