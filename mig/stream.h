/* SPDX-License-Identifier: MIT */
/*
 * mig/stream.h - records over a byte channel: numbered, checked, of one guest and epoch.
 */
#ifndef MIG_STREAM_H
#define MIG_STREAM_H

#include "mig/wire.h"
#include "net/chan.h"

#define STREAM_BUF_LEN (WIRE_HEADER_LEN + WIRE_BODY_MAX)

struct stream {
	struct chan   *chan;            /* NULL: closed                        */
	struct wire_id id;              /* every record, out and in, bears it  */
	uint32_t       sequence_out, sequence_in;
	uint64_t       bytes_out, bytes_in;
	uint8_t       *out, *in;        /* borrowed, STREAM_BUF_LEN each       */
};

/* Takes over `give_chan`.  The peer's stream header must arrive before its first record. */
void     stream_init(struct stream *s, struct chan *give_chan, uint8_t *out, uint8_t *in);
void     stream_close(struct stream *s);
/* The same, but what the peer has not received yet never arrives. */
void     stream_abort(struct stream *s);

enum err stream_send_open(struct stream *s, uint64_t deadline_ns);
enum err stream_recv_open(struct stream *s, uint64_t deadline_ns);

/* Where to put the next record's body; valid until stream_send(). */
struct wire_out stream_body(struct stream *s);
enum err stream_send(struct stream *s, enum wire_type type, const struct wire_out *body,
                     uint64_t deadline_ns);
enum err stream_send_text(struct stream *s, enum wire_type type, const char *text,
                          uint64_t deadline_ns);

/*
 * The next record that is known here; unknown optional ones are skipped.  `body` is valid until the
 * next call.  stream_recv_first() is for a connection that somebody else opened: it sets s->id.
 */
enum err stream_recv(struct stream *s, struct wire_record *rec, struct wire_in *body,
                     uint64_t deadline_ns);
enum err stream_recv_first(struct stream *s, struct wire_record *rec, struct wire_in *body,
                           uint64_t deadline_ns);

/* Something arrived that stream_recv() would read. */
bool     stream_readable(const struct stream *s);

/* Stay awake until something arrives: while a guest stands still, sleep costs downtime. */
void     stream_spin(const struct stream *s, uint64_t until_ns);

#endif
