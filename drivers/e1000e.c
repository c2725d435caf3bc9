/* SPDX-License-Identifier: MIT */
/*
 * drivers/e1000e.c - Intel's 82574L, the first of the family's PCI Express cards that is common.
 *
 * Its rings are the older cards' (drivers/gbe.c); reset, EEPROM and a few bits are its own.  It
 * interrupts by MSI where it may: that keeps the meaning of ICR and IMS, which MSI-X would change.
 * "82574 GbE Controller Family Datasheet" (docs/references.md).  Started by drivers/nics.c.
 */
#include "drivers/gbe.h"

#include "drivers/nics.h"
#include "lib/log.h"

#define MODEL_82574L        PCI_ID(0x8086, 0x10d3)

#define MASTER_MAX_NS       (10 * NS_PER_MS)
#define AUTO_READ_MAX_NS    (20 * NS_PER_MS)

static const uint32_t ids[] = { MODEL_82574L, 0 };

/*
 * "Software Reset": requests on their way over PCI Express are waited for first; afterwards the
 * card reads its EEPROM by itself.
 */
static enum err reset(struct gbe *c)
{
	gbe_quiet(c);
	gbe_write(c, GBE_CTRL, gbe_read(c, GBE_CTRL) | CTRL_MASTER_OFF);
	if (!gbe_wait(c, GBE_STATUS, STATUS_MASTER, 0, MASTER_MAX_NS))
		log_line("e1000e: %s: requests are still on their way; reset all the same",
			 c->nic.where);
	enum err e = gbe_reset(c);

	if (e == OK && !gbe_wait(c, GBE_EECD, EECD_AUTO_READ, EECD_AUTO_READ, AUTO_READ_MAX_NS))
		return fail(ERR_TIMEOUT, "e1000e: %s does not read its EEPROM", c->nic.where);
	return e;
}

static void configure(struct gbe *c)
{
	/* Requests may go out again; firmware keeps its hands off. */
	gbe_write(c, GBE_CTRL, gbe_read(c, GBE_CTRL) & ~CTRL_MASTER_OFF);
	gbe_write(c, GBE_CTRL_EXT, gbe_read(c, GBE_CTRL_EXT) | CTRL_EXT_DRV_LOAD);
	gbe_write(c, GBE_GCR, gbe_read(c, GBE_GCR) | GCR_ALWAYS_1);
	gbe_write(c, GBE_TXDCTL, gbe_read(c, GBE_TXDCTL) | TXDCTL_ALWAYS_1);
	/* Receive descriptors of the legacy form, one queue. */
	gbe_write(c, GBE_RFCTL, gbe_read(c, GBE_RFCTL) & ~RFCTL_EXTENDED);
	gbe_write(c, GBE_MRQC, 0);
}

static const struct gbe_model model = {
	.driver = "e1000e", .eerd_done = BIT(1), .eerd_addr = MASK(15, 2),
	.reset = reset, .configure = configure,
};

static enum err start(struct pci_dev *dev)
{
	return gbe_start(dev, &model, "82574L");
}

const struct pci_driver e1000e_driver = { .name = "e1000e", .ids = ids, .start = start };
