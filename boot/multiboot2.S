/* SPDX-License-Identifier: MIT */
/*
 * boot/multiboot2.S - the first instructions: from the boot loader's 32 bits to C in 64.
 *
 * In:    EAX the multiboot2 magic, EBX the address of its information; protected mode, flat
 *        segments, no paging, interrupts off, no stack (Multiboot2 Specification 2.0, "I386 machine
 *        state").  The same from BIOS and from UEFI: GRUB has left the firmware's boot services.
 * Out:   boot_main(information, TSC at entry) on the boot stack, interrupts off, the first 4 GiB
 *        mapped one to one and writable and executable; boot/memory.c replaces that map.
 * A loader that is not multiboot2, or a CPU without long mode, gets a sentence on COM1 and on the
 * VGA text screen, and a halt.
 *
 * The image is linked at 2 MiB, and GRUB puts it there where that memory is free; where firmware
 * keeps something in the way (UEFI may), it comes to lie elsewhere below 4 GiB.  So this code names
 * nothing by absolute address, and boot/relocate.c moves the pointers of the rest.
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
relocatable_tag:                        # the lowest free place, on large pages
	.short	MULTIBOOT2_TAG_RELOCATABLE, 0
	.long	relocatable_tag_end - relocatable_tag
	.long	IMAGE_LINK_BASE, IMAGE_ADDRESS_MAX, EARLY_LEAF_SIZE, MULTIBOOT2_LOWEST
relocatable_tag_end:
	.balign 8
	.short	MULTIBOOT2_TAG_END, 0
	.long	8
header_end:

	.globl	image_link_base         # linker.ld compares it with its own
	image_link_base = IMAGE_LINK_BASE

/* Where `symbol` is: EBP has the address of `here`. */
#define AT(symbol) (symbol - here)(%ebp)

	.section .text.start, "ax"
	.code32
	.globl	multiboot2_start
multiboot2_start:
	cli
	cld
	movl	%eax, %ecx
	rdtsc
	movl	%eax, %esi              # EDI:ESI: when we began
	movl	%edx, %edi
	# One word of stack, to learn where we are: the information has a reserved one for it.
	leal	MULTIBOOT2_RESERVED_END(%ebx), %esp
	cmpl	$MULTIBOOT2_LOADER_MAGIC, %ecx
	je	1f
	movl	$LOW_STACK, %esp        # another loader's: some memory that every PC has
1:	call	here
here:	popl	%ebp
	leal	AT(boot_stack_top), %esp
	pushl	%ebx
	leal	AT(not_multiboot2), %ebx
	cmpl	$MULTIBOOT2_LOADER_MAGIC, %ecx
	jne	refuse
	movl	$CPUID_EXT_MAX, %eax    # every CPU that GRUB runs on has CPUID
	cpuid
	leal	AT(no_long_mode), %ebx
	cmpl	$CPUID_EXT_FEATURES, %eax
	jb	refuse
	movl	$CPUID_EXT_FEATURES, %eax
	cpuid
	leal	AT(no_long_mode), %ebx
	btl	$CPUID_LM_BIT, %edx
	jnc	refuse

	# The first 4 GiB, one to one: one PML4 entry, four PDPT entries, 2048 leaves of 2 MiB.
	# ap.S uses this map again.
	leal	AT(early_pdpt), %edx
	leal	EARLY_TABLE(%edx), %eax
	movl	%eax, AT(early_pml4)
	leal	AT(early_pd), %eax
	orl	$EARLY_TABLE, %eax
	leal	EARLY_GIBS * EARLY_ENTRY_SIZE(%edx), %ecx
1:	movl	%eax, (%edx)
	addl	$EARLY_PAGE_SIZE, %eax
	addl	$EARLY_ENTRY_SIZE, %edx
	cmpl	%ecx, %edx
	jb	1b
	movl	$EARLY_LEAF, %eax
	leal	AT(early_pd), %edx
	leal	EARLY_GIBS * EARLY_PAGE_SIZE(%edx), %ecx
1:	movl	%eax, (%edx)
	addl	$EARLY_LEAF_SIZE, %eax
	addl	$EARLY_ENTRY_SIZE, %edx
	cmpl	%ecx, %edx
	jb	1b

	leal	AT(early_pml4), %eax
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
	leal	AT(early_gdt), %eax
	pushl	%eax
	pushw	$early_gdt_end - early_gdt - 1
	lgdt	(%esp)
	pushl	$EARLY_SEL_CODE
	leal	AT(start64), %eax
	pushl	%eax
	lret

# Say the sentence at EBX on COM1 and in white on red on the VGA text screen, then halt.
refuse:
	movl	$VGA_TEXT, %edi
	leal	AT(uart_setup), %esi
1:	movw	(%esi), %dx
	testw	%dx, %dx
	jz	2f
	movb	2(%esi), %al
	outb	%al, %dx
	addl	$3, %esi
	jmp	1b
2:	movb	(%ebx), %ah
	testb	%ah, %ah
	jz	4f
	movl	$UART_PATIENCE, %ecx    # a UART that is not there must not hold us
	movw	$COM1_LSR, %dx
3:	inb	%dx, %al
	testb	$COM1_LSR_THRE, %al
	loopz	3b
	movb	%ah, %al
	movw	$COM1_DATA, %dx
	outb	%al, %dx
	movb	%al, (%edi)
	movb	$VGA_WHITE_ON_RED, 1(%edi)
	addl	$2, %edi
	incl	%ebx
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
	leaq	boot_stack_top(%rip), %rsp
	xorl	%ebp, %ebp              # the end of every backtrace
	movl	%esi, %r12d
	shlq	$32, %rdi
	orq	%rdi, %r12
	movl	%ebx, %ebx              # the upper half is not known to be 0
	call	relocate_image
	movq	%rbx, %rdi
	movq	%r12, %rsi
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
	.globl	boot_stack_guard, boot_stack_top, early_pml4
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
