/* SPDX-License-Identifier: MIT */
/*
 * drivers/nics.h - every network card driver that we have.
 */
#ifndef DRIVERS_NICS_H
#define DRIVERS_NICS_H

/* After pci_scan(): start every card that has a driver; they appear in net/nic.h, in PCI order. */
void nics_start(void);

#endif
