/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/test_fuzz_stream.c - a whole migration stream, bent in thousands of ways, is played to
 * a destination; bounded, and the same in every run.
 *
 * Most bent records get right checksums again, so that what lies behind the checksums is reached,
 * too.  Whatever arrives: no access outside (AddressSanitizer), no wait without end, nothing left
 * behind, and a guest runs only if everything that HELLO promised came before GRANT.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "tests/host/chan_mem.h"
#include "tests/host/two_hosts.h"

#define ROUNDS      1000
#define RECORDS_MAX 64
#define STREAM_MAX  (512 * KIB)

struct piece { size_t at, len; };

static uint8_t captured[STREAM_MAX], played[2 * STREAM_MAX];
static struct piece piece[RECORDS_MAX];         /* the stream header, then the records */
static unsigned npieces;
static size_t captured_len, played_len;
static unsigned ran, refused;

static bool ended(void)
{
	return host_a.node.slot[0].st.ended && !chan_mem.open;
}

/* The bytes of a real migration, cut into records. */
static void capture(void)
{
	static struct mig_params params = { .to = "b",
					    .downtime_max_ns = 30 * NS_PER_MS,
					    .verify = true };
	uint32_t id;

	two_hosts_filled = 20;
	two_hosts_begin();
	truth.writes_per_turn = 0;
	chan_mem.at = UINT32_MAX;
	chan_mem.tap = captured;
	chan_mem.tap_size = sizeof(captured);
	assert_int_equal(mig_start(host_guest(&host_a), &params, &id), OK);
	two_hosts_run(ended, 60 * NS_PER_S);
	assert_ptr_equal(two_hosts_owner(), &host_b);
	captured_len = chan_mem.tap_len;
	two_hosts_end();

	piece[npieces++] = (struct piece){ 0, WIRE_STREAM_LEN };
	for (size_t at = WIRE_STREAM_LEN; at < captured_len;) {
		struct wire_record rec;

		assert_int_equal(wire_take_header(captured + at, &rec), OK);
		assert_true(npieces < RECORDS_MAX);
		piece[npieces++] = (struct piece){ at, WIRE_HEADER_LEN + rec.length };
		at += WIRE_HEADER_LEN + rec.length;
	}
	assert_true(npieces > 8);
}

static unsigned below(unsigned n)
{
	return (unsigned)rand() % n;
}

static void add(const uint8_t *bytes, size_t len)
{
	if (len > sizeof(played) - played_len)
		return;
	memcpy(played + played_len, bytes, len);
	played_len += len;
}

/* Values that meet limits. */
static uint64_t odd_value(void)
{
	static const uint64_t values[] = { 0,
					   1,
					   2,
					   15,
					   16,
					   17,
					   255,
					   256,
					   257,
					   1023,
					   1024,
					   1025,
					   4096,
					   65535,
					   65536,
					   0x7fffffff,
					   0x80000000,
					   0xffffffff,
					   UINT64_MAX / 2,
					   UINT64_MAX };

	return values[below(COUNT(values))];
}

static void bend_bytes(uint8_t *p, size_t len)
{
	for (unsigned k = 1 + below(4); k && len; k--) {
		/* Mostly near the beginning: there are the counts and lengths. */
		size_t at = below(2) ? below((unsigned)MIN(len, 64u)) : below((unsigned)len);
		uint64_t v = odd_value();

		if (below(2))
			p[at] ^= (uint8_t)(1 << below(8));
		else
			memcpy(p + at, &v, MIN(len - at, (size_t)1 << below(4)));
	}
}

/* A record whose checksums are right, whatever it says. */
static void reseal(uint8_t *head, size_t len, uint32_t sequence)
{
	uint32_t body_len = (uint32_t)(len - WIRE_HEADER_LEN);
	uint32_t crc = crc32c(0, head + WIRE_HEADER_LEN, body_len);

	memcpy(head + 4, &body_len, 4);
	memcpy(head + 8, &sequence, 4);
	memcpy(head + 12, &crc, 4);
	crc = crc32c(0, head, WIRE_HEADER_LEN - 4);
	memcpy(head + WIRE_HEADER_LEN - 4, &crc, 4);
}

static void add_bent(const struct piece *p, uint32_t sequence)
{
	static uint8_t copy[WIRE_HEADER_LEN + WIRE_BODY_MAX + 64];
	size_t len = p->len;

	memcpy(copy, captured + p->at, len);
	if (p->at == 0) {
		bend_bytes(copy, len);
		add(copy, len);
		return;
	}
	if (below(4) == 0)              /* longer or shorter */
		len = below(2) ? len + below(64) :
				 WIRE_HEADER_LEN + below((unsigned)(len - WIRE_HEADER_LEN) + 1);
	if (below(3))
		bend_bytes(copy + WIRE_HEADER_LEN, len - WIRE_HEADER_LEN);
	else
		bend_bytes(copy, len);
	if (below(8))
		reseal(copy, len, sequence);
	add(copy, len);
}

/* Records left out, repeated, exchanged, bent or cut; numbers set right so that it goes on. */
static void compose(void)
{
	unsigned victim = below(npieces), how = below(6);
	uint32_t sequence = 0;

	played_len = 0;
	for (unsigned i = 0; i < npieces; i++) {
		unsigned from = i;
		size_t before = played_len;

		if (how == 0 && i == victim)
			continue;
		if (how == 1 && i >= victim && victim > 0)
			from = 1 + below(npieces - 1);
		if (how >= 3 && i == victim)
			add_bent(&piece[from], sequence);
		else
			add(captured + piece[from].at, piece[from].len);
		if (from > 0 && !(how >= 3 && i == victim) && played_len > before)
			reseal(played + before, played_len - before, sequence);
		sequence += i > 0;
		if (how == 2 && i == victim && i > 0) {         /* once more */
			before = played_len;
			add(captured + piece[i].at, piece[i].len);
			if (played_len > before)
				reseal(played + before, played_len - before, sequence++);
		}
	}
	if (below(8) == 0)
		played_len = below((unsigned)played_len + 1);
}

static void play(void)
{
	struct chan *mine, *theirs;

	two_hosts_begin();
	two_hosts_drop_guest();
	truth.any_clock = true;
	chan_mem.at = UINT32_MAX;
	chan_mem_pair("a", "b", &mine, &theirs);
	two_hosts_serve(theirs);
	for (size_t sent = 0; sent < played_len;) {
		size_t n = MIN(played_len - sent, CHAN_MEM_WINDOW / 2);

		mine->ops->send(mine, played + sent, n, 0);
		two_hosts_run(NULL, NS_PER_MS);
		sent += n;
	}
	two_hosts_run(NULL, 200 * NS_PER_S);
	mine->ops->close(mine);
	two_hosts_run(NULL, NS_PER_S);
}

static void bent_streams_do_no_harm(void **state)
{
	(void)state;
	capture();
	for (unsigned round = 0; round < ROUNDS; round++) {
		srand(round + 1);
		compose();
		play();
		struct vm *vm = host_guest(&host_b);
		struct mig *m = &host_b.node.slot[0];

		assert_int_equal(host_serving(&host_b), 0);
		assert_true(!m->used || m->st.ended);
		if (m->used)
			assert_true(mig_dst_is_final(m->dst) || m->dst == DST_IDLE);
		assert_int_equal(vm != NULL, m->used && m->dst == DST_RUN);
		ran += vm != NULL;
		refused += vm == NULL;
		two_hosts_end();
	}
	printf("  %u streams: %u refused, %u let a guest run\n", ROUNDS, refused, ran);
	assert_true(refused > ROUNDS / 2);
	assert_true(ran > 0);           /* bends that do not matter: a page's content, a text */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bent_streams_do_no_harm) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
