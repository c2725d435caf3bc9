/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vrng.c - virtio entropy device: whatever buffer comes is filled with random bytes.
 */
#include "vmm/dev/vrng.h"

#define TYPE_ENTROPY    4
#define CLASS_OTHER     0xff0000
#define FILL_MAX        256u            /* bytes a request; a driver that wants more asks again */

static bool vrng_kick(struct virtio *v, unsigned queue, unsigned budget)
{
	struct vrng *rng = (struct vrng *)v;
	struct vring *r = &v->queue[queue];
	struct vring_chain c;
	enum err e = OK;

	while (budget && (e = vring_take(r, &c)) == OK) {
		uint8_t bytes[FILL_MAX];
		uint32_t n = MIN(c.write_len, FILL_MAX);

		rng->fill(bytes, n);
		vring_give(r, &c, vring_copy_in(r, &c, 0, bytes, n));
		budget--;
	}
	virtio_interrupt(v, queue);
	if (e == ERR_BAD_FORMAT) {
		virtio_broken(v, err_reason());
		return false;
	}
	return vring_want_kicks(r, true);
}

static const struct virtio_model vrng_model = {
	.type = TYPE_ENTROPY, .name = "vrng", .class = CLASS_OTHER, .nqueues = 1, .kick = vrng_kick,
};

void vrng_init(struct vrng *r, struct mem *mem, vrng_fill_fn *fill, struct msg_wire msi)
{
	*r = (struct vrng){ .fill = fill };
	virtio_init(&r->virtio, &vrng_model, mem, msi);
}

static const struct field vrng_fields[] = { VIRTIO_FIELDS(struct vrng, virtio) };

static enum err vrng_check(const void *object)
{
	return virtio_check(&((const struct vrng *)object)->virtio);
}

static void vrng_resume(void *object)
{
	virtio_resume(&((struct vrng *)object)->virtio);
}

static const struct section vrng_state = {
	.name = "vrng", .version = 1, .fields = vrng_fields, .nfields = COUNT(vrng_fields),
	.object_size = sizeof(struct vrng), .check = vrng_check, .resume = vrng_resume,
};

const struct dev_ops vrng_ops = {
	.name = "vrng", .reset = virtio_dev_reset, .deadline = virtio_dev_deadline,
	.tick = virtio_dev_tick, .state = &vrng_state,
};
