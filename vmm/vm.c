/* SPDX-License-Identifier: MIT */
/*
 * vmm/vm.c - the life of a virtual machine: create, start, pause, stun, end.
 *
 * Owns the table of VMs.  A VM's own memory (struct vm, its vCPUs, its trace) is one run of frames;
 * its parts are made in the order of one table and unmade in the reverse order, also when making
 * one fails.  Each vCPU is a task that lives as long as the VM; deleting a VM tells the tasks to
 * end, and the last one out takes the VM's memory with it, so no caller ever waits for that.
 * Read next: vmm/vm_parts.c, vmm/vcpu.c.
 */
#include "vmm/vm.h"

#include <stdarg.h>
#include <string.h>

#include "lib/crc32c.h"
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
	bool here = i < VMS_MAX && vms[i] && !vms[i]->ending && !vms[i]->making;

	return here ? vms[i] : NULL;
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
	/* Every page of a ghost comes from its source, which END makes sure of. */
	return vm->run == VM_GHOST ? mem_create_used(&vm->mem, vm->config.ram_bytes) :
				     mem_create(&vm->mem, vm->config.ram_bytes);
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

/* The VM's own memory, which comes zeroed: the struct, the vCPUs behind it, then the trace. */
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
		enum err e = task_create_anywhere(vm->config.name, vcpu_task, vm->vcpu[i]);
		if (e != OK)
			return e;
		vm->live_tasks++;
	}
	return OK;
}

static void give_slot_back(const struct vm *vm)
{
	for (unsigned i = 0; i < VMS_MAX; i++)
		if (vms[i] == vm)
			vms[i] = NULL;
}

static void reap(struct vm *vm)
{
	give_slot_back(vm);
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

/* Its place and its name are taken from here on; nobody finds it while it is being made. */
static enum err take_slot(struct vm *vm)
{
	unsigned slot = VMS_MAX;

	for (unsigned i = VMS_MAX; i-- > 0;) {
		if (!vms[i])
			slot = i;
		else if (!vms[i]->ending && !strcmp(vms[i]->config.name, vm->config.name))
			return refuse(ERR_EXISTS, "there is already a VM \"%s\"",
			              vm->config.name);
	}
	if (slot == VMS_MAX)
		return refuse(ERR_NO_MEMORY, "there are already %d VMs", VMS_MAX);
	vm->making = true;
	vm->asid = 1 + slot * VCPUS_MAX;
	vms[slot] = vm;
	return OK;
}

/* All of its parts or none.  Its RAM takes long and others run meanwhile; the rest is counted. */
static enum err make(struct vm *vm)
{
	uint64_t before = 0;
	unsigned made = 0;
	enum err e = OK;

	for (; made < COUNT(parts) && e == OK; made++) {
		if (made == 1)
			before = pages_stats().pages_used;
		e = parts[made].make(vm);
	}
	if (e != OK) {
		give_slot_back(vm);
		unmake(vm, made - 1);
		return e;
	}
	uint64_t own = (vm->narena + vm->mem.ntables) * PAGES_PER_FRAME;
	vm->bytes_used = (pages_stats().pages_used - before + own) * PAGE_SIZE;
	return OK;
}

static enum err create(const struct vm_config *c, const struct cpuid_table *cpuid, enum vm_run run,
                       struct vm **out)
{
	struct vm *vm;
	enum err e = vm_config_check(c);

	if (e == OK)
		e = make_arena(c, &vm);
	if (e != OK)
		return e;
	vm->config = *c;
	vm->run = run;
	vm->tlb.flushes = 1;            /* no CPU has flushed yet: each does when it comes */
	bus_init(&vm->bus);
	clock_create(&vm->clock, 0);
	vm->cpuid = *cpuid;
	cpuid_state.resume(&vm->cpuid); /* builds the index, which does not travel */
	e = take_slot(vm);
	if (e == OK)
		e = make(vm);
	else
		unmake(vm, 0);
	if (e != OK)
		return e;
	vm->making = false;
	e = make_tasks(vm);
	if (e == OK)
		*out = vm;
	else
		end(vm);
	return e;
}

/*
 * Hosts that booted alike must not make the same: the definition goes in, and the moment (RFC 9562,
 * version 4).
 */
static void make_uuid(struct vm_config *c)
{
	uint64_t sources[] = { time_tsc(), crc32c(0, c, sizeof(*c)) };

	random_stir(sources, sizeof(sources));
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

/* The one who loads holds on to the VM, and what it finds half loaded must not run. */
static enum err refuse_loading(const struct vm *vm, const char *what)
{
	return refuse(ERR_BUSY, "VM \"%s\" is being booted: no %s now", vm->config.name, what);
}

enum err vm_delete(struct vm *vm)
{
	if (vm->loading)
		return refuse_loading(vm, "delete");
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

/*
 * Power-up: devices and vCPUs in reset state, payloads in RAM, time stands at 0.  Others run while
 * payloads are copied.
 */
static enum err power_up(struct vm *vm)
{
	ASSERT(!vm->loading);
	clock_create(&vm->clock, vm_hooks.wall_ns ? vm_hooks.wall_ns() : 0);
	machine_reset(vm);
	for (unsigned i = 0; i < vm->config.cpus; i++)
		vcpu_reset(vm->vcpu[i]);
	vm->loading = true;
	image_hold();
	enum err e = vm->config.boot == BOOT_LINUX ? loader_linux(vm) : loader_multiboot(vm);
	image_let_go();
	vm->loading = false;
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
	if (vm->loading)
		return refuse_loading(vm, "start");
	if (vm->inside)                 /* a vCPU has not heard of it yet */
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
	if (vm->loading)
		return refuse_loading(vm, "pause");
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

/*
 * vCPUs stay out until reset_wanted is false, and a migration that wants the guest to stand still
 * waits for us as for one of them.  Somebody may pull the plug meanwhile.
 */
static void reboot(struct vm *vm)
{
	if (vm->run == VM_RUNNING) {
		vm->inside++;
		enum err e = power_up(vm);
		vm->inside--;
		if (e != OK)
			vm_fail(vm, "it cannot boot again: %s", err_reason());
		else if (vm->run == VM_RUNNING && !vm->stun)
			resume_time(vm, 0, false);
	}
	vm->reset_wanted = false;
	kick_all(vm);
	event_signal(&vm->parked);
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
	else
		event_signal(&vm->parked);
}
