/* SPDX-License-Identifier: MIT */
/*
 * net/netif.h - lwIP on the host's ports of the virtual switches.
 */
#ifndef NET_NETIF_H
#define NET_NETIF_H

#include "lib/err.h"
#include "net/vswitch.h"

struct netif_config {
	bool     dhcp;
	char     address[20];           /* "10.77.0.11/24", empty with dhcp */
	char     gateway[16];           /* may be empty                     */
	uint16_t vlan;                  /* VLAN_UNTAGGED to VLAN_MAX        */
	uint16_t mtu;                   /* the card's                       */
	struct frame_takes uplink;      /* what the card does for TCP       */
};

/* Start lwIP; once, before netif_attach().  DHCP servers are told the name; it must outlive us. */
enum err netif_start(const char *node_name);

/* A host port on `s` with this address.  The host's MAC is the uplink's own. */
enum err netif_attach(struct vswitch *s, const uint8_t mac[MAC_LEN], const struct netif_config *c);

/*
 * Frames that wait for lwIP, and its timers as well: for sched_add_poll().  Drained once before the
 * cards are polled, so that guests who flood the host's port do not keep frames from the wire out.
 */
uint64_t netif_drain(uint64_t now_ns);
uint64_t netif_poll(uint64_t now_ns);

/* A connection that is made: from now on its segments may be as long as the card cuts them. */
struct tcp_pcb;
void netif_widen(struct tcp_pcb *pcb);

/* Addresses of interface i as text, IPv4 first; false: no such interface. */
bool netif_describe(unsigned i, char *out, size_t size);
bool netif_ready(void);                 /* every interface has an IPv4 address */

#endif
