/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpu_baseline.h - CPU features by name, and the sets of them that a VM is created with.
 *
 * A guest takes its CPU along when it moves, so a CPU that other hosts lack is an anchor.  A VM
 * made with a baseline sees only what the baseline has, and an identity that is no vendor's newest:
 * it is the same CPU on every host, and moves between vendors.  docs/cpu.md lists them.
 */
#ifndef VMM_CPU_BASELINE_H
#define VMM_CPU_BASELINE_H

#include "lib/err.h"
#include "lib/types.h"

enum cpu_reg { CPU_EAX, CPU_EBX, CPU_ECX, CPU_EDX };

/*
 * Where a feature comes from.  The levels are those of the x86-64 psABI, "Micro-Architecture
 * Levels", with what the kernel's side needs beside them.
 */
enum cpu_class {
	CPU_OURS,       /* made by us: always there                                             */
	CPU_SMP,        /* made by us: with more than one CPU                                   */
	CPU_V1,         /* the host's; in x86-64-v1 and above                                   */
	CPU_V2,
	CPU_V3,
	CPU_MORE,       /* the host's; in no level, but a baseline may name it                  */
	CPU_OWN,        /* the host's; means different things to different vendors: in none     */
};

struct cpu_feature {
	const char    *name;            /* "AVX2"                       */
	uint32_t       leaf, subleaf, bit;
	enum cpu_reg   reg;
	enum cpu_class class;
};

#define CPU_FEATURES_MAX 128
extern const struct cpu_feature cpu_feature_table[];
extern const unsigned cpu_nfeatures;

/* Its index, or -1. */
int cpu_feature_find(const char *name);

#define CPU_BASELINE_NAME_MAX 24

/* All zero is "host". */
struct cpu_baseline {
	char     name[CPU_BASELINE_NAME_MAX];   /* "host", "x86-64-v2", "custom"                */
	bool     limited;                       /* false: "host", everything this host offers   */
	uint32_t phys_bits;                     /* width of a guest-physical address            */
	uint64_t features[CPU_FEATURES_MAX / 64];
};

/* What every guest can be told about the width of its addresses: 1 TiB is enough. */
#define CPU_PHYS_BITS_MAX  40
#define CPU_PHYS_BITS_MIN  36

/* "host", or a level; ERR_NOT_FOUND (refused) lists those that there are. */
enum err cpu_baseline_named(const char *name, struct cpu_baseline *out);
/* The i-th level's name, from the lowest; NULL after the last. */
const char *cpu_baseline_level(unsigned i);

/* x86-64-v1 under the name "custom"; add features to it. */
void cpu_baseline_begin(struct cpu_baseline *out);
/* ERR_BAD_ARGUMENT (refused): unknown here, or of no use in a baseline. */
enum err cpu_baseline_add(struct cpu_baseline *b, const char *feature);

/* Its name for people, also of one that is all zero. */
const char *cpu_baseline_name(const struct cpu_baseline *b);

/* Does a CPU made by this baseline have it, where the host has it? */
bool cpu_baseline_has(const struct cpu_baseline *b, unsigned feature);
/* Must the host have it? */
bool cpu_baseline_needs(const struct cpu_baseline *b, unsigned feature);

#endif
