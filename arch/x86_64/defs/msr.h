/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/msr.h - model-specific registers (SDM vol. 4, "Architectural MSRs").
 */
#ifndef DEFS_MSR_H
#define DEFS_MSR_H

#include "lib/types.h"

#define MSR_TSC                 0x10
#define MSR_PLATFORM_ID         0x17
#define MSR_APIC_BASE           0x1b
#define MSR_FEATURE_CONTROL     0x3a
#define MSR_TSC_ADJUST          0x3b
#define MSR_SPEC_CTRL           0x48
#define MSR_PRED_CMD            0x49
#define MSR_BIOS_SIGN_ID        0x8b
#define MSR_MTRR_CAP            0xfe
#define MSR_ARCH_CAPABILITIES   0x10a
#define MSR_FLUSH_CMD           0x10b
#define MSR_SYSENTER_CS         0x174
#define MSR_SYSENTER_ESP        0x175
#define MSR_SYSENTER_EIP        0x176
#define MSR_MCG_CAP             0x179
#define MSR_MCG_STATUS          0x17a
#define MSR_MISC_ENABLE         0x1a0
#define MSR_DEBUGCTL            0x1d9
#define MSR_MTRR_PHYS_BASE0     0x200       /* base and mask in turn: 0x200, 0x201, 0x202 ... */
#define MSR_MTRR_PHYS_MASK0     0x201
#define MSR_MTRR_FIX64K_00000   0x250
#define MSR_MTRR_FIX16K_80000   0x258
#define MSR_MTRR_FIX16K_A0000   0x259
#define MSR_MTRR_FIX4K_C0000    0x268       /* eight registers, up to 0x26f                   */
#define MSR_MTRR_FIX4K_F8000    0x26f
#define MSR_PAT                 0x277
#define MSR_MTRR_DEF_TYPE       0x2ff
#define MSR_MC0_STATUS          0x401   /* status and address of bank 0; the next bank is 4 on   */
#define MSR_MC0_ADDR            0x402
#define MSR_TSC_DEADLINE        0x6e0
#define MSR_X2APIC_BASE         0x800       /* register at MMIO offset o: 0x800 + o / 16      */
#define MSR_X2APIC_LAST         0x8ff
#define MSR_XSS                 0xda0
#define MSR_EFER                0xc0000080
#define MSR_STAR                0xc0000081
#define MSR_LSTAR               0xc0000082
#define MSR_CSTAR               0xc0000083
#define MSR_FMASK               0xc0000084
#define MSR_FS_BASE             0xc0000100
#define MSR_GS_BASE             0xc0000101
#define MSR_KERNEL_GS_BASE      0xc0000102
#define MSR_TSC_AUX             0xc0000103

/* MSR_APIC_BASE */
#define APIC_BASE_BSP           BIT(8)
#define APIC_BASE_X2APIC        BIT(10)
#define APIC_BASE_ENABLE        BIT(11)
#define APIC_BASE_ADDRESS       MASK(51, 12)

/* MSR_FEATURE_CONTROL */
#define FC_LOCKED               BIT(0)
#define FC_VMXON_IN_SMX         BIT(1)
#define FC_VMXON                BIT(2)

/* MSR_SPEC_CTRL, MSR_PRED_CMD, MSR_FLUSH_CMD (SDM vol. 4, "Architectural MSRs") */
#define SPEC_CTRL_IBRS          BIT(0)
#define SPEC_CTRL_BHI_DIS_S     BIT(10)
#define PRED_CMD_IBPB           BIT(0)
#define FLUSH_CMD_L1D           BIT(0)

/* MSR_ARCH_CAPABILITIES: mistakes that this CPU does not have, and what its microcode can do */
#define ARCH_CAP_RDCL_NO        BIT(0)
#define ARCH_CAP_IBRS_ALL       BIT(1)
#define ARCH_CAP_SKIP_L1D_FLUSH BIT(3)
#define ARCH_CAP_MDS_NO         BIT(5)
#define ARCH_CAP_PSCHANGE_MC_NO BIT(6)
#define ARCH_CAP_TAA_NO         BIT(8)
#define ARCH_CAP_BHI_NO         BIT(20)
#define ARCH_CAP_PBRSB_NO       BIT(24)
#define ARCH_CAP_RFDS_NO        BIT(27)
#define ARCH_CAP_RFDS_CLEAR     BIT(28)

/* MSR_EFER */
#define EFER_SCE                BIT(0)
#define EFER_LME                BIT(8)
#define EFER_LMA                BIT(10)
#define EFER_NXE                BIT(11)
#define EFER_AIBRSE             BIT(21)         /* AMD's automatic IBRS                        */

/* MSR_PAT: one byte an entry, numbered by PAT:PCD:PWT of the page-table entry */
#define PAT_UC                  0x00ull
#define PAT_WC                  0x01ull
#define PAT_WT                  0x04ull
#define PAT_WP                  0x05ull
#define PAT_WB                  0x06ull
#define PAT_UC_MINUS            0x07ull
#define PAT_RESET               0x0007040600070406ull

/* MSR_MCG_CAP, MSR_MC0_STATUS (SDM vol. 3, "Machine-Check Architecture") */
#define MCG_CAP_BANKS           MASK(7, 0)
#define MC_BANK_STRIDE          4
#define MC_STATUS_ADDRESS       BIT(58) /* the address register holds something                  */
#define MC_STATUS_VALID         BIT(63)

/* MSR_MTRR_DEF_TYPE; types are those of the PAT */
#define MTRR_DEF_TYPE           MASK(7, 0)
#define MTRR_DEF_FIXED          BIT(10)
#define MTRR_DEF_ENABLE         BIT(11)

/* MSR_MISC_ENABLE */
#define MISC_ENABLE_FAST_STRINGS BIT(0)
#define MISC_ENABLE_NO_BTS      BIT(11)
#define MISC_ENABLE_NO_PEBS     BIT(12)
#define MISC_ENABLE_LIMIT_CPUID BIT(22)
#define MISC_ENABLE_XD_DISABLE  BIT(34)

#endif
