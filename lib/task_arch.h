/* SPDX-License-Identifier: MIT */
/*
 * lib/task_arch.h - what lib/task.c needs from the machine: stacks, and changing between them.
 * Implemented by arch/x86_64 (switch.S, paging.c); host tests have their own.
 */
#ifndef LIB_TASK_ARCH_H
#define LIB_TASK_ARCH_H

/*
 * A stack of TASK_STACK_PAGES with an unmapped guard page below; returns its top, 16-byte aligned,
 * or NULL.
 */
void *task_stack_alloc(void);
void  task_stack_free(void *top);

/*
 * Make a fresh stack on which task_switch() enters `start` (which never returns); gives the stack
 * pointer to load.
 */
void *task_prepare(void *top, void (*start)(void));

/*
 * Save the callee-saved registers on this stack, its pointer in *save, and go on with stack `load`.
 */
void  task_switch(void **save, void *load);

#endif
