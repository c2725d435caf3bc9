/* SPDX-License-Identifier: MIT */
/*
 * net/session.c - the life of one HTTP connection, without a network.
 *
 * Requests are taken one at a time: while a response is on its way, session_input() takes nothing,
 * so what a client sends ahead waits in TCP's window and memory stays bounded.  Every refusal is a
 * status and a sentence; when the rest of the bytes can no longer be understood the connection ends
 * after it.  Read next: net/ctl.c (lwIP), boot/commands.c (the routes).
 */
#include "net/session.h"

#include <stdarg.h>
#include <string.h>

#include "lib/fmt.h"
#include "lib/log.h"
#include "net/route.h"

#define JSON_TYPE "application/json"
#define LIST_PATH "/v1"

/*
 * What `run` reads while it writes over the collected body: one for handlers, which do not wait,
 * and one for the slow handler that is at work.
 */
static char body_copy[CTL_BODY_MAX + 1], slow_body_copy[CTL_BODY_MAX + 1];

void session_open(struct session *s, const struct ctl_route *routes, unsigned nroutes)
{
	memset(s, 0, offsetof(struct session, head_buf));
	s->routes = routes;
	s->nroutes = nroutes;
}

/* --- Responses ------------------------------------------------------------------------------- */

static enum http_status status_of(enum err e)
{
	switch (e) {
	case OK:                 return HTTP_200;
	case ERR_BAD_FORMAT:
	case ERR_BAD_ARGUMENT:   return HTTP_400;
	case ERR_NOT_FOUND:      return HTTP_404;
	case ERR_EXISTS:
	case ERR_BUSY:
	case ERR_REFUSED:
	case ERR_CANCELLED:      return HTTP_409;
	case ERR_NOT_SUPPORTED:  return HTTP_501;
	case ERR_LINK_LOST:      return HTTP_502;
	case ERR_TIMEOUT:        return HTTP_504;
	case ERR_NO_MEMORY:      return HTTP_507;
	default:                 return HTTP_500;
	}
}

static void response_begin(struct session *s, struct ctl_response *rs)
{
	*rs = (struct ctl_response){ .content_type = JSON_TYPE };
	json_begin(&rs->json, s->reply_buf + SESSION_REPLY_HEAD, CTL_BODY_MAX);
}

/* Put the head right in front of the body, wherever that makes it begin. */
static void response_end(struct session *s, struct ctl_response *rs)
{
	char head[SESSION_REPLY_HEAD];
	struct http_reply reply = {
		.status = rs->status, .content_type = rs->content_type, .extra = rs->headers,
		.content_length = rs->json.len, .close = s->close || !s->head.keep_alive,
	};
	size_t len = http_format(head, sizeof(head), &reply);

	ASSERT(len > 0);
	s->close = reply.close;
	s->reply_at = SESSION_REPLY_HEAD - len;
	s->reply_end = SESSION_REPLY_HEAD;
	if (strcmp(s->head.method, "HEAD") != 0 && rs->status != HTTP_204)
		s->reply_end += rs->json.len;
	memcpy(s->reply_buf + s->reply_at, head, len);
	s->state = SESSION_REPLY;
}

static void write_error(struct session *s, struct ctl_response *rs, unsigned status,
			const char *sentence)
{
	response_begin(s, rs);
	rs->status = status;
	json_object(&rs->json, NULL);
	json_string(&rs->json, "error", sentence);
	json_object_end(&rs->json);
}

static void answer_error(struct session *s, unsigned status, const char *sentence)
{
	struct ctl_response rs;

	write_error(s, &rs, status, sentence);
	response_end(s, &rs);
}

/* As above, when the rest of what the client sends cannot or will not be understood. */
static void answer_and_close(struct session *s, unsigned status, const char *sentence)
{
	s->close = true;
	answer_error(s, status, sentence);
}

/* GET /v1, the list of routes, is ours unless the table has its own. */
static bool is_list(const struct session *s)
{
	for (unsigned i = 0; i < s->nroutes; i++)
		if (strcmp(s->routes[i].path, LIST_PATH) == 0)
			return false;
	return strcmp(s->head.path, LIST_PATH) == 0;
}

static void add_allowed(struct session *s, struct ctl_response *rs)
{
	char allowed[CTL_HEADERS_MAX / 2] = "OPTIONS, GET, HEAD";

	if (!is_list(s))
		route_allowed(s->routes, s->nroutes, s->head.path, allowed, sizeof(allowed));
	ctl_header(rs, "Allow", "%s", allowed);
}

static void answer_options(struct session *s)
{
	struct ctl_response rs;

	response_begin(s, &rs);
	rs.status = HTTP_200;
	add_allowed(s, &rs);
	response_end(s, &rs);
}

static void answer_no_method(struct session *s)
{
	struct ctl_response rs;

	write_error(s, &rs, HTTP_405, "this resource does not take this method; see Allow");
	add_allowed(s, &rs);
	response_end(s, &rs);
}

static void answer_list(struct session *s)
{
	struct ctl_response rs;

	if (strcmp(s->head.method, "GET") != 0 && strcmp(s->head.method, "HEAD") != 0)
		return answer_no_method(s);
	response_begin(s, &rs);
	rs.status = HTTP_200;
	route_list(s->routes, s->nroutes, &rs.json);
	response_end(s, &rs);
}

/* --- Running a request ----------------------------------------------------------------------- */

/* Do it and answer. */
static void run_now(struct session *s, char *body)
{
	struct ctl_response rs;

	memcpy(body, s->reply_buf, s->collected);
	body[s->collected] = 0;
	s->request.body = body;
	s->request.body_len = s->collected;
	response_begin(s, &rs);
	enum err e = s->route->run(&s->request, &rs);

	if (e != OK)
		write_error(s, &rs, status_of(e), err_reason());
	else if (rs.json.overflow)
		write_error(s, &rs, HTTP_500, "the answer is longer than an answer may be");
	else if (rs.json.len == 0 && strcmp(rs.content_type, JSON_TYPE) == 0)
		ctl_append(&rs, "{}", 2);
	if (rs.status == 0)
		rs.status = HTTP_200;
	response_end(s, &rs);
}

/* The whole body is here, or went to the route's data function. */
static void run_request(struct session *s)
{
	if (s->route->slow)
		s->state = SESSION_WORK;
	else
		run_now(s, body_copy);
}

void session_work(struct session *s)
{
	ASSERT(s->state == SESSION_WORK);
	run_now(s, slow_body_copy);
}

static void begin_body(struct session *s)
{
	s->body_left = s->head.content_length;
	s->state = s->route->data ? SESSION_UPLOAD : SESSION_BODY;
	if (s->head.expects_continue && s->body_left > 0)
		s->interim = http_continue;
	if (s->body_left == 0)
		run_request(s);
}

static bool may_have_body(const struct session *s)
{
	return strcmp(s->request.method, "GET") != 0 && strcmp(s->request.method, "DELETE") != 0;
}

static void begin_request(struct session *s)
{
	s->request.method = s->route->method;
	s->request.query = s->head.query;
	s->request.content_length = s->head.content_length;
	if (s->route->data && !s->head.has_length)
		return answer_and_close(s, HTTP_411, "an upload says Content-Length");
	if (!s->route->data && s->head.content_length > (may_have_body(s) ? CTL_BODY_MAX : 0))
		return answer_and_close(s, HTTP_413, "the body is longer than this request takes");
	if (s->route->begin) {
		enum err e = s->route->begin(&s->request);

		if (e != OK)
			return answer_and_close(s, status_of(e), err_reason());
	}
	begin_body(s);
}

/* A request's head is whole and sound: whose is it? */
static void dispatch(struct session *s)
{
	bool unread = s->head.content_length > 0;

	memset(&s->request, 0, sizeof(s->request));
	s->collected = 0;
	s->close = unread;                      /* unless a route takes the body */
	if (strcmp(s->head.method, "OPTIONS") == 0)
		return answer_options(s);
	if (is_list(s))
		return answer_list(s);

	switch (route_find(s->routes, s->nroutes, s->head.method, s->head.path, &s->route,
			   s->request.param)) {
	case ROUTE_NO_PATH:
		return answer_error(s, HTTP_404, "there is no such resource; GET /v1 lists them");
	case ROUTE_NO_METHOD:
		return answer_no_method(s);
	case ROUTE_BAD_PATH:
		return answer_error(s, HTTP_400, "a name in the path is too long or ill encoded");
	case ROUTE_FOUND:
		s->close = false;
		begin_request(s);
	}
}

/* --- Bytes in -------------------------------------------------------------------------------- */

static size_t take_head(struct session *s, const char *data, size_t len)
{
	size_t old_len = s->head_len, n = MIN(len, SESSION_HEAD_MAX - old_len), head_len = 0;
	enum http_status status;
	const char *why;

	memcpy(s->head_buf + old_len, data, n);
	s->head_len += n;
	switch (http_parse(s->head_buf, s->head_len, old_len, &s->head, &head_len, &status, &why)) {
	case HTTP_PARTIAL:
		if (s->head_len < SESSION_HEAD_MAX)
			break;
		s->head = (struct http_head){ 0 };
		if (memchr(s->head_buf, '\n', s->head_len))
			answer_and_close(s, HTTP_431, "the headers are longer than 8 KiB");
		else
			answer_and_close(s, HTTP_414, "the request line is longer than 8 KiB");
		break;
	case HTTP_BAD:
		s->head.keep_alive = false;
		answer_and_close(s, status, why);
		break;
	case HTTP_COMPLETE:
		n = head_len - old_len;         /* the rest is body, or the next request */
		s->head_len = 0;
		dispatch(s);
	}
	return n;
}

static size_t take_body(struct session *s, const char *data, size_t len)
{
	size_t n = (size_t)MIN((uint64_t)len, s->body_left);

	memcpy(s->reply_buf + s->collected, data, n);
	s->collected += n;
	s->body_left -= n;
	if (s->body_left == 0)
		run_request(s);
	return n;
}

static size_t take_upload(struct session *s, const char *data, size_t len)
{
	size_t n = (size_t)MIN((uint64_t)len, s->body_left);
	enum err e = s->route->data(&s->request, data, n);

	s->body_left -= n;
	if (e != OK) {
		char reason[REASON_MAX];

		fmt_format(reason, sizeof(reason), "%s", err_reason());
		s->route->abort(&s->request);
		answer_and_close(s, status_of(e), reason);
	} else if (s->body_left == 0) {
		run_request(s);
	}
	return n;
}

size_t session_input(struct session *s, const void *data, size_t len)
{
	const char *p = data;
	size_t taken = 0;

	while (taken < len) {
		switch (s->state) {
		case SESSION_HEAD:
			taken += take_head(s, p + taken, len - taken);
			break;
		case SESSION_BODY:
			taken += take_body(s, p + taken, len - taken);
			break;
		case SESSION_UPLOAD:
			taken += take_upload(s, p + taken, len - taken);
			break;
		case SESSION_WORK:
		case SESSION_REPLY:
		case SESSION_OVER:
			return taken;
		}
	}
	return taken;
}

/* --- Bytes out ------------------------------------------------------------------------------- */

size_t session_output(const struct session *s, const char **data)
{
	if (s->interim) {
		*data = s->interim;
		return strlen(s->interim);
	}
	*data = s->reply_buf + s->reply_at;
	return s->state == SESSION_REPLY ? s->reply_end - s->reply_at : 0;
}

void session_written(struct session *s, size_t len)
{
	if (s->interim) {
		s->interim += len;
		if (!*s->interim)
			s->interim = NULL;
		return;
	}
	s->reply_at += len;
	ASSERT(s->reply_at <= s->reply_end);
}

void session_acked(struct session *s)
{
	if (s->state == SESSION_REPLY && !s->interim && s->reply_at == s->reply_end)
		s->state = s->close ? SESSION_OVER : SESSION_HEAD;
}

bool session_over(const struct session *s)
{
	return s->state == SESSION_OVER;
}

void session_abandon(struct session *s)
{
	if (s->state == SESSION_UPLOAD)
		s->route->abort(&s->request);
	s->state = SESSION_OVER;
}

/* --- For handlers ---------------------------------------------------------------------------- */

void ctl_header(struct ctl_response *rs, const char *name, const char *format, ...)
{
	char value[CTL_HEADERS_MAX];
	size_t len = strlen(rs->headers);
	va_list args;

	va_start(args, format);
	fmt_vformat(value, sizeof(value), format, args);
	va_end(args);
	int n = fmt_format(rs->headers + len, sizeof(rs->headers) - len, "%s: %s\r\n", name, value);

	ASSERT((size_t)n < sizeof(rs->headers) - len);
}

size_t ctl_room(const struct ctl_response *rs)
{
	return rs->json.size - rs->json.len;
}

void ctl_append(struct ctl_response *rs, const void *bytes, size_t len)
{
	ASSERT(len <= ctl_room(rs));
	memcpy(rs->json.buf + rs->json.len, bytes, len);
	rs->json.len += len;
}
