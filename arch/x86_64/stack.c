/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/stack.c - every stack of the host, each with an unmapped guard page below it.
 *
 * A stack that overflows runs into its guard page; the CPU cannot push the page fault there and
 * takes a double fault, which has a stack of its own: panic.c then names the stack that was too
 * small.  The boot CPU's and the tasks' stacks are fixed pools in bss; those of the other CPUs are
 * taken from free memory, because most machines have far fewer than CPUS_MAX.
 */
#include "arch/x86_64/stack.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/boot.h"
#include "arch/x86_64/paging.h"
#include "lib/config.h"
#include "lib/pages.h"
#include "lib/task_arch.h"

#define IST_STACK_PAGES 2
#define SCHEDULER_PAGES 4

struct ist_stack  { uint8_t guard[PAGE_SIZE], space[IST_STACK_PAGES * PAGE_SIZE]; };
struct task_stack { uint8_t guard[PAGE_SIZE], space[TASK_STACK_PAGES * PAGE_SIZE]; };

struct cpu_stacks {
	uint8_t guard[PAGE_SIZE], scheduler[SCHEDULER_PAGES * PAGE_SIZE];
	struct ist_stack ist[IST_COUNT];
};

static struct ist_stack boot_ist[IST_COUNT]
	__attribute__((aligned(PAGE_SIZE), section(".bss.stacks")));
static struct task_stack task_stacks[TASKS_MAX]
	__attribute__((aligned(PAGE_SIZE), section(".bss.stacks")));
static bool task_stack_used[TASKS_MAX];
static struct cpu_stacks *cpu_stacks;           /* of CPU 1 and up; NULL: there is one CPU */
static unsigned ncpu_stacks;
extern uint8_t boot_stack_guard[PAGE_SIZE], boot_stack_top[];

enum err stack_guards_init(void)
{
	enum err e = paging_guard(boot_stack_guard);

	for (unsigned i = 0; e == OK && i < IST_COUNT; i++)
		e = paging_guard(boot_ist[i].guard);
	for (unsigned i = 0; e == OK && i < TASKS_MAX; i++)
		e = paging_guard(task_stacks[i].guard);
	return e;
}

enum err stack_cpus_init(unsigned n)
{
	hpa_t memory;
	enum err e = frames_alloc_run((unsigned)((n * sizeof(*cpu_stacks) + FRAME_SIZE - 1) /
	                                         FRAME_SIZE), &memory);

	if (e != OK)
		return e;
	cpu_stacks = hpa_ptr(memory);
	ncpu_stacks = n;
	for (struct cpu_stacks *s = cpu_stacks; e == OK && s < cpu_stacks + n; s++) {
		e = paging_guard(s->guard);
		for (unsigned i = 0; e == OK && i < IST_COUNT; i++)
			e = paging_guard(s->ist[i].guard);
	}
	return e;
}

void *stack_ist_top(unsigned cpu, unsigned i)
{
	/* entry i - 1 ends where entry i begins */
	return cpu ? &cpu_stacks[cpu - 1].ist[i] : &boot_ist[i];
}

void *stack_scheduler_top(unsigned cpu)
{
	return cpu ? cpu_stacks[cpu - 1].scheduler + sizeof(cpu_stacks->scheduler)
	           : boot_stack_top;
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

static bool in_ist_guard(const struct ist_stack ist[IST_COUNT], uint64_t address)
{
	for (unsigned i = 0; i < IST_COUNT; i++)
		if (inside(ist[i].guard, ist[i].space, address))
			return true;
	return false;
}

const char *stack_of_guard(uint64_t address)
{
	bool ist = in_ist_guard(boot_ist, address);

	if (inside(boot_stack_guard, boot_stack_guard + PAGE_SIZE, address))
		return "the boot and scheduler stack";
	for (unsigned i = 0; i < TASKS_MAX; i++)
		if (inside(task_stacks[i].guard, task_stacks[i].space, address))
			return "a task's stack";
	for (unsigned i = 0; i < ncpu_stacks; i++) {
		if (inside(cpu_stacks[i].guard, cpu_stacks[i].scheduler, address))
			return "another CPU's scheduler stack";
		ist |= in_ist_guard(cpu_stacks[i].ist, address);
	}
	return ist ? "an interrupt stack (IST)" : NULL;
}

static const void *end_of_ist(const struct ist_stack ist[IST_COUNT], uint64_t address)
{
	for (unsigned i = 0; i < IST_COUNT; i++)
		if (inside(ist[i].space, ist + i + 1, address))
			return ist + i + 1;
	return NULL;
}

static const void *end_of_stack(uint64_t address)
{
	const void *end = end_of_ist(boot_ist, address);

	if (inside(boot_stack_guard + PAGE_SIZE, boot_stack_top, address))
		return boot_stack_top;
	for (unsigned i = 0; i < TASKS_MAX; i++)
		if (inside(task_stacks[i].space, task_stacks + i + 1, address))
			return task_stacks + i + 1;
	for (unsigned i = 0; i < ncpu_stacks && !end; i++)
		end = inside(cpu_stacks[i].scheduler, cpu_stacks[i].ist, address)
		      ? cpu_stacks[i].ist : end_of_ist(cpu_stacks[i].ist, address);
	return end;
}

bool stack_contains(uint64_t address, uint64_t len)
{
	const void *end = end_of_stack(address);

	return end && len <= (uintptr_t)end - address;
}
