/* SPDX-License-Identifier: MIT */
/*
 * boot/cmdline.h - the boot command line, as a struct.  Grammar: docs/boot.md.
 */
#ifndef BOOT_CMDLINE_H
#define BOOT_CMDLINE_H

#include "arch/x86_64/irq.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/types.h"
#include "net/netif.h"

#define CMDLINE_NODE_MAX        32              /* with the NUL, as all of these                */
#define CMDLINE_NIC_MAX         18              /* "nic0" or a MAC address                      */
#define CMDLINE_TEST_MAX        32
#define CMDLINE_SECONDS_MAX     3600
#define CMDLINE_WATCHDOG_S      60              /* unless said otherwise                        */

struct boot_nic {
	char name[CMDLINE_NIC_MAX];             /* "": none                                     */
	uint16_t vlan;                          /* VLAN_UNTAGGED, or the VLAN of it             */
};

struct boot_net {
	struct boot_nic nic;                    /* none: this network is not used               */
	bool has_address;
	struct netif_config ip;
};

struct boot_mtu { char nic[CMDLINE_NIC_MAX]; uint16_t bytes; };

struct boot_options {
	char node[CMDLINE_NODE_MAX];            /* "godwit" unless given                        */
	struct boot_net mgmt, mig;              /* mig is a copy of mgmt unless given           */
	struct boot_nic guest;                  /* mgmt's unless given                          */
	struct boot_mtu mtu[NICS_MAX];
	unsigned nmtus;
	enum irq_kind irq;                       /* the best that NICs may use: MSI-X            */
	bool virt_off;                          /* this host runs no guests                     */
	unsigned cpus;                          /* at most so many are used; 0: all             */
	char test[CMDLINE_TEST_MAX];            /* "" unless given                              */
	unsigned panic_s;                       /* restart so long after a panic; 0: halt       */
	unsigned watchdog_s;                    /* how long the host may be stuck; 0: for ever  */
};

/* ERR_BAD_ARGUMENT names the word. */
enum err cmdline_parse(const char *text, struct boot_options *out);

#endif
