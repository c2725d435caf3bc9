/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpuid.h - the CPU that a guest sees: a table frozen when the VM is created, which travels.
 *
 * A leaf that is not in the table reads as zeros, also above the highest one.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include "lib/err.h"
#include "vmm/cpu_baseline.h"
#include "vmm/state.h"

#define CPUID_ENTRIES_MAX 48
#define CPUID_RANGES      3
#define CPUID_LEAVES      32            /* a range */

struct cpuid_regs { uint32_t eax, ebx, ecx, edx; };

struct cpuid_table {
	uint32_t n;
	uint32_t leaf[CPUID_ENTRIES_MAX], subleaf[CPUID_ENTRIES_MAX];
	uint32_t eax[CPUID_ENTRIES_MAX], ebx[CPUID_ENTRIES_MAX];
	uint32_t ecx[CPUID_ENTRIES_MAX], edx[CPUID_ENTRIES_MAX];
	uint64_t xcr0_mask;             /* XSAVE components offered                    */
	/*
	 * Derived, by range (basic, hypervisor, extended) and leaf: its first entry, or n; and the
	 * one entry that answers whatever ECX and the vCPU are, or -1.
	 */
	uint8_t  first[CPUID_RANGES][CPUID_LEAVES];
	int8_t   plain[CPUID_RANGES][CPUID_LEAVES];
};
extern const struct section cpuid_state;

struct vcpu;

/* What a table is made of. */
typedef void cpuid_raw_fn(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);
struct cpuid_source {
	cpuid_raw_fn              *raw;         /* the real CPUID                              */
	uint64_t                   xcr0_mask;   /* XSAVE components that can be switched here  */
	unsigned                   cpus;        /* of the guest                                */
	uint64_t                   tsc_khz;
	const struct cpu_baseline *baseline;
};

/* The host's features that are on the allow-list and in the baseline. */
void cpuid_table_make(struct cpuid_table *t, const struct cpuid_source *from);

/* One register of an entry, 0 when there is none. */
uint32_t cpuid_get(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, enum cpu_reg reg);

/* What a baseline calls itself: an old CPU of no known erratum, so that no guest looks for one. */
#define BASELINE_VENDOR    "GenuineIntel"
#define BASELINE_SIGNATURE 0xf61                /* family 15, model 6, stepping 1       */

/* Features of one table, by name: calls `each` for all that it has.  For people. */
typedef void cpuid_missing_fn(void *ctx, const char *item);
void cpuid_list(const struct cpuid_table *t, cpuid_missing_fn *each, void *ctx);

/* The entry that answers `leaf` without further thought, or -1: then cpuid_answer() thinks. */
static inline int cpuid_plain(const struct cpuid_table *t, uint32_t leaf)
{
	uint32_t range = leaf >> 30;

	if (range >= CPUID_RANGES || (leaf & MASK(29, 0)) >= CPUID_LEAVES)
		return -1;
	return t->plain[range][leaf % CPUID_LEAVES];
}

/*
 * The guest's answer; fills in what depends on the vCPU now (APIC ID, OSXSAVE, APIC enabled, XSAVE
 * size).
 */
void cpuid_answer(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

/*
 * Can a host whose own table is `have` offer the baseline?  Each missing item is reported by name;
 * returns how many are missing.
 */
unsigned cpuid_lacks(const struct cpuid_table *have, const struct cpu_baseline *want,
                     cpuid_missing_fn *missing, void *ctx);

/* Features of one table that a baseline can name. */
void cpuid_shareable(const struct cpuid_table *t, cpuid_missing_fn *each, void *ctx);

/* The twelve letters of leaf 0 and a NUL, and the brand. */
#define CPUID_VENDOR_MAX 13
#define CPUID_BRAND_MAX  49
void cpuid_vendor(const struct cpuid_table *t, char out[CPUID_VENDOR_MAX]);
void cpuid_brand(const struct cpuid_table *t, char out[CPUID_BRAND_MAX]);
uint32_t cpuid_phys_bits(const struct cpuid_table *t);

/*
 * May a guest with table `want` run where `have` is offered?  Each missing item is reported by name
 * ("AVX2 (leaf 7, EBX bit 5)"); returns how many are missing.
 */
unsigned cpuid_compare(const struct cpuid_table *want, const struct cpuid_table *have,
                       cpuid_missing_fn *missing, void *ctx);

#endif
