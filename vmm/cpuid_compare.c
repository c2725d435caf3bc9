/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpuid_compare.c - can this host offer what a guest was shown, or what a baseline asks for?
 *
 * Every missing item is reported by its name, not only the first: an operator reads the list.
 * Called before a VM is created and before the first page of a migration.
 */
#include "vmm/cpuid.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "lib/fmt.h"

/* --- Comparing -------------------------------------------------------------------------------- */

#define ITEM_MAX         80
#define XSAVE_COMPONENTS 64

static const char *const reg_names[] = { "EAX", "EBX", "ECX", "EDX" };

static void describe(char item[ITEM_MAX], const struct cpu_feature *f)
{
	unsigned bit = 0;

	while (!(f->bit >> bit & 1))
		bit++;
	fmt_format(item, ITEM_MAX, "%s (leaf %#x, %s bit %u)", f->name, f->leaf, reg_names[f->reg],
	           bit);
}

static bool has(const struct cpuid_table *t, const struct cpu_feature *f)
{
	return cpuid_get(t, f->leaf, f->subleaf, f->reg) & f->bit;
}

static unsigned compare_features(const struct cpuid_table *want, const struct cpuid_table *have,
                                 cpuid_missing_fn *missing, void *ctx)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cpu_nfeatures; i++) {
		const struct cpu_feature *f = &cpu_feature_table[i];
		char item[ITEM_MAX];
		if (f->class == CPU_SMP || !has(want, f) || has(have, f))
			continue;
		describe(item, f);
		missing(ctx, item);
		n++;
	}
	return n;
}

/* The bits of one register that have a name here. */
static uint32_t known_bits(uint32_t leaf, uint32_t subleaf, enum cpu_reg reg)
{
	uint32_t known = 0;

	for (unsigned i = 0; i < cpu_nfeatures; i++) {
		const struct cpu_feature *f = &cpu_feature_table[i];
		if (f->leaf == leaf && f->subleaf == subleaf && f->reg == reg)
			known |= f->bit;
	}
	return known;
}

/* Bits in words of features that have no name here: from another version, or made up. */
static unsigned compare_unknown(const struct cpuid_table *want, cpuid_missing_fn *missing,
                                void *ctx)
{
	static const struct { uint32_t leaf, subleaf; enum cpu_reg reg; } words[] = {
		{ 1, 0, CPU_ECX }, { 1, 0, CPU_EDX }, { 6, 0, CPU_EAX },
		{ 7, 0, CPU_EBX }, { 7, 0, CPU_ECX }, { 7, 0, CPU_EDX },
		{ CPUID_XSAVE, 1, CPU_EAX },
		{ CPUID_EXT_FEATURES, 0, CPU_ECX }, { CPUID_EXT_FEATURES, 0, CPU_EDX },
	};
	unsigned n = 0;

	for (unsigned w = 0; w < COUNT(words); w++) {
		uint32_t leaf = words[w].leaf, subleaf = words[w].subleaf;
		enum cpu_reg reg = words[w].reg;
		uint32_t unknown = cpuid_get(want, leaf, subleaf, reg) &
		                   ~known_bits(leaf, subleaf, reg);
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

/* Of the description of an XSAVE component. */
static bool same_register(const struct cpuid_table *a, const struct cpuid_table *b,
                          uint32_t component, enum cpu_reg reg)
{
	return cpuid_get(a, CPUID_XSAVE, component, reg) ==
	       cpuid_get(b, CPUID_XSAVE, component, reg);
}

static unsigned compare_xsave(const struct cpuid_table *want, const struct cpuid_table *have,
                              cpuid_missing_fn *missing, void *ctx)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < XSAVE_COMPONENTS; i++) {
		char item[ITEM_MAX];
		if (!(want->xcr0_mask & BIT(i)))
			continue;
		bool same = i < 2 || (same_register(want, have, i, CPU_EAX) &&
		                      same_register(want, have, i, CPU_EBX));
		if ((have->xcr0_mask & BIT(i)) && same)
			continue;
		fmt_format(item, sizeof(item), "XSAVE component %u (leaf 0xd)%s", i,
		           have->xcr0_mask & BIT(i) ? ", placed as there" : "");
		missing(ctx, item);
		n++;
	}
	return n;
}

uint32_t cpuid_phys_bits(const struct cpuid_table *t)
{
	uint32_t eax = cpuid_get(t, CPUID_EXT_ADDRESS, 0, CPU_EAX);

	return (uint32_t)GET(CPUID80000008_EAX_PHYS_BITS, eax);
}

static unsigned compare_phys_bits(uint32_t want, uint32_t have, cpuid_missing_fn *missing,
                                  void *ctx)
{
	char item[ITEM_MAX];

	if (want <= have)
		return 0;
	fmt_format(item, sizeof(item), "%u bits of physical address (here %u)", want, have);
	missing(ctx, item);
	return 1;
}

/*
 * SYSENTER in long mode, SYSCALL in compatibility mode and what null selectors leave behind differ
 * between vendors, and kernels choose by the vendor's name.  A baseline has one name everywhere and
 * leaves out what differs.
 */
static unsigned compare_vendor(const struct cpuid_table *want, const struct cpuid_table *have,
                               cpuid_missing_fn *missing, void *ctx)
{
	char theirs[CPUID_VENDOR_MAX], ours[CPUID_VENDOR_MAX], item[ITEM_MAX];

	cpuid_vendor(want, theirs);
	cpuid_vendor(have, ours);
	if (strcmp(theirs, ours) == 0 || cpuid_get(want, 1, 0, CPU_EAX) == BASELINE_SIGNATURE)
		return 0;
	fmt_format(item, sizeof(item), "the identity %s (here %s; a VM with a baseline has none)",
	           theirs, ours);
	missing(ctx, item);
	return 1;
}

unsigned cpuid_compare(const struct cpuid_table *want, const struct cpuid_table *have,
                       cpuid_missing_fn *missing, void *ctx)
{
	return compare_vendor(want, have, missing, ctx) +
	       compare_features(want, have, missing, ctx) +
	       compare_unknown(want, missing, ctx) +
	       compare_xsave(want, have, missing, ctx) +
	       compare_phys_bits(cpuid_phys_bits(want), cpuid_phys_bits(have), missing, ctx);
}

unsigned cpuid_lacks(const struct cpuid_table *have, const struct cpu_baseline *want,
                     cpuid_missing_fn *missing, void *ctx)
{
	char item[ITEM_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < cpu_nfeatures; i++) {
		if (!cpu_baseline_needs(want, i) || has(have, &cpu_feature_table[i]))
			continue;
		describe(item, &cpu_feature_table[i]);
		missing(ctx, item);
		n++;
	}
	if (!want->limited)
		return n;
	return n + compare_phys_bits(want->phys_bits, cpuid_phys_bits(have), missing, ctx);
}

/* --- For people ------------------------------------------------------------------------------- */

void cpuid_list(const struct cpuid_table *t, cpuid_missing_fn *each, void *ctx)
{
	for (unsigned i = 0; i < cpu_nfeatures; i++)
		if (has(t, &cpu_feature_table[i]))
			each(ctx, cpu_feature_table[i].name);
}

void cpuid_shareable(const struct cpuid_table *t, cpuid_missing_fn *each, void *ctx)
{
	for (unsigned i = 0; i < cpu_nfeatures; i++) {
		const struct cpu_feature *f = &cpu_feature_table[i];
		if (f->class >= CPU_V1 && f->class != CPU_OWN && has(t, f))
			each(ctx, f->name);
	}
}

void cpuid_vendor(const struct cpuid_table *t, char out[CPUID_VENDOR_MAX])
{
	const uint32_t words[] = { cpuid_get(t, CPUID_VENDOR, 0, CPU_EBX),
	                           cpuid_get(t, CPUID_VENDOR, 0, CPU_EDX),
	                           cpuid_get(t, CPUID_VENDOR, 0, CPU_ECX) };

	memcpy(out, words, sizeof(words));
	out[CPUID_VENDOR_MAX - 1] = '\0';
}

void cpuid_brand(const struct cpuid_table *t, char out[CPUID_BRAND_MAX])
{
	for (uint32_t i = 0; i < (CPUID_BRAND_MAX - 1) / sizeof(struct cpuid_regs); i++) {
		uint32_t leaf = CPUID_BRAND + i;
		const uint32_t words[] = { cpuid_get(t, leaf, 0, CPU_EAX),
		                           cpuid_get(t, leaf, 0, CPU_EBX),
		                           cpuid_get(t, leaf, 0, CPU_ECX),
		                           cpuid_get(t, leaf, 0, CPU_EDX) };
		memcpy(out + i * sizeof(words), words, sizeof(words));
	}
	out[CPUID_BRAND_MAX - 1] = '\0';
}
