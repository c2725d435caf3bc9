/* SPDX-License-Identifier: MIT */
/*
 * lib/vlan.h - the VLAN of a port (IEEE 802.1Q), as switches and definitions of guests say it.
 */
#ifndef LIB_VLAN_H
#define LIB_VLAN_H

#define VLAN_UNTAGGED  0                /* frames that have no VLAN                  */
#define VLAN_MAX       4094             /* "VLAN tag": 4095 is reserved              */
#define VLAN_OF_HOST   0xfffe           /* of a guest: not chosen, the host's guest= */
#define VLAN_TRUNK     0xffff           /* all VLANs, frames keep their tags         */

#endif
