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
 * Between the exit and `refill` there is no indirect branch and no return, so nothing that the
 * guest taught the predictors is believed before they are tamed (arch/x86_64/hazards.h).
 *
 * Host stack while the guest runs, from RSP up: gpr, host_vmcb, r15, r14, r13, r12,
 * rbx, rbp, return.
 */
#include "arch/x86_64/hazards.h"
#include "arch/x86_64/regs.h"

	.text
	.globl	svm_entry
	.type	svm_entry, @function
svm_entry:
	push_callee_saved
	push	%rdx
	push	%rdi
	mov	%rsi, %rax
	clgi
	sti
	vmload	%rax
	load_guest_regs
	vmrun	%rax			/* afterwards RAX and RSP are the host's again */
	vmsave	%rax
	save_guest_regs
	pop	%rdi			/* gpr */
	pop	%rax
	vmload	%rax			/* the host's TR, FS, GS and SYSCALL registers */
	testb	$DEFENCE_RSB, defences + DEFENCES_ENTRY(%rip)
	jnz	refill			/* before an NMI's handler returns from anything */
4:	cli
	stgi
	clear_guest_regs
	xor	%ecx, %ecx
	pop_callee_saved
	ret

refill:
	refill_rsb
	jmp	4b
	.size	svm_entry, . - svm_entry

	.section .note.GNU-stack, "", @progbits
