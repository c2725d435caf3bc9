/* SPDX-License-Identifier: MIT */
/*
 * drivers/nics.h - every network card driver that we have.
 */
#ifndef DRIVERS_NICS_H
#define DRIVERS_NICS_H

#include "drivers/pci.h"

/* After pci_scan(): start every card that has a driver; they appear in net/nic.h, in PCI order. */
void nics_start(void);

extern const struct pci_driver e1000_driver;            /* 82540EM, 82545EM, 82544GC */
extern const struct pci_driver e1000e_driver;           /* 82574L                    */
extern const struct pci_driver virtio_net_driver;       /* virtio 1.x over PCI       */

#endif
