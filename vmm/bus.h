/* SPDX-License-Identifier: MIT */
/*
 * vmm/bus.h - who answers a port or an address.
 *
 * Nobody: reads give all ones, writes vanish, as on a PC.  An access that reaches beyond one device
 * is made byte by byte, each to its owner.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include "lib/config.h"
#include "lib/err.h"
#include "vmm/dev.h"

struct bus_entry { uint64_t base, len; const struct dev_ops *ops; void *dev; };

struct bus {
	unsigned         n[BUS_SPACES];
	struct bus_entry entry[BUS_SPACES][BUS_RANGES_MAX];     /* by base, not overlapping      */
	uint8_t          last[BUS_SPACES];                      /* a guess: who answered last    */
	uint64_t         unclaimed;                             /* accesses nobody answered      */
	/*
	 * VM time, not later than the nearest deadline of any device: an access that brings a
	 * deadline nearer lowers it here, vm_tick() sets it anew.  So nobody asks all devices after
	 * each access.
	 */
	uint64_t         deadline_ns;
};

void     bus_init(struct bus *b);

/* ERR_EXISTS on overlap (names both devices), ERR_NO_MEMORY when full. */
enum err bus_map(struct bus *b, enum bus_space space, uint64_t base, uint64_t len,
                 const struct dev_ops *ops, void *dev);
void     bus_unmap(struct bus *b, enum bus_space space, uint64_t base, void *dev);

uint64_t bus_read(struct bus *b, enum bus_space space, const struct access *a);
void     bus_write(struct bus *b, enum bus_space space, const struct access *a, uint64_t value);

#endif
