/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/lwip_hooks.h - included by lwIP where it uses LWIP_HOOK_* macros; arch/cc.h
 * declares the functions behind them.  Initial sequence numbers are random, so that nobody off the
 * path can guess them (RFC 6528); each segment of a connection is looked at by repair.c first.
 * Packets that are longer than the wire's go through frag.c.
 */
#ifndef LWIP_PORT_LWIP_HOOKS_H
#define LWIP_PORT_LWIP_HOOKS_H

#include "arch/cc.h"

#define ip4_frag(p, netif, to) lwip_port_ip4_frag(p, netif, to)
#define ip6_frag(p, netif, to) lwip_port_ip6_frag(p, netif, to)

#endif
