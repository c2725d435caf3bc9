/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx_entry.S - into the guest and back.
 *
 * enum vmx_entered vmx_entry(uint64_t gpr[16], uint32_t how)
 *
 *   in    rdi  the guest's general registers, in the order of enum gpr; RSP's slot is not used
 *         esi  VMX_LAUNCHED: the VMCS was launched before, so VMRESUME, otherwise VMLAUNCH;
 *              DEFENCE_* against speculation (arch/x86_64/hazards.h)
 *   out   rax  0 after an exit, 1 VMfailValid, 2 VMfailInvalid (SDM vol. 3, "Conventions")
 *   System V's callee-saved registers are kept; the others hold nothing of the guest afterwards,
 *   so that no value chosen by a guest is there for the host to speculate with.
 *   RIP, RSP and RFLAGS of both sides are in the VMCS; an exit clears RFLAGS, so IF and DF are 0.
 *
 * Host stack while the guest runs, from HOST_RSP up:
 *   gpr, how, r15, r14, r13, r12, rbx, rbp, return address
 *
 * Between the exit and the end of `after_exit` there is no indirect branch and no unbalanced
 * return, so nothing that the guest taught the predictors is believed before they are tamed.
 */
#include "arch/x86_64/hazards.h"

#define VMX_LAUNCHED	1		/* as in vmx.h */
#define VMCS_HOST_RSP	0x6c14		/* as in defs/vmx.h */
#define MSR_SPEC_CTRL	0x48		/* as in defs/msr.h */
#define SPEC_CTRL_IBRS	1
#define SEL_DATA	0x10		/* CPU_SEL_DATA: VERW wants a selector that it may write */
#define RSB_ENTRIES	32

#define GPR(n)		(8 * (n))	/* the numbers of enum gpr */
#define RAX		0
#define RCX		1
#define RDX		2
#define RBX		3
#define RBP		5
#define RSI		6
#define RDI		7

	.text
	.globl	vmx_entry
	.type	vmx_entry, @function
vmx_entry:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rsi
	push	%rdi
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	refused
	test	$(DEFENCE_VERW | DEFENCE_IBRS), %sil
	jnz	before_entry
2:	test	$VMX_LAUNCHED, %sil	/* ZF: not launched; MOV leaves it alone */
	mov	GPR(RAX)(%rdi), %rax
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
	jz	1f
	vmresume
	jmp	refused
1:	vmlaunch
refused:				/* only when it failed: CF or ZF says how */
	mov	$1, %eax
	adc	$0, %eax		/* CF: no current VMCS, 2 */
	add	$16, %rsp
	jmp	leave

before_entry:				/* VERW last: what it clears must not fill again */
	test	$DEFENCE_IBRS, %sil
	jz	3f
	mov	$MSR_SPEC_CTRL, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
3:	test	$DEFENCE_VERW, %sil
	jz	2b
	verw	selector(%rip)
	jmp	2b

	.globl	vmx_exit
	.type	vmx_exit, @function
vmx_exit:
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, GPR(RAX)(%rdi)
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
	add	$8, %rsp
	xor	%eax, %eax
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	pop	%rcx			/* how */
	test	$(DEFENCE_RSB | DEFENCE_IBRS), %cl
	jnz	after_exit
4:	xor	%ecx, %ecx
leave:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret

/* Returns to nowhere push the guest's out of the return stack buffer; a wrong guess waits there. */
after_exit:
	test	$DEFENCE_RSB, %cl
	jz	8f
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
8:	test	$DEFENCE_IBRS, %cl
	jz	4b
	mov	$MSR_SPEC_CTRL, %ecx
	mov	$SPEC_CTRL_IBRS, %eax
	xor	%edx, %edx
	wrmsr
	xor	%eax, %eax
	jmp	4b
	.size	vmx_entry, . - vmx_entry

	.section .rodata
selector:
	.word	SEL_DATA

	.section .note.GNU-stack, "", @progbits
