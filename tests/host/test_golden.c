/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_golden.c - the stream as it must look: tests/host/golden/stream.hex.
 *
 * Whoever changes the format breaks this test, and has to give the changed record a new type or the
 * stream a new version.  GOLDEN_UPDATE=1 in the environment writes the file anew.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mig/hello.h"
#include "mig/wire.h"

#define GOLDEN     "tests/host/golden/stream.hex"
#define LINE_BYTES 32

static char text[64 * 1024];
static size_t text_len;
static uint8_t body[WIRE_BODY_MAX];
static uint32_t sequence;

static void say(const char *what, const uint8_t *bytes, size_t len)
{
	text_len += (size_t)snprintf(text + text_len, sizeof(text) - text_len, "# %s\n", what);
	for (size_t i = 0; i < len; i++)
		text_len +=
			(size_t)snprintf(text + text_len, sizeof(text) - text_len, "%02x%s",
					 bytes[i], (i + 1) % LINE_BYTES && i + 1 < len ? "" : "\n");
}

static void record(enum wire_type type, struct wire_out *w)
{
	struct wire_record rec = { .type = type,
				   .length = (uint32_t)w->len,
				   .sequence = sequence++,
				   .id = { .uuid = "golden stream!!",
					   .epoch = 0x0102030405060708 } };
	struct wire_record back;
	uint8_t head[WIRE_HEADER_LEN];

	assert_false(w->overflow);
	wire_put_header(head, &rec, w->buf);
	assert_int_equal(wire_take_header(head, &back), OK);
	assert_int_equal(wire_check_body(&back, w->buf), OK);
	say(wire_type_name(type), head, sizeof(head));
	if (w->len)
		say("body", w->buf, w->len);
}

static struct wire_out begin(void)
{
	return (struct wire_out){ .buf = body, .size = sizeof(body) };
}

static void put_hello(void)
{
	static struct hello h = {
		.config = { .name = "demo",
			    .uuid = "golden stream!!",
			    .ram_bytes = 96 * MIB,
			    .cpus = 1,
			    .boot = BOOT_LINUX,
			    .kernel = "vmlinuz",
			    .initrd = "initrd",
			    .cmdline = "console=ttyS0",
			    .nmodules = 1,
			    .module = { "one" },
			    .nnics = 1,
			    .nic = { { { 0x52, 0x54, 0, 1, 2, 3 }, 30, true } } },
		.cpuid = { .n = 1, .leaf = { 1 }, .eax = { 0x50654 }, .xcr0_mask = 7 },
		.tsc_khz = 50000,
		.downtime_max_ns = 300 * NS_PER_MS,
		.verify = true,
		.nsections = 1,
		.section = { { .name = "vpit",
			       .instance = 0,
			       .version = 1,
			       .layout = 0x12345678 } },
	};
	static struct hello back;
	struct wire_out w = begin();

	hello_put(&w, &h);
	struct wire_in r = { .buf = w.buf, .size = w.len };
	assert_int_equal(hello_take(&r, &back), OK);
	assert_memory_equal(&back.config, &h.config, sizeof(h.config));
	record(WIRE_HELLO, &w);
}

static void put_words(enum wire_type type, unsigned n, const uint64_t *word)
{
	struct wire_out w = begin();

	for (unsigned i = 0; i < n; i++)
		wire_put_u64(&w, word[i]);
	record(type, &w);
}

static void put_pages(void)
{
	struct wire_out w = begin();

	static uint8_t page[PAGE_SIZE] __attribute__((aligned(8)));

	for (unsigned i = 0; i < PAGE_SIZE; i++)
		page[i] = i / WIRE_BLOCK % 8 ? 0 : (uint8_t)(i * 7);
	wire_put_u32(&w, 1);
	wire_put_page(&w, 0x1234, wire_page_mask(page), page);
	record(WIRE_PAGES, &w);
	w = begin();
	wire_put_zeroes(&w, &(struct wire_zeroes){ .n = 2, .run = { { 0, 16 }, { 32, 4 } } });
	record(WIRE_ZEROES, &w);
}

static void put_texts(void)
{
	static const enum wire_type types[] = { WIRE_REFUSED, WIRE_CANCEL, WIRE_UNKNOWN };

	for (unsigned i = 0; i < COUNT(types); i++) {
		struct wire_out w = begin();

		wire_put_bytes(&w, "why", 3);
		record(types[i], &w);
	}
}

static void put_end(void)
{
	struct wire_out w = begin();

	wire_put_u64(&w, 1);
	wire_put_u64(&w, 20);
	wire_put_u32(&w, 1);
	wire_put_u32(&w, 1);
	record(WIRE_END, &w);
}

static void make(void)
{
	static const uint64_t hash[4] = { 1, 2, 3, 4 };
	struct wire_out w = begin();

	wire_put_stream(&w);
	say("stream header", w.buf, w.len);
	put_hello();
	put_words(WIRE_ACCEPT, 1, (uint64_t[]){ 0x1122334455667788 });
	put_words(WIRE_ACK, 1, (uint64_t[]){ 65536 });
	put_words(WIRE_ROUND, 2, (uint64_t[]){ 3, 400 });
	put_pages();
	put_end();
	put_words(WIRE_VERIFY, 4, hash);
	put_words(WIRE_READY, 4, hash);
	put_words(WIRE_GRANT, 2, (uint64_t[]){ 54000000, 1000 });
	put_words(WIRE_RUNNING, 1, (uint64_t[]){ 300000 });
	put_words(WIRE_QUERY, 1, (uint64_t[]){ 0x1122334455667788 });
	put_texts();
}

static void stream_is_the_golden_one(void **state)
{
	static char golden[sizeof(text)];

	(void)state;
	make();
	if (getenv("GOLDEN_UPDATE")) {
		FILE *f = fopen(GOLDEN, "w");

		assert_non_null(f);
		fwrite(text, 1, text_len, f);
		fclose(f);
	}
	FILE *f = fopen(GOLDEN, "r");
	if (!f)
		fail_msg("no %s: run this test from the top of the tree", GOLDEN);
	size_t len = fread(golden, 1, sizeof(golden) - 1, f);
	fclose(f);
	if (len == text_len && memcmp(golden, text, len) == 0)
		return;
	size_t at = 0;
	while (at < len && at < text_len && golden[at] == text[at])
		at++;
	while (at > 0 && text[at - 1] != '\n')
		at--;
	fail_msg("the format changed, first here:\n  golden %.64s\n  now    %.64s", golden + at,
		 text + at);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(stream_is_the_golden_one) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
