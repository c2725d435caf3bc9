/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_segment.c - TCP segments of all shapes are cut into the right packets, and what
 * is none is refused.
 */
#include "tests/host/tcp_frame.h"

#include "net/segment.h"

#define MSS        1460
#define LENGTH_MAX 65535u               /* of IPv4 */

static uint8_t whole[FRAME_BIG_MAX + 64];

/* --- Good ones -------------------------------------------------------------------------------- */

/* What a card does with the packet's checksum. */
static uint32_t finish(uint8_t *out, const struct frame *f)
{
	frame_copy(out, f);
	tf_put16(out + f->sum.at,
		 (uint16_t)~tf_sum(0, out + f->sum.from, f->len - f->sum.from));
	return f->len;
}

static void check_cut(const struct tcp_shape *s, unsigned pieces)
{
	uint32_t len = tf_put(whole, s);
	struct tf_expect e = { .shape = *s, .whole = whole };
	uint8_t bytes[FRAME_LEN_MAX];
	const struct frame *packet;
	struct segment cut;
	struct frame f;

	tf_frame(&f, s, whole, len, pieces);
	assert_true(segment_begin(&cut, &f, FRAME_LEN_MAX));
	while ((packet = segment_next(&cut))) {
		assert_in_range(packet->len, 1, FRAME_LEN_MAX - (s->tagged ? 0 : 4));
		assert_in_range(packet->nparts, 1, FRAME_PARTS_MAX + 1);
		for (unsigned i = 0; i < packet->nparts; i++)
			assert_true(packet->part[i].len > 0);
		assert_int_equal(packet->cut, 0);
		assert_true(packet->sum.good);
		assert_int_equal(packet->sum.from, tf_tcp(s));
		assert_int_equal(packet->sum.at, tf_tcp(s) + 16);
		tf_check(&e, bytes, finish(bytes, packet));
	}
	assert_int_equal(e.done, s->payload);
	assert_int_equal(e.number, (s->payload + s->cut - 1) / s->cut);
	assert_null(segment_next(&cut));
	tf_free(&f);
}

/* The longest payload that an IP packet of this shape can have. */
static uint32_t payload_max(const struct tcp_shape *s)
{
	return LENGTH_MAX - (tf_header(s) - tf_ip(s));
}

static void check_lengths(struct tcp_shape s)
{
	uint32_t max = payload_max(&s);
	const uint32_t payload[] = { 1, s.cut - 1u, s.cut, s.cut + 1u, 2u * s.cut - 1, 2u * s.cut,
				     2u * s.cut + 1, 3u * s.cut, max - 1, max };

	for (unsigned i = 0; i < COUNT(payload); i++) {
		s.payload = payload[i];
		check_cut(&s, 2);
		check_cut(&s, FRAME_PARTS_MAX);
	}
	for (unsigned i = 0; i < 8; i++) {
		s.payload = s.cut + 1 + (uint32_t)rand() % (max - s.cut);
		check_cut(&s, 2 + (unsigned)rand() % (FRAME_PARTS_MAX - 1));
	}
}

/* Every combination of headers: IPv4 with and without options, IPv6; with and without a tag. */
static void segments_of_all_shapes_are_cut(void **state)
{
	static const struct { bool v6; unsigned ip_options; } ip[] = {
		{ false, 0 }, { false, 4 }, { false, 40 }, { true, 0 }
	};
	static const unsigned tcp_options[] = { 0, 12, 40 };

	(void)state;
	srand(1);
	for (unsigned i = 0; i < COUNT(ip) * COUNT(tcp_options) * 2; i++) {
		struct tcp_shape s = { .tagged = i % 2,
				       .v6 = ip[i / 2 % COUNT(ip)].v6,
				       .ip_options = ip[i / 2 % COUNT(ip)].ip_options,
				       .tcp_options = tcp_options[i / 2 / COUNT(ip)],
				       .flags = TF_ACK | TF_PSH };

		s.cut = (uint16_t)(FRAME_LEN_MAX - tf_header(&s) - (s.tagged ? 0 : 4));
		check_lengths(s);
		s.cut = 536;
		s.flags = TF_ACK | TF_FIN | TF_CWR;
		check_lengths(s);
	}
}

static void segments_flags_are_for_the_first_or_the_last(void **state)
{
	struct tcp_shape s = { .payload = 5000, .cut = MSS };

	(void)state;
	for (unsigned flags = 0; flags <= UINT8_MAX; flags++) {
		if (flags & (TF_SYN | TF_RST))
			continue;
		s.flags = (uint8_t)flags;
		check_cut(&s, 3);
	}
}

/* As many pieces as possible, for one packet; the switch's own, for a tag, comes on top. */
static void segments_of_tiny_pieces_are_cut(void **state)
{
	struct tcp_shape s = { .payload = FRAME_PARTS_MAX + 1, .cut = SEGMENT_PAYLOAD_MIN };
	struct tf_expect e = { .shape = s, .whole = whole };
	uint8_t bytes[FRAME_LEN_MAX];
	struct segment cut;
	struct frame f;
	uint16_t at;

	(void)state;
	tf_put(whole, &s);
	frame_clear(&f);
	frame_add(&f, whole, 12);
	at = (uint16_t)(tf_header(&s) + 1);
	frame_add(&f, whole + 12, (uint16_t)(at - 12));
	for (; f.nparts <= FRAME_PARTS_MAX; at++)
		frame_add(&f, whole + at, 1);
	f.part[f.nparts - 1].len++;
	f.len++;
	f.cut = s.cut;
	f.sum = (struct frame_sum){ true, 34, 50 };
	assert_int_equal(f.len, tf_header(&s) + s.payload);
	assert_true(segment_begin(&cut, &f, FRAME_LEN_MAX));
	const struct frame *packet = segment_next(&cut);

	assert_int_equal(packet->nparts, FRAME_PARTS_MAX + 1);
	tf_check(&e, bytes, finish(bytes, packet));
	assert_null(segment_next(&cut));
}

/* --- Bad ones --------------------------------------------------------------------------------- */

static bool begins(const struct tcp_shape *s, const uint8_t *bytes, uint32_t len, int from, int at)
{
	struct segment cut;
	struct frame f;

	tf_frame(&f, s, bytes, len, 4);
	f.sum.from = (uint16_t)(f.sum.from + from);
	f.sum.at = (uint16_t)(f.sum.at + at);
	bool good = segment_begin(&cut, &f, FRAME_LEN_MAX);

	tf_free(&f);
	return good;
}

enum layer { ETH, IP, TCP };

static void segments_with_bad_headers_are_refused(void **state)
{
	static const struct {
		const char *why;
		enum layer  layer;
		unsigned    at;
		uint16_t    value;
		bool        v6, tagged;
		int         moves;      /* where TCP would be then */
		uint32_t    payload;
	} bad[] = {
		{ .why = "not IP", .layer = ETH, .at = 12, .value = 0x0806 },
		{ .why = "IPv6 that is IPv4", .layer = ETH, .at = 12, .value = 0x86dd },
		{ .why = "IPv4 that is IPv6", .layer = ETH, .at = 12, .value = 0x0800, .v6 = true },
		{ .why = "two tags", .layer = ETH, .at = 16, .value = 0x8100, .tagged = true },
		{ .why = "IPv4, version 6", .layer = IP, .at = 0, .value = 0x6500 },
		{ .why = "header of 4 words", .layer = IP, .at = 0, .value = 0x4400, .moves = -4 },
		{ .why = "header of no words", .layer = IP, .at = 0, .value = 0x4000,
		  .moves = -20 },
		{ .why = "total length too short", .layer = IP, .at = 2, .value = 3039 },
		{ .why = "total length too long", .layer = IP, .at = 2, .value = 3041 },
		{ .why = "the first fragment", .layer = IP, .at = 6, .value = 0x2000 },
		{ .why = "a later fragment", .layer = IP, .at = 6, .value = 0x2001 },
		{ .why = "the last fragment", .layer = IP, .at = 6, .value = 0x1fff },
		{ .why = "IPv4, UDP", .layer = IP, .at = 8, .value = 0x4011 },
		{ .why = "IPv6, version 4", .layer = IP, .at = 0, .value = 0x4500, .v6 = true },
		{ .why = "IPv6, too short", .layer = IP, .at = 4, .value = 3019, .v6 = true },
		{ .why = "IPv6, too long", .layer = IP, .at = 4, .value = 3021, .v6 = true },
		{ .why = "a jumbogram", .layer = IP, .at = 4, .value = 0, .v6 = true },
		{ .why = "IPv6, hop-by-hop", .layer = IP, .at = 6, .value = 0x0040, .v6 = true },
		{ .why = "IPv6, a fragment", .layer = IP, .at = 6, .value = 0x2c40, .v6 = true },
		{ .why = "IPv6, UDP", .layer = IP, .at = 6, .value = 0x1140, .v6 = true },
		{ .why = "data offset 0", .layer = TCP, .at = 12, .value = 0x0010 },
		{ .why = "data offset 4", .layer = TCP, .at = 12, .value = 0x4010 },
		{ .why = "options beyond the frame", .layer = TCP, .at = 12, .value = 0xf010,
		  .payload = 39 },
		{ .why = "options and nothing else", .layer = TCP, .at = 12, .value = 0xf010,
		  .payload = 40 },
		{ .why = "SYN", .layer = TCP, .at = 12, .value = 0x5012 },
		{ .why = "RST", .layer = TCP, .at = 12, .value = 0x5014 },
	};

	(void)state;
	srand(2);
	for (unsigned i = 0; i < COUNT(bad); i++) {
		struct tcp_shape s = { .v6 = bad[i].v6, .tagged = bad[i].tagged, .flags = TF_ACK,
				       .payload = bad[i].payload ? bad[i].payload : 3000,
				       .cut = 1400 };
		const unsigned layer_at[] = { [ETH] = 0, [IP] = tf_ip(&s), [TCP] = tf_tcp(&s) };
		uint32_t len = tf_put(whole, &s);

		assert_true(begins(&s, whole, len, 0, 0));
		tf_put16(whole + layer_at[bad[i].layer] + bad[i].at, bad[i].value);
		if (begins(&s, whole, len, bad[i].moves, bad[i].moves))
			fail_msg("%s: taken", bad[i].why);
	}
}

/* What the frame says of itself. */
static void segments_cut_wrongly_are_refused(void **state)
{
	enum { PLAIN = 14 + 20 + 20, TAGGED = PLAIN + 4 };
	static const struct {
		const char *why;
		bool        tagged, good;
		uint16_t    cut;
		int         from, at;
	} table[] = {
		{ "a packet",                     false, false, 0, 0, 0 },
		{ "too many packets",             false, false, SEGMENT_PAYLOAD_MIN - 1, 0, 0 },
		{ "as many as may be",            false, true,  SEGMENT_PAYLOAD_MIN, 0, 0 },
		{ "as long as may be",            false, true,  FRAME_LEN_MAX - 4 - PLAIN, 0, 0 },
		{ "no room for a tag",            false, false, FRAME_LEN_MAX - 3 - PLAIN, 0, 0 },
		{ "as long as may be, tagged",    true,  true,  FRAME_LEN_MAX - TAGGED, 0, 0 },
		{ "too long for the wire",        true,  false, FRAME_LEN_MAX - TAGGED + 1, 0, 0 },
		{ "very much too long",           true,  false, UINT16_MAX, 0, 0 },
		{ "has its checksum",             false, false, MSS, -34, -50 },
		{ "sum from elsewhere",           false, false, MSS, 1, 0 },
		{ "sum from IP on",               false, false, MSS, -20, 0 },
		{ "checksum elsewhere",           false, false, MSS, 0, 1 },
		{ "UDP's checksum",               false, false, MSS, 0, -10 },
		{ "checksum beyond the frame",    false, false, MSS, 0, UINT16_MAX - 50 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(table); i++) {
		struct tcp_shape s = { .tagged = table[i].tagged, .flags = TF_ACK, .payload = 3000,
				       .cut = table[i].cut };

		if (begins(&s, whole, tf_put(whole, &s), table[i].from, table[i].at) !=
		    table[i].good)
			fail_msg("%s: %s", table[i].why, table[i].good ? "refused" : "taken");
	}
}

/* A wire of an MTU of 9000 takes longer packets, and still none that are too long for it. */
static void long_packets_fit_a_longer_wire(void **state)
{
	struct tcp_shape s = { .flags = TF_ACK, .payload = 60000, .cut = 8960 };
	uint32_t len = tf_put(whole, &s);
	struct segment cut;
	struct frame f;

	(void)state;
	tf_frame(&f, &s, whole, len, 4);
	assert_false(segment_begin(&cut, &f, FRAME_LEN_MAX));
	assert_false(segment_begin(&cut, &f, FRAME_JUMBO_MAX - 1));
	assert_true(segment_begin(&cut, &f, FRAME_JUMBO_MAX));
	assert_int_equal(segment_next(&cut)->len, 9014);
	tf_free(&f);
}

/* Up to the first byte of payload there is nothing to cut, whatever IP says of the length. */
static void segments_too_short_are_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct tcp_shape s = { .v6 = i & 1, .tagged = i & 2, .tcp_options = 12,
				       .flags = TF_ACK, .payload = 100, .cut = MSS - 20 - 12 };
		unsigned ip = tf_ip(&s);

		tf_put(whole, &s);
		for (unsigned len = 0; len <= tf_header(&s) + 1; len++) {
			bool good = len > tf_header(&s);

			if (s.v6 && len >= ip + 40)
				tf_put16(whole + ip + 4, len - ip - 40);
			else if (len >= ip + 4)
				tf_put16(whole + ip + 2, len - ip);
			if (begins(&s, whole, len, 0, 0) != good)
				fail_msg("%u bytes: %s", len, good ? "refused" : "taken");
		}
	}
}

/* Longer than any IPv4 packet, as IPv6 can be; it may get a tag before it is cut. */
static void segments_too_long_are_refused(void **state)
{
	struct tcp_shape s = { .v6 = true, .flags = TF_ACK, .cut = 1400 };

	(void)state;
	for (unsigned tagged = 0; tagged <= 1; tagged++) {
		s.tagged = tagged;
		s.payload = payload_max(&s);
		assert_true(begins(&s, whole, tf_put(whole, &s), 0, 0));
		s.payload++;
		assert_false(begins(&s, whole, tf_put(whole, &s), 0, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_packets_fit_a_longer_wire),
		cmocka_unit_test(segments_of_all_shapes_are_cut),
		cmocka_unit_test(segments_flags_are_for_the_first_or_the_last),
		cmocka_unit_test(segments_of_tiny_pieces_are_cut),
		cmocka_unit_test(segments_with_bad_headers_are_refused),
		cmocka_unit_test(segments_cut_wrongly_are_refused),
		cmocka_unit_test(segments_too_short_are_refused),
		cmocka_unit_test(segments_too_long_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
