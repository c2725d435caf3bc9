/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpuid.c - the CPU that a guest sees.
 *
 * An allow-list: a feature that is not named below does not exist for guests.  Left out on purpose
 * are what a guest could not take along when it moves or what this program does not virtualise:
 * VMX, SMX, MONITOR, machine checks, performance monitoring, SGX, PT, RDT, TSX, MPX, AVX-512, PKU,
 * CET, speculation controls (their MSRs), thermal and power control, and leaves 0x15 and 0x16.
 * So is the invariant TSC: the next host's TSC may run at another rate.  A guest that needs
 * the time asks kvm-clock, whose rate we keep right; others have the PIT and the PM timer.
 * The table is made once, when a VM is created, and travels with it.  Read next: vmm/msr.c.
 */
#include "vmm/cpuid.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "vmm/kvmclock.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

enum reg { EAX, EBX, ECX, EDX };

/* HOST: offered when this machine has it.  ALWAYS: made by us.  SMP: with more than one CPU. */
enum offer { HOST, ALWAYS, SMP };

/* name, leaf, subleaf, register, bit(s) in defs/cpuid.h, offer */
#define CPUID_OFFERED(F)                                                 \
	F(SSE3,         1, 0, ECX, CPUID1_ECX_SSE3,         HOST)        \
	F(PCLMULQDQ,    1, 0, ECX, CPUID1_ECX_PCLMULQDQ,    HOST)        \
	F(SSSE3,        1, 0, ECX, CPUID1_ECX_SSSE3,        HOST)        \
	F(FMA,          1, 0, ECX, CPUID1_ECX_FMA,          HOST)        \
	F(CX16,         1, 0, ECX, CPUID1_ECX_CX16,         HOST)        \
	F(PCID,         1, 0, ECX, CPUID1_ECX_PCID,         HOST)        \
	F(SSE4.1,       1, 0, ECX, CPUID1_ECX_SSE41,        HOST)        \
	F(SSE4.2,       1, 0, ECX, CPUID1_ECX_SSE42,        HOST)        \
	F(x2APIC,       1, 0, ECX, CPUID1_ECX_X2APIC,       ALWAYS)      \
	F(MOVBE,        1, 0, ECX, CPUID1_ECX_MOVBE,        HOST)        \
	F(POPCNT,       1, 0, ECX, CPUID1_ECX_POPCNT,       HOST)        \
	F(TSC-deadline, 1, 0, ECX, CPUID1_ECX_TSC_DEADLINE, ALWAYS)      \
	F(AES,          1, 0, ECX, CPUID1_ECX_AES,          HOST)        \
	F(XSAVE,        1, 0, ECX, CPUID1_ECX_XSAVE,        HOST)        \
	F(AVX,          1, 0, ECX, CPUID1_ECX_AVX,          HOST)        \
	F(F16C,         1, 0, ECX, CPUID1_ECX_F16C,         HOST)        \
	F(RDRAND,       1, 0, ECX, CPUID1_ECX_RDRAND,       HOST)        \
	F(hypervisor,   1, 0, ECX, CPUID1_ECX_HYPERVISOR,   ALWAYS)      \
	F(FPU,          1, 0, EDX, CPUID1_EDX_FPU,          HOST)        \
	F(VME,          1, 0, EDX, CPUID1_EDX_VME,          HOST)        \
	F(DE,           1, 0, EDX, CPUID1_EDX_DE,           HOST)        \
	F(PSE,          1, 0, EDX, CPUID1_EDX_PSE,          HOST)        \
	F(TSC,          1, 0, EDX, CPUID1_EDX_TSC,          HOST)        \
	F(MSR,          1, 0, EDX, CPUID1_EDX_MSR,          HOST)        \
	F(PAE,          1, 0, EDX, CPUID1_EDX_PAE,          HOST)        \
	F(CX8,          1, 0, EDX, CPUID1_EDX_CX8,          HOST)        \
	F(APIC,         1, 0, EDX, CPUID1_EDX_APIC,         ALWAYS)      \
	F(SEP,          1, 0, EDX, CPUID1_EDX_SEP,          HOST)        \
	F(MTRR,         1, 0, EDX, CPUID1_EDX_MTRR,         ALWAYS)      \
	F(PGE,          1, 0, EDX, CPUID1_EDX_PGE,          HOST)        \
	F(CMOV,         1, 0, EDX, CPUID1_EDX_CMOV,         HOST)        \
	F(PAT,          1, 0, EDX, CPUID1_EDX_PAT,          HOST)        \
	F(PSE36,        1, 0, EDX, CPUID1_EDX_PSE36,        HOST)        \
	F(CLFLUSH,      1, 0, EDX, CPUID1_EDX_CLFSH,        HOST)        \
	F(MMX,          1, 0, EDX, CPUID1_EDX_MMX,          HOST)        \
	F(FXSR,         1, 0, EDX, CPUID1_EDX_FXSR,         HOST)        \
	F(SSE,          1, 0, EDX, CPUID1_EDX_SSE,          HOST)        \
	F(SSE2,         1, 0, EDX, CPUID1_EDX_SSE2,         HOST)        \
	F(SS,           1, 0, EDX, CPUID1_EDX_SS,           HOST)        \
	F(HTT,          1, 0, EDX, CPUID1_EDX_HTT,          SMP)         \
	F(ARAT,         6, 0, EAX, CPUID6_EAX_ARAT,         ALWAYS)      \
	F(FSGSBASE,     7, 0, EBX, CPUID7_EBX_FSGSBASE,     HOST)        \
	F(TSC_ADJUST,   7, 0, EBX, CPUID7_EBX_TSC_ADJUST,   ALWAYS)      \
	F(BMI1,         7, 0, EBX, CPUID7_EBX_BMI1,         HOST)        \
	F(AVX2,         7, 0, EBX, CPUID7_EBX_AVX2,         HOST)        \
	F(FDP_EXCPTN,   7, 0, EBX, CPUID7_EBX_FDP_EXCPTN,   HOST)        \
	F(SMEP,         7, 0, EBX, CPUID7_EBX_SMEP,         HOST)        \
	F(BMI2,         7, 0, EBX, CPUID7_EBX_BMI2,         HOST)        \
	F(ERMS,         7, 0, EBX, CPUID7_EBX_ERMS,         HOST)        \
	F(INVPCID,      7, 0, EBX, CPUID7_EBX_INVPCID,      HOST)        \
	F(NO_FCS_FDS,   7, 0, EBX, CPUID7_EBX_NO_FCS_FDS,   HOST)        \
	F(RDSEED,       7, 0, EBX, CPUID7_EBX_RDSEED,       HOST)        \
	F(ADX,          7, 0, EBX, CPUID7_EBX_ADX,          HOST)        \
	F(SMAP,         7, 0, EBX, CPUID7_EBX_SMAP,         HOST)        \
	F(CLFLUSHOPT,   7, 0, EBX, CPUID7_EBX_CLFLUSHOPT,   HOST)        \
	F(CLWB,         7, 0, EBX, CPUID7_EBX_CLWB,         HOST)        \
	F(SHA,          7, 0, EBX, CPUID7_EBX_SHA,          HOST)        \
	F(UMIP,         7, 0, ECX, CPUID7_ECX_UMIP,         HOST)        \
	F(GFNI,         7, 0, ECX, CPUID7_ECX_GFNI,         HOST)        \
	F(VAES,         7, 0, ECX, CPUID7_ECX_VAES,         HOST)        \
	F(VPCLMULQDQ,   7, 0, ECX, CPUID7_ECX_VPCLMULQDQ,   HOST)        \
	F(RDPID,        7, 0, ECX, CPUID7_ECX_RDPID,        HOST)        \
	F(FSRM,         7, 0, EDX, CPUID7_EDX_FSRM,         HOST)        \
	F(MD_CLEAR,     7, 0, EDX, CPUID7_EDX_MD_CLEAR,     HOST)        \
	F(XSAVEOPT,     0xd, 1, EAX, CPUIDD_1_EAX_XSAVEOPT, HOST)        \
	F(XSAVEC,       0xd, 1, EAX, CPUIDD_1_EAX_XSAVEC,   HOST)        \
	F(XGETBV1,      0xd, 1, EAX, CPUIDD_1_EAX_XGETBV1,  HOST)        \
	F(LAHF,         0x80000001, 0, ECX, CPUID80000001_ECX_LAHF,      HOST) \
	F(LZCNT,        0x80000001, 0, ECX, CPUID80000001_ECX_LZCNT,     HOST) \
	F(PREFETCHW,    0x80000001, 0, ECX, CPUID80000001_ECX_PREFETCHW, HOST) \
	F(SYSCALL,      0x80000001, 0, EDX, CPUID80000001_EDX_SYSCALL,   HOST) \
	F(NX,           0x80000001, 0, EDX, CPUID80000001_EDX_NX,        HOST) \
	F(1-GiB-pages,  0x80000001, 0, EDX, CPUID80000001_EDX_1G,        HOST) \
	F(RDTSCP,       0x80000001, 0, EDX, CPUID80000001_EDX_RDTSCP,    HOST) \
	F(LM,           0x80000001, 0, EDX, CPUID80000001_EDX_LM,        HOST)

struct feature {
	const char *name;
	uint32_t    leaf, subleaf, bit;
	uint8_t     reg, offer;
};
static const struct feature features[] = {
#define F(name, leaf, subleaf, reg, bit, offer) \
	{ #name, leaf, subleaf, (uint32_t)(bit), reg, offer },
	CPUID_OFFERED(F)
#undef F
};
static const char *const reg_names[] = { "EAX", "EBX", "ECX", "EDX" };

#define XCR0_OFFERED       (XCR0_X87 | XCR0_SSE | XCR0_AVX)
#define XSAVE_LEGACY_SIZE  576                  /* FXSAVE's region and the header       */
#define XSAVE_COMPONENTS   64
#define PHYS_BITS_MAX      40                   /* so that hosts agree; 1 TiB is enough */
#define CACHE_LEVELS_MAX   8
#define CACHE_LAST_LEVEL   3
#define HYPERVISOR_MAX     0x40000010
#define HYPERVISOR_TSC     0x40000010           /* TSC and bus kHz: VMware's leaf */
#define APIC_BUS_KHZ       (VLAPIC_TIMER_HZ / 1000)

/* Leaves whose answer depends on ECX; the others answer the same for any. */
#define INDEXED_LEAVES \
	(BIT(CPUID_CACHE) | BIT(CPUID_FEATURES7) | BIT(CPUID_TOPOLOGY) | BIT(CPUID_XSAVE))

/* Leaves whose answer depends on the vCPU's state: answer_now(). */
#define CHANGING_LEAVES (BIT(CPUID_FEATURES) | BIT(CPUID_TOPOLOGY) | BIT(CPUID_XSAVE))

/* --- The table -------------------------------------------------------------------------------- */

/* 0 basic, 1 hypervisor, 2 extended; 3 nothing of ours. */
static inline unsigned range_of(uint32_t leaf)
{
	return (leaf & MASK(29, 0)) < CPUID_LEAVES ? leaf >> 30 : 3;
}

static void make_index(struct cpuid_table *t)
{
	memset(t->first, (int)t->n, sizeof(t->first));
	memset(t->plain, -1, sizeof(t->plain));
	for (unsigned i = t->n; i-- > 0; ) {
		uint32_t leaf = t->leaf[i], range = range_of(leaf);
		if (range >= CPUID_RANGES)
			continue;
		t->first[range][leaf % CPUID_LEAVES] = (uint8_t)i;
		if (range > 0 || !(BIT(leaf) & (INDEXED_LEAVES | CHANGING_LEAVES)))
			t->plain[range][leaf % CPUID_LEAVES] = (int8_t)i;
	}
}

/* The entry that answers, or -1. */
static inline int find(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf)
{
	unsigned range = range_of(leaf);

	if (range >= CPUID_RANGES)
		return -1;
	unsigned i = t->first[range][leaf % CPUID_LEAVES];
	bool indexed = range == 0 && (INDEXED_LEAVES >> leaf & 1);
	for (; i < t->n && t->leaf[i] == leaf; i++)
		if (!indexed || t->subleaf[i] == subleaf)
			return (int)i;
	return -1;
}

/* One register of an entry, 0 when there is none; for tables that have no index (yet). */
static uint32_t get(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, enum reg reg)
{
	const uint32_t *column[] = { t->eax, t->ebx, t->ecx, t->edx };

	for (unsigned i = 0; i < MIN(t->n, CPUID_ENTRIES_MAX); i++)
		if (t->leaf[i] == leaf && t->subleaf[i] == subleaf)
			return column[reg][i];
	return 0;
}

static void add(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, struct cpuid_regs r)
{
	unsigned i = t->n;

	ASSERT(i < CPUID_ENTRIES_MAX);
	t->leaf[i] = leaf;
	t->subleaf[i] = subleaf;
	t->eax[i] = r.eax;
	t->ebx[i] = r.ebx;
	t->ecx[i] = r.ecx;
	t->edx[i] = r.edx;
	t->n++;
}

static uint32_t reg_of(const struct cpuid_regs *r, enum reg reg)
{
	return (const uint32_t[]){ r->eax, r->ebx, r->ecx, r->edx }[reg];
}

/* What this machine says, reduced to the features offered. */
static struct cpuid_regs offered(cpuid_raw_fn *raw, uint32_t leaf, uint32_t subleaf, unsigned cpus)
{
	struct cpuid_regs host, r = { 0 };
	uint32_t *out[] = { &r.eax, &r.ebx, &r.ecx, &r.edx };

	raw(leaf, subleaf, &host);
	for (unsigned i = 0; i < COUNT(features); i++) {
		const struct feature *f = &features[i];
		if (f->leaf != leaf || f->subleaf != subleaf)
			continue;
		bool have = f->offer == ALWAYS || (f->offer == SMP && cpus > 1);
		if (f->offer == HOST)
			have = reg_of(&host, f->reg) & f->bit;
		*out[f->reg] |= have ? f->bit : 0;
	}
	return r;
}

static unsigned log2_ceil(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* Caches as they are, shared as the guest's topology says: one package, the last level for all. */
static void add_caches(struct cpuid_table *t, cpuid_raw_fn *raw, unsigned cpus)
{
	uint32_t slots = (1u << log2_ceil(cpus)) - 1;

	for (uint32_t i = 0; i < CACHE_LEVELS_MAX; i++) {
		struct cpuid_regs r;
		raw(CPUID_CACHE, i, &r);
		if (!(r.eax & CPUID4_EAX_TYPE))
			return;
		bool shared = GET(CPUID4_EAX_LEVEL, r.eax) >= CACHE_LAST_LEVEL;
		r.eax &= (uint32_t)~(CPUID4_EAX_SHARED | CPUID4_EAX_CORES);
		r.eax |= (uint32_t)PUT(CPUID4_EAX_CORES, slots);
		r.eax |= (uint32_t)PUT(CPUID4_EAX_SHARED, shared ? slots : 0);
		add(t, CPUID_CACHE, i, r);
	}
}

static void add_topology(struct cpuid_table *t, unsigned cpus)
{
	struct cpuid_regs smt = { .ebx = 1, .ecx = CPUIDB_ECX_TYPE_SMT | 0 };
	struct cpuid_regs core = { .eax = log2_ceil(cpus),
		                   .ebx = cpus,
		                   .ecx = CPUIDB_ECX_TYPE_CORE | 1 };

	add(t, CPUID_TOPOLOGY, 0, smt);
	add(t, CPUID_TOPOLOGY, 1, core);
}

/* Bytes of an XSAVE area with these components, standard format. */
static uint32_t xsave_size(const struct cpuid_table *t, uint64_t xcr0)
{
	uint32_t size = XSAVE_LEGACY_SIZE;

	for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++)
		if (xcr0 & BIT(i))
			size = MAX(size, get(t, CPUID_XSAVE, i, EBX) + get(t, CPUID_XSAVE, i, EAX));
	return size;
}

static void add_xsave(struct cpuid_table *t, cpuid_raw_fn *raw, unsigned cpus)
{
	struct cpuid_regs all = { .eax = (uint32_t)t->xcr0_mask,
		                  .edx = (uint32_t)(t->xcr0_mask >> 32) };
	unsigned at = t->n;

	add(t, CPUID_XSAVE, 0, all);
	add(t, CPUID_XSAVE, 1, offered(raw, CPUID_XSAVE, 1, cpus));
	for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
		struct cpuid_regs r;
		if (!(t->xcr0_mask & BIT(i)))
			continue;
		raw(CPUID_XSAVE, i, &r);
		add(t, CPUID_XSAVE, i, r);
	}
	t->ecx[at] = xsave_size(t, t->xcr0_mask);
}

static void add_basic(struct cpuid_table *t, cpuid_raw_fn *raw, unsigned cpus)
{
	struct cpuid_regs host, r;

	raw(CPUID_VENDOR, 0, &host);
	uint32_t max = MIN(host.eax, (uint32_t)CPUID_XSAVE);
	r = host;
	r.eax = max;
	add(t, CPUID_VENDOR, 0, r);

	raw(CPUID_FEATURES, 0, &host);
	r = offered(raw, CPUID_FEATURES, 0, cpus);
	bool xsave = max >= CPUID_XSAVE && (r.ecx & CPUID1_ECX_XSAVE);
	if (!xsave)
		t->xcr0_mask = XCR0_X87 | XCR0_SSE;
	if (!(t->xcr0_mask & XCR0_AVX))
		r.ecx &= (uint32_t)~(CPUID1_ECX_AVX | CPUID1_ECX_FMA | CPUID1_ECX_F16C);
	if (!xsave)
		r.ecx &= (uint32_t)~CPUID1_ECX_XSAVE;
	r.eax = host.eax;
	r.ebx = (uint32_t)(host.ebx & CPUID1_EBX_CLFLUSH);
	r.ebx |= (uint32_t)PUT(CPUID1_EBX_CPUS, 1u << log2_ceil(cpus));
	add(t, CPUID_FEATURES, 0, r);

	raw(2, 0, &r);                                  /* cache descriptors: as they are */
	add(t, 2, 0, r);
	if (max >= CPUID_CACHE)
		add_caches(t, raw, cpus);
	if (max >= CPUID_THERMAL)
		add(t, CPUID_THERMAL, 0, offered(raw, CPUID_THERMAL, 0, cpus));
	if (max >= CPUID_FEATURES7)
		add(t, CPUID_FEATURES7, 0, offered(raw, CPUID_FEATURES7, 0, cpus));
	if (max >= CPUID_TOPOLOGY)
		add_topology(t, cpus);
	if (xsave)
		add_xsave(t, raw, cpus);
}

static void add_hypervisor(struct cpuid_table *t, uint64_t tsc_khz)
{
	const uint64_t offers =
		KVMCLOCK_FEATURE_OLD_MSRS | KVMCLOCK_FEATURE_MSRS | KVMCLOCK_FEATURE_STABLE;
	struct cpuid_regs name = { .eax = HYPERVISOR_MAX };
	struct cpuid_regs rates = { .eax = (uint32_t)tsc_khz, .ebx = APIC_BUS_KHZ };

	memcpy(&name.ebx, "KVMK", 4);
	memcpy(&name.ecx, "VMKV", 4);
	memcpy(&name.edx, "M\0\0\0", 4);
	add(t, KVMCLOCK_CPUID_SIGNATURE, 0, name);
	add(t, KVMCLOCK_CPUID_FEATURES, 0, (struct cpuid_regs){ .eax = (uint32_t)offers });
	add(t, HYPERVISOR_TSC, 0, rates);
}

static void add_extended(struct cpuid_table *t, cpuid_raw_fn *raw, unsigned cpus)
{
	struct cpuid_regs r;

	add(t, CPUID_EXT_MAX, 0, (struct cpuid_regs){ .eax = CPUID_EXT_ADDRESS });
	add(t, CPUID_EXT_FEATURES, 0, offered(raw, CPUID_EXT_FEATURES, 0, cpus));
	for (uint32_t i = 0; i < 3; i++) {
		raw(CPUID_BRAND + i, 0, &r);
		add(t, CPUID_BRAND + i, 0, r);
	}
	raw(CPUID_EXT_ADDRESS, 0, &r);
	uint32_t phys = MIN((uint32_t)GET(CPUID80000008_EAX_PHYS_BITS, r.eax), PHYS_BITS_MAX);
	r = (struct cpuid_regs){ .eax = (r.eax & (uint32_t)CPUID80000008_EAX_LIN_BITS) | phys };
	add(t, CPUID_EXT_ADDRESS, 0, r);
}

void cpuid_table_make(struct cpuid_table *t, cpuid_raw_fn *raw, uint64_t xcr0_mask, unsigned cpus,
                      uint64_t tsc_khz)
{
	memset(t, 0, sizeof(*t));
	t->xcr0_mask = xcr0_mask & XCR0_OFFERED;
	add_basic(t, raw, cpus);
	add_hypervisor(t, tsc_khz);
	add_extended(t, raw, cpus);
	make_index(t);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void answer_features(const struct vcpu *v, struct cpuid_regs *out)
{
	struct cpu_mode mode;

	virt->get_mode((struct vcpu *)v, &mode);
	out->ebx |= (uint32_t)PUT(CPUID1_EBX_APIC_ID, v->id);
	if (mode.cr4 & CR4_OSXSAVE)
		out->ecx |= (uint32_t)CPUID1_ECX_OSXSAVE;
	if (!vlapic_enabled(&v->lapic))
		out->edx &= (uint32_t)~CPUID1_EDX_APIC;
}

/* The few answers that are not constants. */
static void answer_now(const struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                       struct cpuid_regs *out)
{
	switch (leaf) {
	case CPUID_FEATURES:
		answer_features(v, out);
		break;
	case CPUID_TOPOLOGY:                            /* also for levels that do not exist */
		out->ecx |= subleaf & (uint32_t)CPUIDB_ECX_SUBLEAF;
		out->edx = v->id;
		break;
	case CPUID_XSAVE:
		if (subleaf <= 1)
			out->ebx = xsave_size(&v->vm->cpuid, v->xcr0);
		break;
	}
}

void cpuid_answer(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	const struct cpuid_table *t = &v->vm->cpuid;
	int i = find(t, leaf, subleaf);

	*out = (struct cpuid_regs){ 0 };
	if (i >= 0)
		*out = (struct cpuid_regs){ t->eax[i], t->ebx[i], t->ecx[i], t->edx[i] };
	if (leaf < CPUID_LEAVES && (i >= 0 || leaf == CPUID_TOPOLOGY))
		answer_now(v, leaf, subleaf, out);
}

/* --- Comparing -------------------------------------------------------------------------------- */

#define ITEM_MAX 80

static void describe(char item[ITEM_MAX], const struct feature *f)
{
	unsigned bit = 0;

	while (!(f->bit >> bit & 1))
		bit++;
	fmt_format(item, ITEM_MAX, "%s (leaf %#x, %s bit %u)", f->name, f->leaf, reg_names[f->reg],
	           bit);
}

static bool has(const struct cpuid_table *t, const struct feature *f)
{
	return get(t, f->leaf, f->subleaf, f->reg) & f->bit;
}

void cpuid_list(const struct cpuid_table *t, cpuid_missing_fn *each, void *ctx)
{
	for (unsigned i = 0; i < COUNT(features); i++)
		if (has(t, &features[i]))
			each(ctx, features[i].name);
}

static unsigned compare_features(const struct cpuid_table *want, const struct cpuid_table *have,
                                 cpuid_missing_fn *missing, void *ctx)
{
	unsigned n = 0;

	for (unsigned i = 0; i < COUNT(features); i++) {
		const struct feature *f = &features[i];
		char item[ITEM_MAX];
		if (f->offer == SMP || !has(want, f) || has(have, f))
			continue;
		describe(item, f);
		missing(ctx, item);
		n++;
	}
	return n;
}

/* The bits of one register that have a name here. */
static uint32_t known_bits(uint32_t leaf, uint32_t subleaf, enum reg reg)
{
	uint32_t known = 0;

	for (unsigned i = 0; i < COUNT(features); i++) {
		const struct feature *f = &features[i];
		if (f->leaf == leaf && f->subleaf == subleaf && f->reg == reg)
			known |= f->bit;
	}
	return known;
}

/* Bits in words of features that have no name here: from another version, or made up. */
static unsigned compare_unknown(const struct cpuid_table *want, cpuid_missing_fn *missing,
                                void *ctx)
{
	static const struct { uint32_t leaf, subleaf; enum reg reg; } words[] = {
		{ 1, 0, ECX }, { 1, 0, EDX }, { 6, 0, EAX },
		{ 7, 0, EBX }, { 7, 0, ECX }, { 7, 0, EDX }, { CPUID_XSAVE, 1, EAX },
		{ CPUID_EXT_FEATURES, 0, ECX }, { CPUID_EXT_FEATURES, 0, EDX },
	};
	unsigned n = 0;

	for (unsigned w = 0; w < COUNT(words); w++) {
		uint32_t leaf = words[w].leaf, subleaf = words[w].subleaf;
		enum reg reg = words[w].reg;
		uint32_t unknown = get(want, leaf, subleaf, reg) & ~known_bits(leaf, subleaf, reg);
		char item[ITEM_MAX];
		if (!unknown)
			continue;
		fmt_format(item, sizeof(item), "unknown features %#x (leaf %#x, %s)", unknown, leaf,
		           reg_names[reg]);
		missing(ctx, item);
		n++;
	}
	return n;
}

static unsigned compare_xsave(const struct cpuid_table *want, const struct cpuid_table *have,
                              cpuid_missing_fn *missing, void *ctx)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < XSAVE_COMPONENTS; i++) {
		char item[ITEM_MAX];
		if (!(want->xcr0_mask & BIT(i)))
			continue;
		bool same = get(want, CPUID_XSAVE, i, EAX) == get(have, CPUID_XSAVE, i, EAX) &&
		            get(want, CPUID_XSAVE, i, EBX) == get(have, CPUID_XSAVE, i, EBX);
		if ((have->xcr0_mask & BIT(i)) && (i < 2 || same))
			continue;
		fmt_format(item, sizeof(item), "XSAVE component %u (leaf 0xd)%s", i,
		           have->xcr0_mask & BIT(i) ? ", placed as there" : "");
		missing(ctx, item);
		n++;
	}
	return n;
}

static uint32_t phys_bits(const struct cpuid_table *t)
{
	return (uint32_t)GET(CPUID80000008_EAX_PHYS_BITS, get(t, CPUID_EXT_ADDRESS, 0, EAX));
}

unsigned cpuid_compare(const struct cpuid_table *want, const struct cpuid_table *have,
                       cpuid_missing_fn *missing, void *ctx)
{
	uint32_t want_bits = phys_bits(want), have_bits = phys_bits(have);
	unsigned n = compare_features(want, have, missing, ctx);
	char item[ITEM_MAX];

	n += compare_unknown(want, missing, ctx);
	n += compare_xsave(want, have, missing, ctx);
	if (want_bits > have_bits) {
		fmt_format(item, sizeof(item), "%u bits of physical address (here %u)", want_bits,
		           have_bits);
		missing(ctx, item);
		n++;
	}
	return n;
}

/* --- What travels ----------------------------------------------------------------------------- */

/* Entries are in order, so that find() sees those of a leaf side by side. */
static bool in_order(const struct cpuid_table *t, unsigned i)
{
	return t->leaf[i - 1] < t->leaf[i] ||
	       (t->leaf[i - 1] == t->leaf[i] && t->subleaf[i - 1] < t->subleaf[i]);
}

static enum err cpuid_check(const void *object)
{
	const struct cpuid_table *t = object;

	if (t->n == 0 || t->n > CPUID_ENTRIES_MAX)
		return fail(ERR_BAD_FORMAT, "cpuid: %u entries", t->n);
	for (unsigned i = 0; i < t->n; i++) {
		if (range_of(t->leaf[i]) >= CPUID_RANGES)
			return fail(ERR_BAD_FORMAT, "cpuid: leaf %#x is in no range", t->leaf[i]);
		if (i > 0 && !in_order(t, i))
			return fail(ERR_BAD_FORMAT, "cpuid: leaf %#x is out of order", t->leaf[i]);
	}
	if (t->xcr0_mask & ~XCR0_OFFERED)
		return fail(ERR_BAD_FORMAT,
		            "cpuid: xcr0_mask %#lx has components that are never offered",
		            t->xcr0_mask);
	return OK;
}

static void cpuid_loaded(void *object)
{
	make_index(object);
}

static const struct field cpuid_fields[] = {
	FIELD(struct cpuid_table, n),
	FIELDS(struct cpuid_table, leaf), FIELDS(struct cpuid_table, subleaf),
	FIELDS(struct cpuid_table, eax), FIELDS(struct cpuid_table, ebx),
	FIELDS(struct cpuid_table, ecx), FIELDS(struct cpuid_table, edx),
	FIELD(struct cpuid_table, xcr0_mask),
};

const struct section cpuid_state = {
	.name = "cpuid", .version = 1, .fields = cpuid_fields, .nfields = COUNT(cpuid_fields),
	.object_size = sizeof(struct cpuid_table),
	.check = cpuid_check, .resume = cpuid_loaded,
};
