/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_cmdline.c - the boot command line (docs/boot.md): what it means, and what is
 * refused.
 */
#include "tests/host/support.h"

#include <string.h>

#include "boot/cmdline.h"

static void cmdline_takes_all_words(void **state)
{
	struct boot_options o;

	(void)state;
	assert_int_equal(cmdline_parse(" node=a-1  mgmt=nic0,10.77.0.11/24,gw=10.77.0.1"
	                               " mig=52:54:00:00:00:0A,dhcp guest=nic2 test=wx"
	                               " mtu=nic1,9000 mtu=52:54:00:00:00:0A,1500"
	                               " irq=line virt=off panic=10 watchdog=0", &o), OK);
	assert_string_equal(o.node, "a-1");
	assert_string_equal(o.mgmt.nic.name, "nic0");
	assert_false(o.mgmt.ip.dhcp);
	assert_string_equal(o.mgmt.ip.address, "10.77.0.11/24");
	assert_string_equal(o.mgmt.ip.gateway, "10.77.0.1");
	assert_string_equal(o.mig.nic.name, "52:54:00:00:00:0A");
	assert_true(o.mig.ip.dhcp);
	assert_string_equal(o.guest.name, "nic2");
	assert_string_equal(o.test, "wx");
	assert_int_equal(o.nmtus, 2);
	assert_string_equal(o.mtu[0].nic, "nic1");
	assert_int_equal(o.mtu[0].bytes, 9000);
	assert_string_equal(o.mtu[1].nic, "52:54:00:00:00:0A");
	assert_int_equal(o.mtu[1].bytes, 1500);
	assert_int_equal(o.irq, IRQ_LINE);
	assert_true(o.virt_off);
	assert_int_equal(o.panic_s, 10);
	assert_int_equal(o.watchdog_s, 0);
}

static void cmdline_completes_from_mgmt(void **state)
{
	struct boot_options o;

	(void)state;
	assert_int_equal(cmdline_parse("", &o), OK);
	assert_string_equal(o.node, "godwit");
	assert_int_equal(o.nmtus, 0);
	assert_int_equal(o.irq, IRQ_MSIX);
	assert_false(o.virt_off);
	assert_int_equal(o.panic_s, 0);
	assert_int_equal(o.watchdog_s, CMDLINE_WATCHDOG_S);
	assert_string_equal(o.mgmt.nic.name, "");
	assert_string_equal(o.mig.nic.name, "");
	assert_string_equal(o.guest.name, "");

	assert_int_equal(cmdline_parse("mgmt=nic1,192.168.0.5/16", &o), OK);
	assert_string_equal(o.mig.nic.name, "nic1");
	assert_string_equal(o.mig.ip.address, "192.168.0.5/16");
	assert_string_equal(o.guest.name, "nic1");

	assert_int_equal(cmdline_parse("mig=nic1 mgmt=nic1,dhcp", &o), OK);
	assert_true(o.mig.has_address && o.mig.ip.dhcp);
}

static void cmdline_takes_vlans_of_a_card(void **state)
{
	struct boot_options o;

	(void)state;
	assert_int_equal(cmdline_parse("mgmt=nic0.10,dhcp mig=52:54:00:00:00:0a.4094,10.0.0.1/8 "
	                               "guest=nic0.1", &o), OK);
	assert_string_equal(o.mgmt.nic.name, "nic0");
	assert_int_equal(o.mgmt.ip.vlan, 10);
	assert_string_equal(o.mig.nic.name, "52:54:00:00:00:0a");
	assert_int_equal(o.mig.ip.vlan, 4094);
	assert_string_equal(o.guest.name, "nic0");
	assert_int_equal(o.guest.vlan, 1);

	assert_int_equal(cmdline_parse("mgmt=nic0.10,dhcp", &o), OK);
	assert_int_equal(o.mig.ip.vlan, 10);
	assert_int_equal(o.guest.vlan, 10);

	assert_int_equal(cmdline_parse("mgmt=nic0,dhcp mig=nic0.7,10.0.0.1/8", &o), OK);
	assert_int_equal(o.mgmt.ip.vlan, VLAN_UNTAGGED);
	assert_int_equal(o.guest.vlan, VLAN_UNTAGGED);
}

#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void cmdline_refuses_by_name(void **state)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "irq=msix", "irq: 'msix' is none of" },
		{ "virt=", "virt: '' is none of" },
		{ "panic=", "panic: 0 to 3600 seconds" },
		{ "panic=3601", "panic: 0 to 3600 seconds" },
		{ "watchdog=1s", "watchdog: 0 to 3600 seconds" },
		{ "watchdog=-1", "watchdog: 0 to 3600 seconds" },
		{ "quiet", "'quiet' is not understood" },
		{ "colour=red", "'colour' is not understood" },
		{ "=", "'' is not understood" },
		{ "node=a node=b", "node= is there twice" },
		{ "node=", "node: a name has 1 to 31" },
		{ "node=a/b", "node: letters" },
		{ "node=a234567890123456789012345678901x", "node: a name has 1 to 31" },
		{ "mgmt=nic0", "mgmt: an address is missing" },
		{ "mgmt=nic4,dhcp", "'nic4' is neither" },
		{ "mgmt=nic,dhcp", "'nic' is neither" },
		{ "mgmt=eth0,dhcp", "'eth0' is neither" },
		{ "mgmt=52:54:00:00:00,dhcp", "'52:54:00:00:00' is neither" },
		{ "mgmt=52:54:00:00:00:0a:0b,dhcp", "is neither nic0" },
		{ "mgmt=nic0,10.0.0.1", "'10.0.0.1' is neither dhcp" },
		{ "mgmt=nic0,10.0.0.1/0", "'10.0.0.1/0' is neither dhcp" },
		{ "mgmt=nic0,10.0.0.1/33", "'10.0.0.1/33' is neither dhcp" },
		{ "mgmt=nic0,10.0.0.256/8", "'10.0.0.256/8' is neither dhcp" },
		{ "mgmt=nic0,10.0.1/8", "'10.0.1/8' is neither dhcp" },
		{ "mgmt=nic0,10.0.0.1/8x", "'10.0.0.1/8x' is neither dhcp" },
		{ "mgmt=nic0,", "'' is neither dhcp" },
		{ "mgmt=nic0,10.0.0.1/8,10.0.0.2", "'10.0.0.2' is not a gateway" },
		{ "mgmt=nic0,10.0.0.1/8,gw=10.0.0", "'gw=10.0.0' is not a gateway" },
		{ "mgmt=nic0,10.0.0.1/8,gw=10.0.0.2,x", "is not a gateway" },
		{ "mgmt=nic0,dhcp,gw=10.0.0.2", "comes by DHCP" },
		{ "mig=nic0,dhcp", "need mgmt" },
		{ "guest=nic0", "need mgmt" },
		{ "mgmt=nic0,dhcp mig=nic1", "mig: a NIC or VLAN of its own needs an" },
		{ "mgmt=nic0.10,dhcp mig=nic0.11", "mig: a NIC or VLAN of its own" },
		{ "mgmt=nic0.10,dhcp mig=nic0", "mig: a NIC or VLAN of its own" },
		{ "mgmt=nic0.0,dhcp", "'0' is not a VLAN" },
		{ "mgmt=nic0.4095,dhcp", "'4095' is not a VLAN" },
		{ "mgmt=nic0.,dhcp", "'' is not a VLAN" },
		{ "mgmt=nic0.1.2,dhcp", "'1.2' is not a VLAN" },
		{ "mgmt=nic0.1x,dhcp", "'1x' is not a VLAN" },
		{ "mgmt=nic0,dhcp guest=.5", "'' is neither" },
		{ "mgmt=nic0,dhcp guest=nic1,dhcp", "'nic1,dhcp' is neither" },
		{ "mtu=nic0", "mtu: '' is not a number from 1500 to 9000" },
		{ "mtu=nic0,", "mtu: '' is not a number from 1500" },
		{ "mtu=nic0,1499", "mtu: '1499' is not a number from" },
		{ "mtu=nic0,9001", "mtu: '9001' is not a number from" },
		{ "mtu=nic0,90000", "mtu: '90000' is not a number from" },
		{ "mtu=nic0,9k", "mtu: '9k' is not a number from" },
		{ "mtu=nic0,9000,", "mtu: '9000,' is not a number from" },
		{ "mtu=9000", "mtu: '' is not a number from" },
		{ "mtu=,9000", "mtu: '' is neither nic0" },
		{ "mtu=nic0.5,9000", "mtu: 'nic0.5' is neither nic0" },
		{ "mtu=nic4,9000", "mtu: 'nic4' is neither nic0" },
		{ "mtu=nic0,2000 mtu=nic1,2000 mtu=nic2,2000 mtu=nic3,2000 mtu=nic0,2000",
		  "mtu: there are no more than 4 cards" },
		{ "node=" LONG LONG, "is too long" },
	};
	struct boot_options o;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		enum err e = cmdline_parse(cases[i].text, &o);
		if (e != ERR_BAD_ARGUMENT || !strstr(err_reason(), cases[i].says))
			fail_msg("%s: %s: %s", cases[i].text, err_name(e), err_reason());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmdline_takes_all_words),
		cmocka_unit_test(cmdline_completes_from_mgmt),
		cmocka_unit_test(cmdline_takes_vlans_of_a_card),
		cmocka_unit_test(cmdline_refuses_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
