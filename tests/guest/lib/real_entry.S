/* SPDX-License-Identifier: MIT */
/*
 * real_entry.S - from 64-bit mode down to real mode, a little life there, and back up.
 *
 * void real_run(void): called with the blob real_blob..real_blob_end copied to REAL_CODE and IRQ 0
 * programmed.  Order as in SDM vol. 3, "Switching Out of IA-32e Mode Operation" and "Switching Back
 * to Real-Address Mode".  GDTR and CR3 stay; IDTR is saved and restored.  Clobbers what C allows.
 */
#include "lib/callee_saved.h"
#include "lib/layout.h"
#include "lib/long_mode.h"
#include "lib/real.h"

#define LOW(label)   (REAL_CODE + label - real_blob)
#define IVT(vector)  (4 * (vector))
#define COM1         0x3f8
#define PIC_COMMAND  0x20
#define PIC_EOI      0x20

	.text
	.code64
	.globl	real_run, real_blob, real_blob_end
real_run:
	push_callee_saved
	mov	%rsp, saved_rsp
	sidt	saved_idt
	pushq	$SEL_CODE32
	pushq	$leave_long
	lretq

	.code32
leave_long:
	mov	%cr0, %eax
	and	$~CR0_PG, %eax
	mov	%eax, %cr0
	mov	$MSR_EFER, %ecx
	rdmsr
	and	$~EFER_LME, %eax
	wrmsr
	ljmp	$SEL_CODE16, $REAL_CODE

	.globl	enter_protected
enter_protected:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	activate_long_mode
	ljmp	$SEL_CODE64, $enter_long

	.code64
enter_long:
	mov	saved_rsp, %rsp
	lidt	saved_idt
	pop_callee_saved
	ret

	/* From here on copied to REAL_CODE: labels only through LOW(). */
	.code16
real_blob:
	mov	$SEL_DATA16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%ax, %ss
	mov	%cr0, %eax
	and	$~CR0_PE, %eax
	mov	%eax, %cr0
	ljmp	$0, $LOW(real_start)
real_start:
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$REAL_STACK, %sp
	lidtl	LOW(real_idt)
	movl	$LOW(on_divide), IVT(0)
	movl	$LOW(on_undefined), IVT(6)
	movl	$LOW(on_tick), IVT(REAL_VECTOR_PIT)
	movl	$LOW(on_soft), IVT(0x80)

	int	$0x80
	ud2
	xor	%cx, %cx
	div	%cx
	mov	$COM1 + 7, %dx                  /* the UART's scratch register */
	mov	$REAL_SCRATCH_VALUE, %al
	out	%al, %dx
	in	%dx, %al
	xor	%ah, %ah
	mov	%ax, REAL_SCRATCH
	mov	$REAL_FAR >> 4, %ax             /* the same byte by another segment */
	mov	%ax, %es
	movw	$REAL_FAR_VALUE, %es:(REAL_FAR & 0xf)
	xor	%eax, %eax
	cpuid
	mov	%ebx, REAL_CPUID
	mov	$COM1, %dx
	mov	$LOW(real_text) >> 4, %ax       /* a string, with a segment that is not 0 */
	mov	%ax, %ds
	mov	$LOW(real_text) & 0xf, %si
	mov	$real_text_end - real_text, %cx
	cld
	rep outsb
	xor	%ax, %ax
	mov	%ax, %ds
1:	sti
	hlt
	cli
	cmpw	$REAL_TICKS_WANTED, REAL_TICKS
	jb	1b

	mov	%cr0, %eax
	or	$CR0_PE, %eax
	mov	%eax, %cr0
	ljmpl	$SEL_CODE32, $enter_protected

on_soft:
	incw	%cs:REAL_SOFT
	iretw
on_undefined:                                   /* a fault: step over the two bytes of UD2 */
	incw	%cs:REAL_UNDEFINED
	jmp	skip_two
on_divide:
	incw	%cs:REAL_DIVIDE
skip_two:
	push	%bp
	mov	%sp, %bp
	addw	$2, 2(%bp)
	pop	%bp
	iretw
on_tick:
	push	%ax
	incw	%cs:REAL_TICKS
	mov	$PIC_EOI, %al
	out	%al, $PIC_COMMAND
	pop	%ax
	iretw

	.balign	16
real_text:
	.ascii	"in real mode\r\n"
real_text_end:
	.balign	4
real_idt:
	.word	0x3ff
	.long	0
real_blob_end:

	.code64
	.bss
	.balign	8
saved_rsp:
	.skip	8
saved_idt:
	.skip	10

	.section .note.GNU-stack, "", @progbits
