/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vpic.c - the 8259A pair and the I/O APIC against the data sheets of 8259A and
 * 82093AA; each test names its section.
 */
#include "tests/host/devtest.h"

#include "arch/x86_64/defs/apic.h"
#include "vmm/dev/vioapic.h"
#include "vmm/dev/vpic.h"

static struct vpic pic;
static struct wire_end intr;

static void out(uint64_t port, uint8_t v) { dev_out(&vpic_ops, &pic, port, 1, v, 0); }
static uint8_t in(uint64_t port)          { return (uint8_t)dev_in(&vpic_ops, &pic, port, 1, 0); }

/* Vectors 0x20 and 0x28, 8086 mode, ICW4 as given, nothing masked. */
static void init(uint8_t icw4)
{
	memset(&intr, 0, sizeof(intr));
	vpic_init(&pic, WIRE_TO(&intr));
	out(0x20, 0x11); out(0x21, 0x20); out(0x21, 0x04); out(0x21, icw4);
	out(0xa0, 0x11); out(0xa1, 0x28); out(0xa1, 0x02); out(0xa1, 0x01);
}

static void pulse(unsigned line)
{
	vpic_set_line(&pic, line, false);
	vpic_set_line(&pic, line, true);
}

TEST(vpic, initialisation_sequence)             /* "Initialization Command Words" */
{
	init(1);
	assert_int_equal(in(0x21), 0);
	assert_int_equal(in(0x20), 0);
	pulse(3);
	assert_true(intr.level);
	out(0x21, 0x08);
	out(0x20, 0x11);                        /* ICW1 clears IMR and the edge detectors */
	assert_false(intr.level);
	out(0x21, 0x27); out(0x21, 4); out(0x21, 1);    /* low bits of ICW2 are not the vector's */
	assert_int_equal(in(0x21), 0);
	assert_int_equal(vpic_pending(&pic), -1);
	pulse(3);
	assert_int_equal(vpic_accept(&pic), 0x23);
}

TEST(vpic, no_icw4_when_icw1_says_so)           /* "Initialization Command Words", IC4 and SNGL */
{
	init(1);
	out(0x20, 0x12);                        /* single, no ICW4 */
	out(0x21, 0x40);
	out(0x21, 0xfe);                        /* already OCW1 */
	assert_int_equal(in(0x21), 0xfe);
}

TEST(vpic, fully_nested_priorities)             /* "Fully Nested Mode" */
{
	init(1);
	pulse(5);
	pulse(3);
	assert_int_equal(vpic_accept(&pic), 0x23);
	assert_int_equal(vpic_pending(&pic), -1);       /* 5 is lower than 3 in service */
	pulse(1);
	assert_int_equal(vpic_accept(&pic), 0x21);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x0a);
	out(0x20, 0x20);                        /* non-specific: the highest in service */
	assert_int_equal(in(0x20), 0x08);
	out(0x20, 0x63);                        /* specific */
	assert_int_equal(in(0x20), 0);
	assert_int_equal(vpic_accept(&pic), 0x25);
}

TEST(vpic, slave_comes_through_input_2)         /* "Cascade Mode" */
{
	init(1);
	pulse(12);
	assert_int_equal(vpic_pending(&pic), 0x2c);
	assert_int_equal(vpic_accept(&pic), 0x2c);
	assert_false(intr.level);
	out(0x20, 0x0b); out(0xa0, 0x0b);
	assert_int_equal(in(0x20), 0x04);
	assert_int_equal(in(0xa0), 0x10);
	pulse(9);       /* higher on the slave, but the master is fully nested */
	assert_int_equal(vpic_pending(&pic), -1);
	out(0xa0, 0x20); out(0x20, 0x20);
	assert_int_equal(vpic_accept(&pic), 0x29);
}

TEST(vpic, special_fully_nested_mode)           /* "Special Fully Nested Mode" */
{
	init(0x11);
	pulse(12);
	assert_int_equal(vpic_accept(&pic), 0x2c);
	pulse(9);
	assert_int_equal(vpic_accept(&pic), 0x29);
}

TEST(vpic, edge_needs_its_line_until_inta) /* "Interrupt Triggering: Edge and Level", IR7 default */
{
	init(1);
	vpic_set_line(&pic, 4, true);
	vpic_set_line(&pic, 4, false);
	assert_false(intr.level);
	assert_int_equal(vpic_accept(&pic), 0x27);      /* spurious */
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0);                  /* and not in service */
	vpic_set_line(&pic, 4, true);
	assert_int_equal(vpic_accept(&pic), 0x24);
	out(0x20, 0x20);
	assert_int_equal(vpic_pending(&pic), -1);       /* still high: no second edge */
}

TEST(vpic, spurious_of_the_slave_is_vector_15)  /* "Interrupt Sequence", default IR7 */
{
	init(1);
	pulse(14);
	pic.chip[1].irr = 0;                    /* gone between INT and the second INTA */
	assert_int_equal(vpic_accept(&pic), 0x2f);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x04);       /* the master does not know */
}

TEST(vpic, level_mode_by_elcr)                  /* 82371 (PIIX), "Edge/Level Control Registers" */
{
	init(1);
	out(0x4d1, 0xff); out(0x4d0, 0xff);
	assert_int_equal(in(0x4d1), 0xde);
	assert_int_equal(in(0x4d0), 0xf8);
	vpic_set_line(&pic, 10, true);
	assert_int_equal(vpic_accept(&pic), 0x2a);
	out(0xa0, 0x20); out(0x20, 0x20);
	assert_int_equal(vpic_pending(&pic), 0x2a);     /* as long as it is high */
	vpic_set_line(&pic, 10, false);
	assert_int_equal(vpic_pending(&pic), -1);
}

TEST(vpic, automatic_eoi_and_rotation) /* "Automatic End of Interrupt Mode", "Automatic Rotation" */
{
	init(0x03);
	pulse(3);
	assert_int_equal(vpic_accept(&pic), 0x23);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0);
	out(0x20, 0x80);                        /* rotate in AEOI */
	pulse(3);
	vpic_accept(&pic);
	pulse(3); pulse(4);
	assert_int_equal(vpic_accept(&pic), 0x24);      /* 3 is the lowest now */
	out(0x20, 0x00);
	assert_int_equal(vpic_accept(&pic), 0x23);
}

TEST(vpic, rotation_by_command)                 /* "Specific Rotation", "Automatic Rotation" */
{
	init(1);
	out(0x20, 0xc4);                        /* 4 is lowest, 5 highest */
	pulse(4); pulse(5); pulse(0);
	assert_int_equal(vpic_accept(&pic), 0x25);
	out(0x20, 0xa0);                        /* rotate on non-specific EOI: 5 becomes lowest */
	assert_int_equal(pic.chip[0].lowest, 5);
	assert_int_equal(vpic_accept(&pic), 0x20);
	out(0x20, 0xe0);                        /* rotate on specific EOI of 0 */
	assert_int_equal(pic.chip[0].lowest, 0);
	assert_int_equal(vpic_accept(&pic), 0x24);
}

TEST(vpic, special_mask_mode)                   /* "Special Mask Mode" */
{
	init(1);
	pulse(2 + 1);
	vpic_accept(&pic);
	pulse(6);
	assert_int_equal(vpic_pending(&pic), -1);
	out(0x21, 0x08);
	out(0x20, 0x68);
	assert_int_equal(vpic_accept(&pic), 0x26);
	out(0x20, 0x20);                        /* does not see the masked one */
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x08);
	out(0x20, 0x48);
	assert_int_equal(pic.chip[0].special_mask, 0);
}

TEST(vpic, poll_command)                        /* "Poll Command" */
{
	init(1);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0);
	pulse(6);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0x86);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x40);       /* the read was the acknowledge */
}

TEST(vpic, section_is_complete_and_checked)
{
	static const struct derived derived[] = { DERIVED(struct vpic, intr) };

	init(1);
	check_section(vpic_ops.state, derived, COUNT(derived));
	assert_int_equal(vpic_ops.state->check(&pic), OK);
	REFUSED(vpic_ops.state, pic, bad.chip[0].lowest = 8);
	REFUSED(vpic_ops.state, pic, bad.chip[1].expect = 5);
	REFUSED(vpic_ops.state, pic, bad.chip[0].vector_base = 1);
	REFUSED(vpic_ops.state, pic, bad.chip[1].irr = 1);
	REFUSED(vpic_ops.state, pic, bad.chip[1].poll = 2);
}

/* --- I/O APIC --------------------------------------------------------------------------------- */

static struct vioapic ioapic;
static struct msg_end sent;

static void reg_write(unsigned reg, uint32_t v)
{
	dev_out(&vioapic_ops, &ioapic, 0xfec00000, 4, reg, 0);
	dev_out(&vioapic_ops, &ioapic, 0xfec00010, 4, v, 0);
}

static uint32_t reg_read(unsigned reg)
{
	dev_out(&vioapic_ops, &ioapic, 0xfec00000, 4, reg, 0);
	return (uint32_t)dev_in(&vioapic_ops, &ioapic, 0xfec00010, 4, 0);
}

static void entry(unsigned pin, uint64_t v)
{
	reg_write(0x11 + 2 * pin, (uint32_t)(v >> 32));
	reg_write(0x10 + 2 * pin, (uint32_t)v);
}

static void ioapic_fresh(void)
{
	memset(&sent, 0, sizeof(sent));
	vioapic_init(&ioapic, MSG_TO(&sent));
}

TEST(vioapic, registers)                        /* "IOAPIC Registers" */
{
	ioapic_fresh();
	assert_int_equal(reg_read(1), 0x170011);
	reg_write(0, 0xffffffff);
	assert_int_equal(reg_read(0), 0x0f000000);
	assert_int_equal(reg_read(0x10), 0x10000);
	entry(23, ~0ull);
	assert_int_equal(reg_read(0x3e), 0x1afff);      /* status and remote IRR are read-only */
	assert_int_equal(reg_read(0x3f), 0xff000000);
	assert_int_equal(reg_read(0x40), 0);
}

TEST(vioapic, edges_are_sent_once)      /* "I/O Redirection Table Registers", Trigger Mode */
{
	ioapic_fresh();
	entry(4, 0x30 | 3ull << 56);
	vioapic_set_line(&ioapic, 4, true);
	vioapic_set_line(&ioapic, 4, true);
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.last.vector, 0x30);
	assert_int_equal(sent.last.dest, 3);
	assert_false(sent.last.level);
	vioapic_set_line(&ioapic, 4, false);
	vioapic_set_line(&ioapic, 4, true);
	assert_int_equal(sent.n, 2);
}

TEST(vioapic, masked_edges_are_lost)    /* "I/O Redirection Table Registers", Interrupt Mask */
{
	ioapic_fresh();
	vioapic_set_line(&ioapic, 4, true);
	entry(4, 0x30);
	assert_int_equal(sent.n, 0);
}

TEST(vioapic, level_waits_for_eoi)              /* "I/O Redirection Table Registers", Remote IRR */
{
	ioapic_fresh();
	vioapic_set_line(&ioapic, 9, true);
	entry(9, 0x8040);
	assert_int_equal(sent.n, 1);
	assert_true(sent.last.level);
	assert_int_equal(reg_read(0x22) & 0x4000, 0x4000);
	vioapic_set_line(&ioapic, 9, false);
	vioapic_set_line(&ioapic, 9, true);
	assert_int_equal(sent.n, 1);
	vioapic_eoi(&ioapic, 0x41);             /* somebody else's */
	assert_int_equal(sent.n, 1);
	vioapic_eoi(&ioapic, 0x40);             /* still asserted: again */
	assert_int_equal(sent.n, 2);
	vioapic_set_line(&ioapic, 9, false);
	vioapic_eoi(&ioapic, 0x40);
	assert_int_equal(sent.n, 2);
	assert_int_equal(reg_read(0x22) & 0x4000, 0);
}

TEST(vioapic, becoming_an_edge_clears_remote_irr)  /* the way kernels end a stuck level interrupt */
{
	ioapic_fresh();
	vioapic_set_line(&ioapic, 9, true);
	entry(9, 0x8040);
	entry(9, 0x10040);
	assert_int_equal(reg_read(0x22), 0x10040);
	entry(9, 0x8040);
	assert_int_equal(sent.n, 2);
}

TEST(vioapic, delivery_and_destination)         /* "I/O Redirection Table Registers" */
{
	ioapic_fresh();
	entry(1, 0x0900 | 0x55 | 0x81ull << 56);
	vioapic_set_line(&ioapic, 1, true);
	assert_int_equal(sent.last.delivery, APIC_MODE_LOWEST);
	assert_true(sent.last.logical);
	assert_int_equal(sent.last.dest, 0x81);
	entry(3, 0x44 | 0xffull << 56);
	vioapic_set_line(&ioapic, 3, true);
	assert_int_equal(sent.last.dest, 0xffffffff);   /* physical 0xff is everybody */
	entry(5, 0x700);                                /* ExtINT is not ours to send */
	vioapic_set_line(&ioapic, 5, true);
	assert_int_equal(sent.n, 2);
}

TEST(vioapic, section_is_complete_and_checked)
{
	static const struct derived derived[] = { DERIVED(struct vioapic, out) };

	ioapic_fresh();
	check_section(vioapic_ops.state, derived, COUNT(derived));
	assert_int_equal(vioapic_ops.state->check(&ioapic), OK);
	REFUSED(vioapic_ops.state, ioapic, bad.id = 1);
	REFUSED(vioapic_ops.state, ioapic, bad.lines = BIT(24));
	REFUSED(vioapic_ops.state, ioapic, bad.redir[3] = BIT(20));
	REFUSED(vioapic_ops.state, ioapic, bad.redir[3] = IOAPIC_REMOTE_IRR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vpic, initialisation_sequence),
		CASE(vpic, no_icw4_when_icw1_says_so),
		CASE(vpic, fully_nested_priorities),
		CASE(vpic, slave_comes_through_input_2),
		CASE(vpic, special_fully_nested_mode),
		CASE(vpic, edge_needs_its_line_until_inta),
		CASE(vpic, spurious_of_the_slave_is_vector_15),
		CASE(vpic, level_mode_by_elcr),
		CASE(vpic, automatic_eoi_and_rotation),
		CASE(vpic, rotation_by_command),
		CASE(vpic, special_mask_mode),
		CASE(vpic, poll_command),
		CASE(vpic, section_is_complete_and_checked),
		CASE(vioapic, registers),
		CASE(vioapic, edges_are_sent_once),
		CASE(vioapic, masked_edges_are_lost),
		CASE(vioapic, level_waits_for_eoi),
		CASE(vioapic, becoming_an_edge_clears_remote_irr),
		CASE(vioapic, delivery_and_destination),
		CASE(vioapic, section_is_complete_and_checked),
	};

	return cmocka_run_group_tests_name("vpic and vioapic", tests, NULL, NULL);
}
