/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vring.h - a split virtqueue, seen from the device (virtio 1.2, "Split Virtqueues").
 *
 * The rings are guest memory and the guest is hostile: each descriptor is copied once, checked and
 * then used; chains are bounded; every write marks pages dirty (vmm/mem.h).
 */
#ifndef VMM_DEV_VRING_H
#define VMM_DEV_VRING_H

#include "lib/err.h"
#include "vmm/mem.h"
#include "vmm/state.h"

#define VRING_SIZE_MAX  256u            /* entries, a power of two */

struct vring {
	uint16_t size;                  /* entries                                        */
	uint8_t  enabled;
	uint16_t vector;                /* MSI-X vector, or VIRTIO_NO_VECTOR               */
	uint64_t desc, avail, used;     /* guest-physical addresses of the three areas    */
	uint16_t next_avail;            /* entries of the available ring taken so far     */
	uint16_t next_used;             /* entries of the used ring written so far        */
	uint16_t told;                  /* next_used when the driver was last told        */
	struct mem *mem;                /* derived                                        */
	bool     event_idx, indirect;   /* derived: negotiated features                   */
};

#define VRING_FIELDS(type, m)                                                              \
	FIELD(type, m.size), FIELD(type, m.enabled), FIELD(type, m.vector),                \
	FIELD(type, m.desc), FIELD(type, m.avail), FIELD(type, m.used),                    \
	FIELD(type, m.next_avail), FIELD(type, m.next_used), FIELD(type, m.told)

struct vring_piece { gpa_t addr; uint32_t len; };

/* Buffers that the driver made available as one: first those to read, then those to write. */
struct vring_chain {
	uint16_t head;
	uint16_t nread, nwrite;         /* pieces                                         */
	uint32_t read_len, write_len;   /* bytes                                          */
	struct vring_piece piece[VRING_SIZE_MAX];
};

void     vring_reset(struct vring *r);

/*
 * The driver enables the queue: its areas must be aligned and in RAM; the refusal says which not.
 */
enum err vring_start(struct vring *r);

/*
 * Take the next chain.  ERR_NOT_FOUND (without a sentence): there is none.  ERR_BAD_FORMAT: the
 * driver broke the rules, err_reason() says how.
 */
enum err vring_take(struct vring *r, struct vring_chain *c);

/* Forget the last take: the chain will be taken again. */
void     vring_untake(struct vring *r);

/* Give a chain back with `written` bytes in its writable pieces. */
void     vring_give(struct vring *r, const struct vring_chain *c, uint32_t written);

/* After giving: does the driver want an interrupt?  Asked once for all that was given. */
bool     vring_should_interrupt(struct vring *r);

/*
 * Ask for notifications of new chains, or do without.  After asking, chains may have come that
 * nobody will tell of: true says so.
 */
bool     vring_want_kicks(struct vring *r, bool wanted);

/* Copy out of the readable pieces from byte `from` on; returns bytes copied. */
uint32_t vring_copy_out(const struct vring *r, const struct vring_chain *c, uint32_t from, void *to,
                        uint32_t len);
/* Copy into the writable pieces from byte `at` on; returns bytes copied. */
uint32_t vring_copy_in(const struct vring *r, const struct vring_chain *c, uint32_t at,
                       const void *from, uint32_t len);

enum err vring_check(const struct vring *r);

#endif
