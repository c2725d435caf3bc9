/* SPDX-License-Identifier: MIT */
/*
 * vmm/vm.h - the life of a virtual machine.
 *
 *   create -> STOPPED --start--> RUNNING <--pause/resume--> PAUSED
 *                 ^                 |  guest powers off, or does what stops it: STOPPED / FAILED
 *   ghost  -> GHOST (destination of a migration: has memory and devices, never ran here)
 *
 * A migration owns a VM through vm->owner (mig/state.c says who may run); vm_start() and friends
 * refuse while it does, naming it.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "vmm/bus.h"
#include "vmm/clock.h"
#include "vmm/cpuid.h"
#include "vmm/dirty.h"
#include "vmm/machine.h"
#include "vmm/mem.h"
#include "vmm/stage2.h"
#include "vmm/trace.h"
#include "vmm/vcpu.h"

/* A guest's network card: its address, and what its port on the switch lets through. */
struct vm_nic_config {
	uint8_t  mac[6];
	uint16_t vlan;                          /* lib/vlan.h; VLAN_OF_HOST until it has a port */
	bool     any_mac;                       /* may send from addresses that are not its own */
};

/* What a VM is made of; checked by vm_config_check().  Names of payloads refer to vmm/image.h. */
struct vm_config {
	char     name[VM_NAME_MAX];             /* [a-z0-9-], starts with a letter          */
	uint8_t  uuid[16];                      /* made by the node that creates the VM     */
	uint64_t ram_bytes;
	unsigned cpus;
	enum { BOOT_LINUX, BOOT_MULTIBOOT } boot;
	char     kernel[IMAGE_NAME_MAX];        /* or the multiboot1 ELF                    */
	char     initrd[IMAGE_NAME_MAX];        /* may be empty                             */
	char     module[VM_MODULES_MAX][IMAGE_NAME_MAX];
	unsigned nmodules;
	char     cmdline[VM_CMDLINE_MAX];
	struct cpu_baseline cpu;                /* how the CPU was chosen when it was created   */
	unsigned nnics;
	struct vm_nic_config nic[VM_NICS_MAX];
};

#define VM_RUNS(R)  R(STOPPED) R(RUNNING) R(PAUSED) R(FAILED) R(GHOST) R(MOVED)
enum vm_run {
#define R(name) VM_##name,
	VM_RUNS(R)
#undef R
	VM_NRUNS
};

/* What CPUs know of a VM's second-stage tables; by the number of the CPU. */
struct tlb {
	uint64_t flushes;               /* how often everybody was to forget; 1 at create         */
	uint64_t flushed[CPUS_MAX];     /* `flushes` when this CPU flushed last                   */
	uint64_t owed[CPUS_MAX];        /* how often it had something to forget by then           */
	uint64_t done[CPUS_MAX];        /* how often it flushed: counted by virt_ops.s2_flush()   */
	uint64_t fetched[CPUS_MAX];     /* how often this CPU was inside and was fetched out      */
	uint64_t harvests;              /* vmm/dirty.c: two flushes each                          */
};

/*
 * Who may touch a field:  I fixed after create   t any task (none is preempted, and all of them
 * have the host lock)   a any, atomic
 */
struct vm {
	struct vm_config config;                /* I                                         */
	enum vm_run      run;                   /* t                                         */
	char             why[160];              /* t  why it is STOPPED or FAILED, in a sentence */
	const void      *owner;                 /* t  the migration that holds it, or NULL   */
	bool             stun;                  /* t  stopped by a migration, whatever `run` says */
	unsigned         throttle;              /* t  see vm_throttle()                         */
	unsigned         inside;                /* a  vCPUs whose task is between enter and park;
	                                         *    and the loader, when the guest resets      */
	struct event     parked;                /* t  signalled when `inside` falls to 0     */
	unsigned         live_tasks;            /* t  vCPU tasks that have not ended         */
	bool             making;                /* t  has name and place, but nobody finds it */
	bool             loading;               /* t  being booted, while others run         */
	bool             ending;                /* t  tasks shall return                     */

	struct mem       mem;
	struct stage2    s2;
	struct tlb       tlb;                   /* t  who must flush it: vmm/guest_mode.h    */
	uint32_t         asid;                  /* I  VPID or ASID of vCPU 0; of vCPU i: + i   */
	struct bus       bus;
	struct clock     clock;
	struct cpuid_table cpuid;               /* I  frozen at create; travels              */
	struct machine   machine;               /* devices                                   */
	struct vcpu     *vcpu[VCPUS_MAX];       /* I                                         */
	struct trace     trace;
	uint64_t         bytes_used;            /* t  host memory that is not guest RAM      */
	hpa_t            arena;                 /* I  holds this struct, the vCPUs, the trace  */
	unsigned         narena;                /* I  how many                               */
	bool             reset_wanted;          /* t  boot again as soon as no vCPU is inside */
	uint64_t         starts;                /* t  how often it was booted                */
};

/* What the rest of the program wants to know and do; set once at boot by boot/wire.c. */
struct vm_hooks {
	/* Join guest NIC `i` to a switch / leave it.  attach may refuse (no port left). */
	enum err (*nic_attach)(struct vm *vm, unsigned i);
	void     (*nic_detach)(struct vm *vm, unsigned i);
	/* Open or close the guest's switch ports; closed ports neither send nor receive. */
	void     (*nic_gate)(struct vm *vm, bool open);
	/* Wall-clock time now, ns since 1970 UTC; 0 when this machine does not know it. */
	uint64_t (*wall_ns)(void);
	/* The CPUID of this machine's CPU. */
	cpuid_raw_fn *cpuid;
};
extern struct vm_hooks vm_hooks;

enum err vm_config_check(const struct vm_config *c);    /* names the field */
enum err vm_config_payloads(const struct vm_config *c);  /* are its images all here? */

/*
 * All or nothing.  A ghost has devices in reset state, no payload, and in its RAM whatever others
 * left there.  It takes long: call it from a task, and others run meanwhile.  The same holds for
 * vm_start().
 */
enum err vm_create(const struct vm_config *c, struct vm **out);
enum err vm_create_ghost(const struct vm_config *c, const struct cpuid_table *cpuid,
                         struct vm **out);
enum err vm_delete(struct vm *vm);                      /* no owner; not RUNNING or PAUSED */

enum err vm_start(struct vm *vm);                       /* loads payloads, resets, runs */
enum err vm_pause(struct vm *vm);
enum err vm_resume(struct vm *vm);
enum err vm_stop(struct vm *vm, const char *why);       /* at once, as pulling the plug */

/*
 * Let the vCPUs stand still for so many thousandths of the time, in slices of a few ms, so that
 * the guest writes less; 0: not at all.  VM time goes on meanwhile: to the guest it is a busy host.
 */
#define PERMILLE        1000u
#define VM_THROTTLE_MAX 990u
void     vm_throttle(struct vm *vm, unsigned permille);

/*
 * For a migration.  stun: returns when no vCPU is inside; ports closed, clock stopped.  unstun: as
 * if nothing had happened.
 */
enum err vm_stun(struct vm *vm);
void     vm_unstun(struct vm *vm, uint64_t advance_ns);
void     vm_become_running(struct vm *vm, uint64_t advance_ns); /* a ghost with all state loaded */

/* From the guest's side: it powered off, reset, triple-faulted or did what we cannot do. */
void vm_fail(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vm_power_off(struct vm *vm, const char *why);
void vm_reset(struct vm *vm, const char *why);                  /* boots again from its payloads */

/*
 * The CPU that a guest with this many vCPUs would be given here; `baseline` NULL: all that this
 * host has.
 */
void vm_host_cpuid(struct cpuid_table *out, unsigned cpus, const struct cpu_baseline *baseline);
/* The CPU of a new VM; ERR_NOT_SUPPORTED (refused) lists what this host lacks for its baseline. */
enum err vm_make_cpuid(const struct vm_config *c, struct cpuid_table *out);

struct vm *vm_find(const char *name);                   /* NULL: none */
struct vm *vm_at(unsigned i);                           /* i < VMS_MAX; NULL: slot is empty */
const char *vm_run_name(enum vm_run run);

/* It runs, but no vCPU of it will ever do anything again by itself: halted, interrupts off. */
static inline bool vm_is_halted(const struct vm *vm)
{
	bool halted = vm->run == VM_RUNNING;

	for (unsigned i = 0; i < vm->config.cpus; i++)
		halted &= vcpu_is_deaf(vm->vcpu[i]) || vm->vcpu[i]->wait_sipi;
	return halted;
}

/* All sections in load order (clock, interrupt controllers, devices, vCPUs); false at the end. */
bool vm_section(struct vm *vm, unsigned i, struct section_ref *out);

/* Deliver an interrupt message to the local APICs it names. */
void vm_apic_send(struct vm *vm, const struct apic_msg *msg);

/* From the vCPU loop: the last vCPU inside has left; a task is about to end. */
void vm_quiet(struct vm *vm);
void vm_task_ended(struct vm *vm);

/* Time: run the tick of every device whose deadline has come; returns the next one (VM time). */
uint64_t vm_tick(struct vm *vm, uint64_t now_ns);

#endif
