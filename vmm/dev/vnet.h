/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vnet.h - virtio network device (virtio 1.2, "Network Device"): a port for a switch.
 */
#ifndef VMM_DEV_VNET_H
#define VMM_DEV_VNET_H

#include "lib/frame.h"
#include "vmm/dev/virtio.h"

/* Where the guest's frames go.  Their pieces are guest memory, checked, valid during the call. */
typedef void vnet_send_fn(void *to, const struct frame *f);

struct vnet {
	struct virtio virtio;           /* must be first                                         */
	uint8_t       told;             /* the state of the link that the guest was last told    */
	uint64_t      tx_frames, tx_bytes, tx_bad;                /* counters                    */
	uint64_t      rx_frames, rx_bytes, rx_dropped;
	uint8_t       link;             /* derived: this host's word; down: no frame passes      */
	uint8_t       mac[MAC_LEN];     /* derived: from the VM's definition, which travels      */
	vnet_send_fn *send;             /* derived: the switch port, or NULL                     */
	void         *send_to;          /* derived                                               */
};

extern const struct dev_ops vnet_ops;

void vnet_init(struct vnet *n, struct mem *mem, const uint8_t mac[MAC_LEN], struct msg_wire msi);

/* Join a switch port, or leave it (send NULL): what the guest sends then is dropped. */
void vnet_attach(struct vnet *n, vnet_send_fn *send, void *to);

/*
 * Whether there is a network behind it is for the host to say, on each host anew: before the guest
 * runs here, and when it changes.  The guest hears of it if it was told otherwise.
 */
void vnet_link(struct vnet *n, bool up);

/* A frame for the guest; false (and counted) when it has no buffer or is not ready. */
bool vnet_receive(struct vnet *n, const struct frame *f);

#endif
