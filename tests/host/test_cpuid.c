/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_cpuid.c - the CPU that a guest sees (vmm/cpuid.c), and its MSRs (vmm/msr.c).
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/defs/svm.h"
#include "arch/x86_64/defs/vmx.h"
#include "tests/host/fake_guest.h"
#include "vmm/kvmclock.h"
#include "vmm/msr.h"

static struct vm *vm;
static struct vcpu *v;

static int fresh(void **state)
{
	(void)state;
	fake_guest_reset();
	vm = fake_vm(4);
	v = vm->vcpu[2];
	assert_int_equal(vm_start(vm), OK);
	return 0;
}

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	cpuid_answer(v, leaf, subleaf, &r);
	return r;
}

/* --- CPUID ------------------------------------------------------------------------------------ */

static void what_must_not_be_seen_is_not_there(void **state)
{
	const uint32_t hidden_1_ecx =
		(uint32_t)(CPUID1_ECX_VMX | CPUID1_ECX_MONITOR | CPUID1_ECX_PDCM | CPUID1_ECX_SMX);
	const uint32_t hidden_7_ebx =
		(uint32_t)(CPUID7_EBX_SGX | CPUID7_EBX_HLE | CPUID7_EBX_RTM | CPUID7_EBX_MPX |
	                   CPUID7_EBX_AVX512F | CPUID7_EBX_PT);

	(void)state;
	assert_int_equal(ask(1, 0).ecx & hidden_1_ecx, 0);
	assert_int_equal(ask(1, 0).edx & (CPUID1_EDX_MCE | CPUID1_EDX_MCA | CPUID1_EDX_DS), 0);
	assert_int_equal(ask(7, 0).ebx & hidden_7_ebx, 0);
	assert_int_equal(ask(7, 0).ecx & (CPUID7_ECX_PKU | CPUID7_ECX_LA57 | CPUID7_ECX_CET_SS), 0);
	assert_int_equal(ask(7, 0).edx & (CPUID7_EDX_SPEC_CTRL | CPUID7_EDX_ARCH_CAP), 0);
	assert_int_equal(ask(CPUID_EXT_FEATURES, 0).ecx & CPUID80000001_ECX_SVM, 0);
	assert_int_equal(ask(CPUID_EXT_POWER, 0).edx, 0);
	static const uint32_t empty[] = {
		3,          CPUID_MWAIT, 8,          9,          CPUID_PERFMON, 0xf,
		0x10,       0x12,        0x14,       0x15,       0x16,          0x1f,
		0x40000002, 0x40000100,  0x8000001f, 0x80000020, 0xc0000000,    0xffffffff
	};
	for (unsigned i = 0; i < COUNT(empty); i++) {
		struct cpuid_regs r = ask(empty[i], 0);
		assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	}
}

static void what_we_make_is_there(void **state)
{
	(void)state;
	assert_true(ask(1, 0).ecx & CPUID1_ECX_HYPERVISOR);
	assert_true(ask(1, 0).ecx & CPUID1_ECX_X2APIC);
	assert_true(ask(1, 0).ecx & CPUID1_ECX_TSC_DEADLINE);
	struct cpuid_regs r = ask(KVMCLOCK_CPUID_SIGNATURE, 0);
	assert_memory_equal(&r.ebx, "KVMKVMKVM\0\0\0", 12);
	assert_int_equal(ask(KVMCLOCK_CPUID_FEATURES, 0).eax, BIT(0) | BIT(3) | BIT(24));
	assert_int_equal(ask(0x40000010, 0).eax, support_tsc_khz);
	assert_int_equal(ask(CPUID_EXT_ADDRESS, 0).eax & 0xff, 40);
}

static void some_answers_depend_on_now(void **state)
{
	(void)state;
	fake_cpu.mode_set = true;
	assert_int_equal(ask(1, 0).ebx >> 24, 2);
	assert_false(ask(1, 0).ecx & CPUID1_ECX_OSXSAVE);
	fake_cpu.mode.cr4 = CR4_OSXSAVE;
	assert_true(ask(1, 0).ecx & CPUID1_ECX_OSXSAVE);
	assert_true(ask(1, 0).edx & CPUID1_EDX_APIC);
	v->lapic.base_msr &= ~APIC_BASE_ENABLE;
	assert_false(ask(1, 0).edx & CPUID1_EDX_APIC);
	v->xcr0 = XCR0_X87 | XCR0_SSE;
	assert_int_equal(ask(CPUID_XSAVE, 0).ebx, 576);
	v->xcr0 |= XCR0_AVX;
	assert_int_equal(ask(CPUID_XSAVE, 0).ebx, 832);
	assert_int_equal(ask(CPUID_XSAVE, 0).ecx, 832);
	assert_int_equal(ask(CPUID_XSAVE, 0).eax, 7);
	assert_int_equal(ask(CPUID_XSAVE, 9).eax, 0);
}

static void the_topology_is_told_the_same_everywhere(void **state)
{
	(void)state;
	assert_int_equal(ask(1, 0).ebx >> 16 & 0xff, 4);
	assert_true(ask(1, 0).edx & CPUID1_EDX_HTT);
	assert_int_equal(ask(CPUID_CACHE, 0).eax >> 26, 3);
	assert_int_equal(ask(CPUID_CACHE, 0).eax >> 14 & 0xfff, 0);     /* level 1 is its own   */
	assert_int_equal(ask(CPUID_CACHE, 2).eax >> 14 & 0xfff, 3);     /* level 3 is shared    */
	assert_int_equal(ask(CPUID_TOPOLOGY, 0).eax, 0);
	assert_int_equal(ask(CPUID_TOPOLOGY, 1).eax, 2);
	assert_int_equal(ask(CPUID_TOPOLOGY, 1).ebx, 4);
	assert_int_equal(ask(CPUID_TOPOLOGY, 1).edx, 2);
	assert_int_equal(ask(CPUID_TOPOLOGY, 5).ecx, 5);                /* no such level        */
	assert_int_equal(ask(CPUID_TOPOLOGY, 5).edx, 2);
	assert_int_equal(ask(CPUID_FEATURES7, 1).ebx, 0);
}

static char missing[10][80];
static unsigned nmissing;

static void note(void *ctx, const char *item)
{
	(void)ctx;
	if (nmissing < COUNT(missing))
		strncpy(missing[nmissing], item, sizeof(missing[0]) - 1);
	nmissing++;
}

static uint32_t *column(struct cpuid_table *t, uint32_t leaf, uint32_t *base)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->leaf[i] == leaf)
			return &base[i];
	return NULL;
}

static void what_is_missing_has_a_name(void **state)
{
	struct cpuid_table have = vm->cpuid, want = vm->cpuid;

	(void)state;
	nmissing = 0;
	assert_int_equal(cpuid_compare(&want, &have, note, NULL), 0);
	*column(&have, 7, have.ebx) &= ~(uint32_t)CPUID7_EBX_AVX2;
	have.xcr0_mask &= ~XCR0_AVX;
	*column(&have, CPUID_EXT_ADDRESS, have.eax) = 0x3024;
	*column(&want, 7, want.ebx) |=
		(uint32_t)CPUID7_EBX_AVX512F; /* from a program that offers more */
	assert_int_equal(cpuid_compare(&want, &have, note, NULL), 4);
	assert_string_equal(missing[0], "AVX2 (leaf 0x7, EBX bit 5)");
	assert_string_equal(missing[1], "unknown features 0x10000 (leaf 0x7, EBX)");
	assert_string_equal(missing[2], "XSAVE component 2 (leaf 0xd)");
	assert_string_equal(missing[3], "40 bits of physical address (here 36)");
	/* Fewer features wanted than there are is no reason. */
	assert_int_equal(cpuid_compare(&have, &vm->cpuid, note, NULL), 0);
}

static void a_foreign_table_is_checked(void **state)
{
	struct cpuid_table t = vm->cpuid;

	(void)state;
	memset(t.first, 0xee, sizeof(t.first));                 /* does not travel */
	assert_int_equal(cpuid_state.check(&t), OK);
	cpuid_state.resume(&t);
	assert_memory_equal(t.first, vm->cpuid.first, sizeof(t.first));
	t.n = CPUID_ENTRIES_MAX + 1;
	assert_int_equal(cpuid_state.check(&t), ERR_BAD_FORMAT);
	t = vm->cpuid;
	t.leaf[3] = 0;
	assert_int_equal(cpuid_state.check(&t), ERR_BAD_FORMAT);
	t = vm->cpuid;
	t.leaf[t.n - 1] = 0xc0000000;
	assert_int_equal(cpuid_state.check(&t), ERR_BAD_FORMAT);
	t = vm->cpuid;
	t.xcr0_mask = ~0ull;
	assert_int_equal(cpuid_state.check(&t), ERR_BAD_FORMAT);
}

/* --- MSRs ------------------------------------------------------------------------------------- */

static bool rdmsr(uint32_t msr, uint64_t *value)
{
	v->gpr[GPR_RCX] = 0xdead00000000 | msr; /* the upper half is not looked at */
	v->gpr[GPR_RAX] = v->gpr[GPR_RDX] = ~0ull;
	v->exception.type = EVENT_NONE;
	enum resume r = msr_read(v);
	*value = v->gpr[GPR_RDX] << 32 | v->gpr[GPR_RAX];
	assert_int_equal(r == RESUME_SAME, v->exception.type == EVENT_EXCEPTION);
	return r == RESUME_NEXT;
}

static bool wrmsr(uint32_t msr, uint64_t value)
{
	v->gpr[GPR_RCX] = msr;
	v->gpr[GPR_RAX] = value & 0xffffffff;
	v->gpr[GPR_RDX] = value >> 32;
	v->exception.type = EVENT_NONE;
	return msr_write(v) == RESUME_NEXT;
}

static void unknown_msrs_are_gp(void **state)
{
	uint64_t value;

	(void)state;
	static const uint32_t none[] = { 2,         MSR_SPEC_CTRL, MSR_ARCH_CAPABILITIES,
		                         0x480,     0x12345678,    0xc0000104,
		                         0xffffffff };
	for (unsigned i = 0; i < COUNT(none); i++) {
		assert_false(rdmsr(none[i], &value));
		assert_int_equal(v->exception.vector, VECTOR_GP);
		assert_false(wrmsr(none[i], 0));
	}
	assert_true(v->msrs_unknown >= 4);
	assert_true(v->msrs_unknown < 2 * COUNT(none));         /* known ones are not counted */
}

/* The table is searched by halves: every row must be found, so it must be sorted. */
static void msrs_that_kernels_touch_are_found(void **state)
{
	static const uint32_t readable[] = { 0,
		                             1,
		                             MSR_TSC,
		                             MSR_PLATFORM_ID,
		                             MSR_APIC_BASE,
		                             0x34,
		                             MSR_FEATURE_CONTROL,
		                             MSR_TSC_ADJUST,
		                             MSR_BIOS_SIGN_ID,
		                             0xce,
		                             MSR_MTRR_CAP,
		                             MSR_SYSENTER_CS,
		                             MSR_MCG_CAP,
		                             0x198,
		                             MSR_MISC_ENABLE,
		                             MSR_DEBUGCTL,
		                             0x1db,
		                             0x200,
		                             0x20f,
		                             0x250,
		                             0x258,
		                             0x259,
		                             0x268,
		                             0x26f,
		                             MSR_PAT,
		                             MSR_MTRR_DEF_TYPE,
		                             MSR_TSC_DEADLINE,
		                             MSR_KVM_SYSTEM_TIME,
		                             MSR_EFER,
		                             MSR_STAR,
		                             MSR_LSTAR,
		                             MSR_CSTAR,
		                             MSR_FMASK,
		                             MSR_KERNEL_GS_BASE,
		                             MSR_TSC_AUX,
		                             0xc0010015,
		                             0xc0011029 };
	uint64_t value;

	(void)state;
	for (unsigned i = 0; i < COUNT(readable); i++)
		if (!rdmsr(readable[i], &value))
			fail_msg("MSR %#x cannot be read", readable[i]);
	assert_true(rdmsr(MSR_FEATURE_CONTROL, &value) && value == FC_LOCKED);
	assert_false(wrmsr(MSR_FEATURE_CONTROL, FC_LOCKED | FC_VMXON));
}

static void the_tsc_can_be_moved(void **state)
{
	uint64_t value;

	(void)state;
	support_now_ns += 1000;
	assert_true(rdmsr(MSR_TSC, &value));
	assert_int_equal(value, clock_guest_tsc(&vm->clock));
	assert_true(wrmsr(MSR_TSC, 5000000));
	assert_true(rdmsr(MSR_TSC, &value) && value == 5000000);
	assert_int_equal(support_now_ns + v->tsc_offset, 5000000);
	assert_true(rdmsr(MSR_TSC_ADJUST, &value) && value == 5000000 - 1000);
	assert_true(wrmsr(MSR_TSC, 6000000) && rdmsr(MSR_TSC, &value) && value == 6000000);
	assert_true(wrmsr(MSR_TSC, 5000000) && rdmsr(MSR_TSC, &value) && value == 5000000);
	/* A deadline is in the guest's TSC, and fires at the right moment of VM time. */
	v->lapic.lvt[VLAPIC_TIMER] = 0x40 | PUT(APIC_LVT_TIMER_MODE, APIC_TIMER_DEADLINE);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 5000000 + 700));
	assert_true(rdmsr(MSR_TSC_DEADLINE, &value) && value == 5000700);
	assert_int_equal(vlapic_deadline(&v->lapic), clock_now_ns(&vm->clock) + 700);
	assert_true(wrmsr(MSR_TSC_ADJUST, 0));
	assert_true(rdmsr(MSR_TSC, &value) && value == 1000);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 0));
	assert_true(rdmsr(MSR_TSC_DEADLINE, &value) && value == 0);
}

static void mtrrs_keep_what_is_valid(void **state)
{
	uint64_t value;

	(void)state;
	assert_true(wrmsr(MSR_MTRR_DEF_TYPE, MTRR_DEF_ENABLE | PAT_WB));
	assert_false(wrmsr(MSR_MTRR_DEF_TYPE, 2));
	assert_false(wrmsr(MSR_MTRR_DEF_TYPE, BIT(20)));
	assert_true(rdmsr(MSR_MTRR_DEF_TYPE, &value) && value == (MTRR_DEF_ENABLE | PAT_WB));
	assert_true(wrmsr(MSR_MTRR_FIX64K_00000, 0x0606060606060606));
	assert_false(wrmsr(MSR_MTRR_FIX64K_00000, 0x0606060602060606));
	assert_true(wrmsr(0x200, 0x80000000 | PAT_UC));
	assert_false(wrmsr(0x200, 0x80000000 | 3));
	assert_true(wrmsr(0x201, 0xf80000000 | BIT(11)));
	assert_false(wrmsr(0x201, 1));
	for (uint32_t i = 0x268; i <= 0x26f; i++)
		assert_true(wrmsr(i, 0x0101010101010101 * (i & 1)));
	for (uint32_t i = 0x268; i <= 0x26f; i++)
		assert_true(rdmsr(i, &value) && value == 0x0101010101010101 * (i & 1));
}

/*
 * Also on a CPU with five levels of tables, whose own check takes the 57-bit ones below: a value
 * that only such a CPU can hold could not travel (SDM vol. 1, "Canonical Addressing").
 */
static void linear_addresses_in_msrs_are_canonical_in_48_bits(void **state)
{
	static const uint32_t msrs[] = { MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_LSTAR, MSR_CSTAR,
		                         MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE };
	static const uint64_t good[] = { 0, 0x00007fffffffffff, 0xffff800000000000, ~0ull };
	static const uint64_t bad[] = { 0x0000800000000000, 0xffff7fffffffffff,
		                        0x00ffffffffffffff, 0xff00000000000000, BIT(63) };
	uint64_t value;

	(void)state;
	for (unsigned i = 0; i < COUNT(msrs); i++) {
		for (unsigned k = 0; k < COUNT(good); k++)
			assert_true(wrmsr(msrs[i], good[k]) && rdmsr(msrs[i], &value) &&
			            value == good[k]);
		for (unsigned k = 0; k < COUNT(bad); k++) {
			assert_false(wrmsr(msrs[i], bad[k]));
			assert_int_equal(v->exception.vector, VECTOR_GP);
			assert_true(rdmsr(msrs[i], &value) && value == ~0ull);
		}
	}
	assert_true(wrmsr(MSR_FS_BASE, 0x7000) && wrmsr(MSR_GS_BASE, 0x8000));
	vcpu_state_fetch(v);
	assert_int_equal(v->state.seg_base[SEG_FS], 0x7000);
	assert_int_equal(v->state.seg_base[SEG_GS], 0x8000);
	assert_false(wrmsr(MSR_TSC_AUX, BIT(32)));
	assert_false(wrmsr(MSR_PAT, 0x0007040600070402));
	assert_true(wrmsr(MSR_PAT, 0x0007040600010406));
}

static void registers_of_the_hardware_are_checked_too(void **state)
{
	uint64_t value;

	(void)state;
	assert_true(wrmsr(MSR_LSTAR, 0xffffffff81000000));
	assert_true(rdmsr(MSR_LSTAR, &value) && value == 0xffffffff81000000);
	assert_false(wrmsr(MSR_LSTAR, 0x8000000000000000));
	assert_true(rdmsr(MSR_LSTAR, &value) && value == 0xffffffff81000000);
	assert_true(wrmsr(MSR_EFER, EFER_SCE | EFER_NXE));
	assert_false(wrmsr(MSR_EFER, BIT(12)));
	assert_false(wrmsr(MSR_DEBUGCTL, 1));
	assert_false(wrmsr(MSR_PAT, 2));
}

static void kvmclock_by_both_pairs_of_msrs(void **state)
{
	static const uint32_t pairs[2][2] = { { 0x11, 0x12 }, { 0x4b564d00, 0x4b564d01 } };
	uint32_t wall[3];
	uint64_t value;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(wrmsr(pairs[i][0], 0x9000));
		mem_read(&vm->mem, gpa(0x9000), wall, sizeof(wall));
		assert_int_equal(wall[0] & 1, 0);
		assert_int_equal(wall[1], 1700000001);
		assert_true(wrmsr(pairs[i][1], 0xa000 | 1));
		assert_true(rdmsr(pairs[i][1], &value) && value == (0xa000 | 1));
		assert_false(wrmsr(pairs[i][0], 0xd0000000));
		assert_false(wrmsr(pairs[i][1], 0xd0000000 | 1));
		assert_true(wrmsr(pairs[i][1], 0));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, fake_done)
	const struct CMUnitTest tests[] = {
		T(what_must_not_be_seen_is_not_there),
		T(what_we_make_is_there),
		T(some_answers_depend_on_now),
		T(the_topology_is_told_the_same_everywhere),
		T(what_is_missing_has_a_name),
		T(a_foreign_table_is_checked),
		T(unknown_msrs_are_gp),
		T(msrs_that_kernels_touch_are_found),
		T(the_tsc_can_be_moved),
		T(mtrrs_keep_what_is_valid),
		T(registers_of_the_hardware_are_checked_too),
		T(linear_addresses_in_msrs_are_canonical_in_48_bits),
		T(kvmclock_by_both_pairs_of_msrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
