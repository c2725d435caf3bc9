/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/frag.c - which packets longer than the wire's lwIP may make fragments of.
 *
 * Not TCP's: only connections that netif_widen() was told of have segments so long, and these are
 * cut into whole packets, by the card or by the switch.  lwip_hooks.h puts these functions before
 * lwIP's own in ip4.c and ip6.c.
 */
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "net/lwip_port/lwip.h"

err_t lwip_port_ip4_frag(struct pbuf *p, struct netif *netif, const ip4_addr_t *to)
{
	const struct ip_hdr *ip = p->payload;

	return IPH_PROTO(ip) == IP_PROTO_TCP ? netif->output(netif, p, to) : ip4_frag(p, netif, to);
}

err_t lwip_port_ip6_frag(struct pbuf *p, struct netif *netif, const ip6_addr_t *to)
{
	const struct ip6_hdr *ip = p->payload;

	return IP6H_NEXTH(ip) == IP6_NEXTH_TCP ? netif->output_ip6(netif, p, to) :
						 ip6_frag(p, netif, to);
}
