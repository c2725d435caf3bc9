/* SPDX-License-Identifier: MIT */
/*
 * net/rxq.c - a queue of received buffers.  Used by net/chan_tcp.c and net/ctl.c.
 */
#include "net/rxq.h"

#include "lib/log.h"

bool rxq_append(struct rxq *q, struct pbuf *p)
{
	if (q->npbufs >= RXQ_PBUFS_MAX)
		return false;
	if (q->last)
		q->last->next = p;
	else
		q->first = p;
	for (; p; p = p->next) {
		q->len += p->len;
		q->npbufs++;
		q->last = p;
	}
	return true;
}

size_t rxq_front(const struct rxq *q, const uint8_t **data)
{
	if (!q->first)
		return 0;
	*data = (const uint8_t *)q->first->payload + q->taken;
	return q->first->len - q->taken;
}

static void drop_first(struct rxq *q)
{
	struct pbuf *p = q->first;

	q->first = p->next;
	if (!q->first)
		q->last = NULL;
	q->npbufs--;
	q->taken = 0;
	p->next = NULL;                 /* so that only this one is freed */
	pbuf_free(p);
}

void rxq_drop(struct rxq *q, size_t len)
{
	ASSERT(q->first);
	ASSERT(len <= q->first->len - q->taken);
	q->taken += (uint32_t)len;
	q->len -= (uint32_t)len;
	while (q->first && q->taken == q->first->len)   /* also buffers of no length */
		drop_first(q);
}

void rxq_clear(struct rxq *q)
{
	while (q->first)
		drop_first(q);
	q->len = 0;
}

void rxq_opened(struct tcp_pcb *pcb, size_t len)
{
	while (len > 0) {
		u16_t part = (u16_t)MIN(len, (size_t)UINT16_MAX);

		tcp_recved(pcb, part);
		len -= part;
	}
}
