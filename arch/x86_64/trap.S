/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/trap.S - 256 entries from the CPU, one way to trap_handle() (arch/x86_64/idt.c).
 *
 * In:   what the CPU pushed (SS, RSP, RFLAGS, CS, RIP, for some vectors an error code).
 * Out:  struct trap_frame complete on the stack, its address in RDI; on return all registers are
 *       as before.  Interrupts are off throughout.
 * Entries are TRAP_ENTRY_BYTES apart, so that idt.c computes their addresses.
 */
#include "arch/x86_64/defs/trap.h"

	.text
	.balign	TRAP_ENTRY_BYTES
	.globl	trap_entries
trap_entries:
	.set	vector, 0
	.rept	TRAP_VECTORS
	.balign	TRAP_ENTRY_BYTES
	.if	vector >= 32 || !((TRAP_HAS_ERROR >> (vector & 31)) & 1)
	pushq	$0                      # in place of the error code
	.endif
	pushq	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

	.balign	TRAP_ENTRY_BYTES
trap_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	trap_handle             # RSP is aligned: the CPU aligned it, then 22 words in all
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp               # vector and error code
	iretq
