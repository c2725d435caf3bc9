/* SPDX-License-Identifier: MIT */
/*
 * boot/nicwire.c - two cards on one wire, and frames that both can check.
 *
 * Owns both cards' `receive` and `ops` while a test runs.  Each frame says its number, its epoch
 * and its length; a pattern behind depends on the number, so a byte that is wrong, missing or from
 * another frame is seen.  Used by boot/nictest.c.
 */
#include "boot/nicwire.h"

#include <string.h>

#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"

#define ETH_TYPE_TEST    0x88b5                 /* IEEE 802, "Local Experimental"            */
#define ETH_TYPE_VLAN    0x8100
#define PATTERN_PERIOD   251                    /* a prime: a shifted frame is seen          */
#define LENGTH_STEP      37                     /* from one frame to the next                */
#define SILENCE_NS       (10 * NS_PER_S)        /* then what is out is lost; machines are busy */
#define SILENCE_LOSSY_NS (500 * NS_PER_MS)
#define SILENCES_MAX     3                      /* in a row, with nothing sent               */

struct test_frame {
	uint8_t dst[MAC_LEN], src[MAC_LEN], type[2];
	uint8_t epoch[2], number[8], len[2];
	uint8_t pattern[FRAME_JUMBO_MAX - FRAME_LEN_MIN - 12];
};
#define HEAD_LEN         offsetof(struct test_frame, pattern)
_Static_assert(sizeof(struct test_frame) == FRAME_JUMBO_MAX, "no padding");

struct nicwire nicwire[2];
bool nicwire_lossy;
unsigned nicwire_longest, nicwire_len;

static struct event frame_came;
static uint8_t pattern[FRAME_JUMBO_MAX + PATTERN_PERIOD];
static uint16_t epoch;

struct nicwire *nicwire_peer(const struct nicwire *e)
{
	return &nicwire[e == &nicwire[0]];
}

/* --- Frames ----------------------------------------------------------------------------------- */

static unsigned len_of(uint64_t number)
{
	unsigned span = nicwire_longest - NICWIRE_LEN_FILLED + 1;

	return nicwire_len ? nicwire_len
			   : NICWIRE_LEN_FILLED + (unsigned)(number * LENGTH_STEP % span);
}

static void put_be(uint8_t *to, unsigned n, uint64_t value)
{
	for (unsigned i = n; i-- > 0; value >>= 8)
		to[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *from, unsigned n)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < n; i++)
		value = value << 8 | from[i];
	return value;
}

/* The frame with this number from `e`. */
static void build(const struct nicwire *e, uint64_t number, unsigned len, struct test_frame *f)
{
	memcpy(f->dst, nicwire_peer(e)->nic->mac, MAC_LEN);
	memcpy(f->src, e->nic->mac, MAC_LEN);
	put_be(f->type, 2, len > nicwire_longest ? ETH_TYPE_VLAN : ETH_TYPE_TEST);
	put_be(f->epoch, 2, epoch);
	put_be(f->number, 8, number);
	put_be(f->len, 2, len);
	if (len > HEAD_LEN)
		memcpy(f->pattern, pattern + number % PATTERN_PERIOD, len - HEAD_LEN);
}

/* Cut in up to as many pieces as a frame can have, at places that differ from frame to frame. */
static struct frame in_pieces(const struct test_frame *t, unsigned len, uint64_t number)
{
	const uint8_t *at = (const uint8_t *)t;
	struct frame f = { .len = (uint16_t)len };
	unsigned pieces = 1 + (unsigned)(number % FRAME_PARTS_MAX);

	for (unsigned left = len; left > 0; left -= f.part[f.nparts++].len) {
		unsigned n = f.nparts + 1u == pieces ? left : MIN(left, 1 + left / pieces);

		f.part[f.nparts] = (struct frame_part){ at + (len - left), (uint16_t)n };
	}
	return f;
}

bool nicwire_send(struct nicwire *e)
{
	static struct test_frame t;
	unsigned len = len_of(e->sent);

	build(e, e->sent, len, &t);
	struct frame f = in_pieces(&t, len, e->sent);
	if (!e->nic->ops->send(e->nic, &f))
		return false;
	e->sent++;
	return true;
}

static bool is_ours(const struct nicwire *e, const struct frame *f)
{
	const struct test_frame *t = (const void *)f->part[0].data;

	return f->part[0].len >= FRAME_LEN_MIN && f->len <= sizeof(*t) &&
	       !memcmp(t->src, nicwire_peer(e)->nic->mac, MAC_LEN) &&
	       !memcmp(t->dst, e->nic->mac, MAC_LEN);
}

/* Is it, byte for byte, the peer's frame with this number?  The rest up to 60 may be anything. */
static bool is_frame(const struct nicwire *e, const uint8_t *bytes, unsigned got, uint64_t number)
{
	static struct test_frame want;
	unsigned len = len_of(number);

	build(nicwire_peer(e), number, len, &want);
	return (got == len || (len < NICWIRE_LEN_FILLED && got == NICWIRE_LEN_FILLED)) &&
	       !memcmp(bytes, &want, len);
}

static void check(struct nicwire *e, const struct test_frame *t, unsigned len)
{
	uint64_t number = e->expected;

	if (!nicwire_len || nicwire_len >= HEAD_LEN) {  /* shorter ones are taken for the next */
		number = get_be(t->number, sizeof(t->number));
		if (get_be(t->epoch, sizeof(t->epoch)) != epoch)
			return;                         /* from before the counts began */
		if (nicwire_lossy && number < e->expected)
			return;                         /* it was given up too early */
	}
	if (number < e->expected || number >= nicwire_peer(e)->sent ||
	    !is_frame(e, (const uint8_t *)t, len, number)) {
		e->bad++;
		e->bad_len = len;
		return;
	}
	e->lost += number - e->expected;
	e->expected = number + 1;
	e->got++;
}

static void on_frame(void *to, const struct frame *f)
{
	static struct test_frame t;
	struct nicwire *e = to;

	if (is_ours(e, f)) {
		frame_copy(&t, f);
		check(e, &t, f->len);
		event_signal(&frame_came);
	} else if (e->receive) {
		e->receive(e->receive_to, f);
	}
}

/* --- Moving many ------------------------------------------------------------------------------ */

bool nicwire_wait(uint64_t max_ns)
{
	return event_wait(&frame_came, time_now_ns() + max_ns);
}

bool nicwire_room(struct nicwire *e, uint64_t max_ns)
{
	uint64_t end_ns = time_now_ns() + max_ns;

	while (e->nic->ops->room(e->nic) == 0)
		if (time_now_ns() > end_ns)
			return false;
	return true;
}

static uint64_t on_the_way(const struct nicwire *from)
{
	return from->sent - nicwire_peer(from)->expected;
}

/* What is out by now does not arrive any more. */
static void give_up(struct nicwire *from)
{
	struct nicwire *to = nicwire_peer(from);

	to->lost += on_the_way(from);
	to->expected = from->sent;
}

/* Fill the window of each that has frames to send; true: something was sent. */
static bool fill_windows(const uint64_t until[2])
{
	bool any = false;

	for (unsigned i = 0; i < 2; i++)
		while (nicwire[i].sent < until[i] && on_the_way(&nicwire[i]) < NICWIRE_WINDOW &&
		       nicwire_send(&nicwire[i]))
			any = true;
	return any;
}

static bool done(const uint64_t until[2])
{
	for (unsigned i = 0; i < 2; i++)
		if (nicwire[i].sent < until[i] || on_the_way(&nicwire[i]))
			return false;
	return true;
}

void nicwire_move(uint64_t n0, uint64_t n1)
{
	const uint64_t until[2] = { nicwire[0].sent + n0, nicwire[1].sent + n1 };
	unsigned silences = 0;

	while (!done(until) && silences < SILENCES_MAX) {
		if (fill_windows(until)) {
			task_yield();
			silences = 0;
		} else if (!nicwire_wait(nicwire_lossy ? SILENCE_LOSSY_NS : SILENCE_NS)) {
			give_up(&nicwire[0]);
			give_up(&nicwire[1]);
			silences++;
		}
	}
}

void nicwire_count(void)
{
	epoch++;
	for (unsigned i = 0; i < 2; i++) {
		struct nicwire *e = &nicwire[i];

		e->expected = nicwire_peer(e)->sent;
		e->got = e->lost = e->bad = e->rearms = 0;
		e->interrupts = e->nic->count.interrupts;
	}
}

bool nicwire_whole(const char *what, const struct nicwire *e, uint64_t want)
{
	bool lost_ok = nicwire_lossy ? e->lost < want || !want : !e->lost;

	if (!e->bad && e->got + e->lost == want && lost_ok)
		return true;
	log_line("nics: %s: %s got %lu of %lu frames, %lu lost, %lu wrong (%u bytes)", what,
		 e->nic->name, e->got, want, e->lost, e->bad, e->bad_len);
	return false;
}

/* --- Taking the cards ------------------------------------------------------------------------- */

static bool counting_rearm(struct nic *nic)
{
	struct nicwire *e = &nicwire[nic == nicwire[1].nic];

	if (e->hold)
		return false;
	e->rearms++;
	return e->driver->rearm(nic);
}

static void take(struct nicwire *e, struct nic *nic)
{
	e->nic = nic;
	e->driver = nic->ops;
	e->counting = *nic->ops;
	e->counting.rearm = counting_rearm;
	e->receive = nic->receive;
	e->receive_to = nic->receive_to;
	nic->ops = &e->counting;
	nic->receive_to = e;
	nic->receive = on_frame;
}

void nicwire_start(struct nic *a, struct nic *b)
{
	for (unsigned i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i % PATTERN_PERIOD);
	nicwire_longest = FRAME_LEN_MIN + MIN(a->mtu, b->mtu);
	take(&nicwire[0], a);
	take(&nicwire[1], b);
}
