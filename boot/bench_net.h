/* SPDX-License-Identifier: MIT */
/*
 * boot/bench_net.h - frames and TCP measured against each other, with test=net-NUMBER.
 */
#ifndef BOOT_BENCH_NET_H
#define BOOT_BENCH_NET_H

#include "lib/err.h"

/* After the network is up.  Does nothing unless the command line asks for it. */
enum err bench_net_start(void);

#endif
