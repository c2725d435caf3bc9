/* SPDX-License-Identifier: MIT */
/*
 * boot/bench_net.c - how much of the wire TCP gets: frames against a TCP stream, on the same NICs.
 *
 * With `test=net-12` on the command line of two hosts in 10.77.0.0/24, 10.77.0.12 serves and the
 * other measures, in turns: bare frames of an Ethernet type of their own, with a window as large as
 * TCP's, and bytes through lwIP.  The receiver's clock counts, from the first frame or byte to the
 * last.  The result is lines that begin with "bench".
 */
#include "boot/bench_net.h"

#include <string.h>

#include "boot/boot.h"
#include "boot/wire.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"
#include "net/chan_tcp.h"

#define TEST_NAME        "net-"
#define BENCH_PORT       7799
#define ROUNDS           3                      /* frames, TCP, frames, TCP ...      */
#define BENCH_FRAMES     3000                   /* a round                           */
#define BENCH_BYTES      (4 * MIB)
#define CHUNK            (16 * KIB)
#define WAIT_MAX_NS      (120 * NS_PER_S)
#define PEER_MAX_NS      (300 * NS_PER_S)       /* the peer may still be booting     */
#define CREDIT_EVERY     16                     /* frames, between two credits       */
#define CREDIT_MAX_NS    (5 * NS_PER_S)         /* after this, frames were lost      */
#define ETH_TYPE_BENCH   0x88b5                 /* IEEE 802, "Local Experimental"    */
#define FRAME_BENCH_LEN  1514
#define WINDOW           (512 * KIB / FRAME_BENCH_LEN)  /* frames on their way: as much as TCP's */
#define FRAME_CREDIT_LEN 60
#define PER_MILLE        1000

enum ask { ASK_RAW = 1, ASK_TCP, ASK_END };

/* Both ends are the same program on the same kind of machine: a struct will do. */
struct question { uint64_t ask, amount; uint8_t mac[8]; };
struct answer { uint64_t amount, ns; uint8_t mac[8]; };

struct bench_frame {
	uint8_t dst[MAC_LEN], src[MAC_LEN], type[2];
	uint8_t rest[FRAME_BENCH_LEN - FRAME_LEN_MIN];
};
_Static_assert(sizeof(struct bench_frame) == FRAME_BENCH_LEN, "no padding");

static char server[32];
static struct nic *nic;
static nic_receive_fn *next_receive;            /* whose the NIC's frames are otherwise */
static void *next_receive_to;
static struct bench_frame frame;
static uint8_t chunk[CHUNK];
static uint64_t frames_in, first_ns, last_ns;
static struct event frame_came;

/* --- Bare frames ------------------------------------------------------------------------------ */

static void send_bench_frame(uint16_t len)
{
	struct frame f = frame_of(&frame, len);

	nic->ops->send(nic, &f);
}

static void on_frame(void *to, const struct frame *f)
{
	const uint8_t *head = f->part[0].data;

	(void)to;
	if (head[12] != ETH_TYPE_BENCH >> 8 || head[13] != (ETH_TYPE_BENCH & 0xff)) {
		next_receive(next_receive_to, f);
		return;
	}
	last_ns = time_now_ns();
	if (frames_in++ == 0)
		first_ns = last_ns;
	if (f->len == FRAME_BENCH_LEN && frames_in % CREDIT_EVERY == 0)
		send_bench_frame(FRAME_CREDIT_LEN);
	event_signal(&frame_came);
}

static void hook_nic(const uint8_t *peer_mac)
{
	memcpy(frame.dst, peer_mac, MAC_LEN);
	memcpy(frame.src, nic->mac, MAC_LEN);
	frame.type[0] = ETH_TYPE_BENCH >> 8;
	frame.type[1] = ETH_TYPE_BENCH & 0xff;
	frames_in = 0;
	next_receive = nic->receive;
	next_receive_to = nic->receive_to;
	nic->receive = on_frame;
}

static void unhook_nic(void)
{
	nic->receive = next_receive;
}

/* A credit says that CREDIT_EVERY frames arrived; silence, that those on their way are lost. */
static void send_frames(uint64_t n)
{
	uint64_t done = 0;

	for (uint64_t sent = 0; sent < n; sent++) {
		while (sent - done >= WINDOW || nic->ops->room(nic) == 0) {
			bool came = event_wait(&frame_came, time_now_ns() + CREDIT_MAX_NS);

			done = came ? MAX(done, MIN(sent, frames_in * CREDIT_EVERY)) : sent;
		}
		send_bench_frame(FRAME_BENCH_LEN);
	}
}

static struct answer receive_frames(uint64_t n)
{
	uint64_t end_ns = time_now_ns() + WAIT_MAX_NS;

	while (frames_in < n && time_now_ns() < end_ns)
		if (!event_wait(&frame_came, time_now_ns() + 4 * CREDIT_MAX_NS))
			break;
	uint64_t bytes = frames_in ? (frames_in - 1) * FRAME_BENCH_LEN : 0;

	return (struct answer){ bytes, last_ns - first_ns, { 0 } };
}

/* --- The side that serves -------------------------------------------------------------------- */

static struct answer receive_bytes(struct chan *c, uint64_t n)
{
	uint64_t from_ns = 0, got = 0;

	while (got < n) {
		size_t part = (size_t)MIN(n - got, CHUNK);

		if (c->ops->recv(c, chunk, part, time_now_ns() + WAIT_MAX_NS) != OK)
			break;
		got += part;
		if (!from_ns) {
			from_ns = time_now_ns();
			n -= part;              /* the clock starts with the first chunk */
			got = 0;
		}
	}
	return (struct answer){ got, time_now_ns() - from_ns, { 0 } };
}

static bool next_question(struct chan *c, struct question *q)
{
	enum err e = c->ops->recv(c, q, sizeof(*q), time_now_ns() + PEER_MAX_NS);

	return e == OK && q->ask != ASK_END;
}

static bool reply(struct chan *c, struct answer a)
{
	memcpy(a.mac, nic->mac, MAC_LEN);
	enum err e = c->ops->send(c, &a, sizeof(a), time_now_ns() + WAIT_MAX_NS);

	c->ops->flush(c);
	return e == OK;
}

static void serve(void *chan)
{
	struct chan *c = chan;
	struct question q;

	while (next_question(c, &q)) {
		if (!reply(c, (struct answer){ 0 }))    /* "go on", and our address */
			break;
		if (q.ask == ASK_RAW) {
			hook_nic(q.mac);
			struct answer a = receive_frames(q.amount);

			unhook_nic();
			reply(c, a);
		} else {
			reply(c, receive_bytes(c, q.amount));
		}
	}
	c->ops->close(c);
}

/* --- The side that measures ------------------------------------------------------------------ */

static enum err ask(struct chan *c, enum ask what, uint64_t amount, struct answer *go)
{
	struct question q = { .ask = what, .amount = amount };

	memcpy(q.mac, nic->mac, MAC_LEN);
	enum err e = c->ops->send(c, &q, sizeof(q), time_now_ns() + WAIT_MAX_NS);

	return e == OK ? c->ops->recv(c, go, sizeof(*go), time_now_ns() + WAIT_MAX_NS) : e;
}

static enum err add_answer(struct chan *c, struct answer *sum)
{
	struct answer a;
	enum err e = c->ops->recv(c, &a, sizeof(a), time_now_ns() + WAIT_MAX_NS);

	if (e != OK)
		return e;
	sum->amount += a.amount;
	sum->ns += a.ns;
	return OK;
}

static enum err measure_raw(struct chan *c, struct answer *out)
{
	struct answer go;
	enum err e = ask(c, ASK_RAW, BENCH_FRAMES, &go);

	if (e != OK)
		return e;
	hook_nic(go.mac);
	send_frames(BENCH_FRAMES);
	unhook_nic();
	return add_answer(c, out);
}

static enum err measure_tcp(struct chan *c, struct answer *out)
{
	struct answer go;
	enum err e = ask(c, ASK_TCP, BENCH_BYTES, &go);

	for (uint64_t sent = 0; e == OK && sent < BENCH_BYTES; sent += CHUNK)
		e = c->ops->send(c, chunk, CHUNK, time_now_ns() + WAIT_MAX_NS);
	c->ops->flush(c);
	return e == OK ? add_answer(c, out) : e;
}

static uint64_t rate_of(const struct answer *a)
{
	return a->ns ? a->amount * NS_PER_S / a->ns : 0;
}

static void report(const struct answer *raw, const struct answer *tcp)
{
	uint64_t raw_rate = rate_of(raw), tcp_rate = rate_of(tcp);
	uint64_t ratio = raw_rate ? tcp_rate * PER_MILLE / raw_rate : 0;

	log_line("bench raw_rate %lu bytes/s", raw_rate);
	log_line("bench tcp_rate %lu bytes/s", tcp_rate);
	log_line("bench tcp_rate_ratio %lu.%03lu ratio", ratio / PER_MILLE, ratio % PER_MILLE);
	log_line("bench net done: %lu of %u frames came through, TX ring full %lu times",
		 raw->amount / FRAME_BENCH_LEN + ROUNDS, ROUNDS * BENCH_FRAMES, nic->count.tx_full);
}

static void measure(void *arg)
{
	uint64_t end_ns = time_now_ns() + PEER_MAX_NS;
	struct answer raw = { 0 }, tcp = { 0 };
	struct chan *c = NULL;
	enum err e;

	(void)arg;
	do
		e = chan_tcp_connect(server, BENCH_PORT, time_now_ns() + 2 * NS_PER_S, &c);
	while (e != OK && e != ERR_BAD_ARGUMENT && time_now_ns() < end_ns);
	for (unsigned i = 0; e == OK && i < ROUNDS; i++) {
		e = measure_raw(c, &raw);
		if (e == OK)
			e = measure_tcp(c, &tcp);
	}
	if (e == OK)
		report(&raw, &tcp);
	else
		log_line("bench net failed: %s", err_reason());
	if (c)
		c->ops->close(c);
}

/* Our own address with its last number replaced by that of the test's name; true: that is us. */
static bool find_server(const char *number)
{
	const char *own = boot_options.mgmt.ip.address;
	const char *dot = strrchr(own, '.'), *slash = strchr(own, '/');
	int head = dot ? (int)(dot - own) : 0;

	fmt_format(server, sizeof(server), "%.*s.%s", head, own, number);
	return slash && strlen(server) == (size_t)(slash - own) &&
	       memcmp(own, server, (size_t)(slash - own)) == 0;
}

enum err bench_net_start(void)
{
	const struct network *n = wire_network(0);

	if (strncmp(boot_options.test, TEST_NAME, sizeof(TEST_NAME) - 1) != 0)
		return OK;
	if (!n)
		return fail(ERR_BAD_ARGUMENT, "test=%s needs a network", boot_options.test);
	nic = n->nic;
	if (find_server(boot_options.test + sizeof(TEST_NAME) - 1))
		return chan_tcp_listen(BENCH_PORT, 1, serve);
	return task_create("bench", measure, NULL);
}
