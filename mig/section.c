/* SPDX-License-Identifier: MIT */
/*
 * mig/section.c - the one place where a device's fields become bytes and bytes become fields.
 *
 * Both directions go through the same descriptor, field by field, little-endian, so that saving and
 * loading cannot disagree.  Nothing here knows any device.  Read next: vmm/state.h, mig/dest.c.
 */
#include "mig/section.h"

#include <string.h>

#include "lib/crc32c.h"
#include "lib/log.h"

uint32_t section_layout(const struct section *s)
{
	uint32_t crc = 0;

	for (unsigned i = 0; i < s->nfields; i++) {
		const struct field *f = &s->fields[i];
		uint8_t shape[4] = { (uint8_t)f->size, (uint8_t)(f->size >> 8), (uint8_t)f->count,
				     (uint8_t)(f->count >> 8) };

		crc = crc32c(crc, f->name, strlen(f->name) + 1);
		crc = crc32c(crc, shape, sizeof(shape));
	}
	return crc;
}

size_t section_len(const struct section *s)
{
	size_t len = 0;

	for (unsigned i = 0; i < s->nfields; i++)
		len += (size_t)s->fields[i].size * s->fields[i].count;
	return len;
}

struct section_head section_head_of(const struct section_ref *ref)
{
	struct section_head h = { .instance = ref->instance, .version = ref->section->version };

	ASSERT(strlen(ref->section->name) < WIRE_SECTION_NAME);
	memcpy(h.name, ref->section->name, strlen(ref->section->name));
	h.layout = section_layout(ref->section);
	return h;
}

void section_put_head(struct wire_out *w, const struct section_head *h)
{
	wire_put_bytes(w, h->name, sizeof(h->name));
	wire_put_u16(w, h->instance);
	wire_put_u16(w, h->version);
	wire_put_u32(w, h->layout);
}

void section_take_head(struct wire_in *r, struct section_head *h)
{
	wire_take_bytes(r, h->name, sizeof(h->name));
	if (h->name[sizeof(h->name) - 1]) {
		h->name[sizeof(h->name) - 1] = 0;
		r->bad = true;
	}
	wire_make_printable(h->name);
	h->instance = wire_take_u16(r);
	h->version = wire_take_u16(r);
	h->layout = wire_take_u32(r);
}

enum err section_match(const struct section_ref *have, const struct section_head *comes)
{
	const struct section *s = have->section;

	if (comes->version != s->version)
		return refuse(ERR_NOT_SUPPORTED, "section %s: version %u there, %u here", s->name,
			      comes->version, s->version);
	if (comes->layout != section_layout(s))
		return refuse(ERR_NOT_SUPPORTED,
			      "section %s: the fields of version %u differ (%08x there, %08x here)",
			      s->name, s->version, comes->layout, section_layout(s));
	return OK;
}

/* An integer in memory; sizes are those of FIELD(). */
static uint64_t load(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

void section_save(const struct section_ref *ref, struct wire_out *w)
{
	const struct section *s = ref->section;
	struct section_head h = section_head_of(ref);

	if (s->save)
		s->save(ref->object);
	section_put_head(w, &h);
	for (unsigned i = 0; i < s->nfields; i++) {
		const struct field *f = &s->fields[i];
		const uint8_t *p = (const uint8_t *)ref->object + f->offset;

		ASSERT(f->offset + (size_t)f->size * f->count <= s->object_size);
		if (f->size == 1) { /* bytes have no order: rings and register files in one go */
			wire_put_bytes(w, p, f->count);
			continue;
		}
		for (unsigned k = 0; k < f->count; k++)
			wire_put_int(w, load(p + (size_t)k * f->size, f->size), f->size);
	}
}

static enum err stage_field(const struct section *s, const struct field *f, struct wire_in *r,
			    uint8_t *to)
{
	if (f->size == 1 && !f->boolean) {
		wire_take_bytes(r, to, f->count);
		return OK;
	}
	for (unsigned k = 0; k < f->count; k++) {
		uint64_t v = wire_take_int(r, f->size);

		if (f->boolean && v > 1)
			return refuse(ERR_BAD_FORMAT,
				      "section %s: field %s is %u, neither true nor false", s->name,
				      f->name, (unsigned)v);
		memcpy(to + (size_t)k * f->size, &v, f->size);
	}
	return OK;
}

enum err section_stage(const struct section_ref *ref, struct wire_in *r, void *copy)
{
	const struct section *s = ref->section;
	enum err e = OK;

	for (unsigned i = 0; i < s->nfields && e == OK; i++) {
		const struct field *f = &s->fields[i];

		ASSERT(f->offset + (size_t)f->size * f->count <= s->object_size);
		e = stage_field(s, f, r, (uint8_t *)copy + f->offset);
	}
	if (e == OK)
		e = wire_take_end(r, s->name);
	if (e == OK && s->check)
		e = s->check(copy);
	return e;
}

void section_commit(const struct section_ref *ref, const void *copy)
{
	const struct section *s = ref->section;

	for (unsigned i = 0; i < s->nfields; i++) {
		const struct field *f = &s->fields[i];

		memcpy((uint8_t *)ref->object + f->offset, (const uint8_t *)copy + f->offset,
		       (size_t)f->size * f->count);
	}
}

void section_resume(const struct section_ref *ref)
{
	if (ref->section->resume)
		ref->section->resume(ref->object);
}
