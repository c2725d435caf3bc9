/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vrng.h - virtio entropy device (virtio 1.2, "Entropy Device").
 */
#ifndef VMM_DEV_VRNG_H
#define VMM_DEV_VRNG_H

#include "vmm/dev/virtio.h"

typedef void vrng_fill_fn(void *to, size_t len);

struct vrng {
	struct virtio virtio;           /* must be first                      */
	vrng_fill_fn *fill;             /* derived: the host's random numbers */
};

extern const struct dev_ops vrng_ops;

void vrng_init(struct vrng *r, struct mem *mem, vrng_fill_fn *fill, struct msg_wire msi);

#endif
