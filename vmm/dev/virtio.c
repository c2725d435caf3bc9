/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/virtio.c - virtio 1.2 over PCI, without the legacy interface.
 *
 *   BAR 0 (64-bit, 16 KiB):  0x0000 common   0x1000 ISR   0x2000 device   0x3000 notify
 *   BAR 4 (32-bit, 4 KiB):   MSI-X table and pending bits
 *
 *   driver: ACKNOWLEDGE, DRIVER, features, FEATURES_OK (does it stick?), queues, DRIVER_OK
 *
 * A notification runs the model at once, for a bounded number of chains; what is left runs when the
 * VM's devices are ticked.  Read next: vmm/dev/vring.c, then vmm/dev/vnet.c.
 */
#include "vmm/dev/virtio.h"

#include <string.h>

#include "lib/log.h"

#define SUBSYSTEM_BASE  0x0040
#define REVISION        1

#define BAR_REGIONS     0
#define BAR_MSIX        4
#define REGION_LEN      0x1000u
enum region { REGION_COMMON, REGION_ISR, REGION_DEVICE, REGION_NOTIFY, REGIONS };
#define NOTIFY_STEP     4u              /* bytes between the queues' notify addresses */

#define CAP_HEADER      2u              /* bytes that pci_func_cap() writes */

#define STATUS_BITS     (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | \
                         VIRTIO_FEATURES_OK | VIRTIO_NEEDS_RESET | VIRTIO_FAILED)
#define TRANSPORT_FEATURES (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 | \
                            VIRTIO_F_RING_RESET)

static uint64_t offered(const struct virtio *v)
{
	return v->model->features | TRANSPORT_FEATURES;
}

bool virtio_has(const struct virtio *v, uint64_t feature)
{
	return v->driver_features & feature;
}

static bool running(const struct virtio *v)
{
	return (v->status & VIRTIO_DRIVER_OK) &&
	       !(v->status & (VIRTIO_NEEDS_RESET | VIRTIO_FAILED)) &&
	       pci_func_master(&v->pci);
}

bool virtio_queue_ready(const struct virtio *v, unsigned queue)
{
	return running(v) && v->queue[queue].enabled;
}

/* --- Interrupts ------------------------------------------------------------------------------- */

void virtio_interrupt(struct virtio *v, unsigned queue)
{
	if (!vring_should_interrupt(&v->queue[queue]))
		return;
	if (v->pci.msix.enabled) {
		msix_fire(&v->pci.msix, v->queue[queue].vector);
		return;
	}
	v->isr |= VIRTIO_ISR_QUEUE;
	pci_func_intx(&v->pci, true);
}

static void config_interrupt(struct virtio *v)
{
	if (!(v->status & VIRTIO_DRIVER_OK))
		return;
	v->isr |= VIRTIO_ISR_CONFIG;
	if (v->pci.msix.enabled)
		msix_fire(&v->pci.msix, v->config_vector);
	else
		pci_func_intx(&v->pci, true);
}

void virtio_config_changed(struct virtio *v)
{
	v->generation++;
	config_interrupt(v);
}

void virtio_broken(struct virtio *v, const char *why)
{
	if (!v->complained)
		log_line("%s: %s: the driver gave %s; the device waits to be reset",
			 v->owner ? v->owner : "a guest", v->model->name, why);
	v->complained = true;
	v->status |= VIRTIO_NEEDS_RESET;
	config_interrupt(v);
}

/* --- Queues ----------------------------------------------------------------------------------- */

static void queue_run(struct virtio *v, unsigned queue)
{
	v->backlog &= (uint8_t)~BIT(queue);
	if (virtio_queue_ready(v, queue) && v->model->kick(v, queue, VRING_SIZE_MAX))
		v->backlog |= (uint8_t)BIT(queue);
}

uint64_t virtio_dev_deadline(const void *dev)
{
	return ((const struct virtio *)dev)->backlog ? 0 : NEVER_NS;
}

void virtio_dev_tick(void *dev, uint64_t now_ns)
{
	struct virtio *v = dev;
	uint8_t backlog = v->backlog;

	(void)now_ns;
	for (unsigned q = 0; q < v->model->nqueues; q++)
		if (backlog & BIT(q))
			queue_run(v, q);
}

static void queue_enable(struct virtio *v, struct vring *r)
{
	if (!(v->status & VIRTIO_FEATURES_OK) || r->enabled)
		return;
	r->event_idx = virtio_has(v, VIRTIO_F_EVENT_IDX);
	r->indirect = virtio_has(v, VIRTIO_F_INDIRECT_DESC);
	if (vring_start(r) != OK)
		virtio_broken(v, err_reason());
}

static void device_reset(struct virtio *v)      /* "Device Initialization": status 0 */
{
	v->driver_features = 0;
	v->device_select = v->driver_select = 0;
	v->queue_select = 0;
	v->config_vector = VIRTIO_NO_VECTOR;
	v->status = v->isr = v->backlog = 0;
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
		vring_reset(&v->queue[q]);
	pci_func_intx(&v->pci, false);
}

static void write_status(struct virtio *v, uint8_t value)
{
	uint8_t set = value & (uint8_t)~v->status & STATUS_BITS;

	if (!value) {
		device_reset(v);
		return;
	}
	/* A driver that wants what was not offered, or the old interface, sees no FEATURES_OK. */
	if ((set & VIRTIO_FEATURES_OK) &&
	    ((v->driver_features & ~offered(v)) || !virtio_has(v, VIRTIO_F_VERSION_1)))
		set &= (uint8_t)~VIRTIO_FEATURES_OK;
	if (!((v->status | set) & VIRTIO_FEATURES_OK))
		set &= (uint8_t)~VIRTIO_DRIVER_OK;
	v->status |= set & (uint8_t)~VIRTIO_NEEDS_RESET;
	if (!(set & VIRTIO_DRIVER_OK))
		return;
	for (unsigned q = 0; q < v->model->nqueues; q++)        /* buffers that came before it */
		queue_run(v, q);
}

/* --- Common configuration --------------------------------------------------------------------- */

/* The selected queue; NULL when it does not exist. */
static struct vring *selected(struct virtio *v)
{
	return v->queue_select < v->model->nqueues ? &v->queue[v->queue_select] : NULL;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static uint32_t queue_read(const struct vring *r, unsigned offset, unsigned index)
{
	switch (offset) {
	case VIRTIO_QUEUE_SIZE:        return r->size;
	case VIRTIO_QUEUE_VECTOR:      return r->vector;
	case VIRTIO_QUEUE_ENABLE:      return r->enabled;
	case VIRTIO_QUEUE_NOTIFY_OFF:  return index;
	case VIRTIO_QUEUE_DESC:        return (uint32_t)r->desc;
	case VIRTIO_QUEUE_DESC_HIGH:   return (uint32_t)(r->desc >> 32);
	case VIRTIO_QUEUE_DRIVER:      return (uint32_t)r->avail;
	case VIRTIO_QUEUE_DRIVER_HIGH: return (uint32_t)(r->avail >> 32);
	case VIRTIO_QUEUE_DEVICE:      return (uint32_t)r->used;
	case VIRTIO_QUEUE_DEVICE_HIGH: return (uint32_t)(r->used >> 32);
	}
	return 0;                       /* QUEUE_RESET: done by the time that it is read */
}

static uint32_t common_read(struct virtio *v, unsigned offset)
{
	const struct vring *r = selected(v);

	switch (offset) {
	case VIRTIO_DEVICE_FEATURE_SELECT: return v->device_select;
	case VIRTIO_DEVICE_FEATURE:        return feature_word(offered(v), v->device_select);
	case VIRTIO_DRIVER_FEATURE_SELECT: return v->driver_select;
	case VIRTIO_DRIVER_FEATURE:
		return feature_word(v->driver_features, v->driver_select);
	case VIRTIO_CONFIG_VECTOR:         return v->config_vector;
	case VIRTIO_NUM_QUEUES:            return v->model->nqueues;
	case VIRTIO_DEVICE_STATUS:         return v->status;
	case VIRTIO_CONFIG_GENERATION:     return v->generation;
	case VIRTIO_QUEUE_SELECT:          return v->queue_select;
	}
	return r ? queue_read(r, offset, v->queue_select) : 0;
}

static uint16_t vector_checked(const struct virtio *v, uint32_t value)
{
	return value < v->pci.msix.nvectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static void set_low(uint64_t *reg, uint32_t value)
{
	*reg = (*reg & MASK(63, 32)) | value;
}

static void set_high(uint64_t *reg, uint32_t value)
{
	*reg = (*reg & MASK(31, 0)) | (uint64_t)value << 32;
}

static void queue_reset(struct virtio *v, struct vring *r)
{
	if (!virtio_has(v, VIRTIO_F_RING_RESET))
		return;
	vring_reset(r);
	v->backlog &= (uint8_t)~BIT(v->queue_select);
}

/* An enabled queue stays as it is: only its vector may change. */
static void queue_write(struct virtio *v, struct vring *r, unsigned offset, uint32_t value)
{
	if (offset == VIRTIO_QUEUE_VECTOR)
		r->vector = vector_checked(v, value);
	if (offset == VIRTIO_QUEUE_RESET && value == 1)
		queue_reset(v, r);
	if (r->enabled)
		return;
	switch (offset) {
	case VIRTIO_QUEUE_SIZE:
		if (value && value <= VRING_SIZE_MAX && !(value & (value - 1)))
			r->size = (uint16_t)value;
		break;
	case VIRTIO_QUEUE_DESC:        set_low(&r->desc, value); break;
	case VIRTIO_QUEUE_DESC_HIGH:   set_high(&r->desc, value); break;
	case VIRTIO_QUEUE_DRIVER:      set_low(&r->avail, value); break;
	case VIRTIO_QUEUE_DRIVER_HIGH: set_high(&r->avail, value); break;
	case VIRTIO_QUEUE_DEVICE:      set_low(&r->used, value); break;
	case VIRTIO_QUEUE_DEVICE_HIGH: set_high(&r->used, value); break;
	case VIRTIO_QUEUE_ENABLE:
		if (value == 1)
			queue_enable(v, r);
		break;
	}
}

static void write_driver_features(struct virtio *v, uint32_t value)
{
	if (v->status & VIRTIO_FEATURES_OK)
		return;
	if (v->driver_select == 0)
		set_low(&v->driver_features, value);
	else if (v->driver_select == 1)
		set_high(&v->driver_features, value);
}

static void common_write(struct virtio *v, unsigned offset, uint32_t value)
{
	struct vring *r = selected(v);

	switch (offset) {
	case VIRTIO_DEVICE_FEATURE_SELECT: v->device_select = value; return;
	case VIRTIO_DRIVER_FEATURE_SELECT: v->driver_select = value; return;
	case VIRTIO_DRIVER_FEATURE:        write_driver_features(v, value); return;
	case VIRTIO_CONFIG_VECTOR:         v->config_vector = vector_checked(v, value); return;
	case VIRTIO_DEVICE_STATUS:         write_status(v, (uint8_t)value); return;
	case VIRTIO_QUEUE_SELECT:          v->queue_select = (uint16_t)value; return;
	}
	if (r)
		queue_write(v, r, offset, value);
}

/* --- BAR 0 ------------------------------------------------------------------------------------ */

static uint64_t device_read(const struct virtio *v, unsigned offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		if (offset + i < v->model->config_len)
			value |= (uint64_t)v->model->config_read(v, offset + i) << 8 * i;
	return value;
}

static uint8_t isr_read(struct virtio *v)
{
	uint8_t isr = v->isr;

	v->isr = 0;
	pci_func_intx(&v->pci, false);
	return isr;
}

static uint64_t bar_read(struct pci_func *f, unsigned bar, uint64_t offset, const struct access *a)
{
	struct virtio *v = CONTAINER_OF(f, struct virtio, pci);
	unsigned at = (unsigned)(offset % REGION_LEN);

	(void)bar;
	switch ((enum region)(offset / REGION_LEN)) {
	case REGION_COMMON:
		if (a->size == 8)
			return common_read(v, at) | (uint64_t)common_read(v, at + 4) << 32;
		return common_read(v, at);
	case REGION_ISR:
		return at == 0 ? isr_read(v) : 0;
	case REGION_DEVICE:
		return device_read(v, at, a->size);
	default:
		return 0;
	}
}

static void bar_write(struct pci_func *f, unsigned bar, uint64_t offset, const struct access *a,
                      uint64_t value)
{
	struct virtio *v = CONTAINER_OF(f, struct virtio, pci);
	unsigned at = (unsigned)(offset % REGION_LEN);

	(void)bar;
	switch ((enum region)(offset / REGION_LEN)) {
	case REGION_COMMON:
		common_write(v, at, (uint32_t)value);
		if (a->size == 8)
			common_write(v, at + 4, (uint32_t)(value >> 32));
		break;
	case REGION_DEVICE:
		if (v->model->config_write)
			v->model->config_write(v, at, value);
		break;
	case REGION_NOTIFY:
		if (at / NOTIFY_STEP < v->model->nqueues)
			queue_run(v, at / NOTIFY_STEP);
		break;
	default:
		break;
	}
}

static uint64_t bar_deadline(const struct pci_func *f)
{
	return virtio_dev_deadline(CONTAINER_OF(f, struct virtio, pci));
}

/* --- "PCI configuration access capability": BAR 0 without mapping it -------------------------- */

#define ACCESS_DATA     offsetof(struct virtio_cap, more)

/* What the capability points at; false when that is nothing to access. */
static bool access_target(const struct virtio *v, unsigned offset, struct virtio_cap *cap)
{
	uint64_t size;

	memcpy(cap, &v->pci.config[v->access_cap], sizeof(*cap));
	size = cap->bar < PCI_BARS ? v->pci.bar[cap->bar].size : 0;
	return offset == v->access_cap + ACCESS_DATA &&
	       (cap->length == 1 || cap->length == 2 || cap->length == 4) &&
	       cap->offset % cap->length == 0 && (uint64_t)cap->offset + cap->length <= size;
}

static void config_read(struct pci_func *f, unsigned offset, const struct access *a)
{
	struct virtio *v = CONTAINER_OF(f, struct virtio, pci);
	struct access inner = *a;
	struct virtio_cap cap;
	uint32_t value;

	if (!access_target(v, offset, &cap))
		return;
	inner.size = (uint8_t)cap.length;
	value = (uint32_t)pci_func_bar_read(f, cap.bar, cap.offset, &inner);
	memcpy(&f->config[offset], &value, inner.size);
}

static void config_write(struct pci_func *f, unsigned offset, const struct access *a)
{
	struct virtio *v = CONTAINER_OF(f, struct virtio, pci);
	struct access inner = *a;
	struct virtio_cap cap;
	uint32_t value = 0;

	if (!access_target(v, offset, &cap))
		return;
	inner.size = (uint8_t)cap.length;
	memcpy(&value, &f->config[offset], inner.size);
	pci_func_bar_write(f, cap.bar, cap.offset, &inner, value);
}

/* --- Life ------------------------------------------------------------------------------------- */

static const struct pci_func_ops func_ops = {
	.bar_read = bar_read, .bar_write = bar_write, .deadline = bar_deadline,
	.config_read = config_read, .config_write = config_write,
};

static unsigned add_cap(struct virtio *v, const struct virtio_cap *cap,
                        const struct virtio_cap *writable)
{
	bool long_form = cap->type == VIRTIO_CAP_NOTIFY || cap->type == VIRTIO_CAP_ACCESS;
	const uint8_t *mask = (const uint8_t *)writable;
	struct virtio_cap c = *cap;

	c.len = long_form ? sizeof(c) : offsetof(struct virtio_cap, more);
	return pci_func_cap(&v->pci, PCI_CAP_VENDOR, (const uint8_t *)&c + CAP_HEADER,
			    mask ? mask + CAP_HEADER : NULL, c.len - CAP_HEADER);
}

static void add_caps(struct virtio *v)
{
	static const struct virtio_cap access_writable = {
		.bar = 0xff, .offset = ~0u, .length = ~0u, .more = ~0u,
	};
	const struct virtio_cap caps[] = {
		{ .type = VIRTIO_CAP_COMMON, .offset = REGION_COMMON * REGION_LEN,
		  .length = VIRTIO_COMMON_LEN },
		{ .type = VIRTIO_CAP_ISR,    .offset = REGION_ISR * REGION_LEN,    .length = 1 },
		{ .type = VIRTIO_CAP_NOTIFY, .offset = REGION_NOTIFY * REGION_LEN,
		  .length = v->model->nqueues * NOTIFY_STEP, .more = NOTIFY_STEP },
		{ .type = VIRTIO_CAP_DEVICE, .offset = REGION_DEVICE * REGION_LEN,
		  .length = v->model->config_len },
	};

	for (unsigned i = 0; i < COUNT(caps); i++)
		if (caps[i].length)     /* not every device has a configuration */
			add_cap(v, &caps[i], NULL);
	v->access_cap = (uint8_t)add_cap(v, &(struct virtio_cap){ .type = VIRTIO_CAP_ACCESS },
	                                 &access_writable);
}

void virtio_init(struct virtio *v, const struct virtio_model *model, struct mem *mem,
                 struct msg_wire msi)
{
	struct pci_id id = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (uint16_t)(VIRTIO_PCI_DEVICE_BASE + model->type),
		.subsystem_vendor = VIRTIO_PCI_VENDOR,
		.subsystem = (uint16_t)(SUBSYSTEM_BASE + model->type),
		.revision = REVISION, .class = model->class,
	};

	ASSERT(model->nqueues <= VIRTIO_QUEUES_MAX);
	*v = (struct virtio){ .model = model };
	pci_func_init(&v->pci, &id, &func_ops);
	pci_func_bar(&v->pci, BAR_REGIONS, REGIONS * REGION_LEN, true);
	add_caps(v);
	pci_func_msix(&v->pci, BAR_MSIX, model->nqueues + 1, msi);
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
		v->queue[q].mem = mem;
	device_reset(v);
}

void virtio_dev_reset(void *dev)
{
	struct virtio *v = dev;

	device_reset(v);
	pci_func_reset(&v->pci);
}

/* --- What travels ----------------------------------------------------------------------------- */

enum err virtio_check(const struct virtio *v)
{
	enum err e = pci_func_check(&v->pci);

	if (e != OK)
		return e;
	if ((v->status & VIRTIO_FEATURES_OK) &&
	    ((v->driver_features & ~offered(v)) || !virtio_has(v, VIRTIO_F_VERSION_1)))
		return fail(ERR_BAD_FORMAT, "%s: driver_features %#llx were not offered",
			    v->model->name, (unsigned long long)v->driver_features);
	if ((v->status & ~STATUS_BITS) ||
	    ((v->status & VIRTIO_DRIVER_OK) && !(v->status & VIRTIO_FEATURES_OK)))
		return fail(ERR_BAD_FORMAT, "%s: status %#x", v->model->name, v->status);
	if (v->isr & ~(VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG))
		return fail(ERR_BAD_FORMAT, "%s: isr %#x", v->model->name, v->isr);
	if (v->backlog >> v->model->nqueues)
		return fail(ERR_BAD_FORMAT, "%s: backlog %#x", v->model->name, v->backlog);
	if (v->config_vector != vector_checked(v, v->config_vector))
		return fail(ERR_BAD_FORMAT, "%s: config_vector %u", v->model->name,
			    v->config_vector);
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++) {
		const struct vring *r = &v->queue[q];

		if (r->vector != vector_checked(v, r->vector))
			return fail(ERR_BAD_FORMAT, "%s: queue[%u].vector %u", v->model->name, q,
				    r->vector);
		if (r->enabled && (q >= v->model->nqueues || !(v->status & VIRTIO_FEATURES_OK)))
			return fail(ERR_BAD_FORMAT, "%s: queue[%u].enabled cannot be",
				    v->model->name, q);
		e = vring_check(r);
		if (e != OK)
			return e;
	}
	return OK;
}

void virtio_resume(struct virtio *v)
{
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++) {
		v->queue[q].event_idx = virtio_has(v, VIRTIO_F_EVENT_IDX);
		v->queue[q].indirect = virtio_has(v, VIRTIO_F_INDIRECT_DESC);
	}
	pci_func_resume(&v->pci);
}
