/* SPDX-License-Identifier: MIT */
/*
 * start.S - a micro-guest's first instructions: multiboot1 entry, then 64-bit mode, then C.
 *
 * On entry (Multiboot Specification 0.6.96, "Machine state"): 32-bit protected mode, paging off,
 * eax = 0x2badb002, ebx = physical address of the multiboot information; no stack, no IDT.
 * On leaving: long mode, the first 4 GiB mapped 1:1 by 2 MiB pages, interrupts off, own GDT and
 * stack, guest_start(magic, info) called.  Selectors below are those of lib/trap.h.
 */
#include "lib/layout.h"
#include "lib/long_mode.h"

#define MULTIBOOT_MAGIC  0x1badb002
/* page-aligned modules; memory information wanted */
#define MULTIBOOT_FLAGS  0x00000003

	.section .multiboot, "a"
	.balign 4
	.long	MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.code32
	.globl	start
start:
	cli
	cld
	mov	$stack_top, %esp
	mov	%eax, %edi                      /* first argument: the magic number  */
	mov	%ebx, %esi                      /* second: the multiboot information */

	/* Page tables: one PML4 entry, four PDPT entries, 2048 large pages of 2 MiB. */
	mov	$page_pdpt + PTE_PRESENT_WRITE, %eax
	mov	%eax, page_pml4
	xor	%ecx, %ecx
	mov	$page_pd + PTE_PRESENT_WRITE, %eax
1:	mov	%eax, page_pdpt(, %ecx, 8)
	add	$4096, %eax
	inc	%ecx
	cmp	$4, %ecx
	jne	1b
	xor	%ecx, %ecx
	mov	$PTE_PRESENT_WRITE + PTE_LARGE, %eax
2:	mov	%eax, page_pd(, %ecx, 8)
	add	$2 << 20, %eax
	inc	%ecx
	cmp	$2048, %ecx
	jne	2b

	use_page_tables
	activate_long_mode
	lgdt	gdt_pointer
	ljmp	$SEL_CODE64, $start64

	.code64
start64:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%edi, %edi                      /* zero-extend both arguments */
	mov	%esi, %esi
	call	guest_start
3:	cli
	hlt
	jmp	3b

	.data
	.balign	8
	.globl	gdt
gdt:	.quad	0                               /* null                                     */
	.quad	0x00af9b000000ffff              /* SEL_CODE64: 64-bit code, ring 0           */
	.quad	0x00cf93000000ffff              /* SEL_DATA:   flat data                     */
	.quad	0x00cf9b000000ffff              /* SEL_CODE32: flat 32-bit code              */
	.quad	0x00009b000000ffff              /* SEL_CODE16: 64 KiB of 16-bit code at 0    */
	.quad	0x000093000000ffff              /* SEL_DATA16: 64 KiB of data at 0           */
	.quad	0, 0                            /* SEL_TSS:    filled in by trap_init()      */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.bss
	.balign	4096
	.globl	page_pml4, page_pdpt, page_pd
page_pml4: .skip 4096
page_pdpt: .skip 4096
page_pd:   .skip 4 * 4096
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
