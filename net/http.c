/* SPDX-License-Identifier: MIT */
/*
 * net/http.c - the head of an HTTP/1.1 request, checked; the head of a response, written.
 *
 * picohttpparser finds the pieces; here they are checked, because they come from anybody: one Host,
 * at most one Content-Length made of digits, no transfer coding (a sender must say how much comes),
 * no folded lines.  Whoever is unsure where a body ends closes the connection, so that no request
 * hides inside another one.  Called by net/session.c; tested on hostile input on the host.
 */
#include "net/http.h"

#include <string.h>

#include "lib/fmt.h"
#include "picohttpparser.h"

#define HEADERS_MAX       64
#define PICO_PARTIAL      (-2)
#define DECIMAL           10

const char http_continue[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* --- Comparing text that has a length -------------------------------------------------------- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	if (len != strlen(word))
		return false;
	for (size_t i = 0; i < len; i++)
		if (lower(text[i]) != word[i])
			return false;
	return true;
}

/* Does a comma-separated list hold `word`? */
static bool lists(const char *text, size_t len, const char *word)
{
	const char *end = text + len;

	while (text < end) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *stop = comma ? comma : end;
		const char *from = text, *to = stop;

		while (from < to && (*from == ' ' || *from == '\t'))
			from++;
		while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
			to--;
		if (is_word(from, (size_t)(to - from), word))
			return true;
		text = stop + 1;
	}
	return false;
}

/* --- Header fields --------------------------------------------------------------------------- */

/* What the checks below collect. */
struct fields {
	struct http_head *head;
	unsigned          hosts, lengths;
	bool              close, keep, coded;
	enum http_status  status;
	const char       *why;          /* NULL: nothing wrong so far */
};

static void wrong(struct fields *f, enum http_status status, const char *why)
{
	if (f->why)
		return;
	f->status = status;
	f->why = why;
}

static void take_length(struct fields *f, const char *value, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return wrong(f, HTTP_400, "Content-Length is not a number");
		if (v > (INT64_MAX - DECIMAL) / DECIMAL)
			return wrong(f, HTTP_413, "Content-Length is beyond any size");
		v = v * DECIMAL + (uint64_t)(value[i] - '0');
	}
	if (len == 0 || f->lengths++ > 0)
		return wrong(f, HTTP_400, "Content-Length is empty or there twice");
	f->head->has_length = true;
	f->head->content_length = v;
}

static void take_expect(struct fields *f, const char *value, size_t len)
{
	if (!is_word(value, len, "100-continue"))
		return wrong(f, HTTP_417, "only 100-continue can be expected here");
	f->head->expects_continue = true;
}

static void take_field(struct fields *f, const struct phr_header *h)
{
	const char *value = h->value;
	size_t len = h->value_len;

	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	if (!h->name) {
		wrong(f, HTTP_400, "a header line is folded");
	} else if (is_word(h->name, h->name_len, "host")) {
		f->hosts++;
	} else if (is_word(h->name, h->name_len, "content-length")) {
		take_length(f, value, len);
	} else if (is_word(h->name, h->name_len, "transfer-encoding")) {
		f->coded = true;
	} else if (is_word(h->name, h->name_len, "connection")) {
		f->close |= lists(value, len, "close");
		f->keep |= lists(value, len, "keep-alive");
	} else if (is_word(h->name, h->name_len, "expect")) {
		take_expect(f, value, len);
	}
}

/* --- The request line ------------------------------------------------------------------------ */

/* Cut the target, in place, into path and query; false: it is none of the forms that we take. */
static bool take_target(struct http_head *head, char *target, size_t len)
{
	static const char scheme[] = "http://";
	char *end = target + len, *mark;

	*end = 0;                               /* over the blank before the version */
	if (len > sizeof(scheme) - 1 && memcmp(target, scheme, sizeof(scheme) - 1) == 0) {
		target = strchr(target + sizeof(scheme) - 1, '/');      /* absolute form */
		if (!target)
			return false;
	}
	if (target[0] != '/' && strcmp(target, "*") != 0)
		return false;
	mark = strchr(target, '?');
	head->path = target;
	head->query = mark ? mark + 1 : end;
	if (mark)
		*mark = 0;
	return true;
}

static void take_line(struct fields *f, const char *method, size_t method_len, const char *target,
		      size_t target_len)
{
	if (method_len >= HTTP_METHOD_MAX)
		return wrong(f, HTTP_501, "no such method here");
	memcpy(f->head->method, method, method_len);
	f->head->method[method_len] = 0;
	if (!take_target(f->head, (char *)target, target_len))
		wrong(f, HTTP_400, "the request's target is not a path");
}

static void conclude(struct fields *f, int minor_version)
{
	if (minor_version >= 1 && f->hosts != 1)
		wrong(f, HTTP_400, "a request has one Host line");
	if (f->coded)
		wrong(f, HTTP_411, "say Content-Length; transfer codings are not taken here");
	f->head->keep_alive = !f->close && (minor_version >= 1 || f->keep);
	if (minor_version < 1)
		f->head->expects_continue = false;      /* RFC 9110, "Expect" */
}

enum http_parsed http_parse(char *buf, size_t len, size_t old_len, struct http_head *out,
			    size_t *head_len, enum http_status *status, const char **why)
{
	struct phr_header headers[HEADERS_MAX];
	const char *method, *target;
	size_t method_len, target_len, n = HEADERS_MAX;
	int minor_version;
	int parsed = phr_parse_request(buf, len, &method, &method_len, &target, &target_len,
				       &minor_version, headers, &n, old_len);

	if (parsed == PICO_PARTIAL)
		return HTTP_PARTIAL;
	*out = (struct http_head){ 0 };
	struct fields f = { .head = out };
	if (parsed <= 0) {
		wrong(&f, HTTP_400, "this is not a request of HTTP/1.1");
	} else {
		for (size_t i = 0; i < n; i++)
			take_field(&f, &headers[i]);
		take_line(&f, method, method_len, target, target_len);
		conclude(&f, minor_version);
		*head_len = (size_t)parsed;
	}
	*status = f.status;
	*why = f.why;
	return f.why ? HTTP_BAD : HTTP_COMPLETE;
}

/* --- The response ---------------------------------------------------------------------------- */

static const char *reason_of(unsigned status)
{
	switch (status) {
#define S(code, reason) case code: return reason;
	HTTP_STATUSES(S)
#undef S
	default: return "Unknown";
	}
}

size_t http_format(char *to, size_t size, const struct http_reply *r)
{
	char content[128] = "";

	if (r->status != HTTP_204)              /* which has none (RFC 9110, "204 No Content") */
		fmt_format(content, sizeof(content), "Content-Type: %s\r\nContent-Length: %llu\r\n",
			   r->content_type, (unsigned long long)r->content_length);
	int len = fmt_format(to, size,
			     "HTTP/1.1 %u %s\r\nServer: godwit\r\n%s"
			     "Cache-Control: no-store\r\n%s%s\r\n",
			     r->status, reason_of(r->status), content, r->extra,
			     r->close ? "Connection: close\r\n" : "");

	return len < 0 || (size_t)len >= size ? 0 : (size_t)len;
}

static int hex_value(char c)
{
	c = lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + DECIMAL : -1;
}

bool http_decode(char *to, size_t size, const char *text, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (c == '%') {
			int high = n - i > 2 ? hex_value(text[i + 1]) : -1;
			int low = n - i > 2 ? hex_value(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == 0 || len + 1 >= size)
			return false;
		to[len++] = c;
	}
	to[len] = 0;
	return true;
}
