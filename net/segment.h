/* SPDX-License-Identifier: MIT */
/*
 * net/segment.h - TCP segments that are too long for a wire, and the packets that they are.
 *
 * Pure.  TCP makes segments of up to 64 KiB for a card that cuts them ("TCP segmentation offload");
 * where such a frame goes to somebody else, the switch cuts it here.
 */
#ifndef NET_SEGMENT_H
#define NET_SEGMENT_H

#include "lib/frame.h"

/* Ethernet with a VLAN tag, IPv4 with options or IPv6 without, TCP with options. */
#define SEGMENT_HEADER_MAX (18 + 60 + 60)
#define SEGMENT_PAYLOAD_MIN 64          /* in each packet: who wants less only wants work */

struct segment {
	const struct frame *whole;
	bool                v6;
	uint16_t            ip, tcp, header;    /* where these begin, and how long all are */
	uint32_t            done;               /* bytes of the payload that were cut off  */
	uint16_t            number;             /* of packets                              */
	uint8_t             head[2][SEGMENT_HEADER_MAX];        /* the whole's; a packet's */
	struct frame        packet;
};

/*
 * Begin to cut `f`, which stays as it is meanwhile.  False: it is no such frame (its headers are
 * looked at, not believed), or its packets would be longer than `longest` bytes with a tag.
 */
bool segment_begin(struct segment *s, const struct frame *f, uint32_t longest);

/*
 * The next packet, valid until the next call; its checksum is missing (f->sum).  NULL: that was the
 * last one.
 */
const struct frame *segment_next(struct segment *s);

/*
 * The sum of the pseudo header (RFC 9293, RFC 8200) of a TCP segment of `len` bytes, as a card
 * wants it in the place of the checksum, in the order of the network; `ip`: the header before it.
 */
uint16_t segment_pseudo_sum(const uint8_t *ip, bool v6, uint32_t len);

#endif
