/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpu_state.c - states in which a virtual CPU begins, and the check of one that came from
 * outside.
 *
 * Pure.  Called by the loaders and by vmm/vcpu.c; the vendor's folder brings states to and from
 * the hardware (virt_ops.get and .set).
 */
#include "vmm/cpu_state.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "vmm/cpuid.h"

/* --- Where a CPU begins (SDM vol. 3, "Processor State After Reset") --- */

#define RESET_RIP       0xfff0
#define RESET_CS        0xf000
#define RESET_CS_BASE   0xffff0000
#define RESET_RDX       0x600           /* family 6; model and stepping are CPUID's business */
#define RESET_LIMIT     0xffff
#define RESET_FCW       0x0040
#define RESET_FTW       0xff            /* all registers hold +0.0 */
#define RESET_MXCSR     0x1f80

#define TYPE_LDT        2
#define TYPE_DATA       3               /* read, write, accessed */
#define TYPE_CODE       11              /* execute, read, accessed */
#define TYPE_TSS_BUSY   11

#define ATTR_DATA16     (TYPE_DATA | SEG_S | SEG_P)
#define ATTR_DATA32     (TYPE_DATA | SEG_S | SEG_P | SEG_DB | SEG_G)
#define ATTR_CODE32     (TYPE_CODE | SEG_S | SEG_P | SEG_DB | SEG_G)
#define ATTR_CODE64     (TYPE_CODE | SEG_S | SEG_P | SEG_L | SEG_G)

/* The selectors that Linux's boot protocol asks for; multiboot leaves them open. */
#define BOOT_CS         0x10
#define BOOT_DS         0x18

static void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, sizeof(v)); }
static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, sizeof(v)); }
static void put64(uint8_t *p, uint64_t v) { memcpy(p, &v, sizeof(v)); }
static uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof(v)); return v; }
static uint64_t get64(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof(v)); return v; }

static void set_segment(struct cpu_state *s, enum seg seg, uint16_t selector, uint32_t limit,
                        uint32_t attr)
{
	s->seg_sel[seg] = selector;
	s->seg_base[seg] = 0;
	s->seg_limit[seg] = limit;
	s->seg_attr[seg] = attr;
}

void cpu_state_reset(struct cpu_state *s)
{
	*s = (struct cpu_state){
		.rip = RESET_RIP, .rflags = RFLAGS_ONE,
		.cr0 = CR0_CD | CR0_NW | CR0_ET, .xcr0 = XCR0_X87,
		.dr6 = DR6_INIT, .dr7 = DR7_INIT,
		.gdtr_limit = RESET_LIMIT, .idtr_limit = RESET_LIMIT,
	};
	s->gpr[GPR_RDX] = RESET_RDX;
	s->msr[CPU_MSR_PAT] = PAT_RESET;
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		set_segment(s, seg, 0, RESET_LIMIT, ATTR_DATA16);
	set_segment(s, SEG_CS, RESET_CS, RESET_LIMIT, ATTR_DATA16);
	s->seg_base[SEG_CS] = RESET_CS_BASE;
	set_segment(s, SEG_LDTR, 0, RESET_LIMIT, TYPE_LDT | SEG_P);
	set_segment(s, SEG_TR, 0, RESET_LIMIT, TYPE_TSS_BUSY | SEG_P);
	put16(s->xsave + XSAVE_FCW, RESET_FCW);
	s->xsave[XSAVE_FTW] = RESET_FTW;
	put32(s->xsave + XSAVE_MXCSR, RESET_MXCSR);
	put64(s->xsave + XSAVE_BV, XCR0_X87);
}

static void set_flat(struct cpu_state *s, uint64_t entry, uint32_t code_attr)
{
	cpu_state_reset(s);
	s->gpr[GPR_RDX] = 0;
	s->rip = entry;
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		set_segment(s, seg, BOOT_DS, UINT32_MAX, ATTR_DATA32);
	set_segment(s, SEG_CS, BOOT_CS, UINT32_MAX, code_attr);
}

void cpu_state_flat32(struct cpu_state *s, uint32_t entry)
{
	set_flat(s, entry, ATTR_CODE32);
	s->cr0 = CR0_PE | CR0_ET;
}

void cpu_state_flat64(struct cpu_state *s, uint64_t entry, uint64_t cr3)
{
	set_flat(s, entry, ATTR_CODE64);
	s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	s->cr3 = cr3;
	s->cr4 = CR4_PAE;
	s->msr[CPU_MSR_EFER] = EFER_LME | EFER_LMA;
}

/* --- What a guest may set ------------------------------------------------------------------- */

enum cpuid_reg { EAX, EBX, ECX, EDX };
#define ANY_CPU 0                       /* a feature bit of 0: every CPU with long mode has it */

/* SDM vol. 3, "Control Registers", each bit with the CPUID flag that announces it. */
static const struct {
	uint64_t       cr4;
	uint32_t       leaf;
	enum cpuid_reg reg;
	uint64_t       bit;
} cr4_features[] = {
	{ CR4_VME | CR4_PVI,  CPUID_FEATURES,  EDX, CPUID1_EDX_VME },
	{ CR4_TSD,            CPUID_FEATURES,  EDX, CPUID1_EDX_TSC },
	{ CR4_DE,             CPUID_FEATURES,  EDX, CPUID1_EDX_DE },
	{ CR4_PSE,            CPUID_FEATURES,  EDX, CPUID1_EDX_PSE },
	{ CR4_PAE,            CPUID_FEATURES,  EDX, CPUID1_EDX_PAE },
	{ CR4_MCE,            CPUID_FEATURES,  EDX, CPUID1_EDX_MCE },
	{ CR4_PGE,            CPUID_FEATURES,  EDX, CPUID1_EDX_PGE },
	{ CR4_PCE,            CPUID_FEATURES,  EDX, ANY_CPU },
	{ CR4_OSFXSR,         CPUID_FEATURES,  EDX, CPUID1_EDX_FXSR },
	{ CR4_OSXMMEXCPT,     CPUID_FEATURES,  EDX, CPUID1_EDX_SSE },
	{ CR4_PCIDE,          CPUID_FEATURES,  ECX, CPUID1_ECX_PCID },
	{ CR4_OSXSAVE,        CPUID_FEATURES,  ECX, CPUID1_ECX_XSAVE },
	{ CR4_UMIP,           CPUID_FEATURES7, ECX, CPUID7_ECX_UMIP },
	{ CR4_LA57,           CPUID_FEATURES7, ECX, CPUID7_ECX_LA57 },
	{ CR4_PKE,            CPUID_FEATURES7, ECX, CPUID7_ECX_PKU },
	{ CR4_CET,            CPUID_FEATURES7, ECX, CPUID7_ECX_CET_SS },
	{ CR4_PKS,            CPUID_FEATURES7, ECX, CPUID7_ECX_PKS },
	{ CR4_FSGSBASE,       CPUID_FEATURES7, EBX, CPUID7_EBX_FSGSBASE },
	{ CR4_SMEP,           CPUID_FEATURES7, EBX, CPUID7_EBX_SMEP },
	{ CR4_SMAP,           CPUID_FEATURES7, EBX, CPUID7_EBX_SMAP },
};

static uint32_t cpuid_find(const struct cpuid_table *t, uint32_t leaf, enum cpuid_reg reg)
{
	for (uint32_t i = 0; i < MIN(t->n, CPUID_ENTRIES_MAX); i++)
		if (t->leaf[i] == leaf && t->subleaf[i] == 0)
			return (const uint32_t *[]){ t->eax, t->ebx, t->ecx, t->edx }[reg][i];
	return 0;
}

uint64_t cpu_state_cr4_allowed(const struct cpuid_table *t)
{
	uint64_t allowed = 0;

	for (unsigned i = 0; i < COUNT(cr4_features); i++) {
		uint64_t bit = cr4_features[i].bit;
		if (bit == ANY_CPU || (cpuid_find(t, cr4_features[i].leaf,
		                                  cr4_features[i].reg) & bit))
			allowed |= cr4_features[i].cr4;
	}
	return allowed;
}

bool cpu_state_xcr0_valid(uint64_t xcr0, uint64_t xcr0_mask)
{
	uint64_t avx512 = xcr0 & XCR0_AVX512, mpx = xcr0 & XCR0_MPX;

	return !(xcr0 & ~(xcr0_mask | XCR0_X87)) && (xcr0 & XCR0_X87) &&
	       (!(xcr0 & XCR0_AVX) || (xcr0 & XCR0_SSE)) &&
	       (!avx512 || (avx512 == XCR0_AVX512 && (xcr0 & XCR0_AVX))) &&
	       (!mpx || mpx == XCR0_MPX);
}

bool cpu_state_canonical(uint64_t linear)
{
	return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

bool cpu_state_pat_valid(uint64_t pat)
{
	for (unsigned i = 0; i < sizeof(pat); i++) {
		uint64_t type = pat >> (8 * i) & 0xff;
		if (type != PAT_UC && type != PAT_WC && (type < PAT_WT || type > PAT_UC_MINUS))
			return false;
	}
	return true;
}

/* --- A state from outside ------------------------------------------------------------------- */

#define REFUSE_UNLESS(ok, field)                                                \
	do {                                                                    \
		if (!(ok))                                                      \
			return fail(ERR_BAD_FORMAT, "CPU state: " field);       \
	} while (0)

#define RFLAGS_KNOWN    (MASK(21, 0) & ~(BIT(15) | BIT(5) | BIT(3)))
#define DEBUGCTL_LBR    BIT(0)
#define DEBUGCTL_BTF    BIT(1)
#define EFER_KNOWN      (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define MXCSR_KNOWN     MASK(15, 0)

static enum err check_control(const struct cpu_state *s)
{
	uint64_t efer = s->msr[CPU_MSR_EFER];
	bool long_mode = (s->cr0 & CR0_PG) && (efer & EFER_LME);

	REFUSE_UNLESS(!(s->cr0 >> 32), "CR0 has bits above 31");
	REFUSE_UNLESS(!(s->cr0 & CR0_PG) || (s->cr0 & CR0_PE), "CR0 has PG without PE");
	REFUSE_UNLESS(!(s->cr0 & CR0_NW) || (s->cr0 & CR0_CD), "CR0 has NW without CD");
	REFUSE_UNLESS(!(efer & ~EFER_KNOWN), "EFER has unknown bits");
	REFUSE_UNLESS(!!(efer & EFER_LMA) == long_mode, "EFER.LMA is not CR0.PG and EFER.LME");
	REFUSE_UNLESS(!long_mode || (s->cr4 & CR4_PAE), "long mode without CR4.PAE");
	REFUSE_UNLESS(long_mode || !(s->cr4 & CR4_PCIDE), "CR4.PCIDE outside long mode");
	REFUSE_UNLESS(!(s->cr4 & (CR4_VMXE | CR4_SMXE)), "CR4 has VMXE or SMXE");
	REFUSE_UNLESS(!(s->cr3 & MASK(63, 52)), "CR3 has bits above 51");
	REFUSE_UNLESS(!(s->rflags & ~RFLAGS_KNOWN) && (s->rflags & RFLAGS_ONE),
	              "RFLAGS has reserved bits wrong");
	REFUSE_UNLESS(!long_mode || !(s->rflags & RFLAGS_VM), "RFLAGS.VM in long mode");
	REFUSE_UNLESS(long_mode ? cpu_state_canonical(s->rip) : !(s->rip >> 32),
	              "RIP is out of range");
	REFUSE_UNLESS(!(s->dr6 >> 32) && !(s->dr7 >> 32), "DR6 or DR7 has bits above 31");
	return OK;
}

static enum err check_segments(const struct cpu_state *s)
{
	for (enum seg seg = SEG_ES; seg < SEG_COUNT; seg++) {
		REFUSE_UNLESS(!(s->seg_attr[seg] & SEG_RESERVED),
		              "segment attributes have reserved bits");
		REFUSE_UNLESS(cpu_state_canonical(s->seg_base[seg]),
	              "a segment base is not canonical");
	}
	REFUSE_UNLESS(!(s->seg_attr[SEG_CS] & SEG_UNUSABLE), "CS is unusable");
	REFUSE_UNLESS(!(s->seg_attr[SEG_TR] & SEG_UNUSABLE), "TR is unusable");
	REFUSE_UNLESS(cpu_state_canonical(s->gdtr_base) && cpu_state_canonical(s->idtr_base),
	              "GDTR or IDTR base is not canonical");
	REFUSE_UNLESS(!(s->gdtr_limit >> 16) && !(s->idtr_limit >> 16),
	              "GDTR or IDTR limit is over 16 bits");
	return OK;
}

static enum err check_msrs(const struct cpu_state *s)
{
	REFUSE_UNLESS(cpu_state_canonical(s->msr[CPU_MSR_LSTAR]), "LSTAR is not canonical");
	REFUSE_UNLESS(cpu_state_canonical(s->msr[CPU_MSR_CSTAR]), "CSTAR is not canonical");
	REFUSE_UNLESS(cpu_state_canonical(s->msr[CPU_MSR_KERNEL_GS_BASE]),
	              "KERNEL_GS_BASE is not canonical");
	REFUSE_UNLESS(cpu_state_canonical(s->msr[CPU_MSR_SYSENTER_ESP]),
	              "SYSENTER_ESP is not canonical");
	REFUSE_UNLESS(cpu_state_canonical(s->msr[CPU_MSR_SYSENTER_EIP]),
	              "SYSENTER_EIP is not canonical");
	REFUSE_UNLESS(!(s->msr[CPU_MSR_SYSENTER_CS] >> 32), "SYSENTER_CS has bits above 31");
	REFUSE_UNLESS(!(s->msr[CPU_MSR_FMASK] >> 32), "FMASK has bits above 31");
	REFUSE_UNLESS(!(s->msr[CPU_MSR_TSC_AUX] >> 32), "TSC_AUX has bits above 31");
	REFUSE_UNLESS(cpu_state_pat_valid(s->msr[CPU_MSR_PAT]), "PAT has a reserved memory type");
	REFUSE_UNLESS(!(s->msr[CPU_MSR_DEBUGCTL] & ~(DEBUGCTL_LBR | DEBUGCTL_BTF)),
	              "DEBUGCTL has unknown bits");
	REFUSE_UNLESS(!s->msr[CPU_MSR_XSS], "XSS is not 0");
	return OK;
}

/* XRSTOR and XSETBV of a bad value would be a fault of the host. */
static enum err check_extended(const struct cpu_state *s, uint64_t xcr0_mask)
{
	REFUSE_UNLESS(cpu_state_xcr0_valid(s->xcr0, xcr0_mask),
	              "XCR0 is not a set of components offered here");
	REFUSE_UNLESS(!(get64(s->xsave + XSAVE_BV) & ~(xcr0_mask | XCR0_X87 | XCR0_SSE)),
	              "the XSAVE area holds components not offered here");
	for (unsigned i = XSAVE_BV + sizeof(uint64_t); i < XSAVE_HEADER_END; i++)
		REFUSE_UNLESS(!s->xsave[i], "the XSAVE header is not of the standard format");
	REFUSE_UNLESS(!(get32(s->xsave + XSAVE_MXCSR) & ~MXCSR_KNOWN), "MXCSR has reserved bits");
	return OK;
}

static enum err check_event(const struct cpu_state *s)
{
	REFUSE_UNLESS(s->event_type <= EVENT_PRIV_SOFT_EXCEPTION, "event type is unknown");
	REFUSE_UNLESS(s->event_type != EVENT_EXCEPTION || s->event_vector < 32,
	              "exception vector is over 31");
	REFUSE_UNLESS(s->event_type != EVENT_NMI || s->event_vector == 2, "NMI vector is not 2");
	REFUSE_UNLESS(s->event_has_error <= 1 && s->event_insn_len <= 15,
	              "event's error flag or length is wrong");
	REFUSE_UNLESS(!s->event_has_error || s->event_type == EVENT_EXCEPTION,
	              "only exceptions have error codes");
	REFUSE_UNLESS(s->block_sti <= 1 && s->block_mov_ss <= 1 && s->block_nmi <= 1,
	              "blocking flags are not 0 or 1");
	REFUSE_UNLESS(!(s->block_sti && s->block_mov_ss), "blocked by STI and by MOV SS at once");
	return OK;
}

enum err cpu_state_check(const struct cpu_state *s, uint64_t xcr0_mask)
{
	enum err e = check_control(s);

	if (e == OK)
		e = check_segments(s);
	if (e == OK)
		e = check_msrs(s);
	if (e == OK)
		e = check_extended(s, xcr0_mask);
	return e == OK ? check_event(s) : e;
}
