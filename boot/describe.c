/* SPDX-License-Identifier: MIT */
/*
 * boot/describe.c - this host, its VMs and its migrations as JSON; docs/api.md documents each
 * member.
 */
#include <string.h>

#include "arch/x86_64/smp.h"
#include "boot/boot.h"
#include "boot/commands.h"
#include "boot/wire.h"
#include "lib/fmt.h"
#include "lib/pages.h"
#include "lib/task.h"
#include "lib/time.h"
#include "net/announce.h"
#include "net/netif.h"

#define VERSION    "0.1"
#define MACS_SHOWN 32

static void describe_mac(struct json_writer *w, const uint8_t mac[MAC_LEN])
{
	json_format(w, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
	            mac[4], mac[5]);
}

/* --- The node --------------------------------------------------------------------------------- */

static void describe_features(struct json_writer *w)
{
	json_array(w, "features");
	for (unsigned i = 0; i < virt_caps.nfeatures; i++) {
		const struct virt_feature *f = &virt_caps.feature[i];
		json_object(w, NULL);
		json_string(w, "name", f->name);
		json_bool(w, "found", f->found);
		json_bool(w, "required", f->required);
		if (!f->found && f->why)
			json_string(w, "why", f->why);
		json_object_end(w);
	}
	json_array_end(w);
}

/*
 * Everything the hypervisor keeps for itself: its image and every page that is not a guest's RAM.
 */
static void describe_memory(struct json_writer *w)
{
	struct pages_stats s = pages_stats();

	json_object(w, "memory");
	json_u64(w, "frames_bytes", s.frames_total * FRAME_SIZE);
	json_u64(w, "free_bytes", s.frames_free * FRAME_SIZE);
	json_u64(w, "guest_bytes", s.bytes_guest);
	json_u64(w, "image_bytes", boot_image_bytes());
	json_u64(w, "hypervisor_bytes", boot_image_bytes() + s.pages_used * PAGE_SIZE);
	json_object_end(w);
}

static void describe_turns(struct json_writer *w)
{
	const struct sched_turns *t = sched_turns();

	json_object(w, "turns");
	json_u64(w, "count", t->count);
	json_ms(w, "longest_ms", t->longest_ns);
	json_string(w, "longest", t->longest);
	json_ms(w, "longest_wait_ms", t->longest_wait_ns);
	json_string(w, "longest_wait", t->longest_wait);
	json_u64(w, "too_long", t->too_long);
	json_object_end(w);
}

static void describe_cpus(struct json_writer *w)
{
	json_ms(w, "poll_wait_max_ms", sched_poll_wait_max_ns());
	json_array(w, "cpus");
	for (const struct host_cpu *c = host_cpus; c < host_cpus + cpus_online; c++) {
		json_object(w, NULL);
		json_u64(w, "cpu", c->number);
		json_u64(w, "apic_id", c->apic_id);
		json_u64(w, "vcpus", c->placed);
		json_u64(w, "busy", c->busy);
		json_u64(w, "idle_ticks", sched_idle_tsc(c));
		json_format(w, "tsc_skew", "%ld", smp_skew(c->number).ticks);
		json_object_end(w);
	}
	json_array_end(w);
}

static void describe_nics(struct json_writer *w)
{
	json_array(w, "nics");
	for (unsigned i = 0; nic_at(i); i++) {
		struct nic *n = nic_at(i);
		nic_refresh(n);
		json_object(w, NULL);
		json_string(w, "name", n->name);
		json_string(w, "where", n->where);
		describe_mac(w, n->mac);
		json_bool(w, "link", n->link);
		json_u64(w, "mtu", n->mtu);
		json_u64(w, "tx_frames", n->count.tx_frames);
		json_u64(w, "tx_bytes", n->count.tx_bytes);
		json_u64(w, "tx_full", n->count.tx_full);
		json_u64(w, "rx_frames", n->count.rx_frames);
		json_u64(w, "rx_bytes", n->count.rx_bytes);
		json_u64(w, "rx_dropped", n->count.rx_dropped);
		json_u64(w, "rx_errors", n->count.rx_errors);
		json_u64(w, "rx_long", n->count.rx_long);
		json_u64(w, "interrupts", n->count.interrupts);
		json_object_end(w);
	}
	json_array_end(w);
}

static void describe_port_counts(struct json_writer *w, const struct vport_info *p)
{
	json_bool(w, "open", p->open);
	json_u64(w, "in_frames", p->count.in_frames);
	json_u64(w, "in_bytes", p->count.in_bytes);
	json_u64(w, "out_frames", p->count.out_frames);
	json_u64(w, "out_bytes", p->count.out_bytes);
	json_u64(w, "dropped_closed", p->count.dropped_closed);
	json_u64(w, "dropped_full", p->count.dropped_full);
	json_u64(w, "dropped_bad", p->count.dropped_bad);
	json_u64(w, "dropped_forged", p->count.dropped_forged);
}

static void describe_switch(struct json_writer *w, const struct vswitch *s)
{
	static const char *const kinds[] = {
		[VPORT_UPLINK] = "uplink", [VPORT_HOST] = "host", [VPORT_GUEST] = "guest"
	};
	static struct vswitch_mac mac[MACS_SHOWN];
	unsigned n = vswitch_macs(s, mac, MACS_SHOWN, time_now_ns());
	struct vport_info info;

	json_string(w, "name", vswitch_name(s));
	json_array(w, "ports");
	for (unsigned i = 0; i < VSWITCH_PORTS_MAX; i++) {
		if (!vswitch_port_info(s, i, &info))
			continue;
		json_object(w, NULL);
		json_u64(w, "port", i);
		json_string(w, "name", info.name);
		json_string(w, "kind", kinds[info.kind]);
		if (info.vlan != VLAN_TRUNK)
			json_u64(w, "vlan", info.vlan);
		describe_port_counts(w, &info);
		json_object_end(w);
	}
	json_array_end(w);
	json_array(w, "macs");
	for (unsigned i = 0; i < n; i++) {
		json_object(w, NULL);
		describe_mac(w, mac[i].mac);
		json_u64(w, "vlan", mac[i].vlan);
		json_u64(w, "port", mac[i].port);
		json_ms(w, "age_ms", mac[i].age_ns);
		json_object_end(w);
	}
	json_array_end(w);
}

static void describe_networks(struct json_writer *w)
{
	char address[96];

	json_array(w, "addresses");
	for (unsigned i = 0; netif_describe(i, address, sizeof(address)); i++)
		json_string(w, NULL, address);
	json_array_end(w);
	describe_nics(w);
	json_array(w, "switches");
	for (unsigned i = 0; wire_network(i); i++) {
		json_object(w, NULL);
		describe_switch(w, wire_network(i)->sw);
		json_object_end(w);
	}
	json_array_end(w);
	json_u64(w, "rarps_sent", announce_sent());
}

/* What the firmware's tables say, and which of it we can use. */
static void describe_firmware(struct json_writer *w)
{
	static const char *const iommus[] = {
		[ACPI_IOMMU_NONE] = "none", [ACPI_IOMMU_DMAR] = "VT-d", [ACPI_IOMMU_IVRS] = "AMD"
	};

	json_object(w, "firmware");
	json_bool(w, "uefi", boot_info.efi);
	json_bool(w, "acpi", acpi_info.present);
	json_bool(w, "power_off", acpi_info.power.has_s5);
	json_u64(w, "cpus", acpi_info.ncpus);
	json_u64(w, "proximity_domains", acpi_count_domains(&acpi_info));
	json_string(w, "iommu", iommus[acpi_info.iommu_kind]);
	json_u64(w, "iommu_units", acpi_info.niommus);
	json_object_end(w);
}

void describe_node(struct json_writer *w)
{
	json_string(w, "name", boot_options.node);
	json_string(w, "version", VERSION);
	json_string(w, "virtualization", virt->name);
	json_ms(w, "uptime_ms", time_now_ns());
	json_u64(w, "tsc_khz", time_tsc_khz());
	json_u64(w, "tsc", time_tsc());
	json_u64(w, "idle_ticks", sched_idle_tsc(&host_cpus[0]));
	json_u64(w, "guest_ticks", vcpu_ran_tsc());
	json_u64(w, "boot_ticks", boot_ticks());
	describe_firmware(w);
	describe_cpus(w);
	describe_features(w);
	describe_memory(w);
	describe_turns(w);
	describe_networks(w);
}

/* --- Its CPU ---------------------------------------------------------------------------------- */

static void add_name(void *json, const char *name)
{
	json_string(json, NULL, name);
}

static void describe_level(struct json_writer *w, const struct cpuid_table *here, const char *name)
{
	struct cpu_baseline b;

	if (cpu_baseline_named(name, &b) != OK)
		return;
	json_object(w, NULL);
	json_string(w, "name", name);
	json_array(w, "missing");
	cpuid_lacks(here, &b, add_name, w);
	json_array_end(w);
	json_object_end(w);
}

/* What a VM created here can be given: with "host" all of it, with a baseline a part of it. */
void describe_cpu(struct json_writer *w)
{
	static struct cpuid_table here;
	char vendor[CPUID_VENDOR_MAX], brand[CPUID_BRAND_MAX];

	vm_host_cpuid(&here, 1, NULL);
	cpuid_vendor(&here, vendor);
	cpuid_brand(&here, brand);
	json_string(w, "vendor", vendor);
	json_string(w, "brand", brand);
	json_u64(w, "phys_bits", cpuid_phys_bits(&here));
	json_format(w, "xcr0", "%#lx", here.xcr0_mask);
	json_u64(w, "tsc_khz", time_tsc_khz());
	json_bool(w, "tsc_scaling", virt_caps.tsc_fraction);
	json_array(w, "features");
	cpuid_list(&here, add_name, w);
	json_array_end(w);
	json_array(w, "shareable");
	cpuid_shareable(&here, add_name, w);
	json_array_end(w);
	json_array(w, "levels");
	for (unsigned i = 0; cpu_baseline_level(i); i++)
		describe_level(w, &here, cpu_baseline_level(i));
	json_array_end(w);
}

/* --- VMs -------------------------------------------------------------------------------------- */

static void describe_vcpus(struct json_writer *w, const struct vm *vm)
{
	json_array(w, "vcpus");
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		const struct vcpu *v = vm->vcpu[i];
		json_object(w, NULL);
		json_u64(w, "id", i);
		json_bool(w, "halted", v->halted);
		json_bool(w, "deaf", vcpu_is_deaf(v));
		json_format(w, "rip", "%016lx", v->rip);
		json_u64(w, "ran_ticks", v->ran_tsc);
		json_ms(w, "ran_ms", time_tsc_to_ns(v->ran_tsc));
		json_u64(w, "holds", v->holds);
		json_object(w, "exits");
		for (unsigned kind = 0; kind < EXIT_NKINDS; kind++)
			if (v->exits[kind])
				json_u64(w, exit_name(kind), v->exits[kind]);
		json_object_end(w);
		json_object_end(w);
	}
	json_array_end(w);
}

/* As a definition says it. */
static void describe_vlan(struct json_writer *w, uint16_t vlan)
{
	if (vlan == VLAN_TRUNK)
		json_string(w, "vlan", "trunk");
	else
		json_u64(w, "vlan", vlan);
}

static void describe_vm_nics(struct json_writer *w, const struct vm *vm)
{
	struct vport_info info;
	struct vswitch *sw;
	unsigned port;

	json_array(w, "nics");
	for (unsigned i = 0; i < vm->config.nnics; i++) {
		json_object(w, NULL);
		describe_mac(w, vm->config.nic[i].mac);
		json_bool(w, "any_mac", vm->config.nic[i].any_mac);
		if (wire_guest_port(vm, i, &sw, &port) && vswitch_port_info(sw, port, &info)) {
			json_string(w, "switch", vswitch_name(sw));
			json_u64(w, "port", port);
			describe_vlan(w, info.vlan);
			describe_port_counts(w, &info);
		}
		json_object_end(w);
	}
	json_array_end(w);
}

/* CPUs that were never inside are left out. */
static void describe_tlb(struct json_writer *w, const struct tlb *t)
{
	json_u64(w, "tlb_flushes", t->flushes);
	json_u64(w, "harvests", t->harvests);
	json_array(w, "tlb");
	for (unsigned i = 0; i < cpus_online; i++) {
		if (!t->flushed[i])
			continue;
		json_object(w, NULL);
		json_u64(w, "cpu", i);
		json_u64(w, "owed", t->owed[i]);
		json_u64(w, "flushed", t->done[i]);
		json_bool(w, "current", t->flushed[i] == t->flushes);
		json_u64(w, "fetched", t->fetched[i]);
		json_object_end(w);
	}
	json_array_end(w);
}

void describe_vm(struct json_writer *w, const struct vm *vm, bool whole)
{
	const uint8_t *u = vm->config.uuid;

	json_string(w, "name", vm->config.name);
	json_string(w, "state", vm->stun ? "STUNNED" : vm_run_name(vm->run));
	if (vm->why[0])
		json_string(w, "why", vm->why);
	else if (vm_is_halted(vm))
		json_string(w, "why", "halted with interrupts off");
	json_u64(w, "memory", vm->config.ram_bytes / MIB);
	json_u64(w, "cpus", vm->config.cpus);
	json_string(w, "cpu", cpu_baseline_name(&vm->config.cpu));
	json_bool(w, "migrating", vm->owner);
	if (!whole)
		return;
	json_format(w, "uuid",
	            "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
	            u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
	            u[13], u[14], u[15]);
	json_ms(w, "clock_ms", clock_now_ns(&vm->clock));
	json_ms(w, "node_ms", time_now_ns());
	json_u64(w, "tsc_khz", vm->clock.tsc_khz);
	json_string(w, "tsc_by", clock_tsc_name(&vm->clock));
	json_u64(w, "host_bytes", vm->bytes_used);
	describe_tlb(w, &vm->tlb);
	json_bool(w, "tracking", vm->s2.tracking);
	json_u64(w, "code_splits", vm->s2.code_splits);
	json_u64(w, "throttle", vm->throttle);
	json_u64(w, "starts", vm->starts);
	json_array(w, "cpu_features");
	cpuid_list(&vm->cpuid, add_name, w);
	json_array_end(w);
	describe_vcpus(w, vm);
	describe_vm_nics(w, vm);
}

/* --- Migrations ------------------------------------------------------------------------------- */

static void describe_rounds(struct json_writer *w, const struct mig_status *s)
{
	json_array(w, "rounds");
	for (unsigned i = 0; i < s->nrounds; i++) {
		json_object(w, NULL);
		json_u64(w, "pages", s->round[i].pages);
		json_u64(w, "zero_pages", s->round[i].zero_pages);
		json_u64(w, "bytes", s->round[i].bytes);
		json_ms(w, "ms", s->round[i].ns);
		json_object_end(w);
	}
	json_array_end(w);
}

static void describe_parts(struct json_writer *w, const struct mig_status *s)
{
	static const char *const names[MIG_NPARTS] = {
#define P(name) #name,
		MIG_PARTS(P)
#undef P
	};

	json_object(w, "downtime_parts_ms");
	for (unsigned i = 0; i < MIG_NPARTS; i++)
		json_ms(w, names[i], s->part_ns[i]);
	json_object_end(w);
}

static void describe_hash(struct json_writer *w, const uint8_t hash[32])
{
	char text[65];

	for (unsigned i = 0; i < 32; i++)
		fmt_format(text + 2 * i, 3, "%02x", hash[i]);
	json_string(w, "ram_hash", text);
}

void describe_migration(struct json_writer *w, const struct mig_status *s, bool rounds)
{
	json_u64(w, "id", s->id);
	json_string(w, "vm", s->vm);
	json_string(w, "peer", s->peer);
	json_u64(w, "epoch", s->epoch);
	json_bool(w, "outgoing", s->outgoing);
	json_string(w, "state", s->state);
	json_bool(w, "ended", s->ended);
	json_bool(w, "ok", s->ok);
	json_string(w, "result", s->result);
	json_u64(w, "round", s->nrounds);
	json_u64(w, "pages_left", s->pages_left);
	json_u64(w, "rate_bytes_s", s->rate_bytes_s);
	json_ms(w, "predicted_downtime_ms", s->predicted_downtime_ns);
	json_u64(w, "bytes_sent", s->bytes_sent);
	json_u64(w, "payload_bytes", s->payload_bytes);
	json_u64(w, "pages_sent", s->pages_sent);
	json_u64(w, "zero_pages_sent", s->zero_pages_sent);
	json_u64(w, "state_bytes", s->state_bytes);
	json_ms(w, "round_trip_ms", s->round_trip_ns);
	json_u64(w, "throttle", s->throttle);
	json_u64(w, "throttle_max", s->throttle_max);
	json_u64(w, "harvest_ticks", s->harvest_ticks);
	json_u64(w, "harvest_pages", s->harvest_pages);
	json_ms(w, "total_ms", (s->ended ? s->ended_ns : time_now_ns()) - s->started_ns);
	json_ms(w, "downtime_ms", s->downtime_ns);
	describe_parts(w, s);
	if (s->ram_hash_valid)
		describe_hash(w, s->ram_hash);
	if (rounds)
		describe_rounds(w, s);
}

/* --- Trace ------------------------------------------------------------------------------------ */

#define TRACE_CHUNK 32

static void describe_record(struct json_writer *w, const struct vm *vm,
                            const struct trace_record *r)
{
	static const char *const names[TRACE_NEVENTS] = {
#define E(name, text, a, b) text,
		TRACE_EVENTS(E)
#undef E
	};

	(void)vm;
	json_object(w, NULL);
	json_u64(w, "us", time_tsc_to_ns(r->tsc) / NS_PER_US);
	json_string(w, "event", names[r->event]);
	json_u64(w, "vcpu", r->vcpu);
	if (r->event == TRACE_VM_EXIT) {
		json_string(w, "kind", exit_name(r->a & 0xff));
		json_format(w, "detail", "%lx", r->a >> 8);
		json_format(w, "rip", "%016lx", r->b);
	} else {
		json_format(w, "a", "%lx", r->a);
		json_format(w, "b", "%lx", r->b);
	}
	json_object_end(w);
}

void describe_trace(struct json_writer *w, const struct vm *vm, uint64_t from, unsigned max)
{
	static struct trace_record record[TRACE_CHUNK];

	json_array(w, "records");
	while (max) {
		unsigned n = trace_read(&vm->trace, &from, record, MIN(max, TRACE_CHUNK));
		if (!n)
			break;
		for (unsigned i = 0; i < n; i++)
			describe_record(w, vm, &record[i]);
		max -= n;
	}
	json_array_end(w);
	json_u64(w, "next", from);
}
