/* SPDX-License-Identifier: MIT */
/*
 * vmm/bus.c - from a port or an address to the device that answers.
 *
 * Two sorted tables, searched by halves: twenty devices are five steps.  Called by vmm/exit.c for
 * ports and by vmm/mmio.c for memory; read next: vmm/dev.h, then any device, say vmm/dev/vpit.c.
 */
#include "vmm/bus.h"

#include <string.h>

static const char *const space_name[BUS_SPACES] = { [BUS_IO] = "port", [BUS_MMIO] = "address" };

void bus_init(struct bus *b)
{
	memset(b, 0, sizeof(*b));
	b->deadline_ns = NEVER_NS;
}

/* How many entries begin at or below `addr`: the last of these is the only one that can hold it. */
static unsigned count_upto(const struct bus *b, enum bus_space space, uint64_t addr)
{
	unsigned lo = 0, hi = b->n[space];

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (b->entry[space][mid].base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

enum err bus_map(struct bus *b, enum bus_space space, uint64_t base, uint64_t len,
                 const struct dev_ops *ops, void *dev)
{
	struct bus_entry *e = b->entry[space];
	unsigned n = b->n[space], at = count_upto(b, space, base);

	if (len == 0 || base + len < base)
		return refuse(ERR_BAD_ARGUMENT, "%s: no range of %lu bytes at %s %#lx", ops->name,
		            len, space_name[space], base);
	const struct bus_entry *before = at > 0 ? &e[at - 1] : NULL;
	const struct bus_entry *after = at < n ? &e[at] : NULL;
	const struct bus_entry *hit = before && base - before->base < before->len ? before :
	                              after && after->base - base < len ? after : NULL;
	if (hit)
		return refuse(ERR_EXISTS, "%s at %s %#lx overlaps %s", ops->name, space_name[space],
		            base, hit->ops->name);
	if (n == BUS_RANGES_MAX)
		return refuse(ERR_NO_MEMORY, "%s at %s %#lx: all %d ranges of the bus are taken",
		              ops->name, space_name[space], base, BUS_RANGES_MAX);
	memmove(&e[at + 1], &e[at], (n - at) * sizeof(*e));
	e[at] = (struct bus_entry){ base, len, ops, dev };
	b->n[space]++;
	return OK;
}

void bus_unmap(struct bus *b, enum bus_space space, uint64_t base, void *dev)
{
	struct bus_entry *e = b->entry[space];

	for (unsigned i = 0; i < b->n[space]; i++) {
		if (e[i].base != base || e[i].dev != dev)
			continue;
		b->n[space]--;
		memmove(&e[i], &e[i + 1], (b->n[space] - i) * sizeof(*e));
		e[b->n[space]] = (struct bus_entry){ 0 };       /* holds nothing */
		return;
	}
}

static inline bool holds(const struct bus_entry *e, const struct access *a)
{
	uint64_t offset = a->addr - e->base;

	return offset < e->len && a->size <= e->len - offset;
}

/*
 * The one device that holds the whole access, or NULL; the one that answered last is asked first.
 */
static inline const struct bus_entry *find(struct bus *b, enum bus_space space,
                                           const struct access *a)
{
	const struct bus_entry *e = &b->entry[space][b->last[space]];

	if (holds(e, a))
		return e;
	unsigned n = count_upto(b, space, a->addr);
	if (n == 0)
		return NULL;
	e = &b->entry[space][n - 1];
	if (!holds(e, a))
		return NULL;
	b->last[space] = (uint8_t)(n - 1);
	return e;
}

static inline void note_deadline(struct bus *b, const struct bus_entry *e)
{
	if (e->ops->deadline) {
		uint64_t due = e->ops->deadline(e->dev);
		b->deadline_ns = MIN(b->deadline_ns, due);
	}
}

static inline uint64_t value_mask(unsigned size)
{
	return ~0ull >> (64 - 8 * size);
}

/* Nobody holds all of it: each byte for itself. */
static uint64_t read_bytes(struct bus *b, enum bus_space space, const struct access *a)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < a->size; i++) {
		struct access byte = { a->addr + i, 1, a->vcpu, a->now_ns };
		value |= bus_read(b, space, &byte) << (8 * i);
	}
	return value;
}

static void write_bytes(struct bus *b, enum bus_space space, const struct access *a, uint64_t value)
{
	for (unsigned i = 0; i < a->size; i++) {
		struct access byte = { a->addr + i, 1, a->vcpu, a->now_ns };
		bus_write(b, space, &byte, value >> (8 * i));
	}
}

uint64_t bus_read(struct bus *b, enum bus_space space, const struct access *a)
{
	const struct bus_entry *e = find(b, space, a);

	if (!e && a->size > 1)
		return read_bytes(b, space, a);
	if (!e || !e->ops->read) {
		b->unclaimed += !e;
		return value_mask(a->size);
	}
	uint64_t value = e->ops->read(e->dev, a);
	note_deadline(b, e);
	return value & value_mask(a->size);
}

void bus_write(struct bus *b, enum bus_space space, const struct access *a, uint64_t value)
{
	const struct bus_entry *e = find(b, space, a);

	if (!e && a->size > 1) {
		write_bytes(b, space, a, value);
		return;
	}
	if (!e || !e->ops->write) {
		b->unclaimed += !e;
		return;
	}
	/* The device may move its own range (a BAR): `e` is not to be looked at afterwards. */
	struct bus_entry owner = *e;
	owner.ops->write(owner.dev, a, value & value_mask(a->size));
	note_deadline(b, &owner);
}
