/* SPDX-License-Identifier: MIT */
/*
 * vmm/msr.c - what a guest may read and write of the model-specific registers: one table.
 *
 * Sorted by number, searched by halves, and what was found is remembered.  A row without a function
 * refuses with #GP: such rows are there for registers that kernels are known to probe, so that the
 * log stays quiet; anything not in the table is #GP and a line in the log, up to a limit.
 * Registers that the hardware keeps for the guest (SYSCALL's, bases, PAT ...) normally do not exit;
 * the rows for them serve vendors that let them.
 */
#include "vmm/msr.h"

#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "lib/log.h"
#include "vmm/kvmclock.h"
#include "vmm/vm.h"

#define UNKNOWN_LOGGED_MAX  16
#define FOUND_ROWS          64                  /* places to remember a row in */
#define MTRR_VARIABLE       8
#define MTRR_PHYS_LAST      (MSR_MTRR_PHYS_BASE0 + 2 * MTRR_VARIABLE - 1)
#define MTRR_CAP_FIXED      BIT(8)
#define MTRR_CAP_WC         BIT(10)
#define MTRR_CAP            (MTRR_VARIABLE | MTRR_CAP_FIXED | MTRR_CAP_WC)
#define MTRR_DEF_TYPE_VALID (MTRR_DEF_ENABLE | MTRR_DEF_FIXED | MTRR_DEF_TYPE)
#define MTRR_BASE_VALID     (MASK(51, 12) | MASK(7, 0))
#define MTRR_MASK_VALID     (MASK(51, 12) | BIT(11))
#define MISC_ENABLE_WRITABLE \
	(MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_LIMIT_CPUID | MISC_ENABLE_XD_DISABLE)
#define MICROCODE_REVISION  PUT(MASK(63, 32), 1ull)
#define DEBUGCTL_BTF        BIT(1)
#define EFER_WRITABLE       (EFER_SCE | EFER_LME | EFER_NXE)
#define EFER_IGNORED        EFER_LMA            /* read-only: a write of it changes nothing */

/* False: #GP. */
typedef bool msr_read_fn(struct vcpu *v, uint32_t msr, uint64_t *value);
typedef bool msr_write_fn(struct vcpu *v, uint32_t msr, uint64_t value);

struct msr_row { uint32_t first, last; msr_read_fn *read; msr_write_fn *write; };

/* --- Plain ones ------------------------------------------------------------------------------- */

static bool read_zero(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	(void)msr;
	*value = 0;
	return true;
}

static bool write_ignored(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)v;
	(void)msr;
	(void)value;
	return true;
}

static bool read_feature_control(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	(void)msr;
	*value = FC_LOCKED;                             /* and nothing switched on */
	return true;
}

static bool read_microcode(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	(void)msr;
	*value = MICROCODE_REVISION;
	return true;
}

static bool read_misc_enable(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = v->misc_enable;
	return true;
}

static bool write_misc_enable(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	v->misc_enable = (v->misc_enable & ~MISC_ENABLE_WRITABLE) | (value & MISC_ENABLE_WRITABLE);
	return true;
}

/* --- Time ------------------------------------------------------------------------------------- */

static uint64_t guest_tsc(const struct vcpu *v)
{
	return clock_guest_tsc(&v->vm->clock) + v->tsc_adjust;
}

/* The guest moves its TSC; a TSC deadline stays where the guest's TSC has it. */
static void set_tsc_adjust(struct vcpu *v, uint64_t adjust)
{
	if (v->lapic.tsc_deadline)
		v->lapic.tsc_deadline += v->tsc_adjust - adjust;
	v->tsc_adjust = adjust;
	vcpu_clock_changed(v, false);
}

static bool read_tsc(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = guest_tsc(v);
	return true;
}

static bool write_tsc(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	set_tsc_adjust(v, v->tsc_adjust + value - guest_tsc(v));
	return true;
}

static bool read_tsc_adjust(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = v->tsc_adjust;
	return true;
}

static bool write_tsc_adjust(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	set_tsc_adjust(v, value);
	return true;
}

static bool read_system_time(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = v->pvclock_gpa;
	return true;
}

static bool write_system_time(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	return kvmclock_set_system_time(v, value);
}

static bool write_wall_clock(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	return kvmclock_write_wall_clock(v, value);
}

/* --- The local APIC --------------------------------------------------------------------------- */

static bool read_lapic(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	return vlapic_msr_read(&v->lapic, msr, value, clock_now_ns(&v->vm->clock));
}

/* No time is asked for what does not change with it. */
static bool read_apic_base(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	return vlapic_msr_read(&v->lapic, msr, value, 0);
}

static bool write_lapic(struct vcpu *v, uint32_t msr, uint64_t value)
{
	bool done = vlapic_msr_write(&v->lapic, msr, value, clock_now_ns(&v->vm->clock));

	vcpu_lapic_changed(v);
	return done;
}

/* The APIC counts in the VM clock's TSC; the guest's own differs by IA32_TSC_ADJUST. */
static bool read_tsc_deadline(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	if (!read_lapic(v, msr, value))
		return false;
	*value += *value ? v->tsc_adjust : 0;
	return true;
}

static bool write_tsc_deadline(struct vcpu *v, uint32_t msr, uint64_t value)
{
	return write_lapic(v, msr, value ? value - v->tsc_adjust : 0);
}

/* --- Memory types: kept for the guest, without effect (all of its RAM is write-back) ---------- */

static bool is_memory_type(uint64_t type)
{
	return type == PAT_UC || type == PAT_WC || (type >= PAT_WT && type <= PAT_WB);
}

/* Where the guest's value is, and which bits may be set; NULL: no such register. */
static uint64_t *mtrr_at(struct vcpu *v, uint32_t msr, uint64_t *valid)
{
	*valid = ~0ull;
	if (msr == MSR_MTRR_DEF_TYPE) {
		*valid = MTRR_DEF_TYPE_VALID;
		return &v->mtrr_def_type;
	}
	if (msr == MSR_MTRR_FIX64K_00000)
		return &v->mtrr_fixed[0];
	if (msr == MSR_MTRR_FIX16K_80000 || msr == MSR_MTRR_FIX16K_A0000)
		return &v->mtrr_fixed[1 + msr - MSR_MTRR_FIX16K_80000];
	if (msr >= MSR_MTRR_FIX4K_C0000 && msr <= MSR_MTRR_FIX4K_F8000)
		return &v->mtrr_fixed[3 + msr - MSR_MTRR_FIX4K_C0000];
	uint32_t i = msr - MSR_MTRR_PHYS_BASE0;
	*valid = i % 2 ? MTRR_MASK_VALID : MTRR_BASE_VALID;
	return i % 2 ? &v->mtrr_mask[i / 2] : &v->mtrr_base[i / 2];
}

static bool read_mtrr_cap(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	(void)msr;
	*value = MTRR_CAP;
	return true;
}

static bool read_mtrr(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	uint64_t valid;

	*value = *mtrr_at(v, msr, &valid);
	return true;
}

static bool write_mtrr(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t valid, *at = mtrr_at(v, msr, &valid);
	bool fixed = valid == ~0ull, mask = valid == MTRR_MASK_VALID;

	if (value & ~valid)
		return false;
	for (unsigned i = 0; i < (fixed ? sizeof(value) : mask ? 0 : 1); i++)
		if (!is_memory_type(value >> (8 * i) & MASK(7, 0)))
			return false;
	*at = value;
	return true;
}

/* --- Registers that the hardware keeps -------------------------------------------------------- */

/* What WRMSR accepts (SDM vol. 4, "Architectural MSRs"); EFER and DEBUGCTL are checked below. */
enum accepts { ANY, LINEAR, LOW_HALF, TYPES };

static const struct { uint32_t msr; enum accepts accepts; size_t at; } hardware_msrs[] = {
#define KEPT(name, accepts)   { MSR_##name, accepts, offsetof(struct cpu_state, msr) + \
                                CPU_MSR_##name * sizeof(uint64_t) }
#define BASE(name, seg)       { MSR_##name, LINEAR, offsetof(struct cpu_state, seg_base) + \
                                (seg) * sizeof(uint64_t) }
	KEPT(SYSENTER_CS, LOW_HALF), KEPT(SYSENTER_ESP, LINEAR), KEPT(SYSENTER_EIP, LINEAR),
	KEPT(DEBUGCTL, ANY), KEPT(PAT, TYPES), KEPT(EFER, ANY), KEPT(STAR, ANY),
	KEPT(LSTAR, LINEAR), KEPT(CSTAR, LINEAR), KEPT(FMASK, LOW_HALF),
	BASE(FS_BASE, SEG_FS), BASE(GS_BASE, SEG_GS), KEPT(KERNEL_GS_BASE, LINEAR),
	KEPT(TSC_AUX, LOW_HALF),
#undef KEPT
#undef BASE
};

static bool accepted(enum accepts accepts, uint64_t value)
{
	switch (accepts) {
	case LINEAR:   return cpu_state_canonical(value);
	case LOW_HALF: return !(value >> 32);
	case TYPES:    return cpu_state_pat_valid(value);
	default:       return true;
	}
}

static unsigned hardware_index(uint32_t msr)
{
	for (unsigned i = 0; i < COUNT(hardware_msrs); i++)
		if (hardware_msrs[i].msr == msr)
			return i;
	panic("MSR %#x is not kept by the hardware", msr);
}

/* Its value in v->state, which is brought up to date. */
static uint64_t *hardware_at(struct vcpu *v, uint32_t msr)
{
	vcpu_state_fetch(v);
	return (uint64_t *)((char *)&v->state + hardware_msrs[hardware_index(msr)].at);
}

static bool read_hardware(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = *hardware_at(v, msr);
	return true;
}

static bool write_hardware(struct vcpu *v, uint32_t msr, uint64_t value)
{
	if (!accepted(hardware_msrs[hardware_index(msr)].accepts, value))
		return false;
	*hardware_at(v, msr) = value;
	vcpu_state_apply(v);
	return true;
}

static bool write_efer(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t old = *hardware_at(v, msr);

	if (value & ~(EFER_WRITABLE | EFER_IGNORED))
		return false;
	if ((v->state.cr0 & CR0_PG) && ((old ^ value) & EFER_LME))
		return false;
	return write_hardware(v, msr, (value & EFER_WRITABLE) | (old & EFER_LMA));
}

static bool write_debugctl(struct vcpu *v, uint32_t msr, uint64_t value)
{
	return !(value & ~DEBUGCTL_BTF) && write_hardware(v, msr, value);
}

/* --- The table -------------------------------------------------------------------------------- */

#define ONE(msr, read, write)         { msr, msr, read, write }
#define RANGE(first, last, read, write) { first, last, read, write }

/* Numbers without a name in defs/msr.h are of registers that a guest does not have. */
static const struct msr_row rows[] = {
	RANGE(0x0, 0x1, read_zero, write_ignored),              /* P5_MC_ADDR, P5_MC_TYPE */
	ONE(MSR_TSC, read_tsc, write_tsc),
	ONE(MSR_KVM_WALL_CLOCK_OLD, read_zero, write_wall_clock),
	ONE(MSR_KVM_SYSTEM_TIME_OLD, read_system_time, write_system_time),
	ONE(MSR_PLATFORM_ID, read_zero, NULL),
	ONE(MSR_APIC_BASE, read_apic_base, write_lapic),
	ONE(0x2a, read_zero, write_ignored),                    /* EBL_CR_POWERON */
	ONE(0x33, NULL, NULL),                                  /* TEST_CTRL */
	ONE(0x34, read_zero, NULL),                             /* SMI_COUNT */
	ONE(MSR_FEATURE_CONTROL, read_feature_control, NULL),
	ONE(MSR_TSC_ADJUST, read_tsc_adjust, write_tsc_adjust),
	RANGE(MSR_SPEC_CTRL, MSR_PRED_CMD, NULL, NULL),
	RANGE(0x4e, 0x4f, NULL, NULL),                          /* PPIN_CTL, PPIN */
	ONE(0x79, NULL, write_ignored),                         /* BIOS_UPDT_TRIG */
	ONE(MSR_BIOS_SIGN_ID, read_microcode, write_ignored),
	ONE(0x9b, read_zero, NULL),                             /* SMM_MONITOR_CTL */
	RANGE(0xc1, 0xc8, NULL, NULL),                          /* PMC0 .. PMC7 */
	ONE(0xcd, read_zero, NULL),                             /* FSB_FREQ */
	ONE(0xce, read_zero, NULL),                             /* PLATFORM_INFO */
	ONE(0xcf, NULL, NULL),                                  /* CORE_CAPABILITIES */
	ONE(0xe2, read_zero, write_ignored),                    /* PKG_CST_CONFIG_CONTROL */
	RANGE(0xe7, 0xe8, NULL, NULL),                          /* MPERF, APERF */
	ONE(MSR_MTRR_CAP, read_mtrr_cap, NULL),
	RANGE(MSR_ARCH_CAPABILITIES, 0x10b, NULL, NULL),        /* and FLUSH_CMD */
	ONE(0x11e, read_zero, write_ignored),                   /* BBL_CR_CTL3 */
	ONE(0x122, NULL, NULL),                                 /* TSX_CTRL */
	ONE(0x140, NULL, NULL),                                 /* MISC_FEATURES_ENABLES */
	RANGE(MSR_SYSENTER_CS, MSR_SYSENTER_EIP, read_hardware, write_hardware),
	RANGE(MSR_MCG_CAP, 0x17b, read_zero, write_ignored),    /* and MCG_STATUS, MCG_CTL */
	RANGE(0x186, 0x189, NULL, NULL),                        /* PERFEVTSEL0 .. 3 */
	RANGE(0x198, 0x199, read_zero, write_ignored),          /* PERF_STATUS, PERF_CTL */
	RANGE(0x19a, 0x19d, read_zero, write_ignored),          /* clock modulation, thermal */
	ONE(MSR_MISC_ENABLE, read_misc_enable, write_misc_enable),
	RANGE(0x1a1, 0x1af, NULL, NULL),                        /* turbo, temperature, offcore */
	RANGE(0x1b0, 0x1b2, NULL, NULL),                        /* ENERGY_PERF_BIAS, package */
	ONE(0x1c8, NULL, NULL),                                 /* LBR_SELECT */
	ONE(MSR_DEBUGCTL, read_hardware, write_debugctl),
	RANGE(0x1db, 0x1de, read_zero, NULL),                   /* last branch and interrupt */
	RANGE(MSR_MTRR_PHYS_BASE0, MTRR_PHYS_LAST, read_mtrr, write_mtrr),
	ONE(MSR_MTRR_FIX64K_00000, read_mtrr, write_mtrr),
	RANGE(MSR_MTRR_FIX16K_80000, MSR_MTRR_FIX16K_A0000, read_mtrr, write_mtrr),
	RANGE(MSR_MTRR_FIX4K_C0000, MSR_MTRR_FIX4K_F8000, read_mtrr, write_mtrr),
	ONE(MSR_PAT, read_hardware, write_hardware),
	ONE(MSR_MTRR_DEF_TYPE, read_mtrr, write_mtrr),
	RANGE(0x309, 0x30b, NULL, NULL),                        /* FIXED_CTR0 .. 2 */
	ONE(0x345, NULL, NULL),                                 /* PERF_CAPABILITIES */
	RANGE(0x38d, 0x390, NULL, NULL),                        /* PERF_GLOBAL_* */
	RANGE(0x3f0, 0x3ff, NULL, NULL),                        /* PEBS, residency counters */
	RANGE(0x480, 0x491, NULL, NULL),                        /* VMX capabilities */
	RANGE(0x600, 0x64f, NULL, NULL),                        /* DS_AREA, RAPL, C-states */
	RANGE(0x680, 0x6df, NULL, NULL),                        /* last branch records */
	ONE(MSR_TSC_DEADLINE, read_tsc_deadline, write_tsc_deadline),
	RANGE(0x770, 0x777, NULL, NULL),                        /* HWP */
	RANGE(MSR_X2APIC_BASE, MSR_X2APIC_LAST, read_lapic, write_lapic),
	ONE(MSR_XSS, NULL, NULL),
	ONE(MSR_KVM_WALL_CLOCK, read_zero, write_wall_clock),
	ONE(MSR_KVM_SYSTEM_TIME, read_system_time, write_system_time),
	ONE(MSR_EFER, read_hardware, write_efer),
	RANGE(MSR_STAR, MSR_FMASK, read_hardware, write_hardware),
	RANGE(MSR_FS_BASE, MSR_TSC_AUX, read_hardware, write_hardware),
	RANGE(0xc0010000, 0xc0010007, read_zero, write_ignored), /* AMD: performance counters */
	RANGE(0xc0010010, 0xc001001f, read_zero, write_ignored), /* AMD: SYSCFG, HWCR, NB_CFG ... */
	RANGE(0xc0010111, 0xc0010117, NULL, NULL),              /* AMD: SMM, VM_CR, VM_HSAVE_PA */
	RANGE(0xc0011020, 0xc001102f, read_zero, write_ignored), /* AMD: LS_CFG, DE_CFG ... */
};

static const struct msr_row *search(uint32_t msr)
{
	unsigned lo = 0, hi = COUNT(rows);

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (rows[mid].last < msr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < COUNT(rows) && rows[lo].first <= msr ? &rows[lo] : NULL;
}

/* Guests use a few MSRs again and again: where each was found last is asked first. */
static inline const struct msr_row *find(uint32_t msr)
{
	static const struct msr_row *found[FOUND_ROWS];
	const struct msr_row **last = &found[msr % FOUND_ROWS];

	if (!*last || msr < (*last)->first || msr > (*last)->last)
		*last = search(msr);
	return *last;
}

static enum resume refuse_access(struct vcpu *v, const char *what, bool known)
{
	if (!known && v->msrs_unknown++ < UNKNOWN_LOGGED_MAX)
		log_line("%s vCPU %u: %s of unknown MSR %#x at rip %#lx: #GP%s", v->vm->config.name,
		         v->id, what, (uint32_t)v->gpr[GPR_RCX], v->rip,
		         v->msrs_unknown == UNKNOWN_LOGGED_MAX ? "; further ones are not logged"
		                                               : "");
	vcpu_raise_error(v, VECTOR_GP, 0);
	return RESUME_SAME;
}

enum resume msr_read(struct vcpu *v)
{
	uint32_t msr = (uint32_t)v->gpr[GPR_RCX];
	const struct msr_row *row = find(msr);
	uint64_t value;

	if (!row || !row->read || !row->read(v, msr, &value))
		return refuse_access(v, "read", row);
	v->gpr[GPR_RAX] = (uint32_t)value;
	v->gpr[GPR_RDX] = value >> 32;
	return RESUME_NEXT;
}

enum resume msr_write(struct vcpu *v)
{
	uint32_t msr = (uint32_t)v->gpr[GPR_RCX];
	const struct msr_row *row = find(msr);
	uint64_t value = v->gpr[GPR_RDX] << 32 | (uint32_t)v->gpr[GPR_RAX];

	if (!row || !row->write || !row->write(v, msr, value))
		return refuse_access(v, "write", row);
	return RESUME_NEXT;
}
