/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/msix.h - the MSI-X table and pending bits of a PCI function (PCI Local Bus 3.0, "MSI-X
 * Capability and Table Structures").
 */
#ifndef VMM_DEV_MSIX_H
#define VMM_DEV_MSIX_H

#include "vmm/dev.h"

#define MSIX_VECTORS_MAX   4
#define MSIX_PBA_OFFSET    0x800u       /* in the same BAR as the table   */
#define MSIX_BAR_SIZE      0x1000u

struct msix {
	uint64_t address[MSIX_VECTORS_MAX];
	uint32_t data[MSIX_VECTORS_MAX];
	uint32_t control[MSIX_VECTORS_MAX];     /* bit 0: masked                              */
	uint32_t pending;                       /* bit n: vector n fired while masked         */
	bool     enabled, masked;               /* derived: message control of the capability */
	uint8_t  nvectors;                      /* derived: fixed at create                   */
	struct msg_wire out;                    /* derived                                    */
};

#define MSIX_FIELDS(type, m)                                                               \
	FIELDS(type, m.address), FIELDS(type, m.data), FIELDS(type, m.control),            \
	FIELD(type, m.pending)

void     msix_init(struct msix *m, unsigned nvectors, struct msg_wire out);
void     msix_reset(struct msix *m);

/* The BAR: entries of 16 bytes, then the pending bits.  Accesses of 4 or 8 bytes, aligned. */
uint64_t msix_read(const struct msix *m, uint64_t offset, unsigned size);
void     msix_write(struct msix *m, uint64_t offset, unsigned size, uint64_t value);

/* Message control of the capability was written: vectors that waited are sent. */
void     msix_control(struct msix *m, bool enabled, bool masked);

/* Vector n fires: sent, or kept as pending while masked.  Ignored when n is not a vector. */
void     msix_fire(struct msix *m, unsigned n);

enum err msix_check(const struct msix *m);

#endif
