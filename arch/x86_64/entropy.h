/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/entropy.h - where random numbers begin.
 */
#ifndef ARCH_X86_64_ENTROPY_H
#define ARCH_X86_64_ENTROPY_H

#include "lib/err.h"

/* Stir RDSEED or RDRAND, and always the TSC, into lib/random.h; says which.  Never fails. */
enum err entropy_init(void);

#endif
