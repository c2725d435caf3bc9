/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_gbe_rx.c - frames out of one receive descriptor or several, and out of a ring
 * that a card fills; each test names its section of the 8254x manual.
 */
#include "tests/host/devtest.h"

#include "drivers/gbe_rx.h"

#define ORDINARY    FRAME_LEN_MAX
#define LONGEST     FRAME_JUMBO_MAX
#define CARD_MAX    16384u              /* what a card lets in with LPE */
#define ERROR_CE    BIT(0)
#define ERROR_TCPE  BIT(5)              /* says nothing of the frame itself */
#define ERROR_IPE   BIT(6)

static uint8_t slots[8][GBE_SLOT_SIZE];
static struct gbe_rx rx;

static enum gbe_rx_got take(unsigned slot, uint32_t len, bool last, uint64_t errors, uint32_t max)
{
	struct gbe_rx_desc d = {
		.len = (uint16_t)len, .errors = (uint8_t)errors,
		.status = (uint8_t)(RX_STATUS_DD | (last ? RX_STATUS_EOP : 0)),
	};

	return gbe_rx_take(&rx, &d, slots[slot % COUNT(slots)], max);
}

static void fresh(void)
{
	uint8_t *bytes = (uint8_t *)slots;

	memset(&rx, 0, sizeof(rx));
	for (unsigned i = 0; i < sizeof(slots); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
}

/* A whole frame of `len` bytes from slot 0 on, as a card writes it. */
static enum gbe_rx_got take_whole(uint32_t len, uint64_t errors, uint32_t max)
{
	unsigned slot = 0;

	for (; len > GBE_SLOT_SIZE; len -= GBE_SLOT_SIZE)
		assert_int_equal(take(slot++, GBE_SLOT_SIZE, false, 0, max), GBE_RX_PART);
	return take(slot, len, true, errors, max);
}

TEST(gbe_rx, one_descriptor)            /* "Receive Descriptor Format" */
{
	static const struct {
		uint32_t len, max; uint64_t errors; enum gbe_rx_got want;
	} cases[] = {
		{ 0,            ORDINARY, 0,                      GBE_RX_BAD },
		{ 13,           ORDINARY, 0,                      GBE_RX_BAD },
		{ 14,           ORDINARY, 0,                      GBE_RX_FRAME },
		{ ORDINARY,     ORDINARY, 0,                      GBE_RX_FRAME },
		{ ORDINARY + 1, ORDINARY, 0,                      GBE_RX_LONG },
		{ 2048,         LONGEST,  0,                      GBE_RX_FRAME },
		{ 2049,         LONGEST,  0,                      GBE_RX_BAD },  /* than its slot */
		{ 65535,        LONGEST,  0,                      GBE_RX_BAD },
		{ 60,           ORDINARY, ERROR_CE,               GBE_RX_BAD },
		{ 60,           ORDINARY, BIT(1),                 GBE_RX_BAD },
		{ 60,           ORDINARY, BIT(2),                 GBE_RX_BAD },
		{ 60,           ORDINARY, BIT(4),                 GBE_RX_BAD },
		{ 60,           ORDINARY, BIT(7),                 GBE_RX_BAD },
		{ 60,           ORDINARY, ERROR_TCPE | ERROR_IPE, GBE_RX_FRAME },
		{ ORDINARY + 1, ORDINARY, ERROR_CE,               GBE_RX_BAD },
	};

	fresh();
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(take(i, cases[i].len, true, cases[i].errors, cases[i].max),
				 cases[i].want);
		assert_int_equal(rx.held, 0);
		if (cases[i].want != GBE_RX_FRAME)
			continue;
		assert_int_equal(rx.frame.nparts, 1);
		assert_int_equal(rx.frame.len, cases[i].len);
		assert_ptr_equal(rx.frame.part[0].data, slots[i % COUNT(slots)]);
	}
}

TEST(gbe_rx, several_descriptors)       /* "Receive Data Storage", "Receive Descriptor Status" */
{
	static uint8_t bytes[LONGEST];

	fresh();
	for (uint32_t len = GBE_SLOT_SIZE; len <= LONGEST; len += 17) {
		assert_int_equal(take_whole(len, 0, LONGEST), GBE_RX_FRAME);
		assert_int_equal(rx.frame.len, len);
		frame_copy(bytes, &rx.frame);
		assert_memory_equal(bytes, slots, len);
		assert_int_equal(rx.held, 0);
	}
	assert_int_equal(take_whole(LONGEST, 0, LONGEST), GBE_RX_FRAME);
	assert_int_equal(rx.frame.nparts, 5);
}

TEST(gbe_rx, an_unfinished_frame_waits)
{
	fresh();
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(take(i, GBE_SLOT_SIZE, false, 0, LONGEST), GBE_RX_PART);
		assert_int_equal(rx.held, i + 1);
		assert_int_equal(gbe_rx_tail(&rx, i + 1, 496), 495);    /* the first is kept */
	}
	assert_int_equal(take(4, 826, true, 0, LONGEST), GBE_RX_FRAME);
	assert_int_equal(gbe_rx_tail(&rx, 5, 496), 4);
	assert_int_equal(gbe_rx_tail(&rx, 0, 496), 495);
}

/* The CRC of a frame that fills its slots may have come into one more, and been taken off. */
TEST(gbe_rx, an_empty_last_piece)       /* "Receive Control Register": SECRC */
{
	fresh();
	take(0, GBE_SLOT_SIZE, false, 0, LONGEST);
	assert_int_equal(take(1, 0, true, 0, LONGEST), GBE_RX_FRAME);
	assert_int_equal(rx.frame.len, GBE_SLOT_SIZE);
	assert_int_equal(rx.frame.nparts, 1);
}

TEST(gbe_rx, too_long_is_one_frame_dropped)     /* "Receive Control Register": LPE */
{
	fresh();
	for (uint32_t len = LONGEST + 1; len <= CARD_MAX; len += 501) {
		assert_int_equal(take_whole(len, 0, LONGEST), GBE_RX_LONG);
		assert_int_equal(take_whole(LONGEST, 0, LONGEST), GBE_RX_FRAME);
		assert_int_equal(take_whole(60, 0, LONGEST), GBE_RX_FRAME);
	}
	assert_int_equal(take_whole(LONGEST, 0, ORDINARY), GBE_RX_LONG);
	/* As soon as it is known, its slots go back. */
	for (unsigned i = 0; i < 7; i++) {
		take(i, GBE_SLOT_SIZE, false, 0, LONGEST);
		assert_int_equal(rx.held, i < 4 ? i + 1 : 0);
	}
}

TEST(gbe_rx, errors_are_of_the_whole_frame)     /* "Receive Descriptor Errors Field" */
{
	fresh();
	assert_int_equal(take_whole(LONGEST, ERROR_CE, LONGEST), GBE_RX_BAD);
	assert_int_equal(take_whole(LONGEST + 1, ERROR_CE, LONGEST), GBE_RX_BAD);
	/* "Valid only when the EOP and DD bits are set." */
	take(0, GBE_SLOT_SIZE, false, ERROR_CE, LONGEST);
	assert_int_equal(take(1, 100, true, 0, LONGEST), GBE_RX_FRAME);
	/* A piece that cannot be, and what follows it. */
	take(0, GBE_SLOT_SIZE + 1, false, 0, LONGEST);
	assert_int_equal(rx.held, 0);
	assert_int_equal(take(1, 100, true, 0, LONGEST), GBE_RX_BAD);
	assert_int_equal(take(2, 100, true, 0, LONGEST), GBE_RX_FRAME);
	assert_int_equal(rx.frame.len, 100);
}

/* A card that never ends a frame gets its ring back all the same. */
TEST(gbe_rx, crumbs_do_not_fill_the_ring)
{
	for (unsigned len = 0; len < 3; len++) {
		fresh();
		for (unsigned i = 0; i < 1000; i++) {
			assert_int_equal(take(i, len, false, 0, LONGEST), GBE_RX_PART);
			assert_in_range(rx.held, 0, FRAME_PARTS_MAX);
		}
		assert_int_equal(rx.held, 0);
		assert_in_range(rx.frame.nparts, 0, FRAME_PARTS_MAX);
		assert_int_equal(take(0, len, true, 0, LONGEST), GBE_RX_BAD);
		assert_int_equal(take_whole(60, 0, LONGEST), GBE_RX_FRAME);
	}
}

TEST(gbe_rx, the_limit_changes_inside_a_frame)
{
	fresh();
	take(0, GBE_SLOT_SIZE, false, 0, LONGEST);
	assert_int_equal(take(1, 100, true, 0, ORDINARY), GBE_RX_LONG);
	take(0, GBE_SLOT_SIZE, false, 0, ORDINARY);
	assert_int_equal(take(1, 100, true, 0, LONGEST), GBE_RX_LONG);
	assert_int_equal(take_whole(LONGEST, 0, LONGEST), GBE_RX_FRAME);
}

/* --- A ring ----------------------------------------------------------------------------------- */

#define RING        24u                 /* a few long frames */

static struct {
	struct gbe_rx_desc desc[RING];
	uint8_t            slot[RING][GBE_SLOT_SIZE];
	unsigned           head, tail, next;    /* RDH, RDT, the driver's */
	uint64_t           written, taken;      /* frames                 */
	uint32_t           left;                /* of the one that is being written */
	uint32_t           seed;
} ring;

static uint32_t below(uint32_t n)
{
	ring.seed = ring.seed * 1103515245 + 12345;
	return (ring.seed >> 8) % n;
}

static uint32_t len_of(uint64_t number)
{
	static const uint32_t len[] = { 60, LONGEST, 2048, 4096, 1518, 12000, 2049, 9018 };

	return len[number % COUNT(len)];
}

static uint8_t byte_of(uint64_t number, uint32_t at)
{
	return (uint8_t)(number * 31 + at / 251 + at);
}

/* The card fills up to `n` slots, never the one at RDT ("Receive Descriptor Queue Structure"). */
static void card_writes(unsigned n)
{
	for (; n > 0 && ring.head != ring.tail; n--, ring.head = (ring.head + 1) % RING) {
		uint32_t len = len_of(ring.written), at;

		if (ring.left == 0)
			ring.left = len;
		at = len - ring.left;
		len = MIN(ring.left, (uint32_t)GBE_SLOT_SIZE);
		for (uint32_t i = 0; i < len; i++)
			ring.slot[ring.head][i] = byte_of(ring.written, at + i);
		ring.left -= len;
		assert_int_equal(ring.desc[ring.head].status, 0);
		ring.desc[ring.head].len = (uint16_t)len;
		ring.desc[ring.head].status = (uint8_t)(RX_STATUS_DD |
							(ring.left ? 0 : RX_STATUS_EOP));
		ring.written += ring.left == 0;
	}
}

static void check_whole(const struct frame *f, uint64_t number)
{
	static uint8_t bytes[LONGEST];
	unsigned wrong = 0;

	assert_int_equal(f->len, len_of(number));
	frame_copy(bytes, f);
	for (uint32_t i = 0; i < f->len; i++)
		wrong += bytes[i] != byte_of(number, i);
	assert_int_equal(wrong, 0);
}

/* As drivers/gbe.c polls. */
static void driver_polls(unsigned n)
{
	for (; n > 0 && (ring.desc[ring.next].status & RX_STATUS_DD); n--) {
		struct gbe_rx_desc d = ring.desc[ring.next];
		enum gbe_rx_got got = gbe_rx_take(&rx, &d, ring.slot[ring.next], LONGEST);

		if (got == GBE_RX_FRAME)
			check_whole(&rx.frame, ring.taken);
		else if (got != GBE_RX_PART)
			assert_int_equal(got, len_of(ring.taken) > LONGEST ? GBE_RX_LONG
									   : GBE_RX_FRAME);
		ring.taken += got != GBE_RX_PART;
		ring.desc[ring.next].status = 0;
		ring.next = (ring.next + 1) % RING;
		if (below(4) == 0)
			ring.tail = gbe_rx_tail(&rx, ring.next, RING);
	}
	ring.tail = gbe_rx_tail(&rx, ring.next, RING);
}

TEST(gbe_rx, a_ring_goes_round)         /* "Receive Descriptor Queue Structure" */
{
	memset(&rx, 0, sizeof(rx));
	memset(&ring, 0, sizeof(ring));
	ring.tail = RING - 1;
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t before = ring.taken;

		card_writes(below(RING));
		driver_polls(below(RING));
		if (i % 8 == 0) {               /* it never stands still */
			card_writes(RING);
			driver_polls(RING);
			assert_true(ring.taken > before);
		}
	}
	assert_true(ring.taken > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(gbe_rx, one_descriptor),
		CASE(gbe_rx, several_descriptors),
		CASE(gbe_rx, an_unfinished_frame_waits),
		CASE(gbe_rx, an_empty_last_piece),
		CASE(gbe_rx, too_long_is_one_frame_dropped),
		CASE(gbe_rx, errors_are_of_the_whole_frame),
		CASE(gbe_rx, crumbs_do_not_fill_the_ring),
		CASE(gbe_rx, the_limit_changes_inside_a_frame),
		CASE(gbe_rx, a_ring_goes_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
