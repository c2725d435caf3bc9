/* SPDX-License-Identifier: MIT */
/*
 * lib/callee_saved.h - for .S files: the registers that System V's calling convention has a
 * function keep.  48 bytes of stack; afterwards it is off its 16 bytes by 8, as at the entry.
 */
#ifndef GUEST_CALLEE_SAVED_H
#define GUEST_CALLEE_SAVED_H

	.macro	push_callee_saved
	push	%rbx
	push	%rbp
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
	pop	%rbp
	pop	%rbx
	.endm

#endif
