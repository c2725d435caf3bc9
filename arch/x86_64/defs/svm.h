/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/svm.h - AMD-V: the VMCB, its bits, and the codes of #VMEXIT.
 *
 * APM is the AMD64 Architecture Programmer's Manual (docs/references.md).
 */
#ifndef DEFS_SVM_H
#define DEFS_SVM_H

#include "lib/types.h"

/* --- What there is: APM vol. 3, "Function 8000_000Ah" ---------------------------------------- */

#define CPUID80000001_ECX_SVM   BIT(2)          /* AMD-V itself                               */
#define CPUID_SVM               0x8000000a
#define CPUIDSVM_EDX_NP         BIT(0)          /* nested paging                              */
#define CPUIDSVM_EDX_LBR        BIT(1)
#define CPUIDSVM_EDX_LOCK       BIT(2)
#define CPUIDSVM_EDX_NRIP       BIT(3)          /* exits give the next instruction's address  */
#define CPUIDSVM_EDX_TSC_RATIO  BIT(4)
#define CPUIDSVM_EDX_CLEAN      BIT(5)          /* VMCB clean bits                            */
#define CPUIDSVM_EDX_FLUSH_ASID BIT(6)
#define CPUIDSVM_EDX_DECODE     BIT(7)          /* decode assists                             */
#define CPUIDSVM_EDX_AVIC       BIT(13)
#define CPUIDSVM_EDX_VGIF       BIT(16)
#define CPUIDSVM_EDX_VNMI       BIT(25)

#define MSR_VM_CR               0xc0010114
#define MSR_VM_HSAVE_PA         0xc0010117
#define VM_CR_LOCK              BIT(3)
#define VM_CR_SVMDIS            BIT(4)
#define EFER_SVME               BIT(12)

/* --- Permission maps: APM vol. 2, "IOIO Intercepts" and "MSR Intercepts" ---------------------- */

#define IOPM_BYTES              (3 * PAGE_SIZE) /* a bit a port, and those behind the last one */
#define MSRPM_BYTES             (2 * PAGE_SIZE)
#define MSRPM_RANGE             0x2000u         /* MSRs in each of the map's three ranges      */
#define MSRPM_RANGE_BYTES       0x800u          /* two bits an MSR: read, write                */
#define MSRPM_PER_BYTE          4

/* --- The VMCB: APM vol. 2, appendix "VMCB Layout" -------------------------------------------- */

/* Attributes are a descriptor's bits 55:52 and 47:40, side by side. */
struct vmcb_segment {
	uint16_t selector, attrib;
	uint32_t limit;
	uint64_t base;
};
#define VMCB_SEG_LOW            MASK(7, 0)      /* type, S, DPL, P: as in struct cpu_state    */
#define VMCB_SEG_HIGH           MASK(11, 8)     /* AVL, L, D/B, G: there four bits higher     */
#define VMCB_SEG_HIGH_SHIFT     4
#define VMCB_SEG_L              BIT(9)
#define VMCB_SEG_DB             BIT(10)

struct vmcb {
	/* control area */
	uint16_t intercept_cr_read, intercept_cr_write;
	uint16_t intercept_dr_read, intercept_dr_write;
	uint32_t intercept_exceptions;
	uint32_t intercept_misc[3];             /* enum svm_intercept                         */
	uint8_t  reserved_18[0x3c - 0x18];
	uint16_t pause_threshold, pause_count;
	uint64_t iopm_pa, msrpm_pa, tsc_offset;
	uint32_t asid;
	uint8_t  tlb_control, reserved_5d[3];
	uint64_t vintr, shadow;
	uint64_t exit_code, exit_info1, exit_info2, exit_int_info;
	uint64_t np_control;
	uint8_t  reserved_98[0xa8 - 0x98];
	uint64_t event_inj, n_cr3, lbr_control;
	uint32_t clean, reserved_c4;
	uint64_t nrip;
	uint8_t  insn_bytes_n, insn_bytes[15];
	uint8_t  reserved_e0[0x400 - 0xe0];

	/* state save area */
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t  reserved_4a0[0x4cb - 0x4a0];
	uint8_t  cpl;
	uint32_t reserved_4cc;
	uint64_t efer;
	uint8_t  reserved_4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t  reserved_580[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t  reserved_5e0[0x5f8 - 0x5e0];
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t  reserved_648[0x668 - 0x648];
	uint64_t g_pat, dbgctl;
	uint8_t  reserved_678[PAGE_SIZE - 0x678];
};
#define VMCB_AT(member, offset) \
	_Static_assert(offsetof(struct vmcb, member) == (offset), "VMCB layout: " #member)
VMCB_AT(intercept_cr_read, 0x000);
VMCB_AT(intercept_dr_read, 0x004);
VMCB_AT(intercept_exceptions, 0x008);
VMCB_AT(intercept_misc, 0x00c);
VMCB_AT(pause_threshold, 0x03c);
VMCB_AT(iopm_pa, 0x040);
VMCB_AT(msrpm_pa, 0x048);
VMCB_AT(tsc_offset, 0x050);
VMCB_AT(asid, 0x058);
VMCB_AT(tlb_control, 0x05c);
VMCB_AT(vintr, 0x060);
VMCB_AT(shadow, 0x068);
VMCB_AT(exit_code, 0x070);
VMCB_AT(exit_info1, 0x078);
VMCB_AT(exit_info2, 0x080);
VMCB_AT(exit_int_info, 0x088);
VMCB_AT(np_control, 0x090);
VMCB_AT(event_inj, 0x0a8);
VMCB_AT(n_cr3, 0x0b0);
VMCB_AT(lbr_control, 0x0b8);
VMCB_AT(clean, 0x0c0);
VMCB_AT(nrip, 0x0c8);
VMCB_AT(insn_bytes_n, 0x0d0);
VMCB_AT(es, 0x400);
VMCB_AT(gdtr, 0x460);
VMCB_AT(ldtr, 0x470);
VMCB_AT(idtr, 0x480);
VMCB_AT(tr, 0x490);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(cr0, 0x558);
VMCB_AT(rflags, 0x570);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(star, 0x600);
VMCB_AT(sysenter_cs, 0x628);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
VMCB_AT(dbgctl, 0x670);
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "a VMCB is one page");

/* intercept_cr_read, intercept_cr_write: bit n for CRn */
#define CR0_INTERCEPT           BIT(0)
#define CR4_INTERCEPT           BIT(4)
#define CR8_INTERCEPT           BIT(8)

/*
 * MSR_TSC_RATIO: APM vol. 2, "TSC Ratio MSR": a number with 32 bits behind the point and 8 before
 * it; to write a bit above these is #GP.
 */
#define MSR_TSC_RATIO           0xc0000104
#define TSC_RATIO_FRACTION      32
#define TSC_RATIO_ONE           BIT(32)
#define TSC_RATIO_MAX           MASK(39, 0)

/* intercept_misc: numbered as the exit codes from SVM_EXIT_INTR on */
enum svm_intercept {
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT, INTERCEPT_VINTR,
	INTERCEPT_CR0_SELECTIVE,                /* a write that changes more than TS and MP   */
	INTERCEPT_RDTSC = 14, INTERCEPT_RDPMC, INTERCEPT_CPUID = 18, INTERCEPT_RSM, INTERCEPT_IRET,
	INTERCEPT_INVD = 22, INTERCEPT_HLT = 24, INTERCEPT_INVLPGA = 26, INTERCEPT_IOIO,
	INTERCEPT_MSR, INTERCEPT_FERR_FREEZE = 30, INTERCEPT_SHUTDOWN,
	INTERCEPT_VMRUN, INTERCEPT_VMMCALL, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE, INTERCEPT_STGI,
	INTERCEPT_CLGI, INTERCEPT_SKINIT, INTERCEPT_RDTSCP, INTERCEPT_WBINVD = 41,
	INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_MWAIT_ARMED, INTERCEPT_XSETBV,
	INTERCEPT_RDPRU, INTERCEPT_INVLPGB = 64, INTERCEPT_INVLPGB_ILLEGAL, INTERCEPT_INVPCID,
	INTERCEPT_MCOMMIT, INTERCEPT_TLBSYNC,
};

/* tlb_control: APM vol. 2, "TLB Control"; the CPU does not clear it */
enum tlb_control { TLB_KEEP = 0, TLB_FLUSH_ALL = 1, TLB_FLUSH_ASID = 3 };

/* vintr: APM vol. 2, "Injecting Virtual (INTR) Interrupts" */
#define VINTR_TPR               MASK(7, 0)
#define VINTR_IRQ               BIT(8)
#define VINTR_IGNORE_TPR        BIT(20)
#define VINTR_MASKING           BIT(24)         /* the guest's IF and TPR are its own         */
#define VINTR_VECTOR            MASK(39, 32)

#define SHADOW_INTERRUPT        BIT(0)          /* shadow: of STI or MOV SS                   */
#define NP_ENABLE               BIT(0)          /* np_control                                 */

/* event_inj, exit_int_info: APM vol. 2, "Event Injection" */
#define EVENTINJ_VECTOR         MASK(7, 0)
#define EVENTINJ_TYPE           MASK(10, 8)
#define EVENTINJ_HAS_ERROR      BIT(11)
#define EVENTINJ_RESERVED       MASK(30, 12)
#define EVENTINJ_VALID          BIT(31)
#define EVENTINJ_ERROR          MASK(63, 32)
#define VECTOR_LAST_EXCEPTION   31
enum eventinj_type { EVENTINJ_INTR = 0, EVENTINJ_NMI = 2, EVENTINJ_EXCEPTION = 3,
                     EVENTINJ_SOFT_IRQ = 4 };

/* clean: APM vol. 2, "VMCB Clean Bits"; 1: as the CPU left it */
#define CLEAN_INTERCEPTS        BIT(0)          /* and the TSC offset                         */
#define CLEAN_ASID              BIT(2)
#define CLEAN_VINTR             BIT(3)
#define CLEAN_CR                BIT(5)          /* CR0, CR3, CR4, EFER                        */
#define CLEAN_DR                BIT(6)          /* DR6, DR7                                   */
#define CLEAN_ALL               MASK(31, 0)

/* Type, write, user, reserved bit, fetch: as an x86 page fault's error code, and two of its own */
#define NPF_PRESENT             BIT(0)
#define NPF_WRITE               BIT(1)
#define NPF_RESERVED            BIT(3)
#define NPF_FETCH               BIT(4)
#define NPF_FINAL               BIT(32)         /* translating the address itself             */
#define NPF_WALK                BIT(33)         /* translating a guest's page table           */

/* exit_info1 of IOIO: APM vol. 2, "IOIO Intercepts" */
#define IOIO_IN                 BIT(0)
#define IOIO_STRING             BIT(2)
#define IOIO_REP                BIT(3)
#define IOIO_SIZE               MASK(6, 4)      /* in bytes: one of the three is set          */
#define IOIO_ADDR_SIZE          MASK(9, 7)      /* likewise: 16, 32, 64 bits                  */
#define IOIO_SEG                MASK(12, 10)    /* with decode assists                        */
#define IOIO_PORT               MASK(31, 16)

#define MSR_INFO_WRITE          BIT(0)          /* exit_info1 of MSR                          */

/* exit_info1 of CR accesses, with decode assists: APM vol. 2, "MOV CRx/DRx Intercepts" */
#define CR_INFO_GPR             MASK(3, 0)
#define CR_INFO_MOV             BIT(63)

/* --- Why it stopped: APM vol. 2, appendix "SVM Intercept Exit Codes" ------------------------- */

#define SVM_EXITS(X)                                                            \
	X(CR0_READ,       0x000, "read of CR0")                                 \
	X(CR4_READ,       0x004, "read of CR4")                                 \
	X(CR8_READ,       0x008, "read of CR8")                                 \
	X(CR0_WRITE,      0x010, "write of CR0")                                \
	X(CR4_WRITE,      0x014, "write of CR4")                                \
	X(CR8_WRITE,      0x018, "write of CR8")                                \
	X(DB,             0x041, "#DB")                                         \
	X(UD,             0x046, "#UD")                                         \
	X(AC,             0x051, "#AC")                                         \
	X(MC,             0x052, "#MC")                                         \
	X(INTR,           0x060, "interrupt")                                   \
	X(NMI,            0x061, "NMI")                                         \
	X(SMI,            0x062, "SMI")                                         \
	X(INIT,           0x063, "INIT")                                        \
	X(VINTR,          0x064, "virtual interrupt")                           \
	X(CR0_SELECTIVE,  0x065, "change of CR0")                               \
	X(IDTR_READ,      0x066, "SIDT")                                        \
	X(GDTR_READ,      0x067, "SGDT")                                        \
	X(LDTR_READ,      0x068, "SLDT")                                        \
	X(TR_READ,        0x069, "STR")                                         \
	X(IDTR_WRITE,     0x06a, "LIDT")                                        \
	X(GDTR_WRITE,     0x06b, "LGDT")                                        \
	X(LDTR_WRITE,     0x06c, "LLDT")                                        \
	X(TR_WRITE,       0x06d, "LTR")                                         \
	X(RDTSC,          0x06e, "RDTSC")                                       \
	X(RDPMC,          0x06f, "RDPMC")                                       \
	X(PUSHF,          0x070, "PUSHF")                                       \
	X(POPF,           0x071, "POPF")                                        \
	X(CPUID,          0x072, "CPUID")                                       \
	X(RSM,            0x073, "RSM")                                         \
	X(IRET,           0x074, "IRET")                                        \
	X(SWINT,          0x075, "INT n")                                       \
	X(INVD,           0x076, "INVD")                                        \
	X(PAUSE,          0x077, "PAUSE")                                       \
	X(HLT,            0x078, "HLT")                                         \
	X(INVLPG,         0x079, "INVLPG")                                      \
	X(INVLPGA,        0x07a, "INVLPGA")                                     \
	X(IOIO,           0x07b, "port I/O")                                    \
	X(MSR,            0x07c, "RDMSR or WRMSR")                              \
	X(TASK_SWITCH,    0x07d, "task switch")                                 \
	X(FERR_FREEZE,    0x07e, "FERR freeze")                                 \
	X(SHUTDOWN,       0x07f, "shutdown")                                    \
	X(VMRUN,          0x080, "VMRUN")                                       \
	X(VMMCALL,        0x081, "VMMCALL")                                     \
	X(VMLOAD,         0x082, "VMLOAD")                                      \
	X(VMSAVE,         0x083, "VMSAVE")                                      \
	X(STGI,           0x084, "STGI")                                        \
	X(CLGI,           0x085, "CLGI")                                        \
	X(SKINIT,         0x086, "SKINIT")                                      \
	X(RDTSCP,         0x087, "RDTSCP")                                      \
	X(ICEBP,          0x088, "INT1")                                        \
	X(WBINVD,         0x089, "WBINVD")                                      \
	X(MONITOR,        0x08a, "MONITOR")                                     \
	X(MWAIT,          0x08b, "MWAIT")                                       \
	X(MWAIT_ARMED,    0x08c, "MWAIT, armed")                                \
	X(XSETBV,         0x08d, "XSETBV")                                      \
	X(RDPRU,          0x08e, "RDPRU")                                       \
	X(EFER_WRITE,     0x08f, "write of EFER")                               \
	X(INVLPGB,        0x0a0, "INVLPGB")                                     \
	X(INVLPGB_ILLEGAL, 0x0a1, "INVLPGB with an illegal operand")            \
	X(INVPCID,        0x0a2, "INVPCID")                                     \
	X(MCOMMIT,        0x0a3, "MCOMMIT")                                     \
	X(TLBSYNC,        0x0a4, "TLBSYNC")
enum svm_exit {
#define X(name, code, text) SVM_EXIT_##name = code,
	SVM_EXITS(X)
#undef X
	SVM_EXIT_COUNT
};

/* Codes far from the others; of a negative one, TCG of QEMU 7.2 writes 32 bits only. */
#define SVM_EXIT_NPF            0x400           /* nested page fault                          */
#define SVM_EXIT_INVALID        (~0u)           /* VMRUN did not like the VMCB                */
#define SVM_EXIT_BUSY           (~1u)           /* the VMCB is in use elsewhere (SEV)         */

#endif
