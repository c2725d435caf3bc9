/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/vmx.h - names of VT-x: VMCS fields, controls, exit reasons, EPT.
 * (SDM vol. 3, part "Virtual-Machine Extensions" and its appendices)
 */
#ifndef DEFS_VMX_H
#define DEFS_VMX_H

#include "lib/types.h"

#define CPUID1_ECX_VMX          BIT(5)          /* SDM vol. 2, "CPUID", leaf 1 */

/* --- Capability MSRs: SDM vol. 3, appendix "VMX Capability Reporting Facility" -------------- */

#define MSR_VMX_BASIC           0x480
#define MSR_VMX_PIN             0x481
#define MSR_VMX_PROC            0x482
#define MSR_VMX_EXIT            0x483
#define MSR_VMX_ENTRY           0x484
#define MSR_VMX_MISC            0x485
#define MSR_VMX_CR0_FIXED0      0x486
#define MSR_VMX_CR0_FIXED1      0x487
#define MSR_VMX_CR4_FIXED0      0x488
#define MSR_VMX_CR4_FIXED1      0x489
#define MSR_VMX_PROC2           0x48b
#define MSR_VMX_EPT_VPID        0x48c
#define MSR_VMX_TRUE_PIN        0x48d           /* exist when BASIC_TRUE_CONTROLS           */
#define MSR_VMX_TRUE_PROC       0x48e
#define MSR_VMX_TRUE_EXIT       0x48f
#define MSR_VMX_TRUE_ENTRY      0x490

#define BASIC_REVISION          MASK(30, 0)
#define BASIC_REGION_SIZE       MASK(44, 32)
#define BASIC_MEMORY_TYPE       MASK(53, 50)
#define BASIC_INS_OUTS_INFO     BIT(54)
#define BASIC_TRUE_CONTROLS     BIT(55)

/* A control's capability: bits that must be 1 in the low half, bits that may be 1 in the high. */
#define CAP_MUST_BE_1           MASK(31, 0)
#define CAP_MAY_BE_1            MASK(63, 32)

#define MISC_TIMER_SHIFT        MASK(4, 0)
#define MISC_SAVES_LMA          BIT(5)          /* exits store EFER.LMA as the entry control */
#define MISC_ACTIVITY_HLT       BIT(6)
#define MISC_ACTIVITY_SHUTDOWN  BIT(7)
#define MISC_ACTIVITY_SIPI      BIT(8)

#define EPT_CAP_EXEC_ONLY       BIT(0)
#define EPT_CAP_4_LEVELS        BIT(6)
#define EPT_CAP_UC              BIT(8)
#define EPT_CAP_WB              BIT(14)
#define EPT_CAP_2M              BIT(16)
#define EPT_CAP_1G              BIT(17)
#define EPT_CAP_INVEPT          BIT(20)
#define EPT_CAP_AD              BIT(21)
#define EPT_CAP_INVEPT_SINGLE   BIT(25)
#define EPT_CAP_INVEPT_ALL      BIT(26)
#define VPID_CAP_INVVPID        BIT(32)
#define VPID_CAP_SINGLE         BIT(41)

/* --- VMCS fields: SDM vol. 3, appendix "Field Encoding in VMCS" ----------------------------- */

#define VMCS_FIELDS(F)                          \
	F(VPID,                   0x0000)       \
	F(GUEST_ES_SELECTOR,      0x0800)       \
	F(GUEST_CS_SELECTOR,      0x0802)       \
	F(GUEST_SS_SELECTOR,      0x0804)       \
	F(GUEST_DS_SELECTOR,      0x0806)       \
	F(GUEST_FS_SELECTOR,      0x0808)       \
	F(GUEST_GS_SELECTOR,      0x080a)       \
	F(GUEST_LDTR_SELECTOR,    0x080c)       \
	F(GUEST_TR_SELECTOR,      0x080e)       \
	F(HOST_ES_SELECTOR,       0x0c00)       \
	F(HOST_CS_SELECTOR,       0x0c02)       \
	F(HOST_SS_SELECTOR,       0x0c04)       \
	F(HOST_DS_SELECTOR,       0x0c06)       \
	F(HOST_FS_SELECTOR,       0x0c08)       \
	F(HOST_GS_SELECTOR,       0x0c0a)       \
	F(HOST_TR_SELECTOR,       0x0c0c)       \
	F(MSR_BITMAP,             0x2004)       \
	F(TSC_OFFSET,             0x2010)       \
	F(EPT_POINTER,            0x201a)       \
	F(XSS_EXITING_BITMAP,     0x202c)       \
	F(TSC_MULTIPLIER,         0x2032)       \
	F(GUEST_PHYSICAL_ADDRESS, 0x2400)       \
	F(LINK_POINTER,           0x2800)       \
	F(GUEST_DEBUGCTL,         0x2802)       \
	F(GUEST_PAT,              0x2804)       \
	F(GUEST_EFER,             0x2806)       \
	F(GUEST_PDPTE0,           0x280a)       \
	F(GUEST_PDPTE1,           0x280c)       \
	F(GUEST_PDPTE2,           0x280e)       \
	F(GUEST_PDPTE3,           0x2810)       \
	F(HOST_PAT,               0x2c00)       \
	F(HOST_EFER,              0x2c02)       \
	F(PIN_CONTROLS,           0x4000)       \
	F(PROC_CONTROLS,          0x4002)       \
	F(EXCEPTION_BITMAP,       0x4004)       \
	F(PF_ERROR_MASK,          0x4006)       \
	F(PF_ERROR_MATCH,         0x4008)       \
	F(CR3_TARGET_COUNT,       0x400a)       \
	F(EXIT_CONTROLS,          0x400c)       \
	F(EXIT_MSR_STORE_COUNT,   0x400e)       \
	F(EXIT_MSR_LOAD_COUNT,    0x4010)       \
	F(ENTRY_CONTROLS,         0x4012)       \
	F(ENTRY_MSR_LOAD_COUNT,   0x4014)       \
	F(ENTRY_EVENT,            0x4016)       \
	F(ENTRY_ERROR_CODE,       0x4018)       \
	F(ENTRY_INSN_LEN,         0x401a)       \
	F(PROC2_CONTROLS,         0x401e)       \
	F(INSTRUCTION_ERROR,      0x4400)       \
	F(EXIT_REASON,            0x4402)       \
	F(EXIT_EVENT,             0x4404)       \
	F(EXIT_ERROR_CODE,        0x4406)       \
	F(VECTORING_EVENT,        0x4408)       \
	F(VECTORING_ERROR_CODE,   0x440a)       \
	F(EXIT_INSN_LEN,          0x440c)       \
	F(EXIT_INSN_INFO,         0x440e)       \
	F(GUEST_ES_LIMIT,         0x4800)       \
	F(GUEST_CS_LIMIT,         0x4802)       \
	F(GUEST_SS_LIMIT,         0x4804)       \
	F(GUEST_DS_LIMIT,         0x4806)       \
	F(GUEST_FS_LIMIT,         0x4808)       \
	F(GUEST_GS_LIMIT,         0x480a)       \
	F(GUEST_LDTR_LIMIT,       0x480c)       \
	F(GUEST_TR_LIMIT,         0x480e)       \
	F(GUEST_GDTR_LIMIT,       0x4810)       \
	F(GUEST_IDTR_LIMIT,       0x4812)       \
	F(GUEST_ES_ATTR,          0x4814)       \
	F(GUEST_CS_ATTR,          0x4816)       \
	F(GUEST_SS_ATTR,          0x4818)       \
	F(GUEST_DS_ATTR,          0x481a)       \
	F(GUEST_FS_ATTR,          0x481c)       \
	F(GUEST_GS_ATTR,          0x481e)       \
	F(GUEST_LDTR_ATTR,        0x4820)       \
	F(GUEST_TR_ATTR,          0x4822)       \
	F(GUEST_INTERRUPTIBILITY, 0x4824)       \
	F(GUEST_ACTIVITY,         0x4826)       \
	F(GUEST_SYSENTER_CS,      0x482a)       \
	F(PREEMPTION_TIMER,       0x482e)       \
	F(HOST_SYSENTER_CS,       0x4c00)       \
	F(CR0_MASK,               0x6000)       \
	F(CR4_MASK,               0x6002)       \
	F(CR0_SHADOW,             0x6004)       \
	F(CR4_SHADOW,             0x6006)       \
	F(EXIT_QUALIFICATION,     0x6400)       \
	F(GUEST_LINEAR_ADDRESS,   0x640a)       \
	F(GUEST_CR0,              0x6800)       \
	F(GUEST_CR3,              0x6802)       \
	F(GUEST_CR4,              0x6804)       \
	F(GUEST_ES_BASE,          0x6806)       \
	F(GUEST_CS_BASE,          0x6808)       \
	F(GUEST_SS_BASE,          0x680a)       \
	F(GUEST_DS_BASE,          0x680c)       \
	F(GUEST_FS_BASE,          0x680e)       \
	F(GUEST_GS_BASE,          0x6810)       \
	F(GUEST_LDTR_BASE,        0x6812)       \
	F(GUEST_TR_BASE,          0x6814)       \
	F(GUEST_GDTR_BASE,        0x6816)       \
	F(GUEST_IDTR_BASE,        0x6818)       \
	F(GUEST_DR7,              0x681a)       \
	F(GUEST_RSP,              0x681c)       \
	F(GUEST_RIP,              0x681e)       \
	F(GUEST_RFLAGS,           0x6820)       \
	F(GUEST_PENDING_DEBUG,    0x6822)       \
	F(GUEST_SYSENTER_ESP,     0x6824)       \
	F(GUEST_SYSENTER_EIP,     0x6826)       \
	F(HOST_CR0,               0x6c00)       \
	F(HOST_CR3,               0x6c02)       \
	F(HOST_CR4,               0x6c04)       \
	F(HOST_FS_BASE,           0x6c06)       \
	F(HOST_GS_BASE,           0x6c08)       \
	F(HOST_TR_BASE,           0x6c0a)       \
	F(HOST_GDTR_BASE,         0x6c0c)       \
	F(HOST_IDTR_BASE,         0x6c0e)       \
	F(HOST_SYSENTER_ESP,      0x6c10)       \
	F(HOST_SYSENTER_EIP,      0x6c12)       \
	F(HOST_RSP,               0x6c14)       \
	F(HOST_RIP,               0x6c16)

enum vmcs_field {
#define F(name, code) VMCS_##name = code,
	VMCS_FIELDS(F)
#undef F
};

/*
 * The encoding says what a field is; and fields of the eight segments are in the order of enum seg.
 */
#define FIELD_WIDTH             MASK(14, 13)
#define FIELD_WIDTH_NATURAL     3
#define VMCS_OF_SEG(es_field, seg) ((enum vmcs_field)((es_field) + 2 * (seg)))
_Static_assert(GET(FIELD_WIDTH, VMCS_GUEST_RIP) == FIELD_WIDTH_NATURAL,
               "encoding says: natural width");
_Static_assert(VMCS_OF_SEG(VMCS_GUEST_ES_BASE, 7) == VMCS_GUEST_TR_BASE, "segments stand in a row");

/* --- Controls: SDM vol. 3, "VM-Execution Control Fields" and the two sections after it --- */

#define PIN_EXTINT_EXIT         BIT(0)
#define PIN_NMI_EXIT            BIT(3)
#define PIN_VIRTUAL_NMI         BIT(5)
#define PIN_PREEMPTION_TIMER    BIT(6)
#define PIN_POSTED_INTERRUPTS   BIT(7)

#define PROC_IRQ_WINDOW         BIT(2)
#define PROC_TSC_OFFSET         BIT(3)
#define PROC_HLT_EXIT           BIT(7)
#define PROC_INVLPG_EXIT        BIT(9)
#define PROC_MWAIT_EXIT         BIT(10)
#define PROC_RDPMC_EXIT         BIT(11)
#define PROC_RDTSC_EXIT         BIT(12)
#define PROC_CR3_LOAD_EXIT      BIT(15)
#define PROC_CR3_STORE_EXIT     BIT(16)
#define PROC_CR8_LOAD_EXIT      BIT(19)
#define PROC_CR8_STORE_EXIT     BIT(20)
#define PROC_TPR_SHADOW         BIT(21)
#define PROC_NMI_WINDOW         BIT(22)
#define PROC_MOV_DR_EXIT        BIT(23)
#define PROC_IO_EXIT            BIT(24)
#define PROC_IO_BITMAPS         BIT(25)
#define PROC_MONITOR_TRAP       BIT(27)
#define PROC_MSR_BITMAP         BIT(28)
#define PROC_MONITOR_EXIT       BIT(29)
#define PROC_PAUSE_EXIT         BIT(30)
#define PROC_SECONDARY          BIT(31)

#define PROC2_APIC_ACCESSES     BIT(0)
#define PROC2_EPT               BIT(1)
#define PROC2_DESCRIPTOR_EXIT   BIT(2)
#define PROC2_RDTSCP            BIT(3)
#define PROC2_X2APIC            BIT(4)
#define PROC2_VPID              BIT(5)
#define PROC2_WBINVD_EXIT       BIT(6)
#define PROC2_UNRESTRICTED      BIT(7)
#define PROC2_APIC_REGISTERS    BIT(8)
#define PROC2_IRQ_DELIVERY      BIT(9)
#define PROC2_PAUSE_LOOP_EXIT   BIT(10)
#define PROC2_RDRAND_EXIT       BIT(11)
#define PROC2_INVPCID           BIT(12)
#define PROC2_VMFUNC            BIT(13)
#define PROC2_SHADOW_VMCS       BIT(14)
#define PROC2_RDSEED_EXIT       BIT(16)
#define PROC2_PML               BIT(17)
#define PROC2_VIRTUALIZATION_EXC BIT(18)
#define PROC2_XSAVES            BIT(20)
#define PROC2_TSC_SCALING       BIT(25)

/* VMCS_TSC_MULTIPLIER: a number with 48 bits behind the point */
#define TSC_MULTIPLIER_FRACTION 48
#define TSC_MULTIPLIER_ONE      BIT(48)
#define TSC_MULTIPLIER_MAX      MASK(63, 0)

#define EXIT_CTL_SAVE_DEBUG     BIT(2)
#define EXIT_CTL_HOST_64        BIT(9)
#define EXIT_CTL_LOAD_PERF      BIT(12)
#define EXIT_CTL_ACK_IRQ        BIT(15)
#define EXIT_CTL_SAVE_PAT       BIT(18)
#define EXIT_CTL_LOAD_PAT       BIT(19)
#define EXIT_CTL_SAVE_EFER      BIT(20)
#define EXIT_CTL_LOAD_EFER      BIT(21)
#define EXIT_CTL_SAVE_TIMER     BIT(22)

#define ENTRY_CTL_LOAD_DEBUG    BIT(2)
#define ENTRY_CTL_IA32E         BIT(9)
#define ENTRY_CTL_SMM           BIT(10)
#define ENTRY_CTL_DUAL_MONITOR  BIT(11)
#define ENTRY_CTL_LOAD_PERF     BIT(13)
#define ENTRY_CTL_LOAD_PAT      BIT(14)
#define ENTRY_CTL_LOAD_EFER     BIT(15)

/* EPT pointer, and EPT entries: SDM vol. 3, "The Extended Page Table Mechanism (EPT)" */
#define EPTP_MEMORY_TYPE        MASK(2, 0)
#define EPTP_LEVELS_MINUS_1     MASK(5, 3)
#define EPTP_AD                 BIT(6)
#define EPTP_RESERVED           MASK(11, 7)

#define EPT_READ                BIT(0)
#define EPT_WRITE               BIT(1)
#define EPT_EXEC                BIT(2)
#define EPT_MEMORY_TYPE         MASK(5, 3)
#define EPT_IGNORE_PAT          BIT(6)
#define EPT_LARGE               BIT(7)
#define EPT_ACCESSED            BIT(8)
#define EPT_DIRTY               BIT(9)

#define MEMORY_TYPE_UC          0
#define MEMORY_TYPE_WB          6

/* Types of INVEPT and INVVPID */
#define INVEPT_SINGLE           1
#define INVEPT_ALL              2
#define INVVPID_SINGLE          1

/* --- Guest state that is not a register: SDM vol. 3, "Guest Non-Register State" ------------- */

#define BLOCK_STI               BIT(0)
#define BLOCK_MOV_SS            BIT(1)
#define BLOCK_SMI               BIT(2)
#define BLOCK_NMI               BIT(3)
#define INTERRUPTIBILITY_RESERVED MASK(31, 5)

#define ACTIVITY_ACTIVE         0
#define ACTIVITY_HLT            1
#define ACTIVITY_SHUTDOWN       2
#define ACTIVITY_WAIT_SIPI      3

#define PENDING_DEBUG_BS        BIT(14)
#define PENDING_DEBUG_RTM       BIT(16)
#define PENDING_DEBUG_KNOWN     (MASK(3, 0) | BIT(12) | BIT(14) | BIT(16))

#define DEBUGCTL_LBR            BIT(0)
#define DEBUGCTL_BTF            BIT(1)

/* --- Events: SDM vol. 3, "VM-Entry Controls for Event Injection" --- */

#define EVENT_INFO_VECTOR       MASK(7, 0)
#define EVENT_INFO_TYPE         MASK(10, 8)
#define EVENT_INFO_HAS_ERROR    BIT(11)
#define EVENT_INFO_NMI_UNBLOCKED BIT(12)        /* by the IRET that then faulted                */
#define EVENT_INFO_RESERVED     MASK(30, 12)
#define EVENT_INFO_VALID        BIT(31)

enum vmx_event_type {
	VMX_EVENT_EXTINT         = 0,
	VMX_EVENT_NMI            = 2,
	VMX_EVENT_EXCEPTION      = 3,
	VMX_EVENT_SOFT_IRQ       = 4,
	VMX_EVENT_PRIV_EXCEPTION = 5,           /* INT1                                         */
	VMX_EVENT_SOFT_EXCEPTION = 6,           /* INT3, INTO                                   */
	VMX_EVENT_OTHER          = 7,           /* entry only: pending MTF                      */
};

/* --- Exits: SDM vol. 3, appendix "VMX Basic Exit Reasons" ----------------------------------- */

#define REASON_BASIC            MASK(15, 0)
#define REASON_ENTRY_FAILED     BIT(31)

#define VMX_REASONS(R)                                                          \
	R(EXCEPTION_NMI,   0, "exception or NMI")                               \
	R(EXTINT,          1, "external interrupt")                             \
	R(TRIPLE_FAULT,    2, "triple fault")                                   \
	R(INIT,            3, "INIT signal")                                    \
	R(SIPI,            4, "start-up IPI")                                   \
	R(IO_SMI,          5, "I/O system-management interrupt")                \
	R(OTHER_SMI,       6, "system-management interrupt")                    \
	R(IRQ_WINDOW,      7, "interrupt window")                               \
	R(NMI_WINDOW,      8, "NMI window")                                     \
	R(TASK_SWITCH,     9, "task switch")                                    \
	R(CPUID,          10, "CPUID")                                          \
	R(GETSEC,         11, "GETSEC")                                         \
	R(HLT,            12, "HLT")                                            \
	R(INVD,           13, "INVD")                                           \
	R(INVLPG,         14, "INVLPG")                                         \
	R(RDPMC,          15, "RDPMC")                                          \
	R(RDTSC,          16, "RDTSC")                                          \
	R(RSM,            17, "RSM")                                            \
	R(VMCALL,         18, "VMCALL")                                         \
	R(VMCLEAR,        19, "VMCLEAR")                                        \
	R(VMLAUNCH,       20, "VMLAUNCH")                                       \
	R(VMPTRLD,        21, "VMPTRLD")                                        \
	R(VMPTRST,        22, "VMPTRST")                                        \
	R(VMREAD,         23, "VMREAD")                                         \
	R(VMRESUME,       24, "VMRESUME")                                       \
	R(VMWRITE,        25, "VMWRITE")                                        \
	R(VMXOFF,         26, "VMXOFF")                                         \
	R(VMXON,          27, "VMXON")                                          \
	R(CR_ACCESS,      28, "control-register access")                        \
	R(DR_ACCESS,      29, "debug-register access")                          \
	R(IO,             30, "I/O instruction")                                \
	R(RDMSR,          31, "RDMSR")                                          \
	R(WRMSR,          32, "WRMSR")                                          \
	R(BAD_GUEST,      33, "VM entry failed: invalid guest state")           \
	R(BAD_MSR_LOAD,   34, "VM entry failed: MSR loading")                   \
	R(MWAIT,          36, "MWAIT")                                          \
	R(MONITOR_TRAP,   37, "monitor trap flag")                              \
	R(MONITOR,        39, "MONITOR")                                        \
	R(PAUSE,          40, "PAUSE")                                          \
	R(MACHINE_CHECK,  41, "VM entry failed: machine check")                 \
	R(TPR,            43, "TPR below threshold")                            \
	R(APIC_ACCESS,    44, "APIC access")                                    \
	R(EOI,            45, "virtualized EOI")                                \
	R(GDTR_IDTR,      46, "access to GDTR or IDTR")                         \
	R(LDTR_TR,        47, "access to LDTR or TR")                           \
	R(EPT_VIOLATION,  48, "EPT violation")                                  \
	R(EPT_MISCONFIG,  49, "EPT misconfiguration")                           \
	R(INVEPT,         50, "INVEPT")                                         \
	R(RDTSCP,         51, "RDTSCP")                                         \
	R(TIMER,          52, "VMX-preemption timer")                           \
	R(INVVPID,        53, "INVVPID")                                        \
	R(WBINVD,         54, "WBINVD")                                         \
	R(XSETBV,         55, "XSETBV")                                         \
	R(APIC_WRITE,     56, "APIC write")                                     \
	R(RDRAND,         57, "RDRAND")                                         \
	R(INVPCID,        58, "INVPCID")                                        \
	R(VMFUNC,         59, "VMFUNC")                                         \
	R(ENCLS,          60, "ENCLS")                                          \
	R(RDSEED,         61, "RDSEED")                                         \
	R(PML_FULL,       62, "page-modification log full")                     \
	R(XSAVES,         63, "XSAVES")                                         \
	R(XRSTORS,        64, "XRSTORS")                                        \
	R(PCONFIG,        65, "PCONFIG")                                        \
	R(SPP,            66, "sub-page permission event")                      \
	R(UMWAIT,         67, "UMWAIT")                                         \
	R(TPAUSE,         68, "TPAUSE")                                         \
	R(LOADIWKEY,      69, "LOADIWKEY")                                      \
	R(ENCLV,          70, "ENCLV")                                          \
	R(BUS_LOCK,       74, "bus lock")                                       \
	R(NOTIFY,         75, "notify")

enum vmx_reason {
#define R(name, number, text) VMX_REASON_##name = number,
	VMX_REASONS(R)
#undef R
	VMX_REASON_COUNT
};

/* Exit qualifications: SDM vol. 3, "Basic VM-Exit Information" */
#define QUAL_IO_SIZE            MASK(2, 0)      /* minus 1 */
#define QUAL_IO_IN              BIT(3)
#define QUAL_IO_STRING          BIT(4)
#define QUAL_IO_REP             BIT(5)
#define QUAL_IO_PORT            MASK(31, 16)

#define INFO_STRING_ADDR_SIZE   MASK(9, 7)      /* 0, 1, 2: 16, 32, 64 bits                     */
#define INFO_STRING_SEG         MASK(17, 15)    /* OUTS only                                    */

/* SDM vol. 3, "Exit Qualification for Task Switches" */
#define QUAL_TASK_SELECTOR      MASK(15, 0)
#define QUAL_TASK_SOURCE        MASK(31, 30)    /* CALL, IRET, JMP, task gate in the IDT */

#define QUAL_CR_NUMBER          MASK(3, 0)
#define QUAL_CR_TYPE            MASK(5, 4)
#define QUAL_CR_GPR             MASK(11, 8)
#define CR_TYPE_TO              0
#define CR_TYPE_FROM            1
#define CR_TYPE_CLTS            2
#define CR_TYPE_LMSW            3

#define QUAL_EPT_READ           BIT(0)
#define QUAL_EPT_WRITE          BIT(1)
#define QUAL_EPT_FETCH          BIT(2)
#define QUAL_EPT_RIGHTS         MASK(5, 3)      /* what the entries allowed; 0: nothing mapped  */
#define QUAL_EPT_LINEAR_VALID   BIT(7)
#define QUAL_EPT_TRANSLATED     BIT(8)          /* the access itself; 0: the walk to it         */
#define QUAL_NMI_UNBLOCKED      BIT(12)

#define QUAL_DEBUG_DR6          (MASK(3, 0) | MASK(14, 13))

/* --- What VMX instructions report: SDM vol. 3, "VM Instruction Error Numbers" --------------- */

#define VMX_ERRORS(E)                                                                   \
	E(1,  "VMCALL executed in VMX root operation")                                  \
	E(2,  "VMCLEAR with invalid physical address")                                  \
	E(3,  "VMCLEAR with VMXON pointer")                                             \
	E(4,  "VMLAUNCH with non-clear VMCS")                                           \
	E(5,  "VMRESUME with non-launched VMCS")                                        \
	E(6,  "VMRESUME after VMXOFF")                                                  \
	E(7,  "VM entry with invalid control fields")                                   \
	E(8,  "VM entry with invalid host-state fields")                                \
	E(9,  "VMPTRLD with invalid physical address")                                  \
	E(10, "VMPTRLD with VMXON pointer")                                             \
	E(11, "VMPTRLD with incorrect VMCS revision identifier")                        \
	E(12, "VMREAD or VMWRITE from or to unsupported VMCS component")                \
	E(13, "VMWRITE to read-only VMCS component")                                    \
	E(15, "VMXON executed in VMX root operation")                                   \
	E(16, "VM entry with invalid executive-VMCS pointer")                           \
	E(17, "VM entry with non-launched executive VMCS")                              \
	E(18, "VM entry with executive-VMCS pointer not VMXON pointer")                 \
	E(19, "VMCALL with non-clear VMCS")                                             \
	E(20, "VMCALL with invalid VM-exit control fields")                             \
	E(22, "VMCALL with incorrect MSEG revision identifier")                         \
	E(23, "VMXOFF under dual-monitor treatment of SMIs and SMM")                    \
	E(24, "VMCALL with invalid SMM-monitor features")                               \
	E(25, "VM entry with invalid VM-execution control fields in executive VMCS")    \
	E(26, "VM entry with events blocked by MOV SS")                                 \
	E(28, "invalid operand to INVEPT or INVVPID")

#endif
