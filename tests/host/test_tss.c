/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_task_switch.c - task switches by hardware (SDM vol. 3, "Task Switching", and the
 * table "Exception Conditions Checked During a Task Switch").
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/pte.h"
#include "lib/pages.h"
#include "tests/host/race.h"
#include "vmm/tss.h"
#include "vmm/vcpu.h"

/* Where things are, and which selectors lead there. */
#define GDT             0x1000
#define OLD_TSS         0x2000
#define NEW_TSS         0x3000
#define LDT             0x4000
#define PAGE_DIRECTORY  0x5000
#define PAGE_TABLE      0x6000
#define OTHER_DIRECTORY 0x7000
#define STACK           0x9000
#define SEL_CODE        0x08
#define SEL_DATA        0x10
#define SEL_OLD         0x18
#define SEL_NEW         0x20
#define SEL_LDT         0x28
#define SEL_USER_CODE   (0x30 | 3)
#define SEL_USER_DATA   (0x38 | 3)
#define SEL_ABSENT      0x40            /* data, not present */
#define SEL_BEYOND      0x50
#define CODE            0x00cf9a000000ffffull   /* not accessed yet */
#define DATA            0x00cf92000000ffffull
#define DPL3            0x0000600000000000ull
#define PRESENT         0x0000800000000000ull
#define TSS_FREE        9
#define TSS_BUSY        11
#define LDT_TYPE        2

/* Offsets in a TSS. */
enum { LINK = 0, CR3 = 28, EIP = 32, EFLAGS = 36, EAX = 40, ESP = 56, ES = 72, CS = 76, SS = 80,
       DS = 84, FS = 88, GS = 92, LDTR = 96, TRAP = 100 };

static struct mem mem;
static struct cpu_state s;
static struct inject out;
static struct tss_switch how;

static void put(uint64_t at, uint32_t value)
{
	assert_int_equal(mem_write(&mem, gpa(at), &value, sizeof(value)), OK);
}

static uint32_t get(uint64_t at)
{
	uint32_t value;

	assert_int_equal(mem_read(&mem, gpa(at), &value, sizeof(value)), OK);
	return value;
}

static void describe(unsigned selector, uint64_t raw)
{
	mem_write(&mem, gpa(GDT + (selector & ~7u)), &raw, sizeof(raw));
}

static void describe_system(unsigned selector, uint32_t base, uint32_t limit, uint64_t type)
{
	describe(selector, limit | (uint64_t)base << 16 | type << 40 | PRESENT);
}

static unsigned type_of(unsigned selector)
{
	return get(GDT + (selector & ~7u) + 4) >> 8 & 0xf;
}

/* A kernel in its old task, and a new one that is ready: both flat, without paging. */
static int fresh(void **state)
{
	(void)state;
	mem_fill(&mem, gpa(0), 0, 2 * MIB);
	describe(SEL_CODE, CODE);
	describe(SEL_DATA, DATA);
	describe(SEL_USER_CODE, CODE | DPL3);
	describe(SEL_USER_DATA, DATA | DPL3);
	describe(SEL_ABSENT, DATA & ~PRESENT);
	describe_system(SEL_OLD, OLD_TSS, 103, TSS_BUSY);
	describe_system(SEL_NEW, NEW_TSS, 103, TSS_FREE);
	describe_system(SEL_LDT, LDT, 15, LDT_TYPE);
	cpu_state_flat32(&s, 0x100000);
	s.gdtr_base = GDT;
	s.gdtr_limit = 0x47;
	s.seg_sel[SEG_TR] = SEL_OLD;
	s.seg_base[SEG_TR] = OLD_TSS;
	s.seg_limit[SEG_TR] = 103;
	s.rflags = RFLAGS_ONE | RFLAGS_IF | RFLAGS_CF;
	s.dr7 = DR7_INIT | 0x1ff;
	s.block_sti = 1;
	for (unsigned i = 0; i < 8; i++) {
		s.gpr[i] = 0x1000 + i;
		put(NEW_TSS + EAX + 4 * i, 0x2000 + i);
	}
	put(NEW_TSS + EIP, 0x200000);
	put(NEW_TSS + EFLAGS, RFLAGS_ONE | RFLAGS_ZF);
	put(NEW_TSS + ESP, STACK);
	for (unsigned at = ES; at <= GS; at += 4)
		put(NEW_TSS + at, at == CS ? SEL_CODE : SEL_DATA);
	how = (struct tss_switch){ .cause = TASK_CALL, .selector = SEL_NEW, .insn_len = 7 };
	return 0;
}

static void expect_done(void)
{
	assert_int_equal(tss_switch(&mem, &s, &how, &out), TSS_DONE);
	assert_int_equal(out.type, EVENT_NONE);
}

static void expect_fault(uint8_t vector, uint32_t error)
{
	enum tss_result r = tss_switch(&mem, &s, &how, &out);

	if (r != TSS_FAULT || out.type != EVENT_EXCEPTION || out.vector != vector ||
	    !out.has_error || out.error != error)
		fail_msg("result %d, vector %u, error %#x; expected vector %u, error %#x", r,
		         out.vector, out.error, vector, error);
}

/* --- The four ways ---------------------------------------------------------------------------- */

static void call_saves_the_old_task_and_links_back_to_it(void **state)
{
	(void)state;
	expect_done();
	assert_int_equal(get(OLD_TSS + EIP), 0x100007);
	assert_int_equal(get(OLD_TSS + EFLAGS), RFLAGS_ONE | RFLAGS_IF | RFLAGS_CF);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(get(OLD_TSS + EAX + 4 * i), 0x1000 + i);
		assert_int_equal(s.gpr[i], i == GPR_RSP ? STACK : 0x2000 + i);
	}
	assert_int_equal(get(OLD_TSS + CS), 0x10);              /* as cpu_state_flat32() has them */
	assert_int_equal(get(OLD_TSS + SS), 0x18);
	assert_int_equal(get(OLD_TSS + LDTR), 0);               /* static fields stay */
	assert_int_equal(type_of(SEL_OLD), TSS_BUSY);
	assert_int_equal(type_of(SEL_NEW), TSS_BUSY);
	assert_int_equal(get(NEW_TSS + LINK), SEL_OLD);
	assert_int_equal(s.rip, 0x200000);
	assert_int_equal(s.rflags, RFLAGS_ONE | RFLAGS_ZF | RFLAGS_NT);
	assert_true(s.cr0 & CR0_TS);
	assert_int_equal(s.dr7 & 0x155, 0);                     /* local breakpoints are off */
	assert_int_equal(s.dr7 & 0xaa, 0xaa);
	assert_int_equal(s.block_sti, 0);
	assert_int_equal(s.seg_sel[SEG_TR], SEL_NEW);
	assert_int_equal(s.seg_base[SEG_TR], NEW_TSS);
	assert_int_equal(s.seg_attr[SEG_TR], TSS_BUSY | SEG_P);
	assert_int_equal(s.seg_sel[SEG_CS], SEL_CODE);
	assert_int_equal(s.seg_limit[SEG_CS], UINT32_MAX);
	assert_int_equal(s.seg_attr[SEG_CS], 0xc09b);
	assert_int_equal(s.seg_attr[SEG_SS], 0xc093);
	assert_int_equal(type_of(SEL_CODE) & 1, 1);             /* accessed, in the table too */
	assert_true(s.seg_attr[SEG_LDTR] & SEG_UNUSABLE);
	assert_int_equal(cpu_state_check(&s, XCR0_X87 | XCR0_SSE), OK);
}

static void jmp_leaves_no_way_back(void **state)
{
	(void)state;
	how.cause = TASK_JMP;
	expect_done();
	assert_int_equal(type_of(SEL_OLD), TSS_FREE);
	assert_int_equal(type_of(SEL_NEW), TSS_BUSY);
	assert_int_equal(get(NEW_TSS + LINK), 0);
	assert_int_equal(s.rflags, RFLAGS_ONE | RFLAGS_ZF);
}

/* There and back: the old task goes on behind its CALL with everything that it had. */
static void iret_returns_to_the_task_that_called(void **state)
{
	struct cpu_state before = s;

	(void)state;
	for (unsigned at = CS; at <= GS; at += 4)       /* the selectors of the table above */
		s.seg_sel[SEG_CS + (at - CS) / 4] = at == CS ? SEL_CODE : SEL_DATA;
	s.seg_sel[SEG_ES] = SEL_DATA;
	expect_done();
	how = (struct tss_switch){ .cause = TASK_IRET, .selector = SEL_OLD, .insn_len = 1 };
	expect_done();
	assert_int_equal(type_of(SEL_OLD), TSS_BUSY);
	assert_int_equal(type_of(SEL_NEW), TSS_FREE);
	assert_int_equal(get(NEW_TSS + EIP), 0x200001);
	assert_false(get(NEW_TSS + EFLAGS) & RFLAGS_NT);
	assert_int_equal(s.rip, before.rip + 7);
	assert_int_equal(s.rflags, before.rflags);
	assert_memory_equal(s.gpr, before.gpr, 8 * sizeof(s.gpr[0]));
	assert_int_equal(s.seg_sel[SEG_TR], SEL_OLD);
}

/* The classic: a double fault gets a stack of its own, with its error code on it. */
static void a_double_fault_through_a_task_gate_finds_its_error_code(void **state)
{
	(void)state;
	put(STACK - 4, 0xffffffff);
	how = (struct tss_switch){ .cause = TASK_EVENT, .selector = SEL_NEW, .external = true,
	                            .fault = true, .has_error = true, .error = 0 };
	expect_done();
	assert_int_equal(get(OLD_TSS + EIP), 0x100000);
	assert_true(get(OLD_TSS + EFLAGS) & RFLAGS_RF);
	assert_int_equal(s.gpr[GPR_RSP], STACK - 4);
	assert_int_equal(get(STACK - 4), 0);
	assert_true(s.rflags & RFLAGS_NT);
	assert_int_equal(get(NEW_TSS + LINK), SEL_OLD);
}

static void a_task_in_user_mode_has_its_privilege_and_its_ldt(void **state)
{
	const uint64_t local_data = DATA | DPL3;

	(void)state;
	mem_write(&mem, gpa(LDT + 8), &local_data, sizeof(local_data));
	put(NEW_TSS + LDTR, SEL_LDT);
	put(NEW_TSS + CS, SEL_USER_CODE);
	put(NEW_TSS + SS, SEL_USER_DATA);
	put(NEW_TSS + DS, 8 | 4 | 3);                           /* local */
	put(NEW_TSS + ES, SEL_USER_DATA);
	put(NEW_TSS + FS, 0);
	put(NEW_TSS + GS, 3);                                   /* null as well */
	expect_done();
	assert_int_equal(GET(SEG_DPL, (uint64_t)s.seg_attr[SEG_SS]), 3);
	assert_int_equal(s.seg_base[SEG_LDTR], LDT);
	assert_int_equal(s.seg_attr[SEG_DS], 0xc0f3);
	assert_true(s.seg_attr[SEG_FS] & s.seg_attr[SEG_GS] & SEG_UNUSABLE);
}

static void a_virtual_8086_task_has_segments_without_descriptors(void **state)
{
	(void)state;
	put(NEW_TSS + EFLAGS, RFLAGS_ONE | RFLAGS_VM);
	put(NEW_TSS + CS, 0xf000);
	put(NEW_TSS + EIP, 0xfff0);
	put(NEW_TSS + SS, 0x5555);
	expect_done();
	assert_int_equal(s.seg_base[SEG_CS], 0xf0000);
	assert_int_equal(s.seg_limit[SEG_SS], 0xffff);
	assert_int_equal(s.seg_attr[SEG_SS], 0xf3);
	put(NEW_TSS + EIP, 0x10000);
	fresh(NULL);
}

static void a_tss_can_ask_for_a_trap(void **state)
{
	(void)state;
	put(NEW_TSS + TRAP, 1);
	assert_int_equal(tss_switch(&mem, &s, &how, &out), TSS_DONE);
	assert_int_equal(out.vector, VECTOR_DB);
	assert_false(out.has_error);
	assert_true(s.dr6 & BIT(15));
}

/* --- What is refused -------------------------------------------------------------------------- */

/* Before the commit: not a byte of the guest and nothing of the old task has changed. */
static void a_bad_tss_changes_nothing(void **state)
{
	static const struct {
		enum task_cause cause;
		unsigned selector, type, limit;
		bool present;
		uint8_t vector;
	} cases[] = {
		{ TASK_CALL,  SEL_NEW,    TSS_BUSY, 103, true,  VECTOR_GP },
		{ TASK_EVENT, SEL_NEW,    TSS_BUSY, 103, true,  VECTOR_GP },
		{ TASK_IRET,  SEL_NEW,    TSS_FREE, 103, true,  VECTOR_TS },
		{ TASK_JMP,   SEL_NEW,    LDT_TYPE, 103, true,  VECTOR_GP },
		{ TASK_JMP,   SEL_NEW,    TSS_FREE, 103, false, VECTOR_NP },
		{ TASK_JMP,   SEL_NEW,    TSS_FREE, 102, true,  VECTOR_TS },
		{ TASK_JMP,   SEL_NEW | 4, TSS_FREE, 103, true, VECTOR_GP },
		{ TASK_JMP,   SEL_BEYOND, TSS_FREE, 103, true,  VECTOR_GP },
		{ TASK_IRET,  0,          TSS_FREE, 103, true,  VECTOR_TS },
	};
	static struct cpu_state before;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		fresh(NULL);
		describe_system(SEL_NEW, NEW_TSS, cases[i].limit, cases[i].type);
		if (!cases[i].present)
			put(GDT + SEL_NEW + 4, get(GDT + SEL_NEW + 4) & ~0x8000u);
		how.cause = cases[i].cause;
		how.selector = (uint16_t)cases[i].selector;
		how.external = cases[i].cause == TASK_EVENT;
		before = s;
		expect_fault(cases[i].vector, (cases[i].selector & 0xfffcu) | how.external);
		assert_memory_equal(&s, &before, sizeof(s));
		assert_int_equal(get(OLD_TSS + EIP), 0);
		assert_int_equal(type_of(SEL_OLD), TSS_BUSY);
	}
}

static void a_bad_segment_is_a_fault_of_the_new_task(void **state)
{
	static const struct { unsigned at, selector; uint8_t vector; } cases[] = {
		{ CS, 0, VECTOR_TS }, { CS, SEL_DATA, VECTOR_TS }, { CS, SEL_BEYOND, VECTOR_TS },
		{ SS, 0, VECTOR_TS }, { SS, SEL_CODE, VECTOR_TS },
		{ SS, SEL_USER_DATA, VECTOR_TS }, { SS, SEL_ABSENT, VECTOR_SS },
		{ DS, SEL_ABSENT, VECTOR_NP }, { ES, SEL_BEYOND, VECTOR_TS },
		{ FS, SEL_NEW, VECTOR_TS },
		{ LDTR, SEL_DATA, VECTOR_TS }, { LDTR, 12, VECTOR_TS },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		fresh(NULL);
		put(NEW_TSS + cases[i].at, cases[i].selector);
		expect_fault(cases[i].vector, cases[i].selector & 0xfffc);
		assert_int_equal(s.rip, 0x200000);
		assert_int_equal(s.seg_sel[SEG_TR], SEL_NEW);
		assert_int_equal(get(OLD_TSS + EIP), 0x100007);
		assert_int_equal(s.seg_attr[SEG_CS] & 0x9b, 0x9b);      /* fit to be entered */
		assert_int_equal(s.seg_attr[SEG_SS] & 0x93, 0x93);
		assert_int_equal(cpu_state_check(&s, XCR0_X87 | XCR0_SSE), OK);
	}
	fresh(NULL);
	put(NEW_TSS + CS, SEL_USER_CODE);                       /* kernel data is not for users */
	put(NEW_TSS + SS, SEL_USER_DATA);
	expect_fault(VECTOR_TS, SEL_DATA);
}

static void the_new_stack_must_hold_the_error_code(void **state)
{
	(void)state;
	how = (struct tss_switch){ .cause = TASK_EVENT, .selector = SEL_NEW, .external = true,
	                            .has_error = true, .error = 7 };
	describe(SEL_DATA, 0x00409200000000ffull);              /* 256 bytes */
	put(NEW_TSS + ESP, 0x102);
	expect_fault(VECTOR_SS, 1);
	fresh(NULL);
	describe(SEL_DATA, 0x000092000000ffffull);              /* 16 bits: SP wraps, ESP stays */
	how = (struct tss_switch){ .cause = TASK_EVENT, .selector = SEL_NEW, .has_error = true,
	                            .error = 7 };
	put(NEW_TSS + ESP, 0x12340100);
	expect_done();
	assert_int_equal(s.gpr[GPR_RSP], 0x123400fc);
	assert_int_equal(get(0xfc), 7);
}

static void an_eip_beyond_the_code_is_gp(void **state)
{
	(void)state;
	describe(SEL_CODE, 0x00409a000000ffffull);
	expect_fault(VECTOR_GP, 0);
}

static void tasks_of_16_bits_are_not_ours(void **state)
{
	static struct cpu_state before;

	(void)state;
	describe_system(SEL_NEW, NEW_TSS, 43, 1);
	before = s;
	assert_int_equal(tss_switch(&mem, &s, &how, &out), TSS_UNSUPPORTED);
	fresh(NULL);
	s.seg_attr[SEG_TR] = 3 | SEG_P;
	before = s;
	assert_int_equal(tss_switch(&mem, &s, &how, &out), TSS_UNSUPPORTED);
	assert_memory_equal(&s, &before, sizeof(s));
}

/* --- With paging ------------------------------------------------------------------------------ */

static void turn_paging_on(uint64_t directory)
{
	const uint32_t rights = PTE_PRESENT | PTE_WRITE;

	for (unsigned i = 0; i < 16; i++)
		put(PAGE_TABLE + 4 * i, i * 0x1000 | rights);
	put(directory, PAGE_TABLE | rights);
	s.cr0 |= CR0_PG | CR0_WP;
	s.cr3 = PAGE_DIRECTORY;
	put(NEW_TSS + CR3, PAGE_DIRECTORY);
}

static void the_new_task_has_its_own_page_tables(void **state)
{
	(void)state;
	turn_paging_on(PAGE_DIRECTORY);
	turn_paging_on(OTHER_DIRECTORY);
	put(NEW_TSS + CR3, OTHER_DIRECTORY);
	expect_done();
	assert_int_equal(s.cr3, OTHER_DIRECTORY);
}

static void a_tss_that_is_paged_out_is_a_page_fault_of_the_old_task(void **state)
{
	static struct cpu_state before;

	(void)state;
	turn_paging_on(PAGE_DIRECTORY);
	put(PAGE_TABLE + 4 * (OLD_TSS >> 12), OLD_TSS | PTE_PRESENT);   /* read only */
	before = s;
	expect_fault(VECTOR_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(s.cr2, OLD_TSS + EIP);
	s.cr2 = before.cr2;
	assert_memory_equal(&s, &before, sizeof(s));
	assert_int_equal(type_of(SEL_NEW), TSS_FREE);
	put(PAGE_TABLE + 4 * (NEW_TSS >> 12), 0);
	expect_fault(VECTOR_PF, 0);
	assert_int_equal(s.cr2, NEW_TSS);
}

/* --- While another vCPU is at the same tables (SDM vol. 3, "Automatic Locking") --------------- */

static void takes_the_new_task(uint64_t gdt)
{
	put(gdt + SEL_NEW + 4, get(gdt + SEL_NEW + 4) | 0x200);
}

static void a_task_that_another_cpu_has_taken_is_busy(void **state)
{
	static const enum task_cause causes[] = { TASK_CALL, TASK_JMP, TASK_EVENT };
	static struct cpu_state before;

	for (unsigned i = 0; i < COUNT(causes); i++) {
		fresh(state);
		how.cause = causes[i];
		before = s;
		race_begin(&mem, GDT, takes_the_new_task);
		expect_fault(VECTOR_GP, SEL_NEW);
		assert_memory_equal(&s, &before, sizeof(s));
		assert_int_equal(get(OLD_TSS + EIP), 0);
		assert_int_equal(get(NEW_TSS + LINK), 0);
		assert_int_equal(type_of(SEL_OLD), TSS_BUSY);
		assert_int_equal(type_of(SEL_NEW), TSS_BUSY);
	}
}

static void moves_the_old_tss(uint64_t gdt)
{
	describe_system((unsigned)(SEL_NEW + gdt - GDT), 0x8000, 103, TSS_BUSY);
}

/* From the new task back to the old one: the first write to the GDT marks the new one free. */
static void a_descriptor_that_changes_loses_its_busy_mark_alone(void **state)
{
	(void)state;
	s.seg_sel[SEG_TR] = SEL_NEW;
	s.seg_base[SEG_TR] = NEW_TSS;
	describe_system(SEL_NEW, NEW_TSS, 103, TSS_BUSY);
	put(OLD_TSS + EIP, 0x200000);
	put(OLD_TSS + EFLAGS, RFLAGS_ONE);
	for (unsigned at = ES; at <= GS; at += 4)
		put(OLD_TSS + at, at == CS ? SEL_CODE : SEL_DATA);
	how = (struct tss_switch){ .cause = TASK_IRET, .selector = SEL_OLD, .insn_len = 1 };
	race_begin(&mem, GDT, moves_the_old_tss);
	expect_done();
	assert_int_equal(get(GDT + SEL_NEW) >> 16, 0x8000);
	assert_int_equal(type_of(SEL_NEW), TSS_FREE);
}

static void takes_the_segment_away(uint64_t ldt)
{
	put(ldt + 12, 0);
}

static void a_segment_that_is_taken_away_stays_away(void **state)
{
	const uint64_t local_data = DATA;

	(void)state;
	mem_write(&mem, gpa(LDT + 8), &local_data, sizeof(local_data));
	put(NEW_TSS + LDTR, SEL_LDT);
	put(NEW_TSS + DS, 8 | 4);
	race_begin(&mem, LDT, takes_the_segment_away);
	expect_done();                                  /* it was there when it was loaded */
	assert_int_equal(s.seg_attr[SEG_DS], 0xc093);
	assert_int_equal(get(LDT + 12), 0);
}

static void takes_the_page_of_the_old_tss_away(uint64_t gdt)
{
	(void)gdt;
	put(PAGE_TABLE + 4 * (OLD_TSS >> 12), 0);
}

/* It was looked at, and is gone when it is to be written: as if the switch had not begun. */
static void a_switch_that_cannot_save_the_old_task_leaves_the_new_one_free(void **state)
{
	(void)state;
	turn_paging_on(PAGE_DIRECTORY);
	race_begin(&mem, GDT, takes_the_page_of_the_old_tss_away);
	expect_fault(VECTOR_PF, PF_WRITE);
	assert_int_equal(s.cr2, OLD_TSS + EIP);
	assert_int_equal(s.seg_sel[SEG_TR], SEL_OLD);
	assert_int_equal(type_of(SEL_NEW), TSS_FREE);
	assert_int_equal(type_of(SEL_OLD), TSS_BUSY);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest tests[] = {
		T(call_saves_the_old_task_and_links_back_to_it),
		T(jmp_leaves_no_way_back),
		T(iret_returns_to_the_task_that_called),
		T(a_double_fault_through_a_task_gate_finds_its_error_code),
		T(a_task_in_user_mode_has_its_privilege_and_its_ldt),
		T(a_virtual_8086_task_has_segments_without_descriptors),
		T(a_tss_can_ask_for_a_trap),
		T(a_bad_tss_changes_nothing),
		T(a_bad_segment_is_a_fault_of_the_new_task),
		T(the_new_stack_must_hold_the_error_code),
		T(an_eip_beyond_the_code_is_gp),
		T(tasks_of_16_bits_are_not_ours),
		T(the_new_task_has_its_own_page_tables),
		T(a_tss_that_is_paged_out_is_a_page_fault_of_the_old_task),
		T(a_task_that_another_cpu_has_taken_is_busy),
		T(a_descriptor_that_changes_loses_its_busy_mark_alone),
		T(a_segment_that_is_taken_away_stays_away),
		T(a_switch_that_cannot_save_the_old_task_leaves_the_new_one_free),
	};
	void *pool = aligned_alloc(FRAME_SIZE, 32 * MIB);

	pages_add_region(ptr_hpa(pool), 32 * MIB);
	if (mem_create(&mem, 2 * MIB) != OK)
		return 1;
	return cmocka_run_group_tests_name("tss", tests, NULL, NULL);
}
