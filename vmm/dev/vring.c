/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vring.c - walking a split virtqueue that nobody can be trusted about.
 *
 * Layout of the areas: lib/virtio_spec.h.
 * The areas were checked to be RAM when the queue was enabled and RAM does not go away, so accesses
 * to them cannot fail.  Called by the virtio device models.
 */
#include "vmm/dev/vring.h"

#include "lib/log.h"
#include "lib/virtio_spec.h"

#define DESC_LEN        ((unsigned)sizeof(struct virtq_desc))

static uint64_t desc_len(const struct vring *r)  { return (uint64_t)DESC_LEN * r->size; }
static uint64_t avail_len(const struct vring *r) { return VIRTQ_ENTRIES + 2ull * r->size + 2; }
static uint64_t used_len(const struct vring *r)  { return VIRTQ_ENTRIES + 8ull * r->size + 2; }

/* The event words are the last two bytes of each. */
static uint64_t used_event_at(const struct vring *r)  { return r->avail + avail_len(r) - 2; }
static uint64_t avail_event_at(const struct vring *r) { return r->used + used_len(r) - 2; }

static uint16_t load16(const struct vring *r, uint64_t at)
{
	uint16_t v = 0;
	enum err e = mem_read(r->mem, gpa(at), &v, sizeof(v));

	ASSERT(e == OK);
	return v;
}

static void store(const struct vring *r, uint64_t at, const void *from, uint64_t len)
{
	enum err e = mem_write(r->mem, gpa(at), from, len);

	ASSERT(e == OK);
}

static void store16(const struct vring *r, uint64_t at, uint16_t v)
{
	store(r, at, &v, sizeof(v));
}

/* Our stores before, our loads after: the driver on another CPU does it the other way round. */
static void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* --- Life ------------------------------------------------------------------------------------- */

void vring_reset(struct vring *r)
{
	*r = (struct vring){ .mem = r->mem, .size = VRING_SIZE_MAX, .vector = VIRTIO_NO_VECTOR };
}

static enum err check_area(const struct vring *r, const char *name, uint64_t at, uint64_t len,
                           unsigned align)
{
	if (at % align)
		return refuse(ERR_BAD_FORMAT, "the %s area at %#llx is not aligned to %u", name,
			      (unsigned long long)at, align);
	if (!mem_is_ram(r->mem, gpa(at), len))
		return refuse(ERR_BAD_FORMAT, "the %s area at %#llx is not all in RAM", name,
			      (unsigned long long)at);
	return OK;
}

static enum err check_areas(const struct vring *r)
{
	enum err e = check_area(r, "descriptor", r->desc, desc_len(r), 16);

	if (e == OK)
		e = check_area(r, "available", r->avail, avail_len(r), 2);
	if (e == OK)
		e = check_area(r, "used", r->used, used_len(r), 4);
	return e;
}

enum err vring_start(struct vring *r)
{
	enum err e = check_areas(r);

	if (e == OK)
		r->enabled = 1;
	return e;
}

enum err vring_check(const struct vring *r)
{
	if (!r->size || r->size > VRING_SIZE_MAX || (r->size & (r->size - 1)))
		return fail(ERR_BAD_FORMAT, "vring: size %u", r->size);
	if (r->enabled > 1)
		return fail(ERR_BAD_FORMAT, "vring: enabled %u", r->enabled);
	if (r->enabled && check_areas(r) != OK)
		return fail(ERR_BAD_FORMAT, "vring: %s", err_reason());
	return OK;
}

/* --- Taking ----------------------------------------------------------------------------------- */

/* A table of descriptors: the queue's own, or an indirect one. */
struct table { uint64_t at; unsigned n; bool is_indirect; };

static enum err read_desc(const struct vring *r, const struct table *t, unsigned i,
                          struct virtq_desc *d)
{
	if (i >= t->n)
		return refuse(ERR_BAD_FORMAT, "descriptor %u of a table of %u", i, t->n);
	if (mem_read(r->mem, gpa(t->at + (uint64_t)DESC_LEN * i), d, sizeof(*d)) != OK)
		return refuse(ERR_BAD_FORMAT, "an indirect table is not in RAM");
	return OK;
}

/* virtio 1.2, "Indirect Descriptors". */
static enum err enter_indirect(const struct vring *r, const struct virtq_desc *d, struct table *t)
{
	if (!r->indirect)
		return refuse(ERR_BAD_FORMAT, "an indirect descriptor, which was not negotiated");
	if (t->is_indirect)
		return refuse(ERR_BAD_FORMAT, "an indirect descriptor in an indirect table");
	if (d->flags & VIRTQ_DESC_NEXT)
		return refuse(ERR_BAD_FORMAT, "an indirect descriptor that does not end its chain");
	if (!d->len || d->len % DESC_LEN || d->len / DESC_LEN > r->size)
		return refuse(ERR_BAD_FORMAT, "an indirect table of %u bytes", d->len);
	*t = (struct table){ .at = d->addr, .n = d->len / DESC_LEN, .is_indirect = true };
	return OK;
}

static enum err add_piece(const struct vring *r, const struct virtq_desc *d, struct vring_chain *c)
{
	uint32_t *len = d->flags & VIRTQ_DESC_WRITE ? &c->write_len : &c->read_len;
	unsigned n = c->nread + c->nwrite;

	if (!(d->flags & VIRTQ_DESC_WRITE) && c->nwrite)
		return refuse(ERR_BAD_FORMAT, "a readable buffer after a writable one");
	if (!mem_is_ram(r->mem, gpa(d->addr), d->len))
		return refuse(ERR_BAD_FORMAT, "a buffer of %u bytes at %#llx, which is not all RAM",
			      d->len, (unsigned long long)d->addr);
	if (n == VRING_SIZE_MAX || *len + d->len < *len)
		return refuse(ERR_BAD_FORMAT, "a chain longer than the queue or than 4 GiB");
	c->piece[n] = (struct vring_piece){ gpa(d->addr), d->len };
	*len += d->len;
	if (d->flags & VIRTQ_DESC_WRITE)
		c->nwrite++;
	else
		c->nread++;
	return OK;
}

/* A loop in the chain ends when as many descriptors were seen as a chain may have. */
static enum err walk(const struct vring *r, struct vring_chain *c)
{
	struct table t = { .at = r->desc, .n = r->size };
	unsigned next = c->head;

	for (unsigned seen = 0; seen <= r->size; seen++) {
		struct virtq_desc d;
		enum err e = read_desc(r, &t, next, &d);

		if (e != OK)
			return e;
		if (d.flags & VIRTQ_DESC_INDIRECT) {
			e = enter_indirect(r, &d, &t);
			next = 0;
		} else {
			e = add_piece(r, &d, c);
			next = d.next;
		}
		if (e != OK)
			return e;
		if (!(d.flags & (VIRTQ_DESC_NEXT | VIRTQ_DESC_INDIRECT)))
			return OK;
	}
	return refuse(ERR_BAD_FORMAT, "a chain that does not end");
}

enum err vring_take(struct vring *r, struct vring_chain *c)
{
	uint16_t idx = load16(r, r->avail + VIRTQ_IDX), waiting = (uint16_t)(idx - r->next_avail);

	if (!waiting)
		return ERR_NOT_FOUND;
	if (waiting > r->size)
		return refuse(ERR_BAD_FORMAT, "%u chains in an available ring of %u", waiting,
			      r->size);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);        /* idx first, then what it announces */
	c->head = load16(r, r->avail + VIRTQ_ENTRIES + 2ull * (r->next_avail % r->size));
	c->nread = c->nwrite = 0;
	c->read_len = c->write_len = 0;
	r->next_avail++;
	return walk(r, c);
}

void vring_untake(struct vring *r)
{
	r->next_avail--;
}

/* --- Giving back ------------------------------------------------------------------------------ */

void vring_give(struct vring *r, const struct vring_chain *c, uint32_t written)
{
	struct virtq_used entry = { c->head, written };

	store(r, r->used + VIRTQ_ENTRIES + 8ull * (r->next_used % r->size), &entry, sizeof(entry));
	r->next_used++;
	__atomic_thread_fence(__ATOMIC_RELEASE);        /* the entry first, then idx */
	store16(r, r->used + VIRTQ_IDX, r->next_used);
}

bool vring_should_interrupt(struct vring *r)
{
	uint16_t given = (uint16_t)(r->next_used - r->told), event;

	if (!given)
		return false;
	r->told = r->next_used;
	fence();
	if (!r->event_idx)
		return !(load16(r, r->avail + VIRTQ_FLAGS) & VIRTQ_NO_INTERRUPT);
	/* Did idx move past the entry that the driver waits for? */
	event = load16(r, used_event_at(r));
	return (uint16_t)(r->next_used - event - 1) < given;
}

bool vring_want_kicks(struct vring *r, bool wanted)
{
	if (!r->event_idx)
		store16(r, r->used + VIRTQ_FLAGS, wanted ? 0 : VIRTQ_NO_NOTIFY);
	else if (wanted)
		store16(r, avail_event_at(r), r->next_avail);
	else    /* as far away as it gets */
		store16(r, avail_event_at(r), (uint16_t)(r->next_avail - 1));
	fence();
	return wanted && load16(r, r->avail + VIRTQ_IDX) != r->next_avail;
}

/* --- Copies ----------------------------------------------------------------------------------- */

uint32_t vring_copy_out(const struct vring *r, const struct vring_chain *c, uint32_t from, void *to,
                        uint32_t len)
{
	uint8_t *out = to;
	uint32_t done = 0;

	for (unsigned i = 0; i < c->nread && done < len; i++) {
		const struct vring_piece *p = &c->piece[i];
		uint32_t n;

		if (from >= p->len) {
			from -= p->len;
			continue;
		}
		n = MIN(p->len - from, len - done);
		if (mem_read(r->mem, gpa(p->addr.v + from), out + done, n) != OK)
			break;
		done += n;
		from = 0;
	}
	return done;
}

uint32_t vring_copy_in(const struct vring *r, const struct vring_chain *c, uint32_t at,
                       const void *from, uint32_t len)
{
	const uint8_t *in = from;
	uint32_t done = 0;

	for (unsigned i = c->nread; i < (unsigned)c->nread + c->nwrite && done < len; i++) {
		const struct vring_piece *p = &c->piece[i];
		uint32_t n;

		if (at >= p->len) {
			at -= p->len;
			continue;
		}
		n = MIN(p->len - at, len - done);
		if (mem_write(r->mem, gpa(p->addr.v + at), in + done, n) != OK)
			break;
		done += n;
		at = 0;
	}
	return done;
}
