/* SPDX-License-Identifier: MIT */
/*
 * net/rxq.h - bytes that lwIP received and nobody took yet: a list of its buffers.
 *
 * Linked by hand, because lwIP's own chains count in 16 bits and a receive window is longer.
 */
#ifndef NET_RXQ_H
#define NET_RXQ_H

#include "lib/types.h"
#include "net/lwip_port/lwip.h"

/*
 * A window of whole segments, and as many short ones between them: whoever keeps to the window we
 * announced is never refused.  A peer that sends crumbs gets no more of the pool.  (A segment of an
 * MTU of 9000 is six buffers, with as much in each.)
 */
#define RXQ_CRUMBS_MAX 128
#define RXQ_PBUFS_MAX  (TCP_WND / LWIP_PORT_MSS + RXQ_CRUMBS_MAX)

struct rxq {
	struct pbuf *first, *last;
	uint32_t     taken;             /* bytes of the first buffer that are gone already   */
	uint32_t     len, npbufs;
};

/* Takes the chain; false: too many buffers are waiting already, the chain is still the caller's. */
bool   rxq_append(struct rxq *q, struct pbuf *p);

/* The bytes at the front that lie in one piece; 0: the queue is empty. */
size_t rxq_front(const struct rxq *q, const uint8_t **data);

/* `len` bytes of the front piece are done with. */
void   rxq_drop(struct rxq *q, size_t len);

void   rxq_clear(struct rxq *q);

/* Tell TCP that `len` bytes were taken, so that its window opens; any length. */
void   rxq_opened(struct tcp_pcb *pcb, size_t len);

#endif
