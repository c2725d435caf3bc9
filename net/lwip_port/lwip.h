/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/lwip.h - lwIP's raw API in one include, for our own files.
 *
 * Both worlds have an ERR_TIMEOUT; callers of the raw API never see lwIP's, so that one gives way.
 */
#ifndef LWIP_PORT_LWIP_H
#define LWIP_PORT_LWIP_H

#define ERR_TIMEOUT LWIP_ERR_TIMEOUT
#include "lwip/err.h"
#undef ERR_TIMEOUT

#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/init.h"
#include "lwip/ip_addr.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"

#endif
