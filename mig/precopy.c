/* SPDX-License-Identifier: MIT */
/*
 * mig/precopy.c - sending memory while the guest runs, and knowing when to stop it.
 *
 * Round 0 sends all RAM.  Every later round sends what was written during the one before.  After
 * each round we predict how long the guest would stand still if it were stopped now:
 *
 *     (bytes of the pages left + device state) / bandwidth + two round trips + fixed cost
 *
 * and stop it as soon as that is under the target.  A round ends when the peer has put all of it in
 * its place and said so (ACK), so at the stop no queue stands between us and the peer.  The next
 * one begins with a short record on the empty link, which measures the round trip.  The fixed cost
 * (stun, saving, last harvest, commit) is the middle one of this host's last three migrations.
 *
 * A guest that writes faster than the link carries is never caught.  When rounds stop shrinking we
 * halve the time in which its vCPUs run (vm_throttle()), again and again until they shrink.
 * Called by mig/source.c; read next: that, and mig/link.c.
 */
#include <string.h>

#include "lib/bitmap.h"
#include "lib/time.h"
#include "mig/job.h"

#define FIXED_FIRST_NS   (10 * NS_PER_MS)        /* before migrations taught us better            */
#define SAMPLE_NS        (100 * NS_PER_MS)       /* bandwidth within a round: one sample in    */
#define SAMPLE_BYTES     (64 * KIB)              /* shorter rounds say more about round trips */
#define SAMPLE_PAGES     256                     /* looked at to know what those left cost   */
#define STUCK_ROUNDS     2                       /* in a row, before the guest is throttled   */
#define THROTTLE_NS      NS_PER_S                /* to see what one step did before the next  */

/* --- Bandwidth and prediction ---------------------------------------------------------------- */

static void sample_begin(struct mig *m)
{
	m->since_ns = time_now_ns();
	m->since_acked = m->acked;
}

/* Within a long round, so that the operator sees a rate before its end. */
static void sample(struct mig *m)
{
	uint64_t ns = time_now_ns() - m->since_ns;

	if (ns < SAMPLE_NS)
		return;
	link_carried(&m->link, m->acked - m->since_acked, ns);
	m->st.rate_bytes_s = link_bytes_s(&m->link);
	sample_begin(m);
}

/* The rest of a round that has arrived as a whole: its last answer's way back carried nothing. */
static void sample_end(struct mig *m)
{
	uint64_t bytes = m->acked - m->since_acked, ns = time_now_ns() - m->since_ns;

	if (bytes < SAMPLE_BYTES && link_bytes_s(&m->link))
		return;
	link_carried(&m->link, bytes, MAX(ns - MIN(ns / 2, m->link.round_trip_ns), NS_PER_US));
	m->st.rate_bytes_s = link_bytes_s(&m->link);
}

/* Wait until the peer has everything in its place: what fits between us and it, no more. */
static enum err drain(struct mig *m)
{
	uint64_t seen_acked = m->acked, seen_ns = time_now_ns(), end_ns = seen_ns + MIG_DRAIN_NS;

	for (;;) {
		enum err e = source_check(m);

		if (e != OK || m->acked >= m->stream.bytes_out)
			return e;
		uint64_t now_ns = time_now_ns();
		if (m->acked != seen_acked) {
			seen_acked = m->acked;
			seen_ns = now_ns;
		} else if (now_ns - seen_ns > MIG_SILENCE_NS) {
			return refuse(ERR_TIMEOUT, "%s acknowledges nothing", m->st.peer);
		}
		if (now_ns >= end_ns)
			return refuse(ERR_TIMEOUT,
				      "%s is too slow: after %llu s it has not acknowledged %llu "
				      "bytes of a round",
				      m->st.peer, (unsigned long long)(MIG_DRAIN_NS / NS_PER_S),
				      (unsigned long long)(m->stream.bytes_out - m->acked));
		event_wait(&m->wake, now_ns + MIG_POLL_NS);
	}
}

/*
 * What both sides had to do in the last stops: the middle one of three, so one that took very long
 * (a host itself stood still) does not make us refuse all that come.  0: none was measured yet.
 */
static uint64_t fixed_learnt_ns(void)
{
	const uint64_t *f = mig_node->fixed_ns;
	uint64_t middle = MAX(MIN(f[0], f[1]), MIN(MAX(f[0], f[1]), f[2]));

	return middle ? middle : FIXED_FIRST_NS;
}

/*
 * What a stop costs beside the pages: the state, END and READY, GRANT and RUNNING, and what both
 * sides have to do.
 */
static uint64_t fixed_ns(const struct mig *m)
{
	return link_transfer_ns(&m->link, m->sections_size) + 2 * m->link.round_trip_ns +
	       fixed_learnt_ns();
}

/* A page of zeros is part of a run. */
static uint64_t page_cost(uint64_t mask)
{
	return mask ? WIRE_PAGE_HEAD + bitmap_weight(&mask, 64) * WIRE_BLOCK +
			      WIRE_HEADER_LEN / WIRE_PAGES_MAX :
		      sizeof(struct wire_run);
}

/*
 * What the pages left cost on the wire.  How much of a page is zeros differs from guest to guest,
 * and pages that are written all the time are not like the rest: so we look at some of them.
 */
static uint64_t cost_left(const struct mig *m)
{
	uint64_t n = m->vm->mem.ram_pages, looked = 0, bytes = 0, at = 0;

	/* One behind each of so many places, evenly spread. */
	for (unsigned k = 0; k < SAMPLE_PAGES; k++) {
		at = bitmap_next(m->todo, n, MAX(at, n * k / SAMPLE_PAGES));
		if (at == n)
			break;
		bytes += page_cost(wire_page_mask(mem_page(&m->vm->mem, at)));
		looked++;
		at++;
	}
	return looked ? bytes * m->st.pages_left / looked : 0;
}

/* How long the guest would stand still if it were stopped now. */
static uint64_t predict_ns(const struct mig *m)
{
	return link_transfer_ns(&m->link, cost_left(m)) + fixed_ns(m);
}

void precopy_learn(struct mig *m)
{
	uint64_t fixed = m->st.part_ns[MIG_PART_stun] + m->st.part_ns[MIG_PART_state] +
			 m->st.part_ns[MIG_PART_harvest] + m->peer_run_ns;
	uint64_t *f = mig_node->fixed_ns;

	f[2] = f[1];
	f[1] = f[0];
	f[0] = MAX(fixed, 1u);
}

/* --- One round ------------------------------------------------------------------------------- */

/* Pages on their way into one record, and which of their blocks go. */
struct batch { unsigned n; uint32_t index[WIRE_PAGES_MAX]; uint64_t mask[WIRE_PAGES_MAX]; };

static enum err send_pages(struct mig *m, struct batch *b)
{
	struct wire_out body = stream_body(&m->stream);

	if (b->n == 0)
		return OK;
	wire_put_u32(&body, b->n);
	for (unsigned i = 0; i < b->n; i++)
		wire_put_page(&body, b->index[i], b->mask[i],
			      mem_page(&m->vm->mem, b->index[i]));
	m->st.pages_sent += b->n;
	m->st.payload_bytes += b->n * PAGE_SIZE;
	b->n = 0;
	return stream_send(&m->stream, WIRE_PAGES, &body, source_send_end_ns(m));
}

static enum err send_zeroes(struct mig *m)
{
	struct wire_out body = stream_body(&m->stream);

	if (m->zeroes->n == 0)
		return OK;
	wire_put_zeroes(&body, m->zeroes);
	m->zeroes->n = 0;
	return stream_send(&m->stream, WIRE_ZEROES, &body, source_send_end_ns(m));
}

static enum err add_zero(struct mig *m, uint32_t index)
{
	struct wire_zeroes *z = m->zeroes;

	m->st.zero_pages_sent++;
	if (z->n && z->run[z->n - 1].first + z->run[z->n - 1].pages == index) {
		z->run[z->n - 1].pages++;
		return OK;
	}
	enum err e = z->n == WIRE_RANGES_MAX ? send_zeroes(m) : OK;
	z->run[z->n++] = (struct wire_run){ index, 1 };
	return e;
}

/* A full batch has left: let others run, see whether we should go on. */
static enum err breathe(struct mig *m)
{
	sample(m);
	if (m->stopped)
		task_breathe_late();
	else
		task_yield();
	return source_check(m);
}

#define ZEROES_BREATH 4096                       /* zero pages between two looks at the peer */

static enum err send_todo(struct mig *m)
{
	uint64_t n = m->vm->mem.ram_pages, looked = 0;
	struct batch b = { 0 };
	enum err e = OK;

	for (uint64_t i = bitmap_next(m->todo, n, 0); i < n && e == OK;
	     i = bitmap_next(m->todo, n, i + 1)) {
		bitmap_clear(m->todo, i);
		m->st.pages_left--;
		uint64_t mask = wire_page_mask(mem_page(&m->vm->mem, i));
		if (!mask) {
			e = add_zero(m, (uint32_t)i);
			if (++looked % PAGES_PER_STEP == 0 && !m->stopped)
				task_breathe();
			if (e == OK && looked % ZEROES_BREATH == 0)
				e = breathe(m);
			continue;
		}
		b.index[b.n] = (uint32_t)i;
		b.mask[b.n++] = mask;
		if (b.n == WIRE_PAGES_MAX) {
			e = send_pages(m, &b);
			if (e == OK)
				e = breathe(m);
		}
	}
	if (e == OK)
		e = send_pages(m, &b);
	return e == OK ? send_zeroes(m) : e;
}

/* A round's first record.  While the guest runs it goes out alone, and is waited for. */
static enum err announce_round(struct mig *m)
{
	struct wire_out body = stream_body(&m->stream);
	uint64_t begin_ns = time_now_ns();

	m->st.pages_left = bitmap_weight(m->todo, m->vm->mem.ram_pages);
	wire_put_u64(&body, m->st.nrounds - 1);
	wire_put_u64(&body, m->st.pages_left);
	enum err e = stream_send(&m->stream, WIRE_ROUND, &body, source_send_end_ns(m));
	if (e != OK || m->stopped)
		return e;
	e = drain(m);
	if (e == OK)
		link_answered(&m->link, time_now_ns() - begin_ns);
	m->st.round_trip_ns = m->link.round_trip_ns;
	return e;
}

static enum err send_round(struct mig *m)
{
	enum err e = announce_round(m);

	sample_begin(m);
	if (e == OK)
		e = send_todo(m);
	if (e != OK || m->stopped)
		return e;
	e = drain(m);
	if (e == OK)
		sample_end(m);
	return e;
}

enum err precopy_send(struct mig *m)
{
	struct mig_round *r = &m->st.round[m->st.nrounds++];
	uint64_t begin_ns = time_now_ns(), bytes = m->stream.bytes_out;
	uint64_t pages = m->st.pages_sent, zero = m->st.zero_pages_sent;
	enum err e = send_round(m);

	*r = (struct mig_round){ .pages = m->st.pages_sent - pages,
				 .zero_pages = m->st.zero_pages_sent - zero,
				 .bytes = m->stream.bytes_out - bytes,
				 .ns = time_now_ns() - begin_ns };
	m->st.bytes_sent = m->stream.bytes_out;
	trace_add(&m->vm->trace, TRACE_MIG_ROUND, 0, r->pages + r->zero_pages, r->ns);
	return e;
}

/* --- Rounds until it is time ----------------------------------------------------------------- */

static enum err not_converged(const struct mig *m)
{
	if (fixed_ns(m) >= m->params.downtime_max_ns)
		return refuse(ERR_NOT_CONVERGED,
			      "a stop takes about %llu ms here even with nothing left to send; the "
			      "target was %llu ms",
			      (unsigned long long)(fixed_ns(m) / NS_PER_MS),
			      (unsigned long long)(m->params.downtime_max_ns / NS_PER_MS));
	return refuse(
		ERR_NOT_CONVERGED,
		"after %u rounds the guest would still stand still for %llu ms (target: %llu ms): "
		"it writes faster than the link carries (%llu KiB/s)",
		m->st.nrounds, (unsigned long long)(m->st.predicted_downtime_ns / NS_PER_MS),
		(unsigned long long)(m->params.downtime_max_ns / NS_PER_MS),
		(unsigned long long)(link_bytes_s(&m->link) / KIB));
}

void precopy_harvest(struct mig *m)
{
	uint64_t began = time_tsc();

	m->st.harvest_pages += dirty_harvest(m->vm, m->todo);
	m->st.harvest_ticks += time_tsc() - began;
}

/*
 * While a round was sent the guest wrote more than half as many pages: it will hardly be caught.
 * Halving what it may run catches one that is twice too fast in a step or two, and one that is a
 * hundred times too fast in seven.
 */
static void throttle_if_stuck(struct mig *m)
{
	bool shrinks = m->st.pages_left <= m->st.round[m->st.nrounds - 1].pages / 2;

	m->stuck = shrinks ? 0 : m->stuck + 1;
	if (!m->params.throttle || m->stuck < STUCK_ROUNDS)
		return;
	if (m->st.throttle && time_now_ns() - m->throttled_ns < THROTTLE_NS)
		return;
	m->throttled_ns = time_now_ns();
	unsigned may_run = (PERMILLE - m->st.throttle) / 2;
	m->st.throttle = MIN(PERMILLE - may_run, VM_THROTTLE_MAX);
	m->st.throttle_max = m->st.throttle;
	vm_throttle(m->vm, m->st.throttle);
}

enum err precopy_run(struct mig *m)
{
	enum err e = dirty_start(m->vm);

	if (e != OK)
		return e;
	m->tracking = true;
	bitmap_fill(m->todo, m->vm->mem.ram_pages, true);
	while (m->st.nrounds < MIG_ROUNDS_MAX - 1) { /* the last one is for the stopped guest */
		e = precopy_send(m);
		if (e != OK)
			return e;
		precopy_harvest(m);
		m->st.pages_left = bitmap_weight(m->todo, m->vm->mem.ram_pages);
		m->st.predicted_downtime_ns = predict_ns(m);
		if (m->st.predicted_downtime_ns <= m->params.downtime_max_ns)
			return OK;
		throttle_if_stuck(m);
		e = source_check(m);
		if (e != OK)
			return e;
	}
	return not_converged(m);
}
