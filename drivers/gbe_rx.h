/* SPDX-License-Identifier: MIT */
/*
 * drivers/gbe_rx.h - which descriptors of a receive ring are one frame.
 *
 * Pure.  A frame that is longer than a slot lies in several, in the order of the ring; only the
 * last says that it ends ("Receive Descriptor Format": EOP).  What the card writes is checked, and
 * a frame that never ends keeps no more than FRAME_PARTS_MAX slots from the card.
 */
#ifndef DRIVERS_GBE_RX_H
#define DRIVERS_GBE_RX_H

#include "lib/frame.h"
#include "lib/types.h"

#define GBE_SLOT_SIZE         2048            /* "Receive Control Register": BSIZE 0 */

struct gbe_rx_desc {
	uint64_t buffer;
	uint16_t len, checksum;
	uint8_t  status, errors;
	uint16_t special;
};
_Static_assert(sizeof(struct gbe_rx_desc) == 16, "Receive Descriptor Format");
#define RX_STATUS_DD          BIT(0)          /* the card is done with it           */
#define RX_STATUS_EOP         BIT(1)          /* last piece of a frame              */
#define RX_ERRORS_FRAME       (BIT(0) | BIT(1) | BIT(2) | BIT(4) | BIT(7))   /* CE SE SEQ CXE RXE */

/* What a frame turned out to be. */
enum gbe_rx_got {
	GBE_RX_PART,                    /* it goes on in the next slot  */
	GBE_RX_FRAME,                   /* a good one                   */
	GBE_RX_LONG,                    /* it is longer than it may be  */
	GBE_RX_BAD,                     /* it is not a good frame       */
};

struct gbe_rx {
	struct frame    frame;          /* the pieces so far, where the card put them       */
	enum gbe_rx_got verdict;        /* so far; of what is not good, the rest is dropped */
	bool            inside;         /* its last descriptor is yet to come               */
	unsigned        held;           /* slots before the next one that have its pieces   */
};

/*
 * The next descriptor, which the card is done with (DD), and the slot that it names; the longest
 * frame to be taken now.  GBE_RX_FRAME: r->frame, valid until the next call.
 */
enum gbe_rx_got gbe_rx_take(struct gbe_rx *r, const struct gbe_rx_desc *d, const uint8_t *slot,
			    uint32_t max_len);

/*
 * "Receive Descriptor Tail" of a ring of `n` slots, the next of which is `next`: all before it are
 * the card's, except those of a frame that has not ended.
 */
static inline unsigned gbe_rx_tail(const struct gbe_rx *r, unsigned next, unsigned n)
{
	return (next + n - r->held - 1) % n;
}

#endif
