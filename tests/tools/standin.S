/* SPDX-License-Identifier: MIT */
/*
 * tests/tools/standin.S - a host that is no hypervisor, to test the lab with.
 *
 * Says on COM1 that it is ready, and passed; then, by how it is assembled, halts (nothing
 * defined), switches itself off (QUIT), or repeats what it hears on COM1, one up (ECHO).  With
 * SCREEN it first writes the whole text screen anew, many times.
 */
	.set	COM1, 0x3f8
	.set	LSR, COM1 + 5
	.set	LSR_DATA, 0x01
	.set	LSR_ROOM, 0x20
	.set	LSR_IDLE, 0x40          /* the last character has left the wire */
	.set	SHUTDOWN, 0x8900        /* Bochs: the bytes "Shutdown" switch off */
	.set	TEXT, 0xb8000
	.set	LETTERS, 80 * 25
	.set	SCREENS, 80
	.set	PAUSE, 3000000          /* instructions: the emulator draws now and then only */

	.section .header, "a"
	.balign	8
header:	.long	0xe85250d6, 0, header_end - header
	.long	-(0xe85250d6 + (header_end - header))
	.word	0, 0
	.long	8
header_end:

	.text
	.globl	_start
_start:	mov	$COM1 + 3, %dx          /* 8 bits a character: Bochs's UART starts at 5 */
	mov	$3, %al
	outb	%al, %dx
#ifdef SCREEN
	mov	$SCREENS, %ebx
8:	mov	$TEXT, %edi
	mov	$LETTERS, %ecx
9:	lea	(%ebx, %ecx), %eax
	or	$0x40, %al              /* letters, that every display has */
	and	$0x5f, %al
	mov	%al, (%edi)
	add	$2, %edi
	loop	9b
	mov	$PAUSE, %ecx
10:	loop	10b
	dec	%ebx
	jnz	8b
#endif
	mov	$hello, %esi
1:	lodsb
	test	%al, %al
	jz	2f
	call	put
	jmp	1b
2:	mov	$LSR, %dx
3:	inb	%dx, %al                /* or the last characters never reach the log */
	test	$LSR_IDLE, %al
	jz	3b

#ifdef QUIT
	mov	$shutdown, %esi
	mov	$SHUTDOWN, %dx
	mov	$8, %ecx
	rep outsb
#endif
#ifdef ECHO
4:	mov	$LSR, %dx
5:	inb	%dx, %al
	test	$LSR_DATA, %al
	jz	5b
	mov	$COM1, %dx
	inb	%dx, %al
	inc	%al
	call	put
	jmp	4b
#endif
6:	cli
	hlt
	jmp	6b

/* Sends AL; BL and DX are lost. */
put:	mov	%al, %bl
	mov	$LSR, %dx
7:	inb	%dx, %al
	test	$LSR_ROOM, %al
	jz	7b
	mov	%bl, %al
	mov	$COM1, %dx
	outb	%al, %dx
	ret

hello:	.asciz	"godwit: ready\nPASS\n"
shutdown: .ascii "Shutdown"
