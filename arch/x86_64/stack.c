/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/stack.c - every stack of the host, each with an unmapped guard page below it.
 *
 * A stack that overflows runs into its guard page; the CPU cannot push the page fault there and
 * takes a double fault, which has a stack of its own: panic.c then names the stack that was too
 * small. Stacks are a fixed pool in bss, because a guard page must be 4 KiB of a known place.
 */
#include "arch/x86_64/stack.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/boot.h"
#include "arch/x86_64/paging.h"
#include "lib/config.h"
#include "lib/task_arch.h"

#define IST_STACK_PAGES 2

struct ist_stack  { uint8_t guard[PAGE_SIZE], space[IST_STACK_PAGES * PAGE_SIZE]; };
struct task_stack { uint8_t guard[PAGE_SIZE], space[TASK_STACK_PAGES * PAGE_SIZE]; };

static struct ist_stack ist_stacks[IST_COUNT]
	__attribute__((aligned(PAGE_SIZE), section(".bss.stacks")));
static struct task_stack task_stacks[TASKS_MAX]
	__attribute__((aligned(PAGE_SIZE), section(".bss.stacks")));
static bool task_stack_used[TASKS_MAX];
extern uint8_t boot_stack_guard[PAGE_SIZE], boot_stack_top[];

enum err stack_guards_init(void)
{
	enum err e = paging_guard(boot_stack_guard);

	for (unsigned i = 0; e == OK && i < IST_COUNT; i++)
		e = paging_guard(ist_stacks[i].guard);
	for (unsigned i = 0; e == OK && i < TASKS_MAX; i++)
		e = paging_guard(task_stacks[i].guard);
	return e;
}

void *stack_ist_top(unsigned i)
{
	return &ist_stacks[i];                  /* entry i - 1 ends where entry i begins */
}

void *task_stack_alloc(void)
{
	for (unsigned i = 0; i < TASKS_MAX; i++)
		if (!task_stack_used[i]) {
			task_stack_used[i] = true;
			return task_stacks + i + 1;
		}
	return NULL;
}

void task_stack_free(void *top)
{
	task_stack_used[(struct task_stack *)top - 1 - task_stacks] = false;
}

static bool inside(const void *from, const void *to, uint64_t address)
{
	return address >= (uintptr_t)from && address < (uintptr_t)to;
}

const char *stack_of_guard(uint64_t address)
{
	if (inside(boot_stack_guard, boot_stack_guard + PAGE_SIZE, address))
		return "the boot and scheduler stack";
	for (unsigned i = 0; i < IST_COUNT; i++)
		if (inside(ist_stacks[i].guard, ist_stacks[i].space, address))
			return "an interrupt stack (IST)";
	for (unsigned i = 0; i < TASKS_MAX; i++)
		if (inside(task_stacks[i].guard, task_stacks[i].space, address))
			return "a task's stack";
	return NULL;
}

static const void *end_of_stack(uint64_t address)
{
	if (inside(boot_stack_guard + PAGE_SIZE, boot_stack_top, address))
		return boot_stack_top;
	for (unsigned i = 0; i < IST_COUNT; i++)
		if (inside(ist_stacks[i].space, ist_stacks + i + 1, address))
			return ist_stacks + i + 1;
	for (unsigned i = 0; i < TASKS_MAX; i++)
		if (inside(task_stacks[i].space, task_stacks + i + 1, address))
			return task_stacks + i + 1;
	return NULL;
}

bool stack_contains(uint64_t address, uint64_t len)
{
	const void *end = end_of_stack(address);

	return end && len <= (uintptr_t)end - address;
}
