/* SPDX-License-Identifier: MIT */
/*
 * tests/host/fake_guest.c - see fake_guest.h.
 */
#include "tests/host/support.h"

#include "tests/host/fake_guest.h"

#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/task.h"
#include "lib/time.h"
#include "vmm/image.h"

#define POOL_BYTES (64 * MIB)

struct fake_cpu fake_cpu;
struct fake_tasks fake_tasks;
bool fake_gate_open;
unsigned fake_nics;

static uint64_t frames_at_start, pages_at_start;
static jmp_buf *task_end;               /* where a task goes that would wait for ever */

/* --- The vendor ------------------------------------------------------------------------------- */

static enum err fake_vcpu_init(struct vcpu *v)
{
	if (fake_cpu.fail_vcpu == (int)v->id)
		return refuse(ERR_NO_MEMORY, "vCPU %u fails as planned", v->id);
	v->hw = calloc(1, sizeof(struct cpu_state));
	*(struct cpu_state *)v->hw = v->state;
	fake_cpu.vcpus++;
	return OK;
}

static void fake_vcpu_fini(struct vcpu *v)
{
	free(v->hw);
	fake_cpu.vcpus--;
}

static void fake_load(struct vcpu *v)
{
	fake_cpu.loaded = v;
	fake_cpu.loads++;
}

static void fake_put(struct vcpu *v) { (void)v; }

static void fake_get(struct vcpu *v, struct cpu_state *s)
{
	fake_cpu.gets++;
	*s = *(struct cpu_state *)v->hw;
	memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->rip = v->rip;
	s->rflags = v->rflags;
	s->event_type = v->again.type;
	s->event_vector = v->again.vector;
	s->event_has_error = v->again.has_error;
	s->event_insn_len = v->again.insn_len;
	s->event_error = v->again.error;
}

static void fake_set(struct vcpu *v, const struct cpu_state *s)
{
	fake_cpu.sets++;
	*(struct cpu_state *)v->hw = *s;
	memcpy(v->gpr, s->gpr, sizeof(v->gpr));
	v->rip = s->rip;
	v->rflags = s->rflags;
	v->again = (struct inject){ s->event_type, s->event_vector, s->event_has_error,
	                            s->event_insn_len, s->event_error };
	v->irq_blocked = !(s->rflags & RFLAGS_IF);
}

static void fake_get_mode(struct vcpu *v, struct cpu_mode *m)
{
	const struct cpu_state *s = v->hw;

	if (fake_cpu.mode_set) {
		*m = fake_cpu.mode;
		return;
	}
	*m = (struct cpu_mode){ .cr0 = s->cr0, .cr3 = s->cr3, .cr4 = s->cr4,
	                        .efer = s->msr[CPU_MSR_EFER],
		.cs_attr = s->seg_attr[SEG_CS], .ss_attr = s->seg_attr[SEG_SS] };
	memcpy(m->seg_base, s->seg_base, sizeof(m->seg_base));
}

static void fake_enter(struct vcpu *v, struct exit *x)
{
	assert_ptr_equal(fake_cpu.loaded, v);
	fake_cpu.entries++;
	fake_cpu.tsc_offset = v->tsc_offset;
	fake_cpu.slice_tsc = v->slice_tsc;
	fake_cpu.others_ran = v->others_ran;
	v->others_ran = false;
	if (fake_cpu.next == fake_cpu.nsteps) {
		vm_power_off(v->vm, "end of the script");
		*x = (struct exit){ .kind = EXIT_NMI };
		return;
	}
	struct fake_step *s = &fake_cpu.step[fake_cpu.next++];
	v->irq_blocked = s->irq_blocked;
	if (s->before)
		s->before(v);
	*x = s->x;
}

static void fake_inject(struct vcpu *v, const struct inject *event)
{
	if (event->type == EVENT_NMI && fake_cpu.sti_shadow) {
		v->nmi_pending = true;
		return;
	}
	assert_true(fake_cpu.ninjected < FAKE_STEPS_MAX);
	fake_cpu.injected[fake_cpu.ninjected++] = *event;
}

static void fake_window(struct vcpu *v, bool wanted)
{
	(void)v;
	fake_cpu.window = wanted;
	fake_cpu.windows++;
}

static void fake_flush(struct vm *vm) { (void)vm; }

static uint64_t fake_tsc_aux(struct vcpu *v) { return v->state.msr[CPU_MSR_TSC_AUX]; }

struct s2_format fake_format = { .read = BIT(0), .write = BIT(1), .exec = BIT(2),
                                 .leaf = BIT(7), .accessed = BIT(8), .dirty = BIT(9) };
static const struct virt_ops fake_ops = {
	.name = "paper", .vcpu_init = fake_vcpu_init, .vcpu_fini = fake_vcpu_fini,
	.vcpu_load = fake_load,
	.vcpu_put = fake_put, .get = fake_get, .set = fake_set, .get_mode = fake_get_mode,
	.enter = fake_enter, .inject = fake_inject, .irq_window = fake_window,
	.tsc_aux = fake_tsc_aux, .s2_flush = fake_flush, .s2 = &fake_format,
};

/* --- The scheduler ---------------------------------------------------------------------------- */

enum err task_create(const char *name, void (*run)(void *), void *arg)
{
	(void)name;
	if (fake_tasks.n == fake_tasks.max)
		return refuse(ERR_NO_MEMORY, "no task is left, as planned");
	fake_tasks.task[fake_tasks.n].run = run;
	fake_tasks.task[fake_tasks.n++].arg = arg;
	return OK;
}

enum err task_create_anywhere(const char *name, void (*run)(void *), void *arg)
{
	return task_create(name, run, arg);
}

bool task_should_yield(void)
{
	return cpu_here()->wanted;
}

void task_yield(void)
{
	fake_tasks.yields++;
	cpu_here()->wanted = false;
}

void task_breathe(void)
{
	fake_tasks.breaths++;
	if (fake_tasks.on_breath)
		fake_tasks.on_breath();
}

void event_signal(struct event *e)
{
	e->set = true;
}

bool event_wait(struct event *e, uint64_t deadline_ns)
{
	if (!e->set && support_now_ns < deadline_ns) {
		fake_tasks.waits++;
		fake_tasks.waited_until_ns = deadline_ns;
		if (fake_tasks.on_wait)
			fake_tasks.on_wait();
		if (!e->set && deadline_ns != NEVER_NS)
			support_now_ns = MAX(support_now_ns, deadline_ns);
		else if (!e->set && task_end)
			longjmp(*task_end, 1);
	}
	bool was_set = e->set;
	e->set = false;
	return was_set;
}

uint64_t sched_deadline_ns(void)
{
	return fake_tasks.sched_deadline_ns;
}

void sched_poke(void)
{
	cpu_here()->wanted = true;
}

const char *task_name(void)
{
	return "test";
}

/* --- The machine ------------------------------------------------------------------------------ */

static enum err attach(struct vm *vm, unsigned i)
{
	(void)vm;
	(void)i;
	fake_nics++;
	return OK;
}

static void detach(struct vm *vm, unsigned i)
{
	(void)vm;
	(void)i;
	fake_nics--;
}

static void gate(struct vm *vm, bool open)
{
	(void)vm;
	fake_gate_open = open;
}

static uint64_t wall(void)
{
	return 1700000000 * NS_PER_S + support_now_ns;
}

/* A CPU with everything: what guests must not see is for vmm/cpuid.c to leave out. */
static void everything(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	*out = (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
	if (leaf == CPUID_VENDOR) {
		out->eax = 0x20;
	} else if (leaf == CPUID_CACHE) {
		*out = (struct cpuid_regs){ .eax = subleaf < 4 ? 0xfc01c001u | (subleaf + 1) << 5
		                            : 0 };
	} else if (leaf == CPUID_XSAVE && subleaf == 2) {
		*out = (struct cpuid_regs){ .eax = 256, .ebx = 576 };
	} else if (leaf == CPUID_EXT_ADDRESS) {
		*out = (struct cpuid_regs){ .eax = 0x302e };
	}
}

struct vm_hooks vm_hooks = { .nic_attach = attach, .nic_detach = detach, .nic_gate = gate,
                             .wall_ns = wall,
                             .cpuid = everything };

/* Multiboot with addresses: 48 bytes that are loaded at 1 MiB. */
static const uint32_t kernel[] = {
	0x1badb002, BIT(16) | 3, -(uint32_t)(0x1badb002 + (BIT(16) | 3)),
	MIB, MIB, 0, 0, MIB + 32, 0xf4f4f4f4, 0xf4f4f4f4, 0, 0,
};

void fake_guest_reset(void)
{
	static void *pool;

	if (!pool) {
		pool = aligned_alloc(FRAME_SIZE, POOL_BYTES);
		pages_add_region(ptr_hpa(pool), POOL_BYTES);
		assert_int_equal(image_add("kernel", kernel, sizeof(kernel)), OK);
	}
	memset(&fake_cpu, 0, sizeof(fake_cpu));
	fake_cpu.fail_vcpu = -1;
	fake_format.small_code = false;
	memset(&fake_tasks, 0, sizeof(fake_tasks));
	fake_tasks.max = FAKE_TASKS_MAX;
	fake_tasks.sched_deadline_ns = NEVER_NS;
	support_now_ns = NS_PER_S;
	support_tsc_khz = 1000000;
	cpu_here()->wanted = false;
	virt = &fake_ops;
	virt_caps = (struct virt_caps){ .usable = true, .xcr0_mask = XCR0_X87 | XCR0_SSE |
	                                XCR0_AVX };
	frames_at_start = pages_stats().frames_free;
	pages_at_start = pages_stats().pages_used;
}

void fake_push_step(struct fake_step s)
{
	assert_true(fake_cpu.nsteps < FAKE_STEPS_MAX);
	fake_cpu.step[fake_cpu.nsteps++] = s;
}

void fake_push(struct exit x)
{
	fake_push_step((struct fake_step){ .x = x });
}

struct vm_config fake_config(const char *name, unsigned cpus)
{
	struct vm_config c = { .ram_bytes = 8 * MIB, .cpus = cpus, .boot = BOOT_MULTIBOOT,
	                       .kernel = "kernel", .nnics = 1,
	                       .nic = { { { 0x52, 0x54, 0, 1, 2, 3 } } } };

	fmt_format(c.name, sizeof(c.name), "%s", name);
	return c;
}

struct vm *fake_vm(unsigned cpus)
{
	struct vm_config c = fake_config("paper", cpus);
	struct vm *vm;

	if (vm_create(&c, &vm) != OK)
		fail_msg("no VM: %s", err_reason());
	return vm;
}

static void run_until_it_waits_for_ever(unsigned i)
{
	jmp_buf here;

	task_end = &here;
	if (!setjmp(here))
		fake_tasks.task[i].run(fake_tasks.task[i].arg);
	task_end = NULL;
}

void fake_run(struct vm *vm, unsigned id)
{
	for (unsigned i = 0; i < fake_tasks.n; i++)
		if (fake_tasks.task[i].arg == vm->vcpu[id])
			run_until_it_waits_for_ever(i);
}

void fake_guest_end(void)
{
	for (unsigned i = 0; i < VMS_MAX; i++) {
		struct vm *vm = vm_at(i);
		if (!vm)
			continue;
		vm->owner = NULL;
		if (vm->run == VM_RUNNING || vm->run == VM_PAUSED)
			vm_stop(vm, "the test is over");
		assert_int_equal(vm_delete(vm), OK);
	}
	fake_tasks.on_wait = fake_tasks.on_breath = NULL;
	for (unsigned i = 0; i < fake_tasks.n; i++)
		run_until_it_waits_for_ever(i);
	assert_int_equal(fake_cpu.vcpus, 0);
	assert_int_equal(fake_nics, 0);
	assert_int_equal(pages_stats().frames_free, frames_at_start);
	assert_int_equal(pages_stats().pages_used, pages_at_start);
}

int fake_fresh(void **state)
{
	(void)state;
	fake_guest_reset();
	return 0;
}

int fake_done(void **state)
{
	(void)state;
	fake_guest_end();
	return 0;
}
