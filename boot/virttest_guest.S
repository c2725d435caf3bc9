/* SPDX-License-Identifier: MIT */
/*
 * boot/virttest_guest.S - what the guest of boot/virttest.c runs: copied to VIRTTEST_CODE, 0x1000.
 *
 * Each routine does what one test looks at and exits where the test expects it.  A label minus
 * virttest_guest is the IP of 16-bit code, whose CS begins at 0x1000; 64-bit code adds 0x1000.
 */
#define VIRTTEST_CODE	0x1000

	.section .rodata
	.globl	virttest_guest, virttest_guest_end
	.globl	virttest_exits, virttest_halt, virttest_window, virttest_handler, virttest_spin
	.globl	virttest_pages, virttest_registers, virttest_mmio, virttest_cpuid_loop
	.globl	virttest_align, virttest_iret, virttest_step

virttest_guest:

/* --- Real mode --- */
	.code16
virttest_exits:				/* in the order of the table in virttest.c */
	mov	$0x1234, %ax
	cpuid
	mov	$0x5a, %al
	out	%al, $0x80
	mov	$0x3f8, %dx
	in	%dx, %eax
	mov	$3, %cx
	mov	$0x2000, %di
	rep insw
	mov	$0x2000, %si
	fs outsb
	mov	$0x1b, %ecx
	rdmsr
	wrmsr
	wbinvd
	invd
	rdpmc
	vmcall				/* the one is undefined on this CPU, */
	vmmcall				/* the other not: both are hypercalls */
	sti
virttest_halt:
	hlt

virttest_window:			/* nothing is delivered before the first NOP after STI */
	cli
	nop
	hlt
	sti
	nop
	nop
	hlt

virttest_handler:			/* of every vector that the tests use */
	vmcall
	iret

virttest_iret:				/* an NMI handler's end, for the NMI that waits */
	hlt

virttest_step:				/* TF is set: #DB after each instruction */
	nop
	cpuid
	nop
	hlt

virttest_spin:
	jmp	virttest_spin

/* --- 64-bit mode --- */
	.code64
virttest_pages:				/* rcx words at rdi, rsi apart */
	mov	%rcx, (%rdi)
	add	%rsi, %rdi
	dec	%rcx
	jnz	virttest_pages
	hlt

virttest_registers:
	mov	%cr0, %rax
	mov	%rax, %rdx
	bts	$30, %rdx		/* CD: never set, but read back as written */
	mov	%rdx, %cr0
	mov	%cr0, %rbx
	mov	%rax, %cr0
	mov	%cr0, %rbp
	vmcall
	mov	$5, %r9
	mov	%r9, %cr8		/* exits: CR8 write of r9 */
	mov	%cr8, %r15		/* exits: CR8 read to r15 */
	mov	%cr4, %rax
	bts	$18, %rax		/* OSXSAVE is announced: no exit */
	mov	%rax, %cr4
	mov	%cr4, %rbx
	bts	$13, %rax		/* VMXE is not: #GP */
	mov	%rax, %cr4

virttest_mmio:
	mov	$0xfee00020, %eax
	mov	(%rax), %ebx		/* exits: fault, read */
	movl	$1, (%rax)		/* exits: fault, write */

virttest_align:				/* AC is set and CPL is 3: misaligned */
	mov	$0x200001, %eax
	mov	(%rax), %ebx

virttest_cpuid_loop:
	cpuid
	jmp	virttest_cpuid_loop

virttest_guest_end:
	.section .note.GNU-stack, "", @progbits
