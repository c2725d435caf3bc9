/* SPDX-License-Identifier: MIT */
/*
 * tests/host/fake_guest.h - a CPU vendor, a scheduler and a machine that exist only on paper, so
 * that vmm/'s run loop, exits and VM life can be tested on any machine.
 *
 * The "CPU" runs a script: each enter() takes the next step, which says why the guest comes back.
 * Tasks run one after the other when somebody waits: event_wait() runs the others first.
 */
#ifndef TESTS_HOST_FAKE_GUEST_H
#define TESTS_HOST_FAKE_GUEST_H

#include "vmm/vm.h"

#define FAKE_STEPS_MAX 64
#define FAKE_TASKS_MAX 16

struct fake_step {
	struct exit x;
	void      (*before)(struct vcpu *v);    /* what "the guest" does until then; may be NULL */
	bool        irq_blocked;
};

/* What the vendor was told, for tests to look at. */
struct fake_cpu {
	struct fake_step step[FAKE_STEPS_MAX];
	unsigned nsteps, next;
	struct inject injected[FAKE_STEPS_MAX];         /* in order */
	unsigned ninjected;
	bool     sti_shadow;                            /* inject() gives NMIs back */
	bool     window;
	unsigned windows;                               /* how often irq_window() was called */
	unsigned entries, loads, gets, sets, vcpus;
	struct vcpu *loaded;                            /* enter() asserts that it is this one */
	int      fail_vcpu;                     /* vcpu_init() of this vCPU fails; -1: none */
	uint64_t tsc_offset, slice_tsc;                 /* as the last entry found them */
	bool     others_ran;                            /* likewise; the entry clears it */
	struct cpu_mode mode;                           /* what get_mode() gives, when mode_set */
	bool     mode_set;
};
extern struct fake_cpu fake_cpu;

/* Its second-stage format: with accessed and dirty flags; a test may set small_code. */
extern struct s2_format fake_format;

struct fake_tasks {
	unsigned n;
	struct { void (*run)(void *); void *arg; } task[FAKE_TASKS_MAX];
	unsigned max;                                   /* task_create() fails beyond     */
	unsigned yields, waits;
	uint64_t waited_until_ns;                       /* of the last event_wait()       */
	void   (*on_wait)(void);                        /* called by each wait that must wait */
	void   (*on_breath)(void);                      /* what others do during long work  */
	unsigned breaths;
	uint64_t sched_deadline_ns;
};
extern struct fake_tasks fake_tasks;

/* The gate of the guest's switch ports, as last told; and the NICs that are attached. */
extern bool fake_gate_open;
extern unsigned fake_nics;

/* Everything back to the beginning; memory for guests is there. */
void fake_guest_reset(void);

/* The next exits.  When the script is used up, the VM is stopped ("end of the script"). */
void fake_push(struct exit x);
void fake_push_step(struct fake_step s);

/* A VM of 8 MiB that runs an 8-byte multiboot kernel.  Asserts that it can be made. */
struct vm_config fake_config(const char *name, unsigned cpus);
struct vm *fake_vm(unsigned cpus);

/* Run the task of vCPU `id` until it ends or waits for ever. */
void fake_run(struct vm *vm, unsigned id);

/* End all VMs: their tasks run to their ends, and all memory must be back. */
void fake_guest_end(void);

/* The same two, as a test's set-up and tear-down. */
int fake_fresh(void **state);
int fake_done(void **state);

#endif
