/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/console.c - the log of a guest's consoles, and the bytes typed for it.
 *
 * The log is a device without ports: it is reset with the machine (which keeps the text: the
 * guest's last words before a reset are worth most) and it travels.
 */
#include "vmm/dev/console.h"

_Static_assert((CONSOLE_RING_SIZE & (CONSOLE_RING_SIZE - 1)) == 0, "positions wrap by masking");
_Static_assert((CONSOLE_INPUT_SIZE & (CONSOLE_INPUT_SIZE - 1)) == 0, "positions wrap by masking");

void console_init(struct console *c)
{
	*c = (struct console){ 0 };
}

void console_put(struct console *c, enum console_source source, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < len; i++)
		c->ring[(c->count + i) % CONSOLE_RING_SIZE] = from[i];
	c->count += len;
	c->last = (uint8_t)source;
}

size_t console_read(const struct console *c, uint64_t *from, void *to, size_t size)
{
	uint64_t oldest = c->count - MIN(c->count, CONSOLE_RING_SIZE);
	uint8_t *out = to;
	size_t n;

	*from = MIN(MAX(*from, oldest), c->count);
	n = MIN(size, c->count - *from);
	for (size_t i = 0; i < n; i++)
		out[i] = c->ring[(*from + i) % CONSOLE_RING_SIZE];
	*from += n;
	return n;
}

/* --- Input ------------------------------------------------------------------------------------ */

size_t console_input_put(struct console_input *in, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	size_t n = MIN(len, (size_t)(CONSOLE_INPUT_SIZE - in->count));

	for (size_t i = 0; i < n; i++)
		in->byte[(in->head + in->count + i) % CONSOLE_INPUT_SIZE] = from[i];
	in->count = (uint16_t)(in->count + n);
	return n;
}

size_t console_input_take(struct console_input *in, void *to, size_t size)
{
	uint8_t *out = to;
	size_t n = MIN(size, (size_t)in->count);

	for (size_t i = 0; i < n; i++)
		out[i] = in->byte[(in->head + i) % CONSOLE_INPUT_SIZE];
	in->head = (uint16_t)((in->head + n) % CONSOLE_INPUT_SIZE);
	in->count = (uint16_t)(in->count - n);
	return n;
}

enum err console_input_check(const struct console_input *in)
{
	if (in->head >= CONSOLE_INPUT_SIZE)
		return fail(ERR_BAD_FORMAT, "console input: head %u is outside the ring", in->head);
	if (in->count > CONSOLE_INPUT_SIZE)
		return fail(ERR_BAD_FORMAT, "console input: count %u is more than fits", in->count);
	return OK;
}

/* --- What travels ----------------------------------------------------------------------------- */

static const struct field console_fields[] = {
	FIELDS(struct console, ring), FIELD(struct console, count), FIELD(struct console, last),
};

static enum err console_check(const void *object)
{
	const struct console *c = object;

	if (c->last >= CONSOLE_SOURCES)
		return fail(ERR_BAD_FORMAT, "console: last %u is no console", c->last);
	return OK;
}

static const struct section console_state = {
	.name = "console", .version = 1, .fields = console_fields, .nfields = COUNT(console_fields),
	.object_size = sizeof(struct console), .check = console_check,
};

static void console_reset(void *dev)
{
	(void)dev;
}

const struct dev_ops console_ops = {
	.name = "console", .reset = console_reset, .state = &console_state,
};
