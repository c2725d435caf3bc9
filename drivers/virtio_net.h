/* SPDX-License-Identifier: MIT */
/*
 * drivers/virtio_net.h - what the two files of the virtio-net driver share.
 *
 * virtio_net.c starts a card, receives, and gives it its turns; virtio_net_tx.c sends.
 */
#ifndef DRIVERS_VIRTIO_NET_H
#define DRIVERS_VIRTIO_NET_H

#include "drivers/virtio_pci.h"
#include "lib/pages.h"
#include "net/nic.h"

#define TX_SMALL            512         /* slots for packets                             */
#define TX_BIG              15          /* and for what the device cuts into packets     */
#define TX_LONG             170         /* for long packets, on a wire of a longer MTU   */
#define TX_SLOTS            (TX_SMALL + TX_BIG + TX_LONG)
#define RX_BYTES            FRAME_SIZE  /* divided among the entries of the queue        */
#define SMALL_SIZE          2048
#define BIG_SIZE            65536
#define LONG_SIZE           12288
#define HEADER_LEN          VIRTIO_NET_HEADER_LEN
#define UNCUT_MAX           (BIG_SIZE - HEADER_LEN)

/* Everything that the device reads and writes. */
struct virtio_net_dma {
	uint8_t rx[RX_BYTES];
	uint8_t tx_small[TX_SMALL][SMALL_SIZE];
	uint8_t tx_big[TX_BIG][BIG_SIZE];
	uint8_t rx_queue[VIRTQ_BYTES(VIRTQ_BUFFERS_MAX)] __attribute__((aligned(16)));
	uint8_t tx_queue[VIRTQ_BYTES(VIRTQ_BUFFERS_MAX)] __attribute__((aligned(16)));
};
#define DMA_FRAMES          2
/* One more frame of memory, of a card whose MTU is longer. */
struct virtio_net_long { uint8_t slot[TX_LONG][LONG_SIZE]; };
_Static_assert(sizeof(struct virtio_net_long) <= FRAME_SIZE, "one frame holds all long slots");
_Static_assert(HEADER_LEN + FRAME_JUMBO_MAX <= LONG_SIZE, "a long packet fits a slot");
_Static_assert(sizeof(struct virtio_net_dma) <= DMA_FRAMES * FRAME_SIZE, "two frames hold it all");
_Static_assert(HEADER_LEN + FRAME_LEN_MAX <= SMALL_SIZE, "a packet and its header fit a slot");
_Static_assert(HEADER_LEN + FRAME_LEN_MAX <= RX_BYTES / VIRTQ_BUFFERS_MAX, "and a buffer");
_Static_assert(HEADER_LEN + FRAME_BIG_MAX <= (RX_BYTES / VIRTQ_BUFFERS_MAX) * FRAME_PARTS_MAX,
               "a frame that is received uncut has pieces enough");

/* Slots without a frame: a stack.  Small ones have the first numbers. */
struct tx_pool { unsigned n; uint16_t slot[TX_SMALL]; };

struct virtio_net {
	struct nic             nic;
	struct virtio_pci      pci;
	struct virtio_net_dma *dma;
	struct virtio_net_long *long_slots;            /* NULL: packets are short                 */
	struct virtq           rx, tx;
	uint32_t               rx_size;                /* of a buffer to receive into             */
	struct tx_pool         small, big, lng;
	uint16_t               tx_idle[TX_SLOTS];      /* entries of the queue without a slot     */
	uint16_t               wait[TX_SLOTS];         /* slots that wait for an entry: a ring    */
	uint16_t               tx_slot_of[TX_SLOTS];   /* of an entry                             */
	uint32_t               tx_len[TX_SLOTS];       /* of a slot, with its header              */
	unsigned               ntx_idle, wait_first, nwait;
	uint64_t               tx_moved_ns;            /* when the device last gave back anything */
	uint16_t               mtu_max;                /* as the device says                      */
	unsigned               restarts;
	bool                   live;                   /* DRIVER_OK, and nothing is broken        */
	volatile bool          look;                   /* the configuration may have changed      */
};

/* Reset the card, which broke the rules, and start it again; or switch it off. */
void virtio_net_restart(struct virtio_net *c, const char *why);

/* All slots are free, and so are the `n` entries of the queue. */
void virtio_tx_init(struct virtio_net *c, unsigned n);

/* Packets may be as long as nic->mtu says from now on; there are `long_slots`. */
void virtio_tx_lengthen(struct virtio_net *c);

/* struct nic_ops */
unsigned virtio_tx_room(const struct nic *nic);
bool virtio_tx_send(struct nic *nic, const struct frame *f);

/* Frames wait for an entry of the queue. */
static inline bool virtio_tx_waits(const struct virtio_net *c)
{
	return c->nwait > 0;
}

/* Take back what was sent, and let frames that wait have its place. */
void virtio_tx_reap(struct virtio_net *c);

/*
 * Frames may stand still because the device looked too early and we saw too late that it wants to
 * be told: QEMU 7.2 leaves out the barriers of a machine with one CPU.  So tell it once more.
 */
void virtio_tx_ring_again(const struct virtio_net *c);

/* There is no link: nothing is kept to be sent late. */
void virtio_tx_forget(struct virtio_net *c);

#endif
