/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/cr.h - bits of control registers and RFLAGS (SDM vol. 3, "Control Registers").
 */
#ifndef DEFS_CR_H
#define DEFS_CR_H

#include "lib/types.h"

#define CR0_PE          BIT(0)          /* protected mode                            */
#define CR0_MP          BIT(1)
#define CR0_EM          BIT(2)          /* no x87: FPU instructions fault            */
#define CR0_TS          BIT(3)
#define CR0_ET          BIT(4)
#define CR0_NE          BIT(5)          /* x87 errors as #MF; VMX wants it           */
#define CR0_WP          BIT(16)         /* read-only holds for the supervisor too    */
#define CR0_AM          BIT(18)
#define CR0_NW          BIT(29)
#define CR0_CD          BIT(30)         /* caches off                                */
#define CR0_PG          BIT(31)

#define CR4_VME         BIT(0)
#define CR4_PVI         BIT(1)
#define CR4_TSD         BIT(2)
#define CR4_DE          BIT(3)
#define CR4_PSE         BIT(4)
#define CR4_PAE         BIT(5)
#define CR4_MCE         BIT(6)          /* machine checks as #MC instead of shutdown */
#define CR4_PGE         BIT(7)
#define CR4_PCE         BIT(8)
#define CR4_OSFXSR      BIT(9)
#define CR4_OSXMMEXCPT  BIT(10)
#define CR4_UMIP        BIT(11)
#define CR4_LA57        BIT(12)
#define CR4_VMXE        BIT(13)
#define CR4_SMXE        BIT(14)
#define CR4_FSGSBASE    BIT(16)
#define CR4_PCIDE       BIT(17)
#define CR4_OSXSAVE     BIT(18)
#define CR4_SMEP        BIT(20)
#define CR4_SMAP        BIT(21)
#define CR4_PKE         BIT(22)
#define CR4_CET         BIT(23)
#define CR4_PKS         BIT(24)

#define XCR0_X87        BIT(0)
#define XCR0_SSE        BIT(1)
#define XCR0_AVX        BIT(2)
#define XCR0_MPX        MASK(4, 3)      /* BNDREGS, BNDCSR                           */
#define XCR0_AVX512     MASK(7, 5)      /* opmask, ZMM_Hi256, Hi16_ZMM               */
#define XCR0_PKRU       BIT(9)

#define RFLAGS_CF       BIT(0)
#define RFLAGS_ONE      BIT(1)          /* always 1                                  */
#define RFLAGS_PF       BIT(2)
#define RFLAGS_AF       BIT(4)
#define RFLAGS_ZF       BIT(6)
#define RFLAGS_SF       BIT(7)
#define RFLAGS_TF       BIT(8)
#define RFLAGS_IF       BIT(9)
#define RFLAGS_DF       BIT(10)
#define RFLAGS_OF       BIT(11)
#define RFLAGS_IOPL     MASK(13, 12)
#define RFLAGS_NT       BIT(14)
#define RFLAGS_RF       BIT(16)
#define RFLAGS_VM       BIT(17)
#define RFLAGS_AC       BIT(18)

#define DR6_INIT        0xffff0ff0ull   /* after RESET */
#define DR7_INIT        0x400ull
#define DR7_GD          BIT(13)         /* MOV to a debug register faults */

#endif
