/* SPDX-License-Identifier: MIT */
/*
 * boot/mbinfo.c - multiboot2 tags (bytes) to struct boot_info.
 *
 * Every tag is {u32 type, u32 size, body}, padded to 8 bytes.  A tag that we know and that is too
 * short, or names an impossible range, is an error; one that we do not know is skipped.
 * (Multiboot2 Specification 2.0, "Boot information format")  Called by boot/main.c.
 */
#include "boot/mbinfo.h"

#include <string.h>

#define INFO_HEADER_LEN 8
#define TAG_HEADER_LEN  8
#define TAG_ALIGN       8

enum tag_type {
	TAG_END = 0, TAG_CMDLINE = 1, TAG_LOADER = 2, TAG_MODULE = 3, TAG_MEMORY_MAP = 6,
	TAG_FRAMEBUFFER = 8, TAG_EFI32 = 11, TAG_EFI64 = 12, TAG_RSDP_V1 = 14, TAG_RSDP_V2 = 15,
	TAG_EFI_MAP = 17,
};

/* Offsets from the beginning of a tag, or of an entry of the memory map. */
enum { MODULE_START = 8, MODULE_END = 12, MODULE_STRING = 16 };
enum { MAP_ENTRY_SIZE = 8, MAP_ENTRIES = 16 };
enum { MAP_BASE = 0, MAP_LEN = 8, MAP_TYPE = 16, MAP_ENTRY_MIN = 24 };
enum { FB_BASE = 8, FB_PITCH = 16, FB_WIDTH = 20, FB_HEIGHT = 24, FB_BPP = 28, FB_TYPE = 29 };
enum { FB_COLOURS = 32, FB_RGB_END = 38 };

#define MAP_AVAILABLE   1
#define FB_RGB          1
#define FB_TEXT         2
#define SCREEN_SIDE_MAX 16384           /* pixels; more is a damaged tag */

struct tag { uint32_t type, size; const uint8_t *p; };

static uint32_t u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static uint64_t u64(const uint8_t *p) { return u32(p) | (uint64_t)u32(p + 4) << 32; }

uint32_t mbinfo_claimed_len(const void *bytes)
{
	return u32(bytes);
}

/* A NUL-terminated string from offset `at` to the end of the tag. */
static enum err copy_string(const struct tag *t, size_t at, char *to, size_t size, const char *what)
{
	size_t room = t->size - at, len = strnlen((const char *)t->p + at, room);

	if (len == room)
		return fail(ERR_BAD_FORMAT, "boot information: the %s does not end", what);
	if (len >= size)
		return fail(ERR_BAD_FORMAT, "boot information: the %s is longer than %zu bytes",
		            what, size - 1);
	memcpy(to, t->p + at, len + 1);
	return OK;
}

static enum err on_cmdline(const struct tag *t, struct boot_info *out)
{
	return copy_string(t, TAG_HEADER_LEN, out->cmdline, sizeof(out->cmdline), "command line");
}

/* Only for people: a strange name of the loader is no reason to stop. */
static enum err on_loader(const struct tag *t, struct boot_info *out)
{
	size_t len = strnlen((const char *)t->p + TAG_HEADER_LEN, t->size - TAG_HEADER_LEN);

	len = MIN(len, sizeof(out->loader) - 1);
	memcpy(out->loader, t->p + TAG_HEADER_LEN, len);
	out->loader[len] = '\0';
	return OK;
}

static enum err on_module(const struct tag *t, struct boot_info *out)
{
	if (out->nmodules == MBINFO_MODULES_MAX)
		return fail(ERR_BAD_FORMAT, "boot information: more than %d modules",
		            MBINFO_MODULES_MAX);
	struct mb_module *m = &out->module[out->nmodules];
	m->start = u32(t->p + MODULE_START);
	m->end = u32(t->p + MODULE_END);
	if (m->end < m->start)
		return fail(ERR_BAD_FORMAT, "boot information: module %u ends before it starts",
		            out->nmodules);
	out->nmodules++;
	return copy_string(t, MODULE_STRING, m->string, sizeof(m->string), "text of a module");
}

static enum err on_memory_map(const struct tag *t, struct boot_info *out)
{
	uint32_t entry_size = u32(t->p + MAP_ENTRY_SIZE);

	if (entry_size < MAP_ENTRY_MIN || entry_size % TAG_ALIGN)
		return fail(ERR_BAD_FORMAT, "boot information: memory map entries of %u bytes",
		            entry_size);
	for (size_t at = MAP_ENTRIES; entry_size <= t->size - at; at += entry_size) {
		const uint8_t *e = t->p + at;
		struct mb_region r = { u64(e + MAP_BASE), u64(e + MAP_LEN),
			               u32(e + MAP_TYPE) == MAP_AVAILABLE };
		if (!r.len)
			continue;
		if (r.base + r.len < r.base)
			return fail(ERR_BAD_FORMAT, "boot information: memory at 0x%lx never ends",
			            (unsigned long)r.base);
		if (out->nregions == MBINFO_REGIONS_MAX)
			return fail(ERR_BAD_FORMAT, "boot information: more than %d memory regions",
			            MBINFO_REGIONS_MAX);
		out->region[out->nregions++] = r;
	}
	return OK;
}

/* A colour must lie within the pixel and have at most eight bits. */
static bool good_colour(struct screen_colour c, uint8_t bpp)
{
	return c.bits && c.bits <= 8 && c.shift + c.bits <= bpp;
}

static bool good_screen(const struct screen *s)
{
	if (!s->width || !s->height || s->width > SCREEN_SIDE_MAX || s->height > SCREEN_SIDE_MAX)
		return false;
	if (s->bpp % 8 || s->bpp < 16 || s->bpp > 32)
		return false;
	return s->pitch >= s->width * (s->bpp / 8u) && s->pitch <= SCREEN_SIDE_MAX * 4;
}

/* A screen that we cannot use is no screen; the serial line remains. */
static enum err on_framebuffer(const struct tag *t, struct boot_info *out)
{
	struct screen s = {
		.base = u64(t->p + FB_BASE), .pitch = u32(t->p + FB_PITCH), .bpp = t->p[FB_BPP],
		.width = u32(t->p + FB_WIDTH), .height = u32(t->p + FB_HEIGHT),
	};

	if (!good_screen(&s))
		return OK;
	if (t->p[FB_TYPE] == FB_TEXT && s.bpp == 16) {
		s.kind = SCREEN_TEXT;
	} else if (t->p[FB_TYPE] == FB_RGB && t->size >= FB_RGB_END) {
		const uint8_t *c = t->p + FB_COLOURS;
		s.kind = SCREEN_RGB;
		s.red = (struct screen_colour){ c[0], c[1] };
		s.green = (struct screen_colour){ c[2], c[3] };
		s.blue = (struct screen_colour){ c[4], c[5] };
		if (!good_colour(s.red, s.bpp) || !good_colour(s.green, s.bpp) ||
		    !good_colour(s.blue, s.bpp))
			return OK;
	} else {
		return OK;
	}
	out->screen = s;
	return OK;
}

static enum err on_rsdp(const struct tag *t, struct boot_info *out)
{
	size_t len = MIN(t->size - TAG_HEADER_LEN, sizeof(out->rsdp));

	if (len > out->rsdp_len) {      /* the newer one is longer and says more */
		memcpy(out->rsdp, t->p + TAG_HEADER_LEN, len);
		out->rsdp_len = len;
	}
	return OK;
}

static enum err on_efi(const struct tag *t, struct boot_info *out)
{
	(void)t;
	out->efi = true;
	return OK;
}

static const struct {
	enum tag_type type;
	uint32_t      size_min;
	const char   *name;
	enum err    (*take)(const struct tag *, struct boot_info *);
} tags[] = {
	{ TAG_CMDLINE, TAG_HEADER_LEN + 1, "command line", on_cmdline },
	{ TAG_LOADER, TAG_HEADER_LEN + 1, "boot loader name", on_loader },
	{ TAG_MODULE, MODULE_STRING + 1, "module", on_module },
	{ TAG_MEMORY_MAP, MAP_ENTRIES, "memory map", on_memory_map },
	{ TAG_FRAMEBUFFER, FB_COLOURS, "framebuffer", on_framebuffer },
	{ TAG_EFI32, TAG_HEADER_LEN, "EFI", on_efi },
	{ TAG_EFI64, TAG_HEADER_LEN, "EFI", on_efi },
	{ TAG_EFI_MAP, TAG_HEADER_LEN, "EFI", on_efi },
	{ TAG_RSDP_V1, TAG_HEADER_LEN, "ACPI", on_rsdp },
	{ TAG_RSDP_V2, TAG_HEADER_LEN, "ACPI", on_rsdp },
};

static enum err take_tag(const struct tag *t, struct boot_info *out)
{
	for (unsigned i = 0; i < COUNT(tags); i++) {
		if (tags[i].type != t->type)
			continue;
		if (t->size < tags[i].size_min)
			return fail(ERR_BAD_FORMAT,
			            "boot information: the %s tag has only %u bytes", tags[i].name,
			            t->size);
		return tags[i].take(t, out);
	}
	return OK;
}

enum err mbinfo_parse(const void *bytes, size_t len, struct boot_info *out)
{
	memset(out, 0, sizeof(*out));
	if (len < INFO_HEADER_LEN + TAG_HEADER_LEN || len > MBINFO_BYTES_MAX ||
	    mbinfo_claimed_len(bytes) != len)
		return fail(ERR_BAD_FORMAT, "boot information: it claims a length of %zu bytes",
		            len);
	for (size_t at = INFO_HEADER_LEN; at + TAG_HEADER_LEN <= len;) {
		struct tag t = { .p = (const uint8_t *)bytes + at };
		t.type = u32(t.p);
		t.size = u32(t.p + 4);
		if (t.type == TAG_END)
			return OK;
		if (t.size < TAG_HEADER_LEN || t.size > len - at)
			return fail(ERR_BAD_FORMAT,
			            "boot information: tag %u at offset %zu claims %u bytes",
			            t.type, at, t.size);
		enum err e = take_tag(&t, out);
		if (e != OK)
			return e;
		at += ALIGN_UP(t.size, TAG_ALIGN);
	}
	return fail(ERR_BAD_FORMAT, "boot information: it has no end tag");
}
