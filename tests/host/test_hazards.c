/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_hazards.c - which defences a CPU is given: real CPUs by what they enumerate, as
 * in Intel's "Affected Processors" table.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/hazards.h"

#define INTEL .vendor = { 0x756e6547, 0x49656e69, 0x6c65746e }    /* "GenuineIntel" */

static struct defences d;
static struct virt_feature says[HAZARDS];

static void decide(struct hazard_facts f)
{
	memset(&d, 0xff, sizeof(d));
	hazards_decide(&f, &d, says);
}

/* Microcode of 2019: all MSRs but IA32_ARCH_CAPABILITIES. */
#define MITIGATED (CPUID7_EDX_SPEC_CTRL | CPUID7_EDX_STIBP | CPUID7_EDX_L1D_FLUSH | \
                   CPUID7_EDX_MD_CLEAR | CPUID7_EDX_SSBD)

static void an_old_cpu_without_microcode_gets_what_needs_none(void **state)
{
	(void)state;
	decide((struct hazard_facts){ INTEL, .family = 6, .model = 0x55 });
	assert_true(d.small_code);
	assert_true(says[0].found);
	assert_false(d.flush_l1d);
	assert_false(d.ibpb);
	assert_int_equal(d.entry, 0);
	assert_int_equal(d.spec_ctrl, 0);
	for (unsigned i = 1; i < HAZARDS; i++) {
		assert_false(says[i].found);            /* and says why */
		assert_non_null(says[i].why);
		assert_false(says[i].required);
	}
}

static void skylake_gets_everything(void **state)
{
	(void)state;
	decide((struct hazard_facts){ INTEL, .family = 6, .model = 0x55,
	                              .leaf7_ebx = CPUID7_EBX_RTM, .leaf7_edx = MITIGATED });
	assert_true(d.small_code);
	assert_true(d.flush_l1d);
	assert_true(d.ibpb);
	assert_int_equal(d.entry, DEFENCE_VERW | DEFENCE_IBRS | DEFENCE_RSB);
	assert_int_equal(d.spec_ctrl, 0);
	for (unsigned i = 0; i < HAZARDS; i++)
		assert_true(says[i].found);
}

/* Not Meltdown, L1TF, MDS; still iTLB multihit, and TAA where TSX is on. */
static void cascade_lake_is_between(void **state)
{
	struct hazard_facts f = { INTEL, .family = 6, .model = 0x55,
	                          .leaf7_ebx = CPUID7_EBX_RTM,
	                          .leaf7_edx = MITIGATED | CPUID7_EDX_ARCH_CAP,
	                          .arch_caps = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL |
	                                       ARCH_CAP_SKIP_L1D_FLUSH | ARCH_CAP_MDS_NO };

	(void)state;
	decide(f);
	assert_true(d.small_code);
	assert_false(d.flush_l1d);
	assert_int_equal(d.entry, DEFENCE_VERW | DEFENCE_RSB);
	assert_int_equal(d.spec_ctrl, SPEC_CTRL_IBRS);
	f.leaf7_ebx = 0;                                /* TSX switched off */
	decide(f);
	assert_int_equal(d.entry, DEFENCE_RSB);
}

static void a_new_cpu_pays_for_nothing_but_ibpb(void **state)
{
	struct hazard_facts f = { INTEL, .family = 6, .model = 0x8f,
	                          .leaf7_ebx = CPUID7_EBX_RTM,
	                          .leaf7_edx = MITIGATED | CPUID7_EDX_ARCH_CAP,
	                          .leaf7_2_edx = CPUID7_2_EDX_BHI_CTRL,
	                          .arch_caps = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL |
	                                       ARCH_CAP_SKIP_L1D_FLUSH | ARCH_CAP_MDS_NO |
	                                       ARCH_CAP_TAA_NO | ARCH_CAP_PSCHANGE_MC_NO |
	                                       ARCH_CAP_PBRSB_NO };

	(void)state;
	decide(f);
	assert_false(d.small_code);
	assert_false(d.flush_l1d);
	assert_int_equal(d.entry, 0);
	assert_true(d.ibpb);
	assert_int_equal(d.spec_ctrl, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S);
	f.arch_caps |= ARCH_CAP_BHI_NO;
	decide(f);
	assert_int_equal(d.spec_ctrl, SPEC_CTRL_IBRS);
}

/* Register file data sampling: small cores that are MDS_NO, with microcode of 2024. */
static void small_cores_have_hazards_of_their_own(void **state)
{
	struct hazard_facts f = { INTEL, .family = 6, .model = 0x5f,
	                          .leaf7_edx = CPUID7_EDX_ARCH_CAP,
	                          .arch_caps = ARCH_CAP_RDCL_NO | ARCH_CAP_MDS_NO |
	                                       ARCH_CAP_RFDS_CLEAR };

	(void)state;
	decide(f);
	assert_false(d.small_code);                     /* does not say PSCHANGE_MC_NO, but is */
	assert_false(d.flush_l1d);
	assert_int_equal(d.entry, DEFENCE_VERW);
	assert_true(says[2].found);
	f.arch_caps |= ARCH_CAP_RFDS_NO;
	decide(f);
	assert_int_equal(d.entry, 0);
	decide((struct hazard_facts){ INTEL, .family = 6, .model = 0x37 });
	assert_false(d.small_code);
	assert_true(says[1].found);
	decide((struct hazard_facts){ INTEL, .family = 15, .model = 0x37 });
	assert_true(d.small_code);                      /* a model number of another family */
}

static void another_vendor_has_none_of_intels(void **state)
{
	struct hazard_facts f = { .family = 0x17, .model = 1 };

	(void)state;
	decide(f);
	assert_false(d.small_code);
	assert_false(d.flush_l1d);
	assert_int_equal(d.entry, 0);
	assert_false(d.ibpb);
	f.ext8_ebx = CPUID80000008_EBX_IBPB;
	decide(f);
	assert_true(d.ibpb);
	assert_true(says[3].found);
	assert_false(says[4].found);
	f.leaf7_edx = MITIGATED;                        /* means nothing on this vendor's */
	decide(f);
	assert_false(says[4].found);
	assert_int_equal(d.entry, 0);
}

/* IBRS alone is not enough, IBRS that stays on leaves the return stack, automatic IBRS nothing. */
static void another_vendor_keeps_guests_from_the_hosts_predictors(void **state)
{
	struct hazard_facts f = { .family = 0x17, .model = 0x31,
	                          .ext8_ebx = CPUID80000008_EBX_IBRS };

	(void)state;
	decide(f);
	assert_false(says[4].found);
	assert_int_equal(d.spec_ctrl, 0);
	f.ext8_ebx |= CPUID80000008_EBX_IBRS_ALWAYS;
	decide(f);
	assert_true(says[4].found);
	assert_int_equal(d.spec_ctrl, SPEC_CTRL_IBRS);
	assert_int_equal(d.entry, DEFENCE_RSB);
	assert_false(d.auto_ibrs);
	f.ext21_eax = CPUID80000021_EAX_AUTO_IBRS;
	decide(f);
	assert_true(says[4].found);
	assert_true(d.auto_ibrs);
	assert_int_equal(d.spec_ctrl, 0);
	assert_int_equal(d.entry, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_old_cpu_without_microcode_gets_what_needs_none),
		cmocka_unit_test(skylake_gets_everything),
		cmocka_unit_test(cascade_lake_is_between),
		cmocka_unit_test(a_new_cpu_pays_for_nothing_but_ibpb),
		cmocka_unit_test(small_cores_have_hazards_of_their_own),
		cmocka_unit_test(another_vendor_has_none_of_intels),
		cmocka_unit_test(another_vendor_keeps_guests_from_the_hosts_predictors),
	};

	return cmocka_run_group_tests_name("hazards", tests, NULL, NULL);
}
