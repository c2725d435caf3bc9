/* SPDX-License-Identifier: MIT */
/*
 * net/http.h - HTTP/1.1 as bytes: the head of a request in, the head of a response out (RFC 9110
 * and RFC 9112).
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "lib/types.h"

/* The statuses that we use, with their reason phrases. */
#define HTTP_STATUSES(S)                      \
	S(200, "OK")                          \
	S(201, "Created")                     \
	S(202, "Accepted")                    \
	S(204, "No Content")                  \
	S(400, "Bad Request")                 \
	S(404, "Not Found")                   \
	S(405, "Method Not Allowed")          \
	S(408, "Request Timeout")             \
	S(409, "Conflict")                    \
	S(411, "Length Required")             \
	S(413, "Content Too Large")           \
	S(414, "URI Too Long")                \
	S(417, "Expectation Failed")          \
	S(431, "Request Header Fields Too Large") \
	S(500, "Internal Server Error")       \
	S(501, "Not Implemented")             \
	S(502, "Bad Gateway")                 \
	S(504, "Gateway Timeout")             \
	S(507, "Insufficient Storage")

enum http_status {
#define S(code, reason) HTTP_##code = code,
	HTTP_STATUSES(S)
#undef S
};

#define HTTP_METHOD_MAX 8               /* with the NUL: "OPTIONS" */

/* A request's head, checked.  The strings point into the parsed buffer, which must stay. */
struct http_head {
	char        method[HTTP_METHOD_MAX];
	const char *path;               /* still percent-encoded; "/..." or "*"        */
	const char *query;              /* after the '?', or ""                        */
	bool        keep_alive;         /* the client may send more on this connection */
	bool        expects_continue;   /* it waits for "100 Continue" before the body */
	bool        has_length;
	uint64_t    content_length;
};

enum http_parsed { HTTP_PARTIAL, HTTP_COMPLETE, HTTP_BAD };

/*
 * Look for a whole head in buf[0, len); `old_len` bytes were there at the last call.  COMPLETE:
 * *out is filled in, *head_len says where the body begins, and buf is changed (strings get their
 * NUL). BAD: *status and *why say what to answer; nothing after it on this connection makes sense.
 */
enum http_parsed http_parse(char *buf, size_t len, size_t old_len, struct http_head *out,
			    size_t *head_len, enum http_status *status, const char **why);

struct http_reply {
	unsigned    status;
	const char *content_type;
	uint64_t    content_length;
	const char *extra;              /* more header lines, each ending in CRLF, or "" */
	bool        close;
};

/* The head of a response into `to`; returns its length, 0 when it does not fit. */
size_t http_format(char *to, size_t size, const struct http_reply *r);

extern const char http_continue[];      /* the whole interim response, NUL-terminated */

/* `n` bytes of `text` with %XX decoded into `to`; false: a broken escape, a NUL, or too long. */
bool http_decode(char *to, size_t size, const char *text, size_t n);

#endif
