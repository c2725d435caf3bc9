/* SPDX-License-Identifier: MIT */
/*
 * drivers/screen.c - the screen as the host's console: VGA text or a linear framebuffer.
 *
 * Reading video memory is slow and moving a whole screen is slower, so nothing ever scrolls: text
 * that reaches the bottom goes on at the top, and the line below the newest is kept empty, so that
 * one sees where the end is.  Called as a log sink (lib/log.h), also by a panic: no memory, no
 * clock, no locks.
 */
#include "drivers/screen.h"

#include "drivers/font.h"

#define CELL_WIDTH      8
#define CELL_HEIGHT     16
#define LEFT_MARGIN     (CELL_WIDTH - FONT_COLUMNS - 1)
#define TEXT_ATTRIBUTE  0x0700          /* light grey on black */
#define TAB_COLUMNS     8
#define GREY            0xc0

static struct screen screen;
static uint32_t columns, rows;          /* 0 columns: no screen */
static uint32_t column, row;
static uint32_t ink;                    /* the pixel value of text       */

static uint32_t colour_bits(struct screen_colour c, uint8_t level)
{
	return (uint32_t)(level >> (8 - c.bits)) << c.shift;
}

static uint8_t *pixel_at(uint32_t x, uint32_t y)
{
	return (uint8_t *)screen.base + (uint64_t)y * screen.pitch + x * (screen.bpp / 8u);
}

/* One line of a letter: dots are the bits of `dots`, the leftmost in the highest of CELL_WIDTH. */
static void draw_line(uint8_t *at, uint8_t dots, uint32_t colour)
{
	for (unsigned x = 0; x < CELL_WIDTH; x++, dots = (uint8_t)(dots << 1)) {
		uint32_t value = dots & BIT(CELL_WIDTH - 1) ? colour : 0;
		if (screen.bpp == 32) {
			((volatile uint32_t *)at)[x] = value;
			continue;
		}
		for (unsigned i = 0; i < screen.bpp / 8u; i++, value >>= 8)
			*(volatile uint8_t *)at++ = (uint8_t)value;
	}
}

static void draw_rgb(uint32_t at_column, uint32_t at_row, char c)
{
	const uint8_t *glyph = font[c - FONT_FIRST];
	uint8_t *p = pixel_at(at_column * CELL_WIDTH, at_row * CELL_HEIGHT);

	for (unsigned y = 0; y < CELL_HEIGHT; y++, p += screen.pitch)
		draw_line(p, (uint8_t)(glyph[y * FONT_ROWS / CELL_HEIGHT] << LEFT_MARGIN), ink);
}

static void draw_text(uint32_t at_column, uint32_t at_row, char c)
{
	volatile uint16_t *line = (uint16_t *)(screen.base + (uint64_t)at_row * screen.pitch);

	line[at_column] = (uint16_t)(TEXT_ATTRIBUTE | (uint8_t)c);
}

static void clear_row(uint32_t at_row)
{
	if (screen.kind == SCREEN_TEXT) {
		for (uint32_t x = 0; x < columns; x++)
			draw_text(x, at_row, ' ');
		return;
	}
	for (uint32_t y = 0; y < CELL_HEIGHT; y++) {
		volatile uint32_t *p = (uint32_t *)pixel_at(0, at_row * CELL_HEIGHT + y);
		for (uint32_t i = 0; i < columns * CELL_WIDTH * (screen.bpp / 8u) / sizeof(*p); i++)
			p[i] = 0;
	}
}

static void next_row(void)
{
	column = 0;
	row = (row + 1) % rows;
	clear_row((row + 1) % rows);
}

static void put(char c)
{
	if (c == '\n') {
		next_row();
		return;
	}
	if (c == '\t')
		column += TAB_COLUMNS - column % TAB_COLUMNS - 1;
	if (column >= columns)
		next_row();
	if (c < FONT_FIRST || c > FONT_LAST)
		c = c == '\t' ? ' ' : '?';
	if (screen.kind == SCREEN_TEXT)
		draw_text(column, row, c);
	else
		draw_rgb(column, row, c);
	column++;
}

bool screen_init(const struct screen *s, uint64_t mapped_end)
{
	uint64_t end;

	if (s->kind == SCREEN_NONE ||
	    __builtin_add_overflow(s->base, (uint64_t)s->pitch * s->height, &end) ||
	    end > mapped_end)
		return false;
	screen = *s;
	columns = s->kind == SCREEN_TEXT ? s->width : s->width / CELL_WIDTH;
	rows = s->kind == SCREEN_TEXT ? s->height : s->height / CELL_HEIGHT;
	if (!columns || rows < 2) {
		columns = 0;
		return false;
	}
	ink = colour_bits(s->red, GREY) | colour_bits(s->green, GREY) | colour_bits(s->blue, GREY);
	for (uint32_t r = 0; r < rows; r++)
		clear_row(r);
	return true;
}

void screen_write(const char *text, size_t len)
{
	for (size_t i = 0; columns && i < len; i++)
		put(text[i]);
}
