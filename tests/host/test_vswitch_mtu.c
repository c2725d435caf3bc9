/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vswitch_mtu.c - ports that carry frames of different lengths: none gets a longer
 * one than it carries.
 *
 * Ports: the card and the host on a wire of an MTU of 9000, and two guests on 1500.
 */
#include "tests/host/tcp_frame.h"

#include "net/vswitch.h"

enum { UPLINK, HOST, GUEST_A, GUEST_B, NPORTS };
enum { VLAN = 10, NOBODY = 0 };         /* tf_put()'s */

#define TO(port)   BIT(port)
#define GUESTS     (TO(GUEST_A) | TO(GUEST_B))

static struct vswitch *sw;
static struct { unsigned got; uint32_t len; uint16_t cut; } sinks[NPORTS];

static bool take(void *to, const struct frame *f)
{
	unsigned i = (unsigned)(uintptr_t)to;

	sinks[i].got++;
	sinks[i].len = f->len;
	sinks[i].cut = f->cut;
	return true;
}

static int setup(void **state)
{
	static const enum vport_kind kinds[NPORTS] = { VPORT_UPLINK, VPORT_HOST, VPORT_GUEST,
						       VPORT_GUEST };

	(void)state;
	sw = vswitch_create("test");
	assert_non_null(sw);
	for (unsigned i = 0; i < NPORTS; i++) {
		unsigned port;

		assert_int_equal(vswitch_add_port(sw, kinds[i], "port", take, (void *)(uintptr_t)i,
						  &port), OK);
		assert_int_equal(port, i);
		vswitch_gate(sw, i, true);
	}
	vswitch_set_mtu(sw, UPLINK, 9000);
	vswitch_set_mtu(sw, HOST, 9000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vswitch_destroy(sw);
	return 0;
}

/* Send a broadcast from `port`; returns the mask of ports that got something. */
static unsigned send(unsigned port, const struct frame *f)
{
	unsigned mask = 0;

	memset(sinks, 0, sizeof(sinks));
	vswitch_input(sw, port, f, 0);
	for (unsigned i = 0; i < NPORTS; i++)
		mask |= sinks[i].got ? TO(i) : 0;
	return mask;
}

static unsigned send_bytes(unsigned port, uint16_t len, bool tagged)
{
	static uint8_t bytes[FRAME_JUMBO_MAX + 8];
	struct frame f = frame_of(bytes, len);

	memset(bytes, 0xff, MAC_LEN);
	bytes[MAC_LEN] = 2;
	bytes[2 * MAC_LEN - 1] = (uint8_t)port;
	tf_put16(bytes + 12, tagged ? 0x8100 : 0x0800);
	tf_put16(bytes + 14, VLAN);
	return send(port, &f);
}

static struct vport_counters counts(unsigned port)
{
	struct vport_info info;

	assert_true(vswitch_port_info(sw, port, &info));
	return info.count;
}

static void no_port_gets_more_than_it_carries(void **state)
{
	static const struct { uint16_t port, len; bool tagged; unsigned want; } cases[] = {
		{ UPLINK, 1514, false, TO(HOST) | GUESTS }, { UPLINK, 1515, false, TO(HOST) },
		{ UPLINK, 9014, false, TO(HOST) },          { UPLINK, 9015, false, NOBODY },
		{ UPLINK, 1518, true, TO(HOST) | GUESTS },  { UPLINK, 1519, true, TO(HOST) },
		{ UPLINK, 9018, true, TO(HOST) },           { UPLINK, 9019, true, NOBODY },
		{ HOST, 9014, false, TO(UPLINK) },          { GUEST_A, 1515, false, NOBODY },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		unsigned got = send_bytes(cases[i].port, cases[i].len, cases[i].tagged);

		if (got != cases[i].want)
			fail_msg("%u bytes from %u: ports %#x", cases[i].len, cases[i].port, got);
	}
	assert_int_equal(counts(UPLINK).dropped_bad, 2);
	assert_int_equal(counts(GUEST_A).dropped_bad, 1);
	assert_int_equal(counts(GUEST_B).dropped_full, 5);
	assert_int_equal(counts(GUEST_B).out_frames, 2);
}

/* What gets a tag on its way is longer then, and what loses it is shorter. */
static void a_tag_put_on_or_taken_off_counts(void **state)
{
	(void)state;
	vswitch_gate(sw, HOST, false);
	vswitch_set_vlan(sw, HOST, VLAN);
	vswitch_gate(sw, HOST, true);
	assert_int_equal(send_bytes(HOST, 1514, false), TO(UPLINK) | GUESTS);
	assert_int_equal(sinks[GUEST_A].len, 1518);
	assert_int_equal(send_bytes(HOST, 1515, false), TO(UPLINK));
	assert_int_equal(send_bytes(HOST, 9014, false), TO(UPLINK));
	assert_int_equal(sinks[UPLINK].len, 9018);
	assert_int_equal(send_bytes(UPLINK, 9018, true), TO(HOST));
	assert_int_equal(sinks[HOST].len, 9014);
}

/* Of a segment that is yet to be cut, what counts is how long its packets are. */
static void segments_go_where_their_packets_fit(void **state)
{
	static const struct { uint16_t cut, mtu; unsigned want, got; } cases[] = {
		{ 8960, 9000, TO(UPLINK), 1 },          { 8960, 8999, NOBODY, 0 },
		{ 1460, 9000, TO(UPLINK) | GUESTS, 1 }, { 1460, 1500, TO(UPLINK) | GUESTS, 1 },
		{ 1461, 9000, TO(UPLINK), 1 },
	};
	static uint8_t bytes[FRAME_BIG_MAX];

	(void)state;
	vswitch_takes(sw, UPLINK, (struct frame_takes){ true, UINT16_MAX });
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct tcp_shape s = { .flags = TF_ACK, .payload = 30000, .cut = cases[i].cut };
		struct frame f;

		tf_frame(&f, &s, bytes, tf_put(bytes, &s), 1);
		memset((uint8_t *)f.part[0].data, 0xff, MAC_LEN);
		vswitch_set_mtu(sw, UPLINK, cases[i].mtu);
		assert_int_equal(send(HOST, &f), cases[i].want);
		assert_int_equal(sinks[UPLINK].got, cases[i].got);
		assert_int_equal(sinks[UPLINK].cut, cases[i].got ? cases[i].cut : 0);
		assert_int_equal(sinks[GUEST_A].cut, 0);
		tf_free(&f);
	}
}

/* A card that takes none without: a long packet is finished here. */
static void a_long_packet_gets_its_checksum(void **state)
{
	struct tcp_shape s = { .flags = TF_ACK, .payload = 30000, .cut = 8960 };
	static uint8_t whole[FRAME_BIG_MAX];
	struct frame f;

	(void)state;
	tf_frame(&f, &s, whole, tf_put(whole, &s), 1);
	memset((uint8_t *)f.part[0].data, 0xff, MAC_LEN);
	assert_int_equal(send(HOST, &f), TO(UPLINK));
	assert_int_equal(sinks[UPLINK].got, 4);
	assert_int_equal(sinks[UPLINK].len, 54 + 30000 - 3 * 8960);
	tf_free(&f);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(no_port_gets_more_than_it_carries),
		CASE(a_tag_put_on_or_taken_off_counts),
		CASE(segments_go_where_their_packets_fit),
		CASE(a_long_packet_gets_its_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
