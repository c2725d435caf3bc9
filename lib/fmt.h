/* SPDX-License-Identifier: MIT */
/*
 * lib/fmt.h - printf-style formatting into a buffer.
 *
 * Conversions: %d %i %u %x %X %o %c %s %p %% with flags "-0 #+", width, precision (also `*`) and
 * the lengths hh h l ll z j t.  No floating point: the host does not touch FPU registers.
 */
#ifndef LIB_FMT_H
#define LIB_FMT_H

#include <stdarg.h>
#include <stddef.h>

/* As snprintf: returns the length the whole text would have; always ends with NUL if size > 0. */
int fmt_format(char *to, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int fmt_vformat(char *to, size_t size, const char *fmt, va_list args);

#endif
