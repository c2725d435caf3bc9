/* SPDX-License-Identifier: MIT */
/*
 * vmm/image.h - payloads by name: kernels, initrds, multiboot files; from boot modules or uploads.
 */
#ifndef VMM_IMAGE_H
#define VMM_IMAGE_H

#include "lib/config.h"
#include "lib/err.h"
#include "lib/types.h"

struct image { char name[IMAGE_NAME_MAX]; const uint8_t *data; uint64_t size; bool uploaded; };

/* A boot module, borrowed for ever. */
enum err image_add(const char *name, const void *data, uint64_t size);

/*
 * An upload of exactly `size` bytes: begin reserves host memory, write appends, end publishes it
 * (replacing an image of that name), abort leaves nothing.
 */
struct image_upload;
enum err image_upload_begin(const char *name, uint64_t size, struct image_upload **out);
/* More than announced: ERR_BAD_ARGUMENT. */
enum err image_upload_write(struct image_upload *u, const void *data, uint64_t len);
/* Less than announced: refused, and aborted. */
enum err image_upload_end(struct image_upload *u);
void     image_upload_abort(struct image_upload *u);

/*
 * Between hold and let_go what image_find() gave stays where it is, also while others run: to
 * delete or replace an image is refused with ERR_BUSY.
 */
void     image_hold(void);
void     image_let_go(void);

const struct image *image_find(const char *name);       /* NULL: none */
const struct image *image_at(unsigned i);               /* i < IMAGES_MAX; NULL: empty slot */
enum err image_delete(const char *name);                /* boot modules stay: ERR_BUSY */

#endif
