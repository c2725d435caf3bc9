/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vioapic.c - the I/O APIC: an input becomes the message that its entry describes.
 *
 * The index and data windows are at the base and base + 0x10; base + 0x40 is the EOI register of
 * version 0x20 chips, which the version that we report (0x11) does not have.  Called by the bus, by
 * the board's wires, and at the end of level-triggered interrupts by the local APICs.
 */
#include "vmm/dev/vioapic.h"

#include "arch/x86_64/defs/apic.h"

#define VERSION         0x11u
#define WINDOW_LEN      0x1000u
#define REG_ARBITRATION 0x02u
#define ID_BITS         MASK(27, 24)
#define RW_BITS         (IOAPIC_VECTOR | IOAPIC_MODE | IOAPIC_LOGICAL | IOAPIC_ACTIVE_LOW | \
                         IOAPIC_LEVEL | IOAPIC_MASKED | IOAPIC_DEST)
#define PHYSICAL_ALL    0xffu
#define BROADCAST       0xffffffffu

static void send(struct vioapic *a, unsigned line)
{
	uint64_t e = a->redir[line];
	uint32_t dest = (uint32_t)GET(IOAPIC_DEST, e);
	struct apic_msg msg = {
		.vector   = (uint8_t)(e & IOAPIC_VECTOR),
		.delivery = (uint8_t)GET(IOAPIC_MODE, e),
		.logical  = e & IOAPIC_LOGICAL,
		.level    = e & IOAPIC_LEVEL,
		.assert   = true,
	};

	msg.dest = !msg.logical && dest == PHYSICAL_ALL ? BROADCAST : dest;
	/* ExtINT means: ask the 8259.  Its INTR pin is wired to LINT0, not to an input here. */
	if (msg.delivery != APIC_MODE_EXTINT && a->out.send)
		a->out.send(a->out.to, &msg);
}

/* A level-triggered line that is asserted, unmasked and not already being served is sent. */
static void level_send(struct vioapic *a, unsigned line)
{
	uint64_t e = a->redir[line];

	if (!(a->lines >> line & 1) || (e & (IOAPIC_MASKED | IOAPIC_REMOTE_IRR)) ||
	    !(e & IOAPIC_LEVEL))
		return;
	a->redir[line] |= IOAPIC_REMOTE_IRR;
	send(a, line);
}

void vioapic_set_line(void *vioapic, unsigned line, bool level)
{
	struct vioapic *a = vioapic;
	bool was = a->lines >> line & 1;

	/*
	 * A wire says "asserted"; polarity is how a board writes that in volts, and here are none.
	 * The bit is kept for the guest and means nothing.
	 */
	a->lines = (uint32_t)(level ? a->lines | BIT(line) : a->lines & ~BIT(line));
	if (a->redir[line] & IOAPIC_LEVEL)
		level_send(a, line);
	else if (level && !was && !(a->redir[line] & IOAPIC_MASKED))
		send(a, line);          /* an edge while masked is lost, as on the chip */
}

void vioapic_eoi(void *vioapic, uint8_t vector)
{
	struct vioapic *a = vioapic;

	for (unsigned i = 0; i < VIOAPIC_LINES; i++) {
		uint64_t e = a->redir[i];

		if (!(e & IOAPIC_LEVEL) || !(e & IOAPIC_REMOTE_IRR) ||
		    (e & IOAPIC_VECTOR) != vector)
			continue;
		a->redir[i] &= ~IOAPIC_REMOTE_IRR;
		level_send(a, i);
	}
}

/* --- Registers -------------------------------------------------------------------------------- */

static uint32_t reg_read(const struct vioapic *a)
{
	unsigned entry = (a->select - IOAPIC_REG_ENTRY(0)) / 2;

	if (a->select == IOAPIC_REG_ID || a->select == REG_ARBITRATION)
		return a->id;
	if (a->select == IOAPIC_REG_VERSION)
		return (uint32_t)(VERSION | PUT(IOAPIC_VERSION_MAX_PIN, VIOAPIC_LINES - 1ull));
	if (a->select < IOAPIC_REG_ENTRY(0) || entry >= VIOAPIC_LINES)
		return 0;
	return (uint32_t)(a->select & 1 ? a->redir[entry] >> 32 : a->redir[entry]);
}

static void entry_write(struct vioapic *a, unsigned line, uint64_t value)
{
	uint64_t read_only = a->redir[line] & (IOAPIC_REMOTE_IRR | IOAPIC_PENDING);

	a->redir[line] = (value & RW_BITS) | read_only;
	/* Remote IRR is of level mode: an entry made an edge forgets it (kernels count on it). */
	if (!(value & IOAPIC_LEVEL))
		a->redir[line] &= ~IOAPIC_REMOTE_IRR;
	level_send(a, line);
}

static void reg_write(struct vioapic *a, uint32_t value)
{
	unsigned entry = (a->select - IOAPIC_REG_ENTRY(0)) / 2;
	uint64_t old;

	if (a->select == IOAPIC_REG_ID)
		a->id = value & (uint32_t)ID_BITS;
	if (a->select < IOAPIC_REG_ENTRY(0) || entry >= VIOAPIC_LINES)
		return;
	old = a->redir[entry];
	if (a->select & 1)
		entry_write(a, entry, (old & MASK(31, 0)) | (uint64_t)value << 32);
	else
		entry_write(a, entry, (old & MASK(63, 32)) | value);
}

static uint64_t vioapic_read(void *dev, const struct access *a)
{
	struct vioapic *ioapic = dev;

	switch (a->addr % WINDOW_LEN) {
	case IOAPIC_SELECT: return ioapic->select;
	case IOAPIC_WINDOW: return reg_read(ioapic);
	}
	return 0;
}

static void vioapic_write(void *dev, const struct access *a, uint64_t value)
{
	struct vioapic *ioapic = dev;

	switch (a->addr % WINDOW_LEN) {
	case IOAPIC_SELECT: ioapic->select = (uint8_t)value; break;
	case IOAPIC_WINDOW: reg_write(ioapic, (uint32_t)value); break;
	}
}

/* --- Life, and what travels ------------------------------------------------------------------- */

static void vioapic_reset(void *dev)
{
	struct vioapic *a = dev;

	*a = (struct vioapic){ .lines = a->lines, .out = a->out };
	for (unsigned i = 0; i < VIOAPIC_LINES; i++)
		a->redir[i] = IOAPIC_MASKED;
}

void vioapic_init(struct vioapic *a, struct msg_wire out)
{
	*a = (struct vioapic){ .out = out };
	vioapic_reset(a);
}

static const struct field vioapic_fields[] = {
	FIELD(struct vioapic, select), FIELD(struct vioapic, id), FIELD(struct vioapic, lines),
	FIELDS(struct vioapic, redir),
};

static enum err vioapic_check(const void *object)
{
	const struct vioapic *a = object;

	if (a->id & ~ID_BITS)
		return fail(ERR_BAD_FORMAT, "vioapic: id %#x has reserved bits", a->id);
	if (a->lines & ~MASK(VIOAPIC_LINES - 1, 0))
		return fail(ERR_BAD_FORMAT, "vioapic: lines %#x names inputs that do not exist",
			    a->lines);
	for (unsigned i = 0; i < VIOAPIC_LINES; i++) {
		uint64_t e = a->redir[i];

		if (e & ~(RW_BITS | IOAPIC_REMOTE_IRR))
			return fail(ERR_BAD_FORMAT, "vioapic: redir[%u] has reserved bits", i);
		if ((e & IOAPIC_REMOTE_IRR) && !(e & IOAPIC_LEVEL))
			return fail(ERR_BAD_FORMAT, "vioapic: redir[%u] is an edge with remote IRR",
				    i);
	}
	return OK;
}

static const struct section vioapic_state = {
	.name = "vioapic", .version = 1, .fields = vioapic_fields, .nfields = COUNT(vioapic_fields),
	.object_size = sizeof(struct vioapic), .check = vioapic_check,
};

static const struct range vioapic_ranges[] = { { BUS_MMIO, IOAPIC_DEFAULT_BASE, WINDOW_LEN } };

const struct dev_ops vioapic_ops = {
	.name = "vioapic", .ranges = vioapic_ranges, .nranges = COUNT(vioapic_ranges),
	.reset = vioapic_reset, .read = vioapic_read, .write = vioapic_write,
	.state = &vioapic_state,
};
