/* SPDX-License-Identifier: MIT */
/*
 * vmm/vm.c - the life of a virtual machine: create, start, pause, stun, end.
 *
 * Owns the table of VMs.  A VM's own memory (struct vm, its vCPUs, its trace) is one run of frames;
 * its parts are made in the order of one table and unmade in the reverse order, also when making
 * one fails.  Each vCPU is a task that lives as long as the VM; deleting a VM tells the tasks to
 * end, and the last one out takes the VM's memory with it, so no caller ever waits for that.
 * Read next: vmm/vcpu.c.
 */
#include "vmm/vm.h"

#include <stdarg.h>
#include <string.h>

#include "arch/x86_64/defs/apic.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/random.h"
#include "lib/time.h"
#include "vmm/dump.h"
#include "vmm/image.h"
#include "vmm/loader.h"

#define STUN_WAIT_MAX_NS  (5 * NS_PER_S)        /* a vCPU comes back after a slice of 10 ms */

static struct vm *vms[VMS_MAX];                 /* an ending VM keeps its slot until it is gone */

static const char *const run_names[VM_NRUNS] = {
#define R(name) [VM_##name] = #name,
	VM_RUNS(R)
#undef R
};

const char *vm_run_name(enum vm_run run)
{
	return run < VM_NRUNS ? run_names[run] : "unknown";
}

struct vm *vm_at(unsigned i)
{
	return i < VMS_MAX && vms[i] && !vms[i]->ending ? vms[i] : NULL;
}

struct vm *vm_find(const char *name)
{
	for (unsigned i = 0; i < VMS_MAX; i++)
		if (vm_at(i) && !strcmp(vms[i]->config.name, name))
			return vms[i];
	return NULL;
}

static void set_run(struct vm *vm, enum vm_run run, const char *why)
{
	trace_add(&vm->trace, TRACE_VM_RUN, 0, vm->run, run);
	vm->run = run;
	if (why != vm->why)
		fmt_format(vm->why, sizeof(vm->why), "%s", why);
}

static void kick_all(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.cpus; i++)
		vcpu_kick(vm->vcpu[i]);
}

static void gate(struct vm *vm, bool open)
{
	if (vm_hooks.nic_gate)
		vm_hooks.nic_gate(vm, open);
}

/* --- Making and unmaking ---------------------------------------------------------------------- */

static enum err make_ram(struct vm *vm)
{
	return mem_create(&vm->mem, vm->config.ram_bytes);
}

static void unmake_ram(struct vm *vm)
{
	mem_destroy(&vm->mem);
}

static enum err make_stage2(struct vm *vm)
{
	if (!virt->s2)
		return refuse(ERR_NOT_SUPPORTED, "this host runs no guests: it was booted so");
	enum err e = stage2_create(&vm->s2, virt->s2);
	if (e != OK)
		return e;
	e = stage2_map_ram(&vm->s2, &vm->mem);
	if (e != OK)
		stage2_destroy(&vm->s2);
	return e;
}

static void unmake_stage2(struct vm *vm)
{
	stage2_destroy(&vm->s2);
}

static void unmake_vcpus(struct vm *vm)
{
	for (unsigned i = vm->config.cpus; i-- > 0; )
		vcpu_destroy(vm->vcpu[i]);
}

static enum err make_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		enum err e = vcpu_create(vm->vcpu[i], vm, i);
		if (e == OK)
			continue;
		while (i-- > 0)
			vcpu_destroy(vm->vcpu[i]);
		return e;
	}
	return OK;
}

static void unmake_nics(struct vm *vm)
{
	for (unsigned i = vm->config.nnics; i-- > 0; )
		if (vm_hooks.nic_detach)
			vm_hooks.nic_detach(vm, i);
}

static enum err make_nics(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.nnics; i++) {
		enum err e = vm_hooks.nic_attach ? vm_hooks.nic_attach(vm, i) : OK;
		if (e == OK)
			continue;
		while (i-- > 0)
			vm_hooks.nic_detach(vm, i);
		return e;
	}
	gate(vm, false);
	return OK;
}

static const struct part { enum err (*make)(struct vm *); void (*unmake)(struct vm *); } parts[] = {
	{ make_ram,       unmake_ram },
	{ make_stage2,    unmake_stage2 },
	{ make_vcpus,     unmake_vcpus },
	{ machine_create, machine_destroy },    /* devices: they send messages to the vCPUs   */
	{ make_nics,      unmake_nics },        /* the network cards' places on the switch    */
};

static void unmake(struct vm *vm, unsigned nparts)
{
	while (nparts-- > 0)
		parts[nparts].unmake(vm);
	frames_free_run(vm->arena, vm->narena);
}

/* The VM's own memory: the struct, the vCPUs behind it, then the trace. */
static enum err make_arena(const struct vm_config *c, struct vm **out)
{
	const uint64_t vm_bytes = ALIGN_UP(sizeof(struct vm), PAGE_SIZE);
	const uint64_t vcpu_bytes = ALIGN_UP(sizeof(struct vcpu), PAGE_SIZE);
	const uint64_t total =
		vm_bytes + c->cpus * vcpu_bytes + TRACE_RECORDS * sizeof(struct trace_record);
	unsigned n = (unsigned)((total + FRAME_SIZE - 1) / FRAME_SIZE);
	hpa_t arena;
	enum err e = frames_alloc_run(n, &arena);

	if (e != OK)
		return e;
	struct vm *vm = hpa_ptr(arena);
	memset(vm, 0, total);
	vm->arena = arena;
	vm->narena = n;
	for (unsigned i = 0; i < c->cpus; i++)
		vm->vcpu[i] = hpa_ptr(hpa(arena.v + vm_bytes + i * vcpu_bytes));
	trace_init(&vm->trace, hpa_ptr(hpa(arena.v + vm_bytes + c->cpus * vcpu_bytes)));
	*out = vm;
	return OK;
}

/* Until a task has begun, nothing has happened that ending it would not undo. */
static enum err make_tasks(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		enum err e = task_create(vm->config.name, vcpu_task, vm->vcpu[i]);
		if (e != OK)
			return e;
		vm->live_tasks++;
	}
	return OK;
}

static void reap(struct vm *vm)
{
	for (unsigned i = 0; i < VMS_MAX; i++)
		if (vms[i] == vm)
			vms[i] = NULL;
	unmake(vm, COUNT(parts));
}

void vm_task_ended(struct vm *vm)
{
	if (--vm->live_tasks == 0)
		reap(vm);
}

static void end(struct vm *vm)
{
	vm->ending = true;
	gate(vm, false);
	if (vm->live_tasks == 0)
		reap(vm);
	else
		kick_all(vm);
}

static enum err take_slot(const char *name, unsigned *slot)
{
	if (vm_find(name))
		return refuse(ERR_EXISTS, "there is already a VM \"%s\"", name);
	for (*slot = 0; *slot < VMS_MAX; ++*slot)
		if (!vms[*slot])
			return OK;
	return refuse(ERR_NO_MEMORY, "there are already %d VMs", VMS_MAX);
}

static enum err create(const struct vm_config *c, const struct cpuid_table *cpuid, enum vm_run run,
                       struct vm **out)
{
	uint64_t before = pages_stats().pages_used;
	unsigned slot, made = 0;
	struct vm *vm;
	enum err e = vm_config_check(c);

	if (e == OK)
		e = take_slot(c->name, &slot);
	if (e == OK)
		e = make_arena(c, &vm);
	if (e != OK)
		return e;
	vm->config = *c;
	vm->run = run;
	vm->asid = 1 + slot * VCPUS_MAX;
	bus_init(&vm->bus);
	clock_create(&vm->clock, 0);
	vm->cpuid = *cpuid;
	cpuid_state.resume(&vm->cpuid); /* builds the index, which does not travel */
	while (made < COUNT(parts) && (e = parts[made].make(vm)) == OK)
		made++;
	if (e != OK) {
		unmake(vm, made);
		return e;
	}
	vms[slot] = vm;
	e = make_tasks(vm);
	if (e != OK) {
		end(vm);
		return e;
	}
	vm->bytes_used = (pages_stats().pages_used - before) * PAGE_SIZE;
	*out = vm;
	return OK;
}

/*
 * Hosts that booted alike must not make the same: the definition goes in, and the moment (RFC 9562,
 * version 4).
 */
static void make_uuid(struct vm_config *c)
{
	uint64_t tsc = time_tsc();

	random_stir(c, sizeof(*c));
	random_stir(&tsc, sizeof(tsc));
	random_bytes(c->uuid, sizeof(c->uuid));
	c->uuid[6] = (uint8_t)((c->uuid[6] & 0x0f) | 0x40);
	c->uuid[8] = (uint8_t)((c->uuid[8] & 0x3f) | 0x80);
}

enum err vm_create(const struct vm_config *c, struct vm **out)
{
	struct cpuid_table cpuid;
	enum err e = vm_config_check(c);

	if (e == OK)
		e = vm_config_payloads(c);
	if (e != OK)
		return e;
	e = vm_make_cpuid(c, &cpuid);
	if (e == OK)
		e = create(c, &cpuid, VM_STOPPED, out);
	if (e == OK)
		make_uuid(&(*out)->config);
	if (e == OK)
		log_line("%s: created, %llu MiB, %u CPU%s", c->name, c->ram_bytes / MIB, c->cpus,
		         c->cpus > 1 ? "s" : "");
	return e;
}

enum err vm_create_ghost(const struct vm_config *c, const struct cpuid_table *cpuid,
                         struct vm **out)
{
	enum err e = cpuid_state.check(cpuid);

	return e == OK ? create(c, cpuid, VM_GHOST, out) : e;
}

/* --- What people ask for ---------------------------------------------------------------------- */

static enum err refuse_owned(const struct vm *vm, const char *what)
{
	return refuse(ERR_BUSY, "VM \"%s\" is being migrated: no %s now", vm->config.name, what);
}

static enum err refuse_run(const struct vm *vm, const char *what)
{
	return refuse(ERR_BUSY, "VM \"%s\" is %s: no %s now", vm->config.name, vm_run_name(vm->run),
	              what);
}

enum err vm_delete(struct vm *vm)
{
	if (vm->run == VM_RUNNING || vm->run == VM_PAUSED)
		return refuse_run(vm, "delete");
	if (vm->owner)
		return refuse_owned(vm, "delete");
	end(vm);
	return OK;
}

/* VM time goes on; everything that is computed from it follows. */
static void resume_time(struct vm *vm, uint64_t advance_ns, bool was_stopped)
{
	clock_resume(&vm->clock, advance_ns);
	for (unsigned i = 0; i < vm->config.cpus; i++)
		vcpu_clock_changed(vm->vcpu[i], was_stopped);
	vm->bus.deadline_ns = 0; /* nobody knows the deadlines: the next turn asks */
	gate(vm, true);
	kick_all(vm);
}

/* Power-up: devices and vCPUs in reset state, payloads in RAM, time stands at 0. */
static enum err power_up(struct vm *vm)
{
	clock_create(&vm->clock, vm_hooks.wall_ns ? vm_hooks.wall_ns() : 0);
	machine_reset(vm);
	for (unsigned i = 0; i < vm->config.cpus; i++)
		vcpu_reset(vm->vcpu[i]);
	enum err e = vm->config.boot == BOOT_LINUX ? loader_linux(vm) : loader_multiboot(vm);
	if (e != OK)
		return e;
	for (unsigned i = 0; i < vm->config.cpus; i++)
		vcpu_state_apply(vm->vcpu[i]);
	vm->starts++;
	return OK;
}

enum err vm_start(struct vm *vm)
{
	if (vm->owner)
		return refuse_owned(vm, "start");
	if (vm->run != VM_STOPPED && vm->run != VM_FAILED)
		return refuse_run(vm, "start");
	if (vm->inside)                 /* the request is a frame of this guest's last exit */
		return refuse(ERR_BUSY, "VM \"%s\" has not quite stopped yet", vm->config.name);
	enum err e = power_up(vm);
	if (e != OK)
		return e;
	set_run(vm, VM_RUNNING, "");
	resume_time(vm, 0, false);
	log_line("%s: started", vm->config.name);
	return OK;
}

static void stop_time(struct vm *vm)
{
	gate(vm, false);
	clock_pause(&vm->clock);
	kick_all(vm);
}

enum err vm_pause(struct vm *vm)
{
	if (vm->owner)
		return refuse_owned(vm, "pause");
	if (vm->run != VM_RUNNING)
		return refuse_run(vm, "pause");
	set_run(vm, VM_PAUSED, "");
	stop_time(vm);
	return OK;
}

enum err vm_resume(struct vm *vm)
{
	if (vm->owner)
		return refuse_owned(vm, "resume");
	if (vm->run != VM_PAUSED)
		return refuse_run(vm, "resume");
	set_run(vm, VM_RUNNING, "");
	resume_time(vm, 0, true);
	return OK;
}

enum err vm_stop(struct vm *vm, const char *why)
{
	if (vm->owner)
		return refuse_owned(vm, "stop");
	if (vm->run != VM_RUNNING && vm->run != VM_PAUSED)
		return refuse_run(vm, "stop");
	set_run(vm, VM_STOPPED, why);
	stop_time(vm);
	log_line("%s: stopped: %s", vm->config.name, why);
	return OK;
}

/* --- What a migration does -------------------------------------------------------------------- */

enum err vm_stun(struct vm *vm)
{
	uint64_t until = time_now_ns() + STUN_WAIT_MAX_NS;

	vm->stun = true;
	gate(vm, false);
	kick_all(vm);
	while (vm->inside > 0) {
		if (event_wait(&vm->parked, until))
			continue;
		vm->stun = false;
		gate(vm, vm->run == VM_RUNNING);
		kick_all(vm);
		return fail(ERR_TIMEOUT, "%s: %u of its vCPUs did not stop within %llu s",
		            vm->config.name, vm->inside, STUN_WAIT_MAX_NS / NS_PER_S);
	}
	clock_pause(&vm->clock);
	return OK;
}

void vm_unstun(struct vm *vm, uint64_t advance_ns)
{
	vm->stun = false;
	if (vm->run == VM_RUNNING)
		resume_time(vm, advance_ns, advance_ns > 0);
	else
		kick_all(vm);
}

void vm_throttle(struct vm *vm, unsigned permille)
{
	ASSERT(permille <= VM_THROTTLE_MAX);
	vm->throttle = permille;
	kick_all(vm);                           /* slices that were set before are too long */
}

void vm_become_running(struct vm *vm, uint64_t advance_ns)
{
	ASSERT(vm->run == VM_GHOST);
	vm->stun = false;
	set_run(vm, VM_RUNNING, "");
	resume_time(vm, advance_ns, true);
}

/* --- What the guest does ---------------------------------------------------------------------- */

void vm_fail(struct vm *vm, const char *fmt, ...)
{
	va_list args;

	if (vm->run != VM_RUNNING)
		return;
	va_start(args, fmt);
	fmt_vformat(vm->why, sizeof(vm->why), fmt, args);
	va_end(args);
	set_run(vm, VM_FAILED, vm->why);
	stop_time(vm);
	dump_last_words(vm);
	log_line("%s: stopped by us: %s", vm->config.name, vm->why);
}

void vm_power_off(struct vm *vm, const char *why)
{
	if (vm->run != VM_RUNNING)
		return;
	set_run(vm, VM_STOPPED, why);
	stop_time(vm);
	dump_last_words(vm);
	log_line("%s: powered off: %s", vm->config.name, why);
}

static void reboot(struct vm *vm)
{
	vm->reset_wanted = false;
	if (vm->run != VM_RUNNING)
		return;
	enum err e = power_up(vm);
	if (e != OK)
		vm_fail(vm, "it cannot boot again: %s", err_reason());
	else if (!vm->stun)
		resume_time(vm, 0, false);
}

void vm_reset(struct vm *vm, const char *why)
{
	if (vm->run != VM_RUNNING || vm->reset_wanted)
		return;
	log_line("%s: reset: %s", vm->config.name, why);
	vm->reset_wanted = true;
	if (vm->inside == 0)
		reboot(vm);
	else /* it comes from a vCPU: when the last has left */
		kick_all(vm);
}

void vm_quiet(struct vm *vm)
{
	if (vm->reset_wanted)
		reboot(vm);
	event_signal(&vm->parked);
}

/* --- Sections, messages, time ----------------------------------------------------------------- */

bool vm_section(struct vm *vm, unsigned i, struct section_ref *out)
{
	/*
	 * The CPU that the guest sees and its time come first: devices and timers are checked
	 * against them.
	 */
	if (i == 0) {
		*out = (struct section_ref){ &cpuid_state, &vm->cpuid, 0 };
		return true;
	}
	if (i == 1) {
		*out = (struct section_ref){ &clock_state, &vm->clock, 0 };
		return true;
	}
	i -= 2;
	for (unsigned d = 0; d < vm->machine.ndevs; d++) {
		const struct machine_dev *dev = &vm->machine.dev[d];
		if (!dev->ops->state || i-- > 0)
			continue;
		*out = (struct section_ref){ dev->ops->state, dev->dev, dev->instance };
		return true;
	}
	if (i >= 2 * vm->config.cpus)
		return false;
	struct vcpu *v = vm->vcpu[i / 2];
	*out = i % 2 == 0 ? (struct section_ref){ &vlapic_state, &v->lapic, (uint16_t)v->id }
	                  : (struct section_ref){ &vcpu_state, v, (uint16_t)v->id };
	return true;
}

/*
 * A lowest-priority message goes to one of those it names; any will do, so the first that listens.
 */
void vm_apic_send(struct vm *vm, const struct apic_msg *msg)
{
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		if (!vlapic_matches(&vm->vcpu[i]->lapic, msg))
			continue;
		vcpu_apic_message(vm->vcpu[i], msg);
		if (msg->delivery == APIC_MODE_LOWEST)
			return;
	}
}

uint64_t vm_tick(struct vm *vm, uint64_t now_ns)
{
	uint64_t next = NEVER_NS;

	for (unsigned d = 0; d < vm->machine.ndevs; d++) {
		const struct machine_dev *dev = &vm->machine.dev[d];
		if (!dev->ops->deadline)
			continue;
		uint64_t due = dev->ops->deadline(dev->dev);
		if (due <= now_ns && dev->ops->tick) {
			dev->ops->tick(dev->dev, now_ns);
			due = dev->ops->deadline(dev->dev);
		}
		next = MIN(next, due);
	}
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		struct vcpu *v = vm->vcpu[i];
		if (vlapic_deadline(&v->lapic) <= now_ns) {
			vlapic_tick(&v->lapic, now_ns);
			vcpu_kick(v);
		}
		next = MIN(next, vlapic_deadline(&v->lapic));
	}
	vm->bus.deadline_ns = next;
	return next;
}
