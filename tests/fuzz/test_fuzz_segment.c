/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/test_fuzz_segment.c - TCP segments to be cut, bent in thousands of ways; bounded, and
 * the same in every run.
 *
 * Each piece of a frame is memory of its own, so AddressSanitizer sees every step outside.  What is
 * cut in spite of the bends is cut into packets that a wire takes, and nothing of it is lost.
 */
#include "tests/host/tcp_frame.h"

#include <stdio.h>

#include "net/segment.h"
#include "net/vswitch.h"

#define ROUNDS 20000

enum { UPLINK, HOST, GUEST, NPORTS };
enum { VLAN = 10 };

static uint8_t bytes[FRAME_BIG_MAX + 64], copy[FRAME_BIG_MAX + 64];
static unsigned cut_up, refused;

static unsigned below(unsigned n)
{
	return (unsigned)rand() % n;
}

/* A frame that could be cut, of any shape. */
static uint32_t compose(struct tcp_shape *s)
{
	*s = (struct tcp_shape){ .v6 = below(2), .tagged = below(2), .flags = TF_ACK,
				 .ip_options = 4 * below(11), .tcp_options = 4 * below(11),
				 .cut = (uint16_t)(SEGMENT_PAYLOAD_MIN + below(1337)) };
	if (s->v6)
		s->ip_options = 0;
	uint32_t most = FRAME_BIG_MAX - tf_header(s) + 8;

	s->payload = below(16) ? below(4000) : most - below(16);
	return tf_put(bytes, s);
}

/* Bytes of the headers; lengths of IP are often set right again, so that more is reached. */
static void bend_bytes(const struct tcp_shape *s, uint32_t len)
{
	static const uint8_t odd[] = { 0, 1, 4, 5, 6, 0x40, 0x44, 0x4f, 0x50, 0x60, 0x7f, 0x80,
				       0x81, 0xf0, 0xff };
	unsigned ip = tf_ip(s);

	for (unsigned k = len ? below(4) : 0; k > 0; k--) {
		uint32_t at = below(MIN(len, (uint32_t)tf_header(s) + 8));

		if (below(2))
			bytes[at] ^= (uint8_t)(1 << below(8));
		else
			bytes[at] = odd[below(COUNT(odd))];
	}
	if (below(4) && s->v6 && len >= ip + 40)
		tf_put16(bytes + ip + 4, len - ip - 40);
	else if (below(4) && len >= ip + 4)
		tf_put16(bytes + ip + 2, len - ip);
}

static void bend_frame(struct frame *f)
{
	uint16_t *field[] = { &f->cut, &f->sum.from, &f->sum.at };

	if (below(3))
		return;
	uint16_t *p = field[below(COUNT(field))];

	*p = (uint16_t)(below(2) ? *p + 8 - below(16) : below(UINT16_MAX + 1));
}

static void check_cut(const struct frame *f)
{
	struct segment s;
	const struct frame *packet;
	uint32_t done = 0, n = 0;

	if (!segment_begin(&s, f, FRAME_LEN_MAX)) {
		refused++;
		return;
	}
	assert_in_range(s.header, 54, SEGMENT_HEADER_MAX);
	frame_copy(copy, f);
	while ((packet = segment_next(&s))) {
		uint8_t out[FRAME_LEN_MAX];
		uint32_t payload = packet->len - s.header;

		assert_in_range(packet->len, s.header + 1, FRAME_LEN_MAX);
		assert_in_range(packet->nparts, 2, FRAME_PARTS_MAX + 1);
		assert_in_range(packet->sum.from, 34, packet->sum.at);
		assert_in_range(packet->sum.at, 50, packet->len - 2);
		frame_copy(out, packet);
		assert_memory_equal(out + s.header, copy + s.header + done, payload);
		done += payload;
		n++;
	}
	assert_int_equal(done, f->len - s.header);
	assert_int_equal(n, (done + f->cut - 1) / f->cut);
	cut_up++;
}

static struct vswitch *sw;

static bool take(void *to, const struct frame *f)
{
	(void)to;
	assert_true(f->cut || f->len <= FRAME_LEN_MAX);
	assert_true(f->len <= FRAME_BIG_MAX);
	frame_copy(copy, f);
	return true;
}

/* A card on a trunk that cuts; a VLAN with a host that takes segments uncut, and a guest. */
static void plug(void)
{
	static const enum vport_kind kinds[NPORTS] = { VPORT_UPLINK, VPORT_HOST, VPORT_GUEST };

	sw = vswitch_create("test");
	assert_non_null(sw);
	for (unsigned i = 0; i < NPORTS; i++) {
		unsigned port;

		assert_int_equal(vswitch_add_port(sw, kinds[i], "port", take, NULL, &port), OK);
		if (i != UPLINK)
			vswitch_set_vlan(sw, i, VLAN);
		if (i != GUEST)
			vswitch_takes(sw, i, (struct frame_takes){ true, UINT16_MAX });
		vswitch_gate(sw, i, true);
	}
}

static void bent_segments_do_no_harm(void **state)
{
	(void)state;
	plug();
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct tcp_shape s;
		struct frame f;

		srand(round + 1);
		uint32_t len = compose(&s);

		if (below(8) == 0)
			len = below(below(2) ? len + 1 : tf_header(&s) + 2);
		bend_bytes(&s, len);
		tf_frame(&f, &s, bytes, len, 2 + below(FRAME_PARTS_MAX - 1));
		bend_frame(&f);
		check_cut(&f);
		vswitch_input(sw, below(NPORTS), &f, 0);
		tf_free(&f);
	}
	vswitch_destroy(sw);
	printf("  %u segments: %u refused, %u cut\n", ROUNDS, refused, cut_up);
	assert_true(refused > ROUNDS / 8);
	assert_true(cut_up > ROUNDS / 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bent_segments_do_no_harm) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
