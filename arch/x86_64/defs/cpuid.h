/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/cpuid.h - leaves and feature bits (SDM vol. 2, "CPUID").
 * Names say leaf (1, 7, 80000001 ...), and the register.
 */
#ifndef DEFS_CPUID_H
#define DEFS_CPUID_H

#include "lib/types.h"

#define CPUID_VENDOR            0x0
#define CPUID_FEATURES          0x1
#define CPUID_CACHE             0x4
#define CPUID_MWAIT             0x5
#define CPUID_THERMAL           0x6
#define CPUID_FEATURES7         0x7
#define CPUID_PERFMON           0xa
#define CPUID_TOPOLOGY          0xb
#define CPUID_XSAVE             0xd
#define CPUID_TSC_RATIO         0x15
#define CPUID_FREQUENCY         0x16
#define CPUID_HYPERVISOR        0x40000000
#define CPUID_EXT_MAX           0x80000000
#define CPUID_EXT_FEATURES      0x80000001
#define CPUID_BRAND             0x80000002      /* and the two after it */
#define CPUID_EXT_POWER         0x80000007
#define CPUID_EXT_ADDRESS       0x80000008
#define CPUID_EXT_FEATURES2     0x80000021

#define CPUID1_ECX_SSE3         BIT(0)
#define CPUID1_ECX_PCLMULQDQ    BIT(1)
#define CPUID1_ECX_DTES64       BIT(2)
#define CPUID1_ECX_MONITOR      BIT(3)
#define CPUID1_ECX_DS_CPL       BIT(4)
#define CPUID1_ECX_SMX          BIT(6)
#define CPUID1_ECX_EIST         BIT(7)
#define CPUID1_ECX_TM2          BIT(8)
#define CPUID1_ECX_SSSE3        BIT(9)
#define CPUID1_ECX_FMA          BIT(12)
#define CPUID1_ECX_CX16         BIT(13)
#define CPUID1_ECX_XTPR         BIT(14)
#define CPUID1_ECX_PDCM         BIT(15)
#define CPUID1_ECX_PCID         BIT(17)
#define CPUID1_ECX_DCA          BIT(18)
#define CPUID1_ECX_SSE41        BIT(19)
#define CPUID1_ECX_SSE42        BIT(20)
#define CPUID1_ECX_X2APIC       BIT(21)
#define CPUID1_ECX_MOVBE        BIT(22)
#define CPUID1_ECX_POPCNT       BIT(23)
#define CPUID1_ECX_TSC_DEADLINE BIT(24)
#define CPUID1_ECX_AES          BIT(25)
#define CPUID1_ECX_XSAVE        BIT(26)
#define CPUID1_ECX_OSXSAVE      BIT(27)
#define CPUID1_ECX_AVX          BIT(28)
#define CPUID1_ECX_F16C         BIT(29)
#define CPUID1_ECX_RDRAND       BIT(30)
#define CPUID1_ECX_HYPERVISOR   BIT(31)

#define CPUID1_EAX_STEPPING     MASK(3, 0)
#define CPUID1_EAX_MODEL        MASK(7, 4)
#define CPUID1_EAX_FAMILY       MASK(11, 8)
#define CPUID1_EAX_EXT_MODEL    MASK(19, 16)
#define CPUID1_EAX_EXT_FAMILY   MASK(27, 20)

#define CPUID1_EBX_CLFLUSH      MASK(15, 8)
#define CPUID1_EBX_CPUS         MASK(23, 16)
#define CPUID1_EBX_APIC_ID      MASK(31, 24)

#define CPUID4_EAX_TYPE         MASK(4, 0)      /* 0: no more caches                       */
#define CPUID4_EAX_LEVEL        MASK(7, 5)
#define CPUID4_EAX_SHARED       MASK(25, 14)    /* logical CPUs that share it, minus 1     */
#define CPUID4_EAX_CORES        MASK(31, 26)    /* cores in the package, minus 1           */

#define CPUID6_EAX_ARAT         BIT(2)          /* the APIC timer never stops              */

#define CPUIDB_ECX_TYPE_SMT     (1 << 8)
#define CPUIDB_ECX_TYPE_CORE    (2 << 8)
#define CPUIDB_ECX_SUBLEAF      MASK(7, 0)

#define CPUID1_EDX_FPU          BIT(0)
#define CPUID1_EDX_VME          BIT(1)
#define CPUID1_EDX_DE           BIT(2)
#define CPUID1_EDX_PSE          BIT(3)
#define CPUID1_EDX_TSC          BIT(4)
#define CPUID1_EDX_MSR          BIT(5)
#define CPUID1_EDX_PAE          BIT(6)
#define CPUID1_EDX_MCE          BIT(7)
#define CPUID1_EDX_CX8          BIT(8)
#define CPUID1_EDX_APIC         BIT(9)
#define CPUID1_EDX_SEP          BIT(11)
#define CPUID1_EDX_MTRR         BIT(12)
#define CPUID1_EDX_PGE          BIT(13)
#define CPUID1_EDX_MCA          BIT(14)
#define CPUID1_EDX_CMOV         BIT(15)
#define CPUID1_EDX_PAT          BIT(16)
#define CPUID1_EDX_PSE36        BIT(17)
#define CPUID1_EDX_CLFSH        BIT(19)
#define CPUID1_EDX_DS           BIT(21)
#define CPUID1_EDX_ACPI         BIT(22)
#define CPUID1_EDX_MMX          BIT(23)
#define CPUID1_EDX_FXSR         BIT(24)
#define CPUID1_EDX_SSE          BIT(25)
#define CPUID1_EDX_SSE2         BIT(26)
#define CPUID1_EDX_SS           BIT(27)
#define CPUID1_EDX_HTT          BIT(28)
#define CPUID1_EDX_TM           BIT(29)
#define CPUID1_EDX_PBE          BIT(31)

#define CPUID7_EBX_FSGSBASE     BIT(0)
#define CPUID7_EBX_TSC_ADJUST   BIT(1)
#define CPUID7_EBX_SGX          BIT(2)
#define CPUID7_EBX_BMI1         BIT(3)
#define CPUID7_EBX_HLE          BIT(4)
#define CPUID7_EBX_AVX2         BIT(5)
#define CPUID7_EBX_FDP_EXCPTN   BIT(6)
#define CPUID7_EBX_SMEP         BIT(7)
#define CPUID7_EBX_BMI2         BIT(8)
#define CPUID7_EBX_ERMS         BIT(9)
#define CPUID7_EBX_INVPCID      BIT(10)
#define CPUID7_EBX_RTM          BIT(11)
#define CPUID7_EBX_NO_FCS_FDS   BIT(13)
#define CPUID7_EBX_MPX          BIT(14)
#define CPUID7_EBX_AVX512F      BIT(16)
#define CPUID7_EBX_AVX512DQ     BIT(17)
#define CPUID7_EBX_RDSEED       BIT(18)
#define CPUID7_EBX_ADX          BIT(19)
#define CPUID7_EBX_SMAP         BIT(20)
#define CPUID7_EBX_AVX512IFMA   BIT(21)
#define CPUID7_EBX_CLFLUSHOPT   BIT(23)
#define CPUID7_EBX_CLWB         BIT(24)
#define CPUID7_EBX_PT           BIT(25)
#define CPUID7_EBX_AVX512CD     BIT(28)
#define CPUID7_EBX_SHA          BIT(29)
#define CPUID7_EBX_AVX512BW     BIT(30)
#define CPUID7_EBX_AVX512VL     BIT(31)
#define CPUID7_ECX_UMIP         BIT(2)
#define CPUID7_ECX_PKU          BIT(3)
#define CPUID7_ECX_OSPKE        BIT(4)
#define CPUID7_ECX_WAITPKG      BIT(5)
#define CPUID7_ECX_CET_SS       BIT(7)
#define CPUID7_ECX_GFNI         BIT(8)
#define CPUID7_ECX_VAES         BIT(9)
#define CPUID7_ECX_VPCLMULQDQ   BIT(10)
#define CPUID7_ECX_LA57         BIT(16)
#define CPUID7_ECX_RDPID        BIT(22)
#define CPUID7_ECX_PKS          BIT(31)
#define CPUID7_EDX_FSRM         BIT(4)
#define CPUID7_EDX_MD_CLEAR     BIT(10)
#define CPUID7_EDX_CET_IBT      BIT(20)
#define CPUID7_EDX_SPEC_CTRL    BIT(26)
#define CPUID7_EDX_STIBP        BIT(27)
#define CPUID7_EDX_L1D_FLUSH    BIT(28)
#define CPUID7_EDX_ARCH_CAP     BIT(29)
#define CPUID7_EDX_SSBD         BIT(31)
#define CPUID7_2_EDX_BHI_CTRL   BIT(4)          /* leaf 7, subleaf 2 */

#define CPUIDD_1_EAX_XSAVEOPT   BIT(0)          /* leaf 0xd, subleaf 1 */
#define CPUIDD_1_EAX_XSAVEC     BIT(1)
#define CPUIDD_1_EAX_XGETBV1    BIT(2)
#define CPUIDD_1_EAX_XSAVES     BIT(3)

#define CPUID80000001_ECX_LAHF  BIT(0)
#define CPUID80000001_ECX_LZCNT BIT(5)
#define CPUID80000001_ECX_PREFETCHW BIT(8)
#define CPUID80000001_EDX_SYSCALL BIT(11)
#define CPUID80000001_EDX_NX    BIT(20)
#define CPUID80000001_EDX_1G    BIT(26)
#define CPUID80000001_EDX_RDTSCP BIT(27)
#define CPUID80000001_EDX_LM    BIT(29)
#define CPUID80000007_EDX_INVARIANT_TSC BIT(8)
#define CPUID80000008_EAX_PHYS_BITS MASK(7, 0)
#define CPUID80000008_EAX_LIN_BITS MASK(15, 8)
#define CPUID80000008_EBX_IBPB  BIT(12)
#define CPUID80000008_EBX_IBRS  BIT(14)
#define CPUID80000008_EBX_IBRS_ALWAYS BIT(16)   /* set once, it holds for good      */
#define CPUID80000021_EAX_AUTO_IBRS BIT(8)

#endif
