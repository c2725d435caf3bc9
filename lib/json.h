/* SPDX-License-Identifier: MIT */
/*
 * lib/json.h - JSON out (a writer into a fixed buffer) and in (jsmn, with checked look-ups).
 */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include "lib/err.h"
#include "lib/types.h"

/*
 * Writer: commas, quotes and escapes are its business.  Too long: `overflow` is set, nothing is
 * written past the end.
 */
struct json_writer { char *buf; size_t size, len; bool comma, overflow; unsigned depth; };

void json_begin(struct json_writer *w, char *buf, size_t size);
/* `key` is NULL inside arrays and at the top. */
void json_object(struct json_writer *w, const char *key);
void json_object_end(struct json_writer *w);
void json_array(struct json_writer *w, const char *key);
void json_array_end(struct json_writer *w);
void json_string(struct json_writer *w, const char *key, const char *value);
/* Any bytes; what is not UTF-8 as \u00XX. */
void json_string_len(struct json_writer *w, const char *key, const char *value, size_t len);
void json_u64(struct json_writer *w, const char *key, uint64_t value);
void json_bool(struct json_writer *w, const char *key, bool value);
/* Nanoseconds as milliseconds: 12.345. */
void json_ms(struct json_writer *w, const char *key, uint64_t ns);
void json_format(struct json_writer *w, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Reader: a parsed text; values are addressed by their token number. */
#define JSON_TOKENS_MAX 256
struct json_token { uint8_t type; uint16_t size; uint32_t start, end; uint16_t next; };
struct json_doc {
	const char       *text;
	size_t            len;
	unsigned          n;
	struct json_token token[JSON_TOKENS_MAX];
};
enum json_type { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_BOOL, JSON_NULL };

/*
 * ERR_BAD_FORMAT (refused) says where.  The text must outlive the doc.  Token 0 is the whole: an
 * object, an array or a string.
 */
enum err json_parse(struct json_doc *d, const char *text, size_t len);

/* Member `key` of object `at`; -1 when absent or `at` is not an object. */
int  json_get(const struct json_doc *d, int at, const char *key);
/* Of an array; -1: no such item. */
int  json_item(const struct json_doc *d, int at, unsigned index);
unsigned json_count(const struct json_doc *d, int at);
enum json_type json_type_of(const struct json_doc *d, int at);

/* Values with a check; the refusal names `what`. */
enum err json_get_u64(const struct json_doc *d, int at, const char *what, uint64_t *out);
enum err json_get_bool(const struct json_doc *d, int at, const char *what, bool *out);
/* Unescaped. */
enum err json_get_string(const struct json_doc *d, int at, const char *what, char *out,
                         size_t size);

/*
 * Every member of object `at` must be in `known` (NULL-terminated): the refusal names the first
 * that is not.
 */
enum err json_only(const struct json_doc *d, int at, const char *const *known, const char *what);

#endif
