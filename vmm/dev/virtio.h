/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/virtio.h - virtio's transport over PCI, modern only (virtio 1.2, "Virtio Over PCI Bus").
 *
 * Owns feature negotiation, the status dance, queue configuration and interrupts.  A device model
 * embeds struct virtio first, gives a struct virtio_model, and is called when a queue has work.  A
 * driver that breaks the rules gets DEVICE_NEEDS_RESET, and the host one line in its log.
 */
#ifndef VMM_DEV_VIRTIO_H
#define VMM_DEV_VIRTIO_H

#include "lib/virtio_spec.h"
#include "vmm/dev/pci.h"
#include "vmm/dev/vring.h"

#define VIRTIO_QUEUES_MAX 2u

struct virtio;
struct virtio_model {
	uint16_t    type;               /* 1 net, 3 console, 4 entropy                           */
	const char *name;               /* for the log                                           */
	uint32_t    class;              /* PCI class code                                        */
	uint64_t    features;           /* of this device, without the transport's               */
	unsigned    nqueues;
	unsigned    config_len;
	uint8_t  (*config_read)(const struct virtio *v, unsigned offset);       /* of config_len */
	void     (*config_write)(struct virtio *v, unsigned offset, uint64_t value);   /* or NULL */
	/* The queue may have work: take at most `budget` chains; true when more may be waiting. */
	bool     (*kick)(struct virtio *v, unsigned queue, unsigned budget);
};

struct virtio {
	struct pci_func pci;            /* must be first                                         */
	uint64_t driver_features;
	uint32_t device_select, driver_select;
	uint16_t queue_select, config_vector;
	uint8_t  status, isr, generation;
	uint8_t  backlog;               /* bit q: queue q had more than its budget               */
	struct vring queue[VIRTIO_QUEUES_MAX];
	const struct virtio_model *model;       /* derived                                       */
	const char *owner;                      /* derived: the VM's name, for the log           */
	uint8_t  access_cap;                    /* derived: PCI configuration access capability  */
	bool     complained;                    /* derived: its one log line was written         */
};

#define VIRTIO_FIELDS(type, m)                                                             \
	PCI_FUNC_FIELDS(type, m.pci), FIELD(type, m.driver_features),                      \
	FIELD(type, m.device_select), FIELD(type, m.driver_select),                        \
	FIELD(type, m.queue_select), FIELD(type, m.config_vector), FIELD(type, m.status),  \
	FIELD(type, m.isr), FIELD(type, m.generation), FIELD(type, m.backlog),             \
	VRING_FIELDS(type, m.queue[0]), VRING_FIELDS(type, m.queue[1])

void virtio_init(struct virtio *v, const struct virtio_model *model, struct mem *mem,
                 struct msg_wire msi);

/* May the device touch this queue?  DRIVER_OK, bus mastering on, nothing broken, queue enabled. */
bool virtio_queue_ready(const struct virtio *v, unsigned queue);
bool virtio_has(const struct virtio *v, uint64_t feature);     /* was it negotiated? */

void virtio_interrupt(struct virtio *v, unsigned queue);        /* if the driver wants one    */
void virtio_config_changed(struct virtio *v);
void virtio_broken(struct virtio *v, const char *why);          /* the driver broke the rules */

/* For the dev_ops of the devices: they have no ranges but their BARs. */
void     virtio_dev_reset(void *dev);
uint64_t virtio_dev_deadline(const void *dev);
void     virtio_dev_tick(void *dev, uint64_t now_ns);

/* Parts of the section of the device that embeds it. */
enum err virtio_check(const struct virtio *v);
void     virtio_resume(struct virtio *v);

#endif
