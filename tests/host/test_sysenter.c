/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_sysenter.c - SYSENTER and SYSEXIT in long mode (SDM vol. 2, "SYSENTER" and
 * "SYSEXIT", as their operation sections say).
 */
#include "tests/host/support.h"

#include "arch/x86_64/defs/cr.h"
#include "vmm/sysenter.h"

#define FLAT_CODE 0xa09bu               /* G, L, P, S, execute, read, accessed */
#define FLAT_CODE32 0xc09bu             /* D instead of L                      */
#define FLAT_STACK 0xc093u              /* G, B, P, S, read, write, accessed   */
#define DPL3 0x60u
#define DR6_BS BIT(14)

static struct cpu_state before(uint64_t cs)
{
	struct cpu_state s;

	cpu_state_flat64(&s, 0x1000, 0x2000);
	s.msr[CPU_MSR_SYSENTER_CS] = cs;
	s.msr[CPU_MSR_SYSENTER_EIP] = 0xffffffff81000200;
	s.msr[CPU_MSR_SYSENTER_ESP] = 0xfffffe0000002200;
	s.gpr[GPR_RDX] = 0x7fff12345678;
	s.gpr[GPR_RCX] = 0x7fff9abcdef0;
	s.rflags = RFLAGS_ONE | RFLAGS_IF | RFLAGS_RF | RFLAGS_CF;
	s.block_sti = 1;
	return s;
}

static void is_segment(const struct cpu_state *s, enum seg seg, uint16_t selector, uint32_t attr)
{
	assert_int_equal(s->seg_sel[seg], selector);
	assert_int_equal(s->seg_base[seg], 0);
	assert_int_equal(s->seg_limit[seg], UINT32_MAX);
	assert_int_equal(s->seg_attr[seg], attr);
}

static void sysenter_goes_to_64_bit_code_of_the_kernel(void **state)
{
	struct cpu_state s = before(0xffff0013);        /* a privilege level, and bits beyond */

	(void)state;
	s.seg_attr[SEG_SS] |= DPL3;
	assert_true(sysenter_in(&s));
	assert_int_equal(s.rip, 0xffffffff81000200);
	assert_int_equal(s.gpr[GPR_RSP], 0xfffffe0000002200);
	assert_int_equal(s.rflags, RFLAGS_ONE | RFLAGS_CF);
	is_segment(&s, SEG_CS, 0x10, FLAT_CODE);
	is_segment(&s, SEG_SS, 0x18, FLAT_STACK);
	assert_int_equal(s.block_sti, 0);
	assert_int_equal(s.pending_debug, 0);
	assert_int_equal(cpu_state_check(&s, XCR0_X87), OK);
}

static void sysexit_goes_to_a_program_of_either_kind(void **state)
{
	struct cpu_state s = before(0x10);

	(void)state;
	assert_true(sysenter_out(&s, true));
	assert_int_equal(s.rip, 0x7fff12345678);
	assert_int_equal(s.gpr[GPR_RSP], 0x7fff9abcdef0);
	assert_int_equal(s.rflags, RFLAGS_ONE | RFLAGS_IF | RFLAGS_CF);
	is_segment(&s, SEG_CS, 0x33, FLAT_CODE | DPL3);
	is_segment(&s, SEG_SS, 0x3b, FLAT_STACK | DPL3);
	s = before(0x10);
	assert_true(sysenter_out(&s, false));
	assert_int_equal(s.rip, 0x12345678);
	assert_int_equal(s.gpr[GPR_RSP], 0x9abcdef0);
	is_segment(&s, SEG_CS, 0x23, FLAT_CODE32 | DPL3);
	is_segment(&s, SEG_SS, 0x2b, FLAT_STACK | DPL3);
}

static void a_step_traps_behind_them(void **state)
{
	struct cpu_state s = before(0x10);

	(void)state;
	s.rflags |= RFLAGS_TF;
	assert_true(sysenter_in(&s));
	assert_int_equal(s.pending_debug, DR6_BS);
	assert_true(s.rflags & RFLAGS_TF);
}

static void what_the_manual_refuses_changes_nothing(void **state)
{
	struct cpu_state s = before(0x3), old = s;

	(void)state;
	assert_false(sysenter_in(&s));                  /* a null selector                  */
	assert_false(sysenter_out(&s, false));
	assert_memory_equal(&s, &old, sizeof(s));
	old.msr[CPU_MSR_SYSENTER_CS] = 0x10;
	old.gpr[GPR_RDX] = BIT(47);                     /* not canonical                    */
	s = old;
	assert_false(sysenter_out(&s, true));
	assert_memory_equal(&s, &old, sizeof(s));
	assert_true(sysenter_out(&s, false));           /* of which 32 bits do not remain   */
	s = old;
	s.gpr[GPR_RDX] = 0;
	s.gpr[GPR_RCX] = BIT(63);
	assert_false(sysenter_out(&s, true));
	s = before(0x10);
	s.seg_attr[SEG_SS] |= DPL3;                     /* SYSEXIT is the kernel's          */
	assert_false(sysenter_out(&s, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sysenter_goes_to_64_bit_code_of_the_kernel),
		cmocka_unit_test(sysexit_goes_to_a_program_of_either_kind),
		cmocka_unit_test(a_step_traps_behind_them),
		cmocka_unit_test(what_the_manual_refuses_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
