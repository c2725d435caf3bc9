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
#include "arch/x86_64/regs.h"

#define VMX_LAUNCHED	1		/* as in vmx.h */
#define VMCS_HOST_RSP	0x6c14		/* as in defs/vmx.h */
#define MSR_SPEC_CTRL	0x48		/* as in defs/msr.h */
#define SPEC_CTRL_IBRS	1
#define SEL_DATA	0x10		/* CPU_SEL_DATA: VERW wants a selector that it may write */

	.text
	.globl	vmx_entry
	.type	vmx_entry, @function
vmx_entry:
	push_callee_saved
	push	%rsi
	push	%rdi
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	refused
	test	$(DEFENCE_VERW | DEFENCE_IBRS), %sil
	jnz	before_entry
2:	test	$VMX_LAUNCHED, %sil	/* ZF: not launched; MOV leaves it alone */
	mov	GPR(RAX)(%rdi), %rax
	load_guest_regs
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
	save_guest_regs
	mov	%rax, GPR(RAX)(%rdi)
	add	$8, %rsp
	clear_guest_regs
	pop	%rcx			/* how */
	test	$(DEFENCE_RSB | DEFENCE_IBRS), %cl
	jnz	after_exit
4:	xor	%ecx, %ecx
leave:
	pop_callee_saved
	ret

after_exit:
	test	$DEFENCE_RSB, %cl
	jz	8f
	refill_rsb
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
