/* SPDX-License-Identifier: MIT */
/*
 * drivers/virtq.h - a split virtqueue, seen from the driver (virtio 1.2, "Split Virtqueues").
 *
 * Buffer i is descriptor i, for ever: no chains.  The device may be anything, so what it gives back
 * is checked: only buffers that it has, each once.  Notifications are suppressed by flags, not by
 * event indices: a flag that is seen too late delays one notification, an index that is seen too
 * late prevents all that follow.  Its counterpart is vmm/dev/vring.h.
 */
#ifndef DRIVERS_VIRTQ_H
#define DRIVERS_VIRTQ_H

#include "lib/bitmap.h"
#include "lib/virtio_spec.h"

#define VIRTQ_BUFFERS_MAX  1024u        /* a longer queue is used in part */

/* An upper bound of what the areas of a queue of this size take, each aligned. */
#define VIRTQ_BYTES(size)  (((size) + 2) * (sizeof(struct virtq_desc) + 2 + \
                                            sizeof(struct virtq_used)))

struct virtq {
	uint16_t size;                  /* entries, a power of two                        */
	volatile struct virtq_desc *desc;
	volatile uint8_t *avail, *used;
	uint16_t next_avail;            /* entries of the available ring written so far   */
	uint16_t published;             /* of these, the device may see so many           */
	uint16_t next_used;             /* entries of the used ring taken so far          */
	uint16_t nout;                  /* buffers that the device has                    */
	uint64_t out[BITMAP_WORDS(VIRTQ_BUFFERS_MAX)];
};

/* `memory`: VIRTQ_BYTES(size) bytes, zeroed, 16 byte aligned. */
void virtq_init(struct virtq *q, void *memory, uint16_t size);

/* Where buffer `i` is, as the device sees it; flags: VIRTQ_DESC_WRITE when it writes there. */
void virtq_buffer(struct virtq *q, unsigned i, uint64_t address, uint32_t len, uint16_t flags);

/* The device gets buffer `i`; it sees it with the next virtq_publish(). */
void virtq_give(struct virtq *q, unsigned i);

/* Show the device what it was given; true: it wants to be notified. */
bool virtq_publish(struct virtq *q);

/* How many buffers can be taken back now, as the device says. */
unsigned virtq_waiting(const struct virtq *q);

/*
 * Take the next one of those that are waiting: its number, and how many bytes the device says it
 * wrote.  False: the device gave a buffer that it has not.
 */
bool virtq_take(struct virtq *q, unsigned *i, uint32_t *len);

/* Forget the last take of buffer `i`: it will be taken again. */
void virtq_untake(struct virtq *q, unsigned i);

/* Interrupts for used buffers, or none; after asking, true: some are waiting already. */
bool virtq_want_interrupts(struct virtq *q, bool wanted);

#endif
