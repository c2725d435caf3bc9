/* SPDX-License-Identifier: MIT */
/*
 * lib/sysenter_entry.S - to ring 3 by SYSEXIT, and back by SYSENTER (SDM vol. 2, both).
 *
 * void sysenter_visit(bool wide)
 *
 *   in    edi  the program is 64-bit code (SYSEXIT with REX.W), else 32-bit code
 *   IA32_SYSENTER_EIP must be sysenter_target, and the page of sysenter_program a user page.  The
 *   program uses no stack.  What both sides saw is left in sysenter_seen.
 */
#include "lib/layout.h"
#include "lib/sysenter.h"

#define HIGH_BIT	(1 << 32)

	.text
	.globl	sysenter_visit
sysenter_visit:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, kernel_stack
	movabs	$SYSENTER_USER_RSP, %rcx
	test	%dil, %dil
	jz	1f
	mov	$sysenter_program, %rdx
	sti
	sysexitq
1:	movabs	$program32 + HIGH_BIT, %rdx     /* only the lower halves of both count */
	sti
	sysexitl

	.globl	sysenter_target
sysenter_target:
	mov	%cs, SEEN(0)
	mov	%ss, SEEN(1)
	mov	%rsp, SEEN(2)
	mov	kernel_stack, %rsp
	pushfq
	pop	SEEN(3)
	mov	%rax, SEEN(4)
	mov	%rbx, SEEN(5)
	mov	%rbp, SEEN(6)
	push	$SEL_CODE64
	push	$1f
	lretq
1:	mov	$SEL_DATA, %eax
	mov	%eax, %ss
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.balign	4096
	.globl	sysenter_program
sysenter_program:
	mov	%cs, %eax
	mov	%ss, %ebx
	mov	%rsp, %rbp
	sysenter

	.code32
program32:
	mov	%cs, %eax
	inc	%eax                            /* in 64-bit code a prefix without effect */
	mov	%ss, %ebx
	mov	%esp, %ebp
	sysenter

	.code64
	.balign	4096

	.bss
	.balign	8
kernel_stack: .skip 8
	.globl	sysenter_seen
sysenter_seen: .skip 7 * 8

	.section .note.GNU-stack, "", @progbits
