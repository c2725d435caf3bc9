/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_chan_tcp.c - channels on the real lwIP: how a connection ends when the peer has
 * said more than anybody took, and what a burst that was lost costs.
 *
 * Both ends live in one lwIP with an interface that leads back to itself.  The far end is lwIP's
 * raw API and looks at what arrives.
 */
#include "tests/host/support.h"

#include <lwip/prot/tcp.h>
#include <string.h>

#include "lib/config.h"
#include "lib/task.h"
#include "lib/time.h"
#include "net/chan_tcp.h"
#include "net/lwip_port/lwip.h"
#include <lwip/priv/tcp_priv.h>
#include "net/netif.h"
#include "net/rxq.h"

#define PORT            7700
#define TCP_FLAGS_AT    13              /* RFC 9293, "Header Format" */
#define TCP_FLAG_RST    4
#define WIDE_MSS        (40 * LWIP_PORT_MSS)
#define DATA_LEN_MIN    1000            /* whole segments, not ACKs   */

/* --- A wire from and to ourselves ------------------------------------------------------------ */

static struct netif wire;
static struct pbuf *on_wire[4096];
static unsigned first, last, resets;
static unsigned longest;                        /* of the packets             */
static unsigned ndata, nlost;                   /* segments with data; lost of them */
static bool (*lose)(unsigned nth);              /* of these: is it lost?            */

static err_t send_packet(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	(void)n;
	(void)to;
	const uint8_t *ip = p->payload, *tcp = ip + (ip[0] & 0xf) * 4;

	longest = MAX(longest, (unsigned)p->tot_len);
	resets += (tcp[TCP_FLAGS_AT] & TCP_FLAG_RST) != 0;
	if (p->tot_len > DATA_LEN_MIN && lose && lose(ndata++)) {
		nlost++;
		return ERR_OK;
	}
	on_wire[last++ % COUNT(on_wire)] = pbuf_clone(PBUF_RAW, PBUF_POOL, p);
	return ERR_OK;
}

/* As net/netif.c does it for a card that cuts segments. */
static bool wide;
void netif_widen(struct tcp_pcb *pcb)
{
	if (!wide)
		return;
	pcb->mss = WIDE_MSS;
	pcb->cwnd = 2 * WIDE_MSS;
}

static err_t wire_up(struct netif *n)
{
	n->name[0] = 'w';
	n->mtu = 1500;
	n->output = send_packet;
	n->flags = NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

/* Everything arrives, until nobody has anything to say. */
static void deliver(void)
{
	while (first != last) {
		struct pbuf *p = on_wire[first++ % COUNT(on_wire)];

		if (p && wire.input(p, &wire) != ERR_OK)
			pbuf_free(p);
	}
}

static void pass(uint64_t ns)
{
	for (uint64_t end = support_now_ns + ns; support_now_ns < end;) {
		support_now_ns += 50 * NS_PER_MS;
		sys_check_timeouts();
		deliver();
	}
}

/* --- Tasks: only what a channel needs -------------------------------------------------------- */

static struct chan *served;

enum err task_create(const char *name, void (*run)(void *), void *arg)
{
	(void)name;
	run(arg);
	return OK;
}

static void serve(void *chan) { served = chan; }

void event_signal(struct event *e) { e->set = true; }

bool event_wait(struct event *e, uint64_t deadline_ns)
{
	while (!e->set && support_now_ns < deadline_ns)
		pass(50 * NS_PER_MS);
	bool was_set = e->set;
	e->set = false;
	return was_set;
}

/* --- The far end ----------------------------------------------------------------------------- */

struct far { struct tcp_pcb *pcb; char heard[256]; size_t len; bool closed, broken; };
static struct far far;

static err_t far_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)arg;
	(void)err;
	if (!p) {
		far.closed = true;
		return ERR_OK;
	}
	far.len += pbuf_copy_partial(p, far.heard + far.len,
	                             (u16_t)MIN(p->tot_len, sizeof(far.heard) - far.len), 0);
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	return ERR_OK;
}

static void far_err(void *arg, err_t err)
{
	(void)arg;
	(void)err;
	far.pcb = NULL;
	far.broken = true;
}

static void connect_far(void)
{
	memset(&far, 0, sizeof(far));
	served = NULL;
	resets = 0;
	far.pcb = tcp_new();
	tcp_recv(far.pcb, far_recv);
	tcp_err(far.pcb, far_err);
	assert_int_equal(tcp_connect(far.pcb, netif_ip_addr4(&wire), PORT, NULL), ERR_OK);
	pass(100 * NS_PER_MS);
	assert_non_null(served);
}

static void far_says(unsigned n, size_t len)
{
	static uint8_t bytes[TCP_MSS];

	tcp_nagle_disable(far.pcb);
	for (unsigned i = 0; i < n && far.pcb; i++) {
		if (tcp_write(far.pcb, bytes, (u16_t)len, TCP_WRITE_FLAG_COPY) != ERR_OK)
			break;
		tcp_output(far.pcb);
		deliver();
	}
}

static int setup(void **state)
{
	ip4_addr_t own, mask, none;

	(void)state;
	support_now_ns = NS_PER_S;
	lwip_init();
	IP4_ADDR(&own, 10, 77, 0, 11);
	IP4_ADDR(&mask, 255, 255, 255, 0);
	IP4_ADDR(&none, 0, 0, 0, 0);
	netif_add(&wire, &own, &mask, &none, NULL, wire_up, ip_input);
	netif_set_default(&wire);
	netif_set_up(&wire);
	return chan_tcp_listen(PORT, 2, serve) == OK ? 0 : -1;
}

/* --- Ends ------------------------------------------------------------------------------------ */

static void last_words(void)
{
	static const char text[] = "refused: no room";

	assert_int_equal(served->ops->send(served, text, sizeof(text), NEVER_NS), OK);
	served->ops->close(served);
}

static void heard_everything_and_no_reset(void)
{
	assert_false(far.broken);
	assert_int_equal(resets, 0);
	assert_string_equal(far.heard, "refused: no room");
	assert_true(far.closed);
}

/* Many crumbs: the queue of the channel is full, and lwIP holds what we did not take. */
static void close_with_data_that_lwip_holds(void **state)
{
	(void)state;
	connect_far();
	far_says(RXQ_PBUFS_MAX + 20, 1);
	last_words();
	pass(10 * NS_PER_S);                    /* lwIP sends again what was not taken at once */
	heard_everything_and_no_reset();
	tcp_close(far.pcb);
	pass(NS_PER_S);
	assert_int_equal(resets, 0);
}

/* The peer is still talking when we hang up: what comes later is not answered with a reset. */
static void close_while_the_peer_goes_on_talking(void **state)
{
	(void)state;
	connect_far();
	far_says(3, LWIP_PORT_MSS);
	last_words();
	far_says(200, LWIP_PORT_MSS);
	pass(2 * NS_PER_S);
	heard_everything_and_no_reset();
	far_says(10, LWIP_PORT_MSS);
	pass(NS_PER_S);
	assert_int_equal(resets, 0);
	tcp_close(far.pcb);
	pass(NS_PER_S);
}

static void close_after_the_peer_did(void **state)
{
	(void)state;
	connect_far();
	far_says(RXQ_PBUFS_MAX + 20, 1);
	tcp_shutdown(far.pcb, 0, 1);
	deliver();
	last_words();
	pass(3 * NS_PER_S);
	heard_everything_and_no_reset();
}

/* A peer that never hangs up does not keep the connection for ever. */
static void a_peer_that_never_hangs_up_is_cut_off(void **state)
{
	(void)state;
	connect_far();
	last_words();
	pass(30 * NS_PER_S);
	heard_everything_and_no_reset();
	pass(60 * NS_PER_S);
	assert_true(far.broken);
	assert_int_equal(resets, 1);
}

static void hanging_up_ends_both_directions_at_once(void **state)
{
	uint8_t byte;

	(void)state;
	connect_far();
	far_says(1, 3);
	served->ops->hang_up(served);
	assert_int_equal(served->ops->recv(served, &byte, 1, NEVER_NS), OK);    /* what was there */
	assert_int_equal(served->ops->send(served, "x", 1, NEVER_NS), ERR_LINK_LOST);
	uint8_t rest[3];
	assert_int_equal(served->ops->recv(served, rest, 3, NEVER_NS), ERR_LINK_LOST);
	served->ops->close(served);
	pass(NS_PER_S);
	assert_true(far.broken);
}

/* The port has two places; the third comer has to go, and the others are not disturbed. */
static void a_port_takes_no_more_than_its_share(void **state)
{
	struct chan *one, *two;

	(void)state;
	connect_far();
	one = served;
	connect_far();
	two = served;
	memset(&far, 0, sizeof(far));
	served = NULL;
	far.pcb = tcp_new();
	tcp_err(far.pcb, far_err);
	tcp_connect(far.pcb, netif_ip_addr4(&wire), PORT, NULL);
	pass(NS_PER_S);
	assert_null(served);
	assert_true(far.broken);
	one->ops->close(one);
	two->ops->close(two);
	connect_far();                          /* a place is free again */
	served->ops->close(served);
	pass(70 * NS_PER_S);
}

/* --- Losses ---------------------------------------------------------------------------------- */

/* The task takes what is there. */
static size_t take(void)
{
	static uint8_t bytes[64 * KIB];
	size_t all = 0, n;

	while ((n = MIN(served->ops->readable(served), sizeof(bytes))) > 0) {
		assert_int_equal(served->ops->recv(served, bytes, n, NEVER_NS), OK);
		all += n;
		deliver();
	}
	return all;
}

/* A connection that has run for a while, so that it sends a window at once. */
static void connect_fast(void)
{
	lose = NULL;
	connect_far();
	for (unsigned i = 0; i < 20; i++) {
		far_says(100, LWIP_PORT_MSS);
		take();
	}
	pass(NS_PER_S);
	take();
	assert_true(far.pcb->cwnd >= TCP_WND / 2);
}

/* `n` segments, all on their way before the first arrives. */
static void far_bursts(unsigned n)
{
	static uint8_t bytes[LWIP_PORT_MSS];

	ndata = nlost = 0;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(tcp_write(far.pcb, bytes, LWIP_PORT_MSS, TCP_WRITE_FLAG_COPY),
				 ERR_OK);
	tcp_output(far.pcb);
	deliver();
}

static void hang_up(void)
{
	lose = NULL;
	served->ops->hang_up(served);
	served->ops->close(served);
	pass(NS_PER_S);
	assert_true(far.broken);
}

/* What we said we would take is taken, however long the task is about it. */
static void a_full_window_waits_for_its_task(void **state)
{
	(void)state;
	connect_fast();
	far_bursts(TCP_WND / LWIP_PORT_MSS);
	assert_int_equal(served->ops->readable(served), TCP_WND / LWIP_PORT_MSS * LWIP_PORT_MSS);
	hang_up();
}

static void set_mtu(uint16_t mtu)
{
	wire.mtu = wire.mtu6 = mtu;
	longest = 0;
}

/* The same on a wire of long packets, each of which is several of lwIP's buffers. */
static void long_packets_go_both_ways(void **state)
{
	static uint8_t bytes[TCP_MSS];

	(void)state;
	set_mtu(9000);
	connect_far();
	tcp_nagle_disable(far.pcb);
	/* Until its congestion window has room for a window of ours. */
	for (unsigned i = 0; i < 200; i++) {
		far_says(1, TCP_MSS);
		take();
	}
	assert_int_equal(longest, 9000);
	for (unsigned i = 0; i < TCP_WND / TCP_MSS; i++)
		assert_int_equal(tcp_write(far.pcb, bytes, TCP_MSS, TCP_WRITE_FLAG_COPY), ERR_OK);
	tcp_output(far.pcb);
	deliver();
	assert_int_equal(served->ops->readable(served), TCP_WND / TCP_MSS * TCP_MSS);
	assert_int_equal(take(), TCP_WND / TCP_MSS * TCP_MSS);
	pass(NS_PER_S);
	longest = 0;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(served->ops->send(served, bytes, sizeof(bytes), NEVER_NS), OK);
	served->ops->flush(served);
	pass(NS_PER_S);
	assert_int_equal(longest, 9000);
	assert_int_equal(served->ops->unacked(served), 0);
	hang_up();
	set_mtu(1500);
	connect_fast();
	assert_int_equal(longest, 1500);
	hang_up();
}

static bool lose_one(unsigned nth)     { return nth == 20; }
static bool lose_burst(unsigned nth)   { return nth >= 20 && nth < 60; }
static bool lose_bursts(unsigned nth)  { return nth < 150 && nth % 50 >= 10 && nth % 50 < 40; }
static bool lose_every_3rd(unsigned nth) { return nth < 100 && nth % 3 == 1; }

/* Everything arrives before any timer has run: no time passes here. */
static void lost_segments_come_again_within_round_trips(void **state)
{
	static bool (*const losses[])(unsigned) = { lose_one, lose_burst, lose_bursts,
						    lose_every_3rd };
	(void)state;
	for (unsigned i = 0; i < COUNT(losses); i++) {
		connect_fast();
		lose = losses[i];
		far_bursts(200);
		assert_true(nlost >= 1);
		assert_int_equal(take(), 200 * LWIP_PORT_MSS);
		/* An ACK names four blocks only: of many small holes some is sent twice. */
		assert_true(ndata <= 200 + 3 * nlost);
		hang_up();
	}
}

/* More than half of a window: the window that is left is smaller than the hole. */
static bool lose_most(unsigned nth)    { return nth >= 10 && nth < 300; }

/* lwIP appends to what waits to be sent, and goes through it in its order. */
static void only_new_data_waits(const struct tcp_pcb *pcb)
{
	for (const struct tcp_seg *seg = pcb->unsent; seg; seg = seg->next)
		assert_true(TCP_SEQ_GEQ(lwip_ntohl(seg->tcphdr->seqno), pcb->snd_nxt));
}

static void a_hole_wider_than_the_window_is_filled_piece_by_piece(void **state)
{
	static uint8_t bytes[LWIP_PORT_MSS];

	(void)state;
	connect_fast();
	ndata = nlost = 0;
	lose = lose_most;
	for (unsigned i = 0; i < 340; i++)
		assert_int_equal(tcp_write(far.pcb, bytes, LWIP_PORT_MSS, TCP_WRITE_FLAG_COPY),
				 ERR_OK);
	tcp_output(far.pcb);
	while (first != last) {
		struct pbuf *p = on_wire[first++ % COUNT(on_wire)];

		if (p && wire.input(p, &wire) != ERR_OK)
			pbuf_free(p);
		only_new_data_waits(far.pcb);
	}
	assert_true(nlost > 200);
	pass(400 * NS_PER_MS);
	assert_int_equal(take(), 340 * LWIP_PORT_MSS);
	hang_up();
}

/* Lost twice, or at the very end: only the timer knows. */
static bool lose_twice(unsigned nth)   { return nth == 20 || nth == 100; }
static bool lose_the_end(unsigned nth) { return nth == 99; }

static void what_only_the_timer_can_know_is_known_soon(void **state)
{
	static bool (*const losses[])(unsigned) = { lose_twice, lose_the_end };

	(void)state;
	for (unsigned i = 0; i < COUNT(losses); i++) {
		connect_fast();
		lose = losses[i];
		far_bursts(100);
		pass(400 * NS_PER_MS);
		assert_int_equal(take(), 100 * LWIP_PORT_MSS);
		hang_up();
	}
}

/* Blocks that make no sense are no reason to send anything, nor to read beyond the options. */
static void nonsense_in_options_is_survived(void **state)
{
	static const uint8_t options[][12] = {
		{ 5 }, { 5, 0 }, { 5, 1 }, { 5, 40, 0xff }, { 1, 1, 5, 2 }, { 1, 5, 10, 0, 0, 0 },
		{ 1, 1, 5, 10, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 }, { 8, 255 }, { 0, 5, 10 },
	};
	(void)state;
	connect_fast();
	struct tcp_pcb *pcb = far.pcb;
	pcb->flags |= TF_INFR;
	for (unsigned i = 0; i < COUNT(options); i++) {
		struct { struct tcp_hdr hdr; uint8_t option[12]; } s = { 0 };

		s.hdr.ackno = pcb->lastack;
		TCPH_HDRLEN_FLAGS_SET(&s.hdr, sizeof(s) / 4, TCP_ACK);
		memcpy(s.option, options[i], sizeof(s.option));
		for (uint16_t cut = 0; cut <= sizeof(s.option); cut++)
			lwip_port_tcp_input(pcb, &s.hdr, sizeof(s.option), cut, s.option + cut);
	}
	assert_null(pcb->unsent);
	hang_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_with_data_that_lwip_holds),
		cmocka_unit_test(close_while_the_peer_goes_on_talking),
		cmocka_unit_test(close_after_the_peer_did),
		cmocka_unit_test(a_peer_that_never_hangs_up_is_cut_off),
		cmocka_unit_test(hanging_up_ends_both_directions_at_once),
		cmocka_unit_test(a_port_takes_no_more_than_its_share),
		cmocka_unit_test(a_full_window_waits_for_its_task),
		cmocka_unit_test(long_packets_go_both_ways),
		cmocka_unit_test(lost_segments_come_again_within_round_trips),
		cmocka_unit_test(a_hole_wider_than_the_window_is_filled_piece_by_piece),
		cmocka_unit_test(what_only_the_timer_can_know_is_known_soon),
		cmocka_unit_test(nonsense_in_options_is_survived),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
