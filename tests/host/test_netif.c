/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_netif.c - the host's port of a switch, on the real lwIP: frames wait for the
 * scheduler, and who floods the port loses his own.
 */
#include "tests/host/support.h"

#include <string.h>

#include "lib/task.h"
#include "lib/time.h"
#include "net/netif.h"

static const uint8_t host_mac[MAC_LEN] = { 0x52, 0x54, 0, 0x77, 0, 1 };
static const uint8_t guest_mac[MAC_LEN] = { 0x52, 0x54, 0, 0x77, 1, 1 };
static struct vswitch *sw;
static unsigned guest_port, answers;
static bool poked;

void sched_poke(void) { poked = true; }

static bool to_guest(void *to, const struct frame *f)
{
	uint8_t bytes[FRAME_LEN_MAX];

	(void)to;
	frame_copy(bytes, f);
	answers += bytes[12] == 8 && bytes[13] == 6 && bytes[21] == 2;  /* ARP, reply */
	return true;
}

static int setup(void **state)
{
	static const struct netif_config config = { .address = "10.77.0.11/24" };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_not_handled_where_it_comes_from),
		cmocka_unit_test(a_flood_is_bounded_and_counted),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
