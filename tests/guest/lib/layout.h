/* SPDX-License-Identifier: MIT */
/* lib/layout.h - numbers that the assembly and the C of a micro-guest share: selectors and bits. */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#define SEL_CODE64  0x08
#define SEL_DATA    0x10
#define SEL_CODE32  0x18
#define SEL_CODE16  0x20
#define SEL_DATA16  0x28
#define SEL_TSS     0x30

#define PTE_PRESENT_WRITE  0x03
#define PTE_LARGE          0x80

#define CR0_PE       0x00000001
#define CR0_MP       0x00000002
#define CR0_EM       0x00000004
#define CR0_TS       0x00000008
#define CR0_WP       0x00010000
#define CR0_PG       0x80000000
#define CR4_PAE      0x00000020
#define CR4_OSFXSR   0x00000200
#define CR4_OSXMMEX  0x00000400
#define CR4_OSXSAVE  0x00040000

#define MSR_EFER     0xc0000080
#define EFER_SCE     0x00000001
#define EFER_LME     0x00000100
#define EFER_NXE     0x00000800

#endif
