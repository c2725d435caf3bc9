/* SPDX-License-Identifier: MIT */
/*
 * lib/sysenter_entry.S - to ring 3 by SYSEXIT, and back by SYSENTER or SYSCALL (SDM vol. 2).
 *
 * void sysenter_visit(bool wide)
 *
 *   in    edi  the program is 64-bit code (SYSEXIT with REX.W), else 32-bit code
 *   IA32_SYSENTER_EIP must be sysenter_target, and the page of sysenter_program a user page.  The
 *   program uses no stack.  What both sides saw is left in sysenter_seen.
 *
 * enum syscall_came syscall_visit(void)
 *
 *   out   eax  SYSCALL in 32-bit code came to syscall_undefined, syscall_lstar or syscall_cstar
 */
#include "lib/callee_saved.h"
#include "lib/layout.h"
#include "lib/sysenter.h"

#define HIGH_BIT	(1 << 32)

	.macro	leave_kernel
	push_callee_saved
	mov	%rsp, kernel_stack
	.endm

	.text
	.globl	sysenter_visit
sysenter_visit:
	leave_kernel
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
back:	push	$SEL_CODE64
	push	$1f
	lretq
1:	mov	$SEL_DATA, %ecx
	mov	%ecx, %ss
	pop_callee_saved
	ret

	.globl	syscall_visit
syscall_visit:
	leave_kernel
	mov	$program32_syscall, %edx
	sysexitl

	.globl	syscall_undefined, syscall_lstar, syscall_cstar
syscall_undefined:
	mov	$0, %eax
	jmp	1f
syscall_lstar:
	mov	$1, %eax
	jmp	1f
syscall_cstar:
	mov	$2, %eax
1:	mov	kernel_stack, %rsp
	jmp	back

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

program32_syscall:
	syscall

	.code64
	.balign	4096

	.bss
	.balign	8
kernel_stack: .skip 8
	.globl	sysenter_seen
sysenter_seen: .skip 7 * 8

	.section .note.GNU-stack, "", @progbits
