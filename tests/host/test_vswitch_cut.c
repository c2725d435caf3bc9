/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vswitch_cut.c - TCP segments that were left uncut for a card: whole to ports that
 * take them so, in finished packets to all others.
 */
#include "tests/host/tcp_frame.h"

#include "net/vswitch.h"

enum { UPLINK, HOST, GUEST, GUEST_TRUNK, NPORTS };
enum { VLAN = 10 };                     /* tf_put()'s, and of these ports */

struct sink {
	unsigned got;
	struct frame last;              /* its pieces are gone */
	uint8_t bytes[FRAME_BIG_MAX];
	struct tf_expect expect;        /* packets, if `whole` is set */
};

static struct vswitch *sw;
static struct sink sinks[NPORTS];

static bool take(void *to, const struct frame *f)
{
	struct sink *s = to;

	s->got++;
	s->last = *f;
	assert_true(f->len <= sizeof(s->bytes));
	frame_copy(s->bytes, f);
	if (s->expect.whole) {
		assert_int_equal(f->cut, 0);
		assert_int_equal(f->sum.from, 0);
		assert_true(f->sum.good);
		tf_check(&s->expect, s->bytes, f->len);
	}
	return true;
}

/* The host's port and a guest's in one VLAN; the card, and a guest, on trunks. */
static int setup(void **state)
{
	static const enum vport_kind kinds[NPORTS] = { VPORT_UPLINK, VPORT_HOST, VPORT_GUEST,
						       VPORT_GUEST };

	(void)state;
	sw = vswitch_create("test");
	assert_non_null(sw);
	memset(sinks, 0, sizeof(sinks));
	for (unsigned i = 0; i < NPORTS; i++) {
		unsigned port;

		assert_int_equal(vswitch_add_port(sw, kinds[i], "port", take, &sinks[i], &port),
				 OK);
		assert_int_equal(port, i);
		if (i == HOST || i == GUEST)
			vswitch_set_vlan(sw, i, VLAN);
		vswitch_gate(sw, i, true);
	}
	vswitch_takes(sw, HOST, (struct frame_takes){ true, UINT16_MAX });
	vswitch_takes(sw, UPLINK, (struct frame_takes){ true, UINT16_MAX });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vswitch_destroy(sw);
	return 0;
}

static void expect_packets(unsigned port, struct tcp_shape s, bool tagged, const uint8_t *bytes)
{
	s.tagged = tagged;
	sinks[port].expect = (struct tf_expect){ .shape = s, .whole = bytes };
}

/* Whole, as it was, but for a tag. */
static void check_whole(unsigned port, const struct tcp_shape *s, const uint8_t *bytes,
			uint32_t len)
{
	const struct sink *k = &sinks[port];

	assert_int_equal(k->got, 1);
	assert_int_equal(k->last.cut, s->cut);
	assert_int_equal(k->last.sum.from, tf_tcp(s));
	assert_int_equal(k->last.sum.at, tf_tcp(s) + 16);
	assert_int_equal(k->last.len, len);
	assert_memory_equal(k->bytes, bytes, len);
}

/* A broadcast, so that every port gets it. */
static void flood(unsigned from, const struct tcp_shape *s, const uint8_t *bytes, uint32_t len)
{
	struct frame f;

	tf_frame(&f, s, bytes, len, FRAME_PARTS_MAX);
	vswitch_input(sw, from, &f, 0);
	tf_free(&f);
}

static uint8_t plain[FRAME_BIG_MAX + 64], tagged[FRAME_BIG_MAX + 64];

/* As it is for a port of the VLAN, and for a trunk: the switch's own tags have priority 0. */
static void fill(struct tcp_shape s, unsigned priority)
{
	s.tagged = false;
	tf_put(plain, &s);
	s.tagged = true;
	tf_put(tagged, &s);
	memset(plain, 0xff, MAC_LEN);
	memset(tagged, 0xff, MAC_LEN);
	tf_put16(tagged + 14, priority << 13 | VLAN);
}

static const struct tcp_shape shapes[] = {
	{ .flags = TF_ACK | TF_PSH, .payload = 64240, .cut = 1460 },
	{ .flags = TF_ACK | TF_FIN, .payload = 2000, .cut = 1400, .ip_options = 40 },
	{ .flags = TF_ACK | TF_CWR, .payload = 30001, .cut = 1440, .v6 = true },
	{ .flags = TF_ACK, .payload = 65535 - 40 - 20, .cut = 536, .v6 = true },
};

static void segments_of_the_host_go_whole_to_the_card(void **state)
{
	(void)state;
	srand(1);
	for (unsigned i = 0; i < COUNT(shapes); i++) {
		struct tcp_shape s = shapes[i];
		uint32_t len = tf_header(&s) + s.payload;

		memset(sinks, 0, sizeof(sinks));
		fill(s, 0);
		vswitch_takes(sw, UPLINK, (struct frame_takes){ true, len + 4 });
		expect_packets(GUEST, s, false, plain);
		expect_packets(GUEST_TRUNK, s, true, tagged);
		flood(HOST, &s, plain, len);
		assert_int_equal(sinks[HOST].got, 0);
		assert_int_equal(sinks[GUEST].expect.done, s.payload);
		assert_int_equal(sinks[GUEST_TRUNK].expect.done, s.payload);
		s.tagged = true;
		check_whole(UPLINK, &s, tagged, len + 4);
	}
}

static void segments_of_the_card_go_whole_to_the_host(void **state)
{
	(void)state;
	srand(2);
	for (unsigned i = 0; i < COUNT(shapes); i++) {
		struct tcp_shape s = shapes[i];
		uint32_t len = tf_header(&s) + s.payload;

		memset(sinks, 0, sizeof(sinks));
		fill(s, 5);
		vswitch_takes(sw, HOST, (struct frame_takes){ true, len });
		expect_packets(GUEST, s, false, plain);
		expect_packets(GUEST_TRUNK, s, true, tagged);
		s.tagged = true;
		flood(UPLINK, &s, tagged, len + 4);
		assert_int_equal(sinks[GUEST].expect.done, s.payload);
		assert_int_equal(sinks[GUEST_TRUNK].expect.done, s.payload);
		s.tagged = false;
		check_whole(HOST, &s, plain, len);
	}
}

/* A port that takes segments uncut takes none that are longer than it said: with their new tag. */
static void segments_too_long_for_a_port_are_cut(void **state)
{
	struct tcp_shape s = shapes[0];
	uint32_t len = tf_header(&s) + s.payload;
	struct vport_info info;

	(void)state;
	fill(s, 0);
	vswitch_takes(sw, UPLINK, (struct frame_takes){ true, len + 3 });
	flood(HOST, &s, plain, len);
	assert_int_equal(sinks[UPLINK].got, 44);
	assert_int_equal(sinks[UPLINK].last.cut, 0);
	assert_int_equal(sinks[UPLINK].last.sum.from, 38);      /* but it makes checksums */
	assert_int_equal(sinks[UPLINK].last.sum.at, 54);
	assert_true(vswitch_port_info(sw, UPLINK, &info));
	assert_int_equal(info.count.out_frames, 44);
	assert_int_equal(info.count.out_bytes, s.payload + 44 * 58);
	assert_true(vswitch_port_info(sw, HOST, &info));
	assert_int_equal(info.count.in_frames, 1);
}

static void segments_that_are_none_are_dropped(void **state)
{
	struct tcp_shape s = { .flags = TF_ACK, .payload = 3000, .cut = 1460 };
	uint32_t len = tf_header(&s) + s.payload;
	struct vport_info info;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fill(s, 0);
		if (i == 0)
			plain[14] = 0x44;
		if (i == 1)
			plain[tf_tcp(&s) + 13] = TF_RST;
		s.cut = i == 2 ? 1 : 1460;
		if (i == 3)
			len--;
		flood(HOST, &s, plain, len);
	}
	for (unsigned i = 0; i < NPORTS; i++) {
		assert_int_equal(sinks[i].got, 0);
		assert_true(vswitch_port_info(sw, i, &info));
		assert_int_equal(info.count.dropped_bad, i == HOST ? 4 : 0);
		assert_int_equal(info.count.in_frames, 0);
	}
}

/* One that is too long once it has a tag: refused where it comes in, not where it goes out. */
static void segments_too_long_for_a_tag_are_dropped(void **state)
{
	struct tcp_shape s = { .v6 = true, .flags = TF_ACK, .cut = 1400,
			       .payload = FRAME_BIG_MAX - 14 - 40 - 20 };
	struct vport_info info;

	(void)state;
	fill(s, 0);
	flood(HOST, &s, plain, FRAME_BIG_MAX);
	assert_true(vswitch_port_info(sw, HOST, &info));
	assert_int_equal(info.count.dropped_bad, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* A sum of zero is written as ones: in UDP, zero says that there is no checksum. */
static void a_sum_of_zero_is_written_as_ones(void **state)
{
	uint8_t bytes[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x77, 1, 1, 8, 0 };
	struct frame f = frame_of(bytes, sizeof(bytes));

	(void)state;
	bytes[40] = bytes[41] = 0xff;
	f.sum = (struct frame_sum){ true, 34, 40 };
	vswitch_input(sw, UPLINK, &f, 0);
	assert_int_equal(sinks[GUEST_TRUNK].got, 1);
	assert_int_equal(sinks[GUEST_TRUNK].bytes[40] << 8 | sinks[GUEST_TRUNK].bytes[41], 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(segments_of_the_host_go_whole_to_the_card),
		CASE(segments_of_the_card_go_whole_to_the_host),
		CASE(segments_too_long_for_a_port_are_cut),
		CASE(segments_that_are_none_are_dropped),
		CASE(segments_too_long_for_a_tag_are_dropped),
		CASE(a_sum_of_zero_is_written_as_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
