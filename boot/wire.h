/* SPDX-License-Identifier: MIT */
/*
 * boot/wire.h - what boot/wire.c knows and boot/commands.c shows: networks and guests' ports.
 */
#ifndef BOOT_WIRE_H
#define BOOT_WIRE_H

#include "net/nic.h"
#include "net/vswitch.h"
#include "vmm/vm.h"

/* One NIC in use, with the switch behind it. */
struct network {
	struct nic     *nic;
	struct vswitch *sw;
	unsigned        uplink;         /* its port number */
	uint16_t        host_vlan[2];   /* where lwIP has an address: mgmt's and mig's */
	unsigned        nhosts;
};

/* Network i in use, in order of NICs; NULL: no such. */
const struct network *wire_network(unsigned i);

/* The switch that guests' ports are on, and the port of a guest's NIC; false: not attached. */
bool wire_guest_port(const struct vm *vm, unsigned nic, struct vswitch **sw, unsigned *port);

#endif
