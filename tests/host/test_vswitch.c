/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vswitch.c - where the switch sends a frame, by tables of frames.
 *
 * Ports: 0 uplink, 1 host, 2..4 guests.  A step is one frame in; its mask says which ports must
 * get it.
 */
#include "tests/host/support.h"

#include "net/vswitch.h"

enum { UPLINK, HOST, GUEST_A, GUEST_B, GUEST_C, NPORTS };

#define TO(port)   BIT(port)
#define NOBODY     0

struct sink {
	unsigned got, len;
	bool full;
	struct frame_sum sum;
	uint8_t last[FRAME_LEN_MAX + 8];
};

static struct vswitch *sw;
static struct sink sinks[NPORTS];

static bool take(void *to, const struct frame *f)
{
	struct sink *s = to;

	if (s->full)
		return false;
	s->got++;
	s->len = f->len;
	s->sum = f->sum;
	frame_copy(s->last, f);
	return true;
}

static int setup(void **state)
{
	static const enum vport_kind kinds[NPORTS] = { VPORT_UPLINK, VPORT_HOST, VPORT_GUEST,
						       VPORT_GUEST, VPORT_GUEST };
	(void)state;
	sw = vswitch_create("test");
	assert_non_null(sw);
	memset(sinks, 0, sizeof(sinks));
	for (unsigned i = 0; i < NPORTS; i++) {
		unsigned port;

		assert_int_equal(vswitch_add_port(sw, kinds[i], "port", take, &sinks[i], &port),
		                 OK);
		assert_int_equal(port, i);
		vswitch_gate(sw, i, true);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vswitch_destroy(sw);
	return 0;
}

/* Send from `port`; returns the mask of ports that got a frame. */
static unsigned send_bytes(unsigned port, const uint8_t *bytes, uint16_t len, uint64_t now_ns)
{
	unsigned before[NPORTS], mask = 0;
	struct frame f = frame_of(bytes, len);

	for (unsigned i = 0; i < NPORTS; i++)
		before[i] = sinks[i].got;
	vswitch_input(sw, port, &f, now_ns);
	for (unsigned i = 0; i < NPORTS; i++)
		if (sinks[i].got != before[i])
			mask |= TO(i);
	return mask;
}

static void put_mac(uint8_t *p, uint64_t mac)
{
	for (unsigned i = 0; i < MAC_LEN; i++)
		p[i] = (uint8_t)(mac >> (8 * (5 - i)));
}

/* A frame of `len` bytes; vlan 0: untagged. */
static uint16_t build(uint8_t *out, uint64_t dst, uint64_t src, uint16_t vlan, uint16_t len)
{
	memset(out, 0x5a, len);
	put_mac(out, dst);
	put_mac(out + MAC_LEN, src);
	out[12] = vlan ? 0x81 : 0x08;
	out[13] = 0;
	if (vlan) {
		out[14] = (uint8_t)(0xe0 | vlan >> 8);  /* priority 7: not part of the key */
		out[15] = (uint8_t)vlan;
	}
	return len;
}

static unsigned send_mac(unsigned port, uint64_t dst, uint64_t src, uint16_t vlan, uint64_t now_ns)
{
	uint8_t bytes[64];

	return send_bytes(port, bytes, build(bytes, dst, src, vlan, sizeof(bytes)), now_ns);
}

#define MAC_A   0x525400770101ull
#define MAC_B   0x525400770102ull
#define MAC_X   0x001122334455ull          /* outside, behind the uplink */
#define MAC_H   0x52540000000aull          /* the host's own             */
#define BCAST   0xffffffffffffull
#define MCAST   0x01005e000001ull
#define STP     0x0180c2000000ull

struct step {
	const char *why;
	unsigned    port;
	uint64_t    dst, src;
	uint16_t    vlan;
	uint64_t    at_s;
	unsigned    want;              /* mask of ports */
};

static void walk(const struct step *steps, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct step *t = &steps[i];
		unsigned got = send_mac(t->port, t->dst, t->src, t->vlan, t->at_s * NS_PER_S);

		if (got != t->want)
			fail_msg("step %u, %s: ports %#x got it, not %#x", i, t->why, got, t->want);
	}
}

#define ALL_BUT(port) (BIT(NPORTS) - 1 - TO(port))

static void vswitch_learns_and_forwards(void **state)
{
	static const struct step steps[] = {
		{ "unknown is flooded, not reflected", GUEST_A, MAC_B, MAC_A, 0, 1,
		  ALL_BUT(GUEST_A) },
		{ "answer goes to the learned port",   GUEST_B, MAC_A, MAC_B, 0, 1, TO(GUEST_A) },
		{ "and so does the next one",          GUEST_A, MAC_B, MAC_A, 0, 1, TO(GUEST_B) },
		{ "broadcast is flooded",              UPLINK,  BCAST, MAC_X, 0, 1,
		  ALL_BUT(UPLINK) },
		{ "multicast is flooded",              GUEST_A, MCAST, MAC_A, 0, 1,
		  ALL_BUT(GUEST_A) },
		{ "to the port it came from: nobody",  GUEST_A, MAC_A, 0x5254007701ffull, 0, 1,
		  NOBODY },
		{ "an address that moved is followed", GUEST_C, BCAST, MAC_A, 0, 2,
		  ALL_BUT(GUEST_C) },
		{ "to its new port",                   GUEST_B, MAC_A, MAC_B, 0, 2, TO(GUEST_C) },
	};
	(void)state;
	walk(steps, COUNT(steps));
}

static void vswitch_ages_addresses(void **state)
{
	static const struct step steps[] = {
		{ "learn A",                           GUEST_A, BCAST, MAC_A, 0, 10,
		  ALL_BUT(GUEST_A) },
		{ "just before its time",              GUEST_B, MAC_A, MAC_B, 0, 309, TO(GUEST_A) },
		{ "exactly at its end: unknown again", GUEST_B, MAC_A, MAC_B, 0, 310,
		  ALL_BUT(GUEST_B) },
		{ "B was seen again at 310",           GUEST_A, MAC_B, MAC_A, 0, 609, TO(GUEST_B) },
		{ "a caller whose time is behind",     GUEST_B, MAC_A, MAC_B, 0, 608, TO(GUEST_A) },
	};
	(void)state;
	walk(steps, COUNT(steps));
}

static void vswitch_learns_by_vlan(void **state)     /* IEEE 802.1Q, independent VLAN learning */
{
	static const struct step steps[] = {
		{ "A in VLAN 5 at port A",             GUEST_A, BCAST, MAC_A, 5, 1,
		  ALL_BUT(GUEST_A) },
		{ "A in VLAN 6 at port C",             GUEST_C, BCAST, MAC_A, 6, 1,
		  ALL_BUT(GUEST_C) },
		{ "VLAN 5 goes to A",                  GUEST_B, MAC_A, MAC_B, 5, 1, TO(GUEST_A) },
		{ "VLAN 6 goes to C",                  GUEST_B, MAC_A, MAC_B, 6, 1, TO(GUEST_C) },
		{ "untagged knows it not",             GUEST_B, MAC_A, MAC_B, 0, 1,
		  ALL_BUT(GUEST_B) },
	};
	(void)state;
	walk(steps, COUNT(steps));
	send_mac(GUEST_B, MAC_A, MAC_B, 6, NS_PER_S);
	assert_int_equal(sinks[GUEST_C].last[14], 0xe0);     /* the tag went through untouched */
	assert_int_equal(sinks[GUEST_C].last[15], 6);
}

/* Ports of one VLAN: the host and B in 10, C in none; the uplink and A are trunks. */
static void split(void)
{
	static const struct { unsigned port; uint16_t vlan; } of[] = {
		{ HOST, 10 }, { GUEST_B, 10 }, { GUEST_C, VLAN_UNTAGGED },
	};
	for (unsigned i = 0; i < COUNT(of); i++) {
		vswitch_gate(sw, of[i].port, false);
		vswitch_set_vlan(sw, of[i].port, of[i].vlan);
		vswitch_gate(sw, of[i].port, true);
	}
}

static void vswitch_keeps_vlans_apart(void **state)  /* IEEE 802.1Q, ingress and egress filtering */
{
	static const struct step steps[] = {
		{ "VLAN 10: its ports, and trunks",    UPLINK,  BCAST, MAC_X, 10, 1,
		  TO(HOST) | TO(GUEST_A) | TO(GUEST_B) },
		{ "VLAN 11: trunks alone",             UPLINK,  BCAST, MAC_X, 11, 1, TO(GUEST_A) },
		{ "untagged: not those of VLAN 10",    UPLINK,  BCAST, MAC_X, 0, 1,
		  TO(GUEST_A) | TO(GUEST_C) },
		{ "from a port of VLAN 10",            GUEST_B, BCAST, MAC_B, 0, 1,
		  TO(HOST) | TO(GUEST_A) | TO(UPLINK) },
		{ "B is known in VLAN 10",             HOST,    MAC_B, MAC_H, 0, 1, TO(GUEST_B) },
		{ "from outside, too",                 UPLINK,  MAC_B, MAC_X, 10, 1, TO(GUEST_B) },
		{ "but not elsewhere",                 UPLINK,  MAC_B, MAC_X, 0, 1,
		  TO(GUEST_A) | TO(GUEST_C) },
		{ "X is known in VLAN 10 behind the uplink", GUEST_B, MAC_X, MAC_B, 0, 1,
		  TO(UPLINK) },
		{ "a tag at a port of one VLAN",       GUEST_B, BCAST, MAC_B, 11, 1, NOBODY },
		{ "its own VLAN's as well",            GUEST_B, BCAST, MAC_B, 10, 1, NOBODY },
		{ "and where there is none",           GUEST_C, BCAST, MAC_B, 10, 1, NOBODY },
		{ "the host's address in its VLAN",    GUEST_A, BCAST, MAC_H, 10, 1, NOBODY },
	};
	struct vport_info info;

	(void)state;
	split();
	walk(steps, COUNT(steps));
	assert_true(vswitch_port_info(sw, GUEST_B, &info));
	assert_int_equal(info.count.dropped_bad, 2);
	assert_int_equal(info.vlan, 10);
	assert_true(vswitch_port_info(sw, UPLINK, &info));
	assert_int_equal(info.vlan, VLAN_TRUNK);
}

/* What port `to` has got: a frame of build()'s, whole, with the tag `tag` or (0) none. */
static void check_bytes(unsigned to, uint16_t tag, uint16_t payload_at, uint16_t len)
{
	const struct sink *s = &sinks[to];
	unsigned head = tag ? 18 : 14;
	uint8_t want[FRAME_LEN_MAX];

	build(want, BCAST, MAC_A, 0, sizeof(want));
	assert_memory_equal(s->last, want, 12);
	if (tag) {
		assert_int_equal(s->last[12] << 8 | s->last[13], 0x8100);
		assert_int_equal(s->last[14] << 8 | s->last[15], tag);
	}
	assert_int_equal(s->len, head + len - payload_at);
	for (unsigned i = head; i < s->len; i++)
		assert_int_equal(s->last[i], 0x5a);
}

static void vswitch_puts_tags_on_and_takes_them_off(void **state)
{
	uint8_t bytes[FRAME_LEN_MAX];
	uint16_t len = 1514;

	(void)state;
	split();
	build(bytes, BCAST, MAC_A, 0, len);
	bytes[12] = bytes[13] = 0x5a;
	send_bytes(GUEST_B, bytes, len, 0);
	assert_int_equal(sinks[UPLINK].len, 1518);
	assert_int_equal(sinks[UPLINK].last[16] << 8 | sinks[UPLINK].last[17], 0x5a5a);
	check_bytes(UPLINK, 10, 14, len);
	check_bytes(GUEST_A, 10, 14, len);
	assert_memory_equal(sinks[HOST].last, bytes, len);      /* the same VLAN: as it was */
	assert_int_equal(sinks[HOST].len, len);

	for (unsigned n = 18; n <= FRAME_LEN_MAX; n += 500) {
		build(bytes, BCAST, MAC_A, 10, sizeof(bytes));
		send_bytes(UPLINK, bytes, (uint16_t)n, 0);
		assert_int_equal(sinks[GUEST_B].len, n - 4);
		check_bytes(GUEST_B, 0, 18, (uint16_t)n);
		assert_memory_equal(sinks[GUEST_A].last, bytes, n);     /* trunk to trunk */
	}

	/* A tag for a priority alone (VLAN 0): kept towards a trunk, with the port's VLAN. */
	build(bytes, BCAST, MAC_A, 10, sizeof(bytes));
	bytes[15] = 0;
	assert_int_equal(send_bytes(GUEST_B, bytes, 100, 0), TO(UPLINK) | TO(HOST) | TO(GUEST_A));
	check_bytes(UPLINK, 0xe00a, 18, 100);
	check_bytes(HOST, 0, 18, 100);
	assert_int_equal(send_bytes(UPLINK, bytes, 100, 0), TO(GUEST_A) | TO(GUEST_C));
	assert_memory_equal(sinks[GUEST_A].last, bytes, 100);
	check_bytes(GUEST_C, 0, 18, 100);
}

static void vswitch_retags_a_frame_in_many_pieces(void **state)
{
	uint8_t bytes[FRAME_PARTS_MAX];
	struct frame f = { .len = sizeof(bytes), .nparts = FRAME_PARTS_MAX };

	(void)state;
	split();
	build(bytes, BCAST, MAC_A, 0, sizeof(bytes));
	for (unsigned i = 0; i < FRAME_PARTS_MAX; i++)
		f.part[i] = (struct frame_part){ bytes + i, 1 };
	vswitch_input(sw, GUEST_B, &f, 0);
	assert_int_equal(sinks[UPLINK].len, sizeof(bytes) + 4);
	assert_int_equal(sinks[UPLINK].last[15], 10);
	assert_memory_equal(sinks[UPLINK].last + 16, bytes + 12, sizeof(bytes) - 12);
}

/* --- Checksums that are missing -------------------------------------------------------------- */

/* RFC 1071, section 1, word by word. */
static uint16_t sum_of(const uint8_t *p, unsigned len)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Whole: with the pseudo header, whose sum this is, everything sums up to ones. */
static void check_filled(unsigned port, unsigned from, uint16_t pseudo)
{
	assert_int_equal(sinks[port].sum.from, 0);
	assert_true(sinks[port].sum.good);
	assert_int_equal(sum_of(sinks[port].last + from, sinks[port].len - from) + pseudo, 0xffff);
}

static void vswitch_fills_in_a_missing_checksum(void **state)
{
	uint8_t bytes[FRAME_LEN_MAX];

	(void)state;
	vswitch_takes(sw, HOST, (struct frame_takes){ .no_sums = true });
	for (uint16_t len = 53; len <= 1514; len += 487) {
		struct frame f = { .len = len, .nparts = 2, .sum = { true, 34, 50 } };

		f.part[0] = (struct frame_part){ bytes, 33 };
		f.part[1] = (struct frame_part){ bytes + 33, (uint16_t)(len - 33) };
		build(bytes, BCAST, MAC_A, 0, len);
		for (unsigned i = 34; i < len; i++)
			bytes[i] = (uint8_t)(i * 7 + len);
		bytes[50] = 0x12;       /* the sum of a pseudo header */
		bytes[51] = 0x34;
		vswitch_input(sw, GUEST_A, &f, 0);
		check_filled(GUEST_B, 34, 0x1234);
		check_filled(UPLINK, 34, 0x1234);
		assert_memory_equal(sinks[GUEST_B].last, bytes, 50);
		assert_memory_equal(sinks[GUEST_B].last + 52, bytes + 52, len - 52u);
		assert_memory_equal(sinks[HOST].last, bytes, len);      /* as it takes it */
		assert_int_equal(sinks[HOST].sum.from, 34);
		assert_int_equal(sinks[HOST].sum.at, 50);
	}
}

static void vswitch_moves_a_missing_checksum_with_the_tag(void **state)
{
	uint8_t bytes[100];
	struct frame f = frame_of(bytes, sizeof(bytes));

	(void)state;
	split();
	vswitch_takes(sw, UPLINK, (struct frame_takes){ .no_sums = true });
	vswitch_takes(sw, HOST, (struct frame_takes){ .no_sums = true });
	f.sum = (struct frame_sum){ true, 34, 50 };
	build(bytes, BCAST, MAC_A, 0, sizeof(bytes));
	vswitch_input(sw, GUEST_B, &f, 0);
	assert_int_equal(sinks[UPLINK].sum.from, 38);
	assert_int_equal(sinks[UPLINK].sum.at, 54);
	assert_memory_equal(sinks[UPLINK].last + 16, bytes + 12, sizeof(bytes) - 12);
	check_filled(GUEST_A, 38, 0x5a5a);

	f.sum = (struct frame_sum){ true, 38, 54 };
	build(bytes, BCAST, MAC_X, 10, sizeof(bytes));
	vswitch_input(sw, UPLINK, &f, 0);
	assert_int_equal(sinks[HOST].sum.from, 34);
	assert_int_equal(sinks[HOST].sum.at, 50);
	check_filled(GUEST_B, 34, 0x5a5a);
	check_filled(GUEST_A, 38, 0x5a5a);
}

static void vswitch_refuses_bad_sources(void **state)
{
	static const struct step steps[] = {
		{ "group address as source",           GUEST_A, BCAST, MCAST, 0, 1, NOBODY },
		{ "broadcast as source",               GUEST_A, MAC_B, BCAST, 0, 1, NOBODY },
		{ "no source",                         GUEST_A, BCAST, 0, 0, 1, NOBODY },
		{ "bridge protocol data unit",         GUEST_A, STP, MAC_A, 0, 1, NOBODY },
		{ "last reserved address",             GUEST_A, STP + 15, MAC_A, 0, 1, NOBODY },
		{ "just after the reserved ones",      GUEST_A, STP + 16, MAC_A, 0, 1,
		  ALL_BUT(GUEST_A) },
	};
	struct vport_info info;

	(void)state;
	walk(steps, COUNT(steps));
	assert_true(vswitch_port_info(sw, GUEST_A, &info));
	assert_int_equal(info.count.dropped_bad, 5);
	assert_int_equal(info.count.in_frames, 1);
}

static void vswitch_takes_no_forged_sources(void **state)
{
	static const uint8_t mac_a[MAC_LEN] = { 0x52, 0x54, 0x00, 0x77, 0x01, 0x01 };
	static const uint8_t mac_b[MAC_LEN] = { 0x52, 0x54, 0x00, 0x77, 0x01, 0x02 };
	static const struct step steps[] = {
		{ "its address",                       GUEST_A, BCAST, MAC_A, 0, 1,
		  ALL_BUT(GUEST_A) },
		{ "its other card's, as in a bond",    GUEST_A, BCAST, MAC_B, 0, 1,
		  ALL_BUT(GUEST_A) },
		{ "somebody else's",                   GUEST_A, BCAST, MAC_X, 0, 1, NOBODY },
		{ "one bit off",                       GUEST_A, BCAST, MAC_A ^ 2, 0, 1, NOBODY },
		{ "the same behind a tag",             GUEST_A, BCAST, MAC_X, 7, 1, NOBODY },
		{ "nothing was learned from it",       GUEST_B, MAC_X, MAC_H, 0, 1,
		  ALL_BUT(GUEST_B) },
		{ "a port of which nothing was said",  GUEST_B, BCAST, MAC_X, 0, 1,
		  ALL_BUT(GUEST_B) },
	};
	struct vport_info info;

	(void)state;
	vswitch_allow_source(sw, GUEST_A, mac_a);
	vswitch_allow_source(sw, GUEST_A, mac_b);
	walk(steps, COUNT(steps));
	assert_true(vswitch_port_info(sw, GUEST_A, &info));
	assert_int_equal(info.count.dropped_forged, 3);
	assert_int_equal(info.count.dropped_bad, 0);
	assert_int_equal(info.count.in_frames, 2);
}

static void vswitch_keeps_the_hosts_addresses(void **state)
{
	static const struct step steps[] = {
		{ "the host speaks",                   HOST,    BCAST, MAC_H, 0, 1, ALL_BUT(HOST) },
		{ "a guest claims its address",        GUEST_A, BCAST, MAC_H, 0, 2, NOBODY },
		{ "so does somebody outside",          UPLINK,  BCAST, MAC_H, 0, 2, NOBODY },
		{ "it is still the host's, unaged",    UPLINK,  MAC_H, MAC_X, 0, 9999, TO(HOST) },
	};
	(void)state;
	walk(steps, COUNT(steps));
}

static void vswitch_closed_port_is_silent(void **state)
{
	struct vport_info info;

	(void)state;
	send_mac(GUEST_A, BCAST, MAC_A, 0, 0);
	assert_int_equal(send_mac(GUEST_B, MAC_A, MAC_B, 0, 0), TO(GUEST_A));
	vswitch_gate(sw, GUEST_A, false);
	assert_int_equal(send_mac(GUEST_A, BCAST, MAC_A, 0, 0), NOBODY);
	/* Its address is forgotten at once: the frame is flooded, past the closed port. */
	assert_int_equal(send_mac(GUEST_B, MAC_A, MAC_B, 0, 0), ALL_BUT(GUEST_B) & ~TO(GUEST_A));
	assert_true(vswitch_port_info(sw, GUEST_A, &info));
	assert_int_equal(info.count.dropped_closed, 1);
	assert_false(info.open);
	vswitch_gate(sw, GUEST_A, true);
	assert_int_equal(send_mac(GUEST_A, MAC_B, MAC_A, 0, 0), TO(GUEST_B));
}

static void vswitch_counts_what_a_full_port_drops(void **state)
{
	struct vport_info info;

	(void)state;
	sinks[GUEST_A].full = true;
	assert_int_equal(send_mac(GUEST_B, BCAST, MAC_B, 0, 0), ALL_BUT(GUEST_B) & ~TO(GUEST_A));
	assert_true(vswitch_port_info(sw, GUEST_A, &info));
	assert_int_equal(info.count.dropped_full, 1);
	assert_int_equal(info.count.out_frames, 0);
}

static void vswitch_checks_lengths(void **state)
{
	static const struct { uint16_t len, vlan; unsigned want; } cases[] = {
		{ 13, 0, NOBODY }, { 14, 0, ALL_BUT(GUEST_A) }, { 1514, 0, ALL_BUT(GUEST_A) },
		{ 1515, 0, NOBODY }, { 17, 5, NOBODY }, { 18, 5, ALL_BUT(GUEST_A) },
		{ 1518, 5, ALL_BUT(GUEST_A) }, { 1519, 5, NOBODY },
	};
	uint8_t bytes[FRAME_LEN_MAX + 8];

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		build(bytes, BCAST, MAC_A, cases[i].vlan, sizeof(bytes));
		unsigned got = send_bytes(GUEST_A, bytes, cases[i].len, 0);

		if (got != cases[i].want)
			fail_msg("%u bytes, VLAN %u: ports %#x", cases[i].len, cases[i].vlan, got);
	}
}

static void vswitch_reads_a_header_cut_into_pieces(void **state)
{
	uint8_t bytes[64];
	struct frame f = { .len = 64, .nparts = 4,
			   .part = { { bytes, 3 }, { bytes + 3, 0 }, { bytes + 3, 12 },
			             { bytes + 15, 49 } } };

	(void)state;
	send_mac(GUEST_A, BCAST, MAC_A, 7, 0);
	build(bytes, MAC_A, MAC_B, 7, sizeof(bytes));
	vswitch_input(sw, GUEST_B, &f, 0);
	assert_int_equal(sinks[GUEST_A].got, 1);
	assert_int_equal(sinks[GUEST_C].got, 1);             /* only the broadcast */
	assert_memory_equal(sinks[GUEST_A].last, bytes, sizeof(bytes));
}

static void vswitch_survives_a_flood_of_addresses(void **state)
{
	struct vswitch_mac macs[VSWITCH_MACS_MAX + 1];

	(void)state;
	send_mac(HOST, BCAST, MAC_H, 0, 0);
	for (uint64_t i = 0; i < 20 * VSWITCH_MACS_MAX; i++)
		send_mac(GUEST_A, BCAST, 0x020000000000ull + i, 0, i + 1);
	const uint64_t end_ns = 20 * VSWITCH_MACS_MAX;
	unsigned n = vswitch_macs(sw, macs, COUNT(macs), end_ns);

	assert_in_range(n, VSWITCH_MACS_MAX / 2, VSWITCH_MACS_MAX);
	assert_int_equal(send_mac(GUEST_B, MAC_H, MAC_B, 0, end_ns), TO(HOST));
	/* The newest address is among those that were kept. */
	assert_int_equal(send_mac(GUEST_B, 0x020000000000ull + end_ns - 1, MAC_B, 0, end_ns),
	                 TO(GUEST_A));
}

static void vswitch_knows_one_address_in_many_vlans(void **state)
{
	struct vswitch_mac macs[64];

	(void)state;
	for (uint16_t vlan = 1; vlan <= COUNT(macs); vlan++)
		send_mac(GUEST_A, BCAST, MAC_A, vlan, 0);
	assert_in_range(vswitch_macs(sw, macs, COUNT(macs), 0), COUNT(macs) * 3 / 4, COUNT(macs));
}

static void vswitch_lists_what_it_learned(void **state)
{
	struct vswitch_mac m[4];
	uint8_t want[MAC_LEN];

	(void)state;
	send_mac(GUEST_A, BCAST, MAC_A, 9, 5 * NS_PER_S);
	assert_int_equal(vswitch_macs(sw, m, COUNT(m), 7 * NS_PER_S), 1);
	put_mac(want, MAC_A);
	assert_memory_equal(m[0].mac, want, MAC_LEN);
	assert_int_equal(m[0].vlan, 9);
	assert_int_equal(m[0].port, GUEST_A);
	assert_int_equal(m[0].age_ns, 2 * NS_PER_S);
}

static void vswitch_ports_run_out_and_come_back(void **state)
{
	unsigned port;

	(void)state;
	for (unsigned i = NPORTS; i < VSWITCH_PORTS_MAX; i++)
		assert_int_equal(vswitch_add_port(sw, VPORT_GUEST, "g", take, &sinks[0], &port),
		                 OK);
	assert_int_equal(vswitch_add_port(sw, VPORT_GUEST, "g", take, &sinks[0], &port),
	                 ERR_NO_MEMORY);
	vswitch_remove_port(sw, 9);
	assert_false(vswitch_port_info(sw, 9, &(struct vport_info){ 0 }));
	assert_int_equal(vswitch_add_port(sw, VPORT_GUEST, "g", take, &sinks[0], &port), OK);
	assert_int_equal(port, 9);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(vswitch_learns_and_forwards),
		CASE(vswitch_ages_addresses),
		CASE(vswitch_learns_by_vlan),
		CASE(vswitch_keeps_vlans_apart),
		CASE(vswitch_puts_tags_on_and_takes_them_off),
		CASE(vswitch_retags_a_frame_in_many_pieces),
		CASE(vswitch_fills_in_a_missing_checksum),
		CASE(vswitch_moves_a_missing_checksum_with_the_tag),
		CASE(vswitch_refuses_bad_sources),
		CASE(vswitch_takes_no_forged_sources),
		CASE(vswitch_keeps_the_hosts_addresses),
		CASE(vswitch_closed_port_is_silent),
		CASE(vswitch_counts_what_a_full_port_drops),
		CASE(vswitch_checks_lengths),
		CASE(vswitch_reads_a_header_cut_into_pieces),
		CASE(vswitch_survives_a_flood_of_addresses),
		CASE(vswitch_knows_one_address_in_many_vlans),
		CASE(vswitch_lists_what_it_learned),
		CASE(vswitch_ports_run_out_and_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
