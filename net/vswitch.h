/* SPDX-License-Identifier: MIT */
/*
 * net/vswitch.h - a learning Ethernet switch in the hypervisor, one for each NIC in use.
 *
 * Joins the NIC (uplink), guests' virtio-net ports and the host's own port.  Unknown, broadcast and
 * multicast destinations are flooded; learned addresses age out; an address is learned for its
 * VLAN.  A port is a trunk, where frames keep their tags or have none, or belongs to one VLAN
 * (IEEE 802.1Q): behind it there are no tags, frames of other VLANs do not reach it, and its own
 * get their tag on trunks.  A closed port neither sends nor receives and its addresses are
 * forgotten.  The host's own addresses are its own: a frame from elsewhere that claims one is
 * dropped; so is one from a port that may not send from its source address.
 */
#ifndef NET_VSWITCH_H
#define NET_VSWITCH_H

#include "lib/config.h"
#include "lib/err.h"
#include "lib/frame.h"
#include "lib/vlan.h"

struct vswitch;

/* The switch hands a frame to whoever is behind the port; false: dropped there (counted). */
typedef bool vport_deliver_fn(void *to, const struct frame *f);

/*
 * in: the switch took it from the port; out: it gave it to the port.  dropped_closed: came in while
 * closed.  dropped_full: the port did not take it, or carries none so long.  dropped_bad: came in
 * and was too short or longer than the port carries, from no or a group address, from an address of
 * the host, tagged at a port of one VLAN, or to a link-local address of IEEE 802.1Q, "Reserved
 * addresses".  dropped_forged: came in from an address that the port may not send from.
 */
struct vport_counters {
	uint64_t in_frames, in_bytes, out_frames, out_bytes;
	uint64_t dropped_closed, dropped_full, dropped_bad, dropped_forged;
};

enum vport_kind { VPORT_UPLINK, VPORT_HOST, VPORT_GUEST };

struct vswitch *vswitch_create(const char *name); /* from a pool of NICS_MAX; NULL: none left */
/* Back to the pool; nobody may be behind a port. */
void            vswitch_destroy(struct vswitch *s);
/* Port number, or ERR_NO_MEMORY.  Ports begin closed, as trunks, with an MTU of 1500. */
enum err vswitch_add_port(struct vswitch *s, enum vport_kind kind, const char *name,
                          vport_deliver_fn *deliver, void *to, unsigned *port);
void     vswitch_remove_port(struct vswitch *s, unsigned port);
/* What whoever is behind the port does itself; for all others the switch does it. */
void     vswitch_takes(struct vswitch *s, unsigned port, struct frame_takes takes);
/*
 * Bytes of payload, up to 9000: longer frames neither come in nor go out.  TCP segments that are
 * yet to be cut count as long as their packets.
 */
void     vswitch_set_mtu(struct vswitch *s, unsigned port, uint16_t mtu);
/* VLAN_TRUNK, or the one VLAN of a port: VLAN_UNTAGGED to VLAN_MAX.  Of a closed port. */
void     vswitch_set_vlan(struct vswitch *s, unsigned port, uint16_t vlan);
/* From now on the port may send from the addresses alone that were allowed: VM_NICS_MAX at most. */
void     vswitch_allow_source(struct vswitch *s, unsigned port, const uint8_t mac[MAC_LEN]);
void     vswitch_gate(struct vswitch *s, unsigned port, bool open);

/* A frame arrives from `port`. */
void     vswitch_input(struct vswitch *s, unsigned port, const struct frame *f, uint64_t now_ns);

struct vport_info {
	const char            *name;
	enum vport_kind        kind;
	bool                   open;
	uint16_t               vlan;            /* VLAN_TRUNK, or its only one */
	struct vport_counters  count;
};
/* False: no such port. */
bool     vswitch_port_info(const struct vswitch *s, unsigned port, struct vport_info *out);
struct vswitch_mac { uint8_t mac[MAC_LEN]; uint16_t vlan; uint16_t port; uint64_t age_ns; };
unsigned vswitch_macs(const struct vswitch *s, struct vswitch_mac *out, unsigned max,
                      uint64_t now_ns);
const char *vswitch_name(const struct vswitch *s);

#endif
