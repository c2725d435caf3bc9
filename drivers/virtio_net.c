/* SPDX-License-Identifier: MIT */
/*
 * drivers/virtio_net.c - virtio network cards of the host, as a struct nic.
 *
 * Owns, for each card, two 2 MiB frames of memory: one with the buffers for received frames, one
 * with those to send and both queues.  Before each frame stands a header of 12 bytes.  A device
 * that breaks the rules, or asks for it (NEEDS_RESET), is reset and starts again, a bounded number
 * of times.  (virtio 1.2, "Network Device")  Started by drivers/nics.c; read next:
 * drivers/virtio_pci.c, drivers/virtq.c, net/nic.c.
 */
#include <string.h>

#include "arch/x86_64/insn.h"
#include "drivers/nics.h"
#include "drivers/virtio_net.h"
#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"

#define MODEL_MODERN        PCI_ID(VIRTIO_PCI_VENDOR, VIRTIO_PCI_DEVICE_BASE + VIRTIO_TYPE_NET)
#define MODEL_TRANSITIONAL  PCI_ID(VIRTIO_PCI_VENDOR, 0x1000)

#define MTU_MIN             1280        /* RFC 8200, "Packet Size Issues"                */
#define RX_RETURN_BATCH     16          /* slots given back to the device at once        */
#define TX_WAIT_MAX_NS      (50 * NS_PER_MS)    /* sending nothing for so long is stuck  */
#define RESTARTS_MAX        16          /* a device that always breaks is left alone     */
#define FEATURES_WANTED     (VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU | \
                             VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM)
#define FEATURES_TSO        (VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6)
#define FEATURES_GUEST_TSO  (VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)
#define CONFIG_STATUS       offsetof(struct virtio_net_config, status)
#define CONFIG_MTU          offsetof(struct virtio_net_config, mtu)
#define CONFIG_LEN          offsetof(struct virtio_net_config, pairs)

enum { VECTOR_CONFIG, VECTOR_RX, VECTORS };     /* entries of the MSI-X table */

static struct virtio_net cards[NICS_MAX];
static unsigned ncards;

/* --- Frames in ------------------------------------------------------------------------------- */

/* Buffers that hold one frame together ("Setting Up Receive Buffers", mergeable). */
struct merged { unsigned n; uint16_t slot[FRAME_PARTS_MAX]; };

static uint8_t *rx_slot(const struct virtio_net *c, unsigned i)
{
	return c->dma->rx + i * c->rx_size;
}

/* Add a buffer to a frame; false: there cannot be so much in it. */
static bool add_part(struct frame *f, const uint8_t *data, uint32_t len)
{
	if (len == 0 || f->nparts == FRAME_PARTS_MAX || len > FRAME_BIG_MAX - f->len)
		return false;
	frame_add(f, data, (uint16_t)len);
	return true;
}

static void hand_up(struct virtio_net *c, const struct frame *f, bool good)
{
	struct nic *nic = &c->nic;

	if (!good || f->len < FRAME_LEN_MIN) {
		nic->count.rx_errors++;
		return;
	}
	nic->count.rx_frames++;
	nic->count.rx_bytes += f->len;
	if (nic->receive)
		nic->receive(nic->receive_to, f);
}

/*
 * What the device left to us ("Processing of Incoming Packets"), out of the header in slot `i`,
 * each word of which is read once.  False: it says what it may not, or what cannot be.
 */
static bool take_header(const struct virtio_net *c, unsigned i, struct frame *f)
{
	const volatile struct virtio_net_header *h = (const void *)rx_slot(c, i);
	uint8_t flags = c->pci.features & VIRTIO_NET_F_GUEST_CSUM ? h->flags : 0;
	uint8_t type = h->gso_type;
	uint32_t from = h->csum_start, at = from + h->csum_offset;

	f->sum.good = flags & (VIRTIO_NET_NEEDS_CSUM | VIRTIO_NET_DATA_VALID);
	if (flags & VIRTIO_NET_NEEDS_CSUM) {
		if (from < FRAME_LEN_MIN || at + sizeof(uint16_t) > f->len)
			return false;
		f->sum.from = (uint16_t)from;
		f->sum.at = (uint16_t)at;
	}
	if (type == VIRTIO_NET_GSO_NONE)
		return f->len <= FRAME_HEAD_MAX + (uint32_t)c->nic.mtu;
	f->cut = h->gso_size;
	return f->cut && f->sum.from &&
	       ((type == VIRTIO_NET_GSO_TCPV4 && c->pci.features & VIRTIO_NET_F_GUEST_TSO4) ||
		(type == VIRTIO_NET_GSO_TCPV6 && c->pci.features & VIRTIO_NET_F_GUEST_TSO6));
}

/*
 * How many buffers the frame has whose first is slot `i`.  The device writes this word, and may go
 * on doing so: it is read once.
 */
static unsigned merged_count(const struct virtio_net *c, unsigned i)
{
	const volatile struct virtio_net_header *h = (const void *)rx_slot(c, i);

	return c->pci.features & VIRTIO_NET_F_MRG_RXBUF ? h->num_buffers : 1;
}

enum rx_got { RX_NOTHING, RX_FRAME, RX_BROKEN };

/* The next frame, when all of its buffers are there. */
static enum rx_got rx_one(struct virtio_net *c)
{
	unsigned waiting = virtq_waiting(&c->rx), life = c->restarts, i, n;
	struct merged m;
	struct frame f;
	unsigned first;
	uint32_t len;

	if (waiting == 0)
		return RX_NOTHING;
	if (!virtq_take(&c->rx, &i, &len))
		return RX_BROKEN;
	n = merged_count(c, i);
	if (n == 0 || n > COUNT(m.slot))
		return RX_BROKEN;
	if (n > waiting) {
		virtq_untake(&c->rx, i);
		return RX_NOTHING;
	}
	frame_clear(&f);
	bool good = len > HEADER_LEN && len <= c->rx_size &&
		    add_part(&f, rx_slot(c, i) + HEADER_LEN, len - HEADER_LEN);

	m.n = 0;
	first = i;
	for (m.slot[m.n++] = (uint16_t)i; m.n < n; m.slot[m.n++] = (uint16_t)i) {
		if (!virtq_take(&c->rx, &i, &len))
			return RX_BROKEN;
		good = good && len <= c->rx_size && add_part(&f, rx_slot(c, i), len);
	}
	hand_up(c, &f, good && take_header(c, first, &f));
	if (c->restarts != life)        /* who took the frame answered it, and that went wrong */
		return RX_NOTHING;
	for (unsigned k = 0; k < m.n; k++)
		virtq_give(&c->rx, m.slot[k]);
	return RX_FRAME;
}

static void rx_publish(struct virtio_net *c)
{
	if (virtq_publish(&c->rx))
		virtio_pci_notify(&c->pci, VIRTIO_NET_RX);
}

static unsigned rx_poll(struct virtio_net *c, unsigned budget)
{
	enum rx_got got = RX_FRAME;
	unsigned n = 0;

	while (n < budget && c->live && (got = rx_one(c)) == RX_FRAME)
		if (++n % RX_RETURN_BATCH == 0)
			rx_publish(c);
	if (got == RX_BROKEN)
		virtio_net_restart(c, "it gave back received buffers that it had not");
	else if (n % RX_RETURN_BATCH != 0 && c->live)
		rx_publish(c);
	return n;
}

/* --- The rest of a card's turn --------------------------------------------------------------- */

static void link_update(struct virtio_net *c)
{
	uint16_t status = VIRTIO_NET_LINK_UP;

	if ((c->pci.features & VIRTIO_NET_F_STATUS) &&
	    virtio_pci_config(&c->pci, CONFIG_STATUS, &status, sizeof(status)) != OK)
		return;
	nic_link(&c->nic, c->live && (status & VIRTIO_NET_LINK_UP), 0);
	if (!c->nic.link)
		virtio_tx_forget(c);
}

static void look(struct virtio_net *c)
{
	c->look = false;
	if (virtio_pci_status(&c->pci) & VIRTIO_NEEDS_RESET)
		virtio_net_restart(c, "it asked for a reset");
	else
		link_update(c);
}

static unsigned virtio_net_poll(struct nic *nic, unsigned budget)
{
	struct virtio_net *c = CONTAINER_OF(nic, struct virtio_net, nic);

	if (!c->live)
		return 0;
	if (c->look)
		look(c);
	if (virtio_tx_waits(c))
		virtio_tx_reap(c);
	unsigned n = rx_poll(c, budget);

	if (n == 0)
		virtio_tx_ring_again(c);
	return n;
}

/* Nothing interrupts when frames were sent: while some wait, look, unless the device is stuck. */
static bool tx_moves(const struct virtio_net *c)
{
	return virtio_tx_waits(c) && time_now_ns() - c->tx_moved_ns < TX_WAIT_MAX_NS;
}

static bool virtio_net_rearm(struct nic *nic)
{
	struct virtio_net *c = CONTAINER_OF(nic, struct virtio_net, nic);

	if (!c->live)
		return false;
	if (nic->polled) {
		c->look = true;
		return virtq_waiting(&c->rx) > 0 || tx_moves(c);
	}
	virtq_want_interrupts(&c->rx, true);
	virtio_pci_status(&c->pci);     /* orders more than a barrier: virtio_tx_ring_again() */
	return virtq_waiting(&c->rx) > 0 || c->look || tx_moves(c);
}

static void came(struct virtio_net *c)
{
	c->nic.count.interrupts++;
	c->nic.work = true;
	sched_poke();
}

/* MSI-X has a message for each cause. */
static bool on_rx(void *ctx)
{
	struct virtio_net *c = ctx;

	virtq_want_interrupts(&c->rx, false);   /* quiet until virtio_net_rearm() */
	came(c);
	return true;
}

static bool on_config(void *ctx)
{
	struct virtio_net *c = ctx;

	c->look = true;
	came(c);
	return true;
}

/* A line has one for all; reading the ISR status says which, and releases the line. */
static bool on_line(void *ctx)
{
	struct virtio_net *c = ctx;
	uint8_t isr = *c->pci.isr;

	if (!isr)
		return false;
	if (isr & VIRTIO_ISR_CONFIG)
		c->look = true;
	virtq_want_interrupts(&c->rx, false);
	came(c);
	return true;
}

/* --- Starting a card ------------------------------------------------------------------------- */

/* The size to use, out of what the device offers for queue `q`; 0: none that is any good. */
static uint16_t choose_size(struct virtio_net *c, unsigned q, unsigned max)
{
	uint16_t offered = virtio_pci_queue_size(&c->pci, q);

	if (offered == 0 || (offered & (offered - 1))) {
		fail(ERR_BAD_FORMAT, "virtio-net: %s offers queue %u with %u entries", c->nic.where,
		     q, offered);
		return 0;
	}
	return (uint16_t)MIN(offered, max);
}

static enum err make_queues(struct virtio_net *c)
{
	uint16_t nrx = choose_size(c, VIRTIO_NET_RX, VIRTQ_BUFFERS_MAX);
	uint16_t ntx = nrx ? choose_size(c, VIRTIO_NET_TX, TX_SMALL) : 0;

	if (!nrx || !ntx)
		return ERR_BAD_FORMAT;
	memset(c->dma, 0, sizeof(*c->dma));
	virtq_init(&c->rx, c->dma->rx_queue, nrx);
	virtq_init(&c->tx, c->dma->tx_queue, ntx);
	c->rx_size = RX_BYTES / nrx;
	for (unsigned i = 0; i < nrx; i++) {
		virtq_buffer(&c->rx, i, ptr_hpa(rx_slot(c, i)).v, c->rx_size, VIRTQ_DESC_WRITE);
		virtq_give(&c->rx, i);
	}
	virtio_tx_init(c, ntx);
	virtq_want_interrupts(&c->rx, false);
	virtq_want_interrupts(&c->tx, false);
	return OK;
}

static enum err start_queues(struct virtio_net *c)
{
	bool msix = c->pci.dev->irq == IRQ_MSIX;
	enum err e = OK;

	if (msix)
		e = virtio_pci_config_vector(&c->pci, VECTOR_CONFIG);
	if (e == OK)
		e = virtio_pci_queue_start(&c->pci, VIRTIO_NET_RX, &c->rx,
					   msix ? VECTOR_RX : VIRTIO_NO_VECTOR);
	if (e == OK)
		e = virtio_pci_queue_start(&c->pci, VIRTIO_NET_TX, &c->tx, VIRTIO_NO_VECTOR);
	return e;
}

/*
 * "Feature bit requirements": to cut needs to sum.  To receive what was not cut, we want to get it
 * in several buffers.
 */
static uint64_t choose_features(uint64_t offered)
{
	uint64_t f = offered & FEATURES_WANTED;

	if (f & VIRTIO_NET_F_CSUM)
		f |= offered & FEATURES_TSO;
	if ((f & VIRTIO_NET_F_GUEST_CSUM) && (f & VIRTIO_NET_F_MRG_RXBUF))
		f |= offered & FEATURES_GUEST_TSO;
	return f;
}

static struct frame_takes does_for_us(uint64_t features)
{
	struct frame_takes t;

	memset(&t, 0, sizeof(t));
	t.no_sums = features & VIRTIO_NET_F_CSUM;
	t.uncut = (features & FEATURES_TSO) == FEATURES_TSO ? UNCUT_MAX : 0;
	return t;
}

/* VIRTIO_NET_F_MTU: a device may say how long its packets are at most, also less than 1500. */
static enum err check_mtu(struct virtio_net *c)
{
	bool said = c->pci.features & VIRTIO_NET_F_MTU;
	enum err e = OK;

	c->mtu_max = NIC_MTU_MAX;
	if (said && c->pci.device_len < CONFIG_MTU + sizeof(c->mtu_max))
		return fail(ERR_BAD_FORMAT, "virtio-net: %s has an MTU and no place for it",
			    c->nic.where);
	if (said)
		e = virtio_pci_config(&c->pci, CONFIG_MTU, &c->mtu_max, sizeof(c->mtu_max));
	if (e == OK && c->restarts && c->mtu_max < c->nic.mtu)
		e = fail(ERR_BAD_FORMAT, "virtio-net: %s has changed its MTU", c->nic.where);
	if (e == OK && c->mtu_max < MTU_MIN)
		e = fail(ERR_NOT_SUPPORTED, "virtio-net: %s has an MTU of %u, less than IPv6 needs",
			 c->nic.where, c->mtu_max);
	c->nic.mtu = MIN(c->nic.mtu, c->mtu_max);
	return e;
}

static enum err virtio_net_set_mtu(struct nic *nic, uint16_t mtu)
{
	struct virtio_net *c = CONTAINER_OF(nic, struct virtio_net, nic);
	uint32_t longest = HEADER_LEN + FRAME_HEAD_MAX + (uint32_t)mtu;
	hpa_t memory;

	if (mtu > c->mtu_max)
		return fail(ERR_NOT_SUPPORTED, "%s: %s has an MTU of %u at most, not %u", nic->name,
			    nic->where, c->mtu_max, mtu);
	if (!(c->pci.features & VIRTIO_NET_F_MRG_RXBUF) && longest > c->rx_size)
		return fail(ERR_NOT_SUPPORTED, "%s: %s has buffers of %u bytes and merges none: "
			    "not enough for an MTU of %u", nic->name, nic->where, c->rx_size, mtu);
	if (longest > SMALL_SIZE) {
		enum err e = frames_alloc_run(1, &memory);

		if (e != OK)
			return e;
		c->long_slots = hpa_ptr(memory);
		virtio_tx_lengthen(c);
	}
	nic->mtu = mtu;
	return OK;
}

/* From reset to DRIVER_OK; also again, after something went wrong. */
static enum err bring_up(struct virtio_net *c)
{
	enum err e = virtio_pci_begin(&c->pci, choose_features);

	if (e == OK && !(c->pci.features & VIRTIO_NET_F_MAC))
		e = fail(ERR_NOT_SUPPORTED, "virtio-net: %s has no address", c->nic.where);
	if (e == OK)
		e = virtio_pci_config(&c->pci, 0, c->nic.mac, sizeof(c->nic.mac));
	if (e == OK && (c->nic.mac[0] & 1))
		e = fail(ERR_BAD_FORMAT, "virtio-net: %s has a group address", c->nic.where);
	if (e == OK)
		e = check_mtu(c);
	struct frame_takes takes = does_for_us(c->pci.features);

	if (e == OK && c->restarts && memcmp(&takes, &c->nic.takes, sizeof(takes)) != 0)
		e = fail(ERR_BAD_FORMAT, "virtio-net: %s has changed what it can", c->nic.where);
	c->nic.takes = takes;
	if (e == OK)
		e = make_queues(c);
	if (e == OK)
		e = start_queues(c);
	if (e != OK)
		return e;
	virtio_pci_go(&c->pci);
	c->live = true;
	rx_publish(c);
	c->nic.work = true;             /* the first poll asks for interrupts */
	c->look = true;                 /* and looks at the link */
	return OK;
}

void virtio_net_restart(struct virtio_net *c, const char *why)
{
	c->live = false;
	nic_link(&c->nic, false, 0);
	log_line("%s: the device broke the rules: %s", c->nic.name, why);
	if (virtio_pci_reset(&c->pci) != OK || ++c->restarts > RESTARTS_MAX || bring_up(c) != OK)
		log_line("%s: switched off", c->nic.name);
}

static enum err go(struct virtio_net *c, struct pci_dev *dev)
{
	static irq_handler_fn *const handlers[VECTORS] = {
		[VECTOR_CONFIG] = on_config, [VECTOR_RX] = on_rx,
	};
	hpa_t memory;
	enum err e = frames_alloc_run(DMA_FRAMES, &memory);

	if (e != OK)
		return e;
	c->dma = hpa_ptr(memory);
	if (!pci_irq_msix(dev, handlers, VECTORS, c))
		c->nic.polled = pci_irq_start(dev, on_line, c) == IRQ_POLLED;
	e = bring_up(c);
	if (e == OK)
		e = nic_register(&c->nic);
	if (e != OK && virtio_pci_reset(&c->pci) == OK)
		frames_free_run(memory, DMA_FRAMES);
	return e;
}

static const struct nic_ops virtio_net_ops = {
	.send = virtio_tx_send, .room = virtio_tx_room, .poll = virtio_net_poll,
	.rearm = virtio_net_rearm, .set_mtu = virtio_net_set_mtu,
};

static enum err virtio_net_start(struct pci_dev *dev)
{
	if (ncards == COUNT(cards))
		return fail(ERR_NO_MEMORY, "virtio-net: more than %u cards", ncards);

	struct virtio_net *c = &cards[ncards];
	*c = (struct virtio_net){ 0 };
	c->nic = (struct nic){ .driver = "virtio-net", .mtu = NIC_MTU, .ops = &virtio_net_ops };
	pci_enable(dev, true);
	enum err e = virtio_pci_find(&c->pci, dev, CONFIG_LEN);
	fmt_format(c->nic.where, sizeof(c->nic.where), "virtio at PCI %02x:%02x.%u", dev->bus,
		   dev->slot, dev->function);
	if (e == OK)
		e = go(c, dev);
	if (e != OK)
		return e;
	ncards++;
	nic_announce(&c->nic, pci_irq_text(dev));
	look(c);
	return OK;
}

static const uint32_t ids[] = { MODEL_MODERN, MODEL_TRANSITIONAL, 0 };

const struct pci_driver virtio_net_driver = {
	.name = "virtio-net", .ids = ids, .start = virtio_net_start,
};
