/* SPDX-License-Identifier: MIT */
/*
 * drivers/virtio_net_tx.c - what a virtio network card sends.
 *
 * A frame is copied behind a header into a slot, which is one buffer of the queue: small, big (for
 * what the device cuts), or long (packets of a longer MTU).  A queue may be shorter than a window
 * of TCP: what it has no entry for waits in its slot, so that as many frames are taken whatever its
 * size.  Called by whoever has the card (net/vswitch.c) and by drivers/virtio_net.c.
 */
#include <string.h>

#include "drivers/virtio_net.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"

#define ETH_TYPE_AT         12
#define ETH_TAGGED_LEN      18
#define TCP_OFFSET_AT       12

static uint8_t *tx_slot(const struct virtio_net *c, unsigned i)
{
	if (i < TX_SMALL)
		return c->dma->tx_small[i];
	if (i < TX_SMALL + TX_BIG)
		return c->dma->tx_big[i - TX_SMALL];
	return c->long_slots->slot[i - TX_SMALL - TX_BIG];
}

/* The slot has no frame any more. */
static void tx_free(struct virtio_net *c, unsigned i)
{
	struct tx_pool *pool = i < TX_SMALL ? &c->small : i < TX_SMALL + TX_BIG ? &c->big : &c->lng;

	pool->slot[pool->n++] = (uint16_t)i;
}

void virtio_tx_init(struct virtio_net *c, unsigned n)
{
	c->small.n = c->big.n = 0;
	for (unsigned i = 0; i < TX_SMALL + TX_BIG; i++)
		tx_free(c, i);
	virtio_tx_lengthen(c);
	for (c->ntx_idle = 0; c->ntx_idle < n; c->ntx_idle++)
		c->tx_idle[c->ntx_idle] = (uint16_t)c->ntx_idle;
	c->nwait = 0;
}

void virtio_tx_lengthen(struct virtio_net *c)
{
	c->lng.n = 0;
	for (unsigned i = 0; c->long_slots && i < TX_LONG; i++)
		tx_free(c, TX_SMALL + TX_BIG + i);
}

/* The frame in slot `i` gets an entry of the queue. */
static void tx_give(struct virtio_net *c, unsigned i)
{
	unsigned entry = c->tx_idle[--c->ntx_idle];

	c->tx_slot_of[entry] = (uint16_t)i;
	virtq_buffer(&c->tx, entry, ptr_hpa(tx_slot(c, i)).v, c->tx_len[i], 0);
	virtq_give(&c->tx, entry);
}

static void tx_publish(struct virtio_net *c)
{
	if (virtq_publish(&c->tx))
		virtio_pci_notify(&c->pci, VIRTIO_NET_TX);
}

void virtio_tx_reap(struct virtio_net *c)
{
	unsigned n = c->live ? virtq_waiting(&c->tx) : 0, entry;
	uint32_t len;

	if (n > 0)
		c->tx_moved_ns = time_now_ns();
	for (; n > 0; n--) {
		if (!virtq_take(&c->tx, &entry, &len)) {
			virtio_net_restart(c, "it gave back a buffer to send that it had not");
			return;
		}
		tx_free(c, c->tx_slot_of[entry]);
		c->tx_idle[c->ntx_idle++] = (uint16_t)entry;
	}
	while (virtio_tx_waits(c) && c->ntx_idle > 0) {
		tx_give(c, c->wait[c->wait_first]);
		c->wait_first = (c->wait_first + 1) % TX_SLOTS;
		c->nwait--;
	}
	if (c->live)
		tx_publish(c);
}

void virtio_tx_ring_again(const struct virtio_net *c)
{
	if (c->live && virtq_waiting(&c->tx) < c->tx.nout)
		virtio_pci_notify(&c->pci, VIRTIO_NET_TX);
}

unsigned virtio_tx_room(const struct nic *nic)
{
	struct virtio_net *c = CONTAINER_OF(nic, struct virtio_net, nic);

	virtio_tx_reap(c);
	unsigned n = c->long_slots ? MIN(c->small.n, c->lng.n) : c->small.n;

	if (n == 0)
		virtio_tx_ring_again(c);
	return c->live ? n : 0;
}

/*
 * The header of the frame behind it says what is left to the device ("Packet Transmission").  The
 * switch has looked whether a frame that is to be cut is one of TCP.
 */
static void put_header(struct virtio_net_header *h, const struct frame *f)
{
	const uint8_t *p = (const uint8_t *)(h + 1);
	bool tagged = p[ETH_TYPE_AT] == 0x81 && p[ETH_TYPE_AT + 1] == 0x00;
	bool v6 = p[tagged ? ETH_TAGGED_LEN : FRAME_LEN_MIN] >> 4 == 6;

	*h = (struct virtio_net_header){ 0 };
	if (!f->sum.from)
		return;
	h->flags = VIRTIO_NET_NEEDS_CSUM;
	h->csum_start = f->sum.from;
	h->csum_offset = (uint16_t)(f->sum.at - f->sum.from);
	if (!f->cut)
		return;
	h->gso_type = v6 ? VIRTIO_NET_GSO_TCPV6 : VIRTIO_NET_GSO_TCPV4;
	h->gso_size = f->cut;
	h->hdr_len = (uint16_t)(f->sum.from + (p[f->sum.from + TCP_OFFSET_AT] >> 4) * 4);
}

/* A slot for the frame; NULL: all are waiting to be sent. */
static struct tx_pool *tx_pool_for(struct virtio_net *c, const struct frame *f)
{
	struct tx_pool *pool = HEADER_LEN + f->len <= SMALL_SIZE ? &c->small :
			       f->cut ? &c->big : &c->lng;

	if (pool->n == 0 || c->ntx_idle == 0)
		virtio_tx_reap(c);
	if (pool->n == 0)
		virtio_tx_ring_again(c);
	return pool->n && c->live ? pool : NULL;
}

bool virtio_tx_send(struct nic *nic, const struct frame *f)
{
	struct virtio_net *c = CONTAINER_OF(nic, struct virtio_net, nic);
	struct tx_pool *pool = nic->link ? tx_pool_for(c, f) : NULL;

	ASSERT(f->len <= (f->cut ? nic->takes.uncut : FRAME_HEAD_MAX + (uint32_t)nic->mtu));
	if (!pool) {
		nic->count.tx_full++;
		return false;
	}
	unsigned i = pool->slot[--pool->n];

	frame_copy(tx_slot(c, i) + HEADER_LEN, f);
	put_header((struct virtio_net_header *)tx_slot(c, i), f);
	c->tx_len[i] = HEADER_LEN + f->len;
	if (c->ntx_idle > 0) {
		tx_give(c, i);
		tx_publish(c);
	} else {
		c->wait[(c->wait_first + c->nwait++) % TX_SLOTS] = (uint16_t)i;
		nic->work = true;       /* the host does not sleep meanwhile: virtio_net_rearm() */
		sched_poke();           /* a guest on another CPU may send while it sleeps       */
	}
	nic->count.tx_frames++;
	nic->count.tx_bytes += f->len;
	return true;
}

void virtio_tx_forget(struct virtio_net *c)
{
	c->nic.count.tx_full += c->nwait;
	for (; c->nwait > 0; c->nwait--) {
		tx_free(c, c->wait[c->wait_first]);
		c->wait_first = (c->wait_first + 1) % TX_SLOTS;
	}
}
