/* SPDX-License-Identifier: MIT */
/*
 * boot/shutdown.h - this host restarts or switches itself off, on request.
 */
#ifndef BOOT_SHUTDOWN_H
#define BOOT_SHUTDOWN_H

#include "lib/err.h"
#include "lib/types.h"

enum shutdown_kind { SHUTDOWN_REBOOT, SHUTDOWN_POWEROFF };

/*
 * Begin: the machine goes as soon as the answer to the request has had time to leave.  Without
 * `force` ERR_BUSY while guests are here that would be lost, naming one.
 */
enum err shutdown_begin(enum shutdown_kind kind, bool force);

#endif
