/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/arch/cc.h - what lwIP asks of the compiler and the machine (lwIP, "arch.h").
 *
 * A broken assertion of lwIP is a bug of ours and ends in panic(); a refused call (LWIP_ERROR) is
 * counted, logged, and goes back to the caller.
 */
#ifndef LWIP_PORT_ARCH_CC_H
#define LWIP_PORT_ARCH_CC_H

#include <stdint.h>

#include "lib/log.h"

#define LWIP_NO_INTTYPES_H  1
#define LWIP_NO_CTYPE_H     1
#define LWIP_NO_UNISTD_H    1

#define X8_F   "02x"
#define U16_F  "u"
#define S16_F  "d"
#define X16_F  "x"
#define U32_F  "u"
#define S32_F  "d"
#define X32_F  "x"
#define SZT_F  "zu"

uint32_t lwip_port_random(void);
uint16_t lwip_port_checksum(const void *data, int len);
void     lwip_port_refused(const char *message);

struct tcp_pcb;
struct tcp_hdr;
signed char lwip_port_tcp_input(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, uint16_t optlen,
                                uint16_t opt1len, const uint8_t *opt2);

struct pbuf;
struct netif;
struct ip4_addr;
struct ip6_addr;
signed char lwip_port_ip4_frag(struct pbuf *p, struct netif *netif, const struct ip4_addr *to);
signed char lwip_port_ip6_frag(struct pbuf *p, struct netif *netif, const struct ip6_addr *to);

#define LWIP_RAND()              lwip_port_random()
#define LWIP_CHKSUM              lwip_port_checksum
#define LWIP_PLATFORM_DIAG(x)    do { log_text x; } while (0)
#define LWIP_PLATFORM_ASSERT(x)  panic("lwIP: %s (%s:%d)", x, __FILE__, __LINE__)
#define LWIP_ERROR(message, expression, handler)        \
	do {                                            \
		if (!(expression)) {                    \
			lwip_port_refused(message);     \
			handler;                        \
		}                                       \
	} while (0)

#endif
