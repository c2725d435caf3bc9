/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vrtc.c - the MC146818 (Motorola data sheet) on ports 0x70 and 0x71.
 *
 * While it runs, the date is computed from VM time.  While it is held (SET, or the divider in
 * reset) the date stands in cmos[], where the guest may change it; release turns it into a new
 * offset.  settle() brings the flags of register C up to a moment and must come before any change.
 */
#include "vmm/dev/vrtc.h"

#include "vmm/clock.h"
#include "vmm/dev/ticks.h"

#define PORT_INDEX      0x70
#define PORT_DATA       0x71
#define INDEX_BITS      0x7f            /* bit 7 of the port masks NMIs, which we do not send */

enum reg { SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH,
           YEAR, REG_A, REG_B, REG_C, REG_D, CENTURY = 0x32 };

#define A_UIP           BIT(7)
#define A_RATE          MASK(3, 0)
#define A_DIVIDER       MASK(6, 4)
#define A_DIVIDER_RESET 6u              /* in A_DIVIDER: 6 and 7                       */
#define A_DEFAULT       0x26            /* 32.768 kHz, 1024 Hz                         */
#define B_SET           BIT(7)
#define B_BINARY        BIT(2)
#define B_24H           BIT(1)
#define C_IRQ           BIT(7)
#define C_PERIODIC      BIT(6)          /* the same bits of B enable, of C tell        */
#define C_ALARM         BIT(5)
#define C_UPDATE        BIT(4)
#define C_SOURCES       (C_PERIODIC | C_ALARM | C_UPDATE)
#define D_VALID         BIT(7)
#define HOUR_PM         0x80
#define ALARM_ANY       0xc0            /* an alarm byte from here on: every hour, minute ... */

#define RATE_HZ         32768ull
#define UPDATE_NS       ((244 + 1984) * NS_PER_US)      /* "Update Cycle": UIP, then the update */
#define DIVIDER_NS      (NS_PER_S / 2)  /* the first update after a divider reset              */
#define DAY_S           86400
#define OFFSET_MAX_S    (1000ll * 1000 * 1000 * 1000)   /* more than any date can say           */
#define NO_ALARM        INT64_MAX
#define ALARM_STEPS_MAX 400             /* 60 minutes, 24 hours, 60 minutes, 60 seconds, ...   */

/* Where the BIOS keeps the memory size. */
#define CMOS_BASE_KIB   0x15
#define CMOS_EXT_KIB    0x17
#define CMOS_EXT_KIB2   0x30
#define CMOS_16M_64KIB  0x34
#define CMOS_4G_64KIB   0x5b
#define BASE_KIB        640

struct date { int year, month, day, hour, minute, second; };

/* --- Calendar --------------------------------------------------------------------------------- */

static int64_t days_before_year(int64_t y)      /* days from 1 January of year 0, Gregorian */
{
	return y ? 365 * y + (y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400 + 1 : 0;
}

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int month_days(int64_t y, int month)     /* month 1..12 */
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(y));
}

#define YEAR_MAX 9999

/* Seconds since 1970 of a date; impossible fields are taken as they count. */
static int64_t date_to_s(const struct date *d)
{
	int64_t days = days_before_year(d->year) - days_before_year(1970) + d->day - 1;

	for (int m = 1; m < d->month && m <= 12; m++)
		days += month_days(d->year, m);
	return days * DAY_S + d->hour * 3600 + d->minute * 60 + d->second;
}

static int64_t second_of_day(int64_t s)
{
	return (s % DAY_S + DAY_S) % DAY_S;
}

static struct date date_from_s(int64_t s)
{
	struct date d = { .month = 1 };
	int64_t tod = second_of_day(s);
	int64_t days = (s - tod) / DAY_S + days_before_year(1970), year;

	days = MAX(days, 0);
	year = MIN(days * 400 / days_before_year(400), YEAR_MAX);  /* right, or one off */
	while (year && days_before_year(year) > days)
		year--;
	while (year < YEAR_MAX && days_before_year(year + 1) <= days)
		year++;
	days -= days_before_year(year);
	while (d.month < 12 && days >= month_days(year, d.month))
		days -= month_days(year, d.month++);
	d.year = (int)year;
	d.day = (int)MIN(days, 30) + 1;
	d.hour = (int)(tod / 3600);
	d.minute = (int)(tod / 60 % 60);
	d.second = (int)(tod % 60);
	return d;
}

/* --- Register formats ------------------------------------------------------------------------- */

static uint8_t encode(const struct vrtc *r, int v)
{
	return (uint8_t)(r->cmos[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static int decode(const struct vrtc *r, uint8_t v)
{
	return r->cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct vrtc *r, int hour)
{
	if (r->cmos[REG_B] & B_24H)
		return encode(r, hour);
	return (uint8_t)(encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0));
}

static int decode_hour(const struct vrtc *r, uint8_t v)
{
	if (r->cmos[REG_B] & B_24H)
		return decode(r, v);
	return decode(r, v & (uint8_t)~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* --- Time ------------------------------------------------------------------------------------- */

static bool divider_reset(const struct vrtc *r)
{
	return GET(A_DIVIDER, r->cmos[REG_A]) >= A_DIVIDER_RESET;
}

static bool held(const struct vrtc *r)
{
	return (r->cmos[REG_B] & B_SET) || divider_reset(r);
}

static uint64_t chain_ns(const struct vrtc *r, uint64_t now_ns)
{
	return r->clock->wall_ns + now_ns + r->phase_ns;
}

static int64_t date_s(const struct vrtc *r, uint64_t now_ns)
{
	return (int64_t)(chain_ns(r, now_ns) / NS_PER_S) + r->offset_s;
}

/* VM time at which second `s` begins. */
static uint64_t date_ns(const struct vrtc *r, int64_t s)
{
	return (uint64_t)(s - r->offset_s) * NS_PER_S - r->phase_ns - r->clock->wall_ns;
}

static void hold(struct vrtc *r, uint64_t now_ns)
{
	int64_t s = date_s(r, now_ns);
	struct date d = date_from_s(s);

	r->cmos[SECONDS] = encode(r, d.second);
	r->cmos[MINUTES] = encode(r, d.minute);
	r->cmos[HOURS]   = encode_hour(r, d.hour);
	/* 1 January 1970 was a Thursday; Sunday is 1.  The weekday follows the date. */
	r->cmos[WEEKDAY] = encode(r, (int)(((s - second_of_day(s)) / DAY_S % 7 + 7 + 4) % 7) + 1);
	r->cmos[DAY]     = encode(r, d.day);
	r->cmos[MONTH]   = encode(r, d.month);
	r->cmos[YEAR]    = encode(r, d.year % 100);
	r->cmos[CENTURY] = encode(r, d.year / 100);
}

static void release(struct vrtc *r, uint64_t now_ns)
{
	struct date d = {
		.year   = decode(r, r->cmos[CENTURY]) * 100 + decode(r, r->cmos[YEAR]),
		.month  = decode(r, r->cmos[MONTH]),
		.day    = decode(r, r->cmos[DAY]),
		.hour   = decode_hour(r, r->cmos[HOURS]),
		.minute = decode(r, r->cmos[MINUTES]),
		.second = decode(r, r->cmos[SECONDS]),
	};

	r->offset_s += date_to_s(&d) - date_s(r, now_ns);
}

static void divider_start(struct vrtc *r, uint64_t now_ns)
{
	uint64_t raw = (r->clock->wall_ns + now_ns) % NS_PER_S;

	r->phase_ns = (uint32_t)((NS_PER_S + DIVIDER_NS - raw) % NS_PER_S);
}

/* Periodic rate: in ticks of 32.768 kHz, 0 for none; rates 1 and 2 repeat 8 and 9. */
static uint64_t period_ticks(const struct vrtc *r)
{
	unsigned rate = r->cmos[REG_A] & A_RATE;

	if (!rate || divider_reset(r))
		return 0;
	return BIT(rate <= 2 ? rate + 6 : rate - 1);
}

static bool alarm_field(uint8_t alarm, int wanted, int64_t actual)
{
	return alarm >= ALARM_ANY || wanted == actual;
}

/* The first second after `s` that the alarm names. */
static int64_t next_alarm(const struct vrtc *r, int64_t s)
{
	const uint8_t *alarm = r->cmos;
	int hour = decode_hour(r, alarm[HOURS_ALARM]), minute = decode(r, alarm[MINUTES_ALARM]);
	int second = decode(r, alarm[SECONDS_ALARM]);

	s++;
	for (unsigned step = 0; step < ALARM_STEPS_MAX; step++) {
		int64_t tod = second_of_day(s);

		if (!alarm_field(alarm[HOURS_ALARM], hour, tod / 3600))
			s += 3600 - tod % 3600;
		else if (!alarm_field(alarm[MINUTES_ALARM], minute, tod / 60 % 60))
			s += 60 - tod % 60;
		else if (!alarm_field(alarm[SECONDS_ALARM], second, tod % 60))
			s++;
		else
			return s;
	}
	return NO_ALARM;                /* 25 o'clock */
}

/* What has happened since the last look. */
static void settle(struct vrtc *r, uint64_t now_ns)
{
	uint64_t period = period_ticks(r);
	int64_t was = date_s(r, r->seen_ns), is = date_s(r, now_ns);

	if (now_ns < r->seen_ns)
		return;
	if (period && ticks_at(now_ns, RATE_HZ) / period > ticks_at(r->seen_ns, RATE_HZ) / period)
		r->cmos[REG_C] |= C_PERIODIC;
	if (!held(r) && is > was) {
		r->cmos[REG_C] |= C_UPDATE;
		if (next_alarm(r, was) <= is)
			r->cmos[REG_C] |= C_ALARM;
	}
	r->seen_ns = now_ns;
}

/* The interrupt line, and when it may next rise. */
static void drive(struct vrtc *r)
{
	uint8_t enabled = r->cmos[REG_B] & C_SOURCES;
	uint64_t period = period_ticks(r), now = r->seen_ns, next = NEVER_NS;
	int64_t alarm = NO_ALARM, is = date_s(r, now);
	bool irq = r->cmos[REG_C] & enabled;

	r->cmos[REG_C] = (uint8_t)((r->cmos[REG_C] & C_SOURCES) | (irq ? C_IRQ : 0));
	wire_set(&r->irq, irq);
	r->deadline_ns = NEVER_NS;
	if (irq)
		return;                 /* it stays up until register C is read */
	if ((enabled & C_PERIODIC) && period)
		next = ticks_ns((ticks_at(now, RATE_HZ) / period + 1) * period, RATE_HZ);
	if ((enabled & C_UPDATE) && !held(r))
		next = MIN(next, date_ns(r, is + 1));
	if ((enabled & C_ALARM) && !held(r))
		alarm = next_alarm(r, is);
	if (alarm != NO_ALARM)
		next = MIN(next, date_ns(r, alarm));
	r->deadline_ns = next;
}

static void vrtc_tick(void *dev, uint64_t now_ns)
{
	struct vrtc *r = dev;

	if (now_ns < r->deadline_ns)
		return;
	settle(r, now_ns);
	drive(r);
}

static uint64_t vrtc_deadline(const void *dev)
{
	return ((const struct vrtc *)dev)->deadline_ns;
}

/* --- Ports ------------------------------------------------------------------------------------ */

static bool is_date(unsigned reg)
{
	return reg == SECONDS || reg == MINUTES || reg == HOURS || reg == CENTURY ||
	       (reg >= WEEKDAY && reg <= YEAR);
}

static uint8_t read_reg_a(const struct vrtc *r, uint64_t now_ns)
{
	bool updating = !held(r) && chain_ns(r, now_ns) % NS_PER_S >= NS_PER_S - UPDATE_NS;

	return (uint8_t)(r->cmos[REG_A] | (updating ? A_UIP : 0));
}

static uint64_t vrtc_read(void *dev, const struct access *a)
{
	struct vrtc *r = dev;
	uint8_t value;

	if (a->addr != PORT_DATA)
		return 0xff;            /* the index is write-only */
	settle(r, a->now_ns);
	if (r->index == REG_A)
		return read_reg_a(r, a->now_ns);
	if (is_date(r->index) && !held(r))
		hold(r, a->now_ns);     /* a fresh copy into cmos[] */
	value = r->cmos[r->index];
	if (r->index == REG_C) {
		r->cmos[REG_C] = 0;
		drive(r);
	}
	return value;
}

/* Registers A and B say whether the clock runs; on the way in or out the date changes its place. */
static void write_control(struct vrtc *r, unsigned reg, uint8_t value, uint64_t now_ns)
{
	bool was_held = held(r), was_reset = divider_reset(r);

	if (!was_held)
		hold(r, now_ns);
	r->cmos[reg] = value;
	if (was_reset && !divider_reset(r))
		divider_start(r, now_ns);
	if (!held(r) && was_held)
		release(r, now_ns);
}

static void vrtc_write(void *dev, const struct access *a, uint64_t value)
{
	struct vrtc *r = dev;
	uint8_t byte = (uint8_t)value;

	if (a->addr != PORT_DATA) {
		r->index = byte & INDEX_BITS;
		return;
	}
	settle(r, a->now_ns);
	if (r->index == REG_A) {
		write_control(r, REG_A, byte & (uint8_t)~A_UIP, a->now_ns);
	} else if (r->index == REG_B) {
		/* "Register B": setting SET clears the update interrupt's enable. */
		write_control(r, REG_B, byte & B_SET ? byte & (uint8_t)~C_UPDATE : byte, a->now_ns);
	} else if (r->index == REG_C || r->index == REG_D) {
		return;
	} else if (is_date(r->index) && !held(r)) {
		hold(r, a->now_ns);
		r->cmos[r->index] = byte;
		release(r, a->now_ns);
	} else {
		r->cmos[r->index] = byte;
	}
	drive(r);
}

/* --- Life, and what travels ------------------------------------------------------------------- */

/*
 * CMOS memory and the date are on a battery: reset clears interrupt enables and flags only.  VM
 * time begins at 0 again, and so does what counts in it.
 */
static void vrtc_reset(void *dev)
{
	struct vrtc *r = dev;

	r->cmos[REG_B] &= (uint8_t)~C_SOURCES;
	r->cmos[REG_C] = 0;
	r->index = 0;
	r->seen_ns = 0;
	drive(r);
}

static void put16(struct vrtc *r, unsigned at, uint64_t value)
{
	value = MIN(value, 0xffffull);
	r->cmos[at] = (uint8_t)value;
	r->cmos[at + 1] = (uint8_t)(value >> 8);
}

void vrtc_init(struct vrtc *r, const struct clock *clock, uint64_t ram_bytes, struct wire irq)
{
	uint64_t low = MIN(ram_bytes, 3 * GIB), high = ram_bytes - low;

	*r = (struct vrtc){ .clock = clock, .irq = irq, .deadline_ns = NEVER_NS };
	r->cmos[REG_A] = A_DEFAULT;
	r->cmos[REG_B] = B_24H;
	r->cmos[REG_D] = D_VALID;
	put16(r, CMOS_BASE_KIB, BASE_KIB);
	put16(r, CMOS_EXT_KIB, (low - MIN(low, MIB)) / KIB);
	put16(r, CMOS_EXT_KIB2, (low - MIN(low, MIB)) / KIB);
	put16(r, CMOS_16M_64KIB, (low - MIN(low, 16 * MIB)) / (64 * KIB));
	put16(r, CMOS_4G_64KIB, high / (64 * KIB));
	r->cmos[CMOS_4G_64KIB + 2] = (uint8_t)(high / (64 * KIB) >> 16);
	vrtc_reset(r);
}

static const struct field vrtc_fields[] = {
	FIELD(struct vrtc, index), FIELDS(struct vrtc, cmos), FIELD(struct vrtc, offset_s),
	FIELD(struct vrtc, phase_ns), FIELD(struct vrtc, seen_ns), FIELD(struct vrtc, deadline_ns),
};

static enum err vrtc_check(const void *object)
{
	const struct vrtc *r = object;

	if (r->index & ~INDEX_BITS)
		return fail(ERR_BAD_FORMAT, "vrtc: index %#x", r->index);
	if (r->offset_s > OFFSET_MAX_S || r->offset_s < -OFFSET_MAX_S)
		return fail(ERR_BAD_FORMAT, "vrtc: offset_s is no date");
	if (r->phase_ns >= NS_PER_S)
		return fail(ERR_BAD_FORMAT, "vrtc: phase_ns %u is a second or more", r->phase_ns);
	if (r->cmos[REG_A] & A_UIP)
		return fail(ERR_BAD_FORMAT, "vrtc: cmos[10] has the update bit, which is computed");
	return OK;
}

static const struct section vrtc_state = {
	.name = "vrtc", .version = 1, .fields = vrtc_fields, .nfields = COUNT(vrtc_fields),
	.object_size = sizeof(struct vrtc), .check = vrtc_check,
};

static const struct range vrtc_ranges[] = { { BUS_IO, PORT_INDEX, 2 } };

const struct dev_ops vrtc_ops = {
	.name = "vrtc", .ranges = vrtc_ranges, .nranges = COUNT(vrtc_ranges), .reset = vrtc_reset,
	.read = vrtc_read, .write = vrtc_write, .deadline = vrtc_deadline, .tick = vrtc_tick,
	.state = &vrtc_state,
};
