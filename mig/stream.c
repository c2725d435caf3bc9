/* SPDX-License-Identifier: MIT */
/*
 * mig/stream.c - one record out, one record in.
 *
 * A record is built in the stream's own buffer, because a page may change while it waits for its
 * turn on the wire: checksum and bytes must be of the same moment.  What arrives is checked in the
 * order in which it can be: header, type, length, identity, number, then the body.
 */
#include "mig/stream.h"

#include <string.h>

#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"

#define SKIPPED_MAX 1000 /* unknown optional records in a row: then the peer is mad */

void stream_init(struct stream *s, struct chan *give_chan, uint8_t *out, uint8_t *in)
{
	*s = (struct stream){ .chan = give_chan, .out = out, .in = in };
}

void stream_close(struct stream *s)
{
	if (s->chan)
		s->chan->ops->close(s->chan);
	s->chan = NULL;
}

void stream_abort(struct stream *s)
{
	if (s->chan)
		s->chan->ops->hang_up(s->chan);
	stream_close(s);
}

static enum err send_bytes(struct stream *s, const void *data, size_t len, uint64_t deadline_ns)
{
	enum err e = s->chan->ops->send(s->chan, data, len, deadline_ns);

	if (e == OK) {
		s->bytes_out += len;
		s->chan->ops->flush(s->chan);
	}
	return e;
}

static enum err recv_bytes(struct stream *s, void *to, size_t len, uint64_t deadline_ns)
{
	enum err e = len ? s->chan->ops->recv(s->chan, to, len, deadline_ns) : OK;

	if (e == OK)
		s->bytes_in += len;
	return e;
}

enum err stream_send_open(struct stream *s, uint64_t deadline_ns)
{
	struct wire_out w = { .buf = s->out, .size = STREAM_BUF_LEN };

	wire_put_stream(&w);
	return send_bytes(s, w.buf, w.len, deadline_ns);
}

enum err stream_recv_open(struct stream *s, uint64_t deadline_ns)
{
	struct wire_in r = { .buf = s->in, .size = WIRE_STREAM_LEN };
	enum err e = recv_bytes(s, s->in, WIRE_STREAM_LEN, deadline_ns);

	return e == OK ? wire_take_stream(&r) : e;
}

struct wire_out stream_body(struct stream *s)
{
	return (struct wire_out){ .buf = s->out + WIRE_HEADER_LEN, .size = WIRE_BODY_MAX };
}

enum err stream_send(struct stream *s, enum wire_type type, const struct wire_out *body,
		     uint64_t deadline_ns)
{
	struct wire_record rec = { .type = type,
				   .length = (uint32_t)body->len,
				   .sequence = s->sequence_out,
				   .id = s->id };

	ASSERT(!body->overflow);
	ASSERT(body->buf == s->out + WIRE_HEADER_LEN);
	wire_put_header(s->out, &rec, body->buf);
	enum err e = send_bytes(s, s->out, WIRE_HEADER_LEN + body->len, deadline_ns);
	if (e == OK)
		s->sequence_out++;
	return e;
}

enum err stream_send_text(struct stream *s, enum wire_type type, const char *text,
			  uint64_t deadline_ns)
{
	struct wire_out body = stream_body(s);

	wire_put_bytes(&body, text, strnlen(text, WIRE_REASON_MAX));
	return stream_send(s, type, &body, deadline_ns);
}

static enum err recv_one(struct stream *s, struct wire_record *rec, bool first,
			 uint64_t deadline_ns)
{
	uint8_t *body = s->in + WIRE_HEADER_LEN;
	enum err e = recv_bytes(s, s->in, WIRE_HEADER_LEN, deadline_ns);

	if (e == OK)
		e = wire_take_header(s->in, rec);
	if (e != OK)
		return e;
	if (first)
		s->id = rec->id;
	if (memcmp(rec->id.uuid, s->id.uuid, sizeof(s->id.uuid)) != 0 ||
	    rec->id.epoch != s->id.epoch)
		return refuse(ERR_BAD_FORMAT, "record %s: it is of another guest or epoch",
			      wire_type_name(rec->type));
	if (rec->sequence != s->sequence_in)
		return refuse(ERR_BAD_FORMAT, "record %s: number %u comes instead of %u",
			      wire_type_name(rec->type), rec->sequence, s->sequence_in);
	s->sequence_in++;
	e = recv_bytes(s, body, rec->length, deadline_ns);
	return e == OK ? wire_check_body(rec, body) : e;
}

enum err stream_recv(struct stream *s, struct wire_record *rec, struct wire_in *body,
		     uint64_t deadline_ns)
{
	for (unsigned skipped = 0; skipped < SKIPPED_MAX; skipped++) {
		enum err e = recv_one(s, rec, false, deadline_ns);

		if (e != OK)
			return e;
		if (!wire_type_known(rec->type))
			continue;
		*body = (struct wire_in){ .buf = s->in + WIRE_HEADER_LEN, .size = rec->length };
		return OK;
	}
	return refuse(ERR_BAD_FORMAT, "%d unknown records in a row", SKIPPED_MAX);
}

enum err stream_recv_first(struct stream *s, struct wire_record *rec, struct wire_in *body,
			   uint64_t deadline_ns)
{
	enum err e = recv_one(s, rec, true, deadline_ns);

	*body = (struct wire_in){ .buf = s->in + WIRE_HEADER_LEN, .size = rec->length };
	return e;
}

bool stream_readable(const struct stream *s)
{
	return s->chan->ops->readable(s->chan) > 0;
}

void stream_spin(const struct stream *s, uint64_t until_ns)
{
	while (!stream_readable(s) && time_now_ns() < until_ns)
		task_yield();
}
