/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/paging.h - the host's own page tables: one to one, W^X.
 */
#ifndef ARCH_X86_64_PAGING_H
#define ARCH_X86_64_PAGING_H

#include "lib/err.h"
#include "lib/types.h"

/* What a mapping allows; reading always is.  WRITE and EXEC together are a bug of the caller. */
#define MAP_WRITE       BIT(0)
#define MAP_EXEC        BIT(1)
#define MAP_DEVICE      BIT(2)          /* uncached: registers                          */
#define MAP_COMBINE     BIT(3)          /* write-combining: a framebuffer               */

/*
 * Build the tables: the image with the rights of each part, and nothing else; then paging_map() the
 * RAM and load them with paging_enable().  Table pages come from the page allocator.
 */
enum err paging_init(void);
enum err paging_map(hpa_t base, uint64_t len, uint64_t rights);
void     paging_enable(void);

/* Take the 4 KiB page at `page` out of the map: touching it is a page fault. */
enum err paging_guard(const void *page);

/* Device registers, uncached; the pointer stays valid for ever.  NULL: no memory, with fail(). */
volatile void *paging_map_device(hpa_t base, uint64_t len);

/* True when all of [base, base + len) can be read. */
bool paging_readable(hpa_t base, uint64_t len);

/*
 * From here on other CPUs use the tables as well.  What is mapped stays as it is, because nothing
 * would make their TLBs forget it; mapping what was absent is allowed (SDM vol. 3, "Details of TLB
 * Use": what is not present is not cached).
 */
void paging_freeze(void);

/* 4 KiB pages spent on tables. */
uint64_t paging_table_pages(void);

#endif
