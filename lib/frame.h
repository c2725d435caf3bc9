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

#define FRAME_PARTS_MAX  18
#define FRAME_LEN_MIN    14          /* two addresses and a type                      */
#define FRAME_LEN_MAX    1518        /* 1500 bytes of payload, header and a VLAN tag  */
#define MAC_LEN          6

struct frame_part { const uint8_t *data; uint16_t len; };

struct frame {
	uint16_t          len;        /* sum of the parts */
	uint16_t          nparts;
	struct frame_part part[FRAME_PARTS_MAX];
};

/* A frame of one piece. */
static inline struct frame frame_of(const void *data, uint16_t len)
{
	return (struct frame){ .len = len, .nparts = 1, .part = { { data, len } } };
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

#endif
