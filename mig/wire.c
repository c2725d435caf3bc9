/* SPDX-License-Identifier: MIT */
/*
 * mig/wire.c - the stream's bytes: bounded cursors, record headers, page batches.
 *
 * The stream is hostile input.  Reading never runs past its buffer: what is missing reads as zero
 * and marks the cursor, and nobody acts on a body before wire_take_end() or a checked decoder here
 * said that it is whole.  The format itself is in wire.h.  Read next: mig/stream.c.
 */
#include "mig/wire.h"

#include <string.h>

#include "lib/bitmap.h"
#include "lib/crc32c.h"

/* --- Writing ------------------------------------------------------------------------------- */

void *wire_put_room(struct wire_out *w, size_t len)
{
	void *room = w->buf + w->len;

	if (w->overflow || len > w->size - w->len) {
		w->overflow = true;
		return NULL;
	}
	w->len += len;
	return room;
}

void wire_put_bytes(struct wire_out *w, const void *from, size_t len)
{
	void *room = wire_put_room(w, len);

	if (room && len)
		memcpy(room, from, len);
}

void wire_put_int(struct wire_out *w, uint64_t v, unsigned size)
{
	uint8_t *room = wire_put_room(w, size);

	for (unsigned i = 0; room && i < size; i++)
		room[i] = (uint8_t)(v >> 8 * i);
}

void wire_put_u8(struct wire_out *w, uint8_t v)   { wire_put_int(w, v, 1); }
void wire_put_u16(struct wire_out *w, uint16_t v) { wire_put_int(w, v, 2); }
void wire_put_u32(struct wire_out *w, uint32_t v) { wire_put_int(w, v, 4); }
void wire_put_u64(struct wire_out *w, uint64_t v) { wire_put_int(w, v, 8); }

void wire_put_text(struct wire_out *w, const char *text)
{
	size_t len = strlen(text);

	if (len > UINT16_MAX) {
		w->overflow = true;
		return;
	}
	wire_put_u16(w, (uint16_t)len);
	wire_put_bytes(w, text, len);
}

/* --- Reading ------------------------------------------------------------------------------- */

const void *wire_take_span(struct wire_in *r, size_t len)
{
	const void *span = r->buf + r->pos;

	if (r->bad || len > r->size - r->pos) {
		r->bad = true;
		return NULL;
	}
	r->pos += len;
	return span;
}

void wire_take_bytes(struct wire_in *r, void *to, size_t len)
{
	const void *span = wire_take_span(r, len);

	if (span)
		memcpy(to, span, len);
	else
		memset(to, 0, len);
}

uint64_t wire_take_int(struct wire_in *r, unsigned size)
{
	const uint8_t *span = wire_take_span(r, size);
	uint64_t v = 0;

	for (unsigned i = 0; span && i < size; i++)
		v |= (uint64_t)span[i] << 8 * i;
	return v;
}

uint8_t  wire_take_u8(struct wire_in *r)  { return (uint8_t)wire_take_int(r, 1); }
uint16_t wire_take_u16(struct wire_in *r) { return (uint16_t)wire_take_int(r, 2); }
uint32_t wire_take_u32(struct wire_in *r) { return (uint32_t)wire_take_int(r, 4); }
uint64_t wire_take_u64(struct wire_in *r) { return wire_take_int(r, 8); }

void wire_take_text(struct wire_in *r, char *to, size_t size)
{
	size_t len = wire_take_u16(r);

	to[0] = 0;
	if (len >= size)
		r->bad = true;
	const char *span = wire_take_span(r, len);
	if (!span)
		return;
	if (len && memchr(span, 0, len)) {
		r->bad = true;
		return;
	}
	memcpy(to, span, len);
	to[len] = 0;
}

void wire_make_printable(char *text)
{
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

enum err wire_take_end(const struct wire_in *r, const char *what)
{
	if (r->bad)
		return refuse(ERR_BAD_FORMAT,
			      "%s: too short, or a text in it is too long, at byte %zu of %zu",
			      what, r->pos, r->size);
	if (r->pos != r->size)
		return refuse(ERR_BAD_FORMAT, "%s: %zu bytes too many", what, r->size - r->pos);
	return OK;
}

/* --- Stream and record headers --------------------------------------------------------------- */

void wire_put_stream(struct wire_out *w)
{
	size_t begin = w->len;

	wire_put_u64(w, WIRE_MAGIC);
	wire_put_u32(w, WIRE_VERSION);
	if (!w->overflow)
		wire_put_u32(w, crc32c(0, w->buf + begin, w->len - begin));
}

enum err wire_take_stream(struct wire_in *r)
{
	const uint8_t *begin = r->buf + r->pos;
	uint64_t magic = wire_take_u64(r);
	uint32_t version = wire_take_u32(r);
	uint32_t crc = wire_take_u32(r);

	if (r->bad)
		return refuse(ERR_BAD_FORMAT, "stream header: too short");
	if (magic != WIRE_MAGIC)
		return refuse(ERR_BAD_FORMAT, "stream header: magic is %#llx: this is no migration",
			      (unsigned long long)magic);
	if (crc != crc32c(0, begin, WIRE_STREAM_LEN - sizeof(crc)))
		return refuse(ERR_BAD_FORMAT, "stream header: checksum is wrong");
	if (version != WIRE_VERSION)
		return refuse(ERR_NOT_SUPPORTED, "stream header: version %u there, %u here",
			      version, WIRE_VERSION);
	return OK;
}

struct type_info { uint32_t type, max; const char *name; };

static const struct type_info type_infos[] = {
#define T(name, number, max, dir, text) { number, max, #name },
	WIRE_TYPES(T)
#undef T
};

static const struct type_info *type_info(uint32_t type)
{
	for (unsigned i = 0; i < COUNT(type_infos); i++)
		if (type_infos[i].type == type)
			return &type_infos[i];
	return NULL;
}

const char *wire_type_name(uint32_t type)
{
	const struct type_info *info = type_info(type);

	return info ? info->name : "?";
}

bool wire_type_known(uint32_t type)
{
	return type_info(type) != NULL;
}

void wire_put_header(uint8_t to[WIRE_HEADER_LEN], struct wire_record *rec, const void *body)
{
	struct wire_out w = { .buf = to, .size = WIRE_HEADER_LEN };

	rec->body_crc = crc32c(0, body, rec->length);
	wire_put_u32(&w, rec->type);
	wire_put_u32(&w, rec->length);
	wire_put_u32(&w, rec->sequence);
	wire_put_u32(&w, rec->body_crc);
	wire_put_bytes(&w, rec->id.uuid, sizeof(rec->id.uuid));
	wire_put_u64(&w, rec->id.epoch);
	wire_put_u32(&w, 0);
	wire_put_u32(&w, crc32c(0, to, w.len));
}

enum err wire_take_header(const uint8_t from[WIRE_HEADER_LEN], struct wire_record *rec)
{
	struct wire_in r = { .buf = from, .size = WIRE_HEADER_LEN };

	rec->type = wire_take_u32(&r);
	rec->length = wire_take_u32(&r);
	rec->sequence = wire_take_u32(&r);
	rec->body_crc = wire_take_u32(&r);
	wire_take_bytes(&r, rec->id.uuid, sizeof(rec->id.uuid));
	rec->id.epoch = wire_take_u64(&r);
	uint32_t reserved = wire_take_u32(&r);
	uint32_t want = crc32c(0, from, r.pos);
	if (wire_take_u32(&r) != want)
		return refuse(ERR_BAD_FORMAT, "record header: checksum is wrong");
	if (reserved != 0)
		return refuse(ERR_BAD_FORMAT, "record header: reserved is %#x, not 0", reserved);

	const struct type_info *info = type_info(rec->type);
	if (!info && !(rec->type & WIRE_OPTIONAL))
		return refuse(ERR_NOT_SUPPORTED,
			      "record header: type %#x is unknown here and may not be skipped",
			      rec->type);
	if (rec->length > (info ? info->max : WIRE_BODY_MAX))
		return refuse(ERR_BAD_FORMAT, "record %s: length %u is over the limit",
			      wire_type_name(rec->type), rec->length);
	return OK;
}

enum err wire_check_body(const struct wire_record *rec, const void *body)
{
	if (crc32c(0, body, rec->length) != rec->body_crc)
		return refuse(ERR_BAD_FORMAT, "record %s, number %u: checksum is wrong",
			      wire_type_name(rec->type), rec->sequence);
	return OK;
}

/* --- Page batches ---------------------------------------------------------------------------- */

uint64_t wire_page_mask(const void *page)
{
	const uint64_t *word = page;
	uint64_t mask = 0;

	for (unsigned i = 0; i < PAGE_SIZE / WIRE_BLOCK; i++, word += WIRE_BLOCK / sizeof(*word)) {
		uint64_t any = word[0] | word[1] | word[2] | word[3] | word[4] | word[5] | word[6] |
			       word[7];

		mask |= (uint64_t)(any != 0) << i;
	}
	return mask;
}
_Static_assert(WIRE_BLOCK == 8 * sizeof(uint64_t), "a block is eight words");

/* The next run of blocks that are all in the mask, from block `first` on; false: no more. */
static bool next_run(uint64_t mask, unsigned *first, unsigned *n)
{
	uint64_t rest = *first < 64 ? mask >> *first : 0;

	if (!rest)
		return false;
	*first += (unsigned)__builtin_ctzll(rest);
	uint64_t gaps = ~(mask >> *first);
	*n = gaps ? (unsigned)__builtin_ctzll(gaps) : 64;
	return true;
}

/* The page may change meanwhile: the mask says what is sent, and a later round sends the rest. */
void wire_put_page(struct wire_out *w, uint32_t index, uint64_t mask, const void *page)
{
	wire_put_u32(w, index);
	wire_put_u64(w, mask);
	for (unsigned first = 0, n; next_run(mask, &first, &n); first += n)
		wire_put_bytes(w, (const uint8_t *)page + first * WIRE_BLOCK, n * WIRE_BLOCK);
}

void wire_unpack_page(const struct wire_page *p, void *page)
{
	const uint8_t *from = p->blocks;
	uint8_t *to = page;
	unsigned end = 0;

	for (unsigned first = 0, n; next_run(p->mask, &first, &n); first = end) {
		memset(to + end * WIRE_BLOCK, 0, (first - end) * WIRE_BLOCK);
		memcpy(to + first * WIRE_BLOCK, from, n * WIRE_BLOCK);
		from += n * WIRE_BLOCK;
		end = first + n;
	}
	memset(to + end * WIRE_BLOCK, 0, PAGE_SIZE - end * WIRE_BLOCK);
}

enum err wire_take_pages(struct wire_in *r, uint64_t ram_pages, struct wire_pages *out)
{
	uint32_t n = wire_take_u32(r);

	if (n > WIRE_PAGES_MAX)
		return refuse(ERR_BAD_FORMAT, "record PAGES: count %u is over the limit of %u", n,
			      WIRE_PAGES_MAX);
	for (uint32_t i = 0; i < n; i++) {
		struct wire_page *p = &out->page[i];

		p->index = wire_take_u32(r);
		p->mask = wire_take_u64(r);
		p->blocks = wire_take_span(r, bitmap_weight(&p->mask, 64) * WIRE_BLOCK);
		if (p->index >= ram_pages)
			return refuse(ERR_BAD_FORMAT,
				      "record PAGES: page %u is beyond the guest's RAM", p->index);
		if (i && p->index <= p[-1].index)
			return refuse(ERR_BAD_FORMAT, "record PAGES: page %u is out of order",
				      p->index);
	}
	out->n = n;
	return wire_take_end(r, "record PAGES");
}

void wire_put_zeroes(struct wire_out *w, const struct wire_zeroes *z)
{
	wire_put_u32(w, z->n);
	for (unsigned i = 0; i < z->n; i++) {
		wire_put_u32(w, z->run[i].first);
		wire_put_u32(w, z->run[i].pages);
	}
}

enum err wire_take_zeroes(struct wire_in *r, uint64_t ram_pages, struct wire_zeroes *out)
{
	uint32_t n = wire_take_u32(r);

	if (n > WIRE_RANGES_MAX)
		return refuse(ERR_BAD_FORMAT, "record ZEROES: count %u is over the limit of %u", n,
			      WIRE_RANGES_MAX);
	for (uint32_t i = 0; i < n; i++) {
		struct wire_run run;

		run.first = wire_take_u32(r);
		run.pages = wire_take_u32(r);
		if (run.first >= ram_pages || run.pages > ram_pages - run.first)
			return refuse(ERR_BAD_FORMAT,
				      "record ZEROES: %u pages from %u end beyond the guest's RAM",
				      run.pages, run.first);
		if (i && run.first < out->run[i - 1].first + out->run[i - 1].pages)
			return refuse(ERR_BAD_FORMAT,
				      "record ZEROES: the run from page %u is out of order",
				      run.first);
		out->run[i] = run;
	}
	out->n = n;
	return wire_take_end(r, "record ZEROES");
}
