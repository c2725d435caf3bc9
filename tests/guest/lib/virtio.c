/* SPDX-License-Identifier: MIT */
/* lib/virtio.c - see the header. */
#include "lib/apic.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/virtio.h"

enum {
	CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_NOTIFY_MULTIPLIER = 16,
	TYPE_COMMON = 1, TYPE_NOTIFY = 2, TYPE_ISR = 3, TYPE_DEVICE = 4,
	MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_PENDING = 8, MSIX_ENABLE = 1 << 15,
	MSIX_MASK_ALL = 1 << 14,
	MSIX_ENTRY_WORDS = 4, MSIX_ENTRY_MASKED = 1, MSIX_BAR_MASK = 7,
	RESET_POLLS_MAX = 100000,
};

static uint64_t bar_address(struct virtio *v, unsigned bar)
{
	uint64_t address = pci_bar(v->pci, bar).address;

	CHECK(address, "virtio: BAR %u has no address", bar);
	return address;
}

static void take_virtio_capability(struct virtio *v, unsigned cap)
{
	uint8_t type = pci_read8(v->pci, cap + CAP_TYPE);

	if (type < TYPE_COMMON || type > TYPE_DEVICE)
		return;
	uint64_t at = bar_address(v, pci_read8(v->pci, cap + CAP_BAR)) +
		      pci_read32(v->pci, cap + CAP_OFFSET);
	if (type == TYPE_COMMON)
		v->common = (volatile struct virtio_common *)(uintptr_t)at;
	else if (type == TYPE_ISR)
		v->isr = (volatile uint8_t *)(uintptr_t)at;
	else if (type == TYPE_DEVICE)
		v->config = (volatile uint8_t *)(uintptr_t)at;
	else {
		v->notify_base = at;
		v->notify_multiplier = pci_read32(v->pci, cap + CAP_NOTIFY_MULTIPLIER);
	}
}

static void take_msix_capability(struct virtio *v, unsigned cap)
{
	uint32_t table = pci_read32(v->pci, cap + MSIX_TABLE);
	uint32_t pending = pci_read32(v->pci, cap + MSIX_PENDING);

	v->msix_capability = cap;
	v->msix_table = (volatile uint32_t *)(uintptr_t)(bar_address(v, table & MSIX_BAR_MASK) +
							 (table & ~(uint32_t)MSIX_BAR_MASK));
	v->msix_pending = (volatile uint64_t *)(uintptr_t)(bar_address(v, pending & MSIX_BAR_MASK) +
							   (pending & ~(uint32_t)MSIX_BAR_MASK));
}

static void find_capabilities(struct virtio *v)
{
	unsigned cap = 0;

	while ((cap = pci_next_capability(v->pci, cap))) {
		uint8_t id = pci_read8(v->pci, cap);
		if (id == PCI_CAP_VENDOR)
			take_virtio_capability(v, cap);
		else if (id == PCI_CAP_MSIX)
			take_msix_capability(v, cap);
	}
	CHECK(v->common && v->notify_base && v->isr, "virtio: a structure is missing");
	CHECK(v->msix_capability, "virtio: no MSI-X");
}

void virtio_reset(struct virtio *v)
{
	v->common->status = 0;
	for (int i = 0; v->common->status; i++)
		CHECK(i < RESET_POLLS_MAX, "virtio: status %x after reset", v->common->status);
}

bool virtio_open(struct virtio *v, uint16_t type, uint64_t wanted)
{
	*v = (struct virtio){ 0 };
	if (!pci_find(PCI_VENDOR_VIRTIO, (uint16_t)(PCI_DEVICE_VIRTIO + type), &v->pci))
		return false;
	find_capabilities(v);
	pci_write16(v->pci, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	virtio_reset(v);
	v->common->status = VIRTIO_STATUS_ACKNOWLEDGE;
	v->common->status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	uint64_t offered = 0;
	for (uint32_t half = 0; half < 2; half++) {
		v->common->device_feature_select = half;
		offered |= (uint64_t)v->common->device_feature << 32 * half;
	}
	CHECK(offered & VIRTIO_F_VERSION_1, "virtio: features %lx lack VERSION_1", offered);
	v->features = offered & (wanted | VIRTIO_F_VERSION_1);
	for (uint32_t half = 0; half < 2; half++) {
		v->common->driver_feature_select = half;
		v->common->driver_feature = (uint32_t)(v->features >> 32 * half);
	}
	v->common->status |= VIRTIO_STATUS_FEATURES_OK;
	CHECK(v->common->status & VIRTIO_STATUS_FEATURES_OK, "virtio: features %lx refused",
	      v->features);
	return true;
}

static void write_address(volatile uint32_t halves[2], const volatile void *at)
{
	halves[0] = (uint32_t)(uintptr_t)at;
	halves[1] = (uint32_t)((uintptr_t)at >> 32);
}

void virtio_queue(struct virtio *v, struct virtq *q, uint16_t index, uint16_t vector)
{
	memset(q, 0, sizeof(*q));
	CHECK(index < v->common->num_queues, "virtio: queue %u of %u", index,
	      v->common->num_queues);
	v->common->queue_select = index;
	CHECK(v->common->queue_size >= VIRTIO_QUEUE_SIZE, "virtio: queue of %u",
	      v->common->queue_size);
	v->common->queue_size = VIRTIO_QUEUE_SIZE;
	v->common->queue_vector = vector;
	CHECK(v->common->queue_vector == vector, "virtio: vector %x refused", vector);
	write_address(v->common->queue_desc, q->desc);
	write_address(v->common->queue_driver, &q->avail);
	write_address(v->common->queue_device, &q->used);
	q->index = index;
	q->notify = (volatile uint16_t *)(uintptr_t)(v->notify_base +
						     (uint64_t)v->notify_multiplier *
						     v->common->queue_notify_off);
	v->common->queue_enable = 1;
	CHECK(v->common->queue_enable == 1, "virtio: queue %u stays off", index);
}

void virtio_start(struct virtio *v)
{
	v->common->status |= VIRTIO_STATUS_DRIVER_OK;
}

void virtio_msix_enable(struct virtio *v)
{
	uint16_t control = pci_read16(v->pci, v->msix_capability + MSIX_CONTROL);

	control = (uint16_t)((control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
	pci_write16(v->pci, v->msix_capability + MSIX_CONTROL, control);
}

void virtio_msix_mask(struct virtio *v, unsigned entry, bool masked)
{
	v->msix_table[entry * MSIX_ENTRY_WORDS + 3] = masked ? MSIX_ENTRY_MASKED : 0;
}

void virtio_msix_route(struct virtio *v, unsigned entry, uint8_t apic_vector)
{
	volatile uint32_t *words = v->msix_table + entry * MSIX_ENTRY_WORDS;

	words[0] = (uint32_t)APIC_MMIO | apic_id() << 12;
	words[1] = 0;
	words[2] = apic_vector;
	virtio_msix_mask(v, entry, false);
}

void virtq_give(struct virtq *q, uint16_t slot, void *at, uint32_t length, uint16_t flags)
{
	q->desc[slot].address = (uint64_t)(uintptr_t)at;
	q->desc[slot].length = length;
	q->desc[slot].flags = flags;
	q->avail.ring[q->avail.index % VIRTIO_QUEUE_SIZE] = slot;
	/* the entry before the index, the index before the kick */
	insn_barrier();
	q->avail.index++;
	insn_barrier();
}

void virtq_kick(struct virtq *q)
{
	*q->notify = q->index;
}

bool virtq_take(struct virtq *q, uint16_t *slot, uint32_t *length)
{
	if (q->used.index == q->taken)
		return false;
	insn_barrier();
	*slot = (uint16_t)q->used.ring[q->taken % VIRTIO_QUEUE_SIZE].id;
	*length = q->used.ring[q->taken % VIRTIO_QUEUE_SIZE].length;
	q->taken++;
	return true;
}
