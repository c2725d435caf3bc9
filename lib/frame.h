/* SPDX-License-Identifier: MIT */
/*
 * lib/frame.h - an Ethernet frame on its way: a short list of pieces, never owned.
 *
 * NICs, the virtual switch, lwIP's netif and the guests' virtio-net ports hand frames to each other
 * in this form.  The pieces are valid only during the call; whoever keeps a frame copies it.
 */
#ifndef LIB_FRAME_H
#define LIB_FRAME_H

#include <string.h>

#include "lib/types.h"

#define FRAME_PARTS_MAX  48          /* of whoever makes one                          */
#define FRAME_LEN_MIN    14          /* two addresses and a type                      */
#define FRAME_HEAD_MAX   18          /* header and a VLAN tag                         */
#define FRAME_LEN_MAX    (FRAME_HEAD_MAX + 1500)  /* on ordinary wires                */
#define FRAME_JUMBO_MAX  (FRAME_HEAD_MAX + 9000)  /* on wires of an MTU of 9000       */
#define FRAME_BIG_MAX    (18 + 65535)   /* to be cut: an IP packet as long as they get */
#define MAC_LEN          6

struct frame_part { const uint8_t *data; uint16_t len; };

/*
 * What is known of the checksum of TCP or UDP.  `from` 0: it is in the frame.  Else somebody has
 * yet to put it at `at`: the inverted sum (RFC 1071) of all bytes from `from` to the end, with what
 * stands at `at` now, which is the sum of the pseudo header.
 */
struct frame_sum {
	bool              good;       /* a card has checked it, or it never left a machine */
	uint16_t          from, at;
};

struct frame {
	uint32_t          len;        /* sum of the parts */
	uint16_t          nparts;
	/*
	 * 0: it is a packet.  Else it is a TCP segment, too long for a wire and without its
	 * checksum, and somebody has yet to cut it into packets of so many bytes of TCP's payload
	 * (net/segment.h).
	 */
	uint16_t          cut;
	struct frame_sum  sum;
	struct frame_part part[FRAME_PARTS_MAX + 1];    /* one is the switch's, for another tag */
};

/*
 * What somebody who is given frames takes of them: such whose checksum is missing, and of these
 * such that have yet to be cut, up to so many bytes (0: none).
 */
struct frame_takes { bool no_sums; uint32_t uncut; };

/* A frame that has no pieces yet; of those that it may have, none is touched. */
static inline void frame_clear(struct frame *f)
{
	f->len = 0;
	f->nparts = 0;
	f->cut = 0;
	f->sum = (struct frame_sum){ 0 };
}

static inline void frame_add(struct frame *f, const void *data, uint16_t len)
{
	f->part[f->nparts++] = (struct frame_part){ data, len };
	f->len += len;
}

/* A frame of one piece. */
static inline struct frame frame_of(const void *data, uint16_t len)
{
	struct frame f;

	frame_clear(&f);
	frame_add(&f, data, len);
	return f;
}

/* All bytes in order into `to`, which has room for f->len. */
static inline void frame_copy(void *to, const struct frame *f)
{
	uint8_t *p = to;

	for (unsigned i = 0; i < f->nparts; i++) {
		memcpy(p, f->part[i].data, f->part[i].len);
		p += f->part[i].len;
	}
}

/* The first bytes, at most `max`, of a frame whose pieces may be cut anywhere; how many. */
static inline unsigned frame_head(void *to, const struct frame *f, unsigned max)
{
	uint8_t *p = to;
	unsigned n = 0;

	for (unsigned i = 0; i < f->nparts && n < max; i++) {
		unsigned take = MIN((unsigned)f->part[i].len, max - n);

		memcpy(p + n, f->part[i].data, take);
		n += take;
	}
	return n;
}

/* Append the pieces of `f` from byte `from` on, `len` bytes of them, to `to`, which has room. */
static inline void frame_slice(struct frame *to, const struct frame *f, uint32_t from, uint32_t len)
{
	for (unsigned i = 0; len > 0; i++) {
		uint32_t n = f->part[i].len;

		if (from >= n) {
			from -= n;
			continue;
		}
		n = MIN(n - from, len);
		frame_add(to, f->part[i].data + from, (uint16_t)n);
		len -= n;
		from = 0;
	}
}

#endif
