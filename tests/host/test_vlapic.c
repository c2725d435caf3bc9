/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vlapic.c - the local APIC against SDM vol. 3, "Advanced Programmable Interrupt
 * Controller"; each test names its section.
 */
#include "tests/host/devtest.h"

#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/msr.h"
#include "vmm/clock.h"
#include "vmm/dev/vlapic.h"

#define X2(offset) (MSR_X2APIC_BASE + (offset) / 16)

static struct clock test_clock;
static struct msg_end sent;
static int eois[4], neois;

static void note_eoi(void *to, uint8_t vector)
{
	(void)to;
	eois[neois++ & 3] = vector;
}

/* As power-up, with the APIC software-enabled; id 2. */
static struct vlapic fresh(void)
{
	struct vlapic l = { .out = MSG_TO(&sent), .eoi = note_eoi };

	memset(&sent, 0, sizeof(sent));
	neois = 0;
	test_clock = (struct clock){ .tsc_khz = 1000000 };
	vlapic_init(&l, 2, false, &test_clock);
	vlapic_write(&l, APIC_SVR, 0x1ff, 0);
	return l;
}

static struct vlapic fresh_x2(void)
{
	struct vlapic l = fresh();

	assert_true(vlapic_msr_write(&l, MSR_APIC_BASE, l.base_msr | APIC_BASE_X2APIC, 0));
	return l;
}

TEST(vlapic, power_up_state)                    /* "Local APIC State After Power-Up or Reset" */
{
	struct vlapic l = { 0 };

	vlapic_init(&l, 3, false, &test_clock);
	assert_int_equal(vlapic_read(&l, APIC_ID, 0), 3 << 24);
	assert_int_equal(vlapic_read(&l, APIC_VERSION, 0), 0x50014);
	assert_int_equal(vlapic_read(&l, APIC_SVR, 0), 0xff);
	assert_int_equal(vlapic_read(&l, APIC_DFR, 0), 0xffffffff);
	for (unsigned r = APIC_LVT_TIMER; r <= APIC_LVT_ERROR; r += 16)
		assert_int_equal(vlapic_read(&l, r, 0), APIC_LVT_MASKED);
	assert_int_equal(l.base_msr, 0xfee00800);
	vlapic_init(&l, 0, true, &test_clock);
	assert_int_equal(l.base_msr, 0xfee00900);
	assert_true(vlapic_accepts_extint(&l));         /* virtual wire mode */
}

TEST(vlapic, priority_blocks_same_class)        /* "Task and Processor Priorities" */
{
	struct vlapic l = fresh();

	vlapic_set_irr(&l, 0x51, false);
	assert_int_equal(vlapic_pending(&l), 0x51);
	vlapic_write(&l, APIC_TPR, 0x50, 0);
	assert_int_equal(vlapic_pending(&l), -1);
	assert_int_equal(vlapic_read(&l, APIC_PPR, 0), 0x50);
	vlapic_write(&l, APIC_TPR, 0x4f, 0);
	assert_int_equal(vlapic_pending(&l), 0x51);
	vlapic_accept(&l, 0x51);
	assert_int_equal(vlapic_read(&l, APIC_PPR, 0), 0x50);   /* class in service */
	vlapic_set_irr(&l, 0x5f, false);
	assert_int_equal(vlapic_pending(&l), -1);
	vlapic_set_irr(&l, 0x60, false);
	assert_int_equal(vlapic_pending(&l), 0x60);
	vlapic_accept(&l, 0x60);
	vlapic_write(&l, APIC_EOI, 0, 0);
	assert_int_equal(vlapic_pending(&l), -1);
	vlapic_write(&l, APIC_EOI, 0, 0);
	assert_int_equal(vlapic_pending(&l), 0x5f);
}

TEST(vlapic, cr8_is_the_tprs_upper_half) /* "Interaction of Task Priorities between CR8 and APIC" */
{
	struct vlapic l = fresh();

	vlapic_set_cr8(&l, 9);
	assert_int_equal(vlapic_read(&l, APIC_TPR, 0), 0x90);
	vlapic_write(&l, APIC_TPR, 0x35, 0);
	assert_int_equal(vlapic_cr8(&l), 3);
}

TEST(vlapic, eoi_of_a_level_interrupt_is_broadcast) /* "Signaling Interrupt Servicing Completion" */
{
	struct vlapic l = fresh();

	vlapic_set_irr(&l, 0x40, true);
	vlapic_set_irr(&l, 0x80, false);
	assert_int_equal(vlapic_read(&l, APIC_TMR + 0x20, 0), 1);
	vlapic_accept(&l, 0x80);
	vlapic_write(&l, APIC_EOI, 0, 0);
	assert_int_equal(neois, 0);
	vlapic_accept(&l, 0x40);
	vlapic_write(&l, APIC_EOI, 0, 0);
	assert_int_equal(neois, 1);
	assert_int_equal(eois[0], 0x40);
	vlapic_write(&l, APIC_EOI, 0, 0);               /* nothing in service */
	assert_int_equal(neois, 1);
}

/* "Local APIC State After It Has Been Software Disabled" */
TEST(vlapic, software_disable_masks_the_lvt)
{
	struct vlapic l = fresh();

	vlapic_write(&l, APIC_LVT_TIMER, 0x30, 0);
	vlapic_write(&l, APIC_SVR, 0xff, 0);
	assert_int_equal(vlapic_read(&l, APIC_LVT_TIMER, 0), 0x30 | APIC_LVT_MASKED);
	vlapic_write(&l, APIC_LVT_TIMER, 0x30, 0);
	assert_int_equal(vlapic_read(&l, APIC_LVT_TIMER, 0), 0x30 | APIC_LVT_MASKED);
	vlapic_set_irr(&l, 0x40, false);
	assert_int_equal(vlapic_pending(&l), -1);
}

TEST(vlapic, errors_show_after_a_write_to_esr)  /* "Error Handling" */
{
	struct vlapic l = fresh();

	vlapic_write(&l, APIC_LVT_ERROR, 0xe0, 0);
	vlapic_set_irr(&l, 5, false);                   /* received illegal vector */
	assert_int_equal(vlapic_read(&l, APIC_ESR, 0), 0);
	assert_int_equal(vlapic_pending(&l), 0xe0);
	vlapic_write(&l, APIC_ESR, 0, 0);
	assert_int_equal(vlapic_read(&l, APIC_ESR, 0), 0x40);
	vlapic_write(&l, APIC_ICR, 0x07, 0);            /* send illegal vector */
	vlapic_read(&l, 0x3f0, 0);                      /* illegal register (x2APIC only) */
	vlapic_write(&l, APIC_ESR, 0, 0);
	assert_int_equal(vlapic_read(&l, APIC_ESR, 0), 0xa0);
	vlapic_write(&l, APIC_ESR, 0, 0);
	assert_int_equal(vlapic_read(&l, APIC_ESR, 0), 0);
	assert_int_equal(sent.n, 0);
}

TEST(vlapic, icr_sends_and_knows_shorthands)    /* "Interrupt Command Register (ICR)" */
{
	struct vlapic l = fresh();

	vlapic_write(&l, APIC_ICR_HIGH, 5u << 24, 0);
	vlapic_write(&l, APIC_ICR, 0x4031, 0);
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.last.dest, 5);
	assert_int_equal(sent.last.vector, 0x31);
	assert_false(sent.last.logical);
	vlapic_write(&l, APIC_ICR_HIGH, 0xffu << 24, 0);
	vlapic_write(&l, APIC_ICR, 0x4500, 0);          /* INIT to everybody */
	assert_int_equal(sent.last.dest, 0xffffffff);
	assert_int_equal(sent.last.delivery, APIC_MODE_INIT);
	vlapic_write(&l, APIC_ICR, 0x8500, 0);          /* INIT level de-assert: nothing */
	assert_int_equal(sent.n, 2);
	vlapic_write(&l, APIC_ICR, 0xc4608 | 0, 0);     /* SIPI, all but self */
	assert_int_equal(sent.n, 3);
	assert_int_equal(sent.last.delivery, APIC_MODE_STARTUP);
	assert_int_equal(sent.last.shorthand, 3);
	assert_int_equal(sent.last.vector, 8);
	vlapic_write(&l, APIC_ICR, 0x44041, 0);         /* self */
	assert_int_equal(sent.n, 3);
	assert_int_equal(vlapic_pending(&l), 0x41);
	assert_int_equal(vlapic_read(&l, APIC_ICR, 0) & APIC_ICR_PENDING, 0);
}

TEST(vlapic, logical_destinations)              /* "Logical Destination Mode" */
{
	struct vlapic l = fresh();
	struct apic_msg flat = { .logical = true, .dest = 0x0c };

	vlapic_write(&l, APIC_LDR, 0x04000000, 0);
	assert_true(vlapic_matches(&l, &flat));
	flat.dest = 0x08;
	assert_false(vlapic_matches(&l, &flat));
	flat.dest = 0xff;
	assert_true(vlapic_matches(&l, &flat));
	vlapic_write(&l, APIC_DFR, 0x0fffffff, 0);      /* cluster model */
	vlapic_write(&l, APIC_LDR, 0x31000000, 0);
	flat.dest = 0x33;
	assert_true(vlapic_matches(&l, &flat));
	flat.dest = 0x43;
	assert_false(vlapic_matches(&l, &flat));
	flat.dest = 0xf1;
	assert_true(vlapic_matches(&l, &flat));
}

TEST(vlapic, physical_destinations)             /* "Physical Destination Mode" */
{
	struct vlapic l = fresh();

	assert_true(vlapic_matches(&l, &(struct apic_msg){ .dest = 2 }));
	assert_false(vlapic_matches(&l, &(struct apic_msg){ .dest = 0xff }));
	assert_true(vlapic_matches(&l, &(struct apic_msg){ .dest = 0xffffffff }));
	vlapic_msr_write(&l, MSR_APIC_BASE, 0xfee00000, 0);
	assert_false(vlapic_matches(&l, &(struct apic_msg){ .dest = 2 }));
}

TEST(vlapic, one_shot_counts_down_once)         /* "APIC Timer" */
{
	struct vlapic l = fresh();

	vlapic_write(&l, APIC_TIMER_DIVIDE, 0x3, 0);            /* by 16 */
	vlapic_write(&l, APIC_LVT_TIMER, 0x40, 0);
	vlapic_write(&l, APIC_TIMER_INITIAL, 1000, 500);
	assert_int_equal(vlapic_deadline(&l), 500 + 16000);
	assert_int_equal(vlapic_read(&l, APIC_TIMER_CURRENT, 500), 1000);
	assert_int_equal(vlapic_read(&l, APIC_TIMER_CURRENT, 500 + 15), 1000);
	assert_int_equal(vlapic_read(&l, APIC_TIMER_CURRENT, 500 + 16), 999);
	assert_int_equal(vlapic_read(&l, APIC_TIMER_CURRENT, 500 + 15999), 1);
	vlapic_tick(&l, 500 + 15999);
	assert_int_equal(vlapic_pending(&l), -1);
	vlapic_tick(&l, 500 + 16000);
	assert_int_equal(vlapic_pending(&l), 0x40);
	assert_int_equal(vlapic_read(&l, APIC_TIMER_CURRENT, 500 + 16000), 0);
	assert_true(vlapic_deadline(&l) == NEVER_NS);
}

TEST(vlapic, divide_configurations)             /* "Divide Configuration Register" */
{
	static const struct { uint32_t value; unsigned by; } cases[] = {
		{ 0x0, 2 }, { 0x1, 4 }, { 0x2, 8 }, { 0x3, 16 }, { 0x8, 32 }, { 0x9, 64 },
			{ 0xa, 128 }, { 0xb, 1 },
	};
	struct vlapic l = fresh();

	for (unsigned i = 0; i < COUNT(cases); i++) {
		vlapic_write(&l, APIC_LVT_TIMER, 0x40, 0);
		vlapic_write(&l, APIC_TIMER_DIVIDE, cases[i].value, 0);
		vlapic_write(&l, APIC_TIMER_INITIAL, 10, 0);
		assert_int_equal(vlapic_deadline(&l), 10 * cases[i].by);
	}
}

TEST(vlapic, divider_change_keeps_the_count)    /* "APIC Timer" */
{
	struct vlapic l = fresh();

	vlapic_write(&l, APIC_TIMER_DIVIDE, 0xb, 0);
	vlapic_write(&l, APIC_LVT_TIMER, 0x40, 0);
	vlapic_write(&l, APIC_TIMER_INITIAL, 1000, 0);
	vlapic_write(&l, APIC_TIMER_DIVIDE, 0x0, 400);          /* 600 left, now 2 ns each */
	assert_int_equal(vlapic_read(&l, APIC_TIMER_CURRENT, 400), 600);
	assert_int_equal(vlapic_deadline(&l), 400 + 1200);
}

TEST(vlapic, periodic_does_not_drift_or_storm)  /* "APIC Timer" */
{
	struct vlapic l = fresh();
	unsigned n = 0;

	vlapic_write(&l, APIC_TIMER_DIVIDE, 0xb, 0);
	vlapic_write(&l, APIC_LVT_TIMER, 0x20040, 0);
	vlapic_write(&l, APIC_TIMER_INITIAL, 1000, 7);
	for (uint64_t late = 0; late < 300; late += 100, n++) {
		uint64_t due = vlapic_deadline(&l);

		assert_int_equal(due, 7 + 1000 * (n + 1));
		vlapic_tick(&l, due + late);
		assert_int_equal(vlapic_pending(&l), 0x40);
		vlapic_accept(&l, 0x40);
		vlapic_write(&l, APIC_EOI, 0, due + late);
	}
	assert_int_equal(vlapic_read(&l, APIC_TIMER_CURRENT, 7 + 3000 + 250), 750);
	vlapic_tick(&l, 7 + 50000 + 1);                         /* 47 periods at once are one */
	assert_int_equal(vlapic_deadline(&l), 7 + 51000);
}

TEST(vlapic, masked_expiry_is_lost)             /* "Local Vector Table" */
{
	struct vlapic l = fresh();

	vlapic_write(&l, APIC_TIMER_DIVIDE, 0xb, 0);
	vlapic_write(&l, APIC_LVT_TIMER, 0x10040, 0);
	vlapic_write(&l, APIC_TIMER_INITIAL, 1000, 0);
	assert_true(vlapic_deadline(&l) == NEVER_NS);
	vlapic_write(&l, APIC_LVT_TIMER, 0x40, 2000);
	vlapic_tick(&l, 2001);
	assert_int_equal(vlapic_pending(&l), -1);
}

TEST(vlapic, tsc_deadline)                      /* "TSC-Deadline Mode" */
{
	struct vlapic l = fresh();
	uint64_t v;

	/* not in this mode: ignored */
	assert_true(vlapic_msr_write(&l, MSR_TSC_DEADLINE, 5000, 0));
	assert_true(vlapic_msr_read(&l, MSR_TSC_DEADLINE, &v, 0) && v == 0);
	vlapic_write(&l, APIC_LVT_TIMER, 0x40040, 0);
	vlapic_write(&l, APIC_TIMER_INITIAL, 100, 0);                   /* ignored */
	assert_int_equal(vlapic_read(&l, APIC_TIMER_INITIAL, 0), 0);
	vlapic_msr_write(&l, MSR_TSC_DEADLINE, 5000, 0);
	assert_int_equal(vlapic_deadline(&l), 5000);
	assert_int_equal(vlapic_read(&l, APIC_TIMER_CURRENT, 100), 0);
	vlapic_tick(&l, 5000);
	assert_int_equal(vlapic_pending(&l), 0x40);
	assert_true(vlapic_msr_read(&l, MSR_TSC_DEADLINE, &v, 5000) && v == 0);
	vlapic_msr_write(&l, MSR_TSC_DEADLINE, 9000, 6000);
	test_clock.guest_tsc = 1000;    /* the guest moved its TSC */
	vlapic_tsc_changed(&l);
	assert_int_equal(vlapic_deadline(&l), 8000);
	vlapic_write(&l, APIC_LVT_TIMER, 0x40, 6000);                   /* leaving disarms */
	assert_true(vlapic_deadline(&l) == NEVER_NS);
}

TEST(vlapic, mode_transitions)                  /* "x2APIC State Transitions" */
{
	struct vlapic l = fresh();
	const uint64_t base = 0xfee00000, en = APIC_BASE_ENABLE, x2 = APIC_BASE_X2APIC;

	assert_false(vlapic_msr_write(&l, MSR_APIC_BASE, base | x2, 0));       /* EXTD without EN */
	assert_false(vlapic_msr_write(&l, MSR_APIC_BASE, base | en | BIT(0), 0));
	assert_false(vlapic_msr_write(&l, MSR_APIC_BASE, base | en | BIT(52), 0));
	assert_true(vlapic_msr_write(&l, MSR_APIC_BASE, base | en | x2, 0));
	assert_false(vlapic_msr_write(&l, MSR_APIC_BASE, base | en, 0));       /* x2APIC to xAPIC */
	assert_true(vlapic_msr_write(&l, MSR_APIC_BASE, base, 0));
	assert_false(vlapic_enabled(&l));
	/* disabled to x2APIC */
	assert_false(vlapic_msr_write(&l, MSR_APIC_BASE, base | en | x2, 0));
	assert_true(vlapic_msr_write(&l, MSR_APIC_BASE, base | en, 0));
	assert_int_equal(vlapic_read(&l, APIC_SVR, 0), 0xff);                   /* as after reset */
}

TEST(vlapic, mmio_page_follows_the_base)        /* "Relocating the Local APIC Registers" */
{
	struct vlapic l = fresh();

	assert_true(vlapic_mmio_at(&l, 0xfee00ff0));
	assert_true(vlapic_msr_write(&l, MSR_APIC_BASE, 0xd0000000 | APIC_BASE_ENABLE, 0));
	assert_false(vlapic_mmio_at(&l, 0xfee00000));
	assert_true(vlapic_mmio_at(&l, 0xd0000020));
	l = fresh_x2();
	assert_false(vlapic_mmio_at(&l, 0xfee00000));
}

TEST(vlapic, x2apic_registers)  /* "x2APIC Register Address Space", "Reserved Bit Checking" */
{
	static const uint32_t missing[] =
		{ APIC_DFR, APIC_ICR_HIGH, APIC_APR, APIC_RRD, 0x2f0, 0x400 };
	static const uint32_t read_only[] =
		{ APIC_ID, APIC_VERSION, APIC_PPR, APIC_LDR, APIC_ISR, APIC_TMR,
		APIC_IRR, APIC_TIMER_CURRENT };
	static const struct { uint32_t reg; uint64_t bad; } reserved[] = {
		{ APIC_TPR, 0x100 }, { APIC_EOI, 1 }, { APIC_ESR, 1 }, { APIC_SVR, 0x1000 },
			{ APIC_ICR, 0x2000 },
		{ APIC_LVT_TIMER, 0x80000 }, { APIC_LVT_ERROR, 0x100 }, { APIC_TIMER_DIVIDE, 4 },
		{ APIC_TIMER_INITIAL, BIT(32) }, { APIC_SELF_IPI, 0x100 },
	};
	struct vlapic l = fresh_x2();
	uint64_t v;

	for (unsigned i = 0; i < COUNT(missing); i++) {
		assert_false(vlapic_msr_read(&l, X2(missing[i]), &v, 0));
		assert_false(vlapic_msr_write(&l, X2(missing[i]), 0, 0));
	}
	for (unsigned i = 0; i < COUNT(read_only); i++) {
		assert_true(vlapic_msr_read(&l, X2(read_only[i]), &v, 0));
		assert_false(vlapic_msr_write(&l, X2(read_only[i]), 0, 0));
	}
	for (unsigned i = 0; i < COUNT(reserved); i++)
		assert_false(vlapic_msr_write(&l, X2(reserved[i].reg), reserved[i].bad, 0));
	assert_false(vlapic_msr_read(&l, X2(APIC_EOI), &v, 0));
	assert_false(vlapic_msr_read(&l, X2(APIC_SELF_IPI), &v, 0));
	assert_true(vlapic_msr_read(&l, X2(APIC_ID), &v, 0) && v == 2);
	assert_true(vlapic_msr_write(&l, X2(APIC_EOI), 0, 0));
}

/* "Logical Destination Mode in x2APIC Mode", "SELF IPI Register" */
TEST(vlapic, x2apic_ids_icr_and_self_ipi)
{
	struct vlapic l = fresh_x2();
	uint64_t v;

	assert_true(vlapic_msr_read(&l, X2(APIC_LDR), &v, 0) && v == 4);
	l.id = 0x25;
	assert_true(vlapic_msr_read(&l, X2(APIC_LDR), &v, 0) && v == 0x20020);
	assert_true(vlapic_matches(&l, &(struct apic_msg){ .logical = true, .dest = 0x20020 }));
	assert_false(vlapic_matches(&l, &(struct apic_msg){ .logical = true, .dest = 0x30020 }));
	assert_true(vlapic_msr_write(&l, X2(APIC_ICR), 0x12300004031, 0));
	assert_int_equal(sent.last.dest, 0x123);
	assert_true(vlapic_msr_read(&l, X2(APIC_ICR), &v, 0) && v == 0x12300004031);
	assert_true(vlapic_msr_write(&l, X2(APIC_SELF_IPI), 0x77, 0));
	assert_int_equal(vlapic_pending(&l), 0x77);
}

TEST(vlapic, registers_are_gone_outside_x2apic) /* "x2APIC Register Address Space" */
{
	struct vlapic l = fresh();
	uint64_t v;

	assert_false(vlapic_msr_read(&l, X2(APIC_ID), &v, 0));
	assert_false(vlapic_msr_write(&l, X2(APIC_TPR), 0, 0));
}

TEST(vlapic, init_keeps_base_and_id)            /* "Local APIC State After an INIT Reset" */
{
	struct vlapic l = fresh_x2();

	vlapic_set_irr(&l, 0x40, false);
	vlapic_init_signal(&l);
	assert_true(vlapic_x2apic(&l));
	assert_int_equal(l.id, 2);
	assert_int_equal(l.irr[2], 0);
	assert_int_equal(l.svr, 0xff);
}

TEST(vlapic, section_is_complete_and_checked)
{
	static const struct derived derived[] = {
		DERIVED(struct vlapic, id), DERIVED(struct vlapic, clock),
			DERIVED(struct vlapic, out),
		DERIVED(struct vlapic, eoi), DERIVED(struct vlapic, eoi_to),
	};
	struct vlapic good = fresh();

	check_section(&vlapic_state, derived, COUNT(derived));
	assert_int_equal(vlapic_state.check(&good), OK);
	REFUSED(&vlapic_state, good, bad.base_msr |= BIT(0));
	REFUSED(&vlapic_state, good, bad.base_msr = APIC_BASE_X2APIC);
	REFUSED(&vlapic_state, good, bad.tpr = 0x100);
	REFUSED(&vlapic_state, good, bad.svr = 0x10000);
	REFUSED(&vlapic_state, good, bad.irr[0] = 1);
	REFUSED(&vlapic_state, good, bad.isr[0] = 0x8000);
	REFUSED(&vlapic_state, good, bad.lvt[VLAPIC_ERROR] = 0x100);
	REFUSED(&vlapic_state, good, bad.icr = BIT(12));
	REFUSED(&vlapic_state, good, bad.timer_divide = 4);
	REFUSED(&vlapic_state, good, bad.dfr = 0);
	REFUSED(&vlapic_state, good, bad.ldr = 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vlapic, power_up_state),
		CASE(vlapic, priority_blocks_same_class),
		CASE(vlapic, cr8_is_the_tprs_upper_half),
		CASE(vlapic, eoi_of_a_level_interrupt_is_broadcast),
		CASE(vlapic, software_disable_masks_the_lvt),
		CASE(vlapic, errors_show_after_a_write_to_esr),
		CASE(vlapic, icr_sends_and_knows_shorthands),
		CASE(vlapic, logical_destinations),
		CASE(vlapic, physical_destinations),
		CASE(vlapic, one_shot_counts_down_once),
		CASE(vlapic, divide_configurations),
		CASE(vlapic, divider_change_keeps_the_count),
		CASE(vlapic, periodic_does_not_drift_or_storm),
		CASE(vlapic, masked_expiry_is_lost),
		CASE(vlapic, tsc_deadline),
		CASE(vlapic, mode_transitions),
		CASE(vlapic, mmio_page_follows_the_base),
		CASE(vlapic, x2apic_registers),
		CASE(vlapic, x2apic_ids_icr_and_self_ipi),
		CASE(vlapic, registers_are_gone_outside_x2apic),
		CASE(vlapic, init_keeps_base_and_id),
		CASE(vlapic, section_is_complete_and_checked),
	};

	return cmocka_run_group_tests_name("vlapic", tests, NULL, NULL);
}
