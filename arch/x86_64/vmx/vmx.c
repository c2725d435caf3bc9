/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx.c - VT-x behind the vendor's door: on and off, load, enter, inject.
 *
 * One turn of enter(): write into the VMCS what changed, arm the timer, enter, read what this kind
 * of exit needs, decode.  Exits that exist only because of VT-x's own rules are resolved here and
 * the guest goes on.  Everything else becomes a struct exit and is somebody else's business.
 *
 * Read next: vmcs.c (what is in a VMCS), vmx_decode.c (what an exit means), vmx_entry.S.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/vmx/vmx.h"

#include <string.h>

#include "lib/log.h"
#include "lib/pages.h"
#include "vmm/guest_mode.h"

/* Of each CPU. */
static struct vmx_cpu {
	hpa_t       vmxon;              /* 0: VMX operation is off                              */
	struct vmx *current;            /* whose VMCS the VMX instructions work on              */
	struct vmx *owner;              /* whose values the FPU, debug registers and MSRs hold  */
} cpus[CPUS_MAX];

/* The same on all of them. */
static uint8_t timer_shift;             /* the preemption timer counts TSC >> this              */
static bool has_tsc_aux, has_xss;

static inline struct vmx_cpu *here(void)
{
	return ((const struct host_cpu *)insn_mov_gs0())->vendor;
}

/* --- On and off ----------------------------------------------------------------------------- */

/* SDM vol. 3, "Enabling and Entering VMX Operation" */
static enum err vmx_on(unsigned number)
{
	uint64_t control = insn_rdmsr(MSR_FEATURE_CONTROL);
	hpa_t region;

	if (!vmx_caps_same() || ((control & FC_LOCKED) && !(control & FC_VMXON)))
		return fail(ERR_NOT_SUPPORTED, "CPU %u: its VT-x is not the boot CPU's", number);
	enum err e = page_alloc(&region);
	if (e != OK)
		return e;
	if (!(control & FC_LOCKED))
		insn_wrmsr(MSR_FEATURE_CONTROL, control | FC_LOCKED | FC_VMXON);
	insn_write_cr0(insn_read_cr0() | vmx_caps.cr0_fixed0);
	insn_write_cr4(insn_read_cr4() | vmx_caps.cr4_fixed0);
	*(uint32_t *)hpa_ptr(region) = (uint32_t)GET(BASIC_REVISION, vmx_caps.basic);
	if (!insn_vmxon(region.v)) {
		page_free(region);
		return fail(ERR_NOT_SUPPORTED, "CPU %u: VMXON was refused", number);
	}
	cpus[number].vmxon = region;
	cpu_here()->vendor = &cpus[number];
	timer_shift = (uint8_t)GET(MISC_TIMER_SHIFT, vmx_caps.misc);
	has_tsc_aux = (insn_cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID80000001_EDX_RDTSCP) ||
	              (insn_cpuid(CPUID_FEATURES7, 0).ecx & CPUID7_ECX_RDPID);
	has_xss = insn_cpuid(CPUID_XSAVE, 1).eax & CPUIDD_1_EAX_XSAVES;
	ept_init(&vmx_caps);
	if (defences.spec_ctrl)                 /* stays, in guests too: they cannot write it */
		insn_wrmsr(MSR_SPEC_CTRL, defences.spec_ctrl);
	return OK;
}

static void vmx_off(unsigned number)
{
	struct vmx_cpu *c = here();

	ASSERT(c == &cpus[number] && !c->current && !c->owner);
	insn_vmxoff();
	insn_write_cr4(insn_read_cr4() & ~CR4_VMXE);
	page_free(c->vmxon);
	c->vmxon = hpa(0);
}

/* --- A vCPU comes and goes ------------------------------------------------------------------ */

static void make_current(struct vmx *hw)
{
	/* "Software Use of Virtual-Machine Control Structures": else VMCLEAR there first. */
	ASSERT(!hw->active || hw->active == cpu_here());
	if (!insn_vmptrld(hw->vmcs.v))
		panic("VMPTRLD of 0x%lx was refused", hw->vmcs.v);
	hw->active = cpu_here();
	here()->current = hw;
}

struct vmx *vmx_use(struct vcpu *v)
{
	struct vmx *hw = v->hw;

	if (here()->current != hw)
		make_current(hw);
	return hw;
}

/* This CPU holds nothing of its VMCS any more; another one may load it. */
static void forget(struct vmx *hw)
{
	struct vmx_cpu *c = here();

	ASSERT(!hw->active || hw->active == cpu_here());
	if (!insn_vmclear(hw->vmcs.v))
		panic("VMCLEAR of 0x%lx was refused", hw->vmcs.v);
	hw->active = NULL;
	hw->launched = 0;
	if (c->current == hw)
		c->current = NULL;
	if (c->owner == hw)
		c->owner = NULL;
}

static enum err vmx_vcpu_init(struct vcpu *v)
{
	hpa_t own, vmcs;
	enum err e = page_alloc(&own);

	if (e != OK)
		return e;
	e = page_alloc(&vmcs);
	if (e != OK) {
		page_free(own);
		return e;
	}
	struct vmx *hw = hpa_ptr(own);
	*hw = (struct vmx){ .vmcs = vmcs, .cpu = CPU_NONE };
	*(uint32_t *)hpa_ptr(vmcs) = (uint32_t)GET(BASIC_REVISION, vmx_caps.basic);
	v->hw = hw;
	forget(hw);                             /* VMCLEAR makes a page of memory a VMCS */
	vmx_use(v);
	e = vmcs_build(v, hw);
	forget(hw);
	if (e != OK) {
		page_free(vmcs);
		page_free(own);
		v->hw = NULL;
	}
	return e;
}

static void vmx_vcpu_fini(struct vcpu *v)
{
	struct vmx *hw = v->hw;

	if (!hw)
		return;
	forget(hw);
	page_free(hw->vmcs);
	page_free(ptr_hpa(hw));
	v->hw = NULL;
	cpu_branches_release(v->vm->asid);
}

bool vmx_owns(const struct vmx *hw)
{
	return here()->owner == hw;
}

/*
 * SDM vol. 1, "XRSTOR": components outside XCR0 are not touched, so XCR0 is everything for the
 * moment.
 */
void vmx_registers_load(const struct vmx *hw)
{
	insn_xsetbv(0, virt_caps.xcr0_mask);
	insn_xrstor(hw->xsave, virt_caps.xcr0_mask);
	insn_xsetbv(0, hw->xcr0);
	insn_write_cr2(hw->cr2);
	insn_write_dr0(hw->dr[0]);
	insn_write_dr1(hw->dr[1]);
	insn_write_dr2(hw->dr[2]);
	insn_write_dr3(hw->dr[3]);
	insn_write_dr6(hw->dr6);
	insn_wrmsr(MSR_STAR, hw->star);
	insn_wrmsr(MSR_LSTAR, hw->lstar);
	insn_wrmsr(MSR_CSTAR, hw->cstar);
	insn_wrmsr(MSR_FMASK, hw->fmask);
	insn_wrmsr(MSR_KERNEL_GS_BASE, hw->kernel_gs_base);
	if (has_tsc_aux)
		insn_wrmsr(MSR_TSC_AUX, hw->tsc_aux);
	if (has_xss)
		insn_wrmsr(MSR_XSS, hw->xss);
}

/* XCR0 and XSS change only by exits, so hw->xcr0 and hw->xss are right already. */
void vmx_registers_save(struct vmx *hw)
{
	insn_xsetbv(0, virt_caps.xcr0_mask);
	insn_xsave(hw->xsave, virt_caps.xcr0_mask);
	insn_xsetbv(0, hw->xcr0);
	hw->cr2 = insn_read_cr2();
	hw->dr[0] = insn_read_dr0();
	hw->dr[1] = insn_read_dr1();
	hw->dr[2] = insn_read_dr2();
	hw->dr[3] = insn_read_dr3();
	hw->dr6 = insn_read_dr6();
	hw->star = insn_rdmsr(MSR_STAR);
	hw->lstar = insn_rdmsr(MSR_LSTAR);
	hw->cstar = insn_rdmsr(MSR_CSTAR);
	hw->fmask = insn_rdmsr(MSR_FMASK);
	hw->kernel_gs_base = insn_rdmsr(MSR_KERNEL_GS_BASE);
	if (has_tsc_aux)
		hw->tsc_aux = insn_rdmsr(MSR_TSC_AUX);
}

static uint64_t vmx_tsc_aux(struct vcpu *v)
{
	return vmx_owns(v->hw) ? insn_rdmsr(MSR_TSC_AUX) : ((struct vmx *)v->hw)->tsc_aux;
}

static void vmx_vcpu_load(struct vcpu *v)
{
	struct vmx *hw = vmx_use(v);

	cpu_branches_for(v->vm->asid);
	ASSERT(!here()->owner);
	vmx_registers_load(hw);
	here()->owner = hw;
	if (hw->cpu != cpu_here()->number) {
		vmcs_host_cpu();
		ept_flush_vpid(ept_vpid(v));
		hw->cpu = cpu_here()->number;
	}
}

/* The host uses none of these registers, so they wait in the CPU until somebody wants the place. */
static void vmx_vcpu_put(struct vcpu *v)
{
	struct vmx *hw = v->hw;

	ASSERT(here()->owner == hw);
	vmx_registers_save(hw);
	forget(hw);
}

/* --- Events into the guest ------------------------------------------------------------------ */

static void set_proc_control(struct vmx *hw, uint32_t bit, bool on)
{
	uint32_t controls = on ? hw->proc_controls | bit : hw->proc_controls & ~bit;

	if (controls != hw->proc_controls) {
		hw->proc_controls = controls;
		vmcs_write(VMCS_PROC_CONTROLS, controls);
	}
}

static void vmx_irq_window(struct vcpu *v, bool wanted)
{
	set_proc_control(vmx_use(v), PROC_IRQ_WINDOW, wanted);
}

bool vmx_take_back_nmi(struct vmx *hw)
{
	bool waited = hw->nmi_waits;

	hw->nmi_waits = false;
	set_proc_control(hw, PROC_NMI_WINDOW, false);
	return waited;
}

static bool is_fault(const struct inject *event)
{
	return event->type == EVENT_EXCEPTION && event->vector != VECTOR_DB;
}

#define NMI_BLOCKERS (BLOCK_NMI | BLOCK_MOV_SS)

/*
 * SDM vol. 3, "VM-Entry Controls for Event Injection".  An NMI in the shadow of STI goes back to
 * the run loop, which asks for the window of interrupts: that one opens when the shadow ends, while
 * the window of NMIs may open within it, again and again ("Other Causes of VM Exits").
 */
void vmx_inject(struct vcpu *v, const struct inject *event)
{
	struct vmx *hw = vmx_use(v);
	struct inject e = *event;

	if (e.type == EVENT_NMI)
		vmx_sync(v, hw);                /* an emulated instruction ends a shadow */
	if (e.type == EVENT_NMI && (hw->interruptibility & BLOCK_STI)) {
		v->nmi_pending = true;
		return;
	}
	if (e.type == EVENT_NMI && (hw->interruptibility & NMI_BLOCKERS)) {
		hw->nmi_waits = true;
		set_proc_control(hw, PROC_NMI_WINDOW, true);
		return;
	}
	if (e.has_error && !(vmcs_read(VMCS_GUEST_CR0) & CR0_PE))
		e.has_error = false;            /* real mode has no error codes */
	if (e.has_error)
		vmcs_write(VMCS_ENTRY_ERROR_CODE, e.error);
	if (e.insn_len)
		vmcs_write(VMCS_ENTRY_INSN_LEN, e.insn_len);
	/*
	 * A fault's handler finds RF set; injection pushes RFLAGS as it is (SDM vol. 3, "Event
	 * Injection").
	 */
	if (is_fault(&e))
		v->rflags |= RFLAGS_RF;
	vmcs_write(VMCS_ENTRY_EVENT, vmx_decode_event_info(&e));
}

/* --- Enter ---------------------------------------------------------------------------------- */

/*
 * RIP moved: an instruction was emulated.  Had the CPU executed it, RF and the shadow of STI or MOV
 * SS would be gone and single-stepping would trap now.
 */
static void end_instruction(struct vcpu *v, struct vmx *hw)
{
	v->rflags &= ~RFLAGS_RF;
	if (hw->interruptibility & (BLOCK_STI | BLOCK_MOV_SS)) {
		hw->interruptibility &= ~(BLOCK_STI | BLOCK_MOV_SS);
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, hw->interruptibility);
	}
	if ((v->rflags & RFLAGS_TF) && !(vmcs_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF))
		vmcs_write(VMCS_GUEST_PENDING_DEBUG,
		           vmcs_read(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

/* SDM vol. 3, "RDTSC" in "Changes to Instruction Behavior in VMX Non-Root Operation" */
static void set_tsc(struct vcpu *v, struct vmx *hw)
{
	v->tsc_changed = false;
	vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
	set_proc_control(hw, PROC_RDTSC_EXIT, v->tsc_exits);
	if (virt_caps.tsc_fraction)
		vmcs_write(VMCS_TSC_MULTIPLIER, v->tsc_scale ? v->tsc_scale : TSC_MULTIPLIER_ONE);
}

static inline void sync(struct vcpu *v, struct vmx *hw)
{
	if (v->rip != hw->rip) {
		hw->rip = v->rip;
		vmcs_write(VMCS_GUEST_RIP, v->rip);
		end_instruction(v, hw);
	}
	if (v->rflags != hw->rflags) {
		hw->rflags = v->rflags;
		vmcs_write(VMCS_GUEST_RFLAGS, v->rflags);
	}
	if (v->gpr[GPR_RSP] != hw->rsp) {
		hw->rsp = v->gpr[GPR_RSP];
		vmcs_write(VMCS_GUEST_RSP, hw->rsp);
	}
	if (v->tsc_changed)
		set_tsc(v, hw);
}

void vmx_sync(struct vcpu *v, struct vmx *hw)
{
	sync(v, hw);
}

/*
 * The timer counts down by one when bit MISC_TIMER_SHIFT of the TSC changes: SDM vol. 3,
 * "VMX-Preemption Timer".
 */
static void arm_timer(const struct vcpu *v)
{
	uint64_t left;

	if (__builtin_sub_overflow(v->slice_tsc, insn_rdtsc(), &left))
		left = 0;
	left >>= timer_shift;
	vmcs_write(VMCS_PREEMPTION_TIMER, MIN(left, UINT32_MAX));
}

/* Log which entry rule is broken; NULL when vmx_check() finds none. */
static const char *check_vmcs(const struct vcpu *v)
{
	struct vmcs_image image;

	vmcs_capture(&image);
	const char *broken = vmx_check(&image, &vmx_caps);
	if (broken)
		log_line("%s, vCPU %u: VM-entry rule broken: %s", v->vm->config.name, v->id,
		         broken);
	return broken;
}

static void explain_refusal(struct vcpu *v, struct exit *x, const char *why, uint64_t code)
{
	const char *broken;

	log_line("%s, vCPU %u: %s", v->vm->config.name, v->id, why);
	broken = check_vmcs(v);
	*x = (struct exit){ .kind = EXIT_FATAL };
	x->fatal.why = broken ? broken : why;
	x->fatal.code = code;
}

/*
 * Data of others may be in the L1 data cache.  Exits that stay among this vCPU's own registers and
 * tables bring none in, so they do not pay for a flush (vmm/vcpu.c says which).
 */
static void flush_data(struct vcpu *v)
{
	v->others_ran = false;
	if (defences.flush_l1d)
		insn_wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
}

/* Into the guest and back; false: the CPU refused, `x` says why. */
static bool run(struct host_cpu *c, struct vcpu *v, struct vmx *hw, struct exit *x)
{
	enum vmx_entered entered;
	uint64_t error;

	sync(v, hw);
	if (!hw->checked) {
		hw->checked = true;
		check_vmcs(v);                  /* only a log line: the CPU is the judge */
	}
	arm_timer(v);
	if (v->others_ran)
		flush_data(v);
	guest_mode_prepare(v->vm, c);
	guest_mode_enter(v->vm, c);
	entered = vmx_entry(v->gpr, defences.entry | hw->launched);
	guest_mode_leave(c);
	switch (entered) {
	case VMX_ENTERED:
		return true;
	case VMX_REFUSED:
		error = vmcs_read(VMCS_INSTRUCTION_ERROR);
		explain_refusal(v, x, vmx_decode_error_name((uint32_t)error), error);
		return false;
	case VMX_NO_VMCS:
		break;
	}
	panic("VM entry without a current VMCS");
}

/*
 * The parts of an exit that only some kinds have; all rarely used ones out of the way of the hot
 * path.
 */
static void read_details(struct vmx_raw *raw, unsigned needs)
{
	if (needs & VMX_NEEDS_QUAL)
		raw->qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	if (needs & VMX_NEEDS_ADDR) {
		raw->gpa = vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS);
		raw->linear = vmcs_read(VMCS_GUEST_LINEAR_ADDRESS);
	}
	if (needs & VMX_NEEDS_EVENT) {
		raw->event = (uint32_t)vmcs_read(VMCS_EXIT_EVENT);
		raw->event_error = (uint32_t)vmcs_read(VMCS_EXIT_ERROR_CODE);
	}
	if ((needs & VMX_NEEDS_INFO) && (raw->qual & QUAL_IO_STRING))
		raw->insn_info = (uint32_t)vmcs_read(VMCS_EXIT_INSN_INFO);
}

/*
 * Events and NMI blocking, where the exit left them in between.  An event whose delivery the exit
 * interrupted is delivered again; an NMI blocks NMIs from the start of its delivery, so that is
 * undone first (SDM vol. 3, "Injection of NMIs": otherwise the entry would be refused).  An IRET
 * that had unblocked NMIs before it faulted runs again, so they are blocked again.
 */
static uint32_t repair_events(struct vcpu *v, struct vmx *hw, struct vmx_raw *raw)
{
	uint32_t blocked = hw->interruptibility;

	if (raw->vectoring & EVENT_INFO_VALID) {
		if (raw->vectoring & EVENT_INFO_HAS_ERROR)
			raw->vectoring_error = (uint32_t)vmcs_read(VMCS_VECTORING_ERROR_CODE);
		raw->insn_len = (uint32_t)vmcs_read(VMCS_EXIT_INSN_LEN);
		vmx_decode_again(raw, &v->again);
		if (v->again.type == EVENT_NMI)
			blocked &= ~(uint32_t)BLOCK_NMI;
	} else if (vmx_decode_iret_unblocked_nmi(raw)) {
		blocked |= BLOCK_NMI;
	}
	if (blocked != hw->interruptibility)
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocked);
	return blocked;
}

/* The guest ran, so a VMCS is current and its fields exist: these reads cannot fail. */
static inline uint64_t field(enum vmcs_field f)
{
	uint64_t value;

	insn_vmread(f, &value);
	return value;
}

#define MAY_UNBLOCK (VMX_NEEDS_ADDR | VMX_NEEDS_EVENT)  /* kinds of exit that an IRET can cause */

/* Capture: what every exit needs, and what this kind needs. */
static const struct vmx_how *collect(struct vcpu *v, struct vmx *hw, struct vmx_raw *raw)
{
	raw->reason = (uint32_t)field(VMCS_EXIT_REASON);
	const struct vmx_how *how = vmx_decode_how(raw->reason);
	unsigned needs = how->needs;

	raw->vectoring = (uint32_t)field(VMCS_VECTORING_EVENT);
	hw->interruptibility = (uint32_t)field(VMCS_GUEST_INTERRUPTIBILITY);
	v->rip = hw->rip = field(VMCS_GUEST_RIP);
	v->rflags = hw->rflags = field(VMCS_GUEST_RFLAGS);
	v->gpr[GPR_RSP] = hw->rsp = field(VMCS_GUEST_RSP);
	v->again.type = EVENT_NONE;
	if (needs & VMX_NEEDS_LEN)
		raw->insn_len = (uint32_t)field(VMCS_EXIT_INSN_LEN);
	if (needs & VMX_NEEDS_MORE)
		read_details(raw, needs);
	if ((raw->vectoring & EVENT_INFO_VALID) || (needs & MAY_UNBLOCK))
		hw->interruptibility = repair_events(v, hw, raw);
	v->irq_blocked = !(v->rflags & RFLAGS_IF) ||
	                 (hw->interruptibility & (BLOCK_STI | BLOCK_MOV_SS));
	return how;
}

/* What the host itself has to do about an exit before anybody else looks at it. */
static void attend(struct vcpu *v, const struct vmx_raw *raw, struct exit *x)
{
	switch (x->kind) {
	case EXIT_IRQ:
		irq_take();             /* the exit did not acknowledge it: handlers run now    */
		break;
	case EXIT_NMI:
		insn_int_nmi();         /* its IRET also lets the next NMI come                 */
		break;
	case EXIT_FATAL:
		if (raw->reason & REASON_ENTRY_FAILED)
			explain_refusal(v, x, x->fatal.why, raw->reason);
		else if (raw->reason == VMX_REASON_EPT_MISCONFIG)
			ept_explain(v->vm, raw->gpa);
		break;
	default:
		break;
	}
}

static void vmx_enter(struct vcpu *v, struct exit *x)
{
	struct host_cpu *c = insn_mov_gs0();    /* nothing here waits: it stays the same */
	const struct vmx_cpu *own = c->vendor;
	struct vmx *hw = v->hw;
	const struct vmx_how *how;
	struct vmx_raw raw;                     /* collect() fills in what this exit needs */

	ASSERT(own->owner == hw);
	if (own->current != hw)
		make_current(hw);               /* a handler looked at another vCPU */
	do {
		if (!run(c, v, hw, x))
			return;
		how = collect(v, hw, &raw);
		if (!(raw.reason & REASON_ENTRY_FAILED))
			hw->launched = VMX_LAUNCHED;
	} while (!vmx_decode(how, &raw, x) && vmx_resolve(v, hw, &raw, x));
	attend(v, &raw, x);
}

const struct virt_ops vmx_ops = {
	.name = "VT-x",
	.probe = vmx_probe,
	.cpu_on = vmx_on,
	.cpu_off = vmx_off,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_fini = vmx_vcpu_fini,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.get = vmx_get,
	.set = vmx_set,
	.get_mode = vmx_get_mode,
	.enter = vmx_enter,
	.inject = vmx_inject,
	.irq_window = vmx_irq_window,
	.tsc_aux = vmx_tsc_aux,
	.s2_flush = ept_flush,
	.s2 = &ept_format,
};
