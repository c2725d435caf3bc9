/* SPDX-License-Identifier: MIT */
/*
 * mig/precopy.c - sending memory while the guest runs, and knowing when to stop it.
 *
 * Round 0 sends all RAM.  Every later round sends what was written during the one before.  Before
 * each round we predict how long the guest would stand still if it were stopped now:
 *
 *     (pages left + device state + bytes still unacknowledged) / bandwidth + fixed cost
 *
 * and stop it as soon as that is under the target.  Bandwidth is measured from acknowledged bytes,
 * the fixed cost (stun, harvest, checks, commit) is a moving average over this host's migrations.
 * Called by, and read next: mig/source.c.
 */
#include <string.h>

#include "lib/bitmap.h"
#include "lib/time.h"
#include "mig/job.h"

#define FIXED_FIRST_NS   (10 * NS_PER_MS)        /* before the first migration taught us better   */
#define FIXED_WEIGHT     4                       /* a new measurement counts for one fourth       */
#define RATE_WINDOW_NS   (20 * NS_PER_MS)        /* shorter samples say more about timers         */
#define RATE_WINDOW_BYTES (64 * KIB)
#define RATE_WEIGHT      4
#define RATE_PATIENCE_US 50000                   /* for more acknowledgements after the first     */
#define PAGE_COST        (PAGE_SIZE + 8)         /* bytes on the wire, with index and header      */

/* --- Bandwidth and prediction --------------------------------------------------------------------- */

static void rate_restart(struct mig *m)
{
	m->rate.since_ns = time_now_ns();
	m->rate.since_acked = stream_acked(&m->stream);
}

/* Called while there is more to send, so that an idle link is not taken for a slow one. */
static void rate_sample(struct mig *m)
{
	uint64_t ns = time_now_ns() - m->rate.since_ns;
	uint64_t acked = stream_acked(&m->stream);
	uint64_t bytes = acked > m->rate.since_acked ? acked - m->rate.since_acked : 0;

	if (ns < RATE_WINDOW_NS || bytes < RATE_WINDOW_BYTES)
		return;
	uint64_t now = bytes * NS_PER_MS / (ns / 1000);         /* a window of 18 TB would overflow */
	m->rate.bytes_s = m->rate.bytes_s ? (m->rate.bytes_s * (RATE_WEIGHT - 1) + now) / RATE_WEIGHT : now;
	m->st.rate_bytes_s = m->rate.bytes_s;
	rate_restart(m);
}

static uint64_t transfer_ns(const struct mig *m, uint64_t bytes)
{
	uint64_t rate = MAX(m->rate.bytes_s, 1u);

	return bytes / rate * NS_PER_S + bytes % rate * NS_PER_S / rate;
}

/*
 * A first estimate when round 0 was too short for a sample: wait until what was sent has arrived,
 * and take the best rate seen on the way, because a last acknowledgement may be delayed on purpose.
 */
static enum err rate_first(struct mig *m, uint64_t begin_ns)
{
	uint64_t give_up_ns = time_now_ns() + MIG_SILENCE_NS;

	while (stream_acked(&m->stream) < m->stream.bytes_out) {
		uint64_t acked = stream_acked(&m->stream) - m->rate.since_acked;
		uint64_t us = (time_now_ns() - begin_ns) / NS_PER_US + 1;

		m->rate.bytes_s = MAX(m->rate.bytes_s, acked * (NS_PER_S / NS_PER_US) / us);
		if (m->rate.bytes_s && us > RATE_PATIENCE_US)
			break;
		if (time_now_ns() >= give_up_ns)
			return refuse(ERR_TIMEOUT, "%s acknowledges nothing", m->st.peer);
		enum err e = source_check(m);
		if (e != OK)
			return e;
		event_wait(&m->wake, time_now_ns() + MIG_POLL_NS);
	}
	uint64_t us = (time_now_ns() - begin_ns) / NS_PER_US + 1;
	uint64_t all = (m->stream.bytes_out - m->rate.since_acked) * (NS_PER_S / NS_PER_US) / us;
	if (stream_acked(&m->stream) == m->stream.bytes_out)
		m->rate.bytes_s = MAX(m->rate.bytes_s, all);
	m->st.rate_bytes_s = m->rate.bytes_s;
	return OK;
}

/* What a stop costs beside the transfer. */
static uint64_t fixed_ns(void)
{
	return mig_node->fixed_ns ? mig_node->fixed_ns : FIXED_FIRST_NS;
}

/* How long the guest would stand still if it were stopped now. */
static uint64_t predict_ns(const struct mig *m, uint64_t pages)
{
	uint64_t unacked = m->stream.bytes_out - stream_acked(&m->stream);

	return transfer_ns(m, pages * PAGE_COST + m->sections_size + unacked) + fixed_ns();
}

void precopy_learn(struct mig *m)
{
	const struct mig_round *last = &m->st.round[m->st.nrounds - 1];
	uint64_t transfer = transfer_ns(m, last->bytes) + m->st.part_ns[MIG_PART_verify];
	uint64_t fixed = m->st.downtime_ns > transfer ? m->st.downtime_ns - transfer : 0;

	if (mig_node->fixed_ns)
		fixed = (mig_node->fixed_ns * (FIXED_WEIGHT - 1) + fixed) / FIXED_WEIGHT;
	mig_node->fixed_ns = MAX(fixed, 1u);
}

/* --- One round -------------------------------------------------------------------------------------- */

/* Pages on their way into one record. */
struct batch { unsigned n; uint32_t index[WIRE_PAGES_MAX]; };

static bool is_zero(const void *page)
{
	const uint64_t *word = page;

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

static uint64_t send_deadline_ns(void)
{
	return time_now_ns() + MIG_SILENCE_NS;
}

static enum err send_pages(struct mig *m, struct batch *b)
{
	struct wire_out body = stream_body(&m->stream);

	if (b->n == 0)
		return OK;
	wire_put_u32(&body, b->n);
	for (unsigned i = 0; i < b->n; i++)
		wire_put_u32(&body, b->index[i]);
	for (unsigned i = 0; i < b->n; i++)
		wire_put_bytes(&body, mem_page(&m->vm->mem, b->index[i]), PAGE_SIZE);
	m->st.pages_sent += b->n;
	m->st.payload_bytes += b->n * PAGE_SIZE;
	b->n = 0;
	return stream_send(&m->stream, WIRE_PAGES, &body, send_deadline_ns());
}

static enum err send_zeroes(struct mig *m)
{
	struct wire_out body = stream_body(&m->stream);

	if (m->zeroes->n == 0)
		return OK;
	wire_put_zeroes(&body, m->zeroes);
	m->zeroes->n = 0;
	return stream_send(&m->stream, WIRE_ZEROES, &body, send_deadline_ns());
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
	rate_sample(m);
	if (!m->stopped)
		task_yield();
	return source_check(m);
}

#define ZEROES_BREATH 4096                       /* zero pages looked at in one go */

static enum err send_todo(struct mig *m)
{
	uint64_t n = m->vm->mem.ram_pages, looked = 0;
	struct batch b = { 0 };
	enum err e = OK;

	for (uint64_t i = bitmap_next(m->todo, n, 0); i < n && e == OK; i = bitmap_next(m->todo, n, i + 1)) {
		bitmap_clear(m->todo, i);
		m->st.pages_left--;
		if (is_zero(mem_page(&m->vm->mem, i))) {
			e = add_zero(m, (uint32_t)i);
			if (e == OK && ++looked % ZEROES_BREATH == 0)
				e = breathe(m);
			continue;
		}
		b.index[b.n++] = (uint32_t)i;
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

enum err precopy_send(struct mig *m)
{
	struct mig_round *r = &m->st.round[m->st.nrounds++];
	uint64_t begin_ns = time_now_ns(), bytes = m->stream.bytes_out;
	uint64_t pages = m->st.pages_sent, zero = m->st.zero_pages_sent;
	struct wire_out body = stream_body(&m->stream);

	m->st.pages_left = bitmap_weight(m->todo, m->vm->mem.ram_pages);
	wire_put_u64(&body, m->st.nrounds - 1);
	wire_put_u64(&body, m->st.pages_left);
	rate_restart(m);
	enum err e = stream_send(&m->stream, WIRE_ROUND, &body, send_deadline_ns());
	if (e == OK)
		e = send_todo(m);
	*r = (struct mig_round){ .pages = m->st.pages_sent - pages, .zero_pages = m->st.zero_pages_sent - zero,
	                         .bytes = m->stream.bytes_out - bytes, .ns = time_now_ns() - begin_ns };
	m->st.bytes_sent = m->stream.bytes_out;
	trace_add(&m->vm->trace, TRACE_MIG_ROUND, 0, r->pages + r->zero_pages, r->ns);
	return e;
}

/* --- Rounds until it is time ------------------------------------------------------------------------ */

static enum err not_converged(const struct mig *m)
{
	if (fixed_ns() >= m->params.downtime_max_ns)
		return refuse(ERR_NOT_CONVERGED, "a stop takes about %llu ms here even with nothing left to send; the target was %llu ms",
		              (unsigned long long)(fixed_ns() / NS_PER_MS),
		              (unsigned long long)(m->params.downtime_max_ns / NS_PER_MS));
	return refuse(ERR_NOT_CONVERGED, "after %u rounds the guest would still stand still for %llu ms (target: %llu ms): "
	              "it writes faster than the link carries (%llu KiB/s)", m->st.nrounds,
	              (unsigned long long)(m->st.predicted_downtime_ns / NS_PER_MS),
	              (unsigned long long)(m->params.downtime_max_ns / NS_PER_MS),
	              (unsigned long long)(m->rate.bytes_s / KIB));
}

void precopy_harvest(struct mig *m)
{
	uint64_t began = time_tsc();

	m->st.harvest_pages += dirty_harvest(m->vm, m->todo);
	m->st.harvest_ticks += time_tsc() - began;
}

enum err precopy_run(struct mig *m)
{
	uint64_t ram_pages = m->vm->mem.ram_pages;
	enum err e = dirty_start(m->vm);

	if (e != OK)
		return e;
	m->tracking = true;
	bitmap_fill(m->todo, ram_pages, true);
	while (m->st.nrounds < MIG_ROUNDS_MAX - 1) {            /* the last one is for the stopped guest */
		uint64_t begin_ns = time_now_ns();

		e = precopy_send(m);
		if (e == OK && !m->rate.bytes_s)
			e = rate_first(m, begin_ns);
		if (e != OK)
			return e;
		precopy_harvest(m);
		m->st.pages_left = bitmap_weight(m->todo, ram_pages);
		m->st.predicted_downtime_ns = predict_ns(m, m->st.pages_left);
		if (m->rate.bytes_s && m->st.predicted_downtime_ns <= m->params.downtime_max_ns)
			return OK;
		e = source_check(m);
		if (e != OK)
			return e;
	}
	return not_converged(m);
}
