/* SPDX-License-Identifier: MIT */
/*
 * net/endpoint.h - "10.77.0.12:7700" and its relatives, as a host and a port.
 */
#ifndef NET_ENDPOINT_H
#define NET_ENDPOINT_H

#include "lib/err.h"
#include "lib/types.h"

#define ENDPOINT_HOST_MAX 48            /* an IPv6 address in full, with the NUL */

struct endpoint { char host[ENDPOINT_HOST_MAX]; uint16_t port; };

/*
 * "10.77.0.12", "10.77.0.12:7700", "fe80::1", "[fe80::1]" or "[fe80::1]:7700"; without a port it is
 * `default_port`.  Splits only: whether the host is an address is for lwIP to say.
 * ERR_BAD_ARGUMENT (refused) says what is wrong.
 */
enum err endpoint_parse(const char *where, uint16_t default_port, struct endpoint *out);

#endif
