/* SPDX-License-Identifier: MIT */
/*
 * drivers/virtio_pci.h - virtio's transport over PCI, seen from the driver, modern devices only.
 */
#ifndef DRIVERS_VIRTIO_PCI_H
#define DRIVERS_VIRTIO_PCI_H

#include "drivers/pci.h"
#include "drivers/virtq.h"

#define VIRTIO_PCI_QUEUES_MAX   2

struct virtio_pci {
	struct pci_dev   *dev;
	volatile uint8_t *common, *isr, *device, *notify;
	uint32_t          device_len, notify_len, notify_step;  /* bytes */
	volatile uint16_t *bell[VIRTIO_PCI_QUEUES_MAX];         /* where to notify a queue */
	uint64_t          features;                             /* negotiated */
};

/*
 * Find and map the device's registers; `device_len` bytes of device configuration are needed.
 * Refuses, with a sentence, a device of the old interface.
 */
enum err virtio_pci_find(struct virtio_pci *v, struct pci_dev *dev, uint32_t device_len);

/*
 * "Device Initialization" up to FEATURES_OK: reset, then agree on VERSION_1, on what `choose` takes
 * of that which is offered, and on what the transport needs.
 */
enum err virtio_pci_begin(struct virtio_pci *v, uint64_t (*choose)(uint64_t offered));

/* How long queue `q` may be; 0: there is no such queue. */
uint16_t virtio_pci_queue_size(struct virtio_pci *v, unsigned q);

/* Give the device the queue; MSI-X entry `vector`, or VIRTIO_NO_VECTOR.  False: not accepted. */
enum err virtio_pci_queue_start(struct virtio_pci *v, unsigned q, const struct virtq *queue,
				uint16_t vector);
enum err virtio_pci_config_vector(struct virtio_pci *v, uint16_t vector);

/* DRIVER_OK: the device is live. */
void     virtio_pci_go(struct virtio_pci *v);

/* Reset: the device forgets everything and touches no memory any more. */
enum err virtio_pci_reset(struct virtio_pci *v);

uint8_t  virtio_pci_status(const struct virtio_pci *v);

/* Look at queue `q`. */
void     virtio_pci_notify(const struct virtio_pci *v, unsigned q);

/* `len` bytes of the device's configuration, all of one generation. */
enum err virtio_pci_config(const struct virtio_pci *v, unsigned offset, void *to, unsigned len);

#endif
