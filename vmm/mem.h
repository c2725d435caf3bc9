/* SPDX-License-Identifier: MIT */
/*
 * vmm/mem.h - a guest's RAM: where it is, and checked copies in and out of it.
 *
 * RAM is made of 2 MiB frames in no particular host order.  Guest-physical layout: RAM from 0 up to
 * MEM_LOW_TOP, the rest from 4 GiB up; between them MMIO.  RAM pages are also numbered without the
 * hole, 0 .. ram_pages - 1: bitmaps and the migration stream use that number (a "page index").
 *
 * Every write of the host into guest RAM goes through this file and marks the page in the software
 * dirty bitmap, because the CPU sets no dirty bit for it.  This is the only such place.
 */
#ifndef VMM_MEM_H
#define VMM_MEM_H

#include "lib/err.h"
#include "lib/types.h"

#define MEM_LOW_TOP     (3 * GIB)

struct stage2;

struct mem {
	uint64_t  ram_bytes;            /* I  multiple of 2 MiB                          */
	uint64_t  ram_pages;            /* I                                             */
	hpa_t    *frame;                /* I  ram_bytes / FRAME_SIZE entries             */
	uint64_t  nframes;              /* I                                             */
	uint64_t *soft_dirty;           /* a  one bit a page index: written by the host  */
	hpa_t     tables;               /* I  first of the frames run that holds the above two */
	unsigned  ntables;              /* I                                             */
};

/*
 * Take frames for `ram_bytes` (rounded up to a frame), zeroed, and map nothing.  All or nothing.
 * Others run meanwhile.
 */
enum err mem_create(struct mem *m, uint64_t ram_bytes);
/*
 * As mem_create(), but in the frames is what others left there: for who writes every byte before
 * the guest, or anybody, reads one.
 */
enum err mem_create_used(struct mem *m, uint64_t ram_bytes);
void     mem_destroy(struct mem *m);

/* Whether [a, a + len) is RAM as a whole; len 0 is asked as len 1. */
bool mem_is_ram(const struct mem *m, gpa_t a, uint64_t len);

/*
 * Copies; ERR_BAD_ARGUMENT (refused, not logged) when not all of it is RAM: then nothing is copied.
 */
enum err mem_read(const struct mem *m, gpa_t from, void *to, uint64_t len);
enum err mem_write(struct mem *m, gpa_t to, const void *from, uint64_t len);
enum err mem_fill(struct mem *m, gpa_t to, uint8_t byte, uint64_t len);

/* As mem_write() and mem_fill() with 0, in steps between which others run: for long ones. */
enum err mem_load(struct mem *m, gpa_t to, const void *from, uint64_t len);
enum err mem_clear(struct mem *m, gpa_t to, uint64_t len);

/*
 * The longest run of host memory that holds guest memory at `a`, up to `len`, for reading without a
 * copy (a frame on its way out).  NULL when `a` is not RAM.  Never kept past the function that
 * asked.
 */
const void *mem_peek(const struct mem *m, gpa_t a, uint64_t len, uint64_t *run);

/* As mem_peek(), for writing: marks every page of the run dirty. */
void *mem_poke(struct mem *m, gpa_t a, uint64_t len, uint64_t *run);

/* Page indices, without the hole. */
uint64_t    mem_index(const struct mem *m, gpa_t a);           /* of RAM; asserts               */
gpa_t       mem_gpa(const struct mem *m, uint64_t index);      /* index < ram_pages; asserts    */
const void *mem_page(const struct mem *m, uint64_t index);     /* the page's bytes              */
enum err    mem_write_page(struct mem *m, uint64_t index,
                           const void *page);   /* bad index: ERR_BAD_FORMAT */

#endif
