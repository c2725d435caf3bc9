/* SPDX-License-Identifier: MIT */
/*
 * mig/source.c - the sending side of a migration: one task, from HELLO to RUNNING or back.
 *
 *   ask -> precopy_run() -> stop -> grant -> release
 *                |            |        \-> doubt: QUERY until the peer or the operator answers
 *                \------------\----> go on: the guest runs here as if nothing had happened
 *
 * What may happen when is in mig/state.c; this file does it.  Until GRANT is handed to the channel
 * every failure ends in "go on".  From then on only the peer's word, or the operator's, moves us.
 * Read next: mig/precopy.c, mig/dest.c.
 */
#include <string.h>

#include "lib/bitmap.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/time.h"
#include "mig/job.h"

#define HASH_PATIENCE 4                 /* the peer may be so many times slower */
#define ACKS_AT_ONCE  64                /* taken between two looks at whether to go on */

void source_part(struct mig *m, enum mig_part part)
{
	uint64_t now_ns = time_now_ns();

	m->st.part_ns[part] += now_ns - m->mark_ns;
	m->mark_ns = now_ns;
}

/* --- Hearing the peer ------------------------------------------------------------------------ */

/* Text of a REFUSED or UNKNOWN, for people: printable, and no longer in JSON than it is here. */
static void copy_reason(char *to, size_t size, const struct wire_in *body)
{
	size_t n = MIN(size - 1, body->size);

	for (size_t i = 0; i < n; i++) {
		uint8_t c = body->buf[i];
		to[i] = c == '"' ? '\'' : c < ' ' || c > '~' || c == '\\' ? '?' : (char)c;
	}
	to[n] = 0;
}

/* Not the record that we wanted: a refusal, which is always possible, or nonsense. */
static enum err take_no(struct mig *m, uint32_t type, const struct wire_in *body,
			const char *wanted)
{
	char why[sizeof(m->st.result)];

	if (type != WIRE_REFUSED && type != WIRE_UNKNOWN)
		return refuse(ERR_BAD_FORMAT, "%s sent %s instead of %s", m->st.peer,
			      wire_type_name(type), wanted);
	copy_reason(why, sizeof(why), body);
	if (type == WIRE_UNKNOWN)
		return refuse(ERR_REFUSED, "%s cannot say: %s", m->st.peer, why);
	m->refused = true;
	return refuse(ERR_REFUSED, "%s refused: %s", m->st.peer, why);
}

static enum err expect(struct mig *m, uint32_t type, const struct wire_in *body,
		       enum wire_type want)
{
	return type == want ? OK : take_no(m, type, body, wire_type_name(want));
}

static enum err take_ack(struct mig *m, struct wire_in *body)
{
	uint64_t acked = wire_take_u64(body);
	enum err e = wire_take_end(body, "record ACK");

	if (e == OK && (acked <= m->acked || acked > m->stream.bytes_out))
		e = refuse(ERR_BAD_FORMAT, "record ACK: %llu bytes after %llu, of %llu sent",
			   (unsigned long long)acked, (unsigned long long)m->acked,
			   (unsigned long long)m->stream.bytes_out);
	if (e == OK)
		m->acked = acked;
	return e;
}

uint64_t source_send_end_ns(const struct mig *m)
{
	uint64_t now_ns = time_now_ns();

	return m->stopped ? MIN(now_ns + MIG_STUNNED_NS, m->stop_end_ns) : now_ns + MIG_SILENCE_NS;
}

/* A link or a peer that was fast enough when the guest was stopped may have become slow. */
static enum err check_stop(const struct mig *m)
{
	uint64_t now_ns = time_now_ns();

	if (!m->stopped || now_ns < m->stop_end_ns)
		return OK;
	return refuse(ERR_NOT_CONVERGED,
		      "the guest stands still for %llu ms already (target: %llu ms): the link or "
		      "the peer has become slow",
		      (unsigned long long)((now_ns - m->stop_ns) / NS_PER_MS),
		      (unsigned long long)(m->params.downtime_max_ns / NS_PER_MS));
}

/* Its first byte is here: nobody is asked meanwhile whether we should go on. */
static uint64_t record_end_ns(const struct mig *m)
{
	uint64_t end_ns = time_now_ns() + MIG_RECORD_NS;

	return m->stopped ? MIN(end_ns, m->stop_end_ns) : end_ns;
}

enum err source_check(struct mig *m)
{
	struct wire_record rec;
	struct wire_in body;

	if (m->cancel)
		return refuse(ERR_CANCELLED, "cancelled");
	if (m->params.timeout_ns && time_now_ns() - m->st.started_ns > m->params.timeout_ns)
		return refuse(ERR_CANCELLED, "cancelled: not done after %llu s",
			      (unsigned long long)(m->params.timeout_ns / NS_PER_S));
	if (m->vm->run != VM_RUNNING)
		return refuse(ERR_CANCELLED, "the guest ended on the way: %s", m->vm->why);
	enum err e = check_stop(m);
	uint64_t end_ns = record_end_ns(m);
	/* Unasked, the peer only acknowledges, or refuses. */
	for (unsigned n = 0; e == OK && n < ACKS_AT_ONCE && stream_readable(&m->stream); n++) {
		e = stream_recv(&m->stream, &rec, &body, end_ns);
		if (e == OK)
			e = rec.type == WIRE_ACK ? take_ack(m, &body) :
						   take_no(m, rec.type, &body, "ACK");
	}
	return e;
}

/* Wait for a record that is no ACK; until GRANT has left, a cancel ends the wait. */
static enum err await(struct mig *m, struct wire_record *rec, struct wire_in *body,
		      uint64_t deadline_ns)
{
	uint64_t awake_until_ns = m->stopped ? time_now_ns() + MIG_SPIN_NS : 0;

	for (;;) {
		stream_spin(&m->stream, awake_until_ns);
		if (stream_readable(&m->stream)) {
			enum err e = stream_recv(&m->stream, rec, body,
						 MIN(deadline_ns, time_now_ns() + MIG_RECORD_NS));

			if (e != OK || rec->type != WIRE_ACK)
				return e;
			e = take_ack(m, body);
			if (e != OK)
				return e;
		}
		if (m->cancel && mig_tables.src_next[m->src][SRC_EV_CANCEL])
			return refuse(ERR_CANCELLED, "cancelled");
		if (time_now_ns() >= deadline_ns)
			return refuse(ERR_TIMEOUT, "%s does not answer", m->st.peer);
		if (!stream_readable(&m->stream))
			event_wait(&m->wake, MIN(deadline_ns, time_now_ns() + MIG_POLL_NS));
	}
}

/*
 * A peer that refuses and hangs up while we send: its reason says more than the broken
 * connection.
 */
static enum err last_words(struct mig *m, enum err e)
{
	struct wire_record rec;
	struct wire_in body;

	if (e != ERR_LINK_LOST || !m->stream.chan)
		return e;
	mig_note(m, e);
	uint64_t until_ns = time_now_ns() + MIG_GOODBYE_NS;
	do {
		if (stream_recv(&m->stream, &rec, &body, until_ns) != OK)
			return e;
	} while (rec.type == WIRE_ACK && time_now_ns() < until_ns);
	if (rec.type != WIRE_REFUSED)
		return e;
	m->st.result[0] = 0;
	return take_no(m, rec.type, &body, "nothing");
}

/* --- Asking ---------------------------------------------------------------------------------- */

static size_t sections_bytes(struct vm *vm)
{
	struct section_ref ref;
	size_t bytes = 0;

	for (unsigned i = 0; vm_section(vm, i, &ref); i++)
		bytes += SECTION_HEAD_LEN + section_len(ref.section);
	return bytes;
}

static enum err take_memory(struct mig *m)
{
	size_t bitmap = BITMAP_WORDS(m->vm->mem.ram_pages) * sizeof(uint64_t);
	size_t sections = sections_bytes(m->vm);
	size_t slack = KIB;                              /* rounding of each piece */
	enum err e = mig_work_get(m, 2 * STREAM_BUF_LEN + bitmap + sections + sizeof(*m->hello) +
					     sizeof(*m->zeroes) +
					     WIRE_SECTIONS_MAX * sizeof(*m->ref) + slack);

	if (e != OK)
		return e;
	m->stream.out = mig_work_take(m, STREAM_BUF_LEN);
	m->stream.in = mig_work_take(m, STREAM_BUF_LEN);
	m->todo = mig_work_take(m, bitmap);
	m->sections = mig_work_take(m, sections);
	m->sections_size = sections;
	m->st.state_bytes = sections;
	m->hello = mig_work_take(m, sizeof(*m->hello));
	m->zeroes = mig_work_take(m, sizeof(*m->zeroes));
	m->ref = mig_work_take(m, WIRE_SECTIONS_MAX * sizeof(*m->ref));
	return mig_list_sections(m);
}

static enum err send_hello(struct mig *m)
{
	struct hello *h = m->hello;
	struct wire_out body = stream_body(&m->stream);

	h->config = m->vm->config;
	h->cpuid = m->vm->cpuid;
	h->tsc_khz = m->vm->clock.tsc_khz;
	h->downtime_max_ns = m->params.downtime_max_ns;
	h->verify = m->params.verify;
	h->nsections = m->nref;
	for (unsigned i = 0; i < m->nref; i++)
		h->section[i] = section_head_of(&m->ref[i]);
	hello_put(&body, h);
	return stream_send(&m->stream, WIRE_HELLO, &body, time_now_ns() + MIG_SILENCE_NS);
}

/* Opens a connection for records of this guest and epoch. */
static enum err connect_peer(struct mig *m)
{
	struct wire_id id = m->stream.id;
	struct chan *chan;
	enum err e = mig_hooks.connect(m->params.to, time_now_ns() + MIG_CONNECT_NS, &chan);

	if (e != OK)
		return e;
	stream_init(&m->stream, chan, m->stream.out, m->stream.in);
	m->stream.id = id;
	return stream_send_open(&m->stream, time_now_ns() + MIG_SILENCE_NS);
}

static enum err ask(struct mig *m)
{
	struct wire_record rec;
	struct wire_in body;
	enum err e = take_memory(m);

	mig_src_event(m, SRC_EV_START);
	if (e == OK)
		e = connect_peer(m);
	if (e == OK)
		e = send_hello(m);
	if (e == OK)
		e = stream_recv_open(&m->stream, time_now_ns() + MIG_OPEN_NS);
	if (e == OK)
		e = await(m, &rec, &body, time_now_ns() + MIG_ACCEPT_NS);
	if (e == OK)
		e = expect(m, rec.type, &body, WIRE_ACCEPT);
	if (e != OK)
		return e;
	m->peer_boot_id = wire_take_u64(&body);
	e = wire_take_end(&body, "record ACCEPT");
	if (e == OK)
		mig_src_event(m, SRC_EV_ACCEPTED);
	return e;
}

/* --- Stopping the guest and sending the rest ------------------------------------------------- */

static void save_sections(struct mig *m)
{
	struct wire_out w = { .buf = m->sections, .size = m->sections_size };

	for (unsigned i = 0; i < m->nref; i++)
		section_save(&m->ref[i], &w);
	ASSERT(!w.overflow);
}

static enum err send_sections(struct mig *m)
{
	const uint8_t *p = m->sections;
	enum err e = OK;

	for (unsigned i = 0; i < m->nref && e == OK; i++) {
		struct wire_out body = stream_body(&m->stream);
		size_t len = SECTION_HEAD_LEN + section_len(m->ref[i].section);

		wire_put_bytes(&body, p, len);
		p += len;
		e = stream_send(&m->stream, WIRE_SECTION, &body, source_send_end_ns(m));
		if (e == OK)
			e = source_check(m);
	}
	return e;
}

static enum err send_end(struct mig *m)
{
	struct wire_out body = stream_body(&m->stream);

	wire_put_u64(&body, m->st.pages_sent);
	wire_put_u64(&body, m->st.zero_pages_sent);
	wire_put_u32(&body, m->nref);
	wire_put_u32(&body, m->params.verify);
	return stream_send(&m->stream, WIRE_END, &body, source_send_end_ns(m));
}

/*
 * Hash and send the hash.  The peer began with its own when END arrived.  Who asks for this accepts
 * that the guest stands still for it, and the peer may take longer than we did.
 */
static enum err send_verify(struct mig *m)
{
	struct wire_out body = stream_body(&m->stream);
	uint64_t begin_ns = time_now_ns();

	mig_hash_ram(m);
	m->stop_end_ns += (1 + HASH_PATIENCE) * (time_now_ns() - begin_ns);
	wire_put_bytes(&body, m->st.ram_hash, RAMHASH_LEN);
	return stream_send(&m->stream, WIRE_VERIFY, &body, source_send_end_ns(m));
}

static enum err stop(struct mig *m)
{
	m->stop_ns = m->mark_ns = time_now_ns();
	m->stop_end_ns = m->stop_ns + m->params.downtime_max_ns + MIG_STOP_OVER_NS;
	enum err e = vm_stun(m->vm);
	if (e != OK)
		return e;
	m->stopped = true;
	mig_src_event(m, SRC_EV_CONVERGED);
	source_part(m, MIG_PART_stun);

	/* Saving a device may write guest RAM: the last harvest comes after it. */
	save_sections(m);
	source_part(m, MIG_PART_state);
	precopy_harvest(m);
	source_part(m, MIG_PART_harvest);

	e = source_check(m);
	if (e == OK)
		e = precopy_send(m);
	if (e == OK)
		e = send_sections(m);
	if (e == OK)
		e = send_end(m);
	source_part(m, MIG_PART_pages);
	if (e == OK && m->params.verify)
		e = send_verify(m);
	source_part(m, MIG_PART_verify);
	m->st.bytes_sent = m->stream.bytes_out;
	return e;
}

/* The peer has staged and checked everything. */
static enum err await_ready(struct mig *m)
{
	uint8_t hash[RAMHASH_LEN];
	struct wire_record rec;
	struct wire_in body;
	uint64_t patience_ns = MIG_STUNNED_NS + HASH_PATIENCE * m->st.part_ns[MIG_PART_verify];
	enum err e = await(m, &rec, &body, MIN(time_now_ns() + patience_ns, m->stop_end_ns));

	if (e == OK)
		e = expect(m, rec.type, &body, WIRE_READY);
	if (e != OK)
		return e;
	wire_take_bytes(&body, hash, sizeof(hash));
	e = wire_take_end(&body, "record READY");
	if (e == OK && m->params.verify && memcmp(hash, m->st.ram_hash, sizeof(hash)) != 0)
		e = refuse(ERR_BAD_FORMAT,
			   "the peer's RAM differs from ours although it says READY");
	if (e == OK && m->cancel)
		e = refuse(ERR_CANCELLED, "cancelled");
	return e;
}

/* One time for all of it: who waited when it was over says less than that it is. */
static enum err stop_until_ready(struct mig *m)
{
	enum err e = stop(m);

	if (e == OK)
		e = await_ready(m);
	if (e == ERR_TIMEOUT && check_stop(m) != OK)
		e = ERR_NOT_CONVERGED;
	return e;
}

/* --- The point of no return ------------------------------------------------------------------ */

/*
 * `direct`: in answer to GRANT, so that we know how long the peer took at most.  The guest ran
 * before RUNNING was on its way: of the time since GRANT left, what the peer did not need itself is
 * a round trip, and only the way there belongs to the stop.  The peer moves the guest's clock by
 * the same rule.
 */
static void running(struct mig *m, struct wire_in *body, uint64_t grant_ns, bool direct)
{
	uint64_t took_ns = wire_take_u64(body);

	if (!mig_src_event(m, SRC_EV_RUNNING))
		return;
	if (direct) {
		source_part(m, MIG_PART_run);
		uint64_t *run_ns = &m->st.part_ns[MIG_PART_run];
		m->peer_run_ns = MIN(took_ns, *run_ns);
		*run_ns = m->peer_run_ns + (*run_ns - m->peer_run_ns) / 2;
	}
	m->st.downtime_ns = grant_ns - m->stop_ns + m->st.part_ns[MIG_PART_run];
}

static enum err send_grant(struct mig *m, uint64_t ready_ns)
{
	struct wire_out body = stream_body(&m->stream);
	uint64_t now_ns = time_now_ns();

	wire_put_u64(&body, now_ns - m->stop_ns);
	wire_put_u64(&body, now_ns - ready_ns);
	return stream_send(&m->stream, WIRE_GRANT, &body, now_ns + MIG_RUNNING_NS);
}

static void grant(struct mig *m)
{
	struct wire_record rec;
	struct wire_in body;

	/* First the state, then the bytes: a send that fails may still have delivered them. */
	bool legal = mig_src_event(m, SRC_EV_READY);
	ASSERT(legal);
	enum err e = send_grant(m, time_now_ns());
	source_part(m, MIG_PART_grant);
	uint64_t grant_ns = m->mark_ns;
	if (e == OK)
		e = await(m, &rec, &body, grant_ns + MIG_RUNNING_NS);
	if (e == OK)
		e = expect(m, rec.type, &body, WIRE_RUNNING);
	if (e == OK) {
		running(m, &body, grant_ns, true);
		return;
	}
	mig_note(m, last_words(m, e));
	/*
	 * A GRANT that still waits in the channel's buffers would be sent again for as long as they
	 * live, perhaps after the operator has said that the guest is ours.
	 */
	stream_abort(&m->stream);
	mig_src_event(m, m->refused ? SRC_EV_NOT_RUN : SRC_EV_LOST);
}

/* Ask once more on a new connection.  Whatever goes wrong leaves us in doubt. */
static enum err query(struct mig *m)
{
	struct wire_record rec;
	struct wire_in body;
	enum err e = connect_peer(m);

	if (e != OK)
		return e;
	struct wire_out question = stream_body(&m->stream);
	wire_put_u64(&question, m->peer_boot_id);
	e = stream_send(&m->stream, WIRE_QUERY, &question, time_now_ns() + MIG_OPEN_NS);
	if (e == OK)
		e = stream_recv_open(&m->stream, time_now_ns() + MIG_OPEN_NS);
	if (e == OK)
		e = stream_recv(&m->stream, &rec, &body, time_now_ns() + MIG_OPEN_NS);
	if (e != OK)
		return e;
	e = expect(m, rec.type, &body, WIRE_RUNNING);
	if (e == OK)
		running(m, &body, m->mark_ns, false);
	else if (m->refused)
		mig_src_event(m, SRC_EV_NOT_RUN);
	return e;
}

static void say_doubt(struct mig *m)
{
	char why[120];

	fmt_format(why, sizeof(why), "%s", err_reason());
	fmt_format(m->st.result, sizeof(m->st.result),
		   "in doubt: the peer may run the guest; it stands still here until the peer "
		   "answers (%s)",
		   why);
}

static void doubt(struct mig *m)
{
	uint64_t pause_ns = MIG_QUERY_FIRST_NS;

	say_doubt(m);
	log_line("migration %u of %s: GRANT left and no answer came; asking %s", m->st.id, m->st.vm,
		 m->st.peer);
	while (m->src == SRC_DOUBT) {
		stream_close(&m->stream);
		enum err e = query(m);
		if (m->src != SRC_DOUBT) {
			m->st.result[0] = 0;
			mig_note(m, e);
			return;
		}
		say_doubt(m);
		stream_close(&m->stream);
		event_wait(&m->wake, time_now_ns() + pause_ns);
		pause_ns = MIN(pause_ns * 2, MIG_QUERY_MAX_NS);
		if (m->word == WORD_NONE)
			continue;
		mig_src_event(m, m->word == WORD_OURS ? SRC_EV_OURS : SRC_EV_THEIRS);
		fmt_format(m->st.result, sizeof(m->st.result),
			   "the operator decided that the guest runs %s",
			   m->word == WORD_OURS ? "here" : "at the peer");
	}
}

/* --- Ends ------------------------------------------------------------------------------------ */

/* As if nothing had happened, except that time has passed. */
static void go_on(struct mig *m)
{
	ASSERT(mig_tables.src_owns[m->src] == OWN_RUNS);
	m->st.throttle = 0;
	vm_throttle(m->vm, 0);
	if (m->stopped) {
		m->st.downtime_ns = time_now_ns() - m->stop_ns;
		vm_unstun(m->vm, m->st.downtime_ns);
	}
	if (m->tracking)
		dirty_stop(m->vm);
	m->vm->owner = NULL;
	mig_end(m, false, NULL);
}

static void release(struct mig *m)
{
	struct vm *vm = m->vm;
	bool by_operator = m->word == WORD_THEIRS;

	m->st.throttle = 0;
	if (m->peer_run_ns)
		precopy_learn(m);
	vm->run = VM_MOVED;
	vm->owner = NULL;
	mig_end(m, true, by_operator ? NULL : "ok");
	vm_delete(vm);
}

/* Before GRANT: tell the peer, and keep the guest. */
static void abandon(struct mig *m, enum err why)
{
	enum err e = mig_note(m, last_words(m, why));

	mig_src_event(m, m->refused                                   ? SRC_EV_NOT_RUN :
			 e == ERR_CANCELLED || e == ERR_NOT_CONVERGED ? SRC_EV_CANCEL :
									SRC_EV_LOST);
	if (m->stream.chan && !m->refused)
		stream_send_text(&m->stream, WIRE_CANCEL, m->st.result,
				 time_now_ns() + MIG_GOODBYE_NS);
}

void source_run(void *arg)
{
	struct mig *m = arg;
	enum err e = ask(m);

	if (e == OK)
		e = precopy_run(m);
	if (e == OK)
		e = stop_until_ready(m);
	if (e == OK) {
		grant(m);
		if (m->src == SRC_DOUBT)
			doubt(m);
	} else {
		abandon(m, e);
	}
	if (m->src == SRC_RELEASED)
		release(m);
	else
		go_on(m);
}
