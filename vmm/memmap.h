/* SPDX-License-Identifier: MIT */
/*
 * vmm/memmap.h - what a guest is told about its physical memory (ACPI, "System Address Map
 * Interfaces").
 */
#ifndef VMM_MEMMAP_H
#define VMM_MEMMAP_H

#include "vmm/mem.h"

#define MEMMAP_RAM       1
#define MEMMAP_RESERVED  2
#define MEMMAP_MAX       4
#define MEMMAP_LOW_END   0x9fc00ull     /* conventional memory ends where a PC's EBDA begins */

struct memmap_range { uint64_t base, len; uint32_t type; };

/* Fills `out`, in order of address; returns how many. */
unsigned memmap_make(const struct mem *m, struct memmap_range out[MEMMAP_MAX]);

/* End of the RAM that lies below 4 GiB. */
static inline uint64_t memmap_low_ram_end(const struct mem *m)
{
	return MIN(m->ram_bytes, MEM_LOW_TOP);
}

#endif
