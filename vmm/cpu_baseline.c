/* SPDX-License-Identifier: MIT */
/*
 * vmm/cpu_baseline.c - CPU features by name, and the sets of them that a VM is created with; pure.
 *
 * The table is an allow-list: a feature that is not named here does not exist for guests.  Left out
 * on purpose are what a guest could not take along when it moves or what this program does not
 * virtualise: VMX, SVM, SMX, MONITOR, machine checks, performance monitoring, SGX, PT, RDT, TSX,
 * MPX, AVX-512, PKU, CET, speculation controls (their MSRs), thermal and power control.
 * So is the invariant TSC: the next host's TSC may run at another rate.  A guest that needs
 * the time asks kvm-clock, whose rate we keep right; others have the PIT and the PM timer.
 * Read next: vmm/cpuid.c, which makes a guest's CPUID of it.
 */
#include "vmm/cpu_baseline.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"

/* name, leaf, subleaf, register, bit(s) in defs/cpuid.h, class */
#define CPU_FEATURES(F) \
	F(SSE3,         1,          0, ECX, CPUID1_ECX_SSE3,             V2)   \
	F(PCLMULQDQ,    1,          0, ECX, CPUID1_ECX_PCLMULQDQ,        MORE) \
	F(SSSE3,        1,          0, ECX, CPUID1_ECX_SSSE3,            V2)   \
	F(FMA,          1,          0, ECX, CPUID1_ECX_FMA,              V3)   \
	F(CX16,         1,          0, ECX, CPUID1_ECX_CX16,             V2)   \
	F(PCID,         1,          0, ECX, CPUID1_ECX_PCID,             MORE) \
	F(SSE4.1,       1,          0, ECX, CPUID1_ECX_SSE41,            V2)   \
	F(SSE4.2,       1,          0, ECX, CPUID1_ECX_SSE42,            V2)   \
	F(x2APIC,       1,          0, ECX, CPUID1_ECX_X2APIC,           OURS) \
	F(MOVBE,        1,          0, ECX, CPUID1_ECX_MOVBE,            V3)   \
	F(POPCNT,       1,          0, ECX, CPUID1_ECX_POPCNT,           V2)   \
	F(TSC-deadline, 1,          0, ECX, CPUID1_ECX_TSC_DEADLINE,     OURS) \
	F(AES,          1,          0, ECX, CPUID1_ECX_AES,              MORE) \
	F(XSAVE,        1,          0, ECX, CPUID1_ECX_XSAVE,            V3)   \
	F(AVX,          1,          0, ECX, CPUID1_ECX_AVX,              V3)   \
	F(F16C,         1,          0, ECX, CPUID1_ECX_F16C,             V3)   \
	F(RDRAND,       1,          0, ECX, CPUID1_ECX_RDRAND,           MORE) \
	F(hypervisor,   1,          0, ECX, CPUID1_ECX_HYPERVISOR,       OURS) \
	F(FPU,          1,          0, EDX, CPUID1_EDX_FPU,              V1)   \
	F(VME,          1,          0, EDX, CPUID1_EDX_VME,              MORE) \
	F(DE,           1,          0, EDX, CPUID1_EDX_DE,               V1)   \
	F(PSE,          1,          0, EDX, CPUID1_EDX_PSE,              V1)   \
	F(TSC,          1,          0, EDX, CPUID1_EDX_TSC,              V1)   \
	F(MSR,          1,          0, EDX, CPUID1_EDX_MSR,              V1)   \
	F(PAE,          1,          0, EDX, CPUID1_EDX_PAE,              V1)   \
	F(CX8,          1,          0, EDX, CPUID1_EDX_CX8,              V1)   \
	F(APIC,         1,          0, EDX, CPUID1_EDX_APIC,             OURS) \
	F(SEP,          1,          0, EDX, CPUID1_EDX_SEP,              OWN)  \
	F(MTRR,         1,          0, EDX, CPUID1_EDX_MTRR,             OURS) \
	F(PGE,          1,          0, EDX, CPUID1_EDX_PGE,              V1)   \
	F(CMOV,         1,          0, EDX, CPUID1_EDX_CMOV,             V1)   \
	F(PAT,          1,          0, EDX, CPUID1_EDX_PAT,              V1)   \
	F(PSE36,        1,          0, EDX, CPUID1_EDX_PSE36,            V1)   \
	F(CLFLUSH,      1,          0, EDX, CPUID1_EDX_CLFSH,            V1)   \
	F(MMX,          1,          0, EDX, CPUID1_EDX_MMX,              V1)   \
	F(FXSR,         1,          0, EDX, CPUID1_EDX_FXSR,             V1)   \
	F(SSE,          1,          0, EDX, CPUID1_EDX_SSE,              V1)   \
	F(SSE2,         1,          0, EDX, CPUID1_EDX_SSE2,             V1)   \
	F(SS,           1,          0, EDX, CPUID1_EDX_SS,               OWN)  \
	F(HTT,          1,          0, EDX, CPUID1_EDX_HTT,              SMP)  \
	F(ARAT,         6,          0, EAX, CPUID6_EAX_ARAT,             OURS) \
	F(FSGSBASE,     7,          0, EBX, CPUID7_EBX_FSGSBASE,         MORE) \
	F(TSC_ADJUST,   7,          0, EBX, CPUID7_EBX_TSC_ADJUST,       OURS) \
	F(BMI1,         7,          0, EBX, CPUID7_EBX_BMI1,             V3)   \
	F(AVX2,         7,          0, EBX, CPUID7_EBX_AVX2,             V3)   \
	F(FDP_EXCPTN,   7,          0, EBX, CPUID7_EBX_FDP_EXCPTN,       OWN)  \
	F(SMEP,         7,          0, EBX, CPUID7_EBX_SMEP,             MORE) \
	F(BMI2,         7,          0, EBX, CPUID7_EBX_BMI2,             V3)   \
	F(ERMS,         7,          0, EBX, CPUID7_EBX_ERMS,             MORE) \
	F(INVPCID,      7,          0, EBX, CPUID7_EBX_INVPCID,          MORE) \
	F(NO_FCS_FDS,   7,          0, EBX, CPUID7_EBX_NO_FCS_FDS,       OWN)  \
	F(RDSEED,       7,          0, EBX, CPUID7_EBX_RDSEED,           MORE) \
	F(ADX,          7,          0, EBX, CPUID7_EBX_ADX,              MORE) \
	F(SMAP,         7,          0, EBX, CPUID7_EBX_SMAP,             MORE) \
	F(CLFLUSHOPT,   7,          0, EBX, CPUID7_EBX_CLFLUSHOPT,       MORE) \
	F(CLWB,         7,          0, EBX, CPUID7_EBX_CLWB,             MORE) \
	F(SHA,          7,          0, EBX, CPUID7_EBX_SHA,              MORE) \
	F(UMIP,         7,          0, ECX, CPUID7_ECX_UMIP,             MORE) \
	F(GFNI,         7,          0, ECX, CPUID7_ECX_GFNI,             MORE) \
	F(VAES,         7,          0, ECX, CPUID7_ECX_VAES,             MORE) \
	F(VPCLMULQDQ,   7,          0, ECX, CPUID7_ECX_VPCLMULQDQ,       MORE) \
	F(RDPID,        7,          0, ECX, CPUID7_ECX_RDPID,            MORE) \
	F(FSRM,         7,          0, EDX, CPUID7_EDX_FSRM,             MORE) \
	F(MD_CLEAR,     7,          0, EDX, CPUID7_EDX_MD_CLEAR,         MORE) \
	F(XSAVEOPT,     0xd,        1, EAX, CPUIDD_1_EAX_XSAVEOPT,       MORE) \
	F(XSAVEC,       0xd,        1, EAX, CPUIDD_1_EAX_XSAVEC,         MORE) \
	F(XGETBV1,      0xd,        1, EAX, CPUIDD_1_EAX_XGETBV1,        MORE) \
	F(LAHF,         0x80000001, 0, ECX, CPUID80000001_ECX_LAHF,      V2)   \
	F(LZCNT,        0x80000001, 0, ECX, CPUID80000001_ECX_LZCNT,     V3)   \
	F(PREFETCHW,    0x80000001, 0, ECX, CPUID80000001_ECX_PREFETCHW, MORE) \
	F(SYSCALL,      0x80000001, 0, EDX, CPUID80000001_EDX_SYSCALL,   V1)   \
	F(NX,           0x80000001, 0, EDX, CPUID80000001_EDX_NX,        V1)   \
	F(1-GiB-pages,  0x80000001, 0, EDX, CPUID80000001_EDX_1G,        MORE) \
	F(RDTSCP,       0x80000001, 0, EDX, CPUID80000001_EDX_RDTSCP,    MORE) \
	F(LM,           0x80000001, 0, EDX, CPUID80000001_EDX_LM,        V1)

const struct cpu_feature cpu_feature_table[] = {
#define F(name, leaf, subleaf, reg, bit, class) \
	{ #name, leaf, subleaf, (uint32_t)(bit), CPU_##reg, CPU_##class },
	CPU_FEATURES(F)
#undef F
};
const unsigned cpu_nfeatures = COUNT(cpu_feature_table);
_Static_assert(COUNT(cpu_feature_table) <= CPU_FEATURES_MAX,
               "a baseline has a bit for each feature");

static const struct { const char *name; enum cpu_class upto; } levels[] = {
	{ "x86-64-v1", CPU_V1 }, { "x86-64-v2", CPU_V2 }, { "x86-64-v3", CPU_V3 },
};

static void set(struct cpu_baseline *b, unsigned feature)
{
	b->features[feature / 64] |= BIT(feature % 64);
}

int cpu_feature_find(const char *name)
{
	for (unsigned i = 0; i < cpu_nfeatures; i++)
		if (strcmp(cpu_feature_table[i].name, name) == 0)
			return (int)i;
	return -1;
}

const char *cpu_baseline_level(unsigned i)
{
	return i < COUNT(levels) ? levels[i].name : NULL;
}

static void add_levels(struct cpu_baseline *b, enum cpu_class upto)
{
	for (unsigned f = 0; f < cpu_nfeatures; f++)
		if (cpu_feature_table[f].class >= CPU_V1 && cpu_feature_table[f].class <= upto)
			set(b, f);
}

void cpu_baseline_begin(struct cpu_baseline *out)
{
	*out = (struct cpu_baseline){ .name = "custom", .limited = true,
	                              .phys_bits = CPU_PHYS_BITS_MAX };
	add_levels(out, CPU_V1);
}

enum err cpu_baseline_named(const char *name, struct cpu_baseline *out)
{
	cpu_baseline_begin(out);
	if (strcmp(name, "host") == 0) {
		*out = (struct cpu_baseline){ .name = "host" };
		return OK;
	}
	for (unsigned i = 0; i < COUNT(levels); i++) {
		if (strcmp(name, levels[i].name) != 0)
			continue;
		strcpy(out->name, levels[i].name);
		add_levels(out, levels[i].upto);
		return OK;
	}
	return refuse(ERR_NOT_FOUND,
	              "cpu: there is no baseline \"%s\"; there are host, x86-64-v1, x86-64-v2, "
	              "x86-64-v3, and an object with \"features\"", name);
}

enum err cpu_baseline_add(struct cpu_baseline *b, const char *feature)
{
	int i = cpu_feature_find(feature);

	if (i < 0)
		return refuse(ERR_BAD_ARGUMENT, "cpu.features: \"%s\" is unknown here", feature);
	if (cpu_feature_table[i].class == CPU_OWN)
		return refuse(ERR_BAD_ARGUMENT,
		              "cpu.features: %s differs between vendors and is in no baseline",
		              feature);
	set(b, (unsigned)i);
	return OK;
}

const char *cpu_baseline_name(const struct cpu_baseline *b)
{
	return b->name[0] ? b->name : "host";
}

bool cpu_baseline_needs(const struct cpu_baseline *b, unsigned feature)
{
	return b->limited && cpu_feature_table[feature].class >= CPU_V1 &&
	       (b->features[feature / 64] >> feature % 64 & 1);
}

bool cpu_baseline_has(const struct cpu_baseline *b, unsigned feature)
{
	return !b->limited || cpu_feature_table[feature].class < CPU_V1 ||
	       cpu_baseline_needs(b, feature);
}
