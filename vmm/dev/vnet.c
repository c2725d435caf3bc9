/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vnet.c - virtio-net with one pair of queues.
 *
 * No offloads are offered: a checksum that is "not needed" between two guests on one host would be
 * wrong on a wire, and after a migration there is one.  So frames are whole, and the 12-byte header
 * before each is skipped or zero.  Frames of the guest go to the switch as pieces of its memory;
 * frames for it are copied into its buffers.  Called by the bus and by the switch (vnet_receive).
 */
#include "vmm/dev/vnet.h"

#include <string.h>

#define CLASS_ETHERNET  0x020000
#define MTU             1500u
#define QUEUE_PAIRS     1u

enum queue { RX = VIRTIO_NET_RX, TX = VIRTIO_NET_TX };
#define HEADER_LEN      VIRTIO_NET_HEADER_LEN

static uint8_t vnet_config_read(const struct virtio *v, unsigned offset)
{
	const struct vnet *n = (const struct vnet *)v;
	struct virtio_net_config c = {
		.status = n->link ? VIRTIO_NET_LINK_UP : 0, .pairs = QUEUE_PAIRS, .mtu = MTU,
	};

	memcpy(c.mac, n->mac, sizeof(c.mac));
	return ((const uint8_t *)&c)[offset];
}

/* --- From the guest --------------------------------------------------------------------------- */

/*
 * The frame behind the header as pieces of host memory; a buffer may cross from one 2 MiB frame of
 * host memory to another.  False: more pieces than a struct frame holds.
 */
static bool frame_in_place(const struct vring *r, const struct vring_chain *c, struct frame *f)
{
	uint32_t skip = HEADER_LEN;

	*f = (struct frame){ .len = (uint16_t)(c->read_len - HEADER_LEN) };
	for (unsigned i = 0; i < c->nread; i++) {
		uint64_t at = c->piece[i].addr.v, left = c->piece[i].len, run;
		uint64_t skipped = MIN(skip, left);

		skip -= (uint32_t)skipped;
		at += skipped;
		left -= skipped;
		for (; left; left -= run, at += run) {
			const uint8_t *p = mem_peek(r->mem, gpa(at), left, &run);

			if (!p || f->nparts == FRAME_PARTS_MAX)
				return false;
			f->part[f->nparts++] = (struct frame_part){ p, (uint16_t)run };
		}
	}
	return true;
}

static void transmit(struct vnet *n, const struct vring_chain *c)
{
	const struct vring *r = &n->virtio.queue[TX];
	uint8_t whole[FRAME_LEN_MAX];
	struct frame f;

	if (c->read_len < HEADER_LEN + FRAME_LEN_MIN || c->read_len > HEADER_LEN + FRAME_LEN_MAX) {
		n->tx_bad++;
		return;
	}
	if (!n->link)
		return;                 /* the cable is out: sent into the air */
	n->tx_frames++;
	n->tx_bytes += c->read_len - HEADER_LEN;
	if (!n->send)
		return;
	if (!frame_in_place(r, c, &f)) {
		uint32_t len = vring_copy_out(r, c, HEADER_LEN, whole, sizeof(whole));

		f = frame_of(whole, (uint16_t)len);
	}
	n->send(n->send_to, &f);
}

static bool vnet_kick(struct virtio *v, unsigned queue, unsigned budget)
{
	struct vring *r = &v->queue[queue];
	struct vring_chain c;
	enum err e = OK;

	if (queue == RX)                /* buffers are taken when a frame comes */
		return vring_want_kicks(r, false);
	while (budget && (e = vring_take(r, &c)) == OK) {
		transmit((struct vnet *)v, &c);
		vring_give(r, &c, 0);
		budget--;
	}
	virtio_interrupt(v, TX);
	if (e == ERR_BAD_FORMAT) {
		virtio_broken(v, err_reason());
		return false;
	}
	return vring_want_kicks(r, true);
}

/* --- To the guest ----------------------------------------------------------------------------- */

static bool put_frame(struct vnet *n, const struct frame *f)
{
	static const struct virtio_net_header header = { .num_buffers = 1 };
	struct vring *r = &n->virtio.queue[RX];
	struct vring_chain c;
	uint32_t at = HEADER_LEN;
	enum err e = vring_take(r, &c);

	if (e == ERR_BAD_FORMAT)
		virtio_broken(&n->virtio, err_reason());
	if (e != OK)
		return false;
	if (c.write_len < HEADER_LEN + f->len) {
		vring_untake(r);
		return false;
	}
	vring_copy_in(r, &c, 0, &header, HEADER_LEN);
	for (unsigned i = 0; i < f->nparts; i++)
		at += vring_copy_in(r, &c, at, f->part[i].data, f->part[i].len);
	vring_give(r, &c, at);
	virtio_interrupt(&n->virtio, RX);
	return true;
}

bool vnet_receive(struct vnet *n, const struct frame *f)
{
	bool fits = f->len >= FRAME_LEN_MIN && f->len <= FRAME_LEN_MAX;

	if (!fits || !n->link || !virtio_queue_ready(&n->virtio, RX) || !put_frame(n, f)) {
		n->rx_dropped++;
		return false;
	}
	n->rx_frames++;
	n->rx_bytes += f->len;
	return true;
}

/* --- Life, and what travels ------------------------------------------------------------------- */

static const struct virtio_model vnet_model = {
	.type = VIRTIO_TYPE_NET, .name = "vnet", .class = CLASS_ETHERNET,
	.features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU, .nqueues = 2,
	.config_len = sizeof(struct virtio_net_config), .config_read = vnet_config_read,
	.kick = vnet_kick,
};

void vnet_init(struct vnet *n, struct mem *mem, const uint8_t mac[MAC_LEN], struct msg_wire msi)
{
	*n = (struct vnet){ .link = 1, .told = 1 };
	virtio_init(&n->virtio, &vnet_model, mem, msi);
	memcpy(n->mac, mac, sizeof(n->mac));
}

void vnet_attach(struct vnet *n, vnet_send_fn *send, void *to)
{
	n->send = send;
	n->send_to = to;
}

void vnet_link(struct vnet *n, bool up)
{
	n->link = up;
	if (n->told == n->link)
		return;
	n->told = n->link;
	virtio_config_changed(&n->virtio);
}

static const struct field vnet_fields[] = {
	VIRTIO_FIELDS(struct vnet, virtio), FIELD(struct vnet, told),
	FIELD(struct vnet, tx_frames), FIELD(struct vnet, tx_bytes), FIELD(struct vnet, tx_bad),
	FIELD(struct vnet, rx_frames), FIELD(struct vnet, rx_bytes), FIELD(struct vnet, rx_dropped),
};

static enum err vnet_check(const void *object)
{
	const struct vnet *n = object;

	if (n->told > 1)
		return fail(ERR_BAD_FORMAT, "vnet: told %u", n->told);
	return virtio_check(&n->virtio);
}

static void vnet_resume(void *object)
{
	virtio_resume(&((struct vnet *)object)->virtio);
}

static const struct section vnet_state = {
	.name = "vnet", .version = 2, .fields = vnet_fields, .nfields = COUNT(vnet_fields),
	.object_size = sizeof(struct vnet), .check = vnet_check, .resume = vnet_resume,
};

const struct dev_ops vnet_ops = {
	.name = "vnet", .reset = virtio_dev_reset, .deadline = virtio_dev_deadline,
	.tick = virtio_dev_tick, .state = &vnet_state,
};
