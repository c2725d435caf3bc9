/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_http.c - heads of requests, good and hostile; routes; percent-encoding.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "net/http.h"
#include "net/route.h"

static enum http_status status;
static const char *why;

/* Parse a whole text in a buffer of exactly its size, so that ASan sees every step beyond it. */
static enum http_parsed parse(const char *text, size_t len, struct http_head *head,
                              size_t *head_len)
{
	static char *buf;

	free(buf);
	buf = malloc(len ? len : 1);
	memcpy(buf, text, len);
	return http_parse(buf, len, 0, head, head_len, &status, &why);
}

static void http_takes_good_requests(void **state)
{
	static const struct {
		const char *text, *method, *path, *query;
		bool keep_alive, expects, has_length;
		uint64_t length;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", true, false, false, 0 },
		{ "GET /v1/vms?from=1&x HTTP/1.1\r\nhost:a\r\n\r\n", "GET", "/v1/vms", "from=1&x",
		  true, false, false, 0 },
		{ "\r\nGET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a", "b?c", true, false,
		  false, 0 },
		{ "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 17 \r\n\r\n", "POST", "/v1", "",
		  true, false, true, 17 },
		{ "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-Continue\r\n"
		  "Connection: foo , Close\r\n\r\n", "PUT", "/x", "", false, true, true, 0 },
		{ "GET http://a.b:80/v1?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/v1", "q", true,
		  false, false, 0 },
		{ "GET /old HTTP/1.0\r\n\r\n", "GET", "/old", "", false, false, false, 0 },
		{ "GET /old HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/old", "", true,
		  false, false, 0 },
		{ "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "", true, false, false,
		  0 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct http_head h;
		size_t len = strlen(cases[i].text), head_len = 0;

		if (parse(cases[i].text, len, &h, &head_len) != HTTP_COMPLETE)
			fail_msg("case %u: %s", i, why ? why : "partial");
		assert_int_equal(head_len, len);
		assert_string_equal(h.method, cases[i].method);
		assert_string_equal(h.path, cases[i].path);
		assert_string_equal(h.query, cases[i].query);
		assert_int_equal(h.keep_alive, cases[i].keep_alive);
		assert_int_equal(h.expects_continue, cases[i].expects);
		assert_int_equal(h.has_length, cases[i].has_length);
		assert_int_equal(h.content_length, cases[i].length);
	}
}

static void http_refuses_bad_requests(void **state)
{
	static const struct { const char *text; enum http_status status; } cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", HTTP_400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HTTP_400 },
		{ "GET vms HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_400 },
		{ "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_400 },
		{ "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_400 },
		{ "GET / HTTP/2.0\r\nHost: a\r\n\r\n", HTTP_400 },
		{ "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", HTTP_400 },
		{ "PROPPATCH / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_501 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", HTTP_400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		  HTTP_400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", HTTP_400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", HTTP_400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", HTTP_400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\n", HTTP_400 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
		  HTTP_413 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_411 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n", HTTP_411 },
		{ "PUT / HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\n\r\n", HTTP_417 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct http_head h;
		size_t head_len;

		if (parse(cases[i].text, strlen(cases[i].text), &h, &head_len) != HTTP_BAD)
			fail_msg("case %u was taken", i);
		if (status != cases[i].status)
			fail_msg("case %u: %u, %s", i, status, why);
		assert_non_null(why);
	}
}

static void http_waits_for_the_whole_head(void **state)
{
	static const char text[] =
		"PUT /v1/images/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n";
	struct http_head h;
	size_t head_len;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		if (parse(text, len, &h, &head_len) != HTTP_PARTIAL)
			fail_msg("%zu bytes were enough", len);
}

/* Any byte changed to any of these: no crash, and a verdict. */
static void http_survives_changed_bytes(void **state)
{
	static const char text[] =
		"POST http://h/v1?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
				   "Expect: 100-continue\r\nConnection: a, close,\r\n\r\n";
	static const char bytes[] = { 0, '\r', '\n', ' ', '\t', ':', '/', '?', ',', '0', 'Z',
	                              '\x7f', '\xff' };

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (unsigned b = 0; b < COUNT(bytes); b++) {
			char changed[sizeof(text)];
			struct http_head h;
			size_t head_len = 0;

			memcpy(changed, text, sizeof(text));
			changed[i] = bytes[b];
			if (parse(changed, sizeof(text) - 1, &h, &head_len) == HTTP_COMPLETE)
				assert_in_range(head_len, 1, sizeof(text) - 1);
		}
	}
}

static void http_writes_a_head(void **state)
{
	struct http_reply r = { .status = HTTP_404, .content_type = "text/plain",
	                        .content_length = 7,
				.extra = "X-Next: 1\r\n", .close = true };
	char text[256];

	(void)state;
	size_t len = http_format(text, sizeof(text), &r);
	assert_int_equal(len, strlen(text));
	assert_string_equal(text,
	                    "HTTP/1.1 404 Not Found\r\nServer: godwit\r\n"
	                    "Content-Type: text/plain\r\n"
			    "Content-Length: 7\r\nCache-Control: no-store\r\nX-Next: 1\r\n"
			    "Connection: close\r\n\r\n");
	assert_int_equal(http_format(text, len, &r), 0);
}

static void http_decodes_percents(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "abc", "abc" }, { "", "" }, { "a%20b", "a b" }, { "%41%6a", "Aj" },
		{ "%2F", "/" },
		{ "%", NULL }, { "%4", NULL }, { "a%4", NULL }, { "%zz", NULL }, { "%00", NULL },
		{ "1234567", "1234567" }, { "12345678", NULL },
	};
	char to[8];

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		bool ok = http_decode(to, sizeof(to), cases[i].text, strlen(cases[i].text));

		if (ok != (cases[i].want != NULL) || (ok && strcmp(to, cases[i].want) != 0))
			fail_msg("%s", cases[i].text);
	}
}

/* --- Routes ---------------------------------------------------------------------------------- */

static const struct ctl_route table[] = {
	{ .method = "GET", .path = "/v1/vms" },
	{ .method = "POST", .path = "/v1/vms" },
	{ .method = "GET", .path = "/v1/vms/{}" },
	{ .method = "POST", .path = "/v1/vms/{}/start" },
	{ .method = "GET", .path = "/v1/a/{}/b/{}" },
};

static void route_finds_its_handler(void **state)
{
	static const struct { const char *method, *path; enum route_found want; int i; } cases[] = {
		{ "GET", "/v1/vms", ROUTE_FOUND, 0 },
		{ "POST", "/v1/vms", ROUTE_FOUND, 1 },
		{ "HEAD", "/v1/vms", ROUTE_FOUND, 0 },
		{ "DELETE", "/v1/vms", ROUTE_NO_METHOD, -1 },
		{ "GET", "/v1/vms/demo", ROUTE_FOUND, 2 },
		{ "GET", "/v1/vms/", ROUTE_NO_PATH, -1 },
		{ "GET", "/v1/vmsx", ROUTE_NO_PATH, -1 },
		{ "GET", "/v1", ROUTE_NO_PATH, -1 },
		{ "GET", "/v1/vms/demo/start", ROUTE_NO_METHOD, -1 },
		{ "POST", "/v1/vms/demo/start", ROUTE_FOUND, 3 },
		{ "POST", "/v1/vms/demo/start/", ROUTE_NO_PATH, -1 },
		{ "POST", "/v1/vms//start", ROUTE_NO_PATH, -1 },
		{ "GET", "/v1/vms/{}", ROUTE_FOUND, 2 },
		{ "GET", "/v1/vms/%zz", ROUTE_BAD_PATH, -1 },
		{ "GET", "/v1/vms/a%00b", ROUTE_BAD_PATH, -1 },
		{ "GET", "/v1/a/x/b/y", ROUTE_FOUND, 4 },
		{ "GET", "*", ROUTE_NO_PATH, -1 },
		{ "GET", "", ROUTE_NO_PATH, -1 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		char param[CTL_PARAMS_MAX][IMAGE_NAME_MAX];
		const struct ctl_route *r = NULL;
		enum route_found found = route_find(table, COUNT(table), cases[i].method,
						    cases[i].path, &r, param);

		if (found != cases[i].want)
			fail_msg("%s %s: %d", cases[i].method, cases[i].path, found);
		if (found == ROUTE_FOUND)
			assert_int_equal(r - table, cases[i].i);
	}
}

static void route_decodes_its_parts(void **state)
{
	char param[CTL_PARAMS_MAX][IMAGE_NAME_MAX], allowed[64], path[100];
	const struct ctl_route *r;

	(void)state;
	assert_int_equal(route_find(table, COUNT(table), "GET", "/v1/a/x%2fy/b/%41", &r, param),
	                 ROUTE_FOUND);
	assert_string_equal(param[0], "x/y");
	assert_string_equal(param[1], "A");
	route_allowed(table, COUNT(table), "/v1/vms", allowed, sizeof(allowed));
	assert_string_equal(allowed, "OPTIONS, GET, HEAD, POST");
	memset(path, 'x', sizeof(path));
	memcpy(path, "/v1/vms/", 8);
	path[8 + IMAGE_NAME_MAX - 1] = 0;
	assert_int_equal(route_find(table, COUNT(table), "GET", path, &r, param), ROUTE_FOUND);
	path[8 + IMAGE_NAME_MAX - 1] = 'x';
	path[8 + IMAGE_NAME_MAX] = 0;
	assert_int_equal(route_find(table, COUNT(table), "GET", path, &r, param), ROUTE_BAD_PATH);
}

static void query_gives_numbers(void **state)
{
	static const struct { const char *query; enum err e; uint64_t want; } cases[] = {
		{ "", OK, 7 }, { "from=12", OK, 12 }, { "a=1&from=12&b", OK, 12 },
		{ "xfrom=12", OK, 7 },
		{ "from", OK, 7 }, { "from=", ERR_BAD_ARGUMENT, 7 },
		{ "from=1x", ERR_BAD_ARGUMENT, 7 },
		{ "from=-1", ERR_BAD_ARGUMENT, 7 }, { "from=1&from=2", OK, 1 },
		{ "&&from=3&", OK, 3 },
		{ "from=99999999999999999999", ERR_BAD_ARGUMENT, 7 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct ctl_request rq = { .query = cases[i].query };
		uint64_t v = 0;
		enum err e = ctl_query_u64(&rq, "from", 7, &v);

		if (e != cases[i].e || v != cases[i].want)
			fail_msg("%s: %d, %llu", cases[i].query, e, (unsigned long long)v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_takes_good_requests),
		cmocka_unit_test(http_refuses_bad_requests),
		cmocka_unit_test(http_waits_for_the_whole_head),
		cmocka_unit_test(http_survives_changed_bytes),
		cmocka_unit_test(http_writes_a_head),
		cmocka_unit_test(http_decodes_percents),
		cmocka_unit_test(route_finds_its_handler),
		cmocka_unit_test(route_decodes_its_parts),
		cmocka_unit_test(query_gives_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
