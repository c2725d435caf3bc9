/* SPDX-License-Identifier: MIT */
/*
 * net/announce.c - RARP bursts: frames that make every switch on the way learn a guest's new port.
 *
 * Owns the bursts that are still running, one for each MAC that moved here lately.  Nobody answers
 * these frames; switches learn from their source address alone.  Called by boot/wire.c when a guest
 * resumes here; polled from the scheduler.  Read next: mig/dest.c.
 */
#include "net/announce.h"

#include "lib/config.h"

#define ETH_TYPE_RARP     0x8035      /* RFC 903                                            */
#define ARP_HW_ETHERNET   1           /* RFC 826                                            */
#define ETH_TYPE_IPV4     0x0800
#define ARP_OP_RARP       3           /* RFC 903: "request reverse"                         */
#define IPV4_LEN          4

#define BURSTS_MAX        (VMS_MAX * VM_NICS_MAX)

struct burst {
	bool              used;
	uint8_t           mac[MAC_LEN];
	unsigned          sent;
	uint64_t          next_ns;
	announce_send_fn *send;
	void             *to;
};

/* Pauses after the first frame, the second ...: six frames in 1.25 s. */
static const uint64_t pauses_ns[] = { 50 * NS_PER_MS, 150 * NS_PER_MS, 250 * NS_PER_MS,
				      350 * NS_PER_MS, 450 * NS_PER_MS };

static struct burst bursts[BURSTS_MAX];
static uint64_t frames_sent;

static uint8_t *put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put_mac(uint8_t *p, const uint8_t mac[MAC_LEN])
{
	memcpy(p, mac, MAC_LEN);
	return p + MAC_LEN;
}

void announce_frame(uint8_t out[RARP_FRAME_LEN], const uint8_t mac[MAC_LEN])
{
	static const uint8_t broadcast[MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t *p = out;

	memset(out, 0, RARP_FRAME_LEN);       /* protocol addresses and padding stay 0 */
	p = put_mac(p, broadcast);
	p = put_mac(p, mac);
	p = put_be16(p, ETH_TYPE_RARP);
	p = put_be16(p, ARP_HW_ETHERNET);
	p = put_be16(p, ETH_TYPE_IPV4);
	*p++ = MAC_LEN;
	*p++ = IPV4_LEN;
	p = put_be16(p, ARP_OP_RARP);
	p = put_mac(p, mac) + IPV4_LEN;
	put_mac(p, mac);
}

static void send_one(struct burst *b, uint64_t now_ns)
{
	uint8_t bytes[RARP_FRAME_LEN];

	announce_frame(bytes, b->mac);
	struct frame f = frame_of(bytes, sizeof(bytes));
	b->send(b->to, &f);
	frames_sent++;
	if (b->sent < COUNT(pauses_ns))
		b->next_ns = now_ns + pauses_ns[b->sent++];
	else
		b->used = false;
}

enum err announce_start(const uint8_t mac[MAC_LEN], announce_send_fn *send, void *to,
			uint64_t now_ns)
{
	for (unsigned i = 0; i < COUNT(bursts); i++) {
		struct burst *b = &bursts[i];

		if (b->used)
			continue;
		*b = (struct burst){ .used = true, .send = send, .to = to };
		put_mac(b->mac, mac);
		send_one(b, now_ns);
		return OK;
	}
	return fail(ERR_NO_MEMORY, "announce: %u bursts are running already", BURSTS_MAX);
}

void announce_cancel(const void *to)
{
	for (unsigned i = 0; i < COUNT(bursts); i++)
		if (bursts[i].to == to)
			bursts[i].used = false;
}

uint64_t announce_poll(uint64_t now_ns)
{
	uint64_t next_ns = NEVER_NS;

	for (unsigned i = 0; i < COUNT(bursts); i++) {
		struct burst *b = &bursts[i];

		if (b->used && b->next_ns <= now_ns)
			send_one(b, now_ns);
		if (b->used)
			next_ns = MIN(next_ns, b->next_ns);
	}
	return next_ns;
}

uint64_t announce_sent(void)
{
	return frames_sent;
}
