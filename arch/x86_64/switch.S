/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/switch.S - change from one task's stack to another's (lib/task_arch.h).
 *
 * task_switch: RDI where to keep this stack's pointer, RSI the stack pointer to go on with.  It is
 * an ordinary call, so the caller has saved everything but RBX, RBP and R12 to R15; those are kept
 * on the stack, below the return address. task_prepare: RDI top of a fresh stack, RSI where its
 * task begins; returns in RAX a stack pointer that task_switch can load.
 */
#include "arch/x86_64/regs.h"

	.text
	.globl	task_switch, task_prepare

task_switch:
	push_callee_saved
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	pop_callee_saved
	ret

task_prepare:
	movq	$0, -8(%rdi)            # in place of a return address: the end
	movq	%rsi, -16(%rdi)         # task_switch returns here, with RSP as after a call
	leaq	-64(%rdi), %rax         # six registers below it
	movq	$0, -24(%rdi)           # RBP: no frame above
	movq	$0, -32(%rdi)
	movq	$0, -40(%rdi)
	movq	$0, -48(%rdi)
	movq	$0, -56(%rdi)
	movq	$0, -64(%rdi)
	ret
