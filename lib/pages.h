/* SPDX-License-Identifier: MIT */
/*
 * lib/pages.h - host memory: 4 KiB pages for us, 2 MiB frames for guests.
 *
 * Owns all RAM that the boot loader left free.  Frames come from the regions given at boot; pages
 * come from frames broken up on demand and are joined again when all 512 are free.
 *
 * To zero frames takes time: from a task, others run meanwhile (task_breathe()).
 */
#ifndef LIB_PAGES_H
#define LIB_PAGES_H

#include "lib/err.h"
#include "lib/types.h"

struct pages_stats {
	uint64_t frames_total, frames_free;     /* 2 MiB each                                 */
	uint64_t pages_used;                    /* 4 KiB pages handed out to the hypervisor   */
	uint64_t bytes_guest;                   /* handed out as frames                       */
};

/* Give the allocator [base, base + len); called at boot, once a region, any alignment. */
void pages_add_region(hpa_t base, uint64_t len);

/* One zeroed page; ERR_NO_MEMORY when none is left.  page_free() takes it back. */
enum err page_alloc(hpa_t *out);
void     page_free(hpa_t page);

/* One frame, 2 MiB aligned, zeroed. */
enum err frame_alloc(hpa_t *out);
/* As frame_alloc(), with whatever is in it: for who writes all that will be read. */
enum err frame_alloc_used(hpa_t *out);
void     frame_free(hpa_t frame);

/* `n` frames in one piece (staging of images, large pools); counted as the hypervisor's own. */
enum err frames_alloc_run(unsigned n, hpa_t *out);
void     frames_free_run(hpa_t first, unsigned n);
/* As frames_alloc_run(), with whatever is in them: for who writes all that will be read. */
enum err frames_alloc_used(unsigned n, hpa_t *out);

struct pages_stats pages_stats(void);

#endif
