/* SPDX-License-Identifier: MIT */
/*
 * mig/visit.c - whoever connects to the migration port: who is it, and is there room?
 *
 *   HELLO: a guest wants to come (mig/dest.c), MIG_INCOMING_MAX at a time
 *   QUERY: a source in doubt asks what became of its guest; answered from memory, at once
 *
 * A connection says in its first record which of the two it is, within MIG_OPEN_NS.  There are more
 * places than guests may come at a time, so that a source in doubt gets its answer while all of
 * those are stuck.  Nothing here takes memory from the host: it may have none left.
 */
#include <string.h>

#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/time.h"
#include "mig/job.h"

_Static_assert(MIG_SERVED_MAX > MIG_INCOMING_MAX, "a place for QUERY when all guests are stuck");
_Static_assert(MIG_INCOMING_MAX < MIGRATIONS_MAX, "guests may leave while others come");

void visit_turn_away(struct visitor *v, enum wire_type answer)
{
	char why[sizeof(((struct mig_status *)0)->result)];

	fmt_format(why, sizeof(why), "%s", err_reason());
	log_line("migration: a connection from %s was refused: %s", v->stream.chan->peer, why);
	stream_send_text(&v->stream, answer, why, time_now_ns() + MIG_GOODBYE_NS);
	stream_close(&v->stream);
}

/* --- QUERY ----------------------------------------------------------------------------------- */

/*
 * The answer, after making sure that it will stay true.  An epoch that was accepted here is
 * remembered until there is no room: one that is not was never accepted, or is forgotten.
 */
static enum wire_type answer(const struct wire_id *id, uint64_t boot_id)
{
	struct mig_memory *k = mig_recall(id);
	struct mig *m = mig_find_incoming(id);

	if (k && k->verdict == VERDICT_RUN)
		return WIRE_RUNNING;
	if (boot_id != mig_node->boot_id || !k || k->verdict == VERDICT_SENT)
		return WIRE_UNKNOWN;
	mig_remember(id, VERDICT_REFUSED);
	if (m) {
		mig_dst_event(m, DST_EV_QUERY);
		ASSERT(m->dst == DST_REFUSED);
		dest_dismiss(m, "the source asked by QUERY before it gave GRANT");
	}
	return WIRE_REFUSED;
}

static void serve_query(struct visitor *v, struct wire_in *body)
{
	uint64_t boot_id = wire_take_u64(body);

	if (wire_take_end(body, "record QUERY") != OK) {
		visit_turn_away(v, WIRE_UNKNOWN);
		return;
	}
	enum wire_type type = answer(&v->stream.id, boot_id);
	uint64_t deadline_ns = time_now_ns() + MIG_GOODBYE_NS;
	log_line("migration: %s asked for epoch %llu of a guest: %s", v->stream.chan->peer,
	         (unsigned long long)v->stream.id.epoch, wire_type_name(type));
	if (type == WIRE_RUNNING) {
		struct wire_out out = stream_body(&v->stream);

		wire_put_u64(&out, 0);
		stream_send(&v->stream, type, &out, deadline_ns);
	} else {
		stream_send_text(&v->stream, type,
				 type == WIRE_REFUSED ?
					 "GRANT did not arrive; the guest will never run here in "
					 "this epoch" :
					 "this host restarted since, or had to forget",
				 deadline_ns);
	}
	stream_close(&v->stream);
}

/* --- A connection ---------------------------------------------------------------------------- */

static enum err greet(struct visitor *v, struct wire_record *rec, struct wire_in *body)
{
	uint64_t deadline_ns = time_now_ns() + MIG_OPEN_NS;
	enum err e = stream_recv_open(&v->stream, deadline_ns);

	if (e == OK)
		e = stream_send_open(&v->stream, deadline_ns);
	if (e == OK)
		e = stream_recv_first(&v->stream, rec, body, deadline_ns);
	if (e == OK && rec->type != WIRE_HELLO && rec->type != WIRE_QUERY)
		e = dest_unexpected(rec);
	return e;
}

static struct visitor *take_place(void)
{
	for (unsigned i = 0; i < MIG_SERVED_MAX; i++)
		if (!mig_node->visitor[i].used)
			return &mig_node->visitor[i];
	return NULL;
}

void mig_serve(void *chan)
{
	struct chan *c = chan;
	struct visitor *v = take_place();
	struct wire_record rec = { 0 };
	struct wire_in body;

	if (!v) {
		log_line("migration: no room to serve %s", c->peer);
		c->ops->close(c);
		return;
	}
	v->used = true;
	v->reasons = (struct reasons){ 0 };
	stream_init(&v->stream, c, v->out, v->in);
	/* REFUSED is an answer to a QUERY: one that arrived damaged must not get it. */
	if (greet(v, &rec, &body) != OK)
		visit_turn_away(v, rec.type == WIRE_HELLO ? WIRE_REFUSED : WIRE_UNKNOWN);
	else if (rec.type == WIRE_HELLO)
		dest_serve(v, &body);
	else
		serve_query(v, &body);
	v->used = false;
}
