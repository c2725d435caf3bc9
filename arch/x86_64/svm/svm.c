/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm.c - AMD-V behind the vendor's door: on and off, load, enter.
 *
 * One turn of enter(): write into the VMCB what changed, arm the timer, VMRUN, read what this kind
 * of exit needs, decode.  Exits that exist only because of AMD-V's own rules are resolved here and
 * the guest goes on.  Everything else becomes a struct exit and is somebody else's business.
 *
 * AMD-V has no preemption timer: v->slice_tsc becomes a one-shot interrupt of the local APIC, which
 * exits like any other of the host's.  The APIC remembers what it is armed for, so an entry that
 * changes nothing costs nothing.
 *
 * Read next: vmcb.c (what is in a VMCB), svm_decode.c (what an exit means), svm_entry.S.
 */
#include "arch/x86_64/apic.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/svm/svm.h"

#include <string.h>

#include "lib/log.h"
#include "lib/pages.h"
#include "lib/time.h"
#include "vmm/guest_mode.h"

/* Of each CPU. */
static struct svm_cpu {
	hpa_t            save;          /* where VMRUN keeps the host's state; 0: AMD-V is off  */
	hpa_t            host_vmcb;     /* where we keep what VMLOAD and VMSAVE move            */
	struct svm      *owner;         /* whose values the FPU, debug registers and MSRs hold  */
	struct asid_pool asids;
	uint64_t         debugctl;      /* what DEBUGCTL holds; Bochs 2.7 has only 0            */
	uint64_t         tsc_ratio;     /* what MSR_TSC_RATIO holds, where there is one         */
} cpus[CPUS_MAX];

/* The same on all of them. */
static uint32_t clean;                  /* CLEAN_ALL when CPUs know clean bits                  */
static bool has_nrip, has_decode, has_tsc_aux, has_xss;

static inline struct svm_cpu *here(void)
{
	return ((const struct host_cpu *)insn_mov_gs0())->vendor;
}

/* The same for all vCPUs. */
static uint8_t iopm[IOPM_BYTES] __attribute__((aligned(PAGE_SIZE)));
static uint8_t msrpm[2][MSRPM_BYTES] __attribute__((aligned(PAGE_SIZE)));   /* [1]: TSC_AUX */

/* --- On and off ----------------------------------------------------------------------------- */

static void learn_features(void)
{
	uint32_t f = svm_caps.features;

	has_nrip = f & CPUIDSVM_EDX_NRIP;
	has_decode = f & CPUIDSVM_EDX_DECODE;
	clean = f & CPUIDSVM_EDX_CLEAN ? CLEAN_ALL : 0;
	has_tsc_aux = (insn_cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID80000001_EDX_RDTSCP) ||
	              (insn_cpuid(CPUID_FEATURES7, 0).ecx & CPUID7_ECX_RDPID);
	has_xss = insn_cpuid(CPUID_XSAVE, 1).eax & CPUIDD_1_EAX_XSAVES;
	asid_pool_init(&here()->asids, svm_caps.asids, f & CPUIDSVM_EDX_FLUSH_ASID);
}

/* APM vol. 2, "Enabling SVM" */
static enum err svm_on(unsigned number)
{
	struct svm_cpu *own = &cpus[number];

	if (!svm_caps_same())
		return fail(ERR_NOT_SUPPORTED, "CPU %u: its AMD-V is not the boot CPU's", number);
	enum err e = page_alloc(&own->save);
	if (e != OK)
		return e;
	e = page_alloc(&own->host_vmcb);
	if (e != OK) {
		page_free(own->save);
		own->save = hpa(0);
		return e;
	}
	cpu_here()->vendor = own;
	learn_features();
	insn_wrmsr(MSR_EFER, insn_rdmsr(MSR_EFER) | EFER_SVME |
	                     (defences.auto_ibrs ? EFER_AIBRSE : 0));
	if (defences.spec_ctrl)                 /* stays, in guests too: they cannot write it */
		insn_wrmsr(MSR_SPEC_CTRL, defences.spec_ctrl);
	insn_wrmsr(MSR_VM_HSAVE_PA, own->save.v);
	own->tsc_ratio = 0;                      /* unknown: the first guest writes it */
	insn_vmsave(own->host_vmcb.v);           /* the host's do not change from here on */
	memset(iopm, 0xff, sizeof(iopm));
	vmcb_msrpm_build(msrpm[0], false);
	vmcb_msrpm_build(msrpm[1], true);
	return OK;
}

static void svm_off(unsigned number)
{
	struct svm_cpu *own = here();

	ASSERT(own == &cpus[number] && !own->owner);
	insn_wrmsr(MSR_VM_HSAVE_PA, 0);
	insn_wrmsr(MSR_EFER, insn_rdmsr(MSR_EFER) & ~EFER_SVME);
	page_free(own->save);
	page_free(own->host_vmcb);
	own->save = own->host_vmcb = hpa(0);
}

/* --- A vCPU comes and goes ------------------------------------------------------------------ */

static void build(struct vcpu *v, struct svm *hw)
{
	const struct cpuid_table *cpuid = &v->vm->cpuid;
	bool tsc_aux = vmcb_offers_tsc_aux(cpuid);
	char vendor[CPUID_VENDOR_MAX];

	vmcb_build(hw->vmcb, &(struct vmcb_plan){
		.iopm = ptr_hpa(iopm), .msrpm = ptr_hpa(msrpm[tsc_aux]),
		.nested_root = v->vm->s2.root, .rdtscp = tsc_aux,
		.invpcid = vmcb_offers_invpcid(cpuid), .tsc_offset = v->tsc_offset,
	});
	/* CR4.MCE is on in every guest: without it a machine check would be a shutdown. */
	hw->cr4_allowed = cpu_state_cr4_allowed(cpuid) & svm_caps.cr4_known;
	hw->cr4_forced = insn_read_cr4() & CR4_MCE;
	cpuid_vendor(cpuid, vendor);
	hw->as_intel = strcmp(vendor, BASELINE_VENDOR) == 0;
}

static enum err svm_vcpu_init(struct vcpu *v)
{
	hpa_t own, vmcb;
	enum err e = page_alloc(&own);

	if (e != OK)
		return e;
	e = page_alloc(&vmcb);
	if (e != OK) {
		page_free(own);
		return e;
	}
	struct svm *hw = hpa_ptr(own);
	*hw = (struct svm){ .vmcb = hpa_ptr(vmcb), .cpu = CPU_NONE, .tsc_ratio = TSC_RATIO_ONE };
	v->hw = hw;
	build(v, hw);
	cpu_state_reset(&v->state);
	svm_set(v, &v->state);
	return OK;
}

bool svm_owns(const struct svm *hw)
{
	return here()->owner == hw;
}

static void svm_vcpu_fini(struct vcpu *v)
{
	struct svm *hw = v->hw;

	if (!hw)
		return;
	if (svm_owns(hw))
		here()->owner = NULL;
	page_free(ptr_hpa(hw->vmcb));
	page_free(ptr_hpa(hw));
	v->hw = NULL;
	cpu_branches_release(v->vm->asid);
}

/*
 * APM vol. 2, "Control-Transfer Breakpoint".  The manual does not say whether the CPU has done so
 * already when #DB exits.
 */
void svm_end_btf(struct svm *hw)
{
	if (!(hw->debugctl & DEBUGCTL_BTF))
		return;
	hw->debugctl &= ~DEBUGCTL_BTF;
	here()->debugctl = hw->debugctl;
	insn_wrmsr(MSR_DEBUGCTL, hw->debugctl);
}

/*
 * XRSTOR does not touch components outside XCR0, so XCR0 is everything for the moment.  The host
 * never steps itself, so a guest's DEBUGCTL means nothing to it.
 */
void svm_registers_load(const struct svm *hw)
{
	insn_xsetbv(0, virt_caps.xcr0_mask);
	insn_xrstor(hw->xsave, virt_caps.xcr0_mask);
	insn_xsetbv(0, hw->xcr0);
	insn_write_dr0(hw->dr[0]);
	insn_write_dr1(hw->dr[1]);
	insn_write_dr2(hw->dr[2]);
	insn_write_dr3(hw->dr[3]);
	if (hw->debugctl != here()->debugctl) {
		here()->debugctl = hw->debugctl;
		insn_wrmsr(MSR_DEBUGCTL, hw->debugctl);
	}
	if (has_tsc_aux)
		insn_wrmsr(MSR_TSC_AUX, hw->tsc_aux);
	if (has_xss)
		insn_wrmsr(MSR_XSS, hw->xss);
}

/*
 * XSS and DEBUGCTL change only by exits, so those of hw are right already.  XCR0 should, too, but
 * TCG of QEMU 7.2 does not intercept XSETBV.
 */
void svm_registers_save(struct svm *hw)
{
	hw->xcr0 = insn_xgetbv(0);
	insn_xsetbv(0, virt_caps.xcr0_mask);
	insn_xsave(hw->xsave, virt_caps.xcr0_mask);
	insn_xsetbv(0, hw->xcr0);
	hw->dr[0] = insn_read_dr0();
	hw->dr[1] = insn_read_dr1();
	hw->dr[2] = insn_read_dr2();
	hw->dr[3] = insn_read_dr3();
	if (has_tsc_aux)
		hw->tsc_aux = insn_rdmsr(MSR_TSC_AUX);
}

static uint64_t svm_tsc_aux(struct vcpu *v)
{
	return svm_owns(v->hw) ? insn_rdmsr(MSR_TSC_AUX) : ((struct svm *)v->hw)->tsc_aux;
}

/*
 * APM vol. 2, "TSC Ratio MSR": what a guest's RDTSC and RDTSCP find is the TSC times this, plus the
 * VMCB's offset.  The register is the CPU's, not the VMCB's, but means nothing to the host's RDTSC,
 * so it waits there until a guest of another rate is loaded.
 */
static void use_ratio(const struct svm *hw)
{
	if (!virt_caps.tsc_fraction || hw->tsc_ratio == here()->tsc_ratio)
		return;
	ASSERT(hw->tsc_ratio <= TSC_RATIO_MAX);
	here()->tsc_ratio = hw->tsc_ratio;
	insn_wrmsr(MSR_TSC_RATIO, hw->tsc_ratio);
}

static void svm_vcpu_load(struct vcpu *v)
{
	struct svm *hw = v->hw;
	unsigned number = cpu_here()->number;

	cpu_branches_for(v->vm->asid);
	ASSERT(!here()->owner);
	svm_registers_load(hw);
	use_ratio(hw);
	here()->owner = hw;
	if (hw->cpu != number) {
		asid_leave(&hw->asid);
		hw->vmcb->clean = 0;
		hw->cpu = number;
	}
}

/* The host uses none of these registers, so they wait in the CPU until somebody wants the place. */
static void svm_vcpu_put(struct vcpu *v)
{
	struct svm *hw = v->hw;

	ASSERT(here()->owner == hw);
	svm_registers_save(hw);
	here()->owner = NULL;
}

/* --- Enter ---------------------------------------------------------------------------------- */

/*
 * RIP moved: an instruction was emulated.  Had the CPU executed it, RF and the shadow of STI or MOV
 * SS would be gone and single-stepping would trap now.
 */
static void end_instruction(struct vcpu *v, struct svm *hw)
{
	v->rflags &= ~RFLAGS_RF;
	hw->vmcb->shadow = 0;
	if ((v->rflags & RFLAGS_TF) && !(hw->debugctl & DEBUGCTL_BTF))
		hw->pending_debug |= DR6_BS;
}

/* APM vol. 2, "Instruction Intercepts"; the offset is clean with those. */
static void set_tsc(struct vcpu *v, struct svm *hw)
{
	v->tsc_changed = false;
	hw->vmcb->tsc_offset = v->tsc_offset;
	vmcb_intercept(hw->vmcb, INTERCEPT_RDTSC, v->tsc_exits);
	vmcb_intercept(hw->vmcb, INTERCEPT_RDTSCP,
	               v->tsc_exits || !vmcb_offers_tsc_aux(&v->vm->cpuid));
	hw->tsc_ratio = v->tsc_scale ? v->tsc_scale : TSC_RATIO_ONE;
	if (svm_owns(hw))
		use_ratio(hw);
}

static inline void sync(struct vcpu *v, struct svm *hw)
{
	struct vmcb *m = hw->vmcb;

	if (v->rip != m->rip) {
		m->rip = v->rip;
		end_instruction(v, hw);
	}
	m->rflags = v->rflags;
	m->rax = v->gpr[GPR_RAX];
	m->rsp = v->gpr[GPR_RSP];
	if (v->tsc_changed)
		set_tsc(v, hw);
}

void svm_sync(struct vcpu *v, struct svm *hw)
{
	sync(v, hw);
}

/* Log which rule of VMRUN is broken; NULL when svm_check() finds none. */
static const char *check_vmcb(const struct vcpu *v, const struct svm *hw)
{
	const char *broken = svm_check(hw->vmcb, &svm_caps);

	if (broken)
		log_line("%s, vCPU %u: VM-entry rule broken: %s", v->vm->config.name, v->id,
		         broken);
	return broken;
}

static void explain_refusal(struct vcpu *v, struct svm *hw, struct exit *x)
{
	const char *why = svm_decode_exit_name((uint32_t)hw->vmcb->exit_code), *broken;

	log_line("%s, vCPU %u: %s", v->vm->config.name, v->id, why);
	broken = check_vmcb(v, hw);
	*x = (struct exit){ .kind = EXIT_FATAL };
	x->fatal.why = broken ? broken : why;
	x->fatal.code = hw->vmcb->exit_code;
}

/* As hw->busy says. */
static void prepare(const struct vcpu *v, struct svm *hw)
{
	if (hw->unchecked) {
		hw->unchecked = false;
		check_vmcb(v, hw);              /* only a log line: the CPU is the judge */
	}
	svm_events_before(v, hw);
}

static inline void arm_timer(const struct host_cpu *c, const struct vcpu *v)
{
	if (v->slice_tsc != c->timer_tsc || !v->slice_tsc)
		apic_timer_arm(v->slice_tsc);
}

/* Into the guest and back; false: it was not entered, `x` says why. */
static bool run(struct host_cpu *c, struct vcpu *v, struct svm *hw, struct exit *x)
{
	struct svm_cpu *own = c->vendor;
	struct vmcb *m = hw->vmcb;

	if (v->rip == m->rip && (m->shadow & SHADOW_INTERRUPT) && svm_resolve_hlt(v, hw, x))
		return false;
	sync(v, hw);
	if (hw->pending_debug && svm_events_trap(v, hw, x))
		return false;
	guest_mode_prepare(v->vm, c);           /* it may ask for another tag */
	m->tlb_control = (uint8_t)asid_take(&own->asids, &hw->asid);
	if (m->asid != hw->asid.number) {
		m->asid = hw->asid.number;
		m->clean &= (uint32_t)~CLEAN_ASID;
	}
	if (hw->busy)
		prepare(v, hw);
	arm_timer(c, v);
	v->others_ran = false;                  /* no defence of these CPUs asks for it */
	guest_mode_enter(v->vm, c);
	svm_entry(v->gpr, ptr_hpa(m).v, own->host_vmcb.v);
	guest_mode_leave(c);
	m->clean = clean;
	m->event_inj = 0;
	if (hw->busy)
		svm_events_stepped(v, hw);
	if ((uint32_t)m->exit_code != SVM_EXIT_INVALID)
		return true;
	explain_refusal(v, hw, x);
	return false;
}

/*
 * Does the instruction at RIP begin with its opcode, in 64-bit code on the page of the one before?
 * Then its length follows from what it is, which the exit says.  (Which rights were needed to fetch
 * it does not matter: the CPU has done that.)
 */
static inline bool is_bare(const struct vcpu *v, const struct vmcb *m)
{
	if (!(m->efer & EFER_LMA) || !(m->cs.attrib & VMCB_SEG_L))
		return false;
	const uint8_t *code = pagewalk_recall(&v->code, m->cr3, v->rip);
	return code && *code == INSN_ESCAPE;
}

/* What the decoder must know of the instruction behind an exit, from the best source there is. */
static inline bool describe_insn(struct vcpu *v, const struct svm *hw, const struct svm_how *how,
                                 struct svm_raw *raw)
{
	const struct vmcb *m = hw->vmcb;
	unsigned needs = how->needs;

	if ((needs & SVM_NEEDS_LEN) && has_nrip) {
		raw->insn = (struct insn_exiting){ .len = (uint8_t)(m->nrip - m->rip) };
		return true;
	}
	if ((needs & SVM_NEEDS_LEN) && how->bare && is_bare(v, m)) {
		raw->insn.len = how->bare;
		return true;
	}
	if (needs & SVM_NEEDS_BYTES) {
		raw->bytes = m->insn_bytes;
		raw->nbytes = has_decode ? MIN(m->insn_bytes_n, INSN_LEN_MAX) : 0;
		return true;
	}
	if ((needs & SVM_NEEDS_INSN) && has_nrip && has_decode &&
	    (m->exit_info1 & CR_INFO_MOV)) {
		raw->insn.len = (uint8_t)(m->nrip - m->rip);
		raw->insn.rm = (uint8_t)GET(CR_INFO_GPR, m->exit_info1);
		return true;
	}
	if ((needs & SVM_NEEDS_STRING) && has_decode) {
		raw->insn.seg = (uint8_t)GET(IOIO_SEG, m->exit_info1);
		raw->insn.addr_size = (uint8_t)(2 * GET(IOIO_ADDR_SIZE, m->exit_info1));
		return true;
	}
	if ((needs & SVM_NEEDS_STRING) && !(m->exit_info1 & IOIO_STRING))
		return true;
	return svm_resolve_insn(v, &raw->insn);
}

/* Capture: what every exit needs, and what this kind needs. */
static const struct svm_how *collect(struct vcpu *v, struct svm *hw, struct svm_raw *raw)
{
	const struct vmcb *m = hw->vmcb;
	const struct svm_how *how = svm_decode_how((uint32_t)m->exit_code);

	raw->code = (uint32_t)m->exit_code;
	raw->info1 = m->exit_info1;
	raw->info2 = m->exit_info2;
	raw->rip = v->rip = m->rip;
	v->rflags = m->rflags;
	v->gpr[GPR_RAX] = m->rax;
	v->gpr[GPR_RSP] = m->rsp;
	raw->insn.len = 0;
	v->again.type = EVENT_NONE;
	v->irq_blocked = !(v->rflags & RFLAGS_IF) || (m->shadow & SHADOW_INTERRUPT);
	if ((m->exit_int_info & EVENTINJ_VALID) || hw->busy)
		svm_events_after(v, hw);
	if ((how->needs & ~SVM_LISTED) && !describe_insn(v, hw, how, raw))
		return &svm_decode_unreadable;
	return how;
}

/* What the host itself has to do about an exit before anybody else looks at it. */
static void attend(struct vcpu *v, const struct svm_raw *raw, struct exit *x)
{
	switch (x->kind) {
	case EXIT_IRQ:
		irq_take();             /* the exit did not acknowledge it: handlers run now    */
		if (!apic_timer_is_armed())
			x->kind = EXIT_SLICE;   /* it was ours */
		break;
	case EXIT_CPUID:                /* one leaf depends on it: see svm_registers_save() */
		if ((uint32_t)v->gpr[GPR_RAX] == CPUID_XSAVE)
			v->xcr0 = insn_xgetbv(0);
		break;
	case EXIT_FATAL:
		if (raw->code == SVM_EXIT_NPF)
			npt_explain(v->vm, raw->info2);
		break;
	default:                        /* an NMI came when STGI let it */
		break;
	}
}

static void svm_enter(struct vcpu *v, struct exit *x)
{
	struct host_cpu *c = insn_mov_gs0();    /* nothing here waits: it stays the same */
	struct svm *hw = v->hw;
	const struct svm_how *how;
	struct svm_raw raw;                     /* collect() fills in what this exit needs */

	ASSERT(((const struct svm_cpu *)c->vendor)->owner == hw);
	do {
		if (!run(c, v, hw, x))
			return;
		how = collect(v, hw, &raw);
	} while (!svm_decode(how, &raw, x) && svm_resolve(v, hw, &raw, x));
	attend(v, &raw, x);
	if (hw->nmi_waits && !hw->nmi_blocked)
		svm_events_nmi(v, hw, x);
}

const struct virt_ops svm_ops = {
	.name = "AMD-V",
	.probe = svm_probe,
	.cpu_on = svm_on,
	.cpu_off = svm_off,
	.vcpu_init = svm_vcpu_init,
	.vcpu_fini = svm_vcpu_fini,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.get = svm_get,
	.set = svm_set,
	.get_mode = svm_get_mode,
	.enter = svm_enter,
	.inject = svm_inject,
	.irq_window = svm_irq_window,
	.tsc_aux = svm_tsc_aux,
	.s2_flush = npt_flush,
	.s2 = &npt_format,
};
