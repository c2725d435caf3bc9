/* SPDX-License-Identifier: MIT */
/*
 * net/nic.h - what a network card gives: frames out, frames in, a link.
 * Implemented by drivers/; used by net/vswitch.c as an uplink.
 */
#ifndef NET_NIC_H
#define NET_NIC_H

#include "lib/err.h"
#include "lib/frame.h"

#define NIC_MTU         1500                    /* of a card unless it is told another one */
#define NIC_MTU_MAX     9000

struct nic;
typedef void nic_receive_fn(void *to, const struct frame *f);

struct nic_ops {
	/* Copies the frame; false: the ring is full or there is no link, counted. */
	bool     (*send)(struct nic *, const struct frame *);
	/* Frames that send() would take now. */
	unsigned (*room)(const struct nic *);
	/*
	 * Hand up at most `budget` frames, handle link changes; how many frames.  Cheap when idle.
	 */
	unsigned (*poll)(struct nic *, unsigned budget);
	/*
	 * Allow interrupts again, or (polled) look for what they would have told; true: work came
	 * in meanwhile.
	 */
	bool     (*rearm)(struct nic *);
	/* Bring what the card counts by itself into nic->count; NULL: it counts nothing. */
	void     (*refresh)(struct nic *);
	/*
	 * NIC_MTU to NIC_MTU_MAX; sets nic->mtu.  From now on frames of up to `mtu` bytes and
	 * FRAME_HEAD_MAX come in and may be sent; longer ones that come in are dropped and counted.
	 * Once, before anybody uses the card, whose link and interrupts may be on.
	 * ERR_NOT_SUPPORTED, said with the card's limit: nothing has changed.  NULL: only NIC_MTU.
	 */
	enum err (*set_mtu)(struct nic *, uint16_t mtu);
};

struct nic_counters {
	uint64_t tx_frames, tx_bytes;
	uint64_t tx_full;               /* not taken: ring full, or no link */
	uint64_t rx_frames, rx_bytes;
	uint64_t rx_dropped;            /* no buffer was free */
	uint64_t rx_errors;             /* not a good frame   */
	uint64_t rx_long;               /* dropped by the card: longer than it may be */
	uint64_t interrupts;
};

struct nic {
	char                  name[16];         /* "nic0", in PCI order         */
	char                  where[48];        /* "82540EM at PCI 00:03.0"     */
	const char           *driver;           /* "e1000"                      */
	uint8_t               mac[MAC_LEN];
	uint16_t              mtu;              /* bytes of payload: NIC_MTU    */
	bool                  link;
	struct frame_takes    takes;            /* of TCP's work                */
	bool                  polled;           /* has no interrupt             */
	uint64_t              look_ns;          /* polled: when to look next    */
	const struct nic_ops *ops;
	nic_receive_fn       *receive;          /* set by who uses the card     */
	void                 *receive_to;
	volatile bool         work;             /* set by the interrupt handler */
	struct nic_counters   count;
};

/* Filled by drivers in PCI order at boot. */
enum err    nic_register(struct nic *nic);
void        nic_announce(const struct nic *nic, const char *irq);       /* one line in the log */
/* The link as the driver sees it now; a change is logged, with the speed where it is known. */
void        nic_link(struct nic *nic, bool up, unsigned mbit_s);
struct nic *nic_at(unsigned i);                 /* NULL: no such card      */
struct nic *nic_find(const char *name);         /* "nic0" or a MAC address */

/* Checked; see nic_ops. */
enum err    nic_set_mtu(struct nic *nic, unsigned mtu);
void        nic_refresh(struct nic *nic);       /* before its counters are read */

/* Poll every card: for sched_add_poll(). */
uint64_t nic_poll_all(uint64_t now_ns);

#endif
