/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vpic.c - two 8259As, the second behind input 2 of the first.
 *
 * Each chip is an independent model; the pair adds one wire between them.  Whatever changes a chip
 * ends in settle(), which drives the two INT pins anew.  Called by the bus and, for INTA, by
 * vmm/vcpu.c.
 */
#include "vmm/dev/vpic.h"

#include "arch/x86_64/defs/apic.h"

#define ELCR1          0x4d0
#define ELCR2          0x4d1
#define ELCR1_WRITABLE 0xf8             /* 0, 1 and 2 are always edges: timer, keyboard, cascade */
#define ELCR2_WRITABLE 0xde             /* 8 and 13 too: RTC, FPU                                */

#define ICW1_SELECT    BIT(4)           /* in a command: this is ICW1 */
#define ICW1_LEVEL     BIT(3)
#define ICW1_SINGLE    BIT(1)
#define ICW1_IC4       BIT(0)
#define ICW2_BASE      MASK(7, 3)
#define ICW4_NESTED    BIT(4)           /* special fully nested mode  */
#define ICW4_AEOI      BIT(1)

#define OCW3_SELECT    BIT(3)           /* in a command: OCW3, else OCW2 */
#define OCW3_ESMM      BIT(6)
#define OCW3_SMM       BIT(5)
#define OCW3_POLL      BIT(2)
#define OCW3_RR        BIT(1)
#define OCW3_RIS       BIT(0)
#define OCW2_COMMAND   MASK(7, 5)
#define OCW2_LEVEL     MASK(2, 0)

enum ocw2 { AEOI_ROTATE_OFF, EOI, NOTHING, EOI_SPECIFIC, AEOI_ROTATE_ON, EOI_ROTATE, SET_PRIORITY,
            EOI_SPECIFIC_ROTATE };

#define POLL_PENDING   BIT(7)
#define SPURIOUS_INPUT 7

/* Inputs of a set in order of priority: rank 0 is the highest.  Returns the rank, 8 when empty. */
static unsigned highest_rank(const struct vpic_chip *c, uint8_t set)
{
	for (unsigned rank = 0; rank < 8; rank++)
		if (set >> ((c->lowest + 1 + rank) & 7) & 1)
			return rank;
	return 8;
}

/* The input that INT is raised for, or -1 (8259A, "Interrupt Sequence", "Special Mask Mode"). */
static int request(const struct vpic_chip *c, bool master)
{
	uint8_t blocking = c->isr;
	unsigned rank;

	if (c->expect)
		return -1;              /* amidst its initialisation */
	if (c->special_mask)
		blocking &= (uint8_t)~c->imr;
	if (master && (c->icw4 & ICW4_NESTED))
		blocking &= (uint8_t)~BIT(PIC_CASCADE_IRQ);
	rank = highest_rank(c, c->irr & (uint8_t)~c->imr);
	if (rank >= highest_rank(c, blocking))
		return -1;
	return (int)((c->lowest + 1 + rank) & 7);
}

static bool is_level(const struct vpic_chip *c, unsigned input)
{
	return (c->icw1 & ICW1_LEVEL) || (c->elcr >> input & 1);
}

/* A request lasts as long as its line is high, also one that began with an edge. */
static void chip_set_line(struct vpic_chip *c, unsigned input, bool level)
{
	uint8_t bit = (uint8_t)BIT(input);

	if (!level)
		c->irr &= (uint8_t)~bit;
	else if (is_level(c, input) || !(c->lines & bit))
		c->irr |= bit;
	c->lines = (uint8_t)(level ? c->lines | bit : c->lines & ~bit);
}

static void settle(struct vpic *p)
{
	chip_set_line(&p->chip[0], PIC_CASCADE_IRQ, request(&p->chip[1], false) >= 0);
	wire_set(&p->intr, request(&p->chip[0], true) >= 0);
}

void vpic_set_line(void *vpic, unsigned line, bool level)
{
	struct vpic *p = vpic;

	if (line == PIC_CASCADE_IRQ)
		return;                 /* on the board it is the slave's */
	if ((p->chip[line / 8].lines >> line % 8 & 1) == level)
		return;                 /* devices drive their wires at every access */
	chip_set_line(&p->chip[line / 8], line % 8, level);
	settle(p);
}

/* --- INTA ------------------------------------------------------------------------------------- */

static void rotate(struct vpic_chip *c, unsigned input)
{
	c->lowest = (uint8_t)input;
}

static void acknowledge(struct vpic_chip *c, unsigned input)
{
	uint8_t bit = (uint8_t)BIT(input);

	if (!is_level(c, input))
		c->irr &= (uint8_t)~bit;
	if (!(c->icw4 & ICW4_AEOI))
		c->isr |= bit;
	else if (c->rotate_aeoi)
		rotate(c, input);
}

int vpic_pending(const struct vpic *p)
{
	int input = request(&p->chip[0], true), slave;

	if (input < 0)
		return -1;
	if (input != PIC_CASCADE_IRQ)
		return p->chip[0].vector_base + input;
	slave = request(&p->chip[1], false);
	return p->chip[1].vector_base + (slave < 0 ? SPURIOUS_INPUT : slave);
}

int vpic_accept(struct vpic *p)
{
	int input = request(&p->chip[0], true), vector;

	if (input < 0)
		return p->chip[0].vector_base + SPURIOUS_INPUT;
	acknowledge(&p->chip[0], (unsigned)input);
	vector = p->chip[0].vector_base + input;
	if (input == PIC_CASCADE_IRQ) {
		int slave = request(&p->chip[1], false);

		if (slave >= 0)
			acknowledge(&p->chip[1], (unsigned)slave);
		vector = p->chip[1].vector_base + (slave < 0 ? SPURIOUS_INPUT : slave);
		/* INT of the slave falls during INTA, so what still waits there is a new edge. */
		chip_set_line(&p->chip[0], PIC_CASCADE_IRQ, false);
	}
	settle(p);
	return vector;
}

/* --- Commands --------------------------------------------------------------------------------- */

static void write_icw1(struct vpic_chip *c, uint8_t value)
{
	c->icw1 = value;
	c->icw4 = 0;
	c->irr = 0;                     /* the edge detectors are reset ...            */
	c->isr = c->imr = 0;
	c->lowest = 7;
	c->special_mask = c->read_isr = c->poll = c->rotate_aeoi = 0;
	c->expect = 2;
	for (unsigned i = 0; i < 8; i++)
		if (is_level(c, i))
			c->irr |= c->lines & (uint8_t)BIT(i);    /* ... levels have none */
}

static void write_icw(struct vpic_chip *c, uint8_t value)
{
	switch (c->expect) {
	case 2:
		c->vector_base = value & (uint8_t)ICW2_BASE;
		c->expect = c->icw1 & ICW1_SINGLE ? 4 : 3;
		break;
	case 3:                         /* who is where is soldered on this board */
		c->expect = 4;
		break;
	case 4:
		c->icw4 = value;
		c->expect = 0;
		return;
	}
	if (c->expect == 4 && !(c->icw1 & ICW1_IC4))
		c->expect = 0;
}

static void eoi_nonspecific(struct vpic_chip *c, bool then_rotate)
{
	uint8_t served = c->isr;
	unsigned rank, input;

	if (c->special_mask)
		served &= (uint8_t)~c->imr;
	rank = highest_rank(c, served);
	if (rank == 8)
		return;
	input = (c->lowest + 1 + rank) & 7;
	c->isr &= (uint8_t)~BIT(input);
	if (then_rotate)
		rotate(c, input);
}

static void write_ocw2(struct vpic_chip *c, uint8_t value)
{
	unsigned level = value & OCW2_LEVEL;

	switch ((enum ocw2)GET(OCW2_COMMAND, value)) {
	case AEOI_ROTATE_OFF:     c->rotate_aeoi = 0; break;
	case AEOI_ROTATE_ON:      c->rotate_aeoi = 1; break;
	case EOI:                 eoi_nonspecific(c, false); break;
	case EOI_ROTATE:          eoi_nonspecific(c, true); break;
	case SET_PRIORITY:        rotate(c, level); break;
	case EOI_SPECIFIC_ROTATE: rotate(c, level); /* fall through */
	case EOI_SPECIFIC:        c->isr &= (uint8_t)~BIT(level); break;
	case NOTHING:             break;
	}
}

static void write_ocw3(struct vpic_chip *c, uint8_t value)
{
	if (value & OCW3_ESMM)
		c->special_mask = !!(value & OCW3_SMM);
	if (value & OCW3_POLL)
		c->poll = 1;
	else if (value & OCW3_RR)
		c->read_isr = value & OCW3_RIS;
}

static void write_command(struct vpic_chip *c, uint8_t value)
{
	if (value & ICW1_SELECT)
		write_icw1(c, value);
	else if (value & OCW3_SELECT)
		write_ocw3(c, value);
	else
		write_ocw2(c, value);
}

/* 8259A, "Poll Command": the read is the INTA, its value says which. */
static uint8_t read_poll(struct vpic *p, struct vpic_chip *c)
{
	int input = request(c, c == &p->chip[0]);

	c->poll = 0;
	if (input < 0)
		return 0;
	acknowledge(c, (unsigned)input);
	settle(p);
	return (uint8_t)(POLL_PENDING | (unsigned)input);
}

static uint64_t vpic_read(void *dev, const struct access *a)
{
	struct vpic *p = dev;
	struct vpic_chip *c = &p->chip[a->addr == PIC2_COMMAND || a->addr == PIC2_DATA];

	if (a->addr == ELCR1 || a->addr == ELCR2)
		return p->chip[a->addr - ELCR1].elcr;
	if (c->poll)
		return read_poll(p, c);
	if (a->addr == PIC1_DATA || a->addr == PIC2_DATA)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static void write_elcr(struct vpic_chip *c, uint8_t value)
{
	c->elcr = value;
	/* An input that becomes level-triggered shows its level at once. */
	for (unsigned i = 0; i < 8; i++)
		chip_set_line(c, i, c->lines >> i & 1);
}

static void vpic_write(void *dev, const struct access *a, uint64_t value)
{
	struct vpic *p = dev;
	struct vpic_chip *c = &p->chip[a->addr == PIC2_COMMAND || a->addr == PIC2_DATA];
	uint8_t byte = (uint8_t)value;

	if (a->addr == ELCR1)
		write_elcr(&p->chip[0], byte & ELCR1_WRITABLE);
	else if (a->addr == ELCR2)
		write_elcr(&p->chip[1], byte & ELCR2_WRITABLE);
	else if (a->addr == PIC1_COMMAND || a->addr == PIC2_COMMAND)
		write_command(c, byte);
	else if (c->expect)
		write_icw(c, byte);
	else
		c->imr = byte;
	settle(p);
}

/* --- Life ------------------------------------------------------------------------------------- */

/* As firmware leaves them: initialised, everything masked, vectors 8 and 0x70. */
static void vpic_reset(void *dev)
{
	static const uint8_t base[2] = { 0x08, 0x70 };
	struct vpic *p = dev;

	for (unsigned i = 0; i < 2; i++) {
		uint8_t lines = p->chip[i].lines;

		p->chip[i] = (struct vpic_chip){
			.lines = lines, .imr = 0xff, .vector_base = base[i], .lowest = 7,
			.icw1 = PIC_ICW1_INIT, .icw4 = PIC_ICW4_8086,
		};
	}
	settle(p);
}

void vpic_init(struct vpic *p, struct wire intr)
{
	*p = (struct vpic){ .intr = intr };
	vpic_reset(p);
}

/* --- What travels ----------------------------------------------------------------------------- */

#define CHIP(c)                                                                            \
	FIELD(struct vpic, c.lines), FIELD(struct vpic, c.irr), FIELD(struct vpic, c.isr), \
	FIELD(struct vpic, c.imr), FIELD(struct vpic, c.elcr),                             \
	FIELD(struct vpic, c.vector_base), FIELD(struct vpic, c.icw1),                     \
	FIELD(struct vpic, c.icw4), FIELD(struct vpic, c.expect),                          \
	FIELD(struct vpic, c.read_isr), FIELD(struct vpic, c.poll),                        \
	FIELD(struct vpic, c.special_mask), FIELD(struct vpic, c.rotate_aeoi),             \
	FIELD(struct vpic, c.lowest)
static const struct field vpic_fields[] = { CHIP(chip[0]), CHIP(chip[1]) };

static enum err vpic_check(const void *object)
{
	const struct vpic *p = object;

	for (unsigned i = 0; i < 2; i++) {
		const struct vpic_chip *c = &p->chip[i];

		if (c->vector_base & ~ICW2_BASE)
			return fail(ERR_BAD_FORMAT, "vpic: chip[%u].vector_base %#x", i,
				    c->vector_base);
		if (c->expect == 1 || c->expect > 4)
			return fail(ERR_BAD_FORMAT, "vpic: chip[%u].expect %u", i, c->expect);
		if (c->lowest > 7)
			return fail(ERR_BAD_FORMAT, "vpic: chip[%u].lowest %u", i, c->lowest);
		if (c->irr & ~c->lines)
			return fail(ERR_BAD_FORMAT, "vpic: chip[%u].irr without its line", i);
		if ((c->read_isr | c->poll | c->special_mask | c->rotate_aeoi) > 1)
			return fail(ERR_BAD_FORMAT, "vpic: chip[%u] has a flag above 1", i);
	}
	return OK;
}

static void vpic_resume(void *object)
{
	settle(object);
}

static const struct section vpic_state = {
	.name = "vpic", .version = 1, .fields = vpic_fields, .nfields = COUNT(vpic_fields),
	.object_size = sizeof(struct vpic), .check = vpic_check, .resume = vpic_resume,
};

static const struct range vpic_ranges[] = {
	{ BUS_IO, PIC1_COMMAND, 2 }, { BUS_IO, PIC2_COMMAND, 2 }, { BUS_IO, ELCR1, 2 },
};

const struct dev_ops vpic_ops = {
	.name = "vpic", .ranges = vpic_ranges, .nranges = COUNT(vpic_ranges), .reset = vpic_reset,
	.read = vpic_read, .write = vpic_write, .state = &vpic_state,
};
