/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_json.c - the JSON writer and reader (RFC 8259).
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"

static void writer_puts_commas_quotes_and_escapes(void **state)
{
	char buf[400];
	struct json_writer w;

	(void)state;
	json_begin(&w, buf, sizeof(buf));
	json_object(&w, NULL);
	json_string(&w, "name", "a \"b\"\\\n\x01");
	json_u64(&w, "big", UINT64_MAX);
	json_bool(&w, "yes", true);
	json_ms(&w, "ms", 12345678);
	json_format(&w, "mac", "%02x:%02x", 1, 255);
	json_array(&w, "list");
	json_u64(&w, NULL, 1);
	json_object(&w, NULL);
	json_object_end(&w);
	json_string(&w, NULL, "x");
	json_array_end(&w);
	json_array(&w, "none");
	json_array_end(&w);
	json_object_end(&w);
	assert_false(w.overflow);
	assert_int_equal(w.depth, 0);
	assert_string_equal(buf,
	                    "{\"name\":\"a \\\"b\\\"\\\\\\n\\u0001\","
	                    "\"big\":18446744073709551615,\"yes\":true,"
	                    "\"ms\":12.345,\"mac\":\"01:ff\",\"list\":[1,{},\"x\"],\"none\":[]}");
}

static void writer_keeps_utf8_and_escapes_other_bytes(void **state)
{
	char buf[200];
	struct json_writer w;

	(void)state;
	json_begin(&w, buf, sizeof(buf));
	json_string_len(&w, NULL, "\xc3\xa9\xff\xc0\x80\xe2\x82\xac\xed\xa0\x80\0z\xe2", 14);
	assert_string_equal(buf,
	                    "\"\xc3\xa9\\u00ff\\u00c0\\u0080\xe2\x82\xac"
	                    "\\u00ed\\u00a0\\u0080\\u0000z\\u00e2\"");
}

static void writer_that_is_full_says_so_and_stays_inside(void **state)
{
	(void)state;
	for (size_t size = 1; size < 24; size++) {
		char *buf = malloc(size);
		struct json_writer w;

		json_begin(&w, buf, size);
		json_object(&w, NULL);
		json_string(&w, "key", "value");
		json_object_end(&w);
		assert_int_equal(w.overflow, size < sizeof("{\"key\":\"value\"}"));
		assert_true(w.len < size);
		free(buf);
	}
}

static struct json_doc doc;

static enum err parse(const char *text)
{
	return json_parse(&doc, text, strlen(text));
}

static void reader_finds_members_and_items(void **state)
{
	uint64_t n;
	bool b;
	char s[8];

	(void)state;
	assert_int_equal(parse(" {\"a\": {\"x\": [1, 2, {\"y\": []}]}, \"b\" : true, "
	                       "\"c\": \"t\\u00e9\\n\", \"d\": -1.5e+3, \"e\":null} "), OK);
	int x = json_get(&doc, json_get(&doc, 0, "a"), "x");
	assert_int_equal(json_count(&doc, x), 3);
	assert_int_equal(json_count(&doc, 0), 5);
	assert_int_equal(json_get_u64(&doc, json_item(&doc, x, 1), "x", &n), OK);
	assert_int_equal(n, 2);
	assert_int_equal(json_type_of(&doc, json_item(&doc, x, 2)), JSON_OBJECT);
	assert_int_equal(json_item(&doc, x, 3), -1);
	assert_int_equal(json_get_bool(&doc, json_get(&doc, 0, "b"), "b", &b), OK);
	assert_true(b);
	assert_int_equal(json_get_string(&doc, json_get(&doc, 0, "c"), "c", s, sizeof(s)), OK);
	assert_string_equal(s, "t\xc3\xa9\n");
	assert_int_equal(json_type_of(&doc, json_get(&doc, 0, "e")), JSON_NULL);
	assert_int_equal(json_get(&doc, 0, "y"), -1);           /* of a child, not of this object */
	assert_int_equal(json_get(&doc, x, "y"), -1);
}

static void reader_refuses_what_is_not_json(void **state)
{
	static const char *const bad[] = {
		"", " ", "{", "}", "[1,2", "[1 2]", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}",
		"{\"a\":1,}", "{a:1}", "{\"a\" 1}",
		"{1:2}", "[1]]", "[1] x", "{\"a\":1 \"b\":2}", "{\"a\":1,\"a\":2}", "[nul]",
		"[True]", "[01]", "[1.]", "[.5]", "[1e]", "[+1]", "[--1]",
		"\"a", "\"\\x\"", "\"\\u12g4\"", "[\"a\" \"b\"]", "{\"a\":1]", "[1}",
		"\"tab\there\"", "{\"a\"::1}", "[:]", "{:}",
		"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "{\"a\":\"b\":\"c\"}", "{\"a\",\"b\"}",
		"[\"a\":1]",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(bad); i++)
		if (parse(bad[i]) != ERR_BAD_FORMAT)
			fail_msg("taken for JSON: %s", bad[i]);
	assert_int_equal(json_parse(&doc, "1\0", 2), ERR_BAD_FORMAT);
	assert_int_equal(parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"), OK);
	static const char *const good[] = { "[0]", "[-0,1.5]", "[1e9]", "\"\"", "[]", "{}",
	                                    "[null]", "{\"a\":true}", "[[],{}]", "[10 ]" };
	for (unsigned i = 0; i < COUNT(good); i++)
		if (parse(good[i]) != OK)
			fail_msg("refused: %s: %s", good[i], err_reason());
}

static void reader_counts_its_tokens(void **state)
{
	char many[3 * JSON_TOKENS_MAX] = "[";

	(void)state;
	for (int i = 0; i < JSON_TOKENS_MAX; i++)
		strcat(many, i ? ",1" : "1");
	strcat(many, "]");
	assert_int_equal(parse(many), ERR_BAD_FORMAT);
	assert_non_null(strstr(err_reason(), "256"));
}

static void values_are_checked_and_named(void **state)
{
	uint64_t n;
	bool b;
	char s[4];

	(void)state;
	parse("{\"neg\":-1,\"frac\":1.0,\"huge\":18446744073709551616,"
	      "\"max\":18446744073709551615,\"s\":\"abcd\",\"bad\":\"\\ud800\","
	      "\"nul\":\"\\u0000\",\"pair\":\"\\ud83d\\ude00\"}");
	assert_int_equal(json_get_u64(&doc, json_get(&doc, 0, "neg"), "neg", &n), ERR_BAD_ARGUMENT);
	assert_int_equal(json_get_u64(&doc, json_get(&doc, 0, "frac"), "frac", &n),
	                 ERR_BAD_ARGUMENT);
	assert_int_equal(json_get_u64(&doc, json_get(&doc, 0, "huge"), "huge", &n),
	                 ERR_BAD_ARGUMENT);
	assert_int_equal(json_get_u64(&doc, json_get(&doc, 0, "max"), "max", &n), OK);
	assert_int_equal(n, UINT64_MAX);
	assert_int_equal(json_get_u64(&doc, json_get(&doc, 0, "gone"), "gone", &n),
	                 ERR_BAD_ARGUMENT);
	assert_string_equal(err_reason(), "\"gone\" is missing");
	assert_int_equal(json_get_u64(&doc, json_get(&doc, 0, "s"), "s", &n), ERR_BAD_ARGUMENT);
	assert_int_equal(json_get_bool(&doc, json_get(&doc, 0, "s"), "s", &b), ERR_BAD_ARGUMENT);
	assert_int_equal(json_get_string(&doc, json_get(&doc, 0, "s"), "s", s, sizeof(s)),
	                 ERR_BAD_ARGUMENT);
	assert_string_equal(err_reason(), "\"s\" is longer than 3 characters");
	assert_int_equal(json_get_string(&doc, json_get(&doc, 0, "bad"), "bad", s, sizeof(s)),
	                 ERR_BAD_ARGUMENT);
	assert_int_equal(json_get_string(&doc, json_get(&doc, 0, "nul"), "nul", s, sizeof(s)),
	                 ERR_BAD_ARGUMENT);
	char wide[8];
	assert_int_equal(json_get_string(&doc, json_get(&doc, 0, "pair"), "pair", wide,
	                                 sizeof(wide)), OK);
	assert_string_equal(wide, "\xf0\x9f\x98\x80");
}

static void only_names_the_stranger(void **state)
{
	static const char *const known[] = { "a", "b", NULL };

	(void)state;
	parse("{\"a\":1,\"bb\":2}");
	assert_int_equal(json_only(&doc, 0, known, "the definition"), ERR_BAD_ARGUMENT);
	assert_string_equal(err_reason(), "the definition has no member \"bb\"");
	parse("{\"a\":1}");
	assert_int_equal(json_only(&doc, 0, known, "the definition"), OK);
	parse("[]");
	assert_int_equal(json_only(&doc, 0, known, "the definition"), ERR_BAD_ARGUMENT);
}

/* Whatever the bytes are: no access outside, and what was accepted can be walked. */
static void mutated_texts_do_no_harm(void **state)
{
	static const char base[] =
		"{\"name\": \"demo\", \"memory\": 96, \"boot\": "
		"{\"kernel\": \"vm\\u0041\", \"list\": [1, true, null]}, \"n\": [{}]}";
	static const char odd[] = "{}[]\":,\\u\"0 1e-tn";
	unsigned accepted = 0;

	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t len = sizeof(base) - 1 - (size_t)(rand() % 3 == 0 ? rand() % 40 : 0);
		char *text = malloc(len), out[64];

		memcpy(text, base, len);
		for (int k = rand() % 4; k >= 0; k--)
			text[(size_t)rand() % len] = rand() % 2
				? odd[(size_t)rand() % (sizeof(odd) - 1)] : (char)rand();
		if (json_parse(&doc, text, len) == OK) {
			accepted++;
			for (unsigned i = 0; i < doc.n; i++) {
				assert_true(doc.token[i].end <= len &&
				            doc.token[i].start <= doc.token[i].end &&
				            doc.token[i].next <= doc.n);
				json_get_string(&doc, (int)i, "x", out, sizeof(out));
				json_get(&doc, (int)i, "kernel");
			}
		}
		free(text);
	}
	assert_true(accepted > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writer_puts_commas_quotes_and_escapes),
		cmocka_unit_test(writer_keeps_utf8_and_escapes_other_bytes),
		cmocka_unit_test(writer_that_is_full_says_so_and_stays_inside),
		cmocka_unit_test(reader_finds_members_and_items),
		cmocka_unit_test(reader_refuses_what_is_not_json),
		cmocka_unit_test(reader_counts_its_tokens),
		cmocka_unit_test(values_are_checked_and_named),
		cmocka_unit_test(only_names_the_stranger),
		cmocka_unit_test(mutated_texts_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
