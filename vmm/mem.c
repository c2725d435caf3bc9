/* SPDX-License-Identifier: MIT */
/*
 * vmm/mem.c - a guest's RAM: where it is, and checked copies in and out of it.
 *
 * Owns the 2 MiB frames of one VM, the table that says which frame holds which part of guest RAM,
 * and the software dirty bitmap.  An address from a guest passes mem_is_ram() or one of the copies,
 * which refuse what is not RAM; page indices come from the hypervisor itself and are asserted,
 * except in mem_write_page(), whose index comes from the peer of a migration.
 *
 * Called by device models, loaders and mig/; read next: vmm/stage2.c, vmm/dirty.c.
 */
#include "vmm/mem.h"

#include <string.h>

#include "lib/bitmap.h"
#include "lib/config.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/task.h"

#define HIGH_START (4 * GIB)            /* where RAM goes on above the hole for MMIO */

_Static_assert(MEM_LOW_TOP % FRAME_SIZE == 0 && HIGH_START % FRAME_SIZE == 0,
               "no frame lies on both sides of the hole");
_Static_assert(VM_RAM_MAX_BYTES % FRAME_SIZE == 0, "RAM is made of whole frames");

static void frames_give_back(struct mem *m, uint64_t n)
{
	while (n-- > 0)
		frame_free(m->frame[n]);
	frames_free_run(m->tables, m->ntables);
	*m = (struct mem){ 0 };
}

static enum err create(struct mem *m, uint64_t ram_bytes, enum err (*take_frame)(hpa_t *))
{
	if (!ram_bytes || ram_bytes > VM_RAM_MAX_BYTES)
		return refuse(ERR_BAD_ARGUMENT,
		              "guest RAM of %lu bytes is not between 1 byte and %lu GiB", ram_bytes,
		              (unsigned long)(VM_RAM_MAX_BYTES / GIB));
	*m = (struct mem){ .ram_bytes = ALIGN_UP(ram_bytes, FRAME_SIZE) };
	m->ram_pages = m->ram_bytes / PAGE_SIZE;
	m->nframes = m->ram_bytes / FRAME_SIZE;
	if (m->nframes > pages_stats().frames_free)     /* before zeroing gigabytes in vain */
		return fail(ERR_NO_MEMORY, "guest RAM of %lu MiB: the host has %lu MiB left",
		            (unsigned long)(m->ram_bytes / MIB),
		            (unsigned long)(pages_stats().frames_free * FRAME_SIZE / MIB));

	uint64_t bitmap_bytes = BITMAP_WORDS(m->ram_pages) * sizeof(uint64_t);
	uint64_t frame_bytes = m->nframes * sizeof(hpa_t);
	m->ntables = (unsigned)(ALIGN_UP(bitmap_bytes + frame_bytes, FRAME_SIZE) / FRAME_SIZE);
	enum err e = frames_alloc_run(m->ntables, &m->tables);
	if (e != OK)
		return e;
	m->soft_dirty = hpa_ptr(m->tables);
	m->frame = hpa_ptr(hpa(m->tables.v + bitmap_bytes));
	for (uint64_t i = 0; i < m->nframes; i++) {
		e = take_frame(&m->frame[i]);
		if (e != OK) {
			frames_give_back(m, i);
			return e;
		}
	}
	return OK;
}

enum err mem_create(struct mem *m, uint64_t ram_bytes)
{
	return create(m, ram_bytes, frame_alloc);
}

enum err mem_create_used(struct mem *m, uint64_t ram_bytes)
{
	return create(m, ram_bytes, frame_alloc_used);
}

void mem_destroy(struct mem *m)
{
	if (m->tables.v)
		frames_give_back(m, m->nframes);
}

/* The offset of `a` in RAM counted without the hole, and how much RAM follows it in one piece. */
static bool ram_offset(const struct mem *m, gpa_t a, uint64_t *offset, uint64_t *rest)
{
	uint64_t low_top = MIN(m->ram_bytes, MEM_LOW_TOP);

	if (a.v < low_top) {
		*offset = a.v;
		*rest = low_top - a.v;
		return true;
	}
	if (a.v < HIGH_START || a.v - HIGH_START >= m->ram_bytes - low_top)
		return false;
	*offset = a.v - HIGH_START + low_top;
	*rest = m->ram_bytes - *offset;
	return true;
}

bool mem_is_ram(const struct mem *m, gpa_t a, uint64_t len)
{
	uint64_t offset, rest;

	return ram_offset(m, a, &offset, &rest) && MAX(len, 1) <= rest;
}

/* Host bytes at `offset` of RAM; *run (at most `len`) of them are contiguous. */
static uint8_t *bytes_at(const struct mem *m, uint64_t offset, uint64_t len, uint64_t *run)
{
	uint64_t i = offset >> FRAME_SHIFT, in_frame = offset & (FRAME_SIZE - 1);
	uint64_t have = FRAME_SIZE - in_frame;
	uint8_t *p = (uint8_t *)hpa_ptr(m->frame[i]) + in_frame;

	while (have < len && i + 1 < m->nframes &&
	       m->frame[i + 1].v == m->frame[i].v + FRAME_SIZE) {
		have += FRAME_SIZE;
		i++;
	}
	*run = MIN(have, len);
	return p;
}

static void mark(struct mem *m, uint64_t offset, uint64_t len)
{
	for (uint64_t i = offset >> PAGE_SHIFT; i <= (offset + len - 1) >> PAGE_SHIFT; i++)
		bitmap_set(m->soft_dirty, i);
}

static enum err not_ram(const struct mem *m, gpa_t a, uint64_t len)
{
	return refuse(ERR_BAD_ARGUMENT, "0x%lx bytes at guest address 0x%lx are not all RAM"
	              " (of %lu MiB)", len, a.v, (unsigned long)(m->ram_bytes / MIB));
}

enum err mem_read(const struct mem *m, gpa_t from, void *to, uint64_t len)
{
	uint64_t offset, rest, run;
	uint8_t *out = to;

	if (!ram_offset(m, from, &offset, &rest) || len > rest)
		return not_ram(m, from, len);
	for (; len; len -= run, offset += run, out += run) {
		const uint8_t *p = bytes_at(m, offset, len, &run);
		memcpy(out, p, run);
	}
	return OK;
}

enum err mem_write(struct mem *m, gpa_t to, const void *from, uint64_t len)
{
	uint64_t offset, rest, run;
	const uint8_t *in = from;

	if (!ram_offset(m, to, &offset, &rest) || len > rest)
		return not_ram(m, to, len);
	for (; len; len -= run, offset += run, in += run) {
		uint8_t *p = bytes_at(m, offset, len, &run);
		mark(m, offset, run);
		memcpy(p, in, run);
	}
	return OK;
}

enum err mem_fill(struct mem *m, gpa_t to, uint8_t byte, uint64_t len)
{
	uint64_t offset, rest, run;

	if (!ram_offset(m, to, &offset, &rest) || len > rest)
		return not_ram(m, to, len);
	for (; len; len -= run, offset += run) {
		uint8_t *p = bytes_at(m, offset, len, &run);
		mark(m, offset, run);
		memset(p, byte, run);
	}
	return OK;
}

enum err mem_load(struct mem *m, gpa_t to, const void *from, uint64_t len)
{
	const uint8_t *in = from;

	if (!mem_is_ram(m, to, len))
		return not_ram(m, to, len);
	for (uint64_t at = 0, n; at < len; at += n) {
		n = MIN(len - at, TASK_STEP_BYTES);
		mem_write(m, gpa(to.v + at), in + at, n);
		task_breathe();
	}
	return OK;
}

enum err mem_clear(struct mem *m, gpa_t to, uint64_t len)
{
	if (!mem_is_ram(m, to, len))
		return not_ram(m, to, len);
	for (uint64_t at = 0, n; at < len; at += n) {
		n = MIN(len - at, TASK_STEP_BYTES);
		mem_fill(m, gpa(to.v + at), 0, n);
		task_breathe();
	}
	return OK;
}

const void *mem_peek(const struct mem *m, gpa_t a, uint64_t len, uint64_t *run)
{
	uint64_t offset, rest;

	if (!ram_offset(m, a, &offset, &rest)) {
		*run = 0;
		return NULL;
	}
	return bytes_at(m, offset, MIN(len, rest), run);
}

void *mem_poke(struct mem *m, gpa_t a, uint64_t len, uint64_t *run)
{
	uint64_t offset, rest;

	if (!ram_offset(m, a, &offset, &rest)) {
		*run = 0;
		return NULL;
	}
	uint8_t *p = bytes_at(m, offset, MIN(len, rest), run);
	if (*run)
		mark(m, offset, *run);
	return p;
}

uint64_t mem_index(const struct mem *m, gpa_t a)
{
	uint64_t offset, rest;
	bool is_ram = ram_offset(m, a, &offset, &rest);

	ASSERT(is_ram);
	return offset >> PAGE_SHIFT;
}

gpa_t mem_gpa(const struct mem *m, uint64_t index)
{
	uint64_t offset = index << PAGE_SHIFT;

	ASSERT(index < m->ram_pages);
	return gpa(offset < MEM_LOW_TOP ? offset : offset - MEM_LOW_TOP + HIGH_START);
}

const void *mem_page(const struct mem *m, uint64_t index)
{
	ASSERT(index < m->ram_pages);
	const uint8_t *frame = hpa_ptr(m->frame[index / PAGES_PER_FRAME]);
	return frame + index % PAGES_PER_FRAME * PAGE_SIZE;
}

enum err mem_write_page(struct mem *m, uint64_t index, const void *page)
{
	if (index >= m->ram_pages)
		return fail(ERR_BAD_FORMAT, "page index %lu: this guest has %lu pages", index,
		            m->ram_pages);
	return mem_write(m, mem_gpa(m, index), page, PAGE_SIZE);
}
