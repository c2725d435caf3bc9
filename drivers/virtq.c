/* SPDX-License-Identifier: MIT */
/*
 * drivers/virtq.c - a split virtqueue, seen from the driver.
 *
 * Memory is shared with a device that runs at the same time: each barrier stands where the
 * specification has it and says what it orders.  Layout of the areas: lib/virtio_spec.h.  Called by
 * drivers/virtio_net.c.
 */
#include "drivers/virtq.h"

#include "lib/log.h"

static volatile uint16_t *avail16(const struct virtq *q, unsigned at)
{
	return (volatile uint16_t *)(q->avail + at);
}

static volatile uint16_t *used16(const struct virtq *q, unsigned at)
{
	return (volatile uint16_t *)(q->used + at);
}

void virtq_init(struct virtq *q, void *memory, uint16_t size)
{
	uint8_t *at = memory;
	uint64_t avail_at = sizeof(struct virtq_desc) * size;
	uint64_t used_at = ALIGN_UP(avail_at + VIRTQ_ENTRIES + 2 * size + 2, 4);

	ASSERT(size && size <= VIRTQ_BUFFERS_MAX && !(size & (size - 1)));
	*q = (struct virtq){ .size = size, .desc = memory, .avail = at + avail_at,
			     .used = at + used_at };
}

void virtq_buffer(struct virtq *q, unsigned i, uint64_t address, uint32_t len, uint16_t flags)
{
	volatile struct virtq_desc *d = &q->desc[i];

	d->addr = address;
	d->len = len;
	d->flags = flags;
}

void virtq_give(struct virtq *q, unsigned i)
{
	ASSERT(i < q->size);
	ASSERT(!bitmap_test(q->out, i));
	bitmap_set(q->out, i);
	q->nout++;
	*avail16(q, VIRTQ_ENTRIES + 2u * (q->next_avail % q->size)) = (uint16_t)i;
	q->next_avail++;
}

bool virtq_publish(struct virtq *q)
{
	if (q->published == q->next_avail)
		return false;
	__atomic_thread_fence(__ATOMIC_RELEASE);        /* descriptors and entries, then idx */
	*avail16(q, VIRTQ_IDX) = q->next_avail;
	q->published = q->next_avail;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);        /* idx, before we look what it wants */
	return !(*used16(q, VIRTQ_FLAGS) & VIRTQ_NO_NOTIFY);
}

unsigned virtq_waiting(const struct virtq *q)
{
	return (uint16_t)(*used16(q, VIRTQ_IDX) - q->next_used);
}

bool virtq_take(struct virtq *q, unsigned *i, uint32_t *len)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);        /* idx was read: now what it announces */
	volatile struct virtq_used *u = (volatile struct virtq_used *)(q->used + VIRTQ_ENTRIES) +
					q->next_used % q->size;
	uint32_t id = u->id;                            /* one copy, checked, then used */

	*len = u->len;
	*i = id;
	if (id >= q->size || !bitmap_test(q->out, id))
		return false;
	bitmap_clear(q->out, id);
	q->nout--;
	q->next_used++;
	return true;
}

void virtq_untake(struct virtq *q, unsigned i)
{
	bitmap_set(q->out, i);
	q->nout++;
	q->next_used--;
}

bool virtq_want_interrupts(struct virtq *q, bool wanted)
{
	*avail16(q, VIRTQ_FLAGS) = wanted ? 0 : VIRTQ_NO_INTERRUPT;
	if (!wanted)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);        /* the wish, before we look once more */
	return virtq_waiting(q) > 0;
}
