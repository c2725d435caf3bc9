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
#define CPUID_RANGE       32            /* leaves a range: basic, hypervisor, extended */

struct cpuid_regs { uint32_t eax, ebx, ecx, edx; };

struct cpuid_table {
	uint32_t n;
	uint32_t leaf[CPUID_ENTRIES_MAX], subleaf[CPUID_ENTRIES_MAX];
	uint32_t eax[CPUID_ENTRIES_MAX], ebx[CPUID_ENTRIES_MAX], ecx[CPUID_ENTRIES_MAX], edx[CPUID_ENTRIES_MAX];
	uint64_t xcr0_mask;             /* XSAVE components offered                    */
	uint8_t  first[3][CPUID_RANGE]; /* derived: first entry of each leaf, n: none  */
};
extern const struct section cpuid_state;

struct vcpu;

/* What this host offers, filtered by an allow-list of features; `raw` reads the real CPUID. */
typedef void cpuid_raw_fn(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);
void cpuid_table_make(struct cpuid_table *t, cpuid_raw_fn *raw, uint64_t xcr0_mask, unsigned cpus, uint64_t tsc_khz);

/* Features of one table, by name: calls `each` for all that it has.  For people. */
typedef void cpuid_missing_fn(void *ctx, const char *item);
void cpuid_list(const struct cpuid_table *t, cpuid_missing_fn *each, void *ctx);

/* The guest's answer; fills in what depends on the vCPU now (APIC ID, OSXSAVE, APIC enabled, XSAVE size). */
void cpuid_answer(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

/*
 * May a guest with table `want` run where `have` is offered?  Each missing item is reported by name
 * ("AVX2 (leaf 7, EBX bit 5)"); returns how many are missing.
 */
unsigned cpuid_compare(const struct cpuid_table *want, const struct cpuid_table *have, cpuid_missing_fn *missing, void *ctx);

#endif
