/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_mbinfo.c - the boot loader's tags, good and damaged.
 * Multiboot2 Specification 2.0, "Boot information format".
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "boot/mbinfo.h"

/* Builds boot information a tag at a time. */
struct builder { uint8_t bytes[8192]; size_t len; };

static void put32(struct builder *b, uint32_t v)
{
	memcpy(b->bytes + b->len, &v, 4);
	b->len += 4;
}

static void put64(struct builder *b, uint64_t v)
{
	put32(b, (uint32_t)v);
	put32(b, (uint32_t)(v >> 32));
}

static void put_bytes(struct builder *b, const void *p, size_t len)
{
	memcpy(b->bytes + b->len, p, len);
	b->len += len;
}

static size_t tag_begin(struct builder *b, uint32_t type)
{
	size_t at;

	b->len = ALIGN_UP(b->len, 8);
	at = b->len;
	put32(b, type);
	put32(b, 0);
	return at;
}

static void tag_end(struct builder *b, size_t at)
{
	uint32_t size = (uint32_t)(b->len - at);

	memcpy(b->bytes + at + 4, &size, 4);
}

static void begin(struct builder *b)
{
	memset(b, 0, sizeof(*b));
	b->len = 8;
}

static void finish(struct builder *b)
{
	tag_end(b, tag_begin(b, 0));
	memcpy(b->bytes, &(uint32_t){ (uint32_t)b->len }, 4);
}

/* Parse an exact-size copy, so that AddressSanitizer sees a byte too far. */
static enum err parse(const struct builder *b, struct boot_info *out)
{
	uint8_t *copy = malloc(b->len);

	memcpy(copy, b->bytes, b->len);
	enum err e = mbinfo_parse(copy, b->len, out);
	free(copy);
	return e;
}

static void add_string_tag(struct builder *b, uint32_t type, const char *s)
{
	size_t at = tag_begin(b, type);

	put_bytes(b, s, strlen(s) + 1);
	tag_end(b, at);
}

static void add_module(struct builder *b, uint32_t start, uint32_t end, const char *s)
{
	size_t at = tag_begin(b, 3);

	put32(b, start);
	put32(b, end);
	put_bytes(b, s, strlen(s) + 1);
	tag_end(b, at);
}

static void add_region(struct builder *b, uint64_t base, uint64_t len, uint32_t type)
{
	put64(b, base);
	put64(b, len);
	put32(b, type);
	put32(b, 0);
}

static void add_framebuffer(struct builder *b, uint32_t pitch, uint32_t width, uint32_t height,
                            uint8_t bpp, uint8_t type)
{
	size_t at = tag_begin(b, 8);

	put64(b, 0xe0000000);
	put32(b, pitch);
	put32(b, width);
	put32(b, height);
	put_bytes(b, (uint8_t[]){ bpp, type, 0, 0, 16, 8, 8, 8, 0, 8 }, 10);
	tag_end(b, at);
}

static void build_all(struct builder *b)
{
	begin(b);
	add_string_tag(b, 1, "node=a test=panic");
	add_string_tag(b, 2, "GRUB 2.06");
	add_module(b, 0x400000, 0x401000, "vm demo");
	add_module(b, 0x500000, 0x500000, "file empty");
	size_t at = tag_begin(b, 6);
	put32(b, 24);
	put32(b, 0);
	add_region(b, 0, 0x9fc00, 1);
	add_region(b, 0x9fc00, 0x400, 2);
	add_region(b, 0x100000, 0xff00000, 1);
	tag_end(b, at);
	add_framebuffer(b, 4096, 1024, 768, 32, 1);
	at = tag_begin(b, 14);
	put_bytes(b, "RSD PTR 0123456789ab", 20);
	tag_end(b, at);
	at = tag_begin(b, 15);
	put_bytes(b, "RSD PTR 0123456789abcdefghijklmnopqr", 36);
	tag_end(b, at);
	at = tag_begin(b, 12);
	put64(b, 0x1234);
	tag_end(b, at);
	at = tag_begin(b, 4711);        /* unknown: skipped */
	put64(b, 0);
	tag_end(b, at);
	finish(b);
}

static void mbinfo_takes_every_tag_it_knows(void **state)
{
	static struct builder b;
	static struct boot_info info;

	(void)state;
	build_all(&b);
	assert_int_equal(parse(&b, &info), OK);
	assert_string_equal(info.cmdline, "node=a test=panic");
	assert_string_equal(info.loader, "GRUB 2.06");
	assert_int_equal(info.nmodules, 2);
	assert_int_equal(info.module[0].start, 0x400000);
	assert_int_equal(info.module[0].end, 0x401000);
	assert_string_equal(info.module[0].string, "vm demo");
	assert_string_equal(info.module[1].string, "file empty");
	assert_int_equal(info.nregions, 3);
	assert_true(info.region[0].available);
	assert_false(info.region[1].available);
	assert_int_equal(info.region[2].len, 0xff00000);
	assert_int_equal(info.screen.kind, SCREEN_RGB);
	assert_int_equal(info.screen.green.shift, 8);
	assert_int_equal(info.rsdp_len, 36);
	assert_int_equal(info.rsdp[35], 'r');
	assert_true(info.efi);
}

/* GRUB gives system table pointers only while boot services are on; else the map tells UEFI. */
static void mbinfo_knows_uefi_by_any_of_its_tags(void **state)
{
	static const uint32_t tags[] = { 11, 12, 17 };  /* EFI32, EFI64, EFI memory map */
	static struct builder b;
	static struct boot_info info;

	(void)state;
	begin(&b);
	finish(&b);
	assert_int_equal(parse(&b, &info), OK);
	assert_false(info.efi);
	for (unsigned i = 0; i < COUNT(tags); i++) {
		begin(&b);
		tag_end(&b, tag_begin(&b, tags[i]));
		finish(&b);
		assert_int_equal(parse(&b, &info), OK);
		assert_true(info.efi);
	}
}

/*
 * Whatever byte of good information is damaged, the parser answers and reads nothing beyond the
 * end.
 */
static void mbinfo_survives_any_damaged_byte(void **state)
{
	static const uint8_t damage[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	static struct builder good, b;
	static struct boot_info info;

	(void)state;
	build_all(&good);
	for (size_t i = 0; i < good.len; i++)
		for (unsigned d = 0; d < COUNT(damage); d++) {
			b = good;
			b.bytes[i] = damage[d];
			parse(&b, &info);
			assert_true(info.nmodules <= MBINFO_MODULES_MAX &&
			            info.nregions <= MBINFO_REGIONS_MAX);
		}
}

static void mbinfo_survives_any_cut(void **state)
{
	static struct builder good, b;
	static struct boot_info info;

	(void)state;
	build_all(&good);
	for (size_t len = 8; len < good.len; len++) {
		b = good;
		b.len = len;
		memcpy(b.bytes, &(uint32_t){ (uint32_t)len }, 4);
		assert_int_equal(parse(&b, &info), ERR_BAD_FORMAT);
	}
}

static void expect_refused(struct builder *b, const char *what)
{
	static struct boot_info info;

	finish(b);
	assert_int_equal(parse(b, &info), ERR_BAD_FORMAT);
	assert_non_null(strstr(err_reason(), what));
}

static void mbinfo_refuses_by_name(void **state)
{
	static struct builder b;
	static char text[1024];
	static struct boot_info info;

	(void)state;
	begin(&b);
	memset(text, 'x', MBINFO_STRING_MAX);
	add_string_tag(&b, 1, text);
	expect_refused(&b, "command line is longer than");

	begin(&b);
	size_t at = tag_begin(&b, 1);
	put_bytes(&b, "abcd", 4);
	tag_end(&b, at);
	expect_refused(&b, "command line does not end");

	begin(&b);
	add_module(&b, 2, 1, "vm x");
	expect_refused(&b, "ends before it starts");

	begin(&b);
	for (unsigned i = 0; i <= MBINFO_MODULES_MAX; i++)
		add_module(&b, 0, 1, "file x");
	expect_refused(&b, "more than 32 modules");

	begin(&b);
	at = tag_begin(&b, 6);
	put32(&b, 24);
	put32(&b, 0);
	add_region(&b, UINT64_MAX - 5, 10, 1);
	tag_end(&b, at);
	expect_refused(&b, "never ends");

	begin(&b);
	at = tag_begin(&b, 6);
	put32(&b, 8);
	put32(&b, 0);
	tag_end(&b, at);
	expect_refused(&b, "entries of 8 bytes");

	begin(&b);
	at = tag_begin(&b, 3);
	put32(&b, 0);
	tag_end(&b, at);
	expect_refused(&b, "the module tag has only 12 bytes");

	begin(&b);
	finish(&b);
	b.bytes[0]++;
	assert_int_equal(parse(&b, &info), ERR_BAD_FORMAT);
}

static void mbinfo_ignores_a_screen_it_cannot_use(void **state)
{
	static const struct {
		uint32_t pitch, width, height;
		uint8_t bpp, type;
		enum screen_kind kind;
	} cases[] = {
		{ 4096, 1024, 768, 32, 1, SCREEN_RGB },     { 3072, 1024, 768, 24, 1, SCREEN_RGB },
		{ 160, 80, 25, 16, 2, SCREEN_TEXT },        { 4095, 1024, 768, 32, 1, SCREEN_NONE },
		{ 1024, 1024, 768, 8, 0, SCREEN_NONE },     { 4096, 0, 768, 32, 1, SCREEN_NONE },
		{ 4096, 1024, 100000, 32, 1, SCREEN_NONE }, { 4096, 1024, 768, 32, 7, SCREEN_NONE },
	};
	static struct builder b;
	static struct boot_info info;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		begin(&b);
		add_framebuffer(&b, cases[i].pitch, cases[i].width, cases[i].height, cases[i].bpp,
		                cases[i].type);
		finish(&b);
		assert_int_equal(parse(&b, &info), OK);
		assert_int_equal(info.screen.kind, cases[i].kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mbinfo_takes_every_tag_it_knows),
		cmocka_unit_test(mbinfo_knows_uefi_by_any_of_its_tags),
		cmocka_unit_test(mbinfo_survives_any_damaged_byte),
		cmocka_unit_test(mbinfo_survives_any_cut),
		cmocka_unit_test(mbinfo_refuses_by_name),
		cmocka_unit_test(mbinfo_ignores_a_screen_it_cannot_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
