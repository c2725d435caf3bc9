/* SPDX-License-Identifier: MIT */
/*
 * boot/memmap.h - which RAM is free: the boot loader's map minus what is in use.  Pure.
 */
#ifndef BOOT_MEMMAP_H
#define BOOT_MEMMAP_H

#include "boot/mbinfo.h"
#include "lib/types.h"

struct span { uint64_t from, to; };             /* bytes [from, to) */

#define MEMMAP_HOLES_MAX (MBINFO_REGIONS_MAX + MBINFO_MODULES_MAX + 4)

/* What must not be touched; memmap_hole() adds to it, and more than fit are a bug. */
struct memmap { unsigned nholes; struct span hole[MEMMAP_HOLES_MAX]; };

void memmap_hole(struct memmap *m, uint64_t from, uint64_t to);

/*
 * Call `give` for each whole-page piece of available RAM that is in no hole, each page at most once
 * even when the firmware's regions overlap; what a region that is not available covers is not
 * given.
 */
void memmap_each(const struct memmap *m, const struct boot_info *info,
                 void (*give)(void *ctx, struct span), void *ctx);

/* Bytes of available RAM, before holes. */
uint64_t memmap_total(const struct boot_info *info);

#endif
