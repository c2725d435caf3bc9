/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vpm.c - ACPI fixed hardware.
 *
 * The machine is always in ACPI mode (no SMI command port), so SCI_EN reads as 1 and stays.  Sleep
 * type S5 turns the VM off.  The ACPI reset register is port 0xcf9, in vmm/dev/pci.c.  Ports 0x60
 * and 0x64 float, which tells drivers that there is no keyboard controller, but old reset code that
 * pulses the CPU's reset pin through it works.
 */
#include "vmm/dev/vpm.h"

#include "vmm/dev/ticks.h"

#define PORT_KBD_DATA    0x60
#define PORT_KBD_COMMAND 0x64
#define KBD_PULSE_RESET  0xfe

enum pm1_event {                        /* ACPI 6, "PM1 Status Registers" */
	PM1_TIMER        = BIT(0),
	PM1_GLOBAL       = BIT(5),
	PM1_POWER_BUTTON = BIT(8),
	PM1_SLEEP_BUTTON = BIT(9),
	PM1_RTC          = BIT(10),
	PM1_WAKE         = BIT(15),
};
#define PM1_STATUS_BITS  (PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | \
                          PM1_RTC | PM1_WAKE)
#define PM1_ENABLE_BITS  (PM1_STATUS_BITS & ~PM1_WAKE)

#define CONTROL_SCI_EN   BIT(0)
#define CONTROL_SLP_TYP  MASK(12, 10)
#define CONTROL_SLP_EN   BIT(13)        /* reads as 0 */
#define CONTROL_KEPT     (CONTROL_SLP_TYP | BIT(1))

/* Offsets in the block. */
#define STATUS           0
#define ENABLE           2
#define CONTROL          4
#define TIMER            8
#define TIMER_TOP        31             /* TMR_STS: this bit of the timer changed */

/* How often the top bit has changed. */
static uint64_t turns(uint64_t now_ns)
{
	return ticks_at(now_ns, VPM_TIMER_HZ) >> TIMER_TOP;
}

static void settle(struct vpm *p, uint64_t now_ns)
{
	if (turns(now_ns) != turns(p->seen_ns))
		p->pm1_status |= PM1_TIMER;
	p->seen_ns = now_ns;
}

static void drive(struct vpm *p)
{
	wire_set(&p->sci, p->pm1_status & p->pm1_enable);
}

static void vpm_tick(void *dev, uint64_t now_ns)
{
	settle(dev, now_ns);
	drive(dev);
}

static uint64_t vpm_deadline(const void *dev)
{
	const struct vpm *p = dev;

	if (!(p->pm1_enable & PM1_TIMER) || (p->pm1_status & PM1_TIMER))
		return NEVER_NS;
	return ticks_ns((turns(p->seen_ns) + 1) << TIMER_TOP, VPM_TIMER_HZ);
}

void vpm_power_button(struct vpm *p)
{
	p->pm1_status |= PM1_POWER_BUTTON;
	drive(p);
}

/* --- Ports: the block may be accessed in any size, so it is made of bytes --------------------- */

static uint8_t read_byte(const struct vpm *p, unsigned at, uint64_t now_ns)
{
	uint64_t word = 0;

	switch (at & ~3u) {
	case STATUS:  word = p->pm1_status | (uint32_t)p->pm1_enable << 16; break;
	case CONTROL: word = p->pm1_control; break;
	case TIMER:   word = ticks_at(now_ns, VPM_TIMER_HZ); break;
	}
	return (uint8_t)(word >> at % 4 * 8);
}

static uint64_t vpm_read(void *dev, const struct access *a)
{
	unsigned at = (unsigned)(a->addr - VPM_BASE);
	struct vpm *p = dev;
	uint64_t value = 0;

	if (a->addr < VPM_BASE)
		return ~0ull;           /* no keyboard controller */
	settle(p, a->now_ns);
	for (unsigned i = 0; i < a->size; i++)
		value |= (uint64_t)read_byte(p, at + i, a->now_ns) << i * 8;
	return value;
}

static void write_control(struct vpm *p, uint16_t value)
{
	p->pm1_control = (uint16_t)((value & CONTROL_KEPT) | CONTROL_SCI_EN);
	if ((value & CONTROL_SLP_EN) && GET(CONTROL_SLP_TYP, value) == VPM_SLP_TYP_S5)
		power_off(&p->power, "the guest turned itself off (ACPI S5)");
}

static void write_byte(struct vpm *p, unsigned at, uint8_t byte)
{
	unsigned shift = at % 2 * 8;
	uint16_t mask = (uint16_t)(0xff << shift), bits = (uint16_t)(byte << shift);

	switch (at & ~1u) {
	case STATUS:
		p->pm1_status &= (uint16_t)~bits;               /* write 1 to clear */
		break;
	case ENABLE:
		p->pm1_enable = (uint16_t)(((p->pm1_enable & ~mask) | bits) & PM1_ENABLE_BITS);
		break;
	case CONTROL:
		write_control(p, (uint16_t)((p->pm1_control & ~mask) | bits));
		break;
	}
}

static void vpm_write(void *dev, const struct access *a, uint64_t value)
{
	struct vpm *p = dev;

	if (a->addr == PORT_KBD_COMMAND && (uint8_t)value == KBD_PULSE_RESET)
		power_reset(&p->power, "the guest reset itself (keyboard controller)");
	if (a->addr < VPM_BASE)
		return;
	settle(p, a->now_ns);
	for (unsigned i = 0; i < a->size; i++)
		write_byte(p, (unsigned)(a->addr - VPM_BASE) + i, (uint8_t)(value >> i * 8));
	drive(p);
}

/* --- Life, and what travels ------------------------------------------------------------------- */

static void vpm_reset(void *dev)
{
	struct vpm *p = dev;

	p->pm1_status = p->pm1_enable = 0;
	p->pm1_control = CONTROL_SCI_EN;
	p->seen_ns = 0;                 /* VM time begins anew */
	drive(p);
}

void vpm_init(struct vpm *p, struct wire sci, struct power power)
{
	*p = (struct vpm){ .sci = sci, .power = power };
	vpm_reset(p);
}

static const struct field vpm_fields[] = {
	FIELD(struct vpm, pm1_status), FIELD(struct vpm, pm1_enable),
	FIELD(struct vpm, pm1_control),
	FIELD(struct vpm, seen_ns),
};

static enum err vpm_check(const void *object)
{
	const struct vpm *p = object;

	if (p->pm1_status & ~PM1_STATUS_BITS)
		return fail(ERR_BAD_FORMAT, "vpm: pm1_status %#x has reserved bits", p->pm1_status);
	if (p->pm1_enable & ~PM1_ENABLE_BITS)
		return fail(ERR_BAD_FORMAT, "vpm: pm1_enable %#x has reserved bits", p->pm1_enable);
	if ((p->pm1_control & ~CONTROL_KEPT) != CONTROL_SCI_EN)
		return fail(ERR_BAD_FORMAT, "vpm: pm1_control %#x", p->pm1_control);
	return OK;
}

static const struct section vpm_state = {
	.name = "vpm", .version = 1, .fields = vpm_fields, .nfields = COUNT(vpm_fields),
	.object_size = sizeof(struct vpm), .check = vpm_check,
};

static const struct range vpm_ranges[] = {
	{ BUS_IO, VPM_BASE, VPM_LEN },
	{ BUS_IO, PORT_KBD_DATA, 1 }, { BUS_IO, PORT_KBD_COMMAND, 1 },
};

const struct dev_ops vpm_ops = {
	.name = "vpm", .ranges = vpm_ranges, .nranges = COUNT(vpm_ranges), .reset = vpm_reset,
	.read = vpm_read, .write = vpm_write, .deadline = vpm_deadline, .tick = vpm_tick,
	.state = &vpm_state,
};
