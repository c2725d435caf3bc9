/* SPDX-License-Identifier: MIT */
/*
 * drivers/font.h - the letters of the framebuffer console.
 */
#ifndef DRIVERS_FONT_H
#define DRIVERS_FONT_H

#include <stdint.h>

#define FONT_FIRST      ' '
#define FONT_LAST       '~'
#define FONT_ROWS       8
#define FONT_COLUMNS    5

extern const uint8_t font[FONT_LAST - FONT_FIRST + 1][FONT_ROWS];

#endif
