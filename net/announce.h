/* SPDX-License-Identifier: MIT */
/*
 * net/announce.h - telling the switches where a moved guest is now: RARP (RFC 903) broadcasts.
 *
 * A burst, because a frame may be lost and because a late frame of the old host steals the
 * forwarding entry back: six frames, with pauses of 50, 150, 250, 350 and 450 ms.
 */
#ifndef NET_ANNOUNCE_H
#define NET_ANNOUNCE_H

#include "lib/err.h"
#include "lib/frame.h"

#define RARP_FRAME_LEN 60

/* The 60 bytes of the frame for one MAC. */
void announce_frame(uint8_t out[RARP_FRAME_LEN], const uint8_t mac[MAC_LEN]);

/* How a frame leaves: set at boot to the guests' switch, entering at the guest's own port. */
typedef void announce_send_fn(void *to, const struct frame *f);

/* Begin a burst; it goes on from announce_poll().  Ends early if announce_cancel(to) is called. */
enum err announce_start(const uint8_t mac[MAC_LEN], announce_send_fn *send, void *to,
			uint64_t now_ns);
void     announce_cancel(const void *to);
uint64_t announce_poll(uint64_t now_ns);        /* for sched_add_poll() */
uint64_t announce_sent(void);                   /* counter              */

#endif
