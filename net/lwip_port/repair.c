/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/repair.c - what TCP lost, sent again within a round trip.
 *
 * lwIP 2.1.3 sends one segment again after three duplicate ACKs; when a burst lost more, it waits
 * for its timer.  But its peers say by SACK what they have, so it is known what is missing: a hole
 * ends where the lowest block begins.  Here, before lwIP looks at an ACK, the segments of the hole
 * are put back among those to be sent, each once in a recovery and as far as the congestion window
 * allows, so that lwIP sends them at once.  A recovery begins with lwIP's own and ends when
 * everything is acknowledged that was on its way then (RFC 6675, with one hole at a time).  Called
 * by lwIP, for every segment of every connection.
 */
#include <string.h>

#include "lib/types.h"
#include "net/lwip_port/lwip.h"
#include "lwip/priv/tcp_priv.h"

#define OPTIONS_MAX    40               /* RFC 9293, "Header Format"   */
#define OPTION_END     0
#define OPTION_NOP     1
#define OPTION_SACK    5                /* RFC 2018, "Sack Option Format" */
#define OPTION_HEAD    2                /* kind and length             */
#define BLOCK_LEN      8                /* where it begins, where it ends */

enum ext_arg { EXT_RECOVER, EXT_REPAIRED };     /* what a connection keeps for us */
_Static_assert(LWIP_TCP_PCB_NUM_EXT_ARGS > EXT_REPAIRED, "lwIP has room for it");
_Static_assert(sizeof(uintptr_t) > sizeof(u32_t), "a sequence number and a bit fit a pointer");
#define RECOVERING     BIT(32)

static uintptr_t get(const struct tcp_pcb *pcb, enum ext_arg which)
{
	return (uintptr_t)tcp_ext_arg_get(pcb, (u8_t)which);
}

static void set(struct tcp_pcb *pcb, enum ext_arg which, uintptr_t value)
{
	tcp_ext_arg_set(pcb, (u8_t)which, (void *)value);
}

static u32_t read_be32(const u8_t *p)
{
	return (u32_t)p[0] << 24 | (u32_t)p[1] << 16 | (u32_t)p[2] << 8 | p[3];
}

/* The peer has something behind `ack` on: where the first of it begins; else `otherwise`. */
static u32_t hole_end(const u8_t *option, unsigned len, u32_t ack, u32_t otherwise)
{
	u32_t end = otherwise;
	unsigned n;

	for (unsigned i = 0; i < len && option[i] != OPTION_END; i += n) {
		n = option[i] == OPTION_NOP ? 1 : i + 1 < len ? option[i + 1] : 0;
		if (n == 0 || n > len - i || (n == 1 && option[i] != OPTION_NOP))
			break;
		if (option[i] != OPTION_SACK)
			continue;
		for (unsigned at = i + OPTION_HEAD; at + BLOCK_LEN <= i + n; at += BLOCK_LEN) {
			u32_t left = read_be32(option + at);

			if (TCP_SEQ_GT(left, ack) && TCP_SEQ_LT(left, end))
				end = left;
		}
	}
	return end;
}

static u32_t begin_of(const struct tcp_seg *seg)
{
	return lwip_ntohl(seg->tcphdr->seqno);
}

/* Put a segment where it belongs among those to be sent. */
static void send_again(struct tcp_pcb *pcb, struct tcp_seg *seg)
{
	struct tcp_seg **at = &pcb->unsent;

	while (*at && TCP_SEQ_LT(begin_of(*at), begin_of(seg)))
		at = &(*at)->next;
	seg->next = *at;
	*at = seg;
	if (!seg->next)
		pcb->unsent_oversize = 0;       /* nothing is appended to what was sent once */
	pcb->rttest = 0;                        /* which of the two an ACK means is not known */
}

/*
 * Those of which a part lies between `from` and `end`, and none beyond `limit`; where to go on.  (A
 * segment that is cut into packets on its way may be there in part: it is sent as a whole.)
 * Beyond the limit lwIP would not send them at once, and none may stay among those to be sent: lwIP
 * takes the last of these for the end of all data, appends more to it, or FIN, and when its timer
 * runs out it puts what is not acknowledged in front of them, in the wrong order.
 */
static u32_t repair(struct tcp_pcb *pcb, u32_t from, u32_t end, u32_t limit)
{
	struct tcp_seg **at = &pcb->unacked;

	while (*at && TCP_SEQ_LT(begin_of(*at), end)) {
		struct tcp_seg *seg = *at;
		u32_t seg_end = begin_of(seg) + seg->len;

		if (TCP_SEQ_LEQ(seg_end, from)) {
			at = &seg->next;
			continue;
		}
		if (TCP_SEQ_GT(seg_end, limit))
			return begin_of(seg);
		*at = seg->next;
		send_again(pcb, seg);
		from = seg_end;
	}
	return TCP_SEQ_GT(from, end) ? from : end;
}

/* lwIP has sent the first segment again: where that one ends. */
static u32_t end_of_first(const struct tcp_pcb *pcb)
{
	const struct tcp_seg *first = pcb->unacked;

	if (first && TCP_SEQ_LEQ(begin_of(first), pcb->lastack))
		return begin_of(first) + first->len;
	return pcb->lastack + 1;
}

/* The congestion window when lwIP has taken this ACK, at least: the first ends its recovery. */
static u32_t window_then(const struct tcp_pcb *pcb, u32_t ack)
{
	bool ends = (pcb->flags & TF_INFR) && TCP_SEQ_GT(ack, pcb->lastack);

	return ends ? pcb->ssthresh : pcb->cwnd;
}

/* LWIP_HOOK_TCP_INPACKET_PCB: lwIP has checked the header, and turned its numbers. */
signed char lwip_port_tcp_input(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, uint16_t optlen,
				uint16_t opt1len, const uint8_t *opt2)
{
	u8_t option[OPTIONS_MAX];
	u32_t ack = hdr->ackno;

	if (pcb->state < ESTABLISHED || pcb->state == TIME_WAIT || !(pcb->flags & TF_SACK) ||
	    !(TCPH_FLAGS(hdr) & TCP_ACK) || optlen > sizeof(option))
		return ERR_OK;
	if (!get(pcb, EXT_RECOVER) && (pcb->flags & TF_INFR)) {
		set(pcb, EXT_RECOVER, RECOVERING | pcb->snd_nxt);
		set(pcb, EXT_REPAIRED, end_of_first(pcb));
	}
	if (!get(pcb, EXT_RECOVER))
		return ERR_OK;

	u32_t recover = (u32_t)get(pcb, EXT_RECOVER), repaired = (u32_t)get(pcb, EXT_REPAIRED);
	if (TCP_SEQ_GEQ(ack, recover)) {
		set(pcb, EXT_RECOVER, 0);
		return ERR_OK;
	}
	if (TCP_SEQ_LT(ack, pcb->lastack))
		return ERR_OK;          /* old: it came late */
	memcpy(option, hdr + 1, opt1len);
	if (optlen > opt1len)
		memcpy(option + opt1len, opt2, (size_t)(optlen - opt1len));
	/* Part of it is acknowledged, and nothing behind: all the rest of what was sent is lost. */
	u32_t end = hole_end(option, optlen, ack, TCP_SEQ_GT(ack, pcb->lastack) ? recover : ack);

	pcb->dupacks = 0;               /* one recovery, one smaller window */
	if (TCP_SEQ_GT(end, repaired)) {
		u32_t from = TCP_SEQ_GT(ack, repaired) ? ack : repaired;

		set(pcb, EXT_REPAIRED, repair(pcb, from, end, ack + window_then(pcb, ack)));
	}
	return ERR_OK;
}
