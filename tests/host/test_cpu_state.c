/* SPDX-License-Identifier: MIT */
/* tests/host/test_cpu_state.c - where a CPU begins, and which states from outside are refused. */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "vmm/cpu_state.h"
#include "vmm/cpuid.h"

#define XCR0_HERE (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

static struct cpu_state s;

static void reset_is_what_the_manual_says(void **state)
{
	(void)state;
	cpu_state_reset(&s);
	assert_int_equal(s.seg_base[SEG_CS] + s.rip, 0xfffffff0);
	assert_int_equal(s.seg_sel[SEG_CS], 0xf000);
	assert_int_equal(s.seg_attr[SEG_CS], 0x93);
	assert_int_equal(s.seg_attr[SEG_LDTR], 0x82);
	assert_int_equal(s.seg_attr[SEG_TR], 0x8b);
	assert_int_equal(s.cr0, 0x60000010);
	assert_int_equal(s.rflags, 2);
	assert_int_equal(s.dr6, 0xffff0ff0);
	assert_int_equal(s.dr7, 0x400);
	assert_int_equal(s.msr[CPU_MSR_PAT], 0x0007040600070406);
	assert_int_equal(cpu_state_check(&s, XCR0_HERE), OK);
	assert_int_equal(cpu_state_check(&s, 0), OK);           /* a host without XSAVE */
}

static void flat_states_are_what_kernels_expect(void **state)
{
	(void)state;
	cpu_state_flat32(&s, 0x100000);
	assert_int_equal(s.rip, 0x100000);
	assert_int_equal(s.cr0 & (CR0_PE | CR0_PG), CR0_PE);
	assert_int_equal(s.seg_attr[SEG_CS], 0xc09b);
	assert_int_equal(s.seg_limit[SEG_DS], 0xffffffff);
	assert_int_equal(cpu_state_check(&s, XCR0_HERE), OK);
	cpu_state_flat64(&s, 0xffffffff81000000, 0x9000);
	assert_int_equal(s.cr3, 0x9000);
	assert_int_equal(s.seg_attr[SEG_CS], 0xa09b);
	assert_int_equal(s.seg_attr[SEG_SS], 0xc093);
	assert_int_equal(s.msr[CPU_MSR_EFER], EFER_LME | EFER_LMA);
	assert_int_equal(cpu_state_check(&s, XCR0_HERE), OK);
}

/* One bad field at a time, in an otherwise good state. */
static void each_bad_field_is_refused(void **state)
{
	(void)state;
	static const struct bad { size_t offset, size; uint64_t value; const char *says; } bad[] = {
#define BAD(field, value, says) { offsetof(struct cpu_state, field), sizeof(s.field), value, says }
		BAD(cr0, CR0_PG, "PG without PE"),
		BAD(cr0, CR0_PE | CR0_PG | CR0_NW, "NW without CD"),
		BAD(cr0, CR0_PE | CR0_PG | BIT(32), "CR0 has bits above"),
		BAD(cr4, 0, "without CR4.PAE"),
		BAD(cr4, CR4_PAE | CR4_VMXE, "VMXE"),
		BAD(cr3, BIT(60), "CR3"),
		BAD(rflags, 0, "RFLAGS"),
		BAD(rflags, RFLAGS_ONE | BIT(3), "RFLAGS"),
		BAD(rflags, RFLAGS_ONE | BIT(22), "RFLAGS"),
		BAD(rflags, RFLAGS_ONE | RFLAGS_VM, "RFLAGS.VM"),
		BAD(rip, BIT(47), "RIP"),
		BAD(dr6, BIT(32), "DR6"),
		BAD(dr7, BIT(40), "DR7"),
		BAD(msr[CPU_MSR_EFER], EFER_LME, "LMA"),
		BAD(msr[CPU_MSR_EFER], EFER_LME | EFER_LMA | BIT(12), "EFER has unknown"),
		BAD(msr[CPU_MSR_LSTAR], BIT(47), "LSTAR"),
		BAD(msr[CPU_MSR_CSTAR], BIT(63), "CSTAR"),
		BAD(msr[CPU_MSR_KERNEL_GS_BASE], BIT(47), "KERNEL_GS_BASE"),
		BAD(msr[CPU_MSR_SYSENTER_EIP], BIT(62), "SYSENTER_EIP"),
		BAD(msr[CPU_MSR_FMASK], BIT(32), "FMASK"),
		BAD(msr[CPU_MSR_TSC_AUX], BIT(32), "TSC_AUX"),
		BAD(msr[CPU_MSR_PAT], 2, "PAT"),
		BAD(msr[CPU_MSR_PAT], 3ull << 56, "PAT"),
		BAD(msr[CPU_MSR_PAT], 8, "PAT"),
		BAD(msr[CPU_MSR_DEBUGCTL], BIT(6), "DEBUGCTL"),
		BAD(msr[CPU_MSR_XSS], BIT(8), "XSS"),
		BAD(xcr0, 0, "XCR0"),
		BAD(xcr0, XCR0_X87 | XCR0_AVX, "XCR0"),
		BAD(xcr0, XCR0_X87 | XCR0_SSE | XCR0_AVX | BIT(5), "XCR0"),
		BAD(xcr0, XCR0_X87 | XCR0_SSE | XCR0_PKRU, "XCR0"),
		BAD(xsave[XSAVE_BV + 2], 1, "components not offered"),
		BAD(xsave[XSAVE_BV + 15], 0x80, "standard format"),
		BAD(xsave[XSAVE_HEADER_END - 1], 1, "standard format"),
		BAD(xsave[XSAVE_MXCSR + 2], 1, "MXCSR"),
		BAD(seg_attr[SEG_CS], 0xa09b | SEG_UNUSABLE, "CS is unusable"),
		BAD(seg_attr[SEG_TR], SEG_UNUSABLE, "TR is unusable"),
		BAD(seg_attr[SEG_ES], 0xc093 | BIT(8), "reserved"),
		BAD(seg_base[SEG_FS], BIT(47), "segment base"),
		BAD(gdtr_base, BIT(50), "GDTR"),
		BAD(idtr_limit, BIT(16), "limit"),
		BAD(event_type, EVENT_PRIV_SOFT_EXCEPTION + 1, "event type"),
		BAD(block_sti, 2, "blocking"),
	};

	for (unsigned i = 0; i < COUNT(bad); i++) {
		cpu_state_flat64(&s, 0xffffffff81000000, 0x9000);
		memcpy((uint8_t *)&s + bad[i].offset, &bad[i].value, bad[i].size);
		if (cpu_state_check(&s, XCR0_HERE) != ERR_BAD_FORMAT ||
		    !strstr(err_reason(), bad[i].says))
			fail_msg("case %u: \"%s\" expected, said \"%s\"", i, bad[i].says,
			         err_reason());
	}
}

static void events_must_make_sense(void **state)
{
	(void)state;
	static const struct { uint8_t type, vector, has_error, len; bool ok; } cases[] = {
		{ EVENT_IRQ, 255, 0, 0, true }, { EVENT_EXCEPTION, 14, 1, 0, true },
			{ EVENT_NMI, 2, 0, 0, true },
		{ EVENT_SOFT_IRQ, 0x80, 0, 2, true }, { EVENT_EXCEPTION, 32, 0, 0, false },
		{ EVENT_NMI, 3, 0, 0, false }, { EVENT_IRQ, 32, 1, 0, false },
			{ EVENT_SOFT_IRQ, 3, 0, 16, false },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		cpu_state_reset(&s);
		s.event_type = cases[i].type;
		s.event_vector = cases[i].vector;
		s.event_has_error = cases[i].has_error;
		s.event_insn_len = cases[i].len;
		if ((cpu_state_check(&s, XCR0_HERE) == OK) != cases[i].ok)
			fail_msg("case %u", i);
	}
}

static void cr4_follows_cpuid(void **state)
{
	(void)state;
	static struct cpuid_table t;

	assert_int_equal(cpu_state_cr4_allowed(&t), CR4_PCE);
	t.n = 3;
	t.leaf[0] = CPUID_FEATURES;
	t.edx[0] = CPUID1_EDX_PAE | CPUID1_EDX_FXSR;
	t.ecx[0] = CPUID1_ECX_XSAVE;
	t.leaf[1] = CPUID_FEATURES7;
	t.ebx[1] = CPUID7_EBX_SMEP;
	t.leaf[2] = CPUID_FEATURES7;
	t.subleaf[2] = 1;
	t.ebx[2] = CPUID7_EBX_SMAP;                     /* another subleaf's bit says nothing */
	assert_int_equal(cpu_state_cr4_allowed(&t),
	                 CR4_PCE | CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | CR4_SMEP);
}

static void xcr0_follows_xsetbv(void **state)
{
	(void)state;
	uint64_t all = XCR0_HERE | XCR0_MPX | XCR0_PKRU;

	assert_true(cpu_state_xcr0_valid(XCR0_X87, all));
	assert_true(cpu_state_xcr0_valid(all, all));
	assert_true(cpu_state_xcr0_valid(XCR0_X87 | XCR0_SSE | XCR0_AVX, all));
	assert_false(cpu_state_xcr0_valid(XCR0_SSE, all));
	assert_false(cpu_state_xcr0_valid(XCR0_X87 | BIT(3), all));
	assert_false(cpu_state_xcr0_valid(XCR0_X87 | XCR0_SSE | XCR0_AVX512, all));
	assert_false(cpu_state_xcr0_valid(XCR0_X87 | BIT(63), all));
	assert_false(cpu_state_xcr0_valid(all, XCR0_X87 | XCR0_SSE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_is_what_the_manual_says),
		cmocka_unit_test(flat_states_are_what_kernels_expect),
		cmocka_unit_test(each_bad_field_is_refused),
		cmocka_unit_test(events_must_make_sense),
		cmocka_unit_test(cr4_follows_cpuid),
		cmocka_unit_test(xcr0_follows_xsetbv),
	};
	return cmocka_run_group_tests_name("cpu_state", tests, NULL, NULL);
}
