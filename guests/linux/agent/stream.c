/* SPDX-License-Identifier: MIT */
/*
 * stream.c - the guest's end of the record stream (record.h shows it).
 *
 * No timer: the guest owes `factor` records for each one that it received, and sends them as the
 * socket takes them.  Reading stops while much is owed, so memory is bounded and TCP pushes back.
 * After TURNS_MAX records in either direction the others have their turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "record.h"

enum { STREAMS_MAX = 8, OWED_MAX = 4 * RECORD_FACTOR_MAX, TURNS_MAX = 4 };

struct stream {
	int fd;
	bool used, greeted, ended;               /* hello seen; client sent its end of stream */
	uint32_t factor, owed;
	uint32_t verified, errors;
	struct record_flow in, out;
	size_t in_have, out_size, out_done;
	uint8_t in_bytes[sizeof(struct record_header) + RECORD_PAYLOAD_MAX];
	uint8_t out_bytes[sizeof(struct record_header) + RECORD_PAYLOAD_MAX];
};

static struct stream streams[STREAMS_MAX];

struct stream *stream_open(int fd)
{
	for (int i = 0; i < STREAMS_MAX; i++) {
		struct stream *s = &streams[i];
		if (s->used)
			continue;
		*s = (struct stream){ .fd = fd, .used = true };
		return s;
	}
	close(fd);
	return NULL;
}

static int finish(struct stream *s, const char *why)
{
	agent_say("agent: stream ended: %s; %u records good, %u bad, %u sent\n", why, s->verified,
		  s->errors, s->out.sequence);
	close(s->fd);
	s->used = false;
	return 0;
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

short stream_events(const struct stream *s)
{
	bool sending = s->owed || s->out_done < s->out_size;
	bool reading = !s->ended && s->owed < OWED_MAX;

	return (short)((reading ? POLLIN : 0) | (sending ? POLLOUT : 0));
}

static bool take_hello(struct stream *s)
{
	struct record_hello h;

	memcpy(&h, s->in_bytes, sizeof(h));
	if (h.magic != RECORD_HELLO_MAGIC || h.length > RECORD_PAYLOAD_MAX || h.length % 4 ||
	    h.factor > RECORD_FACTOR_MAX)
		return false;
	s->greeted = true;
	s->factor = h.factor;
	s->in = (struct record_flow){ .seed = h.seed ^ RECORD_TO_GUEST, .length = h.length };
	s->out = (struct record_flow){ .seed = h.seed ^ RECORD_TO_CLIENT, .length = h.length };
	return true;
}

static void take_record(struct stream *s)
{
	uint32_t number = s->in.sequence;

	if (record_check(&s->in, s->in_bytes)) {
		s->verified++;
	} else if (!s->errors++) {
		agent_say("agent: stream: record %u is wrong\n", number);
	}
	s->owed += s->factor;
}

/* Read until the socket is empty or enough is owed.  Returns the reason to end, or NULL. */
static const char *receive(struct stream *s)
{
	for (int turn = 0; turn < TURNS_MAX && !s->ended && s->owed < OWED_MAX; turn++) {
		size_t want = s->greeted ? sizeof(struct record_header) + s->in.length
					 : sizeof(struct record_hello);
		ssize_t n = read(s->fd, s->in_bytes + s->in_have, want - s->in_have);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? NULL : strerror(errno);
		if (n == 0) {
			if (s->in_have)
				return "the client stopped inside a record";
			s->ended = true;
			s->owed++;               /* the last word, with the final counts */
			return NULL;
		}
		s->in_have += (size_t)n;
		if (s->in_have < want)
			continue;
		s->in_have = 0;
		if (s->greeted)
			take_record(s);
		else if (!take_hello(s))
			return "bad hello";
	}
	return NULL;
}

static const char *transmit(struct stream *s)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		if (s->out_done == s->out_size) {
			if (!s->owed)
				return s->ended ? "the client is done" : NULL;
			s->owed--;
			s->out_done = 0;
			s->out_size = record_make(&s->out, s->out_bytes,
						  agent_clock_ns(CLOCK_MONOTONIC),
						  s->verified, s->errors);
		}
		ssize_t n = write(s->fd, s->out_bytes + s->out_done, s->out_size - s->out_done);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? NULL : strerror(errno);
		s->out_done += (size_t)n;
	}
	return NULL;
}

int stream_ready(struct stream *s)
{
	const char *why = receive(s);

	if (!why && s->greeted)
		why = transmit(s);
	if (!why && s->ended && !s->greeted)
		why = "the client said nothing";
	return why ? finish(s, why) : 1;
}
