/* SPDX-License-Identifier: MIT */
/*
 * tests/host/chan_mem.c - a byte channel between two tasks of a test, which can be broken anywhere.
 *
 * What was sent before a break can still be received, as with TCP.
 */
#include "tests/host/chan_mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"
#include "tests/host/support.h"

struct pipe {
	uint8_t      data[2 * CHAN_MEM_WINDOW];
	size_t       from, len;         /* what waits: data[from .. from + len) */
	bool         silent;            /* what is sent disappears                       */
	struct event more, less;
};

struct end {
	struct chan  chan;              /* must be first */
	struct pair *pair;
	unsigned     side;
	bool         hung;              /* by its owner, and the link was dead: nobody heard */
};

#define HELD_MAX 256

struct pair {
	struct end  end[2];
	struct pipe to[2];              /* towards each end     */
	bool        broken;
	unsigned    closed;
	uint8_t     held[HELD_MAX];     /* sent by end 0, on a dead link */
	size_t      held_len;
};

static struct pair *holder;             /* of held bytes */

struct chan_mem_world chan_mem;

static struct end *of(const struct chan *c) { return (struct end *)c; }

static void wake_all(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		event_signal(&p->to[i].more);
		event_signal(&p->to[i].less);
	}
}

static bool is_over(const struct end *e)
{
	return e->pair->broken || e->hung;
}

static enum err lost(const struct chan *c)
{
	return refuse(ERR_LINK_LOST, "%s: the connection broke", c->peer);
}

/* For what this end sends. */
static size_t room(const struct end *e)
{
	size_t window = chan_mem.window && e->side == 0 ? chan_mem.window : CHAN_MEM_WINDOW;
	const struct pipe *p = &e->pair->to[!e->side];

	return window > p->len ? window - p->len : 0;
}

static enum err push(struct end *e, const uint8_t *data, size_t len, uint64_t deadline_ns)
{
	struct pipe *p = &e->pair->to[!e->side];

	while (len) {
		if (is_over(e))
			return lost(&e->chan);
		size_t n = MIN(len, room(e));
		if (!n) {
			if (time_now_ns() >= deadline_ns)
				return refuse(ERR_TIMEOUT, "%s: takes no more data", e->chan.peer);
			event_wait(&p->less, deadline_ns);
			continue;
		}
		if (p->from + p->len + n > sizeof(p->data)) {
			memmove(p->data, p->data + p->from, p->len);
			p->from = 0;
		}
		memcpy(p->data + p->from + p->len, data, n);
		p->len += n;
		data += n;
		len -= n;
		support_now_ns += n * chan_mem.ns_per_kib / KIB;
		event_signal(&p->more);
	}
	return OK;
}

static void cut(struct end *e)
{
	e->pair->broken = true;
	wake_all(e->pair);
}

static enum err send_bent(struct end *e, const uint8_t *data, size_t len, uint64_t deadline_ns)
{
	uint8_t *copy = malloc(len);

	memcpy(copy, data, len);
	copy[chan_mem.flip_offset % len] ^= 1 << chan_mem.flip_offset % 8;
	enum err err = push(e, copy, len, deadline_ns);
	free(copy);
	return err;
}

/* From here on nothing arrives and nobody is told; these bytes may yet. */
static enum err hold(struct end *e, const uint8_t *data, size_t len)
{
	struct pair *p = e->pair;

	ASSERT(e->side == 0 && len <= HELD_MAX);
	memcpy(p->held, data, len);
	p->held_len = len;
	p->to[0].silent = p->to[1].silent = true;
	holder = p;
	return OK;
}

bool chan_mem_heal(void)
{
	struct pair *p = holder;
	bool arrives = p && p->held_len && !p->broken;

	if (arrives) {
		struct pipe *to = &p->to[1];

		ASSERT(to->from + to->len + p->held_len <= sizeof(to->data));
		memcpy(to->data + to->from + to->len, p->held, p->held_len);
		to->len += p->held_len;
		event_signal(&to->more);
	}
	holder = NULL;
	return arrives;
}

static enum err mem_send(struct chan *c, const void *data, size_t len, uint64_t deadline_ns)
{
	struct end *e = of(c);
	enum fault_kind fault = chan_mem.sends++ == chan_mem.at ? chan_mem.fault : FAULT_NONE;

	chan_mem.bytes += len;
	if (chan_mem.tap && of(c)->side == 0 && chan_mem.tap_size - chan_mem.tap_len >= len) {
		memcpy(chan_mem.tap + chan_mem.tap_len, data, len);
		chan_mem.tap_len += len;
	}
	if (is_over(e))
		return lost(c);
	if (e->pair->to[!e->side].silent)
		return OK;
	if (chan_mem.holds && chan_mem.holds())
		return hold(e, data, len);
	switch (fault) {
	case FAULT_CUT_BEFORE:
		cut(e);
		return lost(c);
	case FAULT_CUT_MIDDLE:
		push(e, data, len / 2, deadline_ns);
		cut(e);
		return lost(c);
	case FAULT_CUT_AFTER: {
		enum err err = push(e, data, len, deadline_ns);

		cut(e);
		return err;
	}
	case FAULT_SILENCE:
		e->pair->to[0].silent = e->pair->to[1].silent = true;
		return OK;
	case FAULT_FLIP:
		return send_bent(e, data, len, deadline_ns);
	case FAULT_CALL:
		chan_mem.call();
		return push(e, data, len, deadline_ns);
	default:
		return push(e, data, len, deadline_ns);
	}
}

static enum err mem_recv(struct chan *c, void *to, size_t len, uint64_t deadline_ns)
{
	struct end *e = of(c);
	struct pipe *p = &e->pair->to[e->side];
	uint8_t *out = to;

	while (len) {
		size_t n = MIN(len, p->len);

		memcpy(out, p->data + p->from, n);
		p->from += n;
		p->len -= n;
		out += n;
		len -= n;
		if (n)
			event_signal(&p->less);
		if (!len)
			break;
		if (is_over(e))
			return lost(c);
		if (time_now_ns() >= deadline_ns)
			return refuse(ERR_TIMEOUT, "%s: sends nothing", c->peer);
		event_wait(&p->more, deadline_ns);
	}
	return OK;
}

static void mem_flush(struct chan *c) { (void)c; }

static size_t mem_readable(const struct chan *c)
{
	struct end *e = of(c);
	size_t len = e->pair->to[e->side].len;

	return len ? len : is_over(e);
}

static size_t mem_unacked(const struct chan *c)
{
	struct end *e = of(c);

	return e->pair->to[!e->side].len;
}

static void mem_hang_up(struct chan *c)
{
	struct end *e = of(c);

	if (!e->pair->to[!e->side].silent) {
		cut(e);
		return;
	}
	e->hung = true;
	if (e->side == 0)
		e->pair->held_len = 0;
	wake_all(e->pair);
}

static void mem_close(struct chan *c)
{
	struct pair *p = of(c)->pair;

	ASSERT(chan_mem.open > 0);
	chan_mem.open--;
	/* on a dead link nobody hears the close */
	p->broken = p->broken || !p->to[!of(c)->side].silent;
	wake_all(p);
	if (++p->closed < 2)
		return;
	if (holder == p)
		holder = NULL;
	free(p);
}

static const struct chan_ops mem_ops = {
	.send = mem_send, .recv = mem_recv, .flush = mem_flush, .readable = mem_readable,
	.unacked = mem_unacked, .hang_up = mem_hang_up, .close = mem_close,
};

void chan_mem_pair(const char *name_a, const char *name_b, struct chan **a, struct chan **b)
{
	struct pair *p = calloc(1, sizeof(*p));

	for (unsigned i = 0; i < 2; i++)
		p->end[i] = (struct end){ .chan = { .ops = &mem_ops }, .pair = p, .side = i };
	snprintf(p->end[0].chan.peer, sizeof(p->end[0].chan.peer), "%s", name_b);
	snprintf(p->end[1].chan.peer, sizeof(p->end[1].chan.peer), "%s", name_a);
	chan_mem.open += 2;
	*a = &p->end[0].chan;
	*b = &p->end[1].chan;
}
