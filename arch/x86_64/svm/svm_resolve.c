/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_resolve.c - exits that exist only because of AMD-V's own rules.
 *
 * CR0 and CR4, whose bits the host has a say in; exceptions that are taken from the guest to keep
 * the host safe; the IRET that ends an NMI.  None of them is anybody else's business: the guest
 * goes on, or the exit becomes one of the neutral kinds.  And, for CPUs whose exits say nothing
 * about the instruction, the reading of it; and a HLT that must not be interrupted.  Called by
 * svm.c when svm_decode() says so, and before an entry into a shadow.
 */
#include "arch/x86_64/svm/svm.h"

#include "arch/x86_64/defs/msr.h"
#include "lib/log.h"
#include "vmm/pagewalk.h"

#define CR3_PCID MASK(11, 0)
#define OP_HLT   0xf4

bool svm_resolve_insn(struct vcpu *v, struct insn_exiting *insn)
{
	uint8_t bytes[INSN_LEN_MAX];
	struct cpu_mode mode;

	svm_get_mode(v, &mode);
	unsigned n = pagewalk_code(&v->vm->mem, &mode, v->rip, &v->code, bytes);
	return insn_exiting(bytes, n, &mode, insn) == OK;
}

static bool is_64bit(const struct svm *hw)
{
	struct cpu_mode mode = { .efer = hw->vmcb->efer,
	                         .cs_attr = svm_state_attr(hw->vmcb->cs.attrib) };

	return pagewalk_is_64bit(&mode);
}

/* --- CR0 ------------------------------------------------------------------------------------ */

/*
 * The guest looks at CR0 while its CD or NW is set, or changes more than TS and MP.  It does so by
 * itself, on the CPU's terms, with its own bits in place, and nothing but this one instruction.
 */
static void resolve_cr0(struct svm *hw)
{
	vmcb_open_cr0(hw->vmcb, hw->cr0_kept);
	hw->cr0_open = hw->step = true;
}

void svm_close_cr0(struct svm *hw)
{
	hw->cr0_open = false;
	hw->cr0_kept = vmcb_set_cr0(hw->vmcb, hw->vmcb->cr0);
}

/* --- CR4 ------------------------------------------------------------------------------------ */

/* APM vol. 2, "CR4 Register": what a MOV to it refuses in the guest's mode. */
static bool cr4_valid(const struct svm *hw, uint64_t value)
{
	const struct vmcb *m = hw->vmcb;
	bool long_mode = m->efer & EFER_LMA;
	uint64_t now_on = value & ~hw->cr4;

	if (value & ~hw->cr4_allowed)
		return false;
	if (long_mode && !(value & CR4_PAE))
		return false;
	return !(now_on & CR4_PCIDE) || (long_mode && !(m->cr3 & CR3_PCID));
}

/* APM vol. 2, "TLB Control": translations of the old value may be wrong under the new one. */
static void set_cr4(struct svm *hw, uint64_t value)
{
	if (value != hw->cr4)
		asid_forget(&hw->asid);
	hw->cr4 = value;
	hw->vmcb->cr4 = value | hw->cr4_forced;
	hw->vmcb->clean &= (uint32_t)~CLEAN_CR;
}

static bool resolve_cr4(struct vcpu *v, struct svm *hw, const struct svm_raw *raw)
{
	uint64_t *gpr = &v->gpr[raw->insn.rm];

	if (raw->code == SVM_EXIT_CR4_READ) {
		*gpr = hw->cr4;
	} else {
		uint64_t value = is_64bit(hw) ? *gpr : (uint32_t)*gpr;
		if (!cr4_valid(hw, value))
			return false;
		set_cr4(hw, value);
	}
	vcpu_skip(v, raw->insn.len);
	return true;
}

/* --- Exceptions ----------------------------------------------------------------------------- */

/*
 * The guest gets it after all, in the place of the event during whose delivery it came, as on a
 * bare CPU.  DR6 is as the CPU left it; DR7.GD and DEBUGCTL.BTF go with the delivery of #DB.
 */
static void give_back(struct vcpu *v, struct svm *hw, uint8_t vector, bool has_error,
                      uint64_t error)
{
	v->again = (struct inject){ .type = EVENT_EXCEPTION, .vector = vector,
	                            .has_error = has_error, .error = (uint32_t)error };
	if (vector == VECTOR_DB) {
		hw->vmcb->dr7 &= ~DR7_GD;
		hw->vmcb->clean &= (uint32_t)~CLEAN_DR;
		svm_end_btf(hw);
	}
}

/*
 * What only the other vendor's CPUs have is undefined here: its hypercall; and in long mode
 * SYSENTER and SYSEXIT, which a guest uses that takes its CPU for one of those.
 */
static void resolve_undefined(struct vcpu *v, struct svm *hw, struct exit *x)
{
	struct insn_exiting insn;

	if (!svm_resolve_insn(v, &insn)) {
		give_back(v, hw, VECTOR_UD, false, 0);
	} else if (insn_is_hypercall(&insn)) {
		x->kind = EXIT_HYPERCALL;
		x->insn_len = insn.len;
	} else if (hw->as_intel && (hw->vmcb->efer & EFER_LMA) &&
	           insn_is_sysenter(&insn, &x->sysenter.out)) {
		x->kind = EXIT_SYSENTER;
		x->sysenter.wide = insn.wide;
	} else {
		give_back(v, hw, VECTOR_UD, false, 0);
	}
}

/* Our own step, not the guest's; an NMI that waited for it is the run loop's business. */
static bool resolve_step(const struct vcpu *v, struct svm *hw, struct exit *x)
{
	hw->stepping = false;
	x->kind = EXIT_IRQ_WINDOW;
	return !v->nmi_pending && !hw->nmi_waits;
}

static void resolve_exception(struct vcpu *v, struct svm *hw, const struct svm_raw *raw,
                              struct exit *x)
{
	x->kind = EXIT_SLICE;                   /* as if its time were up; see v->again */
	switch (raw->code) {
	case SVM_EXIT_MC:
		insn_int_machine_check();
		break;
	case SVM_EXIT_UD:
		resolve_undefined(v, hw, x);
		break;
	case SVM_EXIT_AC:
		give_back(v, hw, VECTOR_AC, true, raw->info1);
		break;
	case SVM_EXIT_DB:
		give_back(v, hw, VECTOR_DB, false, 0);
		break;
	case SVM_EXIT_FERR_FREEZE:              /* CR0.NE is clear: IRQ 13, of which we have none */
		give_back(v, hw, VECTOR_MF, false, 0);
		break;
	}
}

/*
 * The IRET is about to run.  It ends the blocking of NMIs, and nothing exits when it has: so if an
 * NMI waits for that, the guest steps.
 */
static void resolve_iret(struct vcpu *v, struct svm *hw)
{
	vmcb_intercept(hw->vmcb, INTERCEPT_IRET, false);
	hw->nmi_ending = true;
	hw->iret_rip = v->rip;
	hw->step = hw->nmi_waits;
}

/* True: the guest goes on at once.  False: `x` says what remains to be done. */
bool svm_resolve(struct vcpu *v, struct svm *hw, const struct svm_raw *raw, struct exit *x)
{
	switch (raw->code) {
	case SVM_EXIT_CR4_READ:
	case SVM_EXIT_CR4_WRITE:
		x->kind = EXIT_GP;
		x->insn_len = 0;
		return resolve_cr4(v, hw, raw);
	case SVM_EXIT_IRET:
		resolve_iret(v, hw);
		return true;
	case SVM_EXIT_CR0_READ:
	case SVM_EXIT_CR0_WRITE:
	case SVM_EXIT_CR0_SELECTIVE:
		resolve_cr0(hw);
		return true;
	default:
		if (hw->stepping)
			return resolve_step(v, hw, x);
		resolve_exception(v, hw, raw, x);
		return false;
	}
}

/*
 * A guest that sleeps until an interrupt does STI, and HLT in its shadow, so that the interrupt
 * cannot come in between.  When the CPU came out just there, VMRUN restores the shadow from the
 * VMCB; but TCG of QEMU 7.2 does not: the interrupt came first, and the guest then slept for ever.
 * HLT exits in any case, so it need not be entered for; on other CPUs that saves an exit.
 */
bool svm_resolve_hlt(struct vcpu *v, const struct svm *hw, struct exit *x)
{
	const struct vmcb *m = hw->vmcb;
	uint8_t bytes[INSN_LEN_MAX];
	struct cpu_mode mode;

	if (m->cpl || (m->event_inj & EVENTINJ_VALID) || hw->irq_given || hw->pending_debug)
		return false;
	svm_get_mode(v, &mode);
	if (!pagewalk_code(&v->vm->mem, &mode, v->rip, &v->code, bytes) || bytes[0] != OP_HLT)
		return false;
	*x = (struct exit){ .kind = EXIT_HLT, .insn_len = 1 };
	return true;
}
