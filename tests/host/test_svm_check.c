/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_svm_check.c - each rule of VMRUN (APM vol. 2, "Canonicalization and Consistency
 * Checks"), broken one at a time; and what is in a VMCB and its maps.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/svm/svm_check.h"
#include "arch/x86_64/svm/vmcb.h"
#include "vmm/vcpu.h"

static const struct svm_caps caps = {
	.asids = 16, .features = CPUIDSVM_EDX_NP, .phys_bits = 40,
	.cr4_known = MASK(10, 0) | CR4_OSXSAVE | CR4_SMEP,
	.efer_known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME,
};
static const struct vmcb_plan plan = {
	.iopm = { 0x10000 }, .msrpm = { 0x20000 }, .nested_root = { 0x30000 },
	.rdtscp = true, .tsc_offset = 0x1234,
};
static struct vmcb m;

/* A guest in 64-bit mode, about to be entered. */
static void make_good(void)
{
	vmcb_build(&m, &plan);
	m.asid = 1;
	m.cr0 = CR0_PE | CR0_PG | CR0_ET;
	m.cr3 = 0x1000;
	m.cr4 = CR4_PAE;
	m.efer = EFER_LME | EFER_LMA | EFER_SVME;
	m.cs.attrib = 0xa9b;
	m.dr6 = DR6_INIT & UINT32_MAX;
	m.dr7 = DR7_INIT;
}

static void a_good_vmcb_breaks_no_rule(void **state)
{
	(void)state;
	make_good();
	assert_null(svm_check(&m, &caps));
	m.cr0 = CR0_CD | CR0_NW | CR0_ET;                       /* as after reset */
	m.efer = EFER_SVME;
	m.cs.attrib = 0x9b;
	assert_null(svm_check(&m, &caps));
}

#define EXCEPTION(vector) (EVENTINJ_VALID | PUT(EVENTINJ_TYPE, 3ull) | (vector))

static void each_broken_rule_is_named(void **state)
{
	(void)state;
	static const struct { size_t at; uint64_t value; const char *named; } cases[] = {
#define CASE(field, value, named) { offsetof(struct vmcb, field), value, named }
		CASE(efer, EFER_LME | EFER_LMA, "SVME"),
		CASE(cr0, CR0_PE | CR0_PG | CR0_NW, "NW without CD"),
		CASE(cr0, CR0_PE | CR0_PG | BIT(32), "CR0: bits above 31"),
		CASE(cr3, BIT(52), "CR3"),
		CASE(cr4, CR4_PAE | CR4_SMAP, "CR4: a reserved bit"),
		CASE(dr6, BIT(32), "DR6"),
		CASE(dr7, BIT(63), "DR7"),
		CASE(efer, EFER_LME | EFER_LMA | EFER_SVME | BIT(20), "EFER: a reserved bit"),
		CASE(cr4, 0, "without PAE"),
		CASE(cr0, CR0_PG, "without PE"),
		CASE(msrpm_pa, (1ull << 40) - PAGE_SIZE, "MSR permission map"),
		CASE(iopm_pa, (1ull << 40) - 2 * PAGE_SIZE, "I/O permission map"),
		CASE(n_cr3, 1ull << 40, "nested CR3"),
		CASE(g_pat, 0x0606060602060606, "guest PAT"),
		CASE(g_pat, 0x0806060606060606, "guest PAT"),
		CASE(event_inj, EVENTINJ_VALID | PUT(EVENTINJ_TYPE, 1ull), "type is reserved"),
		CASE(event_inj, EVENTINJ_VALID | PUT(EVENTINJ_TYPE, 5ull), "type is reserved"),
		CASE(event_inj, EXCEPTION(32), "over 31"),
		CASE(event_inj, EXCEPTION(VECTOR_NMI), "vector of NMIs"),
		CASE(event_inj, EXCEPTION(VECTOR_BR), "#BR"),
#undef CASE
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		make_good();
		memcpy((char *)&m + cases[i].at, &cases[i].value, sizeof(cases[i].value));
		const char *broken = svm_check(&m, &caps);
		if (!broken || !strstr(broken, cases[i].named))
			fail_msg("case %u, %s: %s", i, cases[i].named, broken ? broken : "nothing");
	}
}

static void rules_of_narrow_fields(void **state)
{
	(void)state;
	make_good();
	m.asid = 0;
	assert_non_null(strstr(svm_check(&m, &caps), "ASID is 0"));
	m.asid = 16;
	assert_non_null(strstr(svm_check(&m, &caps), "more than"));
	make_good();
	m.cs.attrib |= 0x400;                                   /* D beside L */
	assert_non_null(strstr(svm_check(&m, &caps), "L and D"));
	make_good();
	vmcb_intercept(&m, INTERCEPT_VMRUN, false);
	assert_non_null(strstr(svm_check(&m, &caps), "VMRUN"));
	make_good();
	assert_non_null(strstr(svm_check(&m, &(struct svm_caps){ .asids = 16, .phys_bits = 40,
		.cr4_known = ~0ull, .efer_known = ~0ull }), "nested paging"));
}

/* --- What is in a VMCB ---------------------------------------------------------------------- */

/* APM vol. 2, "VMCB Layout": the intercepts by their places in the manual's table. */
static void intercepts_stand_where_the_manual_has_them(void **state)
{
	(void)state;
	make_good();
	assert_true(m.intercept_misc[0] & BIT(0));              /* INTR               */
	assert_true(m.intercept_misc[0] & BIT(5));              /* CR0, selectively   */
	assert_true(m.intercept_misc[0] & BIT(18));             /* CPUID              */
	assert_true(m.intercept_misc[0] & BIT(31));             /* shutdown           */
	assert_false(m.intercept_misc[0] & BIT(20));            /* IRET               */
	assert_false(m.intercept_misc[0] & BIT(29));            /* task switch        */
	assert_true(m.intercept_misc[1] & BIT(0));              /* VMRUN              */
	assert_true(m.intercept_misc[1] & BIT(13));             /* XSETBV             */
	assert_false(m.intercept_misc[1] & BIT(7));             /* RDTSCP, announced  */
	assert_true(m.intercept_misc[2] & BIT(2));              /* INVPCID, which not */
	assert_int_equal(m.intercept_cr_write, BIT(4) | BIT(8));
	assert_int_equal(m.intercept_exceptions, BIT(1) | BIT(6) | BIT(17) | BIT(18));
	assert_int_equal(m.g_pat, 0x0606060606060606);
	assert_int_equal(m.np_control, 1);
	assert_int_equal(m.tsc_offset, 0x1234);
}

/* A change of intercepts must be seen by a CPU that caches them. */
static void a_changed_intercept_is_not_clean(void **state)
{
	(void)state;
	make_good();
	m.clean = (uint32_t)CLEAN_ALL;
	assert_false(vmcb_intercepts(&m, INTERCEPT_IRET));
	vmcb_intercept(&m, INTERCEPT_IRET, true);
	assert_true(vmcb_intercepts(&m, INTERCEPT_IRET));
	assert_int_equal(m.clean, (uint32_t)(CLEAN_ALL & ~CLEAN_INTERCEPTS));
	vmcb_intercept(&m, INTERCEPT_IRET, false);
	assert_false(vmcb_intercepts(&m, INTERCEPT_IRET));
}

/* CD and NW are the guest's alone; while one is set, each access to CR0 exits. */
static void a_guests_caches_stay_on(void **state)
{
	(void)state;
	make_good();
	m.clean = (uint32_t)CLEAN_ALL;
	assert_int_equal(vmcb_set_cr0(&m, CR0_PE | CR0_CD | CR0_NW), CR0_CD | CR0_NW);
	assert_int_equal(m.cr0, CR0_PE);
	assert_int_equal(m.intercept_cr_read, BIT(0) | BIT(4) | BIT(8));
	assert_int_equal(m.intercept_cr_write, BIT(0) | BIT(4) | BIT(8));
	assert_true(m.intercept_misc[0] & BIT(5));
	assert_int_equal(m.clean, (uint32_t)(CLEAN_ALL & ~(CLEAN_CR | CLEAN_INTERCEPTS)));

	m.clean = (uint32_t)CLEAN_ALL;
	vmcb_open_cr0(&m, CR0_CD | CR0_NW);                     /* as the guest knows it */
	assert_int_equal(m.cr0, CR0_PE | CR0_CD | CR0_NW);
	assert_int_equal(m.intercept_cr_read, BIT(4) | BIT(8));
	assert_int_equal(m.intercept_cr_write, BIT(4) | BIT(8));
	assert_false(m.intercept_misc[0] & BIT(5));
	assert_int_equal(m.clean, (uint32_t)(CLEAN_ALL & ~(CLEAN_CR | CLEAN_INTERCEPTS)));

	m.cr0 = CR0_PE | CR0_PG;                                /* it switched them on again */
	assert_int_equal(vmcb_set_cr0(&m, m.cr0), 0);
	assert_int_equal(m.cr0, CR0_PE | CR0_PG);
	assert_int_equal(m.intercept_cr_read, BIT(4) | BIT(8)); /* and accesses cost nothing */
	assert_int_equal(m.intercept_cr_write, BIT(4) | BIT(8));
	assert_true(m.intercept_misc[0] & BIT(5));
}

/*
 * APM vol. 2, "MSR Intercepts": two bits an MSR; only a handful of the second range pass.  LSTAR is
 * read by the guest, but not written: what SYSCALL in compatibility mode does may depend on it.
 */
static void only_the_listed_msrs_pass(void **state)
{
	(void)state;
	static const uint32_t passed[] = { MSR_STAR, MSR_FMASK, MSR_FS_BASE, MSR_GS_BASE,
		MSR_KERNEL_GS_BASE, MSR_TSC_AUX };
	static uint8_t map[MSRPM_BYTES];

	for (unsigned aux = 0; aux < 2; aux++) {
		unsigned open = 0;
		vmcb_msrpm_build(map, aux);
		for (unsigned i = 0; i < MSRPM_BYTES * 8; i++)
			open += !(map[i / 8] >> i % 8 & 1);
		assert_int_equal(open, 2 * (COUNT(passed) - 1 + aux) + 1);
		unsigned lstar = 2 * (MSR_LSTAR - 0xc0000000) + 0x800 * 8;
		assert_int_equal(map[lstar / 8] >> lstar % 8 & 3, 2);
		for (unsigned i = 0; i < COUNT(passed) - 1 + aux; i++) {
			unsigned bit = 2 * (passed[i] - 0xc0000000) + 0x800 * 8;
			assert_int_equal(map[bit / 8] >> bit % 8 & 3, 0);
		}
	}
}

static void instructions_follow_the_guests_cpuid(void **state)
{
	(void)state;
	static struct cpuid_table t;

	assert_false(vmcb_offers_tsc_aux(&t) || vmcb_offers_invpcid(&t));
	t.n = 2;
	t.leaf[0] = CPUID_FEATURES7;
	t.leaf[1] = CPUID_EXT_FEATURES;
	t.ebx[0] = CPUID7_EBX_INVPCID;
	assert_true(vmcb_offers_invpcid(&t) && !vmcb_offers_tsc_aux(&t));
	t.edx[1] = (uint32_t)CPUID80000001_EDX_RDTSCP;
	assert_true(vmcb_offers_tsc_aux(&t));
	t.edx[1] = 0;
	t.ecx[0] = CPUID7_ECX_RDPID;
	assert_true(vmcb_offers_tsc_aux(&t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_vmcb_breaks_no_rule),
		cmocka_unit_test(each_broken_rule_is_named),
		cmocka_unit_test(rules_of_narrow_fields),
		cmocka_unit_test(intercepts_stand_where_the_manual_has_them),
		cmocka_unit_test(a_changed_intercept_is_not_clean),
		cmocka_unit_test(a_guests_caches_stay_on),
		cmocka_unit_test(only_the_listed_msrs_pass),
		cmocka_unit_test(instructions_follow_the_guests_cpuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
