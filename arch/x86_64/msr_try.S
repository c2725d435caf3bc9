/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/msr_try.S - RDMSR of a register that may not be there.
 *
 * bool msr_try(uint32_t index, uint64_t *value)
 *
 *   out   al   1 and the value, or 0 when the CPU has no such register: its #GP comes from the
 *              instruction at msr_try_rdmsr and trap_handle() goes on at msr_try_missing.
 */
	.text
	.globl	msr_try, msr_try_rdmsr, msr_try_missing
	.type	msr_try, @function
msr_try:
	mov	%edi, %ecx
msr_try_rdmsr:
	rdmsr
	shl	$32, %rdx
	mov	%eax, %eax
	or	%rdx, %rax
	mov	%rax, (%rsi)
	mov	$1, %eax
	ret
msr_try_missing:
	xor	%eax, %eax
	ret
	.size	msr_try, . - msr_try

	.section .note.GNU-stack, "", @progbits
