/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_announce.c - the RARP frame byte by byte, and when a burst sends it.
 */
#include "tests/host/support.h"

#include "lib/config.h"
#include "net/announce.h"

static const uint8_t mac_a[MAC_LEN] = { 0x52, 0x54, 0x00, 0x77, 0x01, 0x01 };

struct wire { unsigned sent; uint8_t last[RARP_FRAME_LEN]; };

static void take(void *to, const struct frame *f)
{
	struct wire *w = to;

	assert_int_equal(f->len, RARP_FRAME_LEN);
	frame_copy(w->last, f);
	w->sent++;
}

static void announce_frame_is_rarp(void **state)      /* RFC 903; RFC 826 for the layout */
{
	static const uint8_t want[RARP_FRAME_LEN] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x77, 0x01, 0x01, 0x80, 0x35,
		0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x03,
		0x52, 0x54, 0x00, 0x77, 0x01, 0x01, 0, 0, 0, 0,
		0x52, 0x54, 0x00, 0x77, 0x01, 0x01, 0, 0, 0, 0,
	};
	uint8_t got[RARP_FRAME_LEN];

	(void)state;
	memset(got, 0xaa, sizeof(got));
	announce_frame(got, mac_a);
	assert_memory_equal(got, want, sizeof(want));
}

/* Poll in steps of a millisecond; the times at which a frame left, in ms. */
static unsigned run_burst(struct wire *w, uint64_t *at_ms, unsigned max)
{
	unsigned n = w->sent ? 1 : 0;

	at_ms[0] = 0;
	for (uint64_t ms = 0; ms < 5000; ms++) {
		unsigned before = w->sent;

		announce_poll(ms * NS_PER_MS);
		if (w->sent != before && n < max)
			at_ms[n++] = ms;
	}
	return n;
}

static void announce_sends_six_with_growing_pauses(void **state)
{
	static const uint64_t want_ms[] = { 0, 50, 200, 450, 800, 1250 };
	uint64_t at_ms[10], before = announce_sent();
	struct wire w = { 0 };

	(void)state;
	assert_int_equal(announce_start(mac_a, take, &w, 0), OK);
	assert_int_equal(w.sent, 1);
	assert_int_equal(announce_poll(0), 50 * NS_PER_MS);
	assert_int_equal(run_burst(&w, at_ms, COUNT(at_ms)), COUNT(want_ms));
	assert_memory_equal(at_ms, want_ms, sizeof(want_ms));
	assert_int_equal(announce_poll(NEVER_NS - 1), NEVER_NS);
	assert_int_equal(announce_sent() - before, 6);
	assert_memory_equal(w.last + 6, mac_a, MAC_LEN);
}

static void announce_cancel_ends_only_that_port(void **state)
{
	struct wire a = { 0 }, b = { 0 };
	uint64_t at_ms[10];

	(void)state;
	assert_int_equal(announce_start(mac_a, take, &a, 0), OK);
	assert_int_equal(announce_start(mac_a, take, &b, 0), OK);
	announce_cancel(&a);
	run_burst(&b, at_ms, COUNT(at_ms));
	assert_int_equal(a.sent, 1);
	assert_int_equal(b.sent, 6);
}

static void announce_refuses_one_burst_too_many(void **state)
{
	struct wire w = { 0 };

	(void)state;
	for (unsigned i = 0; i < VMS_MAX * VM_NICS_MAX; i++)
		assert_int_equal(announce_start(mac_a, take, &w, 0), OK);
	assert_int_equal(announce_start(mac_a, take, &w, 0), ERR_NO_MEMORY);
	announce_cancel(&w);
	assert_int_equal(announce_start(mac_a, take, &w, 0), OK);
	announce_cancel(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(announce_frame_is_rarp),
		cmocka_unit_test(announce_sends_six_with_growing_pauses),
		cmocka_unit_test(announce_cancel_ends_only_that_port),
		cmocka_unit_test(announce_refuses_one_burst_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
