/* SPDX-License-Identifier: MIT */
/*
 * tests/host/tcp_frame.h - TCP segments for tests, and whether packets are what one is cut into.
 *
 * Made and read by the drawings in the RFCs, with nothing of what is tested.
 */
#ifndef TESTS_HOST_TCP_FRAME_H
#define TESTS_HOST_TCP_FRAME_H

#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "lib/frame.h"

enum { TF_FIN = 1, TF_SYN = 2, TF_RST = 4, TF_PSH = 8, TF_ACK = 0x10, TF_CWR = 0x80 };
#define TF_HEADER_MAX (18 + 60 + 60)
#define TF_ID         0xfffe            /* so that it goes round */
#define TF_SEQUENCE   0xfffff000u

struct tcp_shape {
	bool     v6, tagged;
	unsigned ip_options, tcp_options;       /* bytes, multiples of 4; options of IPv4 only */
	uint8_t  flags;
	uint32_t payload;
	uint16_t cut;
};

static inline unsigned tf_ip(const struct tcp_shape *s)
{
	return s->tagged ? 18 : 14;
}

static inline unsigned tf_tcp(const struct tcp_shape *s)
{
	return tf_ip(s) + (s->v6 ? 40 : 20 + s->ip_options);
}

static inline unsigned tf_header(const struct tcp_shape *s)
{
	return tf_tcp(s) + 20 + s->tcp_options;
}

static inline uint16_t tf_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void tf_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t tf_get32(const uint8_t *p)
{
	return (uint32_t)tf_get16(p) << 16 | tf_get16(p + 2);
}

/* RFC 1071, section 1, going on from `sum`. */
static inline uint16_t tf_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* RFC 9293, "Header Format", and RFC 8200, "Upper-Layer Checksums". */
static inline uint16_t tf_pseudo(const struct tcp_shape *s, const uint8_t *frame, uint32_t len)
{
	const uint8_t *ip = frame + tf_ip(s);
	uint32_t tcp_len = len - tf_tcp(s);

	return tf_sum(6 + (tcp_len >> 16) + (tcp_len & 0xffff), ip + (s->v6 ? 8 : 12),
		      s->v6 ? 32 : 8);
}

/* The bytes of the segment, which are the same behind a tag; how many. */
static inline uint32_t tf_put(uint8_t *out, const struct tcp_shape *s)
{
	static const uint8_t macs[] = { 0x52, 0x54, 0, 0x77, 1, 2, 0x52, 0x54, 0, 0x77, 1, 1 };
	unsigned ip = tf_ip(s), tcp = tf_tcp(s), header = tf_header(s);
	uint32_t len = header + s->payload;

	for (uint32_t i = 0; i < len - ip; i++)
		out[ip + i] = (uint8_t)(i * 7 + i / 251);
	memcpy(out, macs, sizeof(macs));
	if (s->tagged) {
		tf_put16(out + 12, 0x8100);
		tf_put16(out + 14, 0xe00a);     /* priority 7, VLAN 10 */
	}
	tf_put16(out + ip - 2, s->v6 ? 0x86dd : 0x0800);
	if (s->v6) {
		tf_put16(out + ip, 0x6012);
		tf_put16(out + ip + 4, len - tcp);
		tf_put16(out + ip + 6, 0x0640); /* TCP, 64 hops */
	} else {
		tf_put16(out + ip, 0x4003 | (tcp - ip) / 4 << 8);
		tf_put16(out + ip + 2, len - ip);
		tf_put16(out + ip + 4, TF_ID);
		tf_put16(out + ip + 6, 0x4000); /* not to be made fragments of */
		tf_put16(out + ip + 8, 0x4006);
		tf_put16(out + ip + 10, 0);
		tf_put16(out + ip + 10, (uint16_t)~tf_sum(0, out + ip, tcp - ip));
	}
	tf_put16(out + tcp + 4, TF_SEQUENCE >> 16);
	tf_put16(out + tcp + 6, TF_SEQUENCE & 0xffff);
	tf_put16(out + tcp + 8, 0x5010);        /* would pass for a data offset and flags */
	tf_put16(out + tcp + 12, (header - tcp) / 4 << 12 | s->flags);
	tf_put16(out + tcp + 16, tf_pseudo(s, out, len));
	return len;
}

/* The frame of these bytes in at most `pieces` pieces, each in memory of its own. */
static inline void tf_frame(struct frame *f, const struct tcp_shape *s, const uint8_t *bytes,
			    uint32_t len, unsigned pieces)
{
	unsigned tcp = tf_tcp(s);
	uint32_t done = 0;

	frame_clear(f);
	while (done < len) {
		uint32_t left = len - done, n = left, more = pieces - f->nparts - 1;

		if (more > 0)
			n = (uint32_t)rand() % (rand() % 4 ? MIN(left, 2 * left / more) + 1 :
							     MIN(left, 20u) + 1);
		/* The length of a piece has 16 bits. */
		if (left - MIN(n, (uint32_t)UINT16_MAX) > more * (uint32_t)UINT16_MAX ||
		    n > UINT16_MAX)
			n = MIN(left, (uint32_t)UINT16_MAX);
		uint8_t *piece = malloc(MAX(n, 1));

		assert_non_null(piece);
		memcpy(piece, bytes + done, n);
		frame_add(f, piece, (uint16_t)n);
		done += n;
	}
	f->cut = s->cut;
	f->sum = (struct frame_sum){ true, (uint16_t)tcp, (uint16_t)(tcp + 16) };
}

static inline void tf_free(struct frame *f)
{
	for (unsigned i = 0; i < f->nparts; i++)
		free((void *)f->part[i].data);
	frame_clear(f);
}

/* --- The packets ------------------------------------------------------------------------------ */

/* The packets that `whole`, made by tf_put() of the shape, must become, one after the other. */
struct tf_expect {
	struct tcp_shape shape;
	const uint8_t   *whole;
	uint32_t         done, number;
};

static inline void tf_check_ip(const struct tf_expect *e, const uint8_t *p, uint32_t len)
{
	const struct tcp_shape *s = &e->shape;
	unsigned ip = tf_ip(s);

	if (s->v6) {
		assert_int_equal(tf_get16(p + ip + 4), len - ip - 40);
		return;
	}
	assert_int_equal(tf_get16(p + ip + 2), len - ip);
	assert_int_equal(tf_get16(p + ip + 4), (TF_ID + e->number) & 0xffff);
	assert_int_equal(tf_sum(0, p + ip, tf_tcp(s) - ip), 0xffff);
}

static inline void tf_check_tcp(const struct tf_expect *e, const uint8_t *p, uint32_t payload)
{
	const struct tcp_shape *s = &e->shape;
	uint8_t flags = s->flags;

	if (e->number > 0)
		flags &= (uint8_t)~TF_CWR;
	if (e->done + payload < s->payload)
		flags &= (uint8_t)~(TF_FIN | TF_PSH);
	assert_int_equal(tf_get32(p + tf_tcp(s) + 4), TF_SEQUENCE + e->done);
	assert_int_equal(p[tf_tcp(s) + 13], flags);
}

/* What does not change: all the headers, but for these fields. */
static inline void tf_check_rest(const struct tf_expect *e, const uint8_t *p)
{
	const struct tcp_shape *s = &e->shape;
	const uint8_t *from[2] = { e->whole, p };
	uint8_t head[2][TF_HEADER_MAX];

	for (unsigned i = 0; i < 2; i++) {
		uint8_t *ip = head[i] + tf_ip(s), *tcp = head[i] + tf_tcp(s);

		memcpy(head[i], from[i], tf_header(s));
		if (s->v6) {
			memset(ip + 4, 0, 2);
		} else {
			memset(ip + 2, 0, 4);
			memset(ip + 10, 0, 2);
		}
		memset(tcp + 4, 0, 4);
		tcp[13] = tcp[16] = tcp[17] = 0;
	}
	assert_memory_equal(head[0], head[1], tf_header(s));
}

/* The next packet, whose checksum is in it. */
static inline void tf_check(struct tf_expect *e, const uint8_t *p, uint32_t len)
{
	const struct tcp_shape *s = &e->shape;
	unsigned header = tf_header(s), tcp = tf_tcp(s);
	uint32_t payload = MIN((uint32_t)s->cut, s->payload - e->done);

	assert_true(payload > 0);
	assert_int_equal(len, header + payload);
	tf_check_ip(e, p, len);
	tf_check_tcp(e, p, payload);
	tf_check_rest(e, p);
	assert_int_equal(tf_sum(tf_pseudo(s, p, len), p + tcp, len - tcp), 0xffff);
	assert_memory_equal(p + header, e->whole + header + e->done, payload);
	e->done += payload;
	e->number++;
}

#endif
