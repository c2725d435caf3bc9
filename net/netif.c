/* SPDX-License-Identifier: MIT */
/*
 * net/netif.c - lwIP on the host's own ports of the virtual switches.
 *
 * Owns one lwIP interface for each switch that the host is attached to.  A frame from the switch is
 * copied once, into a buffer of lwIP's pool, and waits in a short queue: it may come out of a
 * guest's exit, where neither lwIP nor a handler of the control service shall run.  The scheduler
 * takes it from there.  A frame from lwIP passes by reference.  lwIP is entered only from here,
 * from net/chan_tcp.c and net/ctl.c, always from the scheduler or a task of the host's, so it never
 * runs twice at once.  Read next: net/vswitch.c, net/chan_tcp.c.
 */
#include "net/netif.h"

#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"
#include "net/lwip_port/lwip.h"
#include "net/segment.h"

#define IPV4_PREFIX_MAX    32
#define MAC_GROUP_BIT      1            /* in the first byte: broadcast or multicast */
#define ETH_TYPE_AT        12
#define ETH_HLEN           14
#define IP4_HLEN           20           /* without options, as lwIP makes it          */
#define IP4_PROTO_AT       9            /* RFC 791, "Internet Header Format"          */
#define IP6_HLEN           40           /* RFC 8200, "IPv6 Header Format"             */
#define IP6_PROTO_AT       6
#define TCP_HLEN           20           /* RFC 9293, "Header Format"; without options */
#define TCP_OFFSET_AT      12
#define TCP_SUM_AT         16
#define HEADERS_MAX        (ETH_HLEN + IP6_HLEN + 60)   /* TCP's, with options        */
#define WIDE_CWND          2            /* segments that a wide connection begins with */
#define DHCP_SILENCE_S     10           /* then we say that nobody has answered      */

/* Frames that wait for the scheduler: a ring, for some turns' worth of a card (NIC_POLL_BUDGET). */
#define INPUT_MAX          256
#define INPUT_PBUFS_MAX    (PBUF_POOL_SIZE / 2)  /* who floods one port leaves some to others */
struct input {
	struct pbuf *frame[INPUT_MAX];
	bool         good_sum[INPUT_MAX];
	unsigned     first, n, npbufs;
};

struct port {
	struct netif    netif;
	struct input    input;
	struct vswitch *sw;
	unsigned        number;
	uint16_t        mtu;
	struct frame_takes uplink;      /* what is left to the card               */
	char            name[24];       /* "nic0", or "nic0.100": in VLAN 100  */
	bool            had_address;    /* so that a new address is announced once */
	uint64_t        complain_ns;    /* without an address by then, say so      */
};

static struct port ports[NICS_MAX];
static unsigned nports;
static const char *hostname;

enum err netif_start(const char *name)
{
	hostname = name;
	lwip_init();
	return OK;
}

/* --- Frames in and out --------------------------------------------------------------------- */

static bool for_us(const struct port *p, const uint8_t *dst)
{
	return (dst[0] & MAC_GROUP_BIT) || memcmp(dst, p->netif.hwaddr, MAC_LEN) == 0;
}

/* The frame's bytes into a chain that has room for exactly these. */
static void fill(struct pbuf *b, const struct frame *f)
{
	unsigned at = 0;                /* in `b` */

	for (unsigned i = 0; i < f->nparts; i++) {
		const struct frame_part *part = &f->part[i];

		for (unsigned done = 0, n; done < part->len; done += n, at += n) {
			if (at == b->len) {
				b = b->next;
				at = 0;
			}
			n = MIN(b->len - at, part->len - done);
			memcpy((uint8_t *)b->payload + at, part->data + done, n);
		}
	}
}

/* vport_deliver_fn: the switch has a frame for the host. */
static bool netif_deliver(void *to, const struct frame *f)
{
	struct port *p = to;

	/* A flooded frame for somebody else is taken, and dropped before it costs a copy. */
	if (f->part[0].len >= MAC_LEN && !for_us(p, f->part[0].data))
		return true;

	unsigned npbufs = (f->len + PBUF_POOL_BUFSIZE - 1) / PBUF_POOL_BUFSIZE;

	if (p->input.n == INPUT_MAX || p->input.npbufs + npbufs > INPUT_PBUFS_MAX)
		return false;
	struct pbuf *b = pbuf_alloc(PBUF_RAW, (u16_t)f->len, PBUF_POOL);

	if (!b)
		return false;
	fill(b, f);
	unsigned at = (p->input.first + p->input.n++) % INPUT_MAX;

	p->input.frame[at] = b;
	p->input.good_sum[at] = f->sum.good;
	p->input.npbufs += pbuf_clen(b);
	sched_poke();
	return true;
}

/* Whether lwIP makes TCP's checksums does not change; whether it checks, from frame to frame. */
static void check_sums(struct port *p, bool check)
{
	unsigned off = check ? 0 : NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;

	if (p->uplink.no_sums)
		off |= NETIF_CHECKSUM_GEN_TCP;
	NETIF_SET_CHECKSUM_CTRL(&p->netif, (u16_t)(NETIF_CHECKSUM_ENABLE_ALL & ~off));
}

/* No more than waited at the beginning: what comes meanwhile has its turn later. */
static void take_input(struct port *p)
{
	for (unsigned n = p->input.n; n > 0; n--) {
		struct pbuf *b = p->input.frame[p->input.first];

		check_sums(p, !p->input.good_sum[p->input.first]);
		p->input.first = (p->input.first + 1) % INPUT_MAX;
		p->input.n--;
		p->input.npbufs -= pbuf_clen(b);
		if (!for_us(p, b->payload) || p->netif.input(b, &p->netif) != ERR_OK)
			pbuf_free(b);
	}
}

uint64_t netif_drain(uint64_t now_ns)
{
	bool more = false;

	for (struct port *p = ports; p < ports + nports; p++) {
		take_input(p);
		more |= p->input.n > 0;
	}
	return more ? now_ns : NEVER_NS;
}

/* The chain as a frame; one of very many pieces is copied into one. */
static void frame_from(struct frame *f, const struct pbuf *b)
{
	static uint8_t whole[UINT16_MAX];

	frame_clear(f);
	for (const struct pbuf *q = b; q; q = q->next) {
		if (f->nparts == FRAME_PARTS_MAX) {
			frame_clear(f);
			frame_add(f, whole, pbuf_copy_partial(b, whole, b->tot_len, 0));
			return;
		}
		frame_add(f, q->payload, q->len);
	}
}

/*
 * Of a TCP segment, leave the checksum to others, and where it is longer than the wire takes, the
 * cutting as well: frames have `longest` bytes at most.  lwIP has its headers in one piece.
 */
static void leave_to_others(struct frame *f, unsigned longest)
{
	uint8_t *p = (uint8_t *)f->part[0].data;        /* lwIP's buffer, or frame_from()'s */
	bool v4 = p[ETH_TYPE_AT] == 0x08 && p[ETH_TYPE_AT + 1] == 0x00;
	bool v6 = p[ETH_TYPE_AT] == 0x86 && p[ETH_TYPE_AT + 1] == 0xdd;

	if (!(v4 && p[ETH_HLEN + IP4_PROTO_AT] == IP_PROTO_TCP) &&
	    !(v6 && p[ETH_HLEN + IP6_PROTO_AT] == IP_PROTO_TCP))
		return;
	uint16_t tcp = (uint16_t)(ETH_HLEN + (v4 ? IP4_HLEN : IP6_HLEN));

	ASSERT(f->part[0].len >= tcp + TCP_HLEN);
	uint16_t sum = segment_pseudo_sum(p + ETH_HLEN, v6, f->len - tcp);

	memcpy(p + tcp + TCP_SUM_AT, &sum, sizeof(sum));
	f->sum = (struct frame_sum){ .good = true, .from = tcp,
				     .at = (uint16_t)(tcp + TCP_SUM_AT) };
	if (f->len > longest)
		f->cut = (uint16_t)(longest - tcp - (p[tcp + TCP_OFFSET_AT] >> 4) * 4u);
}

/* netif->linkoutput */
static err_t send_frame(struct netif *netif, struct pbuf *b)
{
	struct port *p = netif->state;
	unsigned longest = ETH_HLEN + netif->mtu;
	struct frame f;

	frame_from(&f, b);
	if (p->uplink.no_sums || f.len > longest)
		leave_to_others(&f, longest);
	vswitch_input(p->sw, p->number, &f, time_now_ns());
	return ERR_OK;
}

/*
 * Where the card cuts TCP's segments, they may be as long as an IP packet can be: a tenth of the
 * work.  They are cut into what fits the wire, so a peer that wants less than that gets them from
 * lwIP; the congestion window must have room for one, or it would never be sent.
 */
void netif_widen(struct tcp_pcb *pcb)
{
	const struct netif *n = ip_route(&pcb->local_ip, &pcb->remote_ip);
	const struct port *p = n ? n->state : NULL;
	unsigned headers = (IP_IS_V4(&pcb->remote_ip) ? IP4_HLEN : IP6_HLEN) + TCP_HLEN;

	if (!p || p->uplink.uncut < (unsigned)HEADERS_MAX + pcb->mss ||
	    pcb->mss + headers != n->mtu)
		return;
	unsigned longest = MIN(p->uplink.uncut, (uint32_t)UINT16_MAX) - HEADERS_MAX;

	pcb->mss = (u16_t)(longest / pcb->mss * pcb->mss);
	pcb->cwnd = MAX(pcb->cwnd, (tcpwnd_size_t)(WIDE_CWND * pcb->mss));
}

/* --- Addresses ------------------------------------------------------------------------------- */

static void on_status(struct netif *netif)
{
	struct port *p = netif->state;
	bool has = !ip4_addr_isany(netif_ip4_addr(netif));

	if (has && !p->had_address)
		log_line("net: %s has the address %s", p->name,
			 ip4addr_ntoa(netif_ip4_addr(netif)));
	if (!has && p->had_address)
		log_line("net: %s has lost its address: the lease is over", p->name);
	if (p->had_address != has)
		p->complain_ns = has ? NEVER_NS : time_now_ns() + DHCP_SILENCE_S * NS_PER_S;
	p->had_address = has;
}

static err_t setup(struct netif *netif)
{
	const struct port *p = netif->state;

	netif->name[0] = 'e';
	netif->name[1] = 't';
	netif->mtu = p->mtu;
	netif->hwaddr_len = MAC_LEN;
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		       NETIF_FLAG_MLD6 | NETIF_FLAG_LINK_UP;
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = send_frame;
	netif->hostname = hostname;
	return ERR_OK;
}

struct address { ip4_addr_t own, mask, gateway; };

/* Four numbers and nothing else: "10.77" is a slip of the pen here, not 10.0.0.77. */
static bool parse_ipv4(const char *text, ip4_addr_t *out)
{
	return ip4addr_aton(text, out) && strcmp(ip4addr_ntoa(out), text) == 0;
}

/* "10.77.0.11/24" */
static enum err parse_prefix(const char *text, struct address *out)
{
	char number[IP4ADDR_STRLEN_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0;
	unsigned prefix = 0;

	if (len == 0 || len >= sizeof(number))
		return fail(ERR_BAD_ARGUMENT, "net: \"%s\" is not of the form 10.0.0.1/24", text);
	memcpy(number, text, len);
	number[len] = 0;
	for (const char *p = slash + 1; *p; p++) {
		if (*p < '0' || *p > '9' || prefix > IPV4_PREFIX_MAX)
			return fail(ERR_BAD_ARGUMENT, "net: \"%s\" has no number after /", text);
		prefix = prefix * 10 + (unsigned)(*p - '0');
	}
	if (prefix == 0 || prefix > IPV4_PREFIX_MAX || !parse_ipv4(number, &out->own))
		return fail(ERR_BAD_ARGUMENT, "net: \"%s\" is not an address and prefix", text);
	uint32_t mask = (uint32_t)(MASK(31, 0) << (IPV4_PREFIX_MAX - prefix));

	ip4_addr_set_u32(&out->mask, lwip_htonl(mask));
	return OK;
}

static enum err parse_config(const struct netif_config *c, struct address *out)
{
	*out = (struct address){ 0 };
	if (c->dhcp)
		return OK;
	if (c->gateway[0] && !parse_ipv4(c->gateway, &out->gateway))
		return fail(ERR_BAD_ARGUMENT, "net: gateway \"%s\" is not an address", c->gateway);
	return parse_prefix(c->address, out);
}

static enum err bring_up(struct netif *netif, const struct netif_config *c)
{
	netif_set_status_callback(netif, on_status);
	if (!netif_default || c->gateway[0])
		netif_set_default(netif);
	netif_create_ip6_linklocal_address(netif, 1);
	netif_set_ip6_autoconfig_enabled(netif, 1);
	netif_set_up(netif);
	on_status(netif);
	if (c->dhcp && dhcp_start(netif) != ERR_OK)
		return fail(ERR_NO_MEMORY, "net: no memory for the DHCP client");
	return OK;
}

enum err netif_attach(struct vswitch *s, const uint8_t mac[MAC_LEN], const struct netif_config *c)
{
	ASSERT(nports < COUNT(ports));
	struct port *p = &ports[nports];
	struct address a;
	enum err e = parse_config(c, &a);

	if (e == OK)
		e = vswitch_add_port(s, VPORT_HOST, "host", netif_deliver, p, &p->number);
	if (e != OK)
		return e;
	nports++;
	p->sw = s;
	fmt_format(p->name, sizeof(p->name), c->vlan ? "%s.%u" : "%s", vswitch_name(s), c->vlan);
	p->uplink = c->uplink;
	p->mtu = c->mtu;
	vswitch_set_vlan(s, p->number, c->vlan);
	vswitch_takes(s, p->number, (struct frame_takes){ true, UINT16_MAX });
	vswitch_set_mtu(s, p->number, c->mtu);
	memcpy(p->netif.hwaddr, mac, MAC_LEN);
	netif_add(&p->netif, &a.own, &a.mask, &a.gateway, p, setup, netif_input);
	check_sums(p, true);
	vswitch_gate(s, p->number, true);
	p->complain_ns = c->dhcp ? time_now_ns() + DHCP_SILENCE_S * NS_PER_S : NEVER_NS;
	return bring_up(&p->netif, c);
}

/* --- Time, and what people want to know ---------------------------------------------------- */

/* As RFC 5952 wants it: lwIP writes capitals. */
static const char *ipv6_text(const ip6_addr_t *address)
{
	char *text = ip6addr_ntoa(address);

	for (char *p = text; *p; p++)
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p - 'A' + 'a');
	return text;
}

/* lwIP asks again for as long as it takes, at growing intervals of at most a minute. */
static uint64_t complain(struct port *p, uint64_t now_ns)
{
	if (now_ns >= p->complain_ns) {
		log_line("net: %s: no DHCP server has answered in %u s; "
			 "still asking, meanwhile at %s", p->name, DHCP_SILENCE_S,
			 ipv6_text(netif_ip6_addr(&p->netif, 0)));
		p->complain_ns = NEVER_NS;
	}
	return p->complain_ns;
}

uint64_t netif_poll(uint64_t now_ns)
{
	uint64_t next_ns = netif_drain(now_ns);

	sys_check_timeouts();
	PBUF_CHECK_FREE_OOSEQ();
	next_ns = MIN(next_ns, now_ns + sys_timeouts_sleeptime() * NS_PER_MS);
	for (unsigned i = 0; i < nports; i++)
		next_ns = MIN(next_ns, complain(&ports[i], now_ns));
	return next_ns;
}

bool netif_describe(unsigned i, char *out, size_t size)
{
	if (i >= nports)
		return false;

	const struct netif *n = &ports[i].netif;
	int len = fmt_format(out, size, "%s %s", ports[i].name,
			     ip4addr_ntoa(netif_ip4_addr(n)));
	for (unsigned k = 0; k < LWIP_IPV6_NUM_ADDRESSES; k++)
		if (ip6_addr_isvalid(netif_ip6_addr_state(n, k)) && (size_t)len < size)
			len += fmt_format(out + len, size - (size_t)len, " %s",
					  ipv6_text(netif_ip6_addr(n, k)));
	return true;
}

bool netif_ready(void)
{
	for (unsigned i = 0; i < nports; i++)
		if (ip4_addr_isany(netif_ip4_addr(&ports[i].netif)))
			return false;
	return nports > 0;
}
