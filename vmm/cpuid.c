/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpuid.c - the CPU that a guest sees.
 *
 * Only features of vmm/cpu_baseline.c's allow-list exist for guests, and of these what the host has
 * and the VM's baseline allows; leaves 0x15 and 0x16 do not exist, as the TSC's rate may change.
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

#define XCR0_OFFERED       (XCR0_X87 | XCR0_SSE | XCR0_AVX)
#define XSAVE_LEGACY_SIZE  576                  /* FXSAVE's region and the header       */
#define XSAVE_COMPONENTS   64
#define BRAND_LEN          48
#define CLFLUSH_64_BYTES   (64 / 8)
#define LINEAR_BITS        48                   /* five levels of tables are not offered */
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

uint32_t cpuid_get(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, enum cpu_reg reg)
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

static uint32_t reg_of(const struct cpuid_regs *r, enum cpu_reg reg)
{
	return (const uint32_t[]){ r->eax, r->ebx, r->ecx, r->edx }[reg];
}

/* What this machine says, reduced to the features offered. */
static struct cpuid_regs offered(const struct cpuid_source *from, uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs host, r = { 0 };
	uint32_t *out[] = { &r.eax, &r.ebx, &r.ecx, &r.edx };

	from->raw(leaf, subleaf, &host);
	for (unsigned i = 0; i < cpu_nfeatures; i++) {
		const struct cpu_feature *f = &cpu_feature_table[i];
		if (f->leaf != leaf || f->subleaf != subleaf)
			continue;
		bool have = f->class == CPU_OURS || (f->class == CPU_SMP && from->cpus > 1);
		if (f->class >= CPU_V1)
			have = (reg_of(&host, f->reg) & f->bit) &&
			       cpu_baseline_has(from->baseline, i);
		*out[f->reg] |= have ? f->bit : 0;
	}
	return r;
}

/* Twelve letters, in the order in which leaf 0 has them. */
static void put_vendor(struct cpuid_regs *r, const char *vendor)
{
	memcpy(&r->ebx, vendor, 4);
	memcpy(&r->edx, vendor + 4, 4);
	memcpy(&r->ecx, vendor + 8, 4);
}

static unsigned log2_ceil(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* Caches as they are, shared as the guest's topology says: one package, the last level for all. */
static void add_caches(struct cpuid_table *t, const struct cpuid_source *from)
{
	uint32_t slots = (1u << log2_ceil(from->cpus)) - 1;

	for (uint32_t i = 0; i < CACHE_LEVELS_MAX; i++) {
		struct cpuid_regs r;
		from->raw(CPUID_CACHE, i, &r);
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
			size = MAX(size, cpuid_get(t, CPUID_XSAVE, i, CPU_EBX) +
			                 cpuid_get(t, CPUID_XSAVE, i, CPU_EAX));
	return size;
}

static void add_xsave(struct cpuid_table *t, const struct cpuid_source *from)
{
	struct cpuid_regs all = { .eax = (uint32_t)t->xcr0_mask,
		                  .edx = (uint32_t)(t->xcr0_mask >> 32) };
	unsigned at = t->n;

	add(t, CPUID_XSAVE, 0, all);
	add(t, CPUID_XSAVE, 1, offered(from, CPUID_XSAVE, 1));
	for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
		struct cpuid_regs r;
		if (!(t->xcr0_mask & BIT(i)))
			continue;
		from->raw(CPUID_XSAVE, i, &r);
		add(t, CPUID_XSAVE, i, r);
	}
	t->ecx[at] = xsave_size(t, t->xcr0_mask);
}

/* Leaf 0, and of leaf 1 what is no feature. */
static void add_identity(struct cpuid_table *t, const struct cpuid_source *from,
                         struct cpuid_regs *features)
{
	struct cpuid_regs vendor, host;

	from->raw(CPUID_VENDOR, 0, &vendor);
	from->raw(CPUID_FEATURES, 0, &host);
	vendor.eax = MIN(vendor.eax, (uint32_t)CPUID_XSAVE);
	features->eax = host.eax;
	features->ebx = (uint32_t)(host.ebx & CPUID1_EBX_CLFLUSH);
	if (from->baseline->limited) {
		vendor = (struct cpuid_regs){ .eax = CPUID_XSAVE };
		put_vendor(&vendor, BASELINE_VENDOR);
		features->eax = BASELINE_SIGNATURE;
		features->ebx = (uint32_t)PUT(CPUID1_EBX_CLFLUSH, CLFLUSH_64_BYTES);
	}
	features->ebx |= (uint32_t)PUT(CPUID1_EBX_CPUS, 1u << log2_ceil(from->cpus));
	add(t, CPUID_VENDOR, 0, vendor);
}

static void add_basic(struct cpuid_table *t, const struct cpuid_source *from)
{
	struct cpuid_regs features = offered(from, CPUID_FEATURES, 0), r;

	add_identity(t, from, &features);
	uint32_t max = t->eax[0];
	bool xsave = max >= CPUID_XSAVE && (features.ecx & CPUID1_ECX_XSAVE);
	if (!xsave || !(features.ecx & CPUID1_ECX_AVX))
		t->xcr0_mask &= XCR0_X87 | XCR0_SSE;
	if (!(t->xcr0_mask & XCR0_AVX))
		features.ecx &= (uint32_t)~(CPUID1_ECX_AVX | CPUID1_ECX_FMA | CPUID1_ECX_F16C);
	if (!xsave)
		features.ecx &= (uint32_t)~CPUID1_ECX_XSAVE;
	add(t, CPUID_FEATURES, 0, features);

	if (!from->baseline->limited) {
		from->raw(2, 0, &r);                    /* cache descriptors: as they are */
		add(t, 2, 0, r);
		if (max >= CPUID_CACHE)
			add_caches(t, from);
	}
	if (max >= CPUID_THERMAL)
		add(t, CPUID_THERMAL, 0, offered(from, CPUID_THERMAL, 0));
	if (max >= CPUID_FEATURES7)
		add(t, CPUID_FEATURES7, 0, offered(from, CPUID_FEATURES7, 0));
	if (max >= CPUID_TOPOLOGY)
		add_topology(t, from->cpus);
	if (xsave)
		add_xsave(t, from);
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

static void add_brand(struct cpuid_table *t, const struct cpuid_source *from)
{
	struct cpuid_regs r[BRAND_LEN / sizeof(struct cpuid_regs)];

	if (!from->baseline->limited) {
		for (uint32_t i = 0; i < COUNT(r); i++)
			from->raw(CPUID_BRAND + i, 0, &r[i]);
	} else {
		memset(r, 0, sizeof(r));
		fmt_format((char *)r, sizeof(r), "Godwit %s virtual CPU", from->baseline->name);
	}
	for (uint32_t i = 0; i < COUNT(r); i++)
		add(t, CPUID_BRAND + i, 0, r[i]);
}

static void add_extended(struct cpuid_table *t, const struct cpuid_source *from)
{
	struct cpuid_regs r;

	add(t, CPUID_EXT_MAX, 0, (struct cpuid_regs){ .eax = CPUID_EXT_ADDRESS });
	add(t, CPUID_EXT_FEATURES, 0, offered(from, CPUID_EXT_FEATURES, 0));
	add_brand(t, from);
	from->raw(CPUID_EXT_ADDRESS, 0, &r);
	uint32_t phys = MIN((uint32_t)GET(CPUID80000008_EAX_PHYS_BITS, r.eax), CPU_PHYS_BITS_MAX);
	if (from->baseline->limited)
		phys = MIN(phys, from->baseline->phys_bits);
	r = (struct cpuid_regs){ .eax = phys };
	r.eax |= (uint32_t)PUT(CPUID80000008_EAX_LIN_BITS, LINEAR_BITS);
	add(t, CPUID_EXT_ADDRESS, 0, r);
}

void cpuid_table_make(struct cpuid_table *t, const struct cpuid_source *from)
{
	memset(t, 0, sizeof(*t));
	t->xcr0_mask = from->xcr0_mask & XCR0_OFFERED;
	add_basic(t, from);
	add_hypervisor(t, from->tsc_khz);
	add_extended(t, from);
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
