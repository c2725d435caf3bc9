/* SPDX-License-Identifier: MIT */
/*
 * kvm_probe.S - a firmware of one purpose: does the CPU under us let a hypervisor be switched on?
 *
 * kvm.py runs it in QEMU with KVM and reads the answer from QEMU's exit status.  It does what a
 * hypervisor does first, for CPUID alone proves little.  Without an IDT the first exception is a
 * triple fault, which ends QEMU with status 0: no answer is an answer, too.
 */
	.set	ANSWER_PORT, 0xf4               /* isa-debug-exit: status = 2 * answer + 1 */
	.set	NEITHER, 1
	.set	VTX, 2
	.set	SVM, 3
	.set	IA32_VMX_BASIC, 0x480
	.set	IA32_EFER, 0xc0000080
	.set	EFER_SVME, 1 << 12
	.set	CR4_VMXE, 1 << 13
	.set	CPUID_VMX_BIT, 5                /* leaf 1, ECX */
	.set	CPUID_SVM_BIT, 2                /* leaf 80000001, ECX */
	.set	IMAGE_BYTES, 64 << 10
	.set	RESET_BYTES, 16                 /* the CPU starts this far below the image's end */

	.code16
	.text
	.org	0
no_idt:	.word	0
	.long	0
start:	lidtl	%cs:no_idt
	mov	$1, %eax
	cpuid
	bt	$CPUID_VMX_BIT, %ecx
	jc	vtx
	mov	$0x80000001, %eax
	cpuid
	bt	$CPUID_SVM_BIT, %ecx
	jc	svm
	mov	$NEITHER, %al
answer:	outb	%al, $ANSWER_PORT
1:	hlt
	jmp	1b

vtx:	mov	$IA32_VMX_BASIC, %ecx
	rdmsr
	mov	%cr4, %eax
	or	$CR4_VMXE, %eax
	mov	%eax, %cr4
	mov	$VTX, %al
	jmp	answer

svm:	mov	$IA32_EFER, %ecx
	rdmsr
	or	$EFER_SVME, %eax
	wrmsr
	mov	$SVM, %al
	jmp	answer

	.org	IMAGE_BYTES - RESET_BYTES
	jmp	start
	.org	IMAGE_BYTES
