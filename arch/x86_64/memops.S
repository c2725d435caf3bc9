/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/memops.S - memcpy, memmove and memset by string instructions.
 *
 * System V calling convention; only caller-saved registers change, the direction flag is clear on
 * entry and on return.  Quadwords first and the tail by bytes: fast strings make that as quick as
 * vector code from a few hundred bytes on, and it touches no FPU state, which belongs to guests.
 */
	.text

	.globl	memcpy
	.type	memcpy, @function
memcpy:				/* rdi: to, rsi: from, rdx: bytes; returns to */
	mov	%rdi, %rax
	mov	%rdx, %rcx
	shr	$3, %rcx
	rep movsq
	mov	%edx, %ecx
	and	$7, %ecx
	jz	1f
	rep movsb
1:	ret
	.size	memcpy, . - memcpy

	.globl	memmove
	.type	memmove, @function
memmove:
	mov	%rdi, %rax
	sub	%rsi, %rax		/* to - from, unsigned: below n only if "to" is in "from" */
	cmp	%rdx, %rax
	jae	memcpy
	mov	%rdi, %rax
	mov	%rdx, %rcx
	lea	-1(%rdi, %rdx), %rdi
	lea	-1(%rsi, %rdx), %rsi
	std				/* backwards: rare, so by bytes */
	rep movsb
	cld
	ret
	.size	memmove, . - memmove

	.globl	memset
	.type	memset, @function
memset:				/* rdi: to, esi: byte, rdx: bytes; returns to */
	mov	%rdi, %r8
	movzbl	%sil, %eax
	mov	$0x0101010101010101, %rcx
	imul	%rcx, %rax
	mov	%rdx, %rcx
	shr	$3, %rcx
	rep stosq
	mov	%edx, %ecx
	and	$7, %ecx
	jz	1f
	rep stosb
1:	mov	%r8, %rax
	ret
	.size	memset, . - memset

	.section .note.GNU-stack, "", @progbits
