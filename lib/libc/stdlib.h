/* SPDX-License-Identifier: MIT */
/* lib/libc/stdlib.h - the little of it that lwIP asks for. */
#ifndef LIBC_STDLIB_H
#define LIBC_STDLIB_H

#include <stddef.h>

int atoi(const char *s);

#endif
