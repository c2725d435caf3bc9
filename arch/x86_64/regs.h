/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/regs.h - general registers by the set, for .S files that change whose they are:
 * a task's (switch.S), a guest's (vmx/vmx_entry.S, svm/svm_entry.S).
 */
#ifndef ARCH_X86_64_REGS_H
#define ARCH_X86_64_REGS_H

/* Where a guest's registers are, from the base of an array in the order of enum gpr. */
#define GPR(n)          (8 * (n))
#define RAX             0
#define RCX             1
#define RDX             2
#define RBX             3
#define RBP             5
#define RSI             6
#define RDI             7

/* What System V's calling convention has a function keep.  From RSP up afterwards: R15 to R12,
 * RBX, RBP. */
	.macro	push_callee_saved
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.macro	pop_callee_saved
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	.endm

/* All of the guest's at RDI but RAX and RSP, RDI itself last.  Flags stay. */
	.macro	load_guest_regs
	mov	GPR(RCX)(%rdi), %rcx
	mov	GPR(RDX)(%rdi), %rdx
	mov	GPR(RBX)(%rdi), %rbx
	mov	GPR(RBP)(%rdi), %rbp
	mov	GPR(RSI)(%rdi), %rsi
	mov	GPR(8)(%rdi), %r8
	mov	GPR(9)(%rdi), %r9
	mov	GPR(10)(%rdi), %r10
	mov	GPR(11)(%rdi), %r11
	mov	GPR(12)(%rdi), %r12
	mov	GPR(13)(%rdi), %r13
	mov	GPR(14)(%rdi), %r14
	mov	GPR(15)(%rdi), %r15
	mov	GPR(RDI)(%rdi), %rdi
	.endm

/* The same ones to the array whose address is on top of the stack; RDI has it afterwards. */
	.macro	save_guest_regs
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rcx, GPR(RCX)(%rdi)
	mov	%rdx, GPR(RDX)(%rdi)
	mov	%rbx, GPR(RBX)(%rdi)
	mov	%rbp, GPR(RBP)(%rdi)
	mov	%rsi, GPR(RSI)(%rdi)
	mov	%r8, GPR(8)(%rdi)
	mov	%r9, GPR(9)(%rdi)
	mov	%r10, GPR(10)(%rdi)
	mov	%r11, GPR(11)(%rdi)
	mov	%r12, GPR(12)(%rdi)
	mov	%r13, GPR(13)(%rdi)
	mov	%r14, GPR(14)(%rdi)
	mov	%r15, GPR(15)(%rdi)
	pop	GPR(RDI)(%rdi)
	.endm

/* Nothing of the guest in what C may clobber, but RDI, which is the array's address, and RCX.
 * Flags change. */
	.macro	clear_guest_regs
	xor	%eax, %eax
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	.endm

/* Returns to nowhere push the guest's out of the return stack buffer; a wrong guess waits there.
 * EAX is lost. */
#define RSB_ENTRIES     32
	.macro	refill_rsb
	mov	$(RSB_ENTRIES / 2), %eax
5:	call	6f
7:	pause
	lfence
	jmp	7b
6:	call	9f
7:	pause
	lfence
	jmp	7b
9:	dec	%eax
	jnz	5b
	add	$(8 * RSB_ENTRIES), %rsp
	lfence
	.endm

#endif
