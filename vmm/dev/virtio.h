/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/virtio.h - the virtio transport over PCI, modern only (virtio 1.2, "Virtio Over PCI Bus").
 *
 * Owns feature negotiation, the status dance, queue configuration and interrupts.  A device model
 * embeds struct virtio first, gives a struct virtio_model, and is called when a queue is kicked.
 * A driver that breaks the rules gets DEVICE_NEEDS_RESET and the host one line in its log.
 */
#ifndef VMM_DEV_VIRTIO_H
#define VMM_DEV_VIRTIO_H

#include "vmm/dev/pci.h"
#include "vmm/dev/vring.h"

#define VIRTIO_QUEUES_MAX 2u

/* Feature bits of the transport (virtio 1.2, "Reserved Feature Bits"). */
#define VIRTIO_F_INDIRECT_DESC  BIT(28)
#define VIRTIO_F_EVENT_IDX      BIT(29)
#define VIRTIO_F_VERSION_1      BIT(32)

/* Device status. */
#define VIRTIO_ACKNOWLEDGE      BIT(0)
#define VIRTIO_DRIVER           BIT(1)
#define VIRTIO_DRIVER_OK        BIT(2)
#define VIRTIO_FEATURES_OK      BIT(3)
#define VIRTIO_NEEDS_RESET      BIT(6)
#define VIRTIO_FAILED           BIT(7)

struct virtio;
struct virtio_model {
	uint16_t    type;               /* 1 net, 3 console, 4 entropy            */
	const char *name;               /* for the log                            */
	uint32_t    class;              /* PCI class code                         */
	uint64_t    features;           /* of this device, without the transport's */
	unsigned    nqueues;
	unsigned    config_len;
	uint8_t  (*config_read)(const struct virtio *v, unsigned offset);              /* NULL: no configuration */
	void     (*config_write)(struct virtio *v, unsigned offset, uint8_t value);    /* NULL: read-only        */
	void     (*kick)(struct virtio *v, unsigned queue);     /* driver is ready and queue enabled      */
	void     (*ready)(struct virtio *v);                    /* DRIVER_OK was set; may be NULL         */
};

struct virtio {
	struct pci_func pci;            /* must be first                          */
	uint64_t driver_features;
	uint32_t device_select, driver_select;
	uint16_t queue_select, config_vector;
	uint8_t  status, isr, generation;
	struct vring queue[VIRTIO_QUEUES_MAX];
	const struct virtio_model *model;       /* derived */
	uint8_t  pci_cfg_cap;                   /* derived: fixed at create             */
	bool     complained;                    /* derived: its one log line was written */
};

#define VIRTIO_FIELDS(type, m)                                                             \
	PCI_FUNC_FIELDS(type, m.pci), FIELD(type, m.driver_features),                      \
	FIELD(type, m.device_select), FIELD(type, m.driver_select),                        \
	FIELD(type, m.queue_select), FIELD(type, m.config_vector), FIELD(type, m.status),  \
	FIELD(type, m.isr), FIELD(type, m.generation),                                     \
	VRING_FIELDS(type, m.queue[0]), VRING_FIELDS(type, m.queue[1])

void virtio_init(struct virtio *v, const struct virtio_model *model, struct mem *mem, struct msg_wire msi);
void virtio_reset(struct virtio *v);            /* the device only, not its PCI configuration */

/* DRIVER_OK, bus mastering on, nothing broken: may the device touch its queues? */
bool virtio_running(const struct virtio *v);
bool virtio_queue_ready(const struct virtio *v, unsigned queue);
bool virtio_has(const struct virtio *v, uint64_t feature);

void virtio_interrupt(struct virtio *v, unsigned queue);        /* if the driver wants one      */
void virtio_config_changed(struct virtio *v);
void virtio_broken(struct virtio *v, const char *why);          /* the driver broke the rules   */

enum err virtio_check(const struct virtio *v);
void     virtio_resume(struct virtio *v);

#endif
