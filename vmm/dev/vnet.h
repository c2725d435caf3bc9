/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vnet.h - virtio network device (virtio 1.2, "Network Device"): a port for a switch.
 */
#ifndef VMM_DEV_VNET_H
#define VMM_DEV_VNET_H

#include "lib/frame.h"
#include "vmm/dev/virtio.h"

/* Where frames of the guest go.  The pieces of the frame are guest memory, already checked, valid during the call. */
typedef void vnet_send_fn(void *to, const struct frame *f);

struct vnet {
	struct virtio virtio;           /* must be first                                  */
	uint8_t       mac[6];
	bool          link;             /* announced to the guest as link status          */
	vnet_send_fn *send;             /* derived: the switch port                       */
	void         *send_to;          /* derived                                        */
	uint64_t      tx_frames, rx_frames, rx_dropped, tx_bad;   /* counters             */
};

extern const struct section vnet_state;

void vnet_init(struct vnet *n, struct mem *mem, const uint8_t mac[6]);

/* A frame for the guest; false (and counted) when it has no buffer or is not ready. */
bool vnet_receive(struct vnet *n, const struct frame *f);

#endif
