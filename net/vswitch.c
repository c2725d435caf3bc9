/* SPDX-License-Identifier: MIT */
/*
 * net/vswitch.c - a learning Ethernet switch: who sent from where, and so where a frame goes.
 *
 * Owns the switches, their ports and their tables of learned addresses.  The table is a hash of
 * buckets of four; a full bucket gives up its oldest entry, so a flood of invented addresses costs
 * at most some flooding and never memory.  A frame's header is copied once and decided on; the rest
 * of it passes by reference, unless a port wants its checksum filled in.  What was left uncut for a
 * card is cut here for all others.  Called by whoever is behind a port (NIC, guest, host); a
 * deliver function may itself call vswitch_input().  Read next: net/segment.c, net/netif.c,
 * net/announce.c.
 */
#include "net/vswitch.h"

#include "lib/fmt.h"
#include "lib/log.h"
#include "net/lwip_port/arch/cc.h"
#include "net/segment.h"

#define ETH_TYPE_AT       12                  /* IEEE 802.3, "Elements of the MAC frame"          */
#define ETH_TAG_AT        14
#define ETH_TAG_LEN       4
#define ETH_HEAD_MAX      (ETH_TYPE_AT + 2 + ETH_TAG_LEN)
#define ETH_TYPE_VLAN     0x8100              /* IEEE 802.1Q, "VLAN tag"                          */
#define VLAN_ID           MASK(11, 0)
#define VLAN_PRIORITY     MASK(15, 12)        /* and "drop eligible"                    */
#define MAC_GROUP         BIT(40)             /* lowest bit of the first byte           */
#define MAC_BITS          MASK(47, 0)
#define MAC_LINK_LOCAL    0x0180c2000000ull   /* IEEE 802.1Q, "Reserved addresses" */
#define MAC_LINK_LOCAL_N  16

#define BUCKET_WAYS       4
#define BUCKET_BITS       8
#define BUCKETS           (1u << BUCKET_BITS)
#define HASH_MULTIPLIER   0x9e3779b97f4a7c15ull
_Static_assert(BUCKETS * BUCKET_WAYS == VSWITCH_MACS_MAX, "the table holds what config.h says");
_Static_assert(VSWITCH_PORTS_MAX <= UINT16_MAX, "an entry keeps its port in 16 bits");

/* A learned address; key 0 is an empty slot (the address 0 is never learned). */
struct entry {
	uint64_t key;                         /* VLAN id << 48 | MAC */
	uint64_t seen_ns;
	uint16_t port;
};

struct vport {
	bool               used, open;
	struct frame_takes takes;
	uint32_t           longest;           /* of its frames, with a tag    */
	uint16_t           vlan;              /* VLAN_TRUNK, or its only one */
	uint64_t           source[VM_NICS_MAX];
	unsigned           nsources;          /* 0: it may send from any     */
	enum vport_kind    kind;
	char               name[VM_NAME_MAX + 8];
	vport_deliver_fn  *deliver;
	void              *to;
	struct vport_counters count;
};

struct vswitch {
	bool         used;
	char         name[16];
	struct vport port[VSWITCH_PORTS_MAX];
	struct entry table[BUCKETS][BUCKET_WAYS];
};

/* What a decision needs, out of the frame's first bytes and the port that it came from. */
struct header {
	uint64_t dst, src;
	bool     tagged;
	uint16_t tag;                         /* as it stands in the frame; 0: none  */
	uint16_t vlan;                        /* to which it belongs                 */
};

static struct vswitch switches[NICS_MAX];

struct vswitch *vswitch_create(const char *name)
{
	for (unsigned i = 0; i < COUNT(switches); i++) {
		struct vswitch *s = &switches[i];

		if (s->used)
			continue;
		memset(s, 0, sizeof(*s));
		s->used = true;
		fmt_format(s->name, sizeof(s->name), "%s", name);
		return s;
	}
	return NULL;
}

void vswitch_destroy(struct vswitch *s)
{
	s->used = false;
}

const char *vswitch_name(const struct vswitch *s)
{
	return s->name;
}

enum err vswitch_add_port(struct vswitch *s, enum vport_kind kind, const char *name,
			  vport_deliver_fn *deliver, void *to, unsigned *port)
{
	for (unsigned i = 0; i < COUNT(s->port); i++) {
		struct vport *p = &s->port[i];

		if (p->used)
			continue;
		*p = (struct vport){ .used = true, .vlan = VLAN_TRUNK, .kind = kind,
				     .longest = FRAME_LEN_MAX, .deliver = deliver, .to = to };
		fmt_format(p->name, sizeof(p->name), "%s", name);
		*port = i;
		return OK;
	}
	return fail(ERR_NO_MEMORY, "switch %s: all %u ports are taken, none left for %s", s->name,
		    (unsigned)COUNT(s->port), name);
}

static void forget_port(struct vswitch *s, unsigned port)
{
	for (unsigned b = 0; b < BUCKETS; b++)
		for (unsigned w = 0; w < BUCKET_WAYS; w++)
			if (s->table[b][w].port == port)
				s->table[b][w] = (struct entry){ 0 };
}

static struct vport *vport_at(struct vswitch *s, unsigned port)
{
	ASSERT(port < COUNT(s->port));
	ASSERT(s->port[port].used);
	return &s->port[port];
}

void vswitch_takes(struct vswitch *s, unsigned port, struct frame_takes takes)
{
	ASSERT(takes.no_sums || !takes.uncut);
	vport_at(s, port)->takes = takes;
}

void vswitch_set_mtu(struct vswitch *s, unsigned port, uint16_t mtu)
{
	ASSERT(FRAME_HEAD_MAX + mtu <= FRAME_JUMBO_MAX);
	vport_at(s, port)->longest = FRAME_HEAD_MAX + mtu;
}

void vswitch_set_vlan(struct vswitch *s, unsigned port, uint16_t vlan)
{
	ASSERT(vlan <= VLAN_MAX || vlan == VLAN_TRUNK);
	ASSERT(!vport_at(s, port)->open);
	vport_at(s, port)->vlan = vlan;
}

static uint64_t read_mac(const uint8_t *p)
{
	uint64_t mac = 0;

	for (unsigned i = 0; i < MAC_LEN; i++)
		mac = mac << 8 | p[i];
	return mac;
}

void vswitch_allow_source(struct vswitch *s, unsigned port, const uint8_t mac[MAC_LEN])
{
	struct vport *p = vport_at(s, port);

	ASSERT(p->nsources < COUNT(p->source));
	p->source[p->nsources++] = read_mac(mac);
}

void vswitch_gate(struct vswitch *s, unsigned port, bool open)
{
	vport_at(s, port)->open = open;
	if (!open)
		forget_port(s, port);
}

void vswitch_remove_port(struct vswitch *s, unsigned port)
{
	vswitch_gate(s, port, false);
	s->port[port].used = false;
}

/* --- The table of learned addresses -------------------------------------------------------- */

static uint64_t key_of(uint64_t mac, uint16_t vlan)
{
	return (uint64_t)vlan << 48 | mac;
}

static struct entry *bucket_of(struct vswitch *s, uint64_t key)
{
	/* The bits that all others reach. */
	return s->table[key * HASH_MULTIPLIER >> (64 - BUCKET_BITS)];
}

/* The host's own addresses stay: they neither age nor give way. */
static bool is_pinned(const struct vswitch *s, const struct entry *e)
{
	return e->key != 0 && s->port[e->port].kind == VPORT_HOST;
}

/* Callers' times are not quite in order: an entry may be younger than "now". */
static uint64_t age_ns(const struct entry *e, uint64_t now_ns)
{
	return now_ns > e->seen_ns ? now_ns - e->seen_ns : 0;
}

static bool is_live(const struct vswitch *s, const struct entry *e, uint64_t now_ns)
{
	return e->key != 0 && (is_pinned(s, e) || age_ns(e, now_ns) < VSWITCH_AGE_NS);
}

static struct entry *lookup(struct vswitch *s, uint64_t key, uint64_t now_ns)
{
	struct entry *bucket = bucket_of(s, key);

	for (unsigned w = 0; w < BUCKET_WAYS; w++)
		if (bucket[w].key == key)
			return is_live(s, &bucket[w], now_ns) ? &bucket[w] : NULL;
	return NULL;
}

/* The slot for a new key: its own, else an empty one, else the oldest that is not pinned. */
static struct entry *slot_for(struct vswitch *s, uint64_t key)
{
	struct entry *bucket = bucket_of(s, key), *best = NULL;

	for (unsigned w = 0; w < BUCKET_WAYS; w++) {
		struct entry *e = &bucket[w];

		if (e->key == key)
			return e;
		if (!is_pinned(s, e) && (!best || e->seen_ns < best->seen_ns))
			best = e;
	}
	return best;
}

/* Remember where `key` was seen; false: somebody else claims an address of the host itself. */
static bool learn(struct vswitch *s, uint64_t key, unsigned port, uint64_t now_ns)
{
	struct entry *e = slot_for(s, key);

	if (!e)
		return true;
	if (e->key == key && is_pinned(s, e) && e->port != port)
		return false;
	*e = (struct entry){ .key = key, .seen_ns = now_ns, .port = (uint16_t)port };
	return true;
}

/* --- A frame on its way ---------------------------------------------------------------------- */

static uint16_t read_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Packets alone: of a segment that is yet to be cut, segment_begin() looks at its packets. */
static bool fits(const struct vport *p, const struct frame *f, bool tagged)
{
	return f->cut || f->len <= p->longest - (tagged ? 0 : ETH_TAG_LEN);
}

/* False: not a frame that a switch may pass on. */
static bool parse_header(const struct frame *f, struct header *h)
{
	uint8_t head[ETH_HEAD_MAX];
	unsigned n = frame_head(head, f, sizeof(head));

	if (n < FRAME_LEN_MIN || f->len < n)
		return false;
	h->dst = read_mac(head);
	h->src = read_mac(head + MAC_LEN);
	h->tag = h->vlan = 0;
	h->tagged = read_be16(head + ETH_TYPE_AT) == ETH_TYPE_VLAN;
	if (!h->tagged)
		return true;
	if (n < ETH_HEAD_MAX)
		return false;
	h->tag = read_be16(head + ETH_TAG_AT);
	h->vlan = h->tag & VLAN_ID;
	return true;
}

/* What is left to others to do must be possible: the frame may come from a card. */
static bool can_be_finished(const struct vport *from, const struct frame *f,
			    const struct header *h)
{
	unsigned begin = h->tagged ? ETH_HEAD_MAX : FRAME_LEN_MIN;
	struct segment s;

	if (f->cut)
		return segment_begin(&s, f, from->longest);
	return !f->sum.from || (f->sum.from >= begin && f->sum.from < f->len &&
				f->sum.at >= f->sum.from && f->sum.at + 2u <= f->len);
}

/* Behind a port of one VLAN nobody tags, but for a priority.  False: somebody does. */
static bool enter_vlan(const struct vport *from, struct header *h)
{
	if (from->vlan == VLAN_TRUNK)
		return true;
	if (h->vlan != 0)
		return false;
	h->vlan = from->vlan;
	return true;
}

static bool is_member(const struct vport *p, uint16_t vlan)
{
	return p->vlan == VLAN_TRUNK || p->vlan == vlan;
}

static bool may_pass(const struct header *h)
{
	if (h->src == 0 || (h->src & MAC_GROUP))
		return false;
	return h->dst - MAC_LINK_LOCAL >= MAC_LINK_LOCAL_N;
}

/* False: dropped, and said once, because whoever has a bridge behind that port will wonder why. */
static bool is_own_source(const struct vswitch *s, struct vport *from, uint64_t src)
{
	for (unsigned i = 0; i < from->nsources; i++)
		if (from->source[i] == src)
			return true;
	if (from->nsources == 0)
		return true;
	if (from->count.dropped_forged++ == 0)
		log_line("switch %s: %s sends from %012lx, which is none of its addresses: dropped",
			 s->name, from->name, src);
	return false;
}

/* The frame with the tag that its port wants, or without one; its first bytes go to `head`. */
static void retag(const struct vport *p, const struct header *h, const struct frame *f,
		  uint8_t head[ETH_HEAD_MAX], struct frame *out)
{
	uint16_t value = (uint16_t)((h->tag & VLAN_PRIORITY) | h->vlan);
	uint16_t old = ETH_TYPE_AT + (h->tagged ? ETH_TAG_LEN : 0), new = ETH_TYPE_AT;

	frame_head(head, f, ETH_TYPE_AT);
	if (p->vlan == VLAN_TRUNK) {
		head[ETH_TYPE_AT] = ETH_TYPE_VLAN >> 8;
		head[ETH_TYPE_AT + 1] = ETH_TYPE_VLAN & 0xff;
		head[ETH_TAG_AT] = (uint8_t)(value >> 8);
		head[ETH_TAG_AT + 1] = (uint8_t)value;
		new += ETH_TAG_LEN;
	}
	frame_clear(out);
	frame_add(out, head, new);
	frame_slice(out, f, old, f->len - old);
	out->cut = f->cut;
	out->sum = f->sum;
	if (f->sum.from) {
		out->sum.from = (uint16_t)(f->sum.from - old + new);
		out->sum.at = (uint16_t)(f->sum.at - old + new);
	}
}

/* Fill in the checksum of the packet that was copied to `bytes`. */
static void fill_sum(uint8_t *bytes, const struct frame *f)
{
	uint16_t value = (uint16_t)~lwip_port_checksum(bytes + f->sum.from,
						       (int)(f->len - f->sum.from));

	if (value == 0)
		value = UINT16_MAX;           /* the same; in UDP 0 says that there is none */
	memcpy(bytes + f->sum.at, &value, sizeof(value));
}

/* A packet, with its checksum filled in where the port does not take it without. */
static void deliver_packet(struct vport *p, const struct frame *f)
{
	/* Too long for a stack.  Who is given such a frame sends none in turn that comes here. */
	static uint8_t bytes[FRAME_JUMBO_MAX];
	struct frame whole;

	if (f->sum.from && !p->takes.no_sums) {
		frame_copy(bytes, f);
		fill_sum(bytes, f);
		whole = frame_of(bytes, (uint16_t)f->len);
		whole.sum.good = true;
		f = &whole;
	}
	if (p->deliver(p->to, f)) {
		p->count.out_frames++;
		p->count.out_bytes += f->len;
	} else {
		p->count.dropped_full++;
	}
}

/* As the port wants it: with or without a tag, whole or in packets. */
static void deliver(struct vswitch *s, unsigned port, const struct frame *f, const struct header *h)
{
	struct vport *p = &s->port[port];
	bool tag_stays = p->vlan == VLAN_TRUNK ? (h->tag & VLAN_ID) == h->vlan : !h->tagged;
	bool has_tag = tag_stays ? h->tagged : p->vlan == VLAN_TRUNK;
	uint8_t head[ETH_HEAD_MAX];
	struct frame tagged;
	struct segment cut;

	if (!tag_stays) {
		retag(p, h, f, head, &tagged);
		f = &tagged;
	}
	/* Too long for this port; or a card has written on since vswitch_input(). */
	if (!fits(p, f, has_tag) || (f->cut && !segment_begin(&cut, f, p->longest))) {
		p->count.dropped_full++;
		return;
	}
	if (!f->cut || f->len <= p->takes.uncut) {
		deliver_packet(p, f);
		return;
	}
	while ((f = segment_next(&cut)))
		deliver_packet(p, f);
}

static void flood(struct vswitch *s, unsigned from, const struct frame *f, const struct header *h)
{
	for (unsigned i = 0; i < COUNT(s->port); i++)
		if (i != from && s->port[i].used && s->port[i].open &&
		    is_member(&s->port[i], h->vlan))
			deliver(s, i, f, h);
}

void vswitch_input(struct vswitch *s, unsigned port, const struct frame *f, uint64_t now_ns)
{
	struct vport *from = vport_at(s, port);
	struct header h;

	if (!from->open) {
		from->count.dropped_closed++;
		return;
	}
	if (!parse_header(f, &h) || !fits(from, f, h.tagged) || !can_be_finished(from, f, &h) ||
	    !may_pass(&h) || !enter_vlan(from, &h)) {
		from->count.dropped_bad++;
		return;
	}
	if (!is_own_source(s, from, h.src))
		return;
	if (!learn(s, key_of(h.src, h.vlan), port, now_ns)) {
		from->count.dropped_bad++;
		return;
	}
	from->count.in_frames++;
	from->count.in_bytes += f->len;

	const struct entry *e = h.dst & MAC_GROUP ? NULL : lookup(s, key_of(h.dst, h.vlan), now_ns);
	if (!e)
		flood(s, port, f, &h);
	else if (e->port != port)             /* never back where it came from */
		deliver(s, e->port, f, &h);
}

/* --- For people ------------------------------------------------------------------------------ */

bool vswitch_port_info(const struct vswitch *s, unsigned port, struct vport_info *out)
{
	if (port >= COUNT(s->port) || !s->port[port].used)
		return false;

	const struct vport *p = &s->port[port];
	*out = (struct vport_info){ p->name, p->kind, p->open, p->vlan, p->count };
	return true;
}

static struct vswitch_mac mac_of(const struct entry *e, uint64_t now_ns)
{
	struct vswitch_mac m = { .vlan = (uint16_t)(e->key >> 48), .port = e->port,
				 .age_ns = age_ns(e, now_ns) };

	for (unsigned i = 0; i < MAC_LEN; i++)
		m.mac[i] = (uint8_t)((e->key & MAC_BITS) >> (8 * (MAC_LEN - 1 - i)));
	return m;
}

unsigned vswitch_macs(const struct vswitch *s, struct vswitch_mac *out, unsigned max,
		      uint64_t now_ns)
{
	unsigned n = 0;

	for (unsigned b = 0; b < BUCKETS; b++)
		for (unsigned w = 0; w < BUCKET_WAYS && n < max; w++)
			if (is_live(s, &s->table[b][w], now_ns))
				out[n++] = mac_of(&s->table[b][w], now_ns);
	return n;
}
