/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/exitport.c - the two ports at which test kernels say that they are done.
 */
#include "vmm/dev/exitport.h"

#include "lib/fmt.h"

#define PORT_CODE       0xf4
#define PORT_SHUTDOWN   0x8900
#define WHY_MAX         64

static const char shutdown_word[] = "Shutdown";

static void write_code(struct exitport *e, uint32_t code)
{
	char why[WHY_MAX];

	e->code = code;
	e->ended = 1;
	fmt_format(why, sizeof(why), "the guest ended with code %u (port 0xf4)", code);
	power_off(&e->power, why);
}

static void write_shutdown(struct exitport *e, char byte)
{
	if (byte != shutdown_word[e->matched])
		e->matched = 0;
	if (byte == shutdown_word[e->matched])
		e->matched++;
	if (shutdown_word[e->matched])
		return;
	e->matched = 0;
	power_off(&e->power, "the guest ended (\"Shutdown\" to port 0x8900)");
}

static uint64_t exitport_read(void *dev, const struct access *a)
{
	(void)dev;
	(void)a;
	return ~0ull;                   /* both are write-only */
}

static void exitport_write(void *dev, const struct access *a, uint64_t value)
{
	if (a->addr == PORT_CODE)
		write_code(dev, (uint32_t)value);
	else if (a->addr == PORT_SHUTDOWN)
		write_shutdown(dev, (char)value);
}

static void exitport_reset(void *dev)
{
	struct exitport *e = dev;

	*e = (struct exitport){ .power = e->power };
}

void exitport_init(struct exitport *e, struct power power)
{
	*e = (struct exitport){ .power = power };
}

static const struct field exitport_fields[] = {
	FIELD(struct exitport, matched), FIELD(struct exitport, ended),
	FIELD(struct exitport, code),
};

static enum err exitport_check(const void *object)
{
	const struct exitport *e = object;

	if (e->matched >= sizeof(shutdown_word) - 1)
		return fail(ERR_BAD_FORMAT, "exitport: matched %u", e->matched);
	if (e->ended > 1)
		return fail(ERR_BAD_FORMAT, "exitport: ended %u", e->ended);
	return OK;
}

static const struct section exitport_state = {
	.name = "exitport", .version = 1,
	.fields = exitport_fields, .nfields = COUNT(exitport_fields),
	.object_size = sizeof(struct exitport), .check = exitport_check,
};

/* Four ports, because a code may be a byte, a word or a doubleword. */
static const struct range exitport_ranges[] = {
	{ BUS_IO, PORT_CODE, 4 }, { BUS_IO, PORT_SHUTDOWN, 1 },
};

const struct dev_ops exitport_ops = {
	.name = "exitport", .ranges = exitport_ranges, .nranges = COUNT(exitport_ranges),
	.reset = exitport_reset, .read = exitport_read, .write = exitport_write,
	.state = &exitport_state,
};
