/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmcs.c - what is in a VMCS, in four parts.
 *
 *   1. host constants      where an exit lands                     a table
 *   2. host, per CPU       this CPU's tables and registers         vmcs_host_cpu()
 *   3. controls            what the guest may do without us        tables, adjusted to this CPU
 *   4. guest reset state   where the guest begins                  a table, then vmx_set()
 *
 * A CPU reports for each control which bits must be 1 and which may be (capability MSRs); we say
 * which we cannot do without, which we take when they are there and which must stay off, and
 * vmx_check_adjust() brings both together.  A field that the CPU refuses is named.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/vmx/vmx.h"
#include "lib/log.h"

#include <string.h>

struct setting { enum vmcs_field field; uint64_t value; };

const char *vmcs_field_name(enum vmcs_field field)
{
	static const struct { const char *name; enum vmcs_field field; } names[] = {
#define F(name, code) { #name, code },
		VMCS_FIELDS(F)
#undef F
	};

	for (unsigned i = 0; i < COUNT(names); i++)
		if (names[i].field == field)
			return names[i].name;
	return "unknown";
}

_Noreturn void vmcs_broken(const char *what, enum vmcs_field field, uint64_t value)
{
	uint64_t error = 0;

	insn_vmread(VMCS_INSTRUCTION_ERROR, &error);
	panic("%s of %s (0x%x), value 0x%lx: %s", what, vmcs_field_name(field), field, value,
	      vmx_decode_error_name((uint32_t)error));
}

static enum err apply(const struct setting *settings, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!insn_vmwrite(settings[i].field, settings[i].value))
			return fail(ERR_NOT_SUPPORTED, "VMWRITE of %s, value 0x%lx, was refused",
			            vmcs_field_name(settings[i].field), settings[i].value);
	}
	return OK;
}

void vmcs_capture(struct vmcs_image *m)
{
	static const enum vmcs_field fields[VMCS_COUNT] = {
#define F(name, code) code,
		VMCS_FIELDS(F)
#undef F
	};

	for (unsigned i = 0; i < VMCS_COUNT; i++)
		if (!insn_vmread(fields[i], &m->v[i]))
			m->v[i] = 0;
}

/* --- 1. Host constants ---------------------------------------------------------------------- */

static const struct setting host_constants[] = {
	{ VMCS_HOST_CS_SELECTOR,  CPU_SEL_CODE },
	{ VMCS_HOST_SS_SELECTOR,  CPU_SEL_DATA },
	{ VMCS_HOST_DS_SELECTOR,  CPU_SEL_DATA },
	{ VMCS_HOST_ES_SELECTOR,  CPU_SEL_DATA },
	{ VMCS_HOST_FS_SELECTOR,  0 },
	{ VMCS_HOST_GS_SELECTOR,  0 },
	{ VMCS_HOST_TR_SELECTOR,  CPU_SEL_TSS },
	{ VMCS_HOST_SYSENTER_CS,  0 },          /* the host has no system calls */
	{ VMCS_HOST_SYSENTER_ESP, 0 },
	{ VMCS_HOST_SYSENTER_EIP, 0 },
	{ VMCS_HOST_RIP,          (uint64_t)vmx_exit },
};                                              /* HOST_RSP: vmx_entry.S */

/* --- 2. Host, per CPU ----------------------------------------------------------------------- */

void vmcs_host_cpu(void)
{
	vmcs_write(VMCS_HOST_CR0, insn_read_cr0());
	vmcs_write(VMCS_HOST_CR3, insn_read_cr3());
	vmcs_write(VMCS_HOST_CR4, insn_read_cr4());
	vmcs_write(VMCS_HOST_FS_BASE, insn_rdmsr(MSR_FS_BASE));
	vmcs_write(VMCS_HOST_GS_BASE, insn_rdmsr(MSR_GS_BASE));
	vmcs_write(VMCS_HOST_TR_BASE, cpu_tss_base());
	vmcs_write(VMCS_HOST_GDTR_BASE, insn_sgdt().base);
	vmcs_write(VMCS_HOST_IDTR_BASE, insn_sidt().base);
	vmcs_write(VMCS_HOST_PAT, insn_rdmsr(MSR_PAT));
	vmcs_write(VMCS_HOST_EFER, insn_rdmsr(MSR_EFER));
}

/* --- 3. Controls ---------------------------------------------------------------------------- */

/*
 * External interrupts exit and are not acknowledged by the exit: the host takes them through its
 * IDT.  The preemption timer is armed on every entry, so a guest always comes back; that is also
 * what saves a host interrupt on Bochs 2.7, which loses the exit for one that arrives while the
 * guest runs with RFLAGS.IF = 0 (docs/lab.md).
 */
static const struct vmx_control pin_controls = {
	.name = "pin-based controls", .field = VMCS_PIN_CONTROLS,
	.required  = PIN_EXTINT_EXIT | PIN_NMI_EXIT | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER,
	.forbidden = PIN_POSTED_INTERRUPTS,
};

/*
 * Every port exits; MOV to CR3, INVLPG, MOV to DR and PAUSE run without us, and RDTSC unless the
 * guest's TSC must be computed (vmm/clock.h).
 */
static const struct vmx_control proc_controls = {
	.name = "primary processor-based controls", .field = VMCS_PROC_CONTROLS,
	.required  = PROC_TSC_OFFSET | PROC_HLT_EXIT | PROC_MWAIT_EXIT | PROC_RDPMC_EXIT |
	             PROC_CR8_LOAD_EXIT | PROC_CR8_STORE_EXIT | PROC_IO_EXIT | PROC_MSR_BITMAP |
	             PROC_MONITOR_EXIT | PROC_SECONDARY,
	.forbidden = PROC_INVLPG_EXIT | PROC_RDTSC_EXIT | PROC_CR3_LOAD_EXIT | PROC_CR3_STORE_EXIT |
	             PROC_TPR_SHADOW | PROC_MOV_DR_EXIT | PROC_IO_BITMAPS | PROC_MONITOR_TRAP |
	             PROC_PAUSE_EXIT | PROC_IRQ_WINDOW | PROC_NMI_WINDOW,  /* windows: on demand */
};

static const struct vmx_control proc2_controls = {
	.name = "secondary processor-based controls", .field = VMCS_PROC2_CONTROLS,
	.required  = PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID | PROC2_WBINVD_EXIT,
	.forbidden = PROC2_APIC_ACCESSES | PROC2_DESCRIPTOR_EXIT | PROC2_X2APIC |
	             PROC2_APIC_REGISTERS | PROC2_IRQ_DELIVERY | PROC2_PAUSE_LOOP_EXIT |
	             PROC2_RDRAND_EXIT | PROC2_VMFUNC | PROC2_SHADOW_VMCS | PROC2_RDSEED_EXIT |
	             PROC2_PML | PROC2_VIRTUALIZATION_EXC,
};

static const struct vmx_control exit_controls = {
	.name = "VM-exit controls", .field = VMCS_EXIT_CONTROLS,
	.required  = EXIT_CTL_SAVE_DEBUG | EXIT_CTL_HOST_64 | EXIT_CTL_SAVE_PAT |
	             EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER,
	.forbidden = EXIT_CTL_ACK_IRQ | EXIT_CTL_SAVE_TIMER | EXIT_CTL_LOAD_PERF,
};

static const struct vmx_control entry_controls = {
	.name = "VM-entry controls", .field = VMCS_ENTRY_CONTROLS,
	.required  = ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER,
	.forbidden = ENTRY_CTL_SMM | ENTRY_CTL_DUAL_MONITOR | ENTRY_CTL_LOAD_PERF |
	             ENTRY_CTL_IA32E,                           /* follows EFER.LMA */
};

/*
 * A guest that makes its own exception delivery fault (#AC with a misaligned stack, #DB with a
 * breakpoint on it) keeps the CPU busy for ever without an exit; #MC is the host's; and #UD may be
 * an instruction of the other vendor's CPUs.
 */
#define EXCEPTIONS_TAKEN (BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC) | BIT(VECTOR_UD))

static const struct setting control_constants[] = {
	{ VMCS_EXCEPTION_BITMAP,     EXCEPTIONS_TAKEN },
	{ VMCS_PF_ERROR_MASK,        0 },
	{ VMCS_PF_ERROR_MATCH,       0 },
	{ VMCS_CR3_TARGET_COUNT,     0 },
	{ VMCS_EXIT_MSR_STORE_COUNT, 0 },
	{ VMCS_EXIT_MSR_LOAD_COUNT,  0 },
	{ VMCS_ENTRY_MSR_LOAD_COUNT, 0 },
	{ VMCS_ENTRY_EVENT,          0 },
	{ VMCS_ENTRY_ERROR_CODE,     0 },
	{ VMCS_ENTRY_INSN_LEN,       0 },
	{ VMCS_CR0_MASK,             CR0_OWNED },
};

/*
 * MSRs that a guest reads and writes itself: the VMCS or vcpu_load() keeps them apart from the
 * host's.  SDM vol. 3, "MSR-Bitmap Address".
 */
enum passed { WRITE, LINEAR };
static const struct { uint32_t msr; enum passed passed; } passed_msrs[] = {
	{ MSR_SYSENTER_CS, WRITE }, { MSR_SYSENTER_ESP, LINEAR }, { MSR_SYSENTER_EIP, LINEAR },
	{ MSR_PAT, WRITE }, { MSR_EFER, WRITE },
	{ MSR_STAR, WRITE }, { MSR_LSTAR, LINEAR }, { MSR_CSTAR, LINEAR }, { MSR_FMASK, WRITE },
	{ MSR_FS_BASE, LINEAR }, { MSR_GS_BASE, LINEAR }, { MSR_KERNEL_GS_BASE, LINEAR },
};

/*
 * A CPU with five levels of tables takes 57-bit addresses in these registers whatever CR4.LA57
 * says: there we check writes ourselves (vmm/msr.c), for a guest whose CPU has four.
 */
static bool may_write(enum passed passed)
{
	bool la57 = insn_cpuid(CPUID_FEATURES7, 0).ecx & CPUID7_ECX_LA57;

	return passed == WRITE || (passed == LINEAR && !la57);
}

#define MSR_HIGH_FIRST          0xc0000000u     /* the bitmap's second range */
#define MSR_RANGE               0x2000u

static struct msr_bitmap {
	uint8_t read_low[MSR_RANGE / 8], read_high[MSR_RANGE / 8];
	uint8_t write_low[MSR_RANGE / 8], write_high[MSR_RANGE / 8];
} msr_bitmap[2] __attribute__((aligned(PAGE_SIZE)));            /* [1]: with TSC_AUX */
_Static_assert(sizeof(msr_bitmap[0]) == PAGE_SIZE, "SDM vol. 3, \"MSR-Bitmap Address\"");

static void pass_msr(unsigned which, uint32_t msr, bool write)
{
	bool high = msr >= MSR_HIGH_FIRST;
	uint32_t i = msr - (high ? MSR_HIGH_FIRST : 0);
	struct msr_bitmap *m = &msr_bitmap[which];

	ASSERT(i < MSR_RANGE);
	(high ? m->read_high : m->read_low)[i / 8] &= (uint8_t)~BIT(i % 8);
	if (write)
		(high ? m->write_high : m->write_low)[i / 8] &= (uint8_t)~BIT(i % 8);
}

/* The same for all guests, so filled in again with the same values for each. */
static hpa_t msr_bitmap_make(bool tsc_aux)
{
	unsigned which = tsc_aux;

	memset(&msr_bitmap[which], 0xff, sizeof(msr_bitmap[which]));
	for (unsigned i = 0; i < COUNT(passed_msrs); i++)
		pass_msr(which, passed_msrs[i].msr, may_write(passed_msrs[i].passed));
	if (tsc_aux)
		pass_msr(which, MSR_TSC_AUX, true);
	return ptr_hpa(&msr_bitmap[which]);
}

static uint32_t offered(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf,
                        const uint32_t *reg)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->leaf[i] == leaf && t->subleaf[i] == subleaf)
			return reg[i];
	return 0;
}

static bool offers_tsc_aux(const struct cpuid_table *t)
{
	return (offered(t, CPUID_EXT_FEATURES, 0, t->edx) & CPUID80000001_EDX_RDTSCP) ||
	       (offered(t, CPUID_FEATURES7, 0, t->ecx) & CPUID7_ECX_RDPID);
}

/*
 * Instructions that fault unless their control is set: the guest gets those that its CPUID
 * announces.
 */
static uint32_t proc2_for(const struct cpuid_table *t)
{
	uint32_t wanted = 0;

	if (offers_tsc_aux(t))
		wanted |= PROC2_RDTSCP;
	if (offered(t, CPUID_FEATURES7, 0, t->ebx) & CPUID7_EBX_INVPCID)
		wanted |= PROC2_INVPCID;
	if (offered(t, CPUID_XSAVE, 1, t->eax) & CPUIDD_1_EAX_XSAVES)
		wanted |= PROC2_XSAVES;
	return wanted;
}

static enum err write_control(const struct vmx_control *c, uint64_t cap, uint32_t *value)
{
	uint32_t bad;

	if (!vmx_check_adjust(c, cap, value, &bad))
		return fail(ERR_NOT_SUPPORTED, "%s: this CPU does not let us have bits 0x%x as we"
		            " need them", c->name, bad);
	return apply(&(struct setting){ c->field, *value }, 1);
}

static enum err build_controls(struct vcpu *v, struct vmx *hw)
{
	const struct cpuid_table *cpuid = &v->vm->cpuid;
	struct vmx_control proc2 = proc2_controls;
	uint32_t value;

	proc2.wanted |= proc2_for(cpuid) | (virt_caps.tsc_fraction ? PROC2_TSC_SCALING : 0);
	enum err e = write_control(&pin_controls, vmx_caps.pin, &value);
	if (e == OK)
		e = write_control(&proc_controls, vmx_caps.proc, &hw->proc_controls);
	if (e == OK)
		e = write_control(&proc2, vmx_caps.proc2, &value);
	if (e == OK && (value & PROC2_TSC_SCALING))
		e = apply(&(struct setting){ VMCS_TSC_MULTIPLIER, TSC_MULTIPLIER_ONE }, 1);
	if (e == OK && (value & PROC2_XSAVES))
		e = apply(&(struct setting){ VMCS_XSS_EXITING_BITMAP, 0 }, 1);
	if (e == OK)
		e = write_control(&exit_controls, vmx_caps.exit, &value);
	if (e == OK)
		e = write_control(&entry_controls, vmx_caps.entry, &value);
	if (e == OK)
		e = apply(control_constants, COUNT(control_constants));
	const struct setting of_this_guest[] = {
		{ VMCS_MSR_BITMAP,  msr_bitmap_make(offers_tsc_aux(cpuid)).v },
		{ VMCS_EPT_POINTER, ept_pointer(&v->vm->s2) },
		{ VMCS_VPID,        ept_vpid(v) },
		{ VMCS_TSC_OFFSET,  v->tsc_offset },
		{ VMCS_CR4_MASK,    hw->cr4_owned },
	};
	return e == OK ? apply(of_this_guest, COUNT(of_this_guest)) : e;
}

/* --- 4. Guest reset state: what struct cpu_state does not have ------------------------------ */

static const struct setting guest_constants[] = {
	{ VMCS_LINK_POINTER,   ~0ull },                 /* no shadow VMCS */
	{ VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE },       /* the scheduler knows HLT and SIPI */
};

enum err vmcs_build(struct vcpu *v, struct vmx *hw)
{
	enum err e;

	/* CR4.MCE is on in every guest: without it a machine check would shut the host down. */
	hw->cr4_allowed = cpu_state_cr4_allowed(&v->vm->cpuid) & vmx_caps.cr4_fixed1;
	hw->cr4_owned = ~hw->cr4_allowed | CR4_VMXE | CR4_MCE | vmx_caps.cr4_fixed0;
	e = apply(host_constants, COUNT(host_constants));
	if (e == OK)
		e = build_controls(v, hw);
	if (e == OK)
		e = apply(guest_constants, COUNT(guest_constants));
	if (e != OK)
		return e;
	vmcs_host_cpu();
	cpu_state_reset(&v->state);
	vmx_set(v, &v->state);
	return OK;
}

/* --- CR0 and CR4 as the guest sees them ----------------------------------------------------- */

uint64_t vmcs_guest_cr0(void)
{
	return (vmcs_read(VMCS_GUEST_CR0) & ~CR0_OWNED) | (vmcs_read(VMCS_CR0_SHADOW) & CR0_OWNED);
}

uint64_t vmcs_guest_cr4(void)
{
	uint64_t owned = vmcs_read(VMCS_CR4_MASK);

	return (vmcs_read(VMCS_GUEST_CR4) & ~owned) | (vmcs_read(VMCS_CR4_SHADOW) & owned);
}

/* Caches stay on whatever the guest says, and NE is what VMX fixes. */
void vmcs_set_guest_cr0(uint64_t cr0)
{
	vmcs_write(VMCS_CR0_SHADOW, cr0);
	vmcs_write(VMCS_GUEST_CR0, (cr0 & ~CR0_OWNED) | CR0_NE);
}

void vmcs_set_guest_cr4(const struct vmx *hw, uint64_t cr4)
{
	vmcs_write(VMCS_CR4_SHADOW, cr4);
	vmcs_write(VMCS_GUEST_CR4, (cr4 & ~hw->cr4_owned) | vmx_caps.cr4_fixed0 | CR4_VMXE |
	           (CR4_MCE & vmx_caps.cr4_fixed1));
}
