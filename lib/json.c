/* SPDX-License-Identifier: MIT */
/*
 * lib/json.c - JSON in and out, for the control service and VM definitions.
 *
 * The reader lets jsmn split the text into tokens and then checks what jsmn does not: separators,
 * numbers, escapes, names given twice, depth.  The text comes from clients and boot modules, so it
 * is hostile; after json_parse() said OK, every token lies inside the text and the tree is whole.
 */
#include "lib/json.h"

#include <stdarg.h>
#include <string.h>

#include "lib/fmt.h"
#include "lib/log.h"

#define JSMN_STATIC
#define JSMN_STRICT
#include "jsmn.h"

#define JSON_DEPTH_MAX   16
#define JSON_FORMAT_MAX  256                     /* longest text of json_format()     */
#define CONTROL_END      0x20                    /* characters below must be escaped  */

/* --- Writer ---------------------------------------------------------------------------------- */

static void put(struct json_writer *w, const char *text, size_t len)
{
	if (w->overflow || len >= w->size - w->len) {
		w->overflow = true;
		return;
	}
	memcpy(w->buf + w->len, text, len);
	w->len += len;
	w->buf[w->len] = 0;
}

static void put_char(struct json_writer *w, char c)
{
	w->overflow |= w->size - w->len <= 1;
	if (w->overflow)
		return;
	w->buf[w->len++] = c;
	w->buf[w->len] = 0;
}

void json_begin(struct json_writer *w, char *buf, size_t size)
{
	ASSERT(size > 0);
	*w = (struct json_writer){ .buf = buf, .size = size };
	buf[0] = 0;
}

/*
 * Bytes of the UTF-8 character at `p`, 0 when it is not one (overlong, surrogate, cut, beyond
 * U+10FFFF).
 */
static unsigned utf8_len(const uint8_t *p, size_t left)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned n = p[0] < 0x80     ? 1 :
	             p[0] >> 5 == 6  ? 2 :
	             p[0] >> 4 == 14 ? 3 :
	             p[0] >> 3 == 30 ? 4 :
	                               0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	if (n == 0 || n > left)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

/* How much of the text goes out as it is: nearly always all of it, so it goes in one piece. */
static size_t plain_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] >= CONTROL_END && text[n] != '"' && text[n] != '\\')
		n++;
	return n;                               /* beyond ASCII, char is negative */
}

static void put_quoted(struct json_writer *w, const char *text, size_t len)
{
	put_char(w, '"');
	for (size_t i = 0; i < len;) {
		size_t plain = plain_len(text + i, len - i);

		put(w, text + i, plain);
		if ((i += plain) == len)
			break;
		uint8_t c = (uint8_t)text[i];
		unsigned n = utf8_len((const uint8_t *)text + i, len - i);

		if (c == '"' || c == '\\') {
			put_char(w, '\\');
			put_char(w, (char)c);
		} else if (c == '\n') {
			put(w, "\\n", 2);
		} else if (c < CONTROL_END || n == 0) {
			char hex[8];

			put(w, hex, (size_t)fmt_format(hex, sizeof(hex), "\\u%04x", c));
		} else {
			put(w, text + i, n);
			i += n - 1;
		}
		i++;
	}
	put_char(w, '"');
}

static void put_key(struct json_writer *w, const char *key)
{
	if (w->comma)
		put_char(w, ',');
	w->comma = true;
	if (key) {                              /* our own: nothing in it to be escaped */
		put_char(w, '"');
		put(w, key, strlen(key));
		put(w, "\":", 2);
	}
}

static void open_level(struct json_writer *w, const char *key, char bracket)
{
	put_key(w, key);
	put_char(w, bracket);
	w->comma = false;
	w->depth++;
}

static void close_level(struct json_writer *w, char bracket)
{
	ASSERT(w->depth > 0);
	put_char(w, bracket);
	w->comma = true;
	w->depth--;
}

void json_object(struct json_writer *w, const char *key) { open_level(w, key, '{'); }
void json_object_end(struct json_writer *w)              { close_level(w, '}'); }
void json_array(struct json_writer *w, const char *key)  { open_level(w, key, '['); }
void json_array_end(struct json_writer *w)               { close_level(w, ']'); }

void json_string_len(struct json_writer *w, const char *key, const char *value, size_t len)
{
	put_key(w, key);
	put_quoted(w, value, len);
}

void json_string(struct json_writer *w, const char *key, const char *value)
{
	json_string_len(w, key, value, strlen(value));
}

static void put_plain(struct json_writer *w, const char *key, const char *text)
{
	put_key(w, key);
	put(w, text, strlen(text));
}

void json_u64(struct json_writer *w, const char *key, uint64_t value)
{
	char digit[24], *first = digit + sizeof(digit);

	*--first = 0;
	do
		*--first = (char)('0' + value % 10);
	while (value /= 10);
	put_plain(w, key, first);
}

void json_bool(struct json_writer *w, const char *key, bool value)
{
	put_plain(w, key, value ? "true" : "false");
}

void json_ms(struct json_writer *w, const char *key, uint64_t ns)
{
	char text[32];
	uint64_t us = ns / NS_PER_US;

	fmt_format(text, sizeof(text), "%llu.%03u", (unsigned long long)(us / 1000),
	           (unsigned)(us % 1000));
	put_plain(w, key, text);
}

void json_format(struct json_writer *w, const char *key, const char *fmt, ...)
{
	char text[JSON_FORMAT_MAX];
	va_list args;

	va_start(args, fmt);
	fmt_vformat(text, sizeof(text), fmt, args);
	va_end(args);
	json_string(w, key, text);
}

/* --- Reader: the tree ------------------------------------------------------------------------- */

static enum err bad_at(size_t at, const char *what)
{
	return refuse(ERR_BAD_FORMAT, "JSON: %s at byte %zu", what, at);
}

static size_t skip_space(const struct json_doc *d, size_t pos)
{
	while (pos < d->len && (d->text[pos] == ' ' || d->text[pos] == '\t' ||
	                        d->text[pos] == '\n' || d->text[pos] == '\r'))
		pos++;
	return pos;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

/* RFC 8259, "Numbers". */
static bool is_number(const char *p, const char *end)
{
	const char *from;

	if (p < end && *p == '-')
		p++;
	from = p;
	p = skip_digits(p, end);
	if (p == from || (*from == '0' && p > from + 1))
		return false;
	if (p < end && *p == '.') {
		from = ++p;
		p = skip_digits(p, end);
		if (p == from)
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		from = p;
		p = skip_digits(p, end);
		if (p == from)
			return false;
	}
	return p == end;
}

static bool text_is(const struct json_doc *d, const struct json_token *t, const char *word)
{
	size_t len = t->end - t->start;

	return len == strlen(word) && memcmp(d->text + t->start, word, len) == 0;
}

/* jsmn calls numbers, true, false and null all "primitive". */
static bool scalar_type(const struct json_doc *d, struct json_token *t)
{
	const char *begin = d->text + t->start, *end = d->text + t->end;

	if (text_is(d, t, "true") || text_is(d, t, "false"))
		t->type = JSON_BOOL;
	else if (text_is(d, t, "null"))
		t->type = JSON_NULL;
	else if (is_number(begin, end))
		t->type = JSON_NUMBER;
	else
		return false;
	return true;
}

static bool name_is_new(const struct json_doc *d, unsigned object, unsigned key)
{
	const struct json_token *k = &d->token[key];

	for (unsigned i = object + 1; i < key; i = d->token[i + 1].next) {
		const struct json_token *o = &d->token[i];

		if (o->end - o->start == k->end - k->start &&
		    memcmp(d->text + o->start, d->text + k->start, k->end - k->start) == 0)
			return false;
	}
	return true;
}

/* Where the walk through the text stands. */
struct walk { unsigned token; size_t pos; unsigned depth; };

static enum err check_value(struct json_doc *d, struct walk *k);

/* A string or scalar token that begins here. */
static enum err check_leaf(struct json_doc *d, struct walk *k)
{
	struct json_token *t = &d->token[k->token];
	unsigned quote = t->type == JSON_STRING;

	if (k->token >= d->n || t->start != k->pos + quote || (quote && d->text[k->pos] != '"'))
		return bad_at(k->pos, "something is wrong");
	if (!quote && !scalar_type(d, t))
		return bad_at(k->pos, "neither a number nor true, false or null");
	for (size_t i = t->start; quote && i < t->end; i++)
		if ((uint8_t)d->text[i] < CONTROL_END)
			return bad_at(i, "a control character in a string");
	t->next = (uint16_t)++k->token;
	k->pos = t->end + quote;
	return OK;
}

static enum err check_member(struct json_doc *d, struct walk *k, unsigned object)
{
	unsigned key = k->token;

	if (key >= d->n || d->token[key].type != JSON_STRING)
		return bad_at(k->pos, "a name in quotes is missing");
	enum err e = check_leaf(d, k);
	if (e != OK)
		return e;
	if (!name_is_new(d, object, key))
		return bad_at(d->token[key].start, "a name given twice");
	k->pos = skip_space(d, k->pos);
	if (k->pos >= d->len || d->text[k->pos] != ':')
		return bad_at(k->pos, "':' is missing");
	k->pos++;
	return check_value(d, k);
}

static enum err check_container(struct json_doc *d, struct walk *k)
{
	unsigned self = k->token++;
	struct json_token *t = &d->token[self];
	char close = t->type == JSON_OBJECT ? '}' : ']';

	if (t->start != k->pos)
		return bad_at(k->pos, "something is wrong");
	if (++k->depth > JSON_DEPTH_MAX)
		return bad_at(k->pos, "nested too deeply");
	k->pos = skip_space(d, k->pos + 1);
	t->size = 0;
	while (k->pos + 1 < t->end) {
		if (t->size && d->text[k->pos] != ',')
			return bad_at(k->pos, "',' is missing");
		if (t->size)
			k->pos = skip_space(d, k->pos + 1);
		enum err e = t->type == JSON_OBJECT ? check_member(d, k, self) : check_value(d, k);
		if (e != OK)
			return e;
		t->size++;
		k->pos = skip_space(d, k->pos);
	}
	if (k->pos + 1 != t->end || d->text[k->pos] != close)
		return bad_at(k->pos, "a bracket does not match");
	k->pos++;
	k->depth--;
	t->next = (uint16_t)k->token;
	return OK;
}

static enum err check_value(struct json_doc *d, struct walk *k)
{
	k->pos = skip_space(d, k->pos);
	if (k->token >= d->n)
		return bad_at(k->pos, "a value is missing");
	uint8_t type = d->token[k->token].type;
	return type == JSON_OBJECT || type == JSON_ARRAY ? check_container(d, k) : check_leaf(d, k);
}

static enum err split(struct json_doc *d)
{
	static jsmntok_t raw[JSON_TOKENS_MAX]; /* one parse at a time: nobody waits inside */
	jsmn_parser parser;

	jsmn_init(&parser);
	int n = jsmn_parse(&parser, d->text, d->len, raw, JSON_TOKENS_MAX);
	if (n == JSMN_ERROR_NOMEM)
		return refuse(ERR_BAD_FORMAT, "JSON: more than %d values", JSON_TOKENS_MAX);
	if (n == JSMN_ERROR_PART)
		return refuse(ERR_BAD_FORMAT, "JSON: the text ends too early");
	if (n < 0)
		return bad_at(parser.pos, "something is wrong");
	if (n == 0)
		return refuse(ERR_BAD_FORMAT, "JSON: the text is empty");
	d->n = (unsigned)n;
	for (int i = 0; i < n; i++) {
		d->token[i] = (struct json_token){ .start = (uint32_t)raw[i].start,
			                           .end = (uint32_t)raw[i].end };
		d->token[i].type = raw[i].type == JSMN_OBJECT ? JSON_OBJECT :
		                   raw[i].type == JSMN_ARRAY  ? JSON_ARRAY :
		                   raw[i].type == JSMN_STRING ? JSON_STRING :
		                                                JSON_NULL;
	}
	return OK;
}

enum err json_parse(struct json_doc *d, const char *text, size_t len)
{
	struct walk k = { 0 };

	d->text = text;
	d->len = len;
	d->n = 0;
	enum err e = split(d);
	if (e == OK)
		e = check_value(d, &k);
	if (e == OK && (k.token != d->n || skip_space(d, k.pos) != len))
		e = bad_at(k.pos, "something follows the end");
	if (e != OK)
		d->n = 0;
	return e;
}

/* --- Reader: values --------------------------------------------------------------------------- */

static const struct json_token *token_at(const struct json_doc *d, int at)
{
	return at >= 0 && (unsigned)at < d->n ? &d->token[at] : NULL;
}

int json_get(const struct json_doc *d, int at, const char *key)
{
	const struct json_token *t = token_at(d, at);

	if (!t || t->type != JSON_OBJECT)
		return -1;
	for (unsigned i = (unsigned)at + 1; i < t->next; i = d->token[i + 1].next)
		if (text_is(d, &d->token[i], key))
			return (int)i + 1;
	return -1;
}

int json_item(const struct json_doc *d, int at, unsigned index)
{
	const struct json_token *t = token_at(d, at);

	if (!t || t->type != JSON_ARRAY || index >= t->size)
		return -1;
	unsigned i = (unsigned)at + 1;
	while (index--)
		i = d->token[i].next;
	return (int)i;
}

unsigned json_count(const struct json_doc *d, int at)
{
	const struct json_token *t = token_at(d, at);

	return t && (t->type == JSON_OBJECT || t->type == JSON_ARRAY) ? t->size : 0;
}

enum json_type json_type_of(const struct json_doc *d, int at)
{
	const struct json_token *t = token_at(d, at);

	return t ? t->type : JSON_NULL;
}

static enum err want(const struct json_doc *d, int at, enum json_type type, const char *what,
                     const char *is)
{
	const struct json_token *t = token_at(d, at);

	if (!t)
		return refuse(ERR_BAD_ARGUMENT, "\"%s\" is missing", what);
	if (t->type != type)
		return refuse(ERR_BAD_ARGUMENT, "\"%s\" must be %s", what, is);
	return OK;
}

enum err json_get_u64(const struct json_doc *d, int at, const char *what, uint64_t *out)
{
	enum err e = want(d, at, JSON_NUMBER, what, "a number");
	uint64_t v = 0;

	if (e != OK)
		return e;
	const struct json_token *t = &d->token[at];
	for (uint32_t i = t->start; i < t->end; i++) {
		unsigned digit = (unsigned)d->text[i] - '0';

		if (digit > 9)
			return refuse(ERR_BAD_ARGUMENT,
			              "\"%s\" must be a whole number, not negative", what);
		if (v > (UINT64_MAX - digit) / 10)
			return refuse(ERR_BAD_ARGUMENT, "\"%s\" is too large", what);
		v = v * 10 + digit;
	}
	*out = v;
	return OK;
}

enum err json_get_bool(const struct json_doc *d, int at, const char *what, bool *out)
{
	enum err e = want(d, at, JSON_BOOL, what, "true or false");

	if (e == OK)
		*out = d->text[d->token[at].start] == 't';
	return e;
}

static int hex4(const char *p)
{
	int v = 0;

	for (unsigned i = 0; i < 4; i++) {
		int c = p[i];

		v = v << 4 | (is_digit((char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

/*
 * One character of a string, escapes resolved, as UTF-8 in `to`; bytes used of `p`, 0 when it is
 * not one. jsmn checked the hex digits.
 */
static unsigned take_char(const char *p, const char *end, char to[4], unsigned *n)
{
	static const char from_letter[] = "\"\\/bfnrt", to_byte[] = "\"\\/\b\f\n\r\t";
	unsigned used = 6;

	*n = 1;
	to[0] = *p;
	if (*p != '\\')
		return 1;
	if (p[1] != 'u') {
		to[0] = to_byte[strchr(from_letter, p[1]) - from_letter];
		return 2;
	}
	uint32_t c = (uint32_t)hex4(p + 2);
	if (c >= 0xd800 && c < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
		uint32_t low = (uint32_t)hex4(p + 8);

		if (low < 0xdc00 || low > 0xdfff)
			return 0;
		c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
		used = 12;
	}
	if (c == 0 || (c >= 0xd800 && c < 0xe000))
		return 0;
	*n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (unsigned i = *n; i-- > 1; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(*n == 1 ? c : (0xf0u << (4 - *n) & 0xff) | c);
	return used;
}

enum err json_get_string(const struct json_doc *d, int at, const char *what, char *out, size_t size)
{
	enum err e = want(d, at, JSON_STRING, what, "a string");
	size_t len = 0;

	if (e != OK)
		return e;
	const char *p = d->text + d->token[at].start, *end = d->text + d->token[at].end;
	while (p < end) {
		char bytes[4];
		unsigned n, used = take_char(p, end, bytes, &n);

		if (!used)
			return refuse(ERR_BAD_ARGUMENT,
			              "\"%s\" holds an escape that is no character", what);
		if (len + n >= size)
			return refuse(ERR_BAD_ARGUMENT, "\"%s\" is longer than %zu characters",
			              what, size - 1);
		memcpy(out + len, bytes, n);
		len += n;
		p += used;
	}
	out[len] = 0;
	return OK;
}

enum err json_only(const struct json_doc *d, int at, const char *const *known, const char *what)
{
	const struct json_token *t = token_at(d, at);

	if (!t || t->type != JSON_OBJECT)
		return refuse(ERR_BAD_ARGUMENT, "%s must be an object", what);
	for (unsigned i = (unsigned)at + 1; i < t->next; i = d->token[i + 1].next) {
		const struct json_token *k = &d->token[i];
		const char *const *name = known;

		while (*name && !text_is(d, k, *name))
			name++;
		if (!*name)
			return refuse(ERR_BAD_ARGUMENT, "%s has no member \"%.*s\"", what,
			              (int)MIN(k->end - k->start, 40u), d->text + k->start);
	}
	return OK;
}
