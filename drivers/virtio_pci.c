/* SPDX-License-Identifier: MIT */
/*
 * drivers/virtio_pci.c - virtio's transport over PCI, seen from the driver.
 *
 * The registers lie in up to four regions that capabilities point at; what a device says about them
 * is checked against its BARs before anything is touched.  (virtio 1.2, "Virtio Over PCI Bus")
 * Called by drivers/virtio_net.c; the other side of the same door is vmm/dev/virtio.c.
 */
#include "drivers/virtio_pci.h"

#include <string.h>

#include "arch/x86_64/insn.h"
#include "lib/log.h"
#include "lib/time.h"

#define CAP_VENDOR          0x09        /* PCI: vendor specific */
#define COMMON_LEN          VIRTIO_QUEUE_NOTIFY_DATA    /* up to there 1.0 has it */
#define RESET_MAX_NS        (100 * NS_PER_MS)
#define CONFIG_TRIES        16

/* --- Finding the registers ------------------------------------------------------------------- */

static void read_cap(const struct pci_dev *dev, uint8_t at, struct virtio_cap *cap)
{
	uint32_t word[sizeof(*cap) / sizeof(uint32_t)];

	for (unsigned i = 0; i < COUNT(word); i++)
		word[i] = pci_read32(dev, (uint8_t)(at + 4 * i));
	memcpy(cap, word, sizeof(*cap));
}

/* The first region of this type that is whole, aligned and long enough; NULL: there is none. */
static volatile uint8_t *map_region(const struct pci_dev *dev, enum virtio_cap_type type,
				    uint32_t len, struct virtio_cap *cap)
{
	uint32_t align = len > 4 ? 4 : len;
	volatile uint8_t *bar;

	for (uint8_t at = pci_cap(dev, CAP_VENDOR, 0); at; at = pci_cap(dev, CAP_VENDOR, at)) {
		read_cap(dev, at, cap);
		if (cap->type != type || cap->bar >= PCI_BARS || cap->length < len ||
		    cap->offset % align || dev->bar[cap->bar].io)
			continue;
		bar = pci_map_bar(dev, cap->bar, (uint64_t)cap->offset + cap->length);
		if (bar)
			return bar + cap->offset;
	}
	return NULL;
}

enum err virtio_pci_find(struct virtio_pci *v, struct pci_dev *dev, uint32_t device_len)
{
	struct virtio_cap cap;

	*v = (struct virtio_pci){ .dev = dev };
	v->common = map_region(dev, VIRTIO_CAP_COMMON, COMMON_LEN, &cap);
	v->isr = map_region(dev, VIRTIO_CAP_ISR, 1, &cap);
	v->device = map_region(dev, VIRTIO_CAP_DEVICE, device_len, &cap);
	v->device_len = cap.length;
	v->notify = map_region(dev, VIRTIO_CAP_NOTIFY, 2, &cap);
	v->notify_len = cap.length;
	v->notify_step = cap.more;
	if (!v->common || !v->isr || !v->device || !v->notify)
		return fail(ERR_NOT_SUPPORTED,
			    "virtio: %02x:%02x.%u has not the registers of virtio 1", dev->bus,
			    dev->slot, dev->function);
	return OK;
}

/* --- Registers ------------------------------------------------------------------------------- */

static uint8_t read8(const struct virtio_pci *v, enum virtio_common reg)
{
	return v->common[reg];
}

static uint16_t read16(const struct virtio_pci *v, enum virtio_common reg)
{
	return *(volatile uint16_t *)(v->common + reg);
}

static uint32_t read32(const struct virtio_pci *v, enum virtio_common reg)
{
	return *(volatile uint32_t *)(v->common + reg);
}

static void write8(struct virtio_pci *v, enum virtio_common reg, uint8_t value)
{
	v->common[reg] = value;
}

static void write16(struct virtio_pci *v, enum virtio_common reg, uint16_t value)
{
	*(volatile uint16_t *)(v->common + reg) = value;
}

static void write32(struct virtio_pci *v, enum virtio_common reg, uint32_t value)
{
	*(volatile uint32_t *)(v->common + reg) = value;
}

/* In two halves, the lower one first, as the specification wants it. */
static void write64(struct virtio_pci *v, enum virtio_common reg, uint64_t value)
{
	write32(v, reg, (uint32_t)value);
	write32(v, (enum virtio_common)(reg + 4), (uint32_t)(value >> 32));
}

uint8_t virtio_pci_status(const struct virtio_pci *v)
{
	return read8(v, VIRTIO_DEVICE_STATUS);
}

static void add_status(struct virtio_pci *v, enum virtio_status bits)
{
	write8(v, VIRTIO_DEVICE_STATUS, (uint8_t)(virtio_pci_status(v) | bits));
}

/* --- "Device Initialization" ----------------------------------------------------------------- */

enum err virtio_pci_reset(struct virtio_pci *v)
{
	uint64_t end_ns = time_now_ns() + RESET_MAX_NS;

	write8(v, VIRTIO_DEVICE_STATUS, 0);
	while (virtio_pci_status(v) != 0) {
		if (time_now_ns() > end_ns)
			return fail(ERR_TIMEOUT, "virtio: %02x:%02x.%u does not reset",
				    v->dev->bus, v->dev->slot, v->dev->function);
		insn_pause();
	}
	return OK;
}

static uint64_t offered(struct virtio_pci *v)
{
	uint64_t low, high;

	write32(v, VIRTIO_DEVICE_FEATURE_SELECT, 0);
	low = read32(v, VIRTIO_DEVICE_FEATURE);
	write32(v, VIRTIO_DEVICE_FEATURE_SELECT, 1);
	high = read32(v, VIRTIO_DEVICE_FEATURE);
	return high << 32 | low;
}

static void accept(struct virtio_pci *v, uint64_t features)
{
	v->features = features;
	write32(v, VIRTIO_DRIVER_FEATURE_SELECT, 0);
	write32(v, VIRTIO_DRIVER_FEATURE, (uint32_t)features);
	write32(v, VIRTIO_DRIVER_FEATURE_SELECT, 1);
	write32(v, VIRTIO_DRIVER_FEATURE, (uint32_t)(features >> 32));
}

enum err virtio_pci_begin(struct virtio_pci *v, uint64_t (*choose)(uint64_t offered))
{
	/*
	 * Some devices insist on these two.  Both hold: no IOMMU stands between us and the device,
	 * and our barriers are those for real devices.
	 */
	uint64_t transport = VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM |
			     VIRTIO_F_ORDER_PLATFORM;
	enum err e = virtio_pci_reset(v);

	if (e != OK)
		return e;
	add_status(v, VIRTIO_ACKNOWLEDGE);
	add_status(v, VIRTIO_DRIVER);
	uint64_t all = offered(v);

	accept(v, (all & transport) | choose(all));
	if (v->features & VIRTIO_F_VERSION_1) {
		add_status(v, VIRTIO_FEATURES_OK);
		if (virtio_pci_status(v) & VIRTIO_FEATURES_OK)
			return OK;
	}
	write8(v, VIRTIO_DEVICE_STATUS, VIRTIO_FAILED);
	return fail(ERR_NOT_SUPPORTED, "virtio: %02x:%02x.%u offers %lx and refuses %lx",
		    v->dev->bus, v->dev->slot, v->dev->function, offered(v), v->features);
}

uint16_t virtio_pci_queue_size(struct virtio_pci *v, unsigned q)
{
	if (q >= read16(v, VIRTIO_NUM_QUEUES))
		return 0;
	write16(v, VIRTIO_QUEUE_SELECT, (uint16_t)q);
	return read16(v, VIRTIO_QUEUE_SIZE);
}

/* A device that has no resources for an interrupt says so by reading back "none". */
enum err virtio_pci_config_vector(struct virtio_pci *v, uint16_t vector)
{
	write16(v, VIRTIO_CONFIG_VECTOR, vector);
	if (read16(v, VIRTIO_CONFIG_VECTOR) != vector)
		return fail(ERR_NOT_SUPPORTED, "virtio: no interrupt %u for the configuration",
			    vector);
	return OK;
}

enum err virtio_pci_queue_start(struct virtio_pci *v, unsigned q, const struct virtq *queue,
				uint16_t vector)
{
	ASSERT(q < VIRTIO_PCI_QUEUES_MAX);
	write16(v, VIRTIO_QUEUE_SELECT, (uint16_t)q);
	uint64_t bell = (uint64_t)read16(v, VIRTIO_QUEUE_NOTIFY_OFF) * v->notify_step;

	if (bell % 2 || bell + 2 > v->notify_len)
		return fail(ERR_BAD_FORMAT, "virtio: queue %u is notified at %#lx of %#x", q, bell,
			    v->notify_len);
	v->bell[q] = (volatile uint16_t *)(v->notify + bell);
	write16(v, VIRTIO_QUEUE_SIZE, queue->size);
	if (read16(v, VIRTIO_QUEUE_SIZE) != queue->size)
		return fail(ERR_NOT_SUPPORTED, "virtio: queue %u refuses %u entries", q,
			    queue->size);
	write16(v, VIRTIO_QUEUE_VECTOR, vector);
	if (read16(v, VIRTIO_QUEUE_VECTOR) != vector)
		return fail(ERR_NOT_SUPPORTED, "virtio: no interrupt %u for queue %u", vector, q);
	write64(v, VIRTIO_QUEUE_DESC, ptr_hpa((const void *)queue->desc).v);
	write64(v, VIRTIO_QUEUE_DRIVER, ptr_hpa((const void *)queue->avail).v);
	write64(v, VIRTIO_QUEUE_DEVICE, ptr_hpa((const void *)queue->used).v);
	write16(v, VIRTIO_QUEUE_ENABLE, 1);
	return OK;
}

void virtio_pci_go(struct virtio_pci *v)
{
	add_status(v, VIRTIO_DRIVER_OK);
}

/* --- A device that lives --------------------------------------------------------------------- */

void virtio_pci_notify(const struct virtio_pci *v, unsigned q)
{
	*v->bell[q] = (uint16_t)q;
}

enum err virtio_pci_config(const struct virtio_pci *v, unsigned offset, void *to, unsigned len)
{
	uint8_t *out = to, generation;

	ASSERT(offset + len <= v->device_len);
	for (unsigned try = 0; try < CONFIG_TRIES; try++) {
		generation = read8(v, VIRTIO_CONFIG_GENERATION);
		for (unsigned i = 0; i < len; i++)
			out[i] = v->device[offset + i];
		if (read8(v, VIRTIO_CONFIG_GENERATION) == generation)
			return OK;
	}
	return fail(ERR_TIMEOUT, "virtio: %02x:%02x.%u changes its configuration without end",
		    v->dev->bus, v->dev->slot, v->dev->function);
}
