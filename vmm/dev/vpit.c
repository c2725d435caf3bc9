/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vpit.c - the 8254: counter 0 is IRQ 0, counter 1 once refreshed memory, counter 2 beeps.
 *
 * A count that is written is loaded by the next clock pulse (start = tick + 1), at the end of the
 * period (modes 2 and 3) or by the gate (1 and 5).  OUT and the count follow from start and now;
 * the only event is a rising edge of counter 0.  Edges that nobody had time to see are one edge.
 */
#include "vmm/dev/vpit.h"

#include "vmm/dev/ticks.h"

#define PORT_COUNTER    0x40
#define PORT_CONTROL    0x43
#define PORT_61         0x61

#define CW_SELECT       MASK(7, 6)
#define CW_READ_BACK    3u              /* in CW_SELECT */
#define CW_ACCESS       MASK(5, 4)
#define CW_MODE         MASK(3, 1)
#define CW_BCD          BIT(0)
#define CW_HELD         MASK(5, 0)      /* what the status byte repeats */
#define RB_NO_COUNT     BIT(5)
#define RB_NO_STATUS    BIT(4)
#define STATUS_OUT      BIT(7)
#define STATUS_NULL     BIT(6)

#define P61_GATE2       BIT(0)
#define P61_WRITABLE    MASK(3, 0)
#define P61_REFRESH     BIT(4)
#define P61_OUT2        BIT(5)
#define REFRESH_TICKS   18u

enum access_mode { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };
enum mode { TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE, SOFT_STROBE, HARD_STROBE };

static enum mode mode(const struct vpit *p, unsigned c)
{
	unsigned m = (unsigned)GET(CW_MODE, p->control[c]);

	return m > HARD_STROBE ? m - 4 : m;     /* 6 and 7 are 2 and 3 */
}

static bool triggered_mode(enum mode m) { return m == ONE_SHOT || m == HARD_STROBE; }
static bool periodic_mode(enum mode m)  { return m == RATE || m == SQUARE; }

static uint64_t elapsed(const struct vpit *p, unsigned c, uint64_t tick)
{
	if (!p->counting[c])
		return p->elapsed[c];
	/* Before the pulse that loads it, nothing has been counted. */
	return (int64_t)(tick - p->start[c]) > 0 ? tick - p->start[c] : 0;
}

static uint32_t high_ticks(uint32_t n) { return (n + 1) / 2; }  /* of a square wave */

static bool out(const struct vpit *p, unsigned c, uint64_t tick)
{
	uint64_t e = elapsed(p, c, tick), n = p->count[c];

	if (mode(p, c) == TERMINAL_COUNT)
		return n && e >= n;
	if (!n || !p->counting[c])
		return true;
	switch (mode(p, c)) {
	case ONE_SHOT:    return e >= n;
	case RATE:        return e % n != n - 1;
	case SQUARE:      return e % n < high_ticks((uint32_t)n);
	default:          return e != n;        /* the strobes */
	}
}

static uint16_t to_bcd(uint32_t v)
{
	return (uint16_t)(v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

static uint32_t from_bcd(uint32_t v)
{
	return (v >> 12) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15);
}

static uint32_t modulus(const struct vpit *p, unsigned c)
{
	return p->control[c] & CW_BCD ? 10000 : 65536;
}

/* What a read of the counting element gives. */
static uint16_t value(const struct vpit *p, unsigned c, uint64_t tick)
{
	uint64_t e = elapsed(p, c, tick);
	uint32_t n = p->count[c], m = modulus(p, c), v;

	if (!n)
		return 0;
	if (mode(p, c) == RATE) {
		v = n - (uint32_t)(e % n);
	} else if (mode(p, c) == SQUARE) {      /* counts down by two, twice */
		uint32_t r = (uint32_t)(e % n), half = high_ticks(n);

		v = (n & ~1u) - 2 * (r < half ? r : r - half);
	} else {
		v = (uint32_t)((n + m - e % m) % m);
	}
	return p->control[c] & CW_BCD ? to_bcd(v) : (uint16_t)v;
}

/* --- Loading ---------------------------------------------------------------------------------- */

static void load(struct vpit *p, unsigned c, uint32_t n, uint64_t start)
{
	p->count[c] = n;
	p->next[c] = 0;
	p->next_at[c] = VPIT_NO_TICK;
	p->start[c] = start;
	p->elapsed[c] = 0;
}

/* A count that waited for the end of its period: has that come? */
static void catch_up(struct vpit *p, unsigned c, uint64_t tick)
{
	uint64_t at = p->next_at[c];
	bool was_high;

	if (!p->next[c] || tick < at)
		return;
	was_high = out(p, c, at);
	/* Loaded half-way through a square wave, it begins with its own low half. */
	load(p, c, p->next[c], was_high || mode(p, c) != SQUARE ? at : at - high_ticks(p->next[c]));
}

/* The end of the period (mode 2) or half period (mode 3) that `tick` is in. */
static uint64_t period_end(const struct vpit *p, unsigned c, uint64_t tick)
{
	uint64_t e = elapsed(p, c, tick), n = p->count[c], begin = p->start[c] + e / n * n;

	if (mode(p, c) == SQUARE && e % n < high_ticks((uint32_t)n))
		return begin + high_ticks((uint32_t)n);
	return begin + n;
}

static void write_count(struct vpit *p, unsigned c, uint32_t raw, uint64_t tick)
{
	enum mode m = mode(p, c);
	uint32_t n = p->control[c] & CW_BCD ? from_bcd(raw) : raw;

	if (!n)
		n = modulus(p, c);
	if (!p->count[c]) {
		load(p, c, n, tick + 1);
		p->counting[c] = !triggered_mode(m) && p->gate[c];
	} else if (periodic_mode(m) || triggered_mode(m)) {
		p->next[c] = n;
		p->next_at[c] = VPIT_NO_TICK;
		if (periodic_mode(m) && p->counting[c])
			p->next_at[c] = period_end(p, c, tick);
	} else {
		load(p, c, n, tick + 1);
		p->counting[c] = p->gate[c];
	}
}

static void set_gate(struct vpit *p, unsigned c, bool level, uint64_t tick)
{
	enum mode m = mode(p, c);
	bool rising = level && !p->gate[c];

	if (level == !!p->gate[c])
		return;
	p->gate[c] = level;
	if (!p->count[c])
		return;
	if (rising && (periodic_mode(m) || triggered_mode(m))) {
		load(p, c, p->next[c] ? p->next[c] : p->count[c], tick + 1);
		p->counting[c] = 1;
	} else if (rising) {
		p->start[c] = tick - p->elapsed[c];
		p->counting[c] = 1;
	} else if (!triggered_mode(m)) {
		p->elapsed[c] = elapsed(p, c, tick);
		p->counting[c] = 0;
		if (p->next[c])
			p->next_at[c] = VPIT_NO_TICK;
	}
}

/* --- Counter 0's edges ------------------------------------------------------------------------ */

static uint64_t next_edge(const struct vpit *p, uint64_t after)
{
	uint64_t n = p->count[0], rise;

	if (!n || !p->counting[0])
		return VPIT_NO_TICK;
	if (periodic_mode(mode(p, 0))) {
		rise = p->start[0] + (elapsed(p, 0, after) / n + 1) * n;
		/* A count that is loaded half-way through a square wave moves the edge. */
		if (p->next[0] && p->next_at[0] < rise)
			rise = p->next_at[0] + p->next[0] - high_ticks(p->next[0]);
		return rise;
	}
	rise = p->start[0] + n;
	if (mode(p, 0) == SOFT_STROBE || mode(p, 0) == HARD_STROBE)
		rise++;                 /* low for one pulse when the count is 0 */
	return rise > after ? rise : VPIT_NO_TICK;
}

static void counter0_changed(struct vpit *p, uint64_t tick)
{
	wire_set(&p->irq, out(p, 0, tick));
	p->edge = next_edge(p, tick);
}

static void vpit_tick(void *dev, uint64_t now_ns)
{
	struct vpit *p = dev;
	uint64_t tick = ticks_at(now_ns, VPIT_HZ);

	if (tick < p->edge)
		return;
	wire_set(&p->irq, false);
	wire_set(&p->irq, true);
	catch_up(p, 0, tick);
	p->edge = next_edge(p, tick);
}

static uint64_t vpit_deadline(const void *dev)
{
	const struct vpit *p = dev;

	return p->edge == VPIT_NO_TICK ? NEVER_NS : ticks_ns(p->edge, VPIT_HZ);
}

/* --- Ports ------------------------------------------------------------------------------------ */

static void latch_count(struct vpit *p, unsigned c, uint64_t tick)
{
	if (p->latched[c])
		return;                 /* the first latch holds until it was read */
	p->latch[c] = value(p, c, tick);
	p->latched[c] = GET(CW_ACCESS, p->control[c]) == ACCESS_BOTH ? 2 : 1;
}

static void latch_status(struct vpit *p, unsigned c, uint64_t tick)
{
	bool unloaded = p->counting[c] && (int64_t)(tick - p->start[c]) < 0;
	bool null = !p->count[c] || p->next[c] || unloaded;

	if (p->status_held[c])
		return;
	p->status[c] = (uint8_t)(p->control[c] | (out(p, c, tick) ? STATUS_OUT : 0) |
				 (null ? STATUS_NULL : 0));
	p->status_held[c] = 1;
}

static void write_control(struct vpit *p, uint8_t word, uint64_t tick)
{
	unsigned c = (unsigned)GET(CW_SELECT, word);

	if (c == CW_READ_BACK) {
		for (c = 0; c < VPIT_COUNTERS; c++) {
			if (!(word >> (c + 1) & 1))
				continue;
			if (!(word & RB_NO_COUNT))
				latch_count(p, c, tick);
			if (!(word & RB_NO_STATUS))
				latch_status(p, c, tick);
		}
		return;
	}
	if (GET(CW_ACCESS, word) == ACCESS_LATCH) {
		latch_count(p, c, tick);
		return;
	}
	p->control[c] = word & CW_HELD;
	load(p, c, 0, tick);
	p->counting[c] = p->low_held[c] = p->read_high[c] = p->latched[c] = p->status_held[c] = 0;
	if (c == 0)
		counter0_changed(p, tick);
}

static void write_counter(struct vpit *p, unsigned c, uint8_t byte, uint64_t tick)
{
	switch ((enum access_mode)GET(CW_ACCESS, p->control[c])) {
	case ACCESS_LOW:
		write_count(p, c, byte, tick);
		break;
	case ACCESS_HIGH:
		write_count(p, c, (uint32_t)byte << 8, tick);
		break;
	case ACCESS_BOTH:
		p->low_held[c] ^= 1;
		if (!p->low_held[c]) {
			write_count(p, c, (uint32_t)byte << 8 | p->low[c], tick);
			break;
		}
		p->low[c] = byte;
		if (mode(p, c) == TERMINAL_COUNT) {     /* the first byte stops it, OUT is low */
			load(p, c, 0, tick);
			p->counting[c] = 0;
		}
		break;
	case ACCESS_LATCH:                      /* no control word yet */
		return;
	}
	if (c == 0)
		counter0_changed(p, tick);
}

static uint8_t read_counter(struct vpit *p, unsigned c, uint64_t tick)
{
	enum access_mode access = (enum access_mode)GET(CW_ACCESS, p->control[c]);
	uint16_t v;
	bool high;

	if (p->status_held[c]) {
		p->status_held[c] = 0;
		return p->status[c];
	}
	if (p->latched[c]) {
		v = p->latch[c];
		high = access == ACCESS_HIGH || (access == ACCESS_BOTH && p->latched[c] == 1);
		p->latched[c]--;
	} else {
		v = value(p, c, tick);
		high = access == ACCESS_HIGH || (access == ACCESS_BOTH && p->read_high[c]);
		p->read_high[c] ^= access == ACCESS_BOTH;
	}
	return (uint8_t)(high ? v >> 8 : v);
}

static uint8_t read_port61(const struct vpit *p, uint64_t tick)
{
	return (uint8_t)(p->port61 | (tick / REFRESH_TICKS & 1 ? P61_REFRESH : 0) |
			 (out(p, 2, tick) ? P61_OUT2 : 0));
}

static uint64_t vpit_read(void *dev, const struct access *a)
{
	struct vpit *p = dev;
	uint64_t tick = ticks_at(a->now_ns, VPIT_HZ);

	for (unsigned c = 0; c < VPIT_COUNTERS; c++)
		catch_up(p, c, tick);
	if (a->addr == PORT_61)
		return read_port61(p, tick);
	if (a->addr == PORT_CONTROL)
		return 0xff;                    /* write-only: nobody drives the bus */
	return read_counter(p, (unsigned)(a->addr - PORT_COUNTER), tick);
}

static void vpit_write(void *dev, const struct access *a, uint64_t byte)
{
	struct vpit *p = dev;
	uint64_t tick = ticks_at(a->now_ns, VPIT_HZ);

	vpit_tick(p, a->now_ns);                /* edges before this write came before it */
	for (unsigned c = 0; c < VPIT_COUNTERS; c++)
		catch_up(p, c, tick);
	if (a->addr == PORT_61) {
		p->port61 = byte & P61_WRITABLE;
		set_gate(p, 2, byte & P61_GATE2, tick);
	} else if (a->addr == PORT_CONTROL) {
		write_control(p, (uint8_t)byte, tick);
	} else {
		write_counter(p, (unsigned)(a->addr - PORT_COUNTER), (uint8_t)byte, tick);
	}
}

/* --- Life, and what travels ------------------------------------------------------------------- */

static void vpit_reset(void *dev)
{
	struct vpit *p = dev;

	*p = (struct vpit){ .irq = p->irq, .gate = { 1, 1, 0 }, .edge = VPIT_NO_TICK };
	for (unsigned c = 0; c < VPIT_COUNTERS; c++)
		p->next_at[c] = VPIT_NO_TICK;
	wire_set(&p->irq, false);
}

void vpit_init(struct vpit *p, struct wire irq)
{
	*p = (struct vpit){ .irq = irq };
	vpit_reset(p);
}

static const struct field vpit_fields[] = {
	FIELDS(struct vpit, count), FIELDS(struct vpit, next), FIELDS(struct vpit, next_at),
	FIELDS(struct vpit, start), FIELDS(struct vpit, elapsed), FIELDS(struct vpit, counting),
	FIELDS(struct vpit, gate), FIELDS(struct vpit, control), FIELDS(struct vpit, low),
	FIELDS(struct vpit, low_held), FIELDS(struct vpit, read_high), FIELDS(struct vpit, latch),
	FIELDS(struct vpit, latched), FIELDS(struct vpit, status), FIELDS(struct vpit, status_held),
	FIELD(struct vpit, port61), FIELD(struct vpit, edge),
};

static enum err vpit_check(const void *object)
{
	const struct vpit *p = object;

	for (unsigned c = 0; c < VPIT_COUNTERS; c++) {
		if (p->count[c] > 65536 || p->next[c] > 65536)
			return fail(ERR_BAD_FORMAT, "vpit: count[%u] or next above 65536", c);
		if (p->counting[c] && !p->count[c])
			return fail(ERR_BAD_FORMAT, "vpit: counting[%u] without a count", c);
		if (p->next[c] && !p->count[c])
			return fail(ERR_BAD_FORMAT, "vpit: next[%u] without a count", c);
		if ((p->counting[c] | p->gate[c] | p->low_held[c] | p->read_high[c] |
		     p->status_held[c]) > 1)
			return fail(ERR_BAD_FORMAT, "vpit: counter %u has a flag above 1", c);
		if (p->control[c] & ~CW_HELD)
			return fail(ERR_BAD_FORMAT, "vpit: control[%u] %#x", c, p->control[c]);
		if (p->latched[c] > 2)
			return fail(ERR_BAD_FORMAT, "vpit: latched[%u] %u", c, p->latched[c]);
	}
	if (p->port61 & ~P61_WRITABLE)
		return fail(ERR_BAD_FORMAT, "vpit: port61 %#x", p->port61);
	return OK;
}

static const struct section vpit_state = {
	.name = "vpit", .version = 1, .fields = vpit_fields, .nfields = COUNT(vpit_fields),
	.object_size = sizeof(struct vpit), .check = vpit_check,
};

static const struct range vpit_ranges[] = { { BUS_IO, PORT_COUNTER, 4 }, { BUS_IO, PORT_61, 1 } };

const struct dev_ops vpit_ops = {
	.name = "vpit", .ranges = vpit_ranges, .nranges = COUNT(vpit_ranges), .reset = vpit_reset,
	.read = vpit_read, .write = vpit_write, .deadline = vpit_deadline, .tick = vpit_tick,
	.state = &vpit_state,
};
