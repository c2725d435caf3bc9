/* SPDX-License-Identifier: MIT */
/*
 * lib/virtio.h - just enough of a modern virtio-pci driver: split queues, polling or MSI-X.
 *
 * (Virtual I/O Device 1.2, "Virtio Over PCI Bus", "Split Virtqueues".)  Memory is mapped 1:1, so
 * addresses are physical.  Each buffer is one descriptor; its number is its slot.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/pci.h"

enum virtio_value {
	VIRTIO_NET = 1, VIRTIO_CONSOLE = 3, VIRTIO_ENTROPY = 4,         /* device types     */
	VIRTIO_QUEUE_SIZE = 8, VIRTIO_NO_VECTOR = 0xffff,
	VIRTIO_STATUS_ACKNOWLEDGE = 1, VIRTIO_STATUS_DRIVER = 2, VIRTIO_STATUS_DRIVER_OK = 4,
	VIRTIO_STATUS_FEATURES_OK = 8, VIRTIO_STATUS_NEEDS_RESET = 0x40,
	VIRTQ_DEVICE_WRITES = 2,
};
#define VIRTIO_F_VERSION_1  (UINT64_C(1) << 32)

struct virtio_common {               /* "Common configuration structure layout" */
	uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
	uint16_t config_vector, num_queues;
	uint8_t  status, generation;
	uint16_t queue_select, queue_size, queue_vector, queue_enable, queue_notify_off;
	uint32_t queue_desc[2], queue_driver[2], queue_device[2];
};
_Static_assert(sizeof(struct virtio_common) == 56, "common configuration");

struct virtq_desc { uint64_t address; uint32_t length; uint16_t flags, next; };
struct virtq_avail { uint16_t flags, index, ring[VIRTIO_QUEUE_SIZE]; };
struct virtq_used_element { uint32_t id, length; };
struct virtq_used { uint16_t flags, index; struct virtq_used_element ring[VIRTIO_QUEUE_SIZE]; };

struct virtq {
	volatile struct virtq_desc  desc[VIRTIO_QUEUE_SIZE] __attribute__((aligned(16)));
	volatile struct virtq_avail avail;
	volatile struct virtq_used  used __attribute__((aligned(4)));
	uint16_t index, taken;               /* number in the device; used entries seen */
	volatile uint16_t *notify;
};

struct virtio {
	struct pci_device pci;
	volatile struct virtio_common *common;
	volatile uint8_t *config, *isr;
	uint64_t notify_base;
	uint32_t notify_multiplier;
	uint64_t features;                   /* agreed */
	volatile uint32_t *msix_table;
	volatile uint64_t *msix_pending;
	unsigned msix_capability;
};

/* Find, reset, agree on features up to FEATURES_OK; false when there is no such device. */
bool virtio_open(struct virtio *v, uint16_t type, uint64_t wanted);
void virtio_queue(struct virtio *v, struct virtq *q, uint16_t index, uint16_t vector);
void virtio_start(struct virtio *v);
void virtio_reset(struct virtio *v);
void virtio_msix_enable(struct virtio *v);
void virtio_msix_route(struct virtio *v, unsigned entry, uint8_t apic_vector);
void virtio_msix_mask(struct virtio *v, unsigned entry, bool masked);

void virtq_give(struct virtq *q, uint16_t slot, void *at, uint32_t length, uint16_t flags);
void virtq_kick(struct virtq *q);
bool virtq_take(struct virtq *q, uint16_t *slot, uint32_t *length);  /* false: nothing used yet */

#endif
