/* SPDX-License-Identifier: MIT */
/*
 * net/ctl.c - the control service on lwIP: connections, their time limits, and their end.
 *
 * Owns a fixed pool of connections, each with its session (net/session.c), which does the talking.
 * A slow request waits for the task here, which does one after the other; quick ones are done where
 * their last byte arrives.  Responses are sent by reference out of the session's buffer, which
 * stays until they are acknowledged.  At the end the sending side is closed first and what still
 * comes in is thrown away for a while: a reset would take the last response with it (RFC 9112,
 * "Tear-down").
 */
#include "net/ctl.h"

#include <string.h>

#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"
#include "net/lwip_port/lwip.h"
#include "net/rxq.h"
#include "net/session.h"

#define IDLE_MAX_NS     (60 * NS_PER_S)         /* no byte in either direction                 */
#define EVICT_NS        (5 * NS_PER_S)          /* this idle: may be ended for somebody new    */
#define LINGER_MAX_NS   (10 * NS_PER_S)
#define SCAN_NS         (250 * NS_PER_MS)
#define RETRY_NS        (20 * NS_PER_MS)        /* lwIP had no memory, and nothing is in flight */

struct conn {
	bool            used;
	bool            peer_closed;            /* the client says no more                     */
	bool            lingering;              /* we say no more                              */
	struct tcp_pcb *pcb;
	struct rxq      rx;
	uint32_t        unacked;                /* bytes of session's buffer that TCP refers to */
	uint64_t        active_ns;              /* when a byte last moved                      */
	uint64_t        ticket;                 /* its slow request's place in line; 0: none   */
	struct session  session;
};

static struct conn conns[CTL_CONNECTIONS_MAX];
static const struct ctl_route *routes;
static unsigned nroutes;
static uint64_t scan_ns;                        /* when ctl_poll() next looks at everybody     */
static uint64_t tickets;                        /* given out                                   */
static struct event slow_work;                  /* somebody took one                           */

/* --- The end of a connection ----------------------------------------------------------------- */

/*
 * lwIP calls nobody for this pcb any more; whatever happens, an upload does not stay half-made.  A
 * slow request is done all the same: the client may have left before it saw the answer.
 */
static void forget(struct conn *c)
{
	if (c->pcb) {
		tcp_arg(c->pcb, NULL);
		tcp_recv(c->pcb, NULL);
		tcp_sent(c->pcb, NULL);
		tcp_err(c->pcb, NULL);
	}
	c->pcb = NULL;
	rxq_clear(&c->rx);
	if (c->ticket)
		return;
	session_abandon(&c->session);
	c->used = false;
}

/* Both sides are done, or we are tired of waiting. */
static void finish(struct conn *c)
{
	struct tcp_pcb *pcb = c->pcb;
	size_t untaken = c->rx.len;

	/*
	 * TCP still refers to the session's buffer: cut it off rather than send what comes next
	 * there.
	 */
	bool abort = c->unacked > 0;

	forget(c);
	rxq_opened(pcb, untaken);
	if (abort || tcp_close(pcb) != ERR_OK)
		tcp_abort(pcb);
}

static void linger(struct conn *c)
{
	c->lingering = true;
	rxq_opened(c->pcb, c->rx.len);
	rxq_clear(&c->rx);
	tcp_shutdown(c->pcb, 0, 1);
}

/* --- Moving bytes ---------------------------------------------------------------------------- */

static bool feed(struct conn *c)
{
	const uint8_t *data;
	size_t total = 0, len, n;

	while ((len = rxq_front(&c->rx, &data)) > 0) {
		n = session_input(&c->session, data, len);
		if (n == 0)
			break;
		rxq_drop(&c->rx, n);
		total += n;
	}
	rxq_opened(c->pcb, total);
	return total > 0;
}

static bool drain(struct conn *c)
{
	const char *data;
	size_t total = 0, len;

	while ((len = session_output(&c->session, &data)) > 0) {
		u16_t n = (u16_t)MIN(MIN(len, (size_t)tcp_sndbuf(c->pcb)), (size_t)UINT16_MAX);

		if (n == 0 || tcp_write(c->pcb, data, n, 0) != ERR_OK)
			break;
		session_written(&c->session, n);
		c->unacked += n;
		total += n;
	}
	if (total > 0)
		tcp_output(c->pcb);
	if (len > 0 && c->unacked == 0)
		scan_ns = 0;                    /* nobody will wake us: ctl_poll() tries again */
	return total > 0;
}

/* Everything that can be done now.  May end the connection: the caller looks at c->used. */
static void pump(struct conn *c)
{
	bool moved;

	do {
		moved = feed(c);
		moved |= drain(c);
	} while (moved);
	if (session_over(&c->session) && !c->lingering)
		linger(c);
	/* A client that says no more gets its answer, but nothing that is still incomplete. */
	if (c->session.state == SESSION_WORK && !c->ticket) {
		c->ticket = ++tickets;
		event_signal(&slow_work);
	}
	if (c->peer_closed && c->unacked == 0 && c->session.state != SESSION_REPLY && !c->ticket)
		finish(c);
}

/* --- Slow requests --------------------------------------------------------------------------- */

static struct conn *next_in_line(void)
{
	struct conn *first = NULL;

	for (struct conn *c = conns; c < conns + COUNT(conns); c++)
		if (c->used && c->ticket && (!first || c->ticket < first->ticket))
			first = c;
	return first;
}

static void do_slow_requests(void *unused)
{
	(void)unused;
	for (;;) {
		struct conn *c = next_in_line();

		if (!c) {
			event_wait(&slow_work, NEVER_NS);
			continue;
		}
		session_work(&c->session);
		c->ticket = 0;
		c->active_ns = time_now_ns();
		if (c->pcb)
			pump(c);
		else
			forget(c);
	}
}

/* --- What lwIP tells us ---------------------------------------------------------------------- */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct conn *c = arg;

	(void)err;
	c->active_ns = time_now_ns();
	if (!p) {
		c->peer_closed = true;
	} else if (c->lingering) {
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
	} else if (!rxq_append(&c->rx, p)) {
		return ERR_MEM;                 /* lwIP keeps it and offers it again */
	}
	pump(c);
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct conn *c = arg;

	(void)pcb;
	c->active_ns = time_now_ns();
	c->unacked -= MIN(c->unacked, (uint32_t)len);   /* a FIN counts too */
	if (c->unacked == 0)
		session_acked(&c->session);
	pump(c);
	return ERR_OK;
}

/* The pcb is gone already. */
static void on_error(void *arg, err_t err)
{
	struct conn *c = arg;

	(void)err;
	c->pcb = NULL;
	forget(c);
}

/* --- New connections ------------------------------------------------------------------------- */

/* A free place, if need be that of whoever has been silent longest. */
static struct conn *take_place(uint64_t now_ns)
{
	struct conn *quietest = NULL;

	for (struct conn *c = conns; c < conns + COUNT(conns); c++) {
		if (!c->used)
			return c;
		if (!c->ticket && (!quietest || c->active_ns < quietest->active_ns))
			quietest = c;
	}
	if (!quietest || now_ns - quietest->active_ns < EVICT_NS)
		return NULL;
	finish(quietest);
	return quietest;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	uint64_t now_ns = time_now_ns();
	struct conn *c = err == ERR_OK && pcb ? take_place(now_ns) : NULL;

	(void)arg;
	if (!c) {
		if (pcb)
			tcp_abort(pcb);
		return pcb ? ERR_ABRT : ERR_VAL;
	}
	memset(c, 0, offsetof(struct conn, session));
	c->used = true;
	c->pcb = pcb;
	c->active_ns = now_ns;
	session_open(&c->session, routes, nroutes);
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_nagle_disable(pcb);                 /* answers are written whole */
	return ERR_OK;
}

enum err ctl_start(uint16_t port, const struct ctl_route *table, unsigned n)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);

	if (!pcb || tcp_bind(pcb, IP_ANY_TYPE, port) != ERR_OK)
		return fail(ERR_BUSY, "ctl: port %u cannot be had", port);
	pcb = tcp_listen(pcb);
	if (!pcb)
		return fail(ERR_NO_MEMORY, "ctl: no memory to listen on port %u", port);
	tcp_setprio(pcb, TCP_PRIO_MIN);         /* short of memory, clients go before migrations */
	routes = table;
	nroutes = n;
	tcp_accept(pcb, on_accept);
	return task_create("control", do_slow_requests, NULL);
}

/* --- Time ------------------------------------------------------------------------------------ */

static void scan_one(struct conn *c, uint64_t now_ns)
{
	if (c->ticket)                          /* nothing moves: we work on it */
		return;
	/* A turn's time is taken at its beginning; frames that came in it may be younger. */
	uint64_t quiet_ns = now_ns > c->active_ns ? now_ns - c->active_ns : 0;

	if (quiet_ns > (c->lingering ? LINGER_MAX_NS : IDLE_MAX_NS)) {
		finish(c);
		return;
	}
	if (c->unacked == 0 && !c->lingering)
		pump(c);
}

uint64_t ctl_poll(uint64_t now_ns)
{
	if (now_ns < scan_ns)
		return scan_ns;
	scan_ns = now_ns + SCAN_NS;
	for (struct conn *c = conns; c < conns + COUNT(conns); c++)
		if (c->used)
			scan_one(c, now_ns);
	if (scan_ns == 0)                       /* somebody still waits for lwIP's memory */
		scan_ns = now_ns + RETRY_NS;
	return scan_ns;
}
