/* SPDX-License-Identifier: MIT */
/*
 * vmm/image.c - payloads by name.
 *
 * Owns the memory of uploads (whole frames); boot modules are borrowed where GRUB put them.  An
 * upload is invisible until its last byte is there.  While a guest is being loaded, which lets
 * others run, no memory of an image goes away: image_hold().
 */
#include "vmm/image.h"

#include <string.h>

#include "lib/log.h"
#include "lib/pages.h"

#define UPLOADS_MAX 4                           /* under way at once */

struct image_upload { bool used; struct image image; uint64_t got; };

static struct image images[IMAGES_MAX];
static struct image_upload uploads[UPLOADS_MAX];
static unsigned holders;

void image_hold(void)
{
	holders++;
}

void image_let_go(void)
{
	ASSERT(holders > 0);
	holders--;
}

static enum err refuse_held(const char *name)
{
	return refuse(ERR_BUSY, "image \"%s\" may be in use: a guest is being loaded", name);
}

static unsigned frames_of(uint64_t size)
{
	return (unsigned)((size + FRAME_SIZE - 1) / FRAME_SIZE);
}

static enum err check_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= IMAGE_NAME_MAX)
		return refuse(ERR_BAD_ARGUMENT, "an image's name has 1 to %d characters",
		              IMAGE_NAME_MAX - 1);
	for (const char *c = name; *c; c++) {
		bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		            (*c >= '0' && *c <= '9') || *c == '.' || *c == '-' || *c == '_' ||
		            *c == '+';
		if (!good)
			return refuse(
				ERR_BAD_ARGUMENT,
				"image name \"%s\": only letters, digits and . - _ + are allowed",
				name);
	}
	return OK;
}

static struct image *slot_of(const char *name)
{
	for (struct image *i = images; i < images + IMAGES_MAX; i++)
		if (i->data && !strcmp(i->name, name))
			return i;
	return NULL;
}

static struct image *free_slot(void)
{
	for (struct image *i = images; i < images + IMAGES_MAX; i++)
		if (!i->data)
			return i;
	return NULL;
}

static void release(struct image *i)
{
	if (i->uploaded)
		frames_free_run(ptr_hpa(i->data), frames_of(i->size));
	memset(i, 0, sizeof(*i));
}

enum err image_add(const char *name, const void *data, uint64_t size)
{
	enum err e = check_name(name);

	if (e != OK)
		return e;
	if (slot_of(name))
		return refuse(ERR_EXISTS, "there is already an image \"%s\"", name);
	struct image *slot = free_slot();
	if (!slot)
		return refuse(ERR_NO_MEMORY, "there are already %d images", IMAGES_MAX);
	*slot = (struct image){ .data = data, .size = size };
	strcpy(slot->name, name);
	return OK;
}

enum err image_upload_begin(const char *name, uint64_t size, struct image_upload **out)
{
	struct image_upload *u = uploads;
	hpa_t memory;
	enum err e = check_name(name);

	if (e != OK)
		return e;
	if (size == 0 || size > VM_RAM_MAX_BYTES)
		return refuse(ERR_BAD_ARGUMENT, "image \"%s\" cannot have %lu bytes", name, size);
	if (!slot_of(name) && !free_slot())
		return refuse(ERR_NO_MEMORY, "there are already %d images", IMAGES_MAX);
	while (u < uploads + UPLOADS_MAX && u->used)
		u++;
	if (u == uploads + UPLOADS_MAX)
		return refuse(ERR_BUSY, "%d uploads are already under way", UPLOADS_MAX);
	e = frames_alloc_used(frames_of(size), &memory);        /* each byte will be written */
	if (e != OK)
		return e;
	*u = (struct image_upload){
		.used = true, .image = { .data = hpa_ptr(memory), .size = size, .uploaded = true }
	};
	strcpy(u->image.name, name);
	*out = u;
	return OK;
}

enum err image_upload_write(struct image_upload *u, const void *data, uint64_t len)
{
	if (len > u->image.size - u->got)
		return refuse(ERR_BAD_ARGUMENT, "image \"%s\": more than the %lu bytes announced",
		              u->image.name, u->image.size);
	memcpy(hpa_ptr(hpa(ptr_hpa(u->image.data).v + u->got)), data, len);
	u->got += len;
	return OK;
}

enum err image_upload_end(struct image_upload *u)
{
	if (u->got < u->image.size) {
		enum err e = refuse(ERR_BAD_ARGUMENT, "image \"%s\": only %lu of %lu bytes came",
		                    u->image.name, u->got, u->image.size);
		image_upload_abort(u);
		return e;
	}
	struct image *slot = slot_of(u->image.name);
	if (slot && holders) {
		enum err e = refuse_held(u->image.name);
		image_upload_abort(u);
		return e;
	}
	if (slot)
		release(slot);
	else
		slot = free_slot();
	if (!slot) {                                    /* others took the last ones meanwhile */
		image_upload_abort(u);
		return refuse(ERR_NO_MEMORY, "there are already %d images", IMAGES_MAX);
	}
	*slot = u->image;
	memset(u, 0, sizeof(*u));
	return OK;
}

void image_upload_abort(struct image_upload *u)
{
	release(&u->image);
	memset(u, 0, sizeof(*u));
}

const struct image *image_find(const char *name)
{
	return slot_of(name);
}

const struct image *image_at(unsigned i)
{
	return i < IMAGES_MAX && images[i].data ? &images[i] : NULL;
}

enum err image_delete(const char *name)
{
	struct image *i = slot_of(name);

	if (!i)
		return refuse(ERR_NOT_FOUND, "there is no image \"%s\"", name);
	if (!i->uploaded)
		return refuse(ERR_BUSY, "image \"%s\" is a boot module and stays", name);
	if (holders)
		return refuse_held(name);
	release(i);
	return OK;
}
