/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/ap.S - another CPU's first instructions: from real mode to C (arch/x86_64/smp.c).
 *
 * In:    CS:IP is the start of the page to which ap_trampoline was copied; real mode, interrupts
 *        off (SDM vol. 3, "MP Initialization Protocol Algorithm").  smp.c has filled in the two
 *        addresses at its end; the rest of the page is the stack.  ap_boot says what comes after.
 * Out:   smp_ap_main(ap_boot.cpu) on its own stack, with the host's page tables.
 * On the way the CPU uses the map with which the boot CPU began (boot/multiboot2.S), because the
 * host's tables may lie above 4 GiB, which 32-bit code cannot load.
 */
#include "arch/x86_64/defs/boot.h"

	.section .rodata.ap, "a"
	.globl	ap_trampoline, ap_trampoline_end, ap_gdt_address, ap_start_address
	.balign	8
ap_trampoline:
	.code16
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movzwl	%ax, %esp
	shll	$4, %esp
	addl	$EARLY_PAGE_SIZE, %esp
	movl	ap_start_address - ap_trampoline, %ebp
	lgdtl	ap_gdt_register - ap_trampoline
	movl	%cr0, %eax
	orl	$AP_CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	*(ap_start_address - ap_trampoline)
	.balign	4
ap_gdt_register:
	.short	ap_gdt_end - ap_gdt - 1
ap_gdt_address:
	.long	0                       # of ap_gdt
ap_start_address:
	.long	0                       # of ap_start32
	.short	AP_SEL_CODE32
ap_trampoline_end:
	.balign	8
	.globl	ap_gdt
ap_gdt:
	.quad	0, EARLY_GDT_CODE, EARLY_GDT_DATA, AP_GDT_CODE32
ap_gdt_end:

	.section .text.start, "ax"
	.globl	ap_start32
	.code32
ap_start32:                             # EBP has its address
	movw	$EARLY_SEL_DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	leal	early_pml4 - ap_start32(%ebp), %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$EARLY_CR4, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER_NUMBER, %ecx
	rdmsr
	orl	$EARLY_EFER | AP_EFER_NXE, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$EARLY_CR0, %eax
	movl	%eax, %cr0
	pushl	$EARLY_SEL_CODE
	leal	ap_start64 - ap_start32(%ebp), %eax
	pushl	%eax
	lret

	.code64
ap_start64:
	movq	ap_boot(%rip), %rax     # cr3
	movq	%rax, %cr3
	movq	8 + ap_boot(%rip), %rsp # stack_top
	movq	16 + ap_boot(%rip), %rdi # cpu
	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs
	xorl	%ebp, %ebp              # the end of every backtrace
	call	smp_ap_main
	ud2                             # smp_ap_main does not return
