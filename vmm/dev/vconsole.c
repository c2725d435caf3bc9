/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vconsole.c - virtio console with one port: queue 0 brings input, queue 1 takes output.
 *
 * Sizes and several ports are not offered.  The emergency write is: one byte through the
 * configuration, for a guest that cannot set up a queue any more.
 */
#include "vmm/dev/vconsole.h"

#define TYPE_CONSOLE     3
#define CLASS_COMM_OTHER 0x078000
#define F_EMERG_WRITE    BIT(2)
#define CONFIG_LEN       12u            /* cols 2, rows 2, max_nr_ports 4, emerg_wr 4 */
#define CONFIG_EMERG     8u
#define MESSAGE_MAX      (64 * KIB)     /* one write of a driver; longer is a mistake */
#define CHUNK            256u

enum queue { INPUT, OUTPUT };

static uint8_t vconsole_config_read(const struct virtio *v, unsigned offset)
{
	(void)v;
	(void)offset;
	return 0;
}

static void vconsole_config_write(struct virtio *v, unsigned offset, uint64_t value)
{
	struct vconsole *c = (struct vconsole *)v;
	uint8_t byte = (uint8_t)value;

	if (offset == CONFIG_EMERG)
		console_put(c->console, CONSOLE_HVC0, &byte, 1);
}

static void say(struct vconsole *c, const struct vring_chain *chain)
{
	uint8_t chunk[CHUNK];
	uint32_t n;

	for (uint32_t at = 0; at < chain->read_len; at += n) {
		n = vring_copy_out(&c->virtio.queue[OUTPUT], chain, at, chunk, sizeof(chunk));
		if (!n)
			return;
		console_put(c->console, CONSOLE_HVC0, chunk, n);
	}
}

static void feed(struct vconsole *c, const struct vring_chain *chain)
{
	struct vring *r = &c->virtio.queue[INPUT];
	uint8_t bytes[CHUNK];
	size_t n = console_input_take(&c->input, bytes, MIN(chain->write_len, CHUNK));

	vring_give(r, chain, vring_copy_in(r, chain, 0, bytes, (uint32_t)n));
}

static bool vconsole_kick(struct virtio *v, unsigned queue, unsigned budget)
{
	struct vconsole *c = (struct vconsole *)v;
	struct vring *r = &v->queue[queue];
	struct vring_chain chain;
	enum err e = OK;

	while (budget-- && (queue == OUTPUT || c->input.count) &&
	       (e = vring_take(r, &chain)) == OK) {
		if (chain.read_len > MESSAGE_MAX) {
			virtio_broken(v, "a message of more than 64 KiB");
			return false;
		}
		if (queue == INPUT) {
			feed(c, &chain);
			continue;
		}
		say(c, &chain);
		vring_give(r, &chain, 0);
	}
	virtio_interrupt(v, queue);
	if (e == ERR_BAD_FORMAT) {
		virtio_broken(v, err_reason());
		return false;
	}
	/* Input buffers are worth a notification only while somebody's typing waits for one. */
	return vring_want_kicks(r, queue == OUTPUT || c->input.count);
}

size_t vconsole_input(struct vconsole *c, const void *bytes, size_t len)
{
	size_t taken = console_input_put(&c->input, bytes, len);

	if (virtio_queue_ready(&c->virtio, INPUT))
		vconsole_kick(&c->virtio, INPUT, VRING_SIZE_MAX);
	return taken;
}

/* --- Life, and what travels ------------------------------------------------------------------- */

static const struct virtio_model vconsole_model = {
	.type = TYPE_CONSOLE, .name = "vconsole", .class = CLASS_COMM_OTHER,
	.features = F_EMERG_WRITE, .nqueues = 2, .config_len = CONFIG_LEN,
	.config_read = vconsole_config_read, .config_write = vconsole_config_write,
	.kick = vconsole_kick,
};

void vconsole_init(struct vconsole *c, struct mem *mem, struct console *console,
		   struct msg_wire msi)
{
	*c = (struct vconsole){ .console = console };
	virtio_init(&c->virtio, &vconsole_model, mem, msi);
}

static void vconsole_reset(void *dev)
{
	struct vconsole *c = dev;

	virtio_dev_reset(dev);
	c->input.head = c->input.count = 0;
}

static const struct field vconsole_fields[] = {
	VIRTIO_FIELDS(struct vconsole, virtio), CONSOLE_INPUT_FIELDS(struct vconsole, input),
};

static enum err vconsole_check(const void *object)
{
	const struct vconsole *c = object;
	enum err e = console_input_check(&c->input);

	return e == OK ? virtio_check(&c->virtio) : e;
}

static void vconsole_resume(void *object)
{
	virtio_resume(&((struct vconsole *)object)->virtio);
}

static const struct section vconsole_state = {
	.name = "vconsole", .version = 1,
	.fields = vconsole_fields, .nfields = COUNT(vconsole_fields),
	.object_size = sizeof(struct vconsole), .check = vconsole_check, .resume = vconsole_resume,
};

const struct dev_ops vconsole_ops = {
	.name = "vconsole", .reset = vconsole_reset, .deadline = virtio_dev_deadline,
	.tick = virtio_dev_tick, .state = &vconsole_state,
};
