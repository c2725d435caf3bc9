/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/lwippools.h - where PBUF_RAM comes from: pools, because lwIP's heap searches its
 * list and a full send window would make that list long.  Included several times: no guard.
 */
LWIP_MALLOC_MEMPOOL_START
LWIP_MALLOC_MEMPOOL(768, 256)           /* headers of segments sent by reference, ACKs, ARP */
LWIP_MALLOC_MEMPOOL(640, 1664)          /* a segment with its headers: tcp_write with a copy */
LWIP_MALLOC_MEMPOOL(96, 13312)          /* what chan_tcp.c writes at once, of a wide connection */
LWIP_MALLOC_MEMPOOL_END
