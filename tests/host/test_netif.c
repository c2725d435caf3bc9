/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_netif.c - the host's port of a switch, on the real lwIP: frames wait for the
 * scheduler, who floods the port loses his own, and what a card does for TCP is left to it.
 */
#include "tests/host/support.h"

#include <string.h>

#include "lib/task.h"
#include "lib/time.h"
#include "net/lwip_port/lwip.h"
#include "net/netif.h"

static const uint8_t host_mac[MAC_LEN] = { 0x52, 0x54, 0, 0x77, 0, 1 };
static const uint8_t guest_mac[MAC_LEN] = { 0x52, 0x54, 0, 0x77, 1, 1 };
static struct vswitch *sw;
static unsigned guest_port, answers;
static bool poked;

void sched_poke(void) { poked = true; }

static unsigned segments, bad_sums;
static struct { struct frame f; uint8_t bytes[FRAME_BIG_MAX]; } last;   /* its pieces are gone */

/* RFC 9293, "Header Format": the sum of the pseudo header and everything behind it. */
static void take_segment(const uint8_t *b, unsigned len)
{
	uint32_t sum = 6 + (len - 34);

	for (unsigned i = 26; i < len; i++)
		sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	segments++;
	bad_sums += sum != 0xffff;
}

static bool to_guest(void *to, const struct frame *f)
{
	uint8_t *bytes = last.bytes;

	(void)to;
	assert_true(f->len <= sizeof(last.bytes));
	frame_copy(bytes, f);
	last.f = *f;
	answers += bytes[12] == 8 && bytes[13] == 6 && bytes[21] == 2;  /* ARP, reply */
	if (bytes[12] == 8 && bytes[13] == 0 && bytes[23] == 6)
		take_segment(bytes, f->len);
	return true;
}

static int setup(void **state)
{
	static const struct netif_config config = { .address = "10.77.0.11/24", .mtu = 1500,
						    .uplink = { true, UINT16_MAX } };

	(void)state;
	if (netif_start("test") != OK)
		return -1;
	sw = vswitch_create("test");
	if (netif_attach(sw, host_mac, &config) != OK ||
	    vswitch_add_port(sw, VPORT_GUEST, "guest", to_guest, NULL, &guest_port) != OK)
		return -1;
	vswitch_gate(sw, guest_port, true);
	return 0;
}

/* "Who has 10.77.0.11?" */
static void ask(void)
{
	static const uint8_t arp[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	uint8_t b[60] = { 0 };
	struct frame f = frame_of(b, sizeof(b));

	memset(b, 0xff, MAC_LEN);
	memcpy(b + 6, guest_mac, MAC_LEN);
	b[12] = 8;
	b[13] = 6;
	memcpy(b + 14, arp, sizeof(arp));
	memcpy(b + 22, guest_mac, MAC_LEN);
	memcpy(b + 28, (const uint8_t[]){ 10, 77, 0, 50 }, 4);
	memcpy(b + 38, (const uint8_t[]){ 10, 77, 0, 11 }, 4);
	vswitch_input(sw, guest_port, &f, time_now_ns());
}

static uint64_t dropped(void)
{
	struct vport_info host;

	for (unsigned i = 0; vswitch_port_info(sw, i, &host); i++)
		if (host.kind == VPORT_HOST)
			return host.count.dropped_full;
	fail_msg("the host has no port");
	return 0;
}

static void a_frame_is_not_handled_where_it_comes_from(void **state)
{
	(void)state;
	answers = 0;
	poked = false;
	ask();
	assert_int_equal(answers, 0);           /* still in the guest's exit */
	assert_true(poked);                     /* which ends soon */
	netif_drain(time_now_ns());
	assert_int_equal(answers, 1);
	netif_drain(time_now_ns());
	assert_int_equal(answers, 1);
}

static void a_flood_is_bounded_and_counted(void **state)
{
	uint64_t before = dropped();

	(void)state;
	answers = 0;
	for (unsigned i = 0; i < 1000; i++)
		ask();
	assert_int_equal(answers, 0);
	uint64_t lost = dropped() - before;
	assert_in_range(lost, 500, 900);
	netif_poll(time_now_ns());
	assert_int_equal(answers, 1000 - lost);
	/* And afterwards all is as before, all the way round the ring. */
	for (unsigned i = 0; i < 1000; i++) {
		ask();
		netif_poll(time_now_ns());
	}
	assert_int_equal(answers, 2000 - lost);
	assert_int_equal(dropped() - before, lost);
}

/* A SYN to a port where nobody is; its own checksum is not right. */
static void knock(bool vouched_for)
{
	static const uint8_t ip[] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0x65, 0xfa, 10, 77, 0, 50,
				      10, 77, 0, 11, 0x12, 0x34, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0,
				      0x50, 2, 0x20, 0 };
	uint8_t b[54] = { 0 };
	struct frame f = frame_of(b, sizeof(b));

	memcpy(b, host_mac, MAC_LEN);
	memcpy(b + 6, guest_mac, MAC_LEN);
	b[12] = 8;
	memcpy(b + 14, ip, sizeof(ip));
	f.sum.good = vouched_for;
	vswitch_input(sw, guest_port, &f, time_now_ns());
	netif_poll(time_now_ns());
}

/* lwIP leaves the sums of what it sends to the switch or the card, and checks what it is sent. */
static void checksums_are_checked_and_filled_in(void **state)
{
	(void)state;
	ask();
	netif_poll(time_now_ns());
	segments = bad_sums = 0;
	knock(false);
	assert_int_equal(segments, 0);
	knock(true);
	assert_int_equal(segments, 1);          /* a reset */
	knock(false);
	assert_int_equal(segments, 1);
	assert_int_equal(bad_sums, 0);
}

/* --- A card that cuts segments --------------------------------------------------------------- */

enum { DATA_LEN = 20000, PEER_PORT = 9 };
static const struct frame_takes nothing, everything = { true, UINT16_MAX };
static uint8_t data[DATA_LEN];

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t e)
{
	bool *connected = arg;

	assert_int_equal(e, ERR_OK);
	netif_widen(pcb);
	*connected = true;
	return ERR_OK;
}

/* The guest accepts what the last frame asks for, and takes segments of at most `mss` bytes. */
static void accept_it(uint16_t mss)
{
	static const uint8_t ip[] = { 0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0x65, 0xf6, 10, 77, 0, 50,
				      10, 77, 0, 11, 0, PEER_PORT };
	const uint8_t *syn = last.bytes + 34;
	uint8_t b[58] = { 0 }, *tcp = b + 34;
	struct frame f = frame_of(b, sizeof(b));
	uint32_t sequence;

	assert_int_equal(syn[13] & 0x3f, 2);
	assert_int_equal(syn[22] << 8 | syn[23], netif_default->mtu - 40);
	memcpy(b, host_mac, MAC_LEN);
	memcpy(b + 6, guest_mac, MAC_LEN);
	b[12] = 8;
	memcpy(b + 14, ip, sizeof(ip));
	memcpy(tcp + 2, syn, 2);
	memcpy(&sequence, syn + 4, sizeof(sequence));
	sequence = lwip_htonl(lwip_ntohl(sequence) + 1);
	memcpy(tcp + 8, &sequence, sizeof(sequence));
	memcpy(tcp + 12, (const uint8_t[]){ 0x60, 0x12, 0xff, 0xff }, 4);
	memcpy(tcp + 20, (const uint8_t[]){ 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss }, 4);
	f.sum.good = true;
	vswitch_input(sw, guest_port, &f, time_now_ns());
	netif_poll(time_now_ns());
}

/* A connection to a guest, over which DATA_LEN bytes are sent. */
static void send_to_guest(uint16_t mss)
{
	struct tcp_pcb *pcb = tcp_new();
	bool connected = false;
	ip_addr_t guest;

	IP_ADDR4(&guest, 10, 77, 0, 50);
	ask();
	netif_poll(time_now_ns());
	assert_non_null(pcb);
	tcp_arg(pcb, &connected);
	assert_int_equal(tcp_connect(pcb, &guest, PEER_PORT, on_connected), ERR_OK);
	accept_it(mss);
	assert_true(connected);
	segments = bad_sums = 0;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(tcp_write(pcb, data, DATA_LEN, 0), ERR_OK);
	assert_int_equal(tcp_output(pcb), ERR_OK);
	vswitch_gate(sw, guest_port, false);    /* the reset is not of interest */
	tcp_abort(pcb);
	vswitch_gate(sw, guest_port, true);
}

static void a_wide_connection_leaves_the_cutting_to_others(void **state)
{
	uint32_t pseudo = 6 + 20 + DATA_LEN;

	(void)state;
	vswitch_takes(sw, guest_port, everything);
	send_to_guest(1460);
	assert_int_equal(segments, 1);
	assert_int_equal(last.f.len, 54 + DATA_LEN);
	assert_int_equal(last.f.cut, 1460);
	assert_int_equal(last.f.sum.from, 34);
	assert_int_equal(last.f.sum.at, 50);
	for (unsigned i = 26; i < 34; i += 2)
		pseudo += (uint32_t)last.bytes[i] << 8 | last.bytes[i + 1];
	pseudo = (pseudo & 0xffff) + (pseudo >> 16);
	assert_int_equal(last.bytes[50] << 8 | last.bytes[51], pseudo);
	assert_memory_equal(last.bytes + 54, data, DATA_LEN);
}

static void a_wide_connection_is_cut_for_guests(void **state)
{
	(void)state;
	vswitch_takes(sw, guest_port, nothing);
	send_to_guest(1460);
	assert_int_equal(segments, (DATA_LEN + 1460 - 1) / 1460);
	assert_int_equal(last.f.cut, 0);
	assert_int_equal(last.f.len, 54 + DATA_LEN % 1460);
	assert_int_equal(bad_sums, 0);
}

/* The card's MTU is 9000, as if it had been so from the beginning. */
static void lengthen(uint16_t mtu)
{
	struct vport_info host;

	netif_default->mtu = netif_default->mtu6 = mtu;
	for (unsigned i = 0; vswitch_port_info(sw, i, &host); i++)
		vswitch_set_mtu(sw, i, mtu);
}

static void a_longer_mtu_makes_longer_packets(void **state)
{
	(void)state;
	lengthen(9000);
	vswitch_takes(sw, guest_port, everything);
	send_to_guest(8960);
	assert_int_equal(segments, 1);
	assert_int_equal(last.f.cut, 8960);
	vswitch_takes(sw, guest_port, nothing);
	send_to_guest(8960);
	assert_int_equal(segments, 3);
	assert_int_equal(last.f.len, 54 + DATA_LEN - 2 * 8960);
	assert_int_equal(bad_sums, 0);
	/* A peer whose own is 1500 has the last word. */
	send_to_guest(1460);
	assert_in_range(segments, 1, DATA_LEN / 1460);
	assert_int_equal(last.f.cut, 0);
	assert_int_equal(last.f.len, 54 + 1460);
	lengthen(1500);
}

/* Others cut into what the wire takes: a peer that wants less gets its segments from lwIP. */
static void a_peer_that_wants_less_gets_it(void **state)
{
	(void)state;
	vswitch_takes(sw, guest_port, everything);
	send_to_guest(1000);
	assert_in_range(segments, 1, DATA_LEN / 1000);
	assert_int_equal(last.f.cut, 0);
	assert_int_equal(last.f.len, 54 + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_not_handled_where_it_comes_from),
		cmocka_unit_test(a_flood_is_bounded_and_counted),
		cmocka_unit_test(checksums_are_checked_and_filled_in),
		cmocka_unit_test(a_wide_connection_leaves_the_cutting_to_others),
		cmocka_unit_test(a_wide_connection_is_cut_for_guests),
		cmocka_unit_test(a_longer_mtu_makes_longer_packets),
		cmocka_unit_test(a_peer_that_wants_less_gets_it),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
