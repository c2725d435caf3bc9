/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpu_state.h - everything that a virtual CPU is, without a vendor: what travels when it moves.
 *
 * General registers, RIP and RFLAGS live in struct vcpu between exits; the rest stays in the
 * hardware's structures (VMCS, VMCB, registers) and is brought here by virt_ops.get().
 */
#ifndef VMM_CPU_STATE_H
#define VMM_CPU_STATE_H

#include "lib/err.h"
#include "lib/types.h"

struct cpuid_table;

/* Numbered as in instruction encodings. */
enum gpr { GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
           GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15, GPR_COUNT };

/* ES..GS numbered as in instruction encodings; then the two system segments. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/*
 * Segment attributes in the form of the VMX access rights (SDM vol. 3, "Guest Register State"):
 * bits 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable.
 */
#define SEG_TYPE        MASK(3, 0)
#define SEG_S           BIT(4)
#define SEG_DPL         MASK(6, 5)
#define SEG_P           BIT(7)
#define SEG_L           BIT(13)
#define SEG_DB          BIT(14)
#define SEG_G           BIT(15)
#define SEG_RESERVED    (MASK(11, 8) | MASK(31, 17))
#define SEG_UNUSABLE    BIT(16)

/* An exception, interrupt or NMI on its way into the guest. */
enum event_type { EVENT_NONE, EVENT_IRQ, EVENT_NMI, EVENT_EXCEPTION, EVENT_SOFT_IRQ,
                  EVENT_SOFT_EXCEPTION,
                  EVENT_PRIV_SOFT_EXCEPTION };
struct inject {
	uint8_t  type;          /* enum event_type                                        */
	uint8_t  vector;
	bool     has_error;
	uint8_t  insn_len;      /* of INT n, INT3, INTO, INT1 when re-injected            */
	uint32_t error;
};

#define XSAVE_AREA_MAX  2696    /* x87, SSE, AVX, MPX, AVX-512, PKRU: standard format, header */

/* SDM vol. 1, "XSAVE Area": the legacy region, then the header. */
#define XSAVE_FCW       0       /* 2 bytes */
#define XSAVE_FTW       4       /* 1 byte: a bit a register, set when not empty */
#define XSAVE_MXCSR     24      /* 4 bytes */
#define XSAVE_LEGACY    512     /* bytes; this much FXSAVE knows                */
#define XSAVE_BV        512     /* 8 bytes: components that are not in their initial state */
#define XSAVE_HEADER_END 576    /* from BV + 8 up to here: 0 in the standard format */

/* MSRs with hardware storage that a guest may use; order is the wire's order: append only. */
#define CPU_MSRS(M)                                                                    \
	M(EFER) M(STAR) M(LSTAR) M(CSTAR) M(FMASK) M(KERNEL_GS_BASE)                   \
	M(SYSENTER_CS) M(SYSENTER_ESP) M(SYSENTER_EIP) M(PAT) M(TSC_AUX) M(DEBUGCTL) M(XSS)
enum cpu_msr {
#define M(name) CPU_MSR_##name,
	CPU_MSRS(M)
#undef M
	CPU_MSR_COUNT
};

struct cpu_state {
	uint64_t gpr[GPR_COUNT], rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, xcr0;
	uint64_t dr[4], dr6, dr7;
	uint64_t seg_base[SEG_COUNT];
	uint32_t seg_limit[SEG_COUNT], seg_attr[SEG_COUNT];
	uint16_t seg_sel[SEG_COUNT];
	uint64_t gdtr_base, idtr_base;
	uint32_t gdtr_limit, idtr_limit;
	uint64_t msr[CPU_MSR_COUNT];
	uint64_t pdpte[4];              /* PAE paging only                                        */
	uint64_t pending_debug;         /* pending debug exceptions, bits as in DR6               */
	uint8_t  block_sti, block_mov_ss, block_nmi;
	/* The event that was being delivered when the guest stopped; it must be delivered again. */
	uint8_t  event_type, event_vector, event_has_error, event_insn_len;
	uint32_t event_error;
	uint8_t  xsave[XSAVE_AREA_MAX] __attribute__((aligned(64)));
};

/* What emulating an instruction or walking the guest's page tables needs to know; cheap to read. */
struct cpu_mode {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t seg_base[6];           /* ES..GS */
	uint32_t cs_attr, ss_attr;
	uint8_t  cpl;
};

/* State after RESET (SDM vol. 3, "Processor State After Reset"): CS:IP f000:fff0. */
void cpu_state_reset(struct cpu_state *s);

/* State in which a 64-bit or 32-bit kernel is entered: flat segments, paging as given. */
void cpu_state_flat32(struct cpu_state *s, uint32_t entry);
void cpu_state_flat64(struct cpu_state *s, uint64_t entry, uint64_t cr3);

/*
 * Whether a state that came from outside (a migration) is one that a CPU can be in and that may be
 * loaded into this host's registers without a fault.  ERR_BAD_FORMAT names the field.
 * xcr0_mask: what virt_caps offers.
 */
enum err cpu_state_check(const struct cpu_state *s, uint64_t xcr0_mask);

/* Bits of CR4 that a guest with this CPUID table may set. */
uint64_t cpu_state_cr4_allowed(const struct cpuid_table *t);

/*
 * A linear address with four levels of tables: bits 63:47 alike.  Five levels are never offered,
 * whatever this CPU could do.
 */
bool cpu_state_canonical(uint64_t linear);

/* Eight memory types that exist (SDM vol. 3, "IA32_PAT MSR"). */
bool cpu_state_pat_valid(uint64_t pat);

/*
 * XCR0 as XSETBV accepts it (SDM vol. 1, "Enabling the XSAVE Feature Set and XSAVE-Enabled
 * Features").
 */
bool cpu_state_xcr0_valid(uint64_t xcr0, uint64_t xcr0_mask);

#endif
