/* SPDX-License-Identifier: MIT */
/*
 * boot/memory.c - host memory: what the page allocator gets, and what the page tables map.
 *
 * Not given away: the first MiB (firmware, VGA, other CPUs' first steps), our image, the boot
 * modules.  The map with which we start covers 4 GiB only, so RAM above that is given after the
 * final tables are loaded.  Two steps of the boot list (boot/main.c).
 */
#include "boot/boot.h"

#include "arch/x86_64/image.h"
#include "arch/x86_64/paging.h"
#include "boot/memmap.h"
#include "lib/log.h"
#include "lib/pages.h"

#define LOW_END         MIB
#define FIRMWARE_END    0x8000          /* interrupt vectors and data of a BIOS */
#define VGA_FROM        0xa0000
#define VGA_TO          0xc0000

static struct memmap in_use;            /* what nobody may be given */

static void give_pages(void *ctx, struct span s)
{
	(void)ctx;
	pages_add_region(hpa(s.from), s.to - s.from);
}

static void give_except(uint64_t from, uint64_t to)
{
	static struct memmap m;

	m = in_use;
	memmap_hole(&m, from, to);
	memmap_each(&m, &boot_info, give_pages, NULL);
}

static void note_last_page(void *ctx, struct span s)
{
	hpa_t *page = ctx;

	page->v = MAX(page->v, s.to - PAGE_SIZE);
}

hpa_t memory_low_page(void)
{
	static struct memmap m;
	hpa_t page = hpa(0);

	memmap_hole(&m, 0, FIRMWARE_END);
	memmap_hole(&m, VGA_FROM, UINT64_MAX);
	for (unsigned i = 0; i < boot_info.nmodules; i++)
		memmap_hole(&m, boot_info.module[i].start, boot_info.module[i].end);
	memmap_each(&m, &boot_info, note_last_page, &page);
	return page;
}

uint64_t boot_image_bytes(void)
{
	return (uint64_t)(__image_end - __image_start);
}

enum err memory_init(void)
{
	uint64_t total = memmap_total(&boot_info);

	if (total < HOST_RAM_MIN_BYTES)
		return fail(ERR_NO_MEMORY,
		            "this machine has %llu MiB of memory; at least %llu MiB are needed",
		            total / MIB, HOST_RAM_MIN_BYTES / MIB);
	memmap_hole(&in_use, 0, LOW_END);
	memmap_hole(&in_use, (uintptr_t)__image_start, (uintptr_t)__image_end);
	for (unsigned i = 0; i < boot_info.nmodules; i++)
		memmap_hole(&in_use, boot_info.module[i].start, boot_info.module[i].end);
	give_except(EARLY_END, UINT64_MAX);
	log_line("memory: %llu MiB, of which the hypervisor's image takes %llu KiB at 0x%lx",
	         total / MIB, boot_image_bytes() / KIB, (uintptr_t)__image_start);
	return OK;
}

static void map_ram(void *ctx, struct span s)
{
	enum err *e = ctx;

	if (*e == OK)
		*e = paging_map(hpa(s.from), s.to - s.from, MAP_WRITE);
}

/* RAM with modules; our image is mapped already, the first MiB is mapped by hand. */
static enum err map_all(void)
{
	static struct memmap m;
	const struct screen *s = &boot_info.screen;
	enum err e = OK;

	memmap_hole(&m, 0, LOW_END);
	memmap_hole(&m, (uintptr_t)__image_start, (uintptr_t)__image_end);
	memmap_each(&m, &boot_info, map_ram, &e);
	if (e == OK)
		e = paging_map(hpa(PAGE_SIZE), VGA_FROM - PAGE_SIZE, MAP_WRITE);
	if (e == OK)
		e = paging_map(hpa(VGA_FROM), VGA_TO - VGA_FROM, MAP_WRITE | MAP_DEVICE);
	if (e == OK)
		e = paging_map(hpa(VGA_TO), LOW_END - VGA_TO, 0);
	if (e == OK && s->kind == SCREEN_RGB)
		e = paging_map(hpa(s->base), (uint64_t)s->pitch * s->height,
		               MAP_WRITE | MAP_COMBINE);
	return e;
}

enum err memory_map(void)
{
	enum err e = paging_init();

	if (e == OK)
		e = map_all();
	if (e != OK)
		return e;
	paging_enable();
	give_except(0, EARLY_END);
	log_line("memory: mapped one to one, W^X, with %llu KiB of page tables",
	         paging_table_pages() * PAGE_SIZE / KIB);
	return OK;
}
