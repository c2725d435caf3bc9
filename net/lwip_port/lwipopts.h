/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/lwipopts.h - how lwIP 2.1.3 is configured (lwIP, "opt.h"), and why.
 *
 * Raw API only, one CPU, no threads.  The sizes below are all the memory that lwIP has: about
 * 3.5 MiB, enough for a full window in each direction and some more connections beside it.
 */
#ifndef LWIP_PORT_LWIPOPTS_H
#define LWIP_PORT_LWIPOPTS_H

/* --- Shape: everything runs from the scheduler, so nothing needs a lock --- */
#define NO_SYS                        1
#define SYS_LIGHTWEIGHT_PROT          0
#define LWIP_SOCKET                   0
#define LWIP_NETCONN                  0
#define LWIP_TIMERS                   1

/* --- Protocols --- */
#define LWIP_IPV4                     1
#define LWIP_IPV6                     1
#define LWIP_IPV6_MLD                 1
#define LWIP_IPV6_AUTOCONFIG          1
#define LWIP_IPV6_DHCP6               0
#define LWIP_ICMP                     1
#define LWIP_RAW                      0
#define LWIP_UDP                      1       /* for DHCP */
#define LWIP_DHCP                     1
#define LWIP_DNS                      0       /* addresses are given as numbers */
#define LWIP_IGMP                     0
#define LWIP_TCP                      1
#define LWIP_NETIF_HOSTNAME           1
#define LWIP_NETIF_STATUS_CALLBACK    1
#define LWIP_CHECKSUM_CTRL_PER_NETIF  1       /* what a card does, lwIP need not */
#define IPV6_FRAG_COPYHEADER          1       /* 64 bit: without it lwip_init() stops */

/* --- TCP: 512 KiB in flight; more costs too much in lwIP's list walks (docs/network.md) --- */
#define TCP_MSS                       8960    /* MTU 9000; lwIP says less on a shorter one */
#define LWIP_PORT_MSS                 1460    /* MTU 1500: sizes follow this one */
#define LWIP_WND_SCALE                1
#define TCP_RCV_SCALE                 4
#define TCP_WND                       (512 * 1024)
#define TCP_SND_BUF                   (TCP_WND + 64 * 1024)   /* more is ready when an ACK comes */
#define TCP_SND_QUEUELEN              (4 * TCP_SND_BUF / LWIP_PORT_MSS)
#define TCP_WND_UPDATE_THRESHOLD      (64 * 1024)   /* taken: then say so, if nothing else does */
#define TCP_SNDLOWAT                  16384   /* by hand: the default overflows 16 bits */
#define TCP_SNDQUEUELOWAT             512
#define TCP_OVERSIZE                  LWIP_PORT_MSS
#define TCP_QUEUE_OOSEQ               1
#define TCP_OOSEQ_MAX_PBUFS           384     /* per connection: a window's worth */
#define LWIP_TCP_SACK_OUT             1
#define LWIP_TCP_KEEPALIVE            1
#define TCP_LISTEN_BACKLOG            1
#define TCP_DEFAULT_LISTEN_BACKLOG    16
#define TCP_TMR_INTERVAL              50      /* ms: so a lost segment is missed after 200 to 300 */
#define LWIP_TCP_PCB_NUM_EXT_ARGS     2       /* repair.c's */
#define LWIP_HOOK_FILENAME            "lwip_hooks.h"
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) lwip_port_random()
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p) \
	lwip_port_tcp_input(pcb, hdr, optlen, opt1len, opt2)

/* --- Memory: fixed pools; PBUF_RAM comes from the pools in lwippools.h --- */
#define MEM_ALIGNMENT                 8
#define MEM_USE_POOLS                 1
#define MEMP_USE_CUSTOM_POOLS         1
#define MEM_USE_POOLS_TRY_BIGGER_POOL 1
#define PBUF_POOL_SIZE                1024    /* a full window, and one out of order */
#define PBUF_POOL_BUFSIZE             1536    /* a whole frame with a VLAN tag */
#define MEMP_NUM_PBUF                 1024    /* PBUF_ROM: answers sent by reference */
#define MEMP_NUM_TCP_SEG              2048
#define MEMP_NUM_TCP_PCB              64      /* channels, clients, and those that end */
#define MEMP_NUM_TCP_PCB_LISTEN       8
#define MEMP_NUM_UDP_PCB              4
#define MEMP_NUM_REASSDATA            4
#define IP_REASS_MAX_PBUFS            64
#define IP_REASS_MAXAGE               5
#define ARP_TABLE_SIZE                32

/* --- Counters, for GET /v1/node --- */
#define LWIP_STATS                    1
#define LWIP_STATS_LARGE              1
#define LWIP_STATS_DISPLAY            0

#endif
