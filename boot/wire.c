/* SPDX-License-Identifier: MIT */
/*
 * boot/wire.c - modules that do not know each other meet here.
 *
 * Builds a switch behind each NIC that the command line names, puts lwIP and the guests' virtio-net
 * ports on them, gives the VM layer its hooks into the switch, gives migration its way to a peer
 * and its RARP burst, and starts the guests that came as boot modules.
 */
#include "boot/wire.h"

#include "boot/boot.h"
#include "boot/commands.h"
#include "boot/vmdef.h"
#include "arch/x86_64/insn.h"
#include "drivers/rtc.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/random.h"
#include "lib/task.h"
#include "lib/time.h"
#include "mig/mig.h"
#include "net/announce.h"
#include "net/chan_tcp.h"
#include "net/ctl.h"
#include "net/netif.h"
#include "vmm/image.h"

static struct network networks[NICS_MAX];
static unsigned nnetworks;
static struct network *guest_network;                   /* NULL: guests have no network */
static struct boot_nic guest_place;                     /* guest=: a VLAN of it, or all */

/* A guest NIC's place on the switch. */
struct guest_port {
	struct vm *vm;                                  /* NULL: free */
	unsigned   nic, port;
	char       name[VM_NAME_MAX + 4];
};
static struct guest_port guest_ports[VMS_MAX * VM_NICS_MAX];

/* --- Guests' ports ---------------------------------------------------------------------------- */

static struct guest_port *find_guest_port(const struct vm *vm, unsigned nic)
{
	for (struct guest_port *g = guest_ports; g < guest_ports + COUNT(guest_ports); g++)
		if (g->vm == vm && (!vm || g->nic == nic))
			return g;
	return NULL;
}

static bool deliver_to_guest(void *to, const struct frame *f)
{
	struct guest_port *g = to;

	return vnet_receive(&g->vm->machine.net[g->nic], f);
}

static void send_from_guest(void *to, const struct frame *f)
{
	struct guest_port *g = to;

	vswitch_input(guest_network->sw, g->port, f, time_now_ns());
}

/*
 * A card's VLAN, fixed from here on: it travels with the guest, and a host where guests are in
 * another one refuses them.
 */
static enum err choose_vlan(struct vm *vm, unsigned nic)
{
	uint16_t *vlan = &vm->config.nic[nic].vlan, ours = guest_place.vlan;
	char wanted[16];

	if (*vlan == VLAN_OF_HOST)
		*vlan = ours;
	if (ours == VLAN_UNTAGGED || *vlan == ours)
		return OK;
	if (*vlan == VLAN_TRUNK)
		fmt_format(wanted, sizeof(wanted), "all VLANs");
	else
		fmt_format(wanted, sizeof(wanted), "VLAN %u", *vlan);
	return refuse(ERR_NOT_SUPPORTED,
	              "network card %u of the guest is for %s, this host's guests are in VLAN %u "
	              "(guest=%s.%u)", nic, wanted, ours, guest_place.name, ours);
}

/* One of a guest's cards may send from the address of another: a bond does that. */
static void allow_sources(const struct vm_config *c, unsigned nic, unsigned port)
{
	for (unsigned i = 0; i < c->nnics && !c->nic[nic].any_mac; i++)
		vswitch_allow_source(guest_network->sw, port, c->nic[i].mac);
}

static enum err attach_guest_nic(struct vm *vm, unsigned nic)
{
	struct vnet *device = &vm->machine.net[nic];
	struct guest_port *g = find_guest_port(NULL, 0);

	if (!guest_network) {
		vnet_link(device, false);
		log_line("%s: no NIC is for guests (guest=...), its network card %u has no link",
		         vm->config.name, nic);
		return OK;
	}
	if (!g)
		return fail(ERR_NO_MEMORY, "no port is left for network card %u of %s", nic,
		            vm->config.name);
	*g = (struct guest_port){ .nic = nic };
	fmt_format(g->name, sizeof(g->name), "%s.%u", vm->config.name, nic);
	enum err e = choose_vlan(vm, nic);
	if (e == OK)
		e = vswitch_add_port(guest_network->sw, VPORT_GUEST, g->name, deliver_to_guest, g,
		                     &g->port);
	if (e != OK)
		return e;
	vswitch_set_vlan(guest_network->sw, g->port, vm->config.nic[nic].vlan);
	allow_sources(&vm->config, nic, g->port);
	g->vm = vm;
	device->send = send_from_guest;
	device->send_to = g;
	return OK;
}

static void detach_guest_nic(struct vm *vm, unsigned nic)
{
	struct guest_port *g = find_guest_port(vm, nic);

	if (!g)
		return;
	announce_cancel(g);
	vm->machine.net[nic].send = NULL;
	vswitch_remove_port(guest_network->sw, g->port);
	g->vm = NULL;
}

static void gate_guest_nics(struct vm *vm, bool open)
{
	for (unsigned i = 0; i < vm->config.nnics; i++) {
		struct guest_port *g = find_guest_port(vm, i);
		if (open)               /* it may come from a host where this was otherwise */
			vnet_link(&vm->machine.net[i], g != NULL);
		if (!g)
			continue;
		if (!open)
			announce_cancel(g);
		vswitch_gate(guest_network->sw, g->port, open);
	}
}

static void announce_guest(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.nnics; i++) {
		struct guest_port *g = find_guest_port(vm, i);
		if (g &&
		    announce_start(vm->config.nic[i].mac, send_from_guest, g, time_now_ns()) != OK)
			log_line("%s: switches are not told where its network card %u is now",
			         vm->config.name, i);
	}
}

static void host_cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	struct cpuid c = insn_cpuid(leaf, subleaf);

	*out = (struct cpuid_regs){ c.eax, c.ebx, c.ecx, c.edx };
}

struct vm_hooks vm_hooks = {
	.nic_attach = attach_guest_nic,
	.nic_detach = detach_guest_nic,
	.nic_gate   = gate_guest_nics,
	.wall_ns    = rtc_wall_ns,
	.cpuid      = host_cpuid,
};

/* --- Networks --------------------------------------------------------------------------------- */

static bool deliver_to_nic(void *to, const struct frame *f)
{
	struct nic *nic = to;

	return nic->ops->send(nic, f);
}

static enum err no_nic(const char *what, const char *name)
{
	return fail(ERR_NOT_FOUND, "%s=%s: this machine has no such NIC; it has %s", what, name,
	            nic_at(0) ? "those listed above" : "none");
}

static void receive_from_nic(void *to, const struct frame *f)
{
	struct network *n = to;

	vswitch_input(n->sw, n->uplink, f, time_now_ns());
}

/* mtu=: before anybody uses the cards. */
static enum err set_mtus(const struct boot_options *o)
{
	for (const struct boot_mtu *m = o->mtu; m < o->mtu + o->nmtus; m++) {
		struct nic *nic = nic_find(m->nic);

		if (!nic)
			return no_nic("mtu", m->nic);
		for (const struct boot_mtu *before = o->mtu; before < m; before++)
			if (nic_find(before->nic) == nic)
				return fail(ERR_BAD_ARGUMENT, "mtu=%s: %s has an MTU already",
				            m->nic, nic->name);
		enum err e = nic_set_mtu(nic, m->bytes);
		if (e != OK)
			return e;
		log_line("%s: MTU %u", nic->name, nic->mtu);
	}
	return OK;
}

/* The network behind a NIC that the command line names; built at its first mention. */
static enum err network_on(const char *what, const char *nic_name, struct network **out)
{
	struct nic *nic = nic_find(nic_name);

	if (!nic)
		return no_nic(what, nic_name);
	for (unsigned i = 0; i < nnetworks; i++) {
		if (networks[i].nic == nic) {
			*out = &networks[i];
			return OK;
		}
	}
	struct network *n = &networks[nnetworks];
	n->nic = nic;
	n->sw = vswitch_create(nic->name);
	if (!n->sw)
		return fail(ERR_NO_MEMORY, "no switch is left for %s", nic->name);
	enum err e = vswitch_add_port(n->sw, VPORT_UPLINK, nic->name, deliver_to_nic, nic,
	                              &n->uplink);
	if (e != OK)
		return e;
	vswitch_takes(n->sw, n->uplink, nic->takes);
	vswitch_set_mtu(n->sw, n->uplink, nic->mtu);
	nic->receive = receive_from_nic;
	nic->receive_to = n;
	vswitch_gate(n->sw, n->uplink, true);
	nnetworks++;
	*out = n;
	return OK;
}

/* An address of the host in a VLAN of a card; mig's may be the one that mgmt has made. */
static enum err host_on(const char *what, const struct boot_net *net)
{
	struct network *n;

	if (!net->nic.name[0])
		return OK;
	enum err e = network_on(what, net->nic.name, &n);
	if (e != OK || !net->has_address)
		return e;
	for (unsigned i = 0; i < n->nhosts; i++)
		if (n->host_vlan[i] == net->ip.vlan)
			return OK;
	ASSERT(n->nhosts < COUNT(n->host_vlan));
	struct netif_config ip = net->ip;

	ip.mtu = n->nic->mtu;
	ip.uplink = n->nic->takes;
	e = netif_attach(n->sw, n->nic->mac, &ip);
	if (e == OK)
		n->host_vlan[n->nhosts++] = net->ip.vlan;
	return e;
}

/* With a VLAN, all guests are in it; else each says which, and one that does not is in none. */
static enum err guests_on(const struct boot_nic *nic)
{
	guest_place = *nic;
	return nic->name[0] ? network_on("guest", nic->name, &guest_network) : OK;
}

static enum err mig_connect(const char *where, uint64_t deadline_ns, struct chan **out)
{
	return chan_tcp_connect(where, MIG_PORT, deadline_ns, out);
}

static enum err start_services(void)
{
	enum err e = ctl_start(CTL_PORT, commands, ncommands);

	if (e != OK)
		return e;
	/* The boot id must differ from the last boot's, also where the TSC is all the entropy. */
	uint64_t wall_ns = rtc_wall_ns();
	random_stir(&wall_ns, sizeof(wall_ns));
	mig_init();
	mig_hooks = (struct mig_hooks){ mig_connect, announce_guest };
	return chan_tcp_listen(MIG_PORT, MIG_SERVED_MAX, mig_serve);
}

enum err wire_net(void)
{
	const struct boot_options *o = &boot_options;
	enum err e = set_mtus(o);

	if (e != OK)
		return e;
	if (!o->mgmt.nic.name[0] && !o->guest.name[0]) {
		log_line("no network: the command line has no mgmt=NIC,ADDRESS");
		return OK;
	}
	e = netif_start(o->node);
	if (e == OK)
		e = host_on("mgmt", &o->mgmt);
	if (e == OK)
		e = host_on("mig", &o->mig);
	if (e == OK)
		e = guests_on(&o->guest);
	if (e != OK)
		return e;
	sched_add_poll(netif_drain);
	sched_add_poll(nic_poll_all);
	sched_add_poll(netif_poll);
	sched_add_poll(announce_poll);
	sched_add_poll(ctl_poll);
	return o->mgmt.nic.name[0] ? start_services() : OK;
}

const struct network *wire_network(unsigned i)
{
	return i < nnetworks ? &networks[i] : NULL;
}

bool wire_guest_port(const struct vm *vm, unsigned nic, struct vswitch **sw, unsigned *port)
{
	struct guest_port *g = find_guest_port(vm, nic);

	if (!vm || !g)
		return false;
	*sw = guest_network->sw;
	*port = g->port;
	return true;
}

/* --- Guests among the boot modules ------------------------------------------------------------ */

/* "vm NAME" or "file NAME": the rest of the module's string when it begins with `kind`. */
static const char *module_name(const struct mb_module *m, const char *kind)
{
	size_t n = strlen(kind);

	return !strncmp(m->string, kind, n) && m->string[n] == ' ' ? m->string + n + 1 : NULL;
}

static void start_guest(const struct mb_module *m)
{
	static struct vm_config config;
	struct vm *vm;
	enum err e = vmdef_parse((const char *)(uintptr_t)m->start, m->end - m->start, &config);

	if (e == OK)
		e = vm_create(&config, &vm);
	if (e == OK)
		e = vm_start(vm);
	if (e != OK)
		log_line("boot module \"%s\": the guest does not start: %s", m->string,
		         err_reason());
}

/* A guest that does not start is the guest's trouble: the host goes on, and says so. */
enum err wire_vms(void)
{
	for (unsigned i = 0; i < boot_info.nmodules; i++) {
		const struct mb_module *m = &boot_info.module[i];
		const char *name = module_name(m, "file");
		if (name &&
		    image_add(name, (const void *)(uintptr_t)m->start, m->end - m->start) != OK)
			log_line("boot module \"%s\" is not used: %s", m->string, err_reason());
		if (!name && !module_name(m, "vm"))
			log_line("boot module \"%s\" is not used: it is neither vm nor file",
			         m->string);
	}
	for (unsigned i = 0; i < boot_info.nmodules; i++)
		if (module_name(&boot_info.module[i], "vm"))
			start_guest(&boot_info.module[i]);
	return OK;
}
