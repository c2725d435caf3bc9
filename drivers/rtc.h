/* SPDX-License-Identifier: MIT */
/*
 * drivers/rtc.h - the host's real-time clock (MC146818): what day it is, read once at boot.
 */
#ifndef DRIVERS_RTC_H
#define DRIVERS_RTC_H

#include "lib/types.h"

/* Read the chip; it is taken to run in UTC.  Says so when it gives no sensible time. */
void rtc_init(void);

/* Wall-clock time now in ns since 1970 UTC: the chip's at boot plus what has passed; 0: unknown. */
uint64_t rtc_wall_ns(void);

#endif
