/* SPDX-License-Identifier: MIT */
/*
 * net/segment.c - TCP segments that are too long for a wire, cut into packets.
 *
 * Every packet gets a copy of the headers, in which lengths, IPv4's identification and checksum,
 * TCP's sequence number and flags are made its own; the payload passes by reference.  TCP's
 * checksum is left to whoever fills in those of other frames.  Called by net/vswitch.c; read next:
 * that, and net/netif.c, which makes such segments.
 */
#include "net/segment.h"

#include "lib/log.h"
#include "net/lwip_port/arch/cc.h"

#define ETH_TYPE_AT       12            /* IEEE 802.3, "Elements of the MAC frame"  */
#define ETH_HEADER_LEN    14
#define ETH_TAG_LEN       4             /* IEEE 802.1Q, "VLAN tag"                  */
#define ETH_TYPE_VLAN     0x8100
#define ETH_TYPE_IP4      0x0800
#define ETH_TYPE_IP6      0x86dd
#define PROTOCOL_TCP      6

/* RFC 791, "Internet Header Format": offsets. */
enum { IP4_VERSION = 0, IP4_LENGTH = 2, IP4_ID = 4, IP4_FRAGMENT = 6, IP4_PROTOCOL = 9,
       IP4_SUM = 10, IP4_SOURCE = 12, IP4_LEN_MIN = 20 };
#define IP4_FRAGMENT_BITS 0x3fff        /* more fragments, and where this one belongs */

/* RFC 8200, "IPv6 Header Format": offsets. */
enum { IP6_VERSION = 0, IP6_LENGTH = 4, IP6_NEXT = 6, IP6_SOURCE = 8, IP6_LEN = 40 };

/* RFC 9293, "Header Format": offsets and bits. */
enum { TCP_SEQUENCE = 4, TCP_OFFSET = 12, TCP_FLAGS = 13, TCP_SUM = 16, TCP_LEN_MIN = 20 };
enum { FLAG_FIN = BIT(0), FLAG_SYN = BIT(1), FLAG_RST = BIT(2), FLAG_PSH = BIT(3),
       FLAG_CWR = BIT(7) };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
	put16(p, value >> 16);
	put16(p + 2, value);
}

/* --- What is in front of the payload --------------------------------------------------------- */

/* Where IPv4 ends; 0: not a whole packet of TCP that is as long as the frame says. */
static unsigned ip4_end(const uint8_t *ip, unsigned have, uint32_t len)
{
	unsigned header = have < IP4_LEN_MIN ? 0 : (ip[IP4_VERSION] & 0xfu) * 4;

	if (header < IP4_LEN_MIN || have < header || ip[IP4_VERSION] >> 4 != 4 ||
	    get16(ip + IP4_LENGTH) != len || ip[IP4_PROTOCOL] != PROTOCOL_TCP ||
	    (get16(ip + IP4_FRAGMENT) & IP4_FRAGMENT_BITS))
		return 0;
	return header;
}

static unsigned ip6_end(const uint8_t *ip, unsigned have, uint32_t len)
{
	if (have < IP6_LEN || ip[IP6_VERSION] >> 4 != 6 || ip[IP6_NEXT] != PROTOCOL_TCP ||
	    get16(ip + IP6_LENGTH) + (uint32_t)IP6_LEN != len)
		return 0;
	return IP6_LEN;
}

/* Find the headers in the first `have` bytes; false: not those of a TCP segment. */
static bool parse(struct segment *s, unsigned have)
{
	const uint8_t *p = s->head[0];
	unsigned at = ETH_HEADER_LEN, ip_len;

	if (have < ETH_HEADER_LEN + ETH_TAG_LEN)
		return false;
	if (get16(p + ETH_TYPE_AT) == ETH_TYPE_VLAN)
		at += ETH_TAG_LEN;
	s->v6 = get16(p + at - 2) == ETH_TYPE_IP6;
	if (!s->v6 && get16(p + at - 2) != ETH_TYPE_IP4)
		return false;
	ip_len = s->v6 ? ip6_end(p + at, have - at, s->whole->len - at) :
			 ip4_end(p + at, have - at, s->whole->len - at);
	s->ip = (uint16_t)at;
	s->tcp = (uint16_t)(at + ip_len);
	if (ip_len == 0 || have < s->tcp + (unsigned)TCP_LEN_MIN)
		return false;
	unsigned tcp_len = (p[s->tcp + TCP_OFFSET] >> 4) * 4u;

	s->header = (uint16_t)(s->tcp + tcp_len);
	return tcp_len >= TCP_LEN_MIN && s->header <= have && s->header < s->whole->len &&
	       !(p[s->tcp + TCP_FLAGS] & (FLAG_SYN | FLAG_RST));
}

bool segment_begin(struct segment *s, const struct frame *f, uint32_t longest)
{
	s->whole = f;
	s->done = 0;
	s->number = 0;
	if (f->cut < SEGMENT_PAYLOAD_MIN ||
	    !parse(s, frame_head(s->head[0], f, SEGMENT_HEADER_MAX)))
		return false;
	unsigned tag_to_come = s->ip == ETH_HEADER_LEN ? ETH_TAG_LEN : 0;

	return f->len + tag_to_come <= FRAME_BIG_MAX &&
	       s->header + f->cut + tag_to_come <= longest && f->sum.from == s->tcp &&
	       f->sum.at == s->tcp + TCP_SUM;
}

/* --- The packets ----------------------------------------------------------------------------- */

uint16_t segment_pseudo_sum(const uint8_t *ip, bool v6, uint32_t len)
{
	const uint8_t *addresses = ip + (v6 ? IP6_SOURCE : IP4_SOURCE);
	uint8_t rest[8];                /* the length and the protocol, each as 32 bits */
	uint32_t sum = lwip_port_checksum(addresses, 2 * (v6 ? 16 : 4));

	put32(rest, len);
	put32(rest + 4, PROTOCOL_TCP);
	sum += lwip_port_checksum(rest, sizeof(rest));
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}

static void write_ip(const struct segment *s, uint8_t *ip, uint32_t len)
{
	if (s->v6) {
		put16(ip + IP6_LENGTH, len - IP6_LEN);
		return;
	}
	put16(ip + IP4_LENGTH, len);
	put16(ip + IP4_ID, get16(ip + IP4_ID) + (uint32_t)s->number);
	put16(ip + IP4_SUM, 0);
	uint16_t sum = (uint16_t)~lwip_port_checksum(ip, s->tcp - s->ip);

	memcpy(ip + IP4_SUM, &sum, sizeof(sum));
}

static void write_tcp(const struct segment *s, uint8_t *tcp, const uint8_t *ip, uint32_t payload)
{
	bool first = s->done == 0, last = s->header + s->done + payload == s->whole->len;
	uint16_t sum = segment_pseudo_sum(ip, s->v6, s->header - s->tcp + payload);

	put32(tcp + TCP_SEQUENCE, get32(tcp + TCP_SEQUENCE) + s->done);
	if (!first)
		tcp[TCP_FLAGS] &= (uint8_t)~FLAG_CWR;
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t)~(FLAG_FIN | FLAG_PSH);
	memcpy(tcp + TCP_SUM, &sum, sizeof(sum));
}

const struct frame *segment_next(struct segment *s)
{
	uint32_t left = s->whole->len - s->header - s->done;
	uint32_t payload = MIN(left, (uint32_t)s->whole->cut);
	uint8_t *head = s->head[1];

	if (left == 0)
		return NULL;
	memcpy(head, s->head[0], s->header);
	write_ip(s, head + s->ip, s->header - s->ip + payload);
	write_tcp(s, head + s->tcp, head + s->ip, payload);
	frame_clear(&s->packet);
	frame_add(&s->packet, head, s->header);
	s->packet.sum = s->whole->sum;
	frame_slice(&s->packet, s->whole, s->header + s->done, payload);
	s->done += payload;
	s->number++;
	return &s->packet;
}
