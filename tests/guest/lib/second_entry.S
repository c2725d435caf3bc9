/* SPDX-License-Identifier: MIT */
/*
 * second_entry.S - the second CPU's way from real mode to second_main(); the first has start.S.
 *
 * On entry (SDM vol. 3, "MP Initialization Protocol"): real mode, cs:ip = SECOND_CODE, interrupts
 * off.  The first CPU has made the page tables and the GDT, and copied second_blob to SECOND_CODE.
 */
#include "lib/layout.h"
#include "lib/long_mode.h"
#include "lib/second.h"

#define LOW(label)  (SECOND_CODE + label - second_blob)

	.text
	.globl	second_blob, second_blob_end

	/* Copied: labels only through LOW(), or absolute ones behind a far jump. */
	.code16
second_blob:
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	LOW(second_gdt)
	mov	%cr0, %eax
	or	$CR0_PE, %eax
	mov	%eax, %cr0
	ljmpl	$SEL_CODE32, $second_protected
	.balign	4
second_gdt:
	.word	SEL_TSS + 16 - 1
	.long	gdt
second_blob_end:

	.code32
second_protected:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	use_page_tables
	activate_long_mode
	ljmp	$SEL_CODE64, $second_long

	.code64
second_long:
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$second_stack_top, %esp
	call	second_main

	.bss
	.balign	16
	.skip	SECOND_STACK_SIZE
second_stack_top:

	.section .note.GNU-stack, "", @progbits
