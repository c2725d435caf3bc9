/* SPDX-License-Identifier: MIT */
/*
 * boot/multiboot2.S - the first instructions: from the boot loader's 32 bits to C in 64.
 *
 * In:    EAX the multiboot2 magic, EBX the address of its information; protected mode, flat
 *        segments, no paging, interrupts off (Multiboot2 Specification 2.0, "I386 machine state").
 * Out:   boot_main(information, TSC at entry) on the boot stack, interrupts off, the first 4 GiB
 *        mapped one to one and writable and executable; boot/memory.c replaces that map.
 * A loader that is not multiboot2, or a CPU without long mode, gets a sentence on COM1 and on the
 * VGA text screen, and a halt.
 *
 * Another way in (EFI with boot services on, 64 bits from the start) would be one more header tag
 * and one more entry that joins at start64.
 */
#include "arch/x86_64/defs/boot.h"

	.section .multiboot2, "a"
	.balign 8
header:
	.long	MULTIBOOT2_HEADER_MAGIC, MULTIBOOT2_ARCH_I386, header_end - header
	.long	-(MULTIBOOT2_HEADER_MAGIC + MULTIBOOT2_ARCH_I386 + (header_end - header))
	.balign 8
framebuffer_tag:                        # a screen is welcome, any size; none is fine as well
	.short	MULTIBOOT2_TAG_FRAMEBUFFER, MULTIBOOT2_TAG_OPTIONAL
	.long	framebuffer_tag_end - framebuffer_tag
	.long	SCREEN_WIDTH, SCREEN_HEIGHT, SCREEN_BITS
framebuffer_tag_end:
	.balign 8
modules_tag:                            # modules begin on pages: nothing of ours shares one
	.short	MULTIBOOT2_TAG_MODULE_ALIGN, 0
	.long	modules_tag_end - modules_tag
modules_tag_end:
	.balign 8
	.short	MULTIBOOT2_TAG_END, 0
	.long	8
header_end:

	.section .text.start, "ax"
	.code32
	.globl	multiboot2_start
multiboot2_start:
	cli
	cld
	movl	$boot_stack_top, %esp
	movl	%eax, %ecx
	rdtsc
	movl	%eax, %esi              # EDI:ESI: when we began
	movl	%edx, %edi
	cmpl	$MULTIBOOT2_LOADER_MAGIC, %ecx
	movl	$not_multiboot2, %ebp
	jne	refuse
	pushl	%ebx
	movl	$CPUID_EXT_MAX, %eax    # every CPU that GRUB runs on has CPUID
	cpuid
	cmpl	$CPUID_EXT_FEATURES, %eax
	movl	$no_long_mode, %ebp
	jb	refuse
	movl	$CPUID_EXT_FEATURES, %eax
	cpuid
	btl	$CPUID_LM_BIT, %edx
	jnc	refuse

	# The first 4 GiB, one to one: one PML4 entry, four PDPT entries, 2048 leaves of 2 MiB.
	movl	$early_pdpt + EARLY_TABLE, early_pml4
	movl	$early_pd + EARLY_TABLE, %eax
	movl	$early_pdpt, %edx
1:	movl	%eax, (%edx)
	addl	$EARLY_PAGE_SIZE, %eax
	addl	$EARLY_ENTRY_SIZE, %edx
	cmpl	$early_pdpt + EARLY_GIBS * EARLY_ENTRY_SIZE, %edx
	jb	1b
	movl	$EARLY_LEAF, %eax
	movl	$early_pd, %edx
1:	movl	%eax, (%edx)
	addl	$EARLY_LEAF_SIZE, %eax
	addl	$EARLY_ENTRY_SIZE, %edx
	cmpl	$early_pd + EARLY_GIBS * EARLY_PAGE_SIZE, %edx
	jb	1b

	movl	$early_pml4, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$EARLY_CR4, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER_NUMBER, %ecx
	rdmsr
	orl	$EARLY_EFER, %eax
	wrmsr
	popl	%ebx
	movl	%cr0, %eax
	orl	$EARLY_CR0, %eax
	movl	%eax, %cr0
	lgdt	early_gdt_register
	ljmp	$EARLY_SEL_CODE, $start64

# Say the sentence at EBP on COM1 and in white on red on the VGA text screen, then halt.
refuse:
	movl	$VGA_TEXT, %edi
	movl	$uart_setup, %esi
1:	movw	(%esi), %dx
	testw	%dx, %dx
	jz	2f
	movb	2(%esi), %al
	outb	%al, %dx
	addl	$3, %esi
	jmp	1b
2:	movb	(%ebp), %bl
	testb	%bl, %bl
	jz	4f
	movl	$UART_PATIENCE, %ecx    # a UART that is not there must not hold us
	movw	$COM1_LSR, %dx
3:	inb	%dx, %al
	testb	$COM1_LSR_THRE, %al
	loopz	3b
	movb	%bl, %al
	movw	$COM1_DATA, %dx
	outb	%al, %dx
	movb	%bl, (%edi)
	movb	$VGA_WHITE_ON_RED, 1(%edi)
	addl	$2, %edi
	incl	%ebp
	jmp	2b
4:	cli
	hlt
	jmp	4b

	.code64
start64:
	movw	$EARLY_SEL_DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs
	movl	$boot_stack_top, %esp   # writing ESP clears the upper half of RSP
	xorl	%ebp, %ebp              # the end of every backtrace
	movl	%esi, %esi
	shlq	$32, %rdi
	orq	%rdi, %rsi
	movl	%ebx, %edi
	call	boot_main
	ud2                             # boot_main does not return

	.section .rodata.start, "a"
not_multiboot2:
	.asciz	"godwit: stopped: not started by multiboot2; in GRUB use the command multiboot2"
no_long_mode:
	.asciz	"godwit: stopped: this CPU has no 64-bit mode (long mode)"
	.balign 8
early_gdt:
	.quad	0, EARLY_GDT_CODE, EARLY_GDT_DATA
early_gdt_end:
early_gdt_register:
	.short	early_gdt_end - early_gdt - 1
	.long	early_gdt
uart_setup:                             # port, value: 115200 8N1, FIFO on; ends with port 0
	.short	COM1_LCR
	.byte	COM1_LCR_DLAB
	.short	COM1_DATA
	.byte	COM1_DIVISOR_115200
	.short	COM1_IER
	.byte	0
	.short	COM1_LCR
	.byte	COM1_LCR_8N1
	.short	COM1_FCR
	.byte	COM1_FCR_ON
	.short	0

	# The stack of boot and, later, of the scheduler; stack.c unmaps the page below it.
	.section .bss.stacks, "aw", @nobits
	.balign EARLY_PAGE_SIZE
	.globl	boot_stack_guard, boot_stack_top
boot_stack_guard:
	.skip	EARLY_PAGE_SIZE
	.skip	BOOT_STACK_BYTES
boot_stack_top:
	.balign EARLY_PAGE_SIZE
early_pml4:
	.skip	EARLY_PAGE_SIZE
early_pdpt:
	.skip	EARLY_PAGE_SIZE
early_pd:
	.skip	EARLY_PAGE_SIZE * EARLY_GIBS
