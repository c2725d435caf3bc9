/* SPDX-License-Identifier: MIT */
/*
 * drivers/e1000.c - Intel's 82540EM and its nearest relatives on PCI.
 *
 * What they share with later cards is drivers/gbe.c.  Started by drivers/nics.c.
 */
#include "drivers/gbe.h"
#include "drivers/nics.h"

#define MODEL_82540EM       PCI_ID(0x8086, 0x100e)
#define MODEL_82545EM       PCI_ID(0x8086, 0x100f)
#define MODEL_82544GC       PCI_ID(0x8086, 0x100c)

static const struct { uint32_t id; const char *name; } models[] = {
	{ MODEL_82540EM, "82540EM" },
	{ MODEL_82545EM, "82545EM" },
	{ MODEL_82544GC, "82544GC" },
};
static const uint32_t ids[] = { MODEL_82540EM, MODEL_82545EM, MODEL_82544GC, 0 };

static enum err reset(struct gbe *c)
{
	gbe_quiet(c);
	return gbe_reset(c);
}

/* Nothing but what all need. */
static void configure(struct gbe *c)
{
	(void)c;
}

static const struct gbe_model model = {
	.driver = "e1000", .eerd_done = BIT(4), .eerd_addr = MASK(15, 8),
	.reset = reset, .configure = configure,
};

static enum err start(struct pci_dev *dev)
{
	const char *name = "8254x";

	for (unsigned i = 0; i < COUNT(models); i++)
		if (models[i].id == dev->id)
			name = models[i].name;
	return gbe_start(dev, &model, name);
}

const struct pci_driver e1000_driver = { .name = "e1000", .ids = ids, .start = start };
