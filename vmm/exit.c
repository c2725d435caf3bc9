/* SPDX-License-Identifier: MIT */
/*
 * vmm/exit.c - the exit table and its short handlers.
 *
 * A handler says what happens next; only exit_dispatch() moves RIP.  The longer handlers have files
 * of their own: vmm/io.c (ports), vmm/mmio.c (memory that is not RAM), vmm/msr.c, vmm/cpuid.c.
 */
#include "vmm/exit.h"

#include <stdarg.h>

#include "arch/x86_64/defs/cpuid.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "vmm/dump.h"
#include "vmm/guest_mode.h"
#include "vmm/io.h"
#include "vmm/mmio.h"
#include "vmm/msr.h"
#include "vmm/sysenter.h"
#include "vmm/tss.h"
#include "vmm/vm.h"

#define CR8_TPR MASK(3, 0)
#define HYPERCALL_UNKNOWN (-1000ll) /* what Linux expects of a hypercall that is not there */

enum resume exit_fail(struct vcpu *v, const char *fmt, ...)
{
	char why[sizeof(v->vm->why)];
	va_list args;

	va_start(args, fmt);
	fmt_vformat(why, sizeof(why), fmt, args);
	va_end(args);
	dump_vcpu(v, why);
	vm_fail(v->vm, "%s", why);
	return RESUME_STOP;
}

/* The host had something to do; it was done on the way, or the run loop yields. */
static enum resume on_host(struct vcpu *v, const struct exit *x)
{
	(void)v;
	(void)x;
	return RESUME_SAME;
}

static enum resume on_slice(struct vcpu *v, const struct exit *x)
{
	(void)x;
	v->slice_stale = true;
	v->attention = true;
	v->irq_check = true;
	return RESUME_SAME;
}

static enum resume on_irq_window(struct vcpu *v, const struct exit *x)
{
	(void)x;
	v->irq_check = true;
	return RESUME_SAME;
}

/* A leaf whose answer depends on the vCPU's state. */
static enum resume answer_cpuid(struct vcpu *v)
{
	struct cpuid_regs r;

	cpuid_answer(v, (uint32_t)v->gpr[GPR_RAX], (uint32_t)v->gpr[GPR_RCX], &r);
	v->gpr[GPR_RAX] = r.eax;
	v->gpr[GPR_RBX] = r.ebx;
	v->gpr[GPR_RCX] = r.ecx;
	v->gpr[GPR_RDX] = r.edx;
	return RESUME_NEXT;
}

static enum resume on_cpuid(struct vcpu *v, const struct exit *x)
{
	const struct cpuid_table *t = &v->vm->cpuid;
	int i = cpuid_plain(t, (uint32_t)v->gpr[GPR_RAX]);

	(void)x;
	if (i < 0)
		return answer_cpuid(v);
	v->gpr[GPR_RAX] = t->eax[i];
	v->gpr[GPR_RBX] = t->ebx[i];
	v->gpr[GPR_RCX] = t->ecx[i];
	v->gpr[GPR_RDX] = t->edx[i];
	return RESUME_NEXT;
}

static enum resume on_hlt(struct vcpu *v, const struct exit *x)
{
	(void)v;
	(void)x;
	return RESUME_WAIT;
}

static enum resume on_io(struct vcpu *v, const struct exit *x)
{
	return x->io.string ? io_string(v, x) : io_single(v, x);
}

static enum resume on_msr(struct vcpu *v, const struct exit *x)
{
	return x->msr.write ? msr_write(v) : msr_read(v);
}

/* Dirty tracking took the right to write, or a defence the right to run code by large leaves. */
static enum resume on_ram_fault(struct vcpu *v, const struct exit *x)
{
	struct vm *vm = v->vm;
	gpa_t at = x->fault.addr;

	if (x->fault.mapped && x->fault.write && stage2_fault_dirty(&vm->s2, &vm->mem, at))
		return RESUME_SAME;
	if (!x->fault.mapped || !x->fault.fetch)
		return exit_fail(v, "RAM at %#lx is not mapped as it should be", at.v);
	enum err e = stage2_fault_code(&vm->s2, &vm->mem, at);
	if (e != OK)
		return exit_fail(v, "code at %#lx cannot run: %s", at.v,
		                 e == ERR_NO_MEMORY ? "no memory for its page table"
		                                    : "RAM is not mapped as it should be");
	trace_add(&vm->trace, TRACE_CODE_SPLIT, v->id, at.v, vm->s2.code_splits);
	guest_mode_flush(vm);
	return RESUME_SAME;
}

static enum resume on_fault(struct vcpu *v, const struct exit *x)
{
	struct vm *vm = v->vm;
	gpa_t at = x->fault.addr;

	if (mem_is_ram(&vm->mem, at, 1))
		return on_ram_fault(v, x);
	if (v->again.type != EVENT_NONE)        /* there is no instruction to decode */
		return exit_fail(v, "the delivery of vector %u goes to %#lx, where there is no RAM",
		                 v->again.vector, at.v);
	if (x->fault.walk)
		return exit_fail(v, "a page table of the guest is at %#lx, where there is no RAM",
		                 at.v);
	if (x->fault.fetch)
		return exit_fail(v, "the guest runs code at %#lx, where there is no RAM", at.v);
	return mmio_emulate(v, x);
}

static bool has_rdtscp(const struct vm *vm)
{
	return cpuid_get(&vm->cpuid, CPUID_EXT_FEATURES, 0, CPU_EDX) & CPUID80000001_EDX_RDTSCP;
}

static enum resume on_rdtsc(struct vcpu *v, const struct exit *x)
{
	uint64_t tsc = clock_guest_tsc(&v->vm->clock) + v->tsc_adjust;

	if (x->rdtsc.aux && !has_rdtscp(v->vm)) {
		vcpu_raise(v, VECTOR_UD);
		return RESUME_SAME;
	}
	v->gpr[GPR_RAX] = (uint32_t)tsc;
	v->gpr[GPR_RDX] = tsc >> 32;
	if (x->rdtsc.aux)
		v->gpr[GPR_RCX] = (uint32_t)virt->tsc_aux(v);
	return RESUME_NEXT;
}

static enum resume on_cr8(struct vcpu *v, const struct exit *x)
{
	if (x->cr8.write && (v->gpr[x->cr8.gpr] & ~CR8_TPR)) {
		vcpu_raise_error(v, VECTOR_GP, 0);      /* reserved bits: the exit comes first */
		return RESUME_SAME;
	}
	if (x->cr8.write)
		vlapic_set_cr8(&v->lapic, (uint8_t)v->gpr[x->cr8.gpr]);
	else
		v->gpr[x->cr8.gpr] = vlapic_cr8(&v->lapic);
	v->irq_check = true;
	return RESUME_NEXT;
}

static enum resume on_xsetbv(struct vcpu *v, const struct exit *x)
{
	uint64_t value = v->gpr[GPR_RDX] << 32 | (uint32_t)v->gpr[GPR_RAX];

	(void)x;
	if ((uint32_t)v->gpr[GPR_RCX] != 0 ||
	    !cpu_state_xcr0_valid(value, v->vm->cpuid.xcr0_mask)) {
		vcpu_raise_error(v, VECTOR_GP, 0);
		return RESUME_SAME;
	}
	vcpu_state_fetch(v);
	v->state.xcr0 = value;
	vcpu_state_apply(v);
	return RESUME_NEXT;
}

/* kvm-clock needs none, and we offer none. */
static enum resume on_hypercall(struct vcpu *v, const struct exit *x)
{
	(void)x;
	v->gpr[GPR_RAX] = (uint64_t)HYPERCALL_UNKNOWN;
	return RESUME_NEXT;
}

/* Caches of the host are coherent, and PAUSE is a hint that the slice follows anyway. */
static enum resume on_nothing(struct vcpu *v, const struct exit *x)
{
	(void)v;
	(void)x;
	return RESUME_NEXT;
}

static enum resume on_undefined(struct vcpu *v, const struct exit *x)
{
	(void)x;
	vcpu_raise(v, VECTOR_UD);
	return RESUME_SAME;
}

static enum resume on_gp(struct vcpu *v, const struct exit *x)
{
	(void)x;
	vcpu_raise_error(v, VECTOR_GP, 0);
	return RESUME_SAME;
}

/* What the old task goes on with, and what the new one finds, by what began the switch. */
static struct tss_switch describe_switch(const struct exit *x, const struct inject *event)
{
	struct tss_switch how = { .cause = x->task.cause, .selector = x->task.selector };

	if (how.cause != TASK_EVENT) {
		how.insn_len = x->insn_len;
		return how;
	}
	how.insn_len = event->insn_len;         /* 0 but for INT n and its kin */
	how.external = event->type != EVENT_SOFT_IRQ && event->type != EVENT_SOFT_EXCEPTION;
	how.fault = event->type == EVENT_EXCEPTION && event->vector != VECTOR_DB;
	how.has_error = event->has_error;
	how.error = event->error;
	return how;
}

/* With the new task an event is delivered, not to be delivered again; a fault takes its place. */
static enum resume on_task(struct vcpu *v, const struct exit *x)
{
	struct tss_switch how = describe_switch(x, &v->again);
	struct cpu_state *s = &v->state;
	struct inject fault;

	vcpu_state_fetch(v);
	enum tss_result r = tss_switch(&v->vm->mem, s, &how, &fault);
	if (r == TSS_UNSUPPORTED)
		return exit_fail(v, "task switch from or to a TSS of 16 bits, selector %#x",
		                 how.selector);
	if (r == TSS_DONE && how.cause == TASK_EVENT) {
		s->block_nmi |= s->event_type == EVENT_NMI;
		s->event_type = EVENT_NONE;
	} else if (r == TSS_DONE && how.cause == TASK_IRET) {
		s->block_nmi = 0;
	}
	vcpu_state_apply(v);
	v->exception = fault;
	return RESUME_SAME;
}

static enum resume on_sysenter(struct vcpu *v, const struct exit *x)
{
	struct cpu_state *s = &v->state;

	vcpu_state_fetch(v);
	if (!(x->sysenter.out ? sysenter_out(s, x->sysenter.wide) : sysenter_in(s))) {
		vcpu_raise_error(v, VECTOR_GP, 0);
		return RESUME_SAME;
	}
	vcpu_state_apply(v);
	return RESUME_SAME;
}

static enum resume on_triple(struct vcpu *v, const struct exit *x)
{
	(void)x;
	return exit_fail(v, "triple fault: a fault while the double fault was delivered");
}

static enum resume on_fatal(struct vcpu *v, const struct exit *x)
{
	return exit_fail(v, "%s (%#lx)", x->fatal.why, x->fatal.code);
}

static exit_fn *const exit_table[EXIT_NKINDS] = {
	[EXIT_IRQ]        = on_host,
	[EXIT_SLICE]      = on_slice,           /* time for a deadline, or for others      */
	[EXIT_NMI]        = on_host,
	[EXIT_IRQ_WINDOW] = on_irq_window,      /* what waited can be injected now         */
	[EXIT_CPUID]      = on_cpuid,           /* from the VM's frozen table              */
	[EXIT_HLT]        = on_hlt,             /* the run loop sleeps                     */
	[EXIT_IO]         = on_io,              /* vmm/io.c, vmm/bus.c find the device     */
	[EXIT_MSR]        = on_msr,             /* vmm/msr.c: a table, otherwise #GP       */
	[EXIT_FAULT]      = on_fault,           /* dirty tracking, local APIC, MMIO        */
	[EXIT_RDTSC]      = on_rdtsc,           /* on a host of another rate               */
	[EXIT_CR8]        = on_cr8,
	[EXIT_XSETBV]     = on_xsetbv,
	[EXIT_HYPERCALL]  = on_hypercall,
	[EXIT_PAUSE]      = on_nothing,
	[EXIT_WBINVD]     = on_nothing,
	[EXIT_UNDEFINED]  = on_undefined,
	[EXIT_GP]         = on_gp,
	[EXIT_TASK]       = on_task,            /* vmm/tss.c                               */
	[EXIT_SYSENTER]   = on_sysenter,        /* vmm/sysenter.c                          */
	[EXIT_TRIPLE]     = on_triple,          /* dump, stop this VM                      */
	[EXIT_FATAL]      = on_fatal,           /* likewise; the others go on              */
};

static const char *const exit_names[EXIT_NKINDS] = {
#define E(name, text) [EXIT_##name] = text,
	EXIT_KINDS(E)
#undef E
};

enum resume exit_dispatch(struct vcpu *v, const struct exit *x)
{
	ASSERT(x->kind < EXIT_NKINDS);
	v->insn_len = x->insn_len;
	enum resume r = exit_table[x->kind](v, x);
	if (r == RESUME_NEXT || r == RESUME_WAIT)
		vcpu_skip(v, v->insn_len);
	return r;
}

const char *exit_name(enum exit_kind kind)
{
	return kind < EXIT_NKINDS ? exit_names[kind] : "unknown";
}
