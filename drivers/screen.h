/* SPDX-License-Identifier: MIT */
/*
 * drivers/screen.h - the screen as the host's console: VGA text or a linear framebuffer; output
 * only.
 */
#ifndef DRIVERS_SCREEN_H
#define DRIVERS_SCREEN_H

#include "lib/types.h"

/*
 * Where the screen is.  RGB: bits of a pixel are `bits` wide from `shift` on.  TEXT: width and
 * height count characters.
 */
enum screen_kind { SCREEN_NONE, SCREEN_TEXT, SCREEN_RGB };
struct screen_colour { uint8_t shift, bits; };
struct screen {
	enum screen_kind kind;
	uint64_t base;                          /* physical                   */
	uint32_t pitch, width, height;          /* pitch: bytes in a line     */
	uint8_t  bpp;                           /* bits of a pixel: 16, 24, 32 */
	struct screen_colour red, green, blue;
};

/* Clear it.  False: there is none that we can write to, or it does not end by `mapped_end`. */
bool screen_init(const struct screen *s, uint64_t mapped_end);

/* A log sink. */
void screen_write(const char *text, size_t len);

#endif
