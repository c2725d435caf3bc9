/* SPDX-License-Identifier: MIT */
/*
 * boot/nicwire.h - two cards on one wire, and frames that both can check.
 */
#ifndef BOOT_NICWIRE_H
#define BOOT_NICWIRE_H

#include "net/nic.h"

#define NICWIRE_LEN_FILLED 60                   /* shorter ones may be filled up to this */
#define NICWIRE_WINDOW     64                   /* frames on their way, each way         */
#define NICWIRE_TAG_LEN    4                    /* of a VLAN                             */

/* A card, what it sent and what it got. */
struct nicwire {
	struct nic           *nic;
	const struct nic_ops *driver;           /* nic->ops is `counting`                 */
	struct nic_ops        counting;
	nic_receive_fn       *receive;          /* whose frames are those that are not ours */
	void                 *receive_to;
	uint64_t              sent;             /* frames so far; also the next's number  */
	uint64_t              expected;         /* number of the next frame from the peer */
	uint64_t              got, lost, bad;
	unsigned              bad_len;          /* of the latest bad frame                */
	uint64_t              rearms;
	uint64_t              interrupts;       /* when the counts began                  */
	bool                  hold;             /* interrupts stay off                    */
};

extern struct nicwire nicwire[2];
extern bool nicwire_lossy;                      /* the wire loses frames, and may be late */
extern unsigned nicwire_longest;                /* by both cards' MTU; longer ones have a tag */
extern unsigned nicwire_len;                    /* of all frames; 0: by their numbers     */

/* Take both cards; their other frames go where they went before. */
void nicwire_start(struct nic *a, struct nic *b);

struct nicwire *nicwire_peer(const struct nicwire *e);

/* Begin to count anew; what is still on its way from before counts no more. */
void nicwire_count(void);

/* The next frame of `e`; false: its card does not take it. */
bool nicwire_send(struct nicwire *e);

/* Send `n0` frames from the first card, `n1` from the second, at once, as fast as they arrive. */
void nicwire_move(uint64_t n0, uint64_t n1);

/* Wait until a frame of ours came, at most so long. */
bool nicwire_wait(uint64_t max_ns);

/* Wait for room in the card's ring without giving anybody else the CPU; false: there was none. */
bool nicwire_room(struct nicwire *e, uint64_t max_ns);

/* True, or a line that says what end `e` got, out of `want` frames, that it should not. */
bool nicwire_whole(const char *what, const struct nicwire *e, uint64_t want);

#endif
