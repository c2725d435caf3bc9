/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_session.c - a whole HTTP connection without a network: what clients send, in
 * pieces of any size, and what they get back; uploads that break off; hostile bytes.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "lib/fmt.h"
#include "net/session.h"

static struct session session;
static char out[4 * CTL_BODY_MAX];
static size_t out_len;

/* --- A service ------------------------------------------------------------------------------- */

static struct { unsigned begun, ended, aborted; uint64_t bytes; uint8_t sum; } upload;

static enum err get_thing(struct ctl_request *rq, struct ctl_response *rs)
{
	uint64_t n;
	enum err e = ctl_query_u64(rq, "n", 0, &n);

	if (e != OK)
		return e;
	if (strcmp(rq->param[0], "missing") == 0)
		return refuse(ERR_NOT_FOUND, "there is no \"%s\"", rq->param[0]);
	json_object(&rs->json, NULL);
	json_string(&rs->json, "name", rq->param[0]);
	json_u64(&rs->json, "n", n);
	json_object_end(&rs->json);
	ctl_header(rs, "X-Next", "%u", 5);
	return OK;
}

static enum err post_echo(struct ctl_request *rq, struct ctl_response *rs)
{
	assert_int_equal(rq->body[rq->body_len], 0);
	rs->status = HTTP_201;
	rs->content_type = "text/plain";
	ctl_append(rs, rq->body, rq->body_len);
	return OK;
}

static enum err get_endless(struct ctl_request *rq, struct ctl_response *rs)
{
	(void)rq;
	json_array(&rs->json, NULL);
	for (unsigned i = 0; i < CTL_BODY_MAX; i++)
		json_u64(&rs->json, NULL, i);
	json_array_end(&rs->json);
	return OK;
}

static enum err post_nothing(struct ctl_request *rq, struct ctl_response *rs)
{
	(void)rq;
	(void)rs;
	return OK;
}

static enum err delete_thing(struct ctl_request *rq, struct ctl_response *rs)
{
	rs->status = HTTP_204;
	if (strcmp(rq->param[0], "missing") == 0)
		return refuse(ERR_NOT_FOUND, "there is no \"%s\"", rq->param[0]);
	return OK;
}

static enum err put_begin(struct ctl_request *rq)
{
	if (rq->content_length > 1000)
		return refuse(ERR_NO_MEMORY, "no room for %lu bytes",
		              (unsigned long)rq->content_length);
	memset(&upload, 0, sizeof(upload));
	upload.begun = 1;
	rq->upload = &upload;
	return OK;
}

static enum err put_data(struct ctl_request *rq, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	assert_ptr_equal(rq->upload, &upload);
	upload.bytes += len;
	for (size_t i = 0; i < len; i++) {
		upload.sum += p[i];
		if (p[i] == '!')
			return refuse(ERR_BAD_FORMAT, "an exclamation mark");
	}
	return OK;
}

static enum err put_end(struct ctl_request *rq, struct ctl_response *rs)
{
	upload.ended++;
	assert_int_equal(upload.bytes, rq->content_length);
	json_object(&rs->json, NULL);
	json_u64(&rs->json, "bytes", upload.bytes);
	json_object_end(&rs->json);
	return OK;
}

static void put_abort(struct ctl_request *rq)
{
	(void)rq;
	upload.aborted++;
	(void)refuse(ERR_BUSY, "this sentence must not reach the client");
}

static struct session other;             /* whose request is done while a slow one waits */
static void talk_to_other(void);

static enum err post_slow(struct ctl_request *rq, struct ctl_response *rs)
{
	talk_to_other();
	json_object(&rs->json, NULL);
	json_string(&rs->json, "slow", rq->body);
	json_object_end(&rs->json);
	return strcmp(rq->body, "bad") ? OK : refuse(ERR_BUSY, "not now");
}

static const struct ctl_route routes[] = {
	{ .method = "GET", .path = "/v1/things/{}", .help = "one thing", .run = get_thing },
	{ .method = "POST", .path = "/v1/echo", .help = "says it back", .run = post_echo },
	{ .method = "POST", .path = "/v1/slow", .help = "in its own time", .run = post_slow,
	  .slow = true },
	{ .method = "GET", .path = "/v1/endless", .help = "too much", .run = get_endless },
	{ .method = "DELETE", .path = "/v1/things/{}", .help = "away", .run = delete_thing },
	{ .method = "POST", .path = "/v1/nothing", .help = "nothing", .run = post_nothing },
	{ .method = "PUT", .path = "/v1/images/{}", .help = "upload", .run = put_end,
	  .begin = put_begin, .data = put_data, .abort = put_abort },
};

/* --- A client -------------------------------------------------------------------------------- */

static void collect(void)
{
	const char *data;
	size_t len;

	while ((len = session_output(&session, &data)) > 0) {
		size_t n = len > 7 ? len / 2 : len;     /* TCP takes what it likes */

		assert_true(out_len + n < sizeof(out));
		memcpy(out + out_len, data, n);
		out_len += n;
		session_written(&session, n);
	}
	out[out_len] = 0;
	session_acked(&session);
}

/* Send in pieces of `step` bytes; returns how much the session took before it was over. */
static size_t talk(const char *text, size_t len, size_t step)
{
	size_t at = 0;

	memset(&upload, 0, sizeof(upload));
	session_open(&session, routes, COUNT(routes));
	out_len = 0;
	while (at < len && !session_over(&session)) {
		size_t n = len - at < step ? len - at : step;
		char *piece = malloc(n);                /* exactly as long, for ASan */

		memcpy(piece, text + at, n);
		at += session_input(&session, piece, n);
		free(piece);
		collect();
	}
	collect();
	return at;
}

static void expect_status(const char *what, unsigned status)
{
	char want[32];

	fmt_format(want, sizeof(want), "HTTP/1.1 %u ", status);
	if (strncmp(out, want, strlen(want)) != 0)
		fail_msg("%s: not %u but %.60s", what, status, out);
}

static const char *body(void)
{
	const char *blank = strstr(out, "\r\n\r\n");

	return blank ? blank + 4 : "";
}

static void talk_to_other(void)
{
	static const char text[] = "POST /v1/echo HTTP/1.1\r\nHost: a\r\n"
				   "Content-Length: 5\r\n\r\nquick";
	const char *data;

	session_open(&other, routes, COUNT(routes));
	assert_int_equal(session_input(&other, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_true(session_output(&other, &data) > 0);
	assert_non_null(strstr(data, "quick"));
}

#define REQUEST(line, more) line " HTTP/1.1\r\nHost: godwit\r\n" more "\r\n"

static void session_answers_whatever_the_pieces(void **state)
{
	static const struct { const char *text; unsigned status; const char *body; } cases[] = {
		{ REQUEST("GET /v1/things/a%20b?n=7", ""), 200, "{\"name\":\"a b\",\"n\":7}" },
		{ REQUEST("HEAD /v1/things/x", ""), 200, "" },
		{ REQUEST("GET /v1/things/missing", ""), 404,
		  "{\"error\":\"there is no \\\"missing\\\"\"}" },
		{ REQUEST("GET /v1/things/x?n=y", ""), 400,
		  "{\"error\":\"n in the query is not a number\"}" },
		{ REQUEST("GET /nowhere", ""), 404,
		  "{\"error\":\"there is no such resource; GET /v1 lists them\"}" },
		{ REQUEST("DELETE /v1/echo", ""), 405,
		  "{\"error\":\"this resource does not take this method; see Allow\"}" },
		{ REQUEST("BREW /v1", ""), 405,
		  "{\"error\":\"this resource does not take this method; see Allow\"}" },
		{ REQUEST("POST /v1/echo", "Content-Length: 5\r\n") "hello", 201, "hello" },
		{ REQUEST("POST /v1/echo", ""), 201, "" },
		{ REQUEST("POST /v1/nothing", "Content-Length: 2\r\n") "{}", 200, "{}" },
		{ REQUEST("GET /v1/endless", ""), 500,
		  "{\"error\":\"the answer is longer than an answer may be\"}" },
		{ REQUEST("PUT /v1/images/a", "Content-Length: 4\r\n") "abcd", 200,
		  "{\"bytes\":4}" },
		{ REQUEST("PUT /v1/images/a", "Content-Length: 0\r\n"), 200, "{\"bytes\":0}" },
		{ REQUEST("PUT /v1/images/a", ""), 411,
		  "{\"error\":\"an upload says Content-Length\"}" },
		{ REQUEST("PUT /v1/images/a", "Content-Length: 1001\r\n") "x", 507,
		  "{\"error\":\"no room for 1001 bytes\"}" },
		{ REQUEST("PUT /v1/images/a", "Content-Length: 4\r\n") "a!cd", 400,
		  "{\"error\":\"an exclamation mark\"}" },
		{ REQUEST("POST /v1/echo", "Content-Length: 65537\r\n"), 413,
		  "{\"error\":\"the body is longer than this request takes\"}" },
		{ REQUEST("OPTIONS *", ""), 200, "" },
		{ REQUEST("DELETE /v1/things/a", ""), 204, "" },
		{ REQUEST("DELETE /v1/things/missing", ""), 404,
		  "{\"error\":\"there is no \\\"missing\\\"\"}" },
	};

	(void)state;
	for (size_t step = 1; step < 200; step += step < 40 ? 1 : 53) {
		for (unsigned i = 0; i < COUNT(cases); i++) {
			talk(cases[i].text, strlen(cases[i].text), step);
			expect_status(cases[i].text, cases[i].status);
			if (strcmp(body(), cases[i].body) != 0)
				fail_msg("%s in %zu: %s", cases[i].text, step, body());
			assert_int_equal(upload.begun, upload.ended + upload.aborted);
		}
	}
}

static void session_says_what_is_allowed(void **state)
{
	static const char text[] = REQUEST("DELETE /v1/echo", "");

	(void)state;
	talk(text, strlen(text), 1000);
	assert_non_null(strstr(out, "\r\nAllow: OPTIONS, POST\r\n"));
}

static void session_says_nothing_of_no_content(void **state)   /* RFC 9110, "204 No Content" */
{
	static const char text[] = REQUEST("DELETE /v1/things/a", "");

	(void)state;
	talk(text, strlen(text), 1000);
	assert_null(strstr(out, "Content-"));
}

static void session_lists_its_routes(void **state)
{
	static const char text[] = REQUEST("GET /v1", "");

	(void)state;
	talk(text, strlen(text), 1000);
	expect_status("GET /v1", 200);
	assert_non_null(strstr(out,
	                       "{\"method\":\"PUT\",\"path\":\"/v1/images/{}\","
	                       "\"help\":\"upload\"}"));
}

static void session_takes_requests_one_after_another(void **state)
{
	static const char text[] = REQUEST("GET /v1/things/a", "") REQUEST("POST /v1/echo",
	        "Content-Length: 3\r\n")
		"abc" REQUEST("GET /v1/things/b",
		              "Connection: close\r\n") REQUEST("GET /v1/things/never", "");

	(void)state;
	for (size_t step = 1; step < sizeof(text); step += 11) {
		size_t taken = talk(text, strlen(text), step);

		assert_int_equal(taken, strlen(text) - strlen(REQUEST("GET /v1/things/never", "")));
		assert_non_null(strstr(out, "\"a\""));
		assert_non_null(strstr(out, "\r\n\r\nabcHTTP/1.1 200"));
		assert_non_null(strstr(out, "Connection: close\r\n\r\n{\"name\":\"b\""));
		assert_null(strstr(out, "never"));
		assert_true(session_over(&session));
	}
}

static void session_takes_nothing_while_it_answers(void **state)
{
	static const char text[] = REQUEST("GET /v1/things/a", "");
	const char *data;

	(void)state;
	session_open(&session, routes, COUNT(routes));
	assert_int_equal(session_input(&session, text, strlen(text)), strlen(text));
	assert_int_equal(session_input(&session, text, strlen(text)), 0);
	session_acked(&session);                        /* of something older: not yet written */
	assert_int_equal(session_input(&session, text, strlen(text)), 0);
	session_written(&session, session_output(&session, &data));
	assert_int_equal(session_input(&session, text, strlen(text)), 0);
	session_acked(&session);
	assert_int_equal(session_input(&session, text, strlen(text)), strlen(text));
}

/* A body that nobody reads must not be taken for a request (RFC 9112, "Request Smuggling"). */
static void session_runs_no_request_hidden_in_a_body(void **state)
{
	static const char *const hosts[] = {
		"POST /nowhere", "DELETE /v1/echo", "OPTIONS /v1/echo", "GET /v1/things/x",
		"GET /v1",
		"POST /v1/things/%zz",
	};
	static const char hidden[] = REQUEST("GET /v1/things/hidden", "");

	(void)state;
	for (unsigned i = 0; i < COUNT(hosts); i++) {
		char text[512];
		int len = fmt_format(text, sizeof(text),
		                     "%s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu"
				     "\r\n\r\n%s", hosts[i], strlen(hidden), hidden);

		talk(text, (size_t)len, 1000);
		if (strstr(out, "hidden") || !session_over(&session))
			fail_msg("%s: %s", hosts[i], out);
	}
}

static void session_says_continue_once(void **state)       /* RFC 9110, "Expect" */
{
	static const char text[] = REQUEST("PUT /v1/images/a",
	                                   "Content-Length: 3\r\nExpect: 100-continue\r\n") "abc";
	static const char refused[] = REQUEST("PUT /v1/images/a",
	                                      "Content-Length: 2000\r\nExpect: 100-continue\r\n");

	(void)state;
	talk(text, strlen(text), 10);
	expect_status("upload", 100);
	assert_non_null(strstr(out, "100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
	talk(refused, strlen(refused), 10);
	expect_status("refused upload", 507);
	assert_true(session_over(&session));
}

static void session_limits_heads(void **state)
{
	static char text[2 * SESSION_HEAD_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "GET /", 5);
	talk(text, sizeof(text), 1000);
	expect_status("long line", 414);
	assert_true(session_over(&session));
	memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
	talk(text, sizeof(text), 1000);
	expect_status("long headers", 431);
	assert_true(session_over(&session));
}

static void session_ends_a_broken_upload(void **state)
{
	static const char text[] = REQUEST("PUT /v1/images/a",
	                                   "Content-Length: 100\r\n") "half of it";

	(void)state;
	talk(text, strlen(text), 10);
	assert_int_equal(upload.begun, 1);
	session_abandon(&session);
	assert_int_equal(upload.aborted, 1);
	session_abandon(&session);
	assert_int_equal(upload.aborted, 1);
	assert_true(session_over(&session));
}

static void session_takes_the_longest_body(void **state)
{
	static char text[CTL_BODY_MAX + 200];
	static const char head[] = REQUEST("POST /v1/echo", "Content-Length: 65536\r\n");

	(void)state;
	_Static_assert(CTL_BODY_MAX == 65536, "as the request says");
	memset(text, 'b', sizeof(text));
	memcpy(text, head, strlen(head));
	talk(text, strlen(head) + CTL_BODY_MAX, 1460);
	expect_status("longest body", 201);
	assert_int_equal(strlen(body()), CTL_BODY_MAX);
}

/* Pieces of requests glued together and spoiled: never a crash, never an upload left half-made. */
static void session_survives_nonsense(void **state)
{
	static const char *const pieces[] = {
		"GET ", "PUT ", "HEAD ", "/v1/images/a", "/v1/things/%", "?n=", " HTTP/1.1\r\n",
		" HTTP/1.0\r\n",
		"Host: a\r\n", "Content-Length: 5\r\n", "Content-Length: 70000\r\n",
		"Expect: 100-continue\r\n",
		"\r\n", "\n", "\0", "!",
		"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
		"PUT /v1/images/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", "abcdefghi",
		"\xff\xfe",
		"Transfer-Encoding: chunked\r\n", "Connection: keep-alive\r\n",
		"Connection: close\r\n",
	};
	uint32_t seed = 12345;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		char text[1024];
		size_t len = 0;

		for (unsigned i = 0; i < 12; i++) {
			seed = seed * 1664525 + 1013904223;
			const char *p = pieces[(seed >> 16) % COUNT(pieces)];
			size_t n = *p ? strlen(p) : 1;

			memcpy(text + len, p, n);
			len += n;
		}
		if (round % 3 == 0)
			text[(seed >> 8) % len] = (char)seed;
		talk(text, len, 1 + (seed >> 24) % 64);
		session_abandon(&session);
		assert_int_equal(upload.begun, upload.ended + upload.aborted);
	}
}

/* A slow request waits for somebody with time; nothing more is taken, and others are served. */
static void session_waits_for_a_slow_request(void **state)
{
	static const char *const bodies[] = { "good", "bad" };
	const char *data;
	char text[256];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int len = fmt_format(text, sizeof(text), "POST /v1/slow HTTP/1.1\r\nHost: a\r\n"
		                     "Content-Length: %zu\r\n\r\n%s", strlen(bodies[i]), bodies[i]);

		talk(text, (size_t)len, 5);
		assert_int_equal(session.state, SESSION_WORK);
		assert_int_equal(session_output(&session, &data), 0);
		assert_int_equal(session_input(&session, "GET ", 4), 0);
		session_work(&session);
		collect();
		expect_status(bodies[i], i ? HTTP_409 : HTTP_200);
		assert_non_null(strstr(body(), i ? "not now" : "\"slow\":"));
		assert_true(i || strstr(body(), "good"));
		assert_int_equal(session.state, SESSION_HEAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session_answers_whatever_the_pieces),
		cmocka_unit_test(session_says_what_is_allowed),
		cmocka_unit_test(session_says_nothing_of_no_content),
		cmocka_unit_test(session_lists_its_routes),
		cmocka_unit_test(session_takes_requests_one_after_another),
		cmocka_unit_test(session_takes_nothing_while_it_answers),
		cmocka_unit_test(session_runs_no_request_hidden_in_a_body),
		cmocka_unit_test(session_says_continue_once),
		cmocka_unit_test(session_waits_for_a_slow_request),
		cmocka_unit_test(session_limits_heads),
		cmocka_unit_test(session_ends_a_broken_upload),
		cmocka_unit_test(session_takes_the_longest_body),
		cmocka_unit_test(session_survives_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
