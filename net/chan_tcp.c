/* SPDX-License-Identifier: MIT */
/*
 * net/chan_tcp.c - channels over lwIP's TCP: straight-line send and receive for tasks.
 *
 * Owns a fixed pool of channels.  lwIP's callbacks run from the scheduler and only queue what came
 * in, note what happened and signal an event; the task that owns the channel does the rest.  What
 * is sent is copied into lwIP's buffers, so the caller's memory is free at once.  What is received
 * opens the window again only when the task has taken it.  Read next: mig/source.c, mig/dest.c.
 */
#include "net/chan_tcp.h"

#include <string.h>

#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"
#include "net/endpoint.h"
#include "net/lwip_port/lwip.h"
#include "net/netif.h"
#include "net/rxq.h"

#define WRITE_MAX         (8 * LWIP_PORT_MSS)   /* one tcp_write(); undone if memory is short */
#define SEND_RESUME       (TCP_SND_BUF / 10)    /* wake a sender at this much room       */
#define RETRY_NS          (20 * NS_PER_MS)      /* others hold the memory: look again    */
#define KEEP_IDLE_MS      60000u                /* generous: an emulated clock races     */
#define KEEP_INTERVAL_MS  75000u
#define KEEP_COUNT        9u
#define TCP_POLL_MS       (2 * TCP_TMR_INTERVAL)        /* lwIP's unit for tcp_poll()    */
#define LINGER_POLL_MS    10000                 /* for a peer to hear our last words:    */
#define LINGER_POLLS      6                     /* a minute                              */
#define LISTENERS_MAX     4

_Static_assert(LINGER_POLL_MS / TCP_POLL_MS <= UINT8_MAX, "tcp_poll() takes 8 bits");
_Static_assert(WRITE_MAX <= UINT16_MAX, "tcp_write() takes 16 bits");
_Static_assert(SEND_RESUME >= WRITE_MAX, "a woken sender has room for a whole write");

struct listener { struct tcp_pcb *pcb; unsigned max; void (*serve)(void *chan); };

struct tcp_chan {
	struct chan      chan;                  /* must be first                             */
	bool             used;
	struct tcp_pcb  *pcb;                   /* NULL: gone, by lwIP's hand or ours        */
	bool             connected, peer_closed;
	const struct listener *listener;        /* that accepted it; NULL: we connected      */
	struct rxq       rx;                    /* received, not taken                       */
	struct event     readable, writable;    /* each with at most one waiter              */
};

_Static_assert(CHANS_MAX >= MIGRATIONS_MAX + MIG_SERVED_MAX,
               "every migration that leaves has a channel, whatever comes in");
_Static_assert(TASKS_MAX >= VMS_MAX * VCPUS_MAX + CHANS_MAX, "every channel has a task");
_Static_assert(MEMP_NUM_TCP_PCB >= CHANS_MAX + CTL_CONNECTIONS_MAX, "and lwIP a connection");

static struct tcp_chan chans[CHANS_MAX];
static struct listener listeners[LISTENERS_MAX];
static unsigned nlisteners;
static const struct chan_ops tcp_ops;

static struct tcp_chan *of(const struct chan *chan)
{
	return (struct tcp_chan *)chan;
}

/* --- What lwIP tells us ---------------------------------------------------------------------- */

static void signal_both(struct tcp_chan *c)
{
	event_signal(&c->readable);
	event_signal(&c->writable);
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct tcp_chan *c = arg;

	(void)pcb;
	(void)err;
	if (!p) {
		c->peer_closed = true;
		signal_both(c);
		return ERR_OK;
	}
	if (!rxq_append(&c->rx, p))
		return ERR_MEM;                 /* lwIP keeps it and offers it again */
	event_signal(&c->readable);
	return ERR_OK;
}

/* Free bytes of the send buffer.  Not tcp_sndbuf(): that one ends at 65535. */
static size_t send_room(const struct tcp_chan *c)
{
	return c->pcb->snd_buf;
}

static bool has_room(const struct tcp_chan *c)
{
	return send_room(c) >= SEND_RESUME && tcp_sndqueuelen(c->pcb) <= TCP_SNDQUEUELOWAT;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct tcp_chan *c = arg;

	(void)pcb;
	(void)len;
	if (has_room(c))
		event_signal(&c->writable);
	return ERR_OK;
}

/* Reset, timed out or out of memory; the pcb is gone already. */
static void on_error(void *arg, err_t err)
{
	struct tcp_chan *c = arg;

	(void)err;
	c->pcb = NULL;
	signal_both(c);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct tcp_chan *c = arg;

	(void)err;
	netif_widen(pcb);
	c->connected = true;
	event_signal(&c->writable);
	return ERR_OK;
}

/* --- The life of a channel ------------------------------------------------------------------- */

static struct tcp_chan *chan_take(struct tcp_pcb *pcb)
{
	for (struct tcp_chan *c = chans; c < chans + COUNT(chans); c++) {
		if (c->used)
			continue;
		*c = (struct tcp_chan){ .chan = { .ops = &tcp_ops }, .used = true, .pcb = pcb };
		tcp_arg(pcb, c);
		tcp_recv(pcb, on_recv);
		tcp_sent(pcb, on_sent);
		tcp_err(pcb, on_error);
		tcp_setprio(pcb, TCP_PRIO_MAX); /* lwIP may end others for memory, not these */
		ip_set_option(pcb, SOF_KEEPALIVE);
		pcb->keep_idle = KEEP_IDLE_MS;
		pcb->keep_intvl = KEEP_INTERVAL_MS;
		pcb->keep_cnt = KEEP_COUNT;
		return c;
	}
	return NULL;
}

static void name_peer(struct tcp_chan *c)
{
	char host[IPADDR_STRLEN_MAX];
	bool v6 = IP_IS_V6(&c->pcb->remote_ip);

	ipaddr_ntoa_r(&c->pcb->remote_ip, host, sizeof(host));
	fmt_format(c->chan.peer, sizeof(c->chan.peer), v6 ? "[%s]:%u" : "%s:%u", host,
		   c->pcb->remote_port);
}

/* After this lwIP calls nobody for this pcb. */
static struct tcp_pcb *detach(struct tcp_chan *c)
{
	struct tcp_pcb *pcb = c->pcb;

	c->pcb = NULL;
	if (pcb) {
		tcp_arg(pcb, NULL);
		tcp_recv(pcb, NULL);
		tcp_sent(pcb, NULL);
		tcp_err(pcb, NULL);
	}
	return pcb;
}

/* A connection that has lost its channel: what the peer still says is taken and thrown away. */
static err_t on_late_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)arg;
	(void)err;
	if (p) {
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
	}
	return ERR_OK;
}

/* `arg`: how often it was called before. */
static err_t on_late_poll(void *arg, struct tcp_pcb *pcb)
{
	uintptr_t polls = (uintptr_t)arg + 1;

	if (polls < LINGER_POLLS) {
		tcp_arg(pcb, (void *)polls);
		return ERR_OK;
	}
	tcp_abort(pcb);
	return ERR_ABRT;
}

/*
 * Ends the sending direction after everything that was accepted: lwIP goes on to deliver it, with
 * retransmissions, when the channel is gone.  Only that direction: a connection that is closed as a
 * whole answers whatever still comes, or waits in lwIP because we did not take it, with a reset,
 * which takes our last bytes with it.  It ends when the peer says no more, or after a minute.
 */
static void chan_tcp_close(struct chan *chan)
{
	struct tcp_chan *c = of(chan);
	size_t untaken = c->rx.len;
	struct tcp_pcb *pcb = detach(c);

	rxq_clear(&c->rx);
	c->used = false;
	if (!pcb)
		return;
	rxq_opened(pcb, untaken);
	tcp_setprio(pcb, TCP_PRIO_MIN);
	tcp_recv(pcb, on_late_recv);
	tcp_poll(pcb, on_late_poll, LINGER_POLL_MS / TCP_POLL_MS);
	if (tcp_shutdown(pcb, 0, 1) != ERR_OK)
		tcp_abort(pcb);
}

static void chan_tcp_hang_up(struct chan *chan)
{
	struct tcp_chan *c = of(chan);
	struct tcp_pcb *pcb = detach(c);

	if (pcb)
		tcp_abort(pcb);
	signal_both(c);
}

static void give_up(struct tcp_chan *c)
{
	struct tcp_pcb *pcb = detach(c);

	if (pcb)
		tcp_abort(pcb);
	rxq_clear(&c->rx);              /* a peer may speak and hang up before we look */
	c->used = false;
}

/* --- Sending and receiving ------------------------------------------------------------------- */

static enum err link_lost(const struct tcp_chan *c)
{
	return refuse(ERR_LINK_LOST, "%s: the connection %s", c->chan.peer,
		      c->peer_closed ? "was closed by the peer" : "broke");
}

/*
 * Everything that lwIP has, also a last segment that is not full: now, or when the window opens.
 * Nagle's rule comes back with the next send(), which may fill that segment.
 */
static void chan_tcp_flush(struct chan *chan)
{
	struct tcp_chan *c = of(chan);

	if (!c->pcb)
		return;
	tcp_nagle_disable(c->pcb);
	tcp_output(c->pcb);
}

/* Give lwIP what fits; how many bytes it took. */
static size_t write_some(struct tcp_chan *c, const void *data, size_t len)
{
	u16_t n = (u16_t)MIN(MIN(len, send_room(c)), (size_t)WRITE_MAX);

	if (n == 0 || tcp_write(c->pcb, data, n, TCP_WRITE_FLAG_COPY) != ERR_OK)
		return 0;
	return n;
}

static enum err chan_tcp_send(struct chan *chan, const void *data, size_t len, uint64_t deadline_ns)
{
	struct tcp_chan *c = of(chan);
	const uint8_t *p = data;

	while (len > 0) {
		if (!c->pcb)
			return link_lost(c);
		tcp_nagle_enable(c->pcb);
		size_t n = write_some(c, p, len);

		p += n;
		len -= n;
		tcp_output(c->pcb);     /* whole segments; a part waits for more or flush() */
		if (n > 0)
			continue;
		uint64_t now_ns = time_now_ns();
		if (now_ns >= deadline_ns)
			return refuse(ERR_TIMEOUT, "%s: takes no more data", chan->peer);
		/* Nothing of ours in flight: others hold the memory, and nobody will wake us. */
		bool stuck = tcp_sndqueuelen(c->pcb) == 0;
		event_wait(&c->writable, stuck ? MIN(deadline_ns, now_ns + RETRY_NS) : deadline_ns);
	}
	return OK;
}

/* Copy from the queue; opens the window by as much. */
static size_t take_some(struct tcp_chan *c, uint8_t *to, size_t len)
{
	size_t n = 0, part;
	const uint8_t *data;

	while (n < len && (part = rxq_front(&c->rx, &data)) > 0) {
		part = MIN(part, len - n);
		memcpy(to + n, data, part);
		rxq_drop(&c->rx, part);
		n += part;
	}
	if (c->pcb)
		rxq_opened(c->pcb, n);
	return n;
}

static enum err chan_tcp_recv(struct chan *chan, void *to, size_t len, uint64_t deadline_ns)
{
	struct tcp_chan *c = of(chan);
	uint8_t *p = to;

	for (;;) {
		size_t n = take_some(c, p, len);

		p += n;
		len -= n;
		if (len == 0)
			return OK;
		if (!c->pcb || c->peer_closed)
			return link_lost(c);
		if (time_now_ns() >= deadline_ns)
			return refuse(ERR_TIMEOUT, "%s: sends nothing", chan->peer);
		chan_tcp_flush(chan);           /* the peer may wait for what we said */
		event_wait(&c->readable, deadline_ns);
	}
}

static size_t chan_tcp_readable(const struct chan *chan)
{
	const struct tcp_chan *c = of(chan);

	return c->rx.len ? c->rx.len : (size_t)(!c->pcb || c->peer_closed);
}

static size_t chan_tcp_unacked(const struct chan *chan)
{
	const struct tcp_chan *c = of(chan);

	return c->pcb ? TCP_SND_BUF - send_room(c) : 0;
}

static const struct chan_ops tcp_ops = {
	.send = chan_tcp_send, .recv = chan_tcp_recv, .flush = chan_tcp_flush,
	.readable = chan_tcp_readable, .unacked = chan_tcp_unacked,
	.hang_up = chan_tcp_hang_up, .close = chan_tcp_close,
};

/* --- Connecting and listening ---------------------------------------------------------------- */

static bool is_own(const ip_addr_t *address)
{
	struct netif *n;

	NETIF_FOREACH(n) {
		if (IP_IS_V4(address) && ip4_addr_cmp(ip_2_ip4(address), netif_ip4_addr(n)))
			return true;
		if (IP_IS_V6(address) && netif_get_ip6_addr_match(n, ip_2_ip6(address)) >= 0)
			return true;
	}
	return false;
}

static enum err resolve(const char *where, uint16_t default_port, ip_addr_t *address,
			uint16_t *port)
{
	struct endpoint e;
	enum err err = endpoint_parse(where, default_port, &e);

	if (err != OK)
		return err;
	if (!ipaddr_aton(e.host, address))
		return refuse(ERR_BAD_ARGUMENT, "\"%s\" is not an IPv4 or IPv6 address", e.host);
	if (is_own(address))
		return refuse(ERR_BAD_ARGUMENT, "\"%s\" is this node itself", e.host);
	*port = e.port;
	return OK;
}

static enum err await_connection(struct tcp_chan *c, const char *where, uint64_t deadline_ns)
{
	while (!c->connected && c->pcb)
		if (!event_wait(&c->writable, deadline_ns) && time_now_ns() >= deadline_ns)
			break;
	if (c->connected && c->pcb)
		return OK;

	bool refused = !c->pcb;
	give_up(c);
	if (refused)
		return refuse(ERR_REFUSED, "%s: the connection was refused", where);
	return refuse(ERR_TIMEOUT, "%s: no answer", where);
}

enum err chan_tcp_connect(const char *where, uint16_t default_port, uint64_t deadline_ns,
			  struct chan **out)
{
	ip_addr_t address;
	uint16_t port = default_port;
	enum err e = resolve(where, default_port, &address, &port);

	if (e != OK)
		return e;
	struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&address));
	struct tcp_chan *c = pcb ? chan_take(pcb) : NULL;
	if (!c) {
		if (pcb)
			tcp_abort(pcb);
		return fail(ERR_NO_MEMORY, "%s: all connections are in use", where);
	}
	if (tcp_connect(pcb, &address, port, on_connected) != ERR_OK) {
		give_up(c);
		return refuse(ERR_LINK_LOST, "%s: there is no way to this address", where);
	}
	e = await_connection(c, where, deadline_ns);
	if (e != OK)
		return e;
	name_peer(c);
	*out = &c->chan;
	return OK;
}

static unsigned count_accepted(const struct listener *l)
{
	unsigned n = 0;

	for (struct tcp_chan *c = chans; c < chans + COUNT(chans); c++)
		n += c->used && c->listener == l;
	return n;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct listener *l = arg;

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	struct tcp_chan *c = count_accepted(l) < l->max ? chan_take(pcb) : NULL;
	if (!c) {
		log_line("net: port %u: all its channels are in use, a peer has to go",
		         pcb->local_port);
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	netif_widen(pcb);
	c->listener = l;
	c->connected = true;
	name_peer(c);
	if (task_create("peer", l->serve, &c->chan) == OK)
		return ERR_OK;
	give_up(c);
	return ERR_ABRT;
}

enum err chan_tcp_listen(uint16_t port, unsigned max, void (*serve)(void *chan))
{
	ASSERT(nlisteners < COUNT(listeners));
	struct listener *l = &listeners[nlisteners];
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);

	if (!pcb || tcp_bind(pcb, IP_ANY_TYPE, port) != ERR_OK)
		return fail(ERR_BUSY, "net: port %u cannot be had", port);
	l->pcb = tcp_listen(pcb);
	if (!l->pcb)
		return fail(ERR_NO_MEMORY, "net: no memory to listen on port %u", port);
	tcp_setprio(l->pcb, TCP_PRIO_MAX);
	l->serve = serve;
	l->max = max;
	nlisteners++;
	tcp_arg(l->pcb, l);
	tcp_accept(l->pcb, on_accept);
	return OK;
}
