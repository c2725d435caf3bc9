/* SPDX-License-Identifier: MIT */
/*
 * drivers/nics.c - which drivers there are for network cards; a new one is one line here.
 */
#include "drivers/nics.h"

static const struct pci_driver *const drivers[] = {
	&e1000_driver, &e1000e_driver, &virtio_net_driver,
};

void nics_start(void)
{
	pci_start_drivers(drivers, COUNT(drivers));
}
