/* SPDX-License-Identifier: MIT */
/* lib/libc/limits.h - gcc's own wants to include the system's; this one says it all. */
#ifndef LIBC_LIMITS_H
#define LIBC_LIMITS_H

#define CHAR_BIT   __CHAR_BIT__
#define SCHAR_MAX  __SCHAR_MAX__
#define UCHAR_MAX  (__SCHAR_MAX__ * 2 + 1)
#define SHRT_MAX   __SHRT_MAX__
#define USHRT_MAX  (__SHRT_MAX__ * 2 + 1)
#define INT_MAX    __INT_MAX__
#define INT_MIN    (-__INT_MAX__ - 1)
#define UINT_MAX   (__INT_MAX__ * 2u + 1)
#define LONG_MAX   __LONG_MAX__
#define LONG_MIN   (-__LONG_MAX__ - 1l)
#define ULONG_MAX  (__LONG_MAX__ * 2ul + 1)

#endif
