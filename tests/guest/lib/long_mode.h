/* SPDX-License-Identifier: MIT */
/*
 * lib/long_mode.h - the two steps from 32-bit protected mode to 64-bit mode, for start.S,
 * second_entry.S and real_entry.S; a far jump to SEL_CODE64 follows.  SDM vol. 3, "Initializing
 * IA-32e Mode".  Both use eax, the second also ecx and edx.
 */
#ifndef GUEST_LONG_MODE_H
#define GUEST_LONG_MODE_H

#include "lib/layout.h"

	.macro	use_page_tables
	mov	%cr4, %eax
	or	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$page_pml4, %eax
	mov	%eax, %cr3
	.endm

	.macro	activate_long_mode
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
	.endm

#endif
