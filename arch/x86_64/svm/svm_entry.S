/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_entry.S - into the guest and back.
 *
 * void svm_entry(uint64_t gpr[16], uint64_t guest_vmcb, uint64_t host_vmcb)
 *
 *   in    rdi  the guest's general registers, in the order of enum gpr; the slots of RAX and RSP
 *              are not used, the VMCB has them
 *         rsi  host-physical address of the guest's VMCB
 *         rdx  and of the page where this CPU's host keeps what VMLOAD and VMSAVE move
 *   System V's callee-saved registers are kept; the others hold nothing of the guest afterwards,
 *   so that no value chosen by a guest is there for the host to speculate with.
 *
 * From CLGI to STGI nothing interrupts: neither the way in nor the way out may be seen by an NMI
 * handler with a guest's TR loaded.  IF is set in between because VMRUN takes from it whether the
 * interrupts of this machine exit while the guest runs (APM vol. 2, "Virtualizing RFLAGS.IF"); it
 * is clear again before STGI, so an interrupt waits until irq_take().  An NMI is taken at STGI.
 *
 * Host stack while the guest runs, from RSP up: gpr, host_vmcb, r15, r14, r13, r12,
 * rbx, rbp, return.
 */
#define GPR(n)		(8 * (n))	/* the numbers of enum gpr */
#define RCX		1
#define RDX		2
#define RBX		3
#define RBP		5
#define RSI		6
#define RDI		7

	.text
	.globl	svm_entry
	.type	svm_entry, @function
svm_entry:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdx
	push	%rdi
	mov	%rsi, %rax
	clgi
	sti
	vmload	%rax
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
	vmrun	%rax			/* afterwards RAX and RSP are the host's again */
	vmsave	%rax
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
	pop	%rdi			/* gpr */
	pop	%rax
	vmload	%rax			/* the host's TR, FS, GS and SYSCALL registers */
	cli
	stgi
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size	svm_entry, . - svm_entry

	.section .note.GNU-stack, "", @progbits
