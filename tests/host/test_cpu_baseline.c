/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_cpu_baseline.c - CPUs that do not depend on the host they were created on.
 *
 * Two make-believe hosts, of two vendors, with different features beyond a level.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "vmm/cpuid.h"

#define XCR0_ALL 7
#define TSC_KHZ  2500000

struct host { const char *vendor; uint32_t signature, lacks_7_ebx, lacks_1_ecx, phys_bits; };

static const struct host intel = { "GenuineIntel", 0x50654, 0, 0, 46 };
static const struct host amd = {
	"AuthenticAMD", 0x830f10, (uint32_t)(CPUID7_EBX_INVPCID | CPUID7_EBX_ERMS),
	(uint32_t)(CPUID1_ECX_PCID | CPUID1_ECX_TSC_DEADLINE), 48
};
static const struct host old = {
	"GenuineIntel", 0x206a7, (uint32_t)(CPUID7_EBX_AVX2 | CPUID7_EBX_BMI1 | CPUID7_EBX_BMI2),
	(uint32_t)(CPUID1_ECX_FMA | CPUID1_ECX_MOVBE), 36
};
static const struct host *host;

static void raw(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	*out = (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
	if (leaf == CPUID_VENDOR) {
		out->eax = 0x20;
		memcpy(&out->ebx, host->vendor, 4);
		memcpy(&out->edx, host->vendor + 4, 4);
		memcpy(&out->ecx, host->vendor + 8, 4);
	} else if (leaf == CPUID_FEATURES) {
		out->eax = host->signature;
		out->ecx &= ~host->lacks_1_ecx;
	} else if (leaf == CPUID_FEATURES7) {
		out->ebx &= ~host->lacks_7_ebx;
	} else if (leaf == CPUID_CACHE) {
		*out = (struct cpuid_regs){ 0 };
	} else if (leaf == CPUID_XSAVE && subleaf == 2) {
		*out = (struct cpuid_regs){ .eax = 256, .ebx = 576 };
	} else if (leaf == CPUID_EXT_ADDRESS) {
		*out = (struct cpuid_regs){ .eax = 0x3900 | host->phys_bits };
	}
}

static struct cpuid_table table_on(const struct host *on, const struct cpu_baseline *baseline)
{
	static const struct cpu_baseline everything;
	const struct cpuid_source from = {
		.raw = raw, .xcr0_mask = XCR0_ALL, .cpus = 2, .tsc_khz = TSC_KHZ,
		.baseline = baseline ? baseline : &everything,
	};
	struct cpuid_table t;

	host = on;
	cpuid_table_make(&t, &from);
	return t;
}

static char items[2000];

static void note(void *ctx, const char *item)
{
	(void)ctx;
	strcat(items, item);
	strcat(items, "\n");
}

static unsigned lacks(const struct host *on, const char *level)
{
	struct cpuid_table here = table_on(on, NULL);
	struct cpu_baseline b;

	items[0] = '\0';
	assert_int_equal(cpu_baseline_named(level, &b), OK);
	return cpuid_lacks(&here, &b, note, NULL);
}

static unsigned compare(const struct cpuid_table *want, const struct host *on)
{
	struct cpuid_table have = table_on(on, NULL);

	items[0] = '\0';
	return cpuid_compare(want, &have, note, NULL);
}

static void a_level_is_the_same_cpu_on_every_host(void **state)
{
	(void)state;
	for (unsigned i = 0; cpu_baseline_level(i); i++) {
		struct cpu_baseline b;
		assert_int_equal(cpu_baseline_named(cpu_baseline_level(i), &b), OK);
		struct cpuid_table there = table_on(&intel, &b), here = table_on(&amd, &b);
		assert_memory_equal(&there, &here, sizeof(here));
		assert_int_equal(compare(&there, &amd), 0);
		assert_int_equal(compare(&here, &intel), 0);
	}
}

static void what_a_host_lacks_for_a_level_is_named(void **state)
{
	(void)state;
	assert_int_equal(lacks(&intel, "x86-64-v3"), 0);
	assert_int_equal(lacks(&intel, "host"), 0);
	assert_int_equal(lacks(&old, "x86-64-v3"), 6);
	assert_non_null(strstr(items, "AVX2 (leaf 0x7, EBX bit 5)\n"));
	assert_non_null(strstr(items, "40 bits of physical address (here 36)\n"));
}

static void the_hosts_own_cpu_does_not_change_its_vendor(void **state)
{
	struct cpuid_table own = table_on(&amd, NULL);

	(void)state;
	assert_int_equal(compare(&own, &amd), 0);
	assert_int_equal(compare(&own, &intel), 1);
	assert_non_null(strstr(items, "the identity AuthenticAMD (here GenuineIntel"));
}

static void a_moved_guest_is_refused_what_the_next_host_lacks(void **state)
{
	struct cpu_baseline b;

	(void)state;
	assert_int_equal(cpu_baseline_named("x86-64-v3", &b), OK);
	struct cpuid_table v3 = table_on(&intel, &b);
	assert_int_equal(compare(&v3, &old), 6);
	assert_non_null(strstr(items, "MOVBE (leaf 0x1, ECX bit 22)\n"));
}

static void features_by_name(void **state)
{
	struct cpu_baseline b;

	(void)state;
	cpu_baseline_begin(&b);
	assert_int_equal(cpu_baseline_add(&b, "INVPCID"), OK);
	struct cpuid_table t = table_on(&intel, &b), here = table_on(&amd, NULL);
	int features7 = cpuid_plain(&t, CPUID_FEATURES);
	assert_int_equal(features7, -1);                /* it depends on the vCPU */
	assert_int_equal(compare(&t, &amd), 1);
	assert_string_equal(items, "INVPCID (leaf 0x7, EBX bit 10)\n");
	assert_int_equal(cpuid_lacks(&here, &b, note, NULL), 1);

	assert_int_equal(cpu_baseline_add(&b, "SEP"), ERR_BAD_ARGUMENT);
	assert_int_equal(cpu_baseline_add(&b, "warp"), ERR_BAD_ARGUMENT);
	assert_non_null(strstr(err_reason(), "\"warp\" is unknown"));
	assert_int_equal(cpu_baseline_named("x86-64-v9", &b), ERR_NOT_FOUND);
	assert_non_null(strstr(err_reason(), "x86-64-v2"));
}

static void shareable_features_can_all_be_named(void **state)
{
	struct cpuid_table own = table_on(&intel, NULL);
	struct cpu_baseline b;
	char *name, *rest = items;

	(void)state;
	items[0] = '\0';
	cpuid_shareable(&own, note, NULL);
	assert_non_null(strstr(items, "AVX2\n"));
	assert_null(strstr(items, "SEP\n"));
	cpu_baseline_begin(&b);
	while ((name = strsep(&rest, "\n")) && name[0])
		assert_int_equal(cpu_baseline_add(&b, name), OK);
	struct cpuid_table all = table_on(&intel, &b);
	assert_int_equal(compare(&all, &intel), 0);
}

static void avx_goes_with_xsave(void **state)
{
	struct cpu_baseline b;

	(void)state;
	assert_int_equal(cpu_baseline_named("x86-64-v2", &b), OK);
	assert_int_equal(table_on(&intel, &b).xcr0_mask, 3);
	assert_int_equal(cpu_baseline_named("x86-64-v3", &b), OK);
	assert_int_equal(table_on(&intel, &b).xcr0_mask, 7);
}

static void names_for_people(void **state)
{
	char vendor[CPUID_VENDOR_MAX], brand[CPUID_BRAND_MAX];
	struct cpu_baseline b;

	(void)state;
	assert_int_equal(cpu_baseline_named("x86-64-v2", &b), OK);
	struct cpuid_table t = table_on(&amd, &b), own = table_on(&amd, NULL);
	cpuid_vendor(&own, vendor);
	assert_string_equal(vendor, "AuthenticAMD");
	cpuid_brand(&t, brand);
	assert_string_equal(brand, "Godwit x86-64-v2 virtual CPU");
	assert_int_equal(cpuid_phys_bits(&t), 40);
	assert_string_equal(cpu_baseline_name(&b), "x86-64-v2");
	assert_string_equal(cpu_baseline_name(&(struct cpu_baseline){ 0 }), "host");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_level_is_the_same_cpu_on_every_host),
		cmocka_unit_test(what_a_host_lacks_for_a_level_is_named),
		cmocka_unit_test(the_hosts_own_cpu_does_not_change_its_vendor),
		cmocka_unit_test(a_moved_guest_is_refused_what_the_next_host_lacks),
		cmocka_unit_test(features_by_name),
		cmocka_unit_test(shareable_features_can_all_be_named),
		cmocka_unit_test(avx_goes_with_xsave),
		cmocka_unit_test(names_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
