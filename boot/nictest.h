/* SPDX-License-Identifier: MIT */
/*
 * boot/nictest.h - what every NIC driver must do, tried on two cards on one wire: test=nics-FRAMES.
 */
#ifndef BOOT_NICTEST_H
#define BOOT_NICTEST_H

#include "lib/err.h"

/* After the NICs are up.  Does nothing unless the command line asks for it. */
enum err nictest_start(void);

#endif
