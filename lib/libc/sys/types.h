/* SPDX-License-Identifier: MIT */
/* lib/libc/sys/types.h - for picohttpparser, which returns a signed size. */
#ifndef LIBC_SYS_TYPES_H
#define LIBC_SYS_TYPES_H

#include <stddef.h>

typedef __PTRDIFF_TYPE__ ssize_t;

#endif
