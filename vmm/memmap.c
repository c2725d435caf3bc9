/* SPDX-License-Identifier: MIT */
/*
 * vmm/memmap.c - what a guest is told about its physical memory.  Used by both loaders.
 */
#include "vmm/memmap.h"

#include "vmm/machine.h"

unsigned memmap_make(const struct mem *m, struct memmap_range out[MEMMAP_MAX])
{
	uint64_t low = memmap_low_ram_end(m);
	unsigned n = 0;

	out[n++] = (struct memmap_range){ 0, MEMMAP_LOW_END, MEMMAP_RAM };
	out[n++] = (struct memmap_range){ MACHINE_ACPI_BASE, MACHINE_ACPI_END - MACHINE_ACPI_BASE,
		                          MEMMAP_RESERVED };
	out[n++] = (struct memmap_range){ MIB, low - MIB, MEMMAP_RAM };
	if (m->ram_bytes > low)
		out[n++] = (struct memmap_range){ 4 * GIB, m->ram_bytes - low, MEMMAP_RAM };
	return n;
}
