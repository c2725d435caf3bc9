/* SPDX-License-Identifier: MIT */
/*
 * vmm/vcpu.c - one virtual CPU: its task, and one turn of its loop.
 *
 * A turn delivers what is pending, enters the guest, counts why it came back, and lets exit.c act
 * on it.  The path is short on purpose: clocks are read only when a deadline changed, interrupt
 * controllers are asked only after somebody said that there may be something new (vcpu_kick()).
 * Between two turns a vCPU is at a safe point: its state is complete in the hardware's structures
 * and here.  There it yields, parks for a migration, halts, and is reset; whenever its task gives
 * the CPU away its registers leave the CPU as well, so that any CPU may go on with it.
 * Read next: vmm/exit.c.
 */
#include "vmm/vcpu.h"

#include <string.h>

#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/msr.h"
#include "lib/log.h"
#include "lib/time.h"
#include "vmm/fault.h"
#include "vmm/guest_mode.h"
#include "vmm/kvmclock.h"
#include "vmm/pagewalk.h"
#include "vmm/vm.h"

#define SLICE_MAX_NS            (10 * NS_PER_MS)
#define SLICE_LEAST_NS          (50 * NS_PER_US)
#define THROTTLE_PERIOD_NS      (20 * NS_PER_MS) /* a throttled VM runs in the first part of each */
#define TRACE_ADDRESS           MASK(47, 0)     /* 16 bits are for the kind         */
/* Exits that are handled among this VM's own registers and tables; the others reach devices. */
#define OWN_EXITS (BIT(EXIT_IRQ_WINDOW) | BIT(EXIT_CPUID) | BIT(EXIT_MSR) | BIT(EXIT_CR8) | \
                   BIT(EXIT_XSETBV) | BIT(EXIT_HYPERCALL) | BIT(EXIT_PAUSE) |             \
                   BIT(EXIT_WBINVD) | BIT(EXIT_UNDEFINED) | BIT(EXIT_GP) | BIT(EXIT_RDTSC) | \
                   BIT(EXIT_SYSENTER))
/* As firmware leaves them: on, and everything write-back. */
#define MTRR_POWER_UP           (MTRR_DEF_ENABLE | PAT_WB)
#define SIPI_PAGE_SHIFT         12              /* the vector is a page number      */
#define MISC_ENABLE_POWER_UP (MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_NO_BTS | MISC_ENABLE_NO_PEBS)

/* --- Its place in a CPU ----------------------------------------------------------------------- */

/* This CPU holds no vCPU's registers any more. */
static void unload(struct host_cpu *c)
{
	virt->vcpu_put(c->vcpu);
	c->vcpu->on = NULL;
	c->vcpu = NULL;
	c->before_switch = NULL;
}

/*
 * When the task gives the CPU away, another CPU may want what this one holds.  Where there is no
 * other, registers stay until another vCPU needs the place.
 */
static void load(struct vcpu *v)
{
	struct host_cpu *c = cpu_here();

	if (c->vcpu)
		unload(c);
	virt->vcpu_load(v);
	v->on = c;
	c->vcpu = v;
	c->before_switch = cpus_online > 1 ? unload : NULL;
}

/* Its registers are in this CPU from here on; mostly they are already. */
static inline void make_current(struct vcpu *v)
{
	if (!v->on)
		load(v);
}

/*
 * For work on the state of a vCPU that may be anybody's; true: it was not here before, and goes
 * again.
 */
static bool borrow(struct vcpu *v)
{
	bool fresh = !v->on;

	ASSERT(fresh || v->on == cpu_here());
	make_current(v);
	return fresh;
}

static void give_back(struct vcpu *v)
{
	if (v->on->before_switch)
		unload(v->on);
}

/* --- State ------------------------------------------------------------------------------------ */

void vcpu_state_apply(struct vcpu *v)
{
	bool fresh = borrow(v);

	v->xcr0 = v->state.xcr0;
	virt->set(v, &v->state);
	v->irq_check = true;
	v->window_wanted = false;
	virt->irq_window(v, false);
	if (fresh)
		give_back(v);
}

void vcpu_state_fetch(struct vcpu *v)
{
	bool fresh = borrow(v);

	virt->get(v, &v->state);
	if (fresh)
		give_back(v);
}

void vcpu_reset(struct vcpu *v)
{
	cpu_state_reset(&v->state);
	vlapic_init(&v->lapic, v->id, v->id == 0, &v->vm->clock);
	v->again = v->exception = (struct inject){ .type = EVENT_NONE };
	v->nmi_pending = v->init_pending = v->sipi_pending = v->halted = false;
	v->deaf_told = false;
	v->wait_sipi = v->id != 0;
	v->tsc_adjust = 0;
	v->pvclock_gpa = 0;
	v->misc_enable = MISC_ENABLE_POWER_UP;
	v->mtrr_def_type = MTRR_POWER_UP;
	memset(v->mtrr_fixed, 0, sizeof(v->mtrr_fixed));
	memset(v->mtrr_base, 0, sizeof(v->mtrr_base));
	memset(v->mtrr_mask, 0, sizeof(v->mtrr_mask));
}

static void send_message(void *vcpu, const struct apic_msg *msg);

enum err vcpu_create(struct vcpu *v, struct vm *vm, unsigned id)
{
	memset(v, 0, sizeof(*v));
	v->vm = vm;
	v->id = id;
	v->lapic.out = (struct msg_wire){ send_message, v };
	v->lapic.eoi = vioapic_eoi;
	v->lapic.eoi_to = &vm->machine.ioapic;
	vcpu_reset(v);
	return virt->vcpu_init(v);
}

void vcpu_destroy(struct vcpu *v)
{
	if (v->on) {
		ASSERT(v->on == cpu_here());
		unload(v->on);
	}
	virt->vcpu_fini(v);
}

/* --- Events and messages ---------------------------------------------------------------------- */

void vcpu_kick(struct vcpu *v)
{
	v->irq_check = true;
	v->attention = true;
	event_signal(&v->wake);
	guest_mode_kick(v);
}

void vcpu_raise(struct vcpu *v, uint8_t vector)
{
	v->exception = (struct inject){ .type = EVENT_EXCEPTION, .vector = vector };
}

void vcpu_raise_error(struct vcpu *v, uint8_t vector, uint32_t error)
{
	v->exception = (struct inject){
		.type = EVENT_EXCEPTION, .vector = vector, .has_error = true, .error = error
	};
}

void vcpu_raise_page_fault(struct vcpu *v, uint64_t linear, uint32_t error)
{
	vcpu_state_fetch(v);
	v->state.cr2 = linear;
	vcpu_state_apply(v);
	vcpu_raise_error(v, VECTOR_PF, error);
}

/*
 * SDM vol. 3, "Valid Interrupt Vectors" and "Interrupt Command Register": what each delivery mode
 * does.
 */
void vcpu_apic_message(struct vcpu *v, const struct apic_msg *msg)
{
	switch (msg->delivery) {
	case APIC_MODE_FIXED:
	case APIC_MODE_LOWEST:
		vlapic_set_irr(&v->lapic, msg->vector, msg->level);
		break;
	case APIC_MODE_NMI:
		v->nmi_pending = true;
		break;
	case APIC_MODE_INIT:
		if (msg->level && !msg->assert)         /* the de-assert that old CPUs needed */
			return;
		v->init_pending = true;
		v->sipi_pending = false;
		break;
	case APIC_MODE_STARTUP:
		if (!v->wait_sipi && !v->init_pending)
			return;
		v->sipi_pending = true;
		v->sipi_vector = msg->vector;
		break;
	default: /* SMI: there is no SMM here; ExtINT is a wire */
		return;
	}
	vcpu_kick(v);
}

void vcpu_lapic_changed(struct vcpu *v)
{
	uint64_t due = vlapic_deadline(&v->lapic);

	v->irq_check = true;
	v->vm->bus.deadline_ns = MIN(v->vm->bus.deadline_ns, due);
}

/* From this vCPU's local APIC: only here is it known who "self" is. */
static void send_message(void *vcpu, const struct apic_msg *msg)
{
	enum { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };
	struct vcpu *from = vcpu;
	struct vm *vm = from->vm;

	if (msg->shorthand == TO_DEST) {
		vm_apic_send(vm, msg);
		return;
	}
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		bool self = vm->vcpu[i] == from;
		if (msg->shorthand == TO_ALL || self == (msg->shorthand == TO_SELF))
			vcpu_apic_message(vm->vcpu[i], msg);
	}
}

enum err vcpu_fetch(struct vcpu *v, uint64_t linear, void *to, uint64_t len)
{
	struct cpu_mode mode;
	uint64_t fault;
	uint32_t error;

	virt->get_mode(v, &mode);
	if (!pagewalk_read(&v->vm->mem, &mode, linear, to, len, WALK_FETCH, &fault, &error))
		return refuse(ERR_BAD_ARGUMENT, "no code can be read at %#lx", fault);
	return OK;
}

/* --- Time ------------------------------------------------------------------------------------- */

void vcpu_clock_changed(struct vcpu *v, bool was_stopped)
{
	const struct clock *c = &v->vm->clock;

	v->tsc_offset = clock_tsc_offset(c) + v->tsc_adjust;
	v->tsc_scale = c->how == CLOCK_TSC_HARDWARE ? c->ratio : 0;
	v->tsc_exits = c->how == CLOCK_TSC_EXITS;
	v->tsc_changed = true;
	v->slice_stale = true;
	vlapic_tsc_changed(&v->lapic);
	kvmclock_update(v, was_stopped);
}

/* Run what is due; the nearest deadline after that, in VM time. */
static uint64_t run_due(struct vm *vm)
{
	uint64_t now = clock_now_ns(&vm->clock);

	return vm->bus.deadline_ns <= now ? vm_tick(vm, now) : vm->bus.deadline_ns;
}

/*
 * A throttled VM stands still for `throttle` thousandths of every period, all of its vCPUs at once.
 * Whether it does now, and when that changes.
 */
static bool throttled(const struct vm *vm, uint64_t now_ns, uint64_t *change_ns)
{
	uint64_t phase = now_ns % THROTTLE_PERIOD_NS;
	uint64_t part = THROTTLE_PERIOD_NS / PERMILLE * (PERMILLE - vm->throttle);

	*change_ns = now_ns - phase + (phase < part ? part : THROTTLE_PERIOD_NS);
	return phase >= part;
}

/*
 * Up to the nearest deadline of the guest, of the throttle or of others; those who are late already
 * leave it v->least_ns, so that a busy host slows guests down but does not stop them.
 */
static void set_slice(struct vcpu *v)
{
	uint64_t due = run_due(v->vm);
	uint64_t now = time_now_ns();
	uint64_t end = MIN(now + SLICE_MAX_NS, MAX(sched_deadline_ns(), v->least_ns)), change;

	end = MIN(end, clock_host_ns(&v->vm->clock, due));
	if (v->vm->throttle && !throttled(v->vm, now, &change))
		end = MIN(end, change);
	v->slice_tsc = time_tsc() + time_ns_to_tsc(end > now ? end - now : 0);
	v->slice_for_ns = due;
	v->slice_stale = false;
}

/* --- One turn --------------------------------------------------------------------------------- */

static bool extint_waiting(const struct vcpu *v)
{
	return v->extint && vlapic_accepts_extint(&v->lapic);
}

static bool irq_waiting(const struct vcpu *v)
{
	return vlapic_pending(&v->lapic) >= 0 || extint_waiting(v);
}

static void inject(struct vcpu *v, const struct inject *event)
{
	trace_add(&v->vm->trace, TRACE_VM_INJECT, v->id, event->type | (uint64_t)event->vector << 8,
	          event->error);
	virt->inject(v, event);
}

static void inject_irq(struct vcpu *v)
{
	int vector = vlapic_pending(&v->lapic);

	if (vector >= 0)
		vlapic_accept(&v->lapic, (uint8_t)vector);
	else
		vector = vpic_accept(&v->vm->machine.pic);
	inject(v, &(struct inject){ .type = EVENT_IRQ, .vector = (uint8_t)vector });
}

/*
 * Everything but plain interrupts, most urgent first.  An NMI that must wait is the vendor's to
 * hold back; in the shadow of STI it stays pending, so that a HLT there does not sleep over it.
 */
static void deliver_event(struct vcpu *v)
{
	struct inject event = { .type = EVENT_NMI, .vector = VECTOR_NMI };

	if (v->again.type != EVENT_NONE) {
		event = v->again;
		v->again.type = EVENT_NONE;
	} else if (v->exception.type != EVENT_NONE) {
		event = v->exception;
		v->exception.type = EVENT_NONE;
	} else {
		v->nmi_pending = false;
	}
	inject(v, &event);
}

/* A handler raised a fault about an event that was on its way in.  False: a triple fault. */
static bool merge_faults(struct vcpu *v)
{
	struct inject first = v->again;

	v->again.type = EVENT_NONE;
	return fault_merge(&first, &v->exception, &v->exception);
}

/* In most turns there is nothing, so this is one test. */
static inline bool anything_to_deliver(const struct vcpu *v)
{
	return v->again.type | v->exception.type | v->nmi_pending | v->irq_check;
}

/*
 * One event an entry; a window exit is asked for only while something must wait.  False: a triple
 * fault.
 */
static bool deliver(struct vcpu *v)
{
	if (v->exception.type && v->again.type && !merge_faults(v))
		return false;
	bool taken = v->again.type || v->exception.type || v->nmi_pending;
	if (taken)
		deliver_event(v);
	if (!v->irq_check && !v->nmi_pending)
		return true;
	bool waiting = irq_waiting(v);
	if (waiting && !taken && !v->irq_blocked) {
		inject_irq(v);
		waiting = irq_waiting(v);
	}
	waiting |= v->nmi_pending;
	v->irq_check = waiting;
	if (v->window_wanted != waiting) {
		v->window_wanted = waiting;
		virt->irq_window(v, waiting);
	}
	return true;
}

/* What the trace says besides the kind: the port, the MSR or the low bits of the address. */
static inline uint64_t detail(const struct vcpu *v, const struct exit *x)
{
	switch (x->kind) {
	case EXIT_IO:    return x->io.port;
	case EXIT_MSR:   return (uint32_t)v->gpr[GPR_RCX];
	case EXIT_CPUID: return (uint32_t)v->gpr[GPR_RAX];
	case EXIT_FAULT: return x->fault.addr.v & TRACE_ADDRESS;
	case EXIT_FATAL: return x->fatal.code & TRACE_ADDRESS;
	default:         return 0;
	}
}

/* For people: counters and the trace; and whether there is now something of others in caches. */
static inline void account(struct vcpu *v, const struct exit *x)
{
	v->exits[x->kind]++;
	trace_add(&v->vm->trace, TRACE_VM_EXIT, v->id, x->kind | detail(v, x) << 8, v->rip);
	if (!(OWN_EXITS >> x->kind & 1))
		v->others_ran = true;
}

enum resume vcpu_turns(struct vcpu *v)
{
	const struct host_cpu *c = cpu_here();  /* it stays on this one: nothing here waits */
	struct vm *vm = v->vm;
	enum resume r;
	struct exit x;

	do {
		if (v->slice_stale || v->slice_for_ns != vm->bus.deadline_ns)
			set_slice(v);
		make_current(v);                /* a handler may have looked at another vCPU */
		if (anything_to_deliver(v) && !deliver(v))
			return exit_fail(v, "triple fault: a fault while the double fault was "
			                    "delivered");
		virt->enter(v, &x);
		account(v, &x);
		r = exit_dispatch(v, &x);
	} while (r <= RESUME_SAME && !v->attention && !c->wanted);
	return r;
}

/* --- The task --------------------------------------------------------------------------------- */

static bool may_run(const struct vcpu *v)
{
	const struct vm *vm = v->vm;

	return vm->run == VM_RUNNING && !vm->stun && !vm->reset_wanted && !vm->ending &&
	       !v->wait_sipi && !v->init_pending;
}

static bool woken(const struct vcpu *v)
{
	return v->again.type || v->exception.type || v->nmi_pending ||
	       (!v->irq_blocked && irq_waiting(v));
}

/*
 * INIT: wait for SIPI (SDM vol. 3, "MP Initialization Protocol").  There is no firmware for the
 * first vCPU to go to.
 */
static void act_on_init(struct vcpu *v)
{
	v->init_pending = false;
	if (v->id == 0) {
		vm_fail(v->vm, "vCPU 0 got INIT, and there is no firmware at the reset vector");
		return;
	}
	cpu_state_reset(&v->state);
	vlapic_init_signal(&v->lapic);
	v->exception = (struct inject){ .type = EVENT_NONE };
	v->nmi_pending = v->halted = false;
	v->wait_sipi = true;
	vcpu_state_apply(v);
}

static void act_on_sipi(struct vcpu *v)
{
	v->sipi_pending = false;
	cpu_state_reset(&v->state);
	v->state.rip = 0;
	v->state.seg_sel[SEG_CS] = (uint16_t)(v->sipi_vector << (SIPI_PAGE_SHIFT - 4));
	v->state.seg_base[SEG_CS] = (uint64_t)v->sipi_vector << SIPI_PAGE_SHIFT;
	v->wait_sipi = false;
	vcpu_state_apply(v);
}

/* Not to run now: wait until somebody says that something has changed. */
static void park(struct vcpu *v)
{
	bool alive =
		v->vm->run == VM_RUNNING && !v->vm->stun && !v->vm->reset_wanted && !v->vm->ending;

	if (alive && v->init_pending)
		act_on_init(v);
	else if (alive && v->wait_sipi && v->sipi_pending)
		act_on_sipi(v);
	else
		event_wait(&v->wake, NEVER_NS);
}

/* Not in this part of the period?  True: it waited; an event may have ended that too early. */
static bool hold(struct vcpu *v)
{
	uint64_t change;

	if (!v->vm->throttle || !throttled(v->vm, time_now_ns(), &change))
		return false;
	v->holds++;
	event_wait(&v->wake, change);
	return true;
}

static void leave(struct vm *vm)
{
	if (--vm->inside == 0)
		vm_quiet(vm);
}

static void tell_deaf(struct vcpu *v)
{
	if (!vcpu_is_deaf(v) || v->deaf_told)
		return;
	v->deaf_told = true;
	log_line("%s: vCPU %u halted with interrupts off: only NMI, INIT or a reset can wake it",
	         v->vm->config.name, v->id);
}

/* What is due may reset this very VM: that waits until nobody is inside. */
static void halt(struct vcpu *v)
{
	v->vm->inside++;
	uint64_t due = run_due(v->vm);
	leave(v->vm);

	tell_deaf(v);
	if (!woken(v))
		event_wait(&v->wake, clock_host_ns(&v->vm->clock, due));
}

static uint64_t all_ran_tsc;

uint64_t vcpu_ran_tsc(void)
{
	return all_ran_tsc;
}

/*
 * In the guest until something else is to be done with this vCPU; whoever wants that calls
 * vcpu_kick().
 */
static void run(struct vcpu *v)
{
	uint64_t began = time_tsc();

	v->halted = false;
	v->attention = false;
	v->slice_stale = v->others_ran = true;
	v->least_ns = time_now_ns() + SLICE_LEAST_NS;
	v->vm->inside++;
	v->halted = vcpu_turns(v) == RESUME_WAIT;
	uint64_t ran = time_tsc() - began;
	v->ran_tsc += ran;
	all_ran_tsc += ran;
	leave(v->vm);
}

void vcpu_task(void *arg)
{
	struct vcpu *v = arg;
	struct vm *vm = v->vm;

	while (!vm->ending) {
		if (!may_run(v)) {
			park(v);
		} else if (v->halted && !woken(v)) {
			halt(v);
		} else if (!hold(v)) {
			run(v);
			if (cpu_here()->wanted || time_now_ns() >= sched_deadline_ns())
				task_yield();
		}
	}
	vm_task_ended(vm); /* the last one takes `vm` and `v` with it */
}
