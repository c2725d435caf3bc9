/* SPDX-License-Identifier: MIT */
/*
 * trap_entry.S - 256 entry stubs, the common path to C, and the way out of trap_try().
 *
 * Each stub is 16 bytes: an error code (0 where the CPU pushes none), the vector, a jump.
 * trap_common completes struct trap_frame of lib/trap.h, calls trap_dispatch(frame), restores all.
 */
#include "lib/callee_saved.h"

	.text
	.balign	16
	.globl	trap_stubs
trap_stubs:
	vector = 0
	.rept	256
	.balign	16
	/* SDM vol. 3, "Exception and Interrupt Reference": these push an error code. */
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push	$0
	.endif
	push	$vector
	jmp	trap_common
	vector = vector + 1
	.endr

trap_common:
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	cld
	call	trap_dispatch
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	add	$16, %rsp
	iretq

	/* int trap_try(void (*function)(uint64_t), uint64_t argument) */
	.globl	trap_try, trap_try_caught, trap_try_rsp
trap_try:
	push_callee_saved
	sub	$8, %rsp
	mov	%rsp, trap_try_rsp
	mov	%rdi, %rax
	mov	%rsi, %rdi
	call	*%rax
	mov	$-1, %eax
	jmp	1f
trap_try_caught:                                /* eax = vector, set by trap_dispatch() */
	mov	trap_try_rsp, %rsp
1:	movq	$0, trap_try_rsp
	add	$8, %rsp
	pop_callee_saved
	ret

	.bss
	.balign	8
trap_try_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits
