/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpuid.h - the CPU that a guest sees: a table frozen when the VM is created, which travels.
 *
 * A leaf that is not in the table reads as zeros, also above the highest one.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include "lib/err.h"
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

/* What this host offers, filtered by an allow-list of features; `raw` reads the real CPUID. */
typedef void cpuid_raw_fn(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);
void cpuid_table_make(struct cpuid_table *t, cpuid_raw_fn *raw, uint64_t xcr0_mask, unsigned cpus,
                      uint64_t tsc_khz);

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
 * May a guest with table `want` run where `have` is offered?  Each missing item is reported by name
 * ("AVX2 (leaf 7, EBX bit 5)"); returns how many are missing.
 */
unsigned cpuid_compare(const struct cpuid_table *want, const struct cpuid_table *have,
                       cpuid_missing_fn *missing, void *ctx);

#endif
