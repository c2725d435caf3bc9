/* SPDX-License-Identifier: MIT */
/* lib/libc/assert.h - third-party code's assertions end like ours. */
#ifndef LIBC_ASSERT_H
#define LIBC_ASSERT_H

#include "lib/log.h"

#define assert(cond) ASSERT(cond)

#endif
