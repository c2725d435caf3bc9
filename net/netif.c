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

#define ETH_MTU            1500
#define IPV4_PREFIX_MAX    32
#define MAC_GROUP_BIT      1            /* in the first byte: broadcast or multicast */
#define DHCP_SILENCE_S     10           /* then we say that nobody has answered      */

/* Frames that wait for the scheduler: a ring, for some turns' worth of a card (NIC_POLL_BUDGET). */
#define INPUT_MAX          256
struct input { struct pbuf *frame[INPUT_MAX]; unsigned first, n; };
_Static_assert(INPUT_MAX <= PBUF_POOL_SIZE / 2, "who floods one port leaves buffers to others");

struct port {
	struct netif    netif;
	struct input    input;
	struct vswitch *sw;
	unsigned        number;
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

/* vport_deliver_fn: the switch has a frame for the host. */
static bool netif_deliver(void *to, const struct frame *f)
{
	struct port *p = to;

	/* A flooded frame for somebody else is taken, and dropped before it costs a copy. */
	if (f->part[0].len >= MAC_LEN && !for_us(p, f->part[0].data))
		return true;

	struct pbuf *b = p->input.n < INPUT_MAX ? pbuf_alloc(PBUF_RAW, f->len, PBUF_POOL) : NULL;
	if (!b)
		return false;
	ASSERT(b->len == f->len);
	frame_copy(b->payload, f);
	p->input.frame[(p->input.first + p->input.n++) % INPUT_MAX] = b;
	sched_poke();
	return true;
}

/* No more than waited at the beginning: what comes meanwhile has its turn later. */
static void take_input(struct port *p)
{
	for (unsigned n = p->input.n; n > 0; n--) {
		struct pbuf *b = p->input.frame[p->input.first];

		p->input.first = (p->input.first + 1) % INPUT_MAX;
		p->input.n--;
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

/* The chain as a frame; false: more pieces than a frame can have. */
static bool frame_from(struct frame *f, const struct pbuf *b)
{
	f->len = b->tot_len;
	f->nparts = 0;
	for (; b; b = b->next) {
		if (f->nparts == FRAME_PARTS_MAX)
			return false;
		f->part[f->nparts++] = (struct frame_part){ b->payload, b->len };
	}
	return true;
}

/* netif->linkoutput */
static err_t send_frame(struct netif *netif, struct pbuf *b)
{
	struct port *p = netif->state;
	struct pbuf *whole = NULL;
	struct frame f;

	if (!frame_from(&f, b)) {
		whole = pbuf_clone(PBUF_RAW, PBUF_RAM, b);
		if (!whole)
			return ERR_MEM;
		frame_from(&f, whole);
	}
	vswitch_input(p->sw, p->number, &f, time_now_ns());
	if (whole)
		pbuf_free(whole);
	return ERR_OK;
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
	netif->name[0] = 'e';
	netif->name[1] = 't';
	netif->mtu = ETH_MTU;
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
	vswitch_set_vlan(s, p->number, c->vlan);
	memcpy(p->netif.hwaddr, mac, MAC_LEN);
	netif_add(&p->netif, &a.own, &a.mask, &a.gateway, p, setup, netif_input);
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
