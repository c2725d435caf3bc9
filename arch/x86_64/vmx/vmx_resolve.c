/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx_resolve.c - exits that exist only because of VT-x's own rules.
 *
 * Bits of CR0 and CR4 that the guest does not own, exceptions that are taken from it to keep the
 * host safe, and the window for an NMI that had to wait.  None of them is anybody else's business:
 * the guest goes on, or the exit becomes one of the neutral kinds.  Called by vmx.c when
 * vmx_decode() says so.
 */
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/vmx/vmx.h"
#include "lib/log.h"
#include "vmm/pagewalk.h"

static bool is_64bit(void)
{
	return (vmcs_read(VMCS_GUEST_EFER) & EFER_LMA) && (vmcs_read(VMCS_GUEST_CS_ATTR) & SEG_L);
}

/*
 * MOV to CR0 or CR4 that changes a bit which the guest does not own.  If the guest may have the new
 * value it becomes the shadow and the instruction runs again: now it agrees with the shadow, so the
 * CPU executes it itself, with all that comes with paging being switched on or off.  (Should it
 * fault after all, the shadow is already new: only CD, NW, NE and MCE, which mean nothing here, can
 * differ.)
 */
static bool resolve_cr(struct vcpu *v, const struct vmx *hw, const struct vmx_raw *raw)
{
	uint64_t value = v->gpr[GET(QUAL_CR_GPR, raw->qual)];

	if (!is_64bit())                /* the upper half may still hold something from there */
		value = (uint32_t)value;
	if (GET(QUAL_CR_NUMBER, raw->qual) == 0) {
		if ((value >> 32) || ((value & CR0_NW) && !(value & CR0_CD)) ||
		    ((value & CR0_PG) && !(value & CR0_PE)))
			return false;
		vmcs_write(VMCS_CR0_SHADOW, value);
		return true;
	}
	if (value & ~hw->cr4_allowed)
		return false;
	vmcs_write(VMCS_CR4_SHADOW, value);
	return true;
}

/*
 * The debug registers as #DB's delivery would leave them (SDM vol. 3, "Debug Exceptions").  And an
 * entry into the shadow of STI or MOV SS with RFLAGS.TF set wants the single-step trap pending,
 * even though that trap is the very exception to be delivered.
 */
static void finish_debug(struct vcpu *v, const struct vmx *hw, uint64_t new)
{
	insn_write_dr6((insn_read_dr6() & ~MASK(3, 0)) | (new & QUAL_DEBUG_DR6));
	vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~DR7_GD);
	vmcs_write(VMCS_GUEST_DEBUGCTL, vmcs_read(VMCS_GUEST_DEBUGCTL) & ~(uint64_t)DEBUGCTL_BTF);
	if ((v->rflags & RFLAGS_TF) && (hw->interruptibility & (BLOCK_STI | BLOCK_MOV_SS)))
		vmcs_write(VMCS_GUEST_PENDING_DEBUG,
		           vmcs_read(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

/* The other vendor's hypercall is an undefined instruction here. */
static bool is_hypercall(struct vcpu *v, uint8_t *len)
{
	uint8_t bytes[INSN_LEN_MAX];
	struct insn_exiting in;
	struct cpu_mode mode;

	vmx_get_mode(v, &mode);
	unsigned n = pagewalk_code(&v->vm->mem, &mode, v->rip, &v->code, bytes);
	if (insn_exiting(bytes, n, &mode, &in) != OK || !insn_is_hypercall(&in))
		return false;
	*len = in.len;
	return true;
}

/*
 * An exception that exits only to keep the host safe, or to be looked at: the guest gets it after
 * all, in the place of the event during whose delivery it came, as on a bare CPU (#DB, #AC and #UD
 * are benign, so fault_merge() would say the same).
 */
static void give_back(struct vcpu *v, const struct vmx *hw, const struct vmx_raw *raw)
{
	struct inject *again = &v->again;

	*again = (struct inject){ .type = EVENT_EXCEPTION, .error = raw->event_error };
	again->vector = (uint8_t)GET(EVENT_INFO_VECTOR, raw->event);
	again->has_error = raw->event & EVENT_INFO_HAS_ERROR;
	if (again->vector == VECTOR_DB)
		finish_debug(v, hw, raw->qual);
	if (GET(EVENT_INFO_TYPE, raw->event) == VMX_EVENT_PRIV_EXCEPTION) {
		again->type = EVENT_PRIV_SOFT_EXCEPTION;
		again->insn_len = (uint8_t)vmcs_read(VMCS_EXIT_INSN_LEN);
	}
}

static void resolve_exception(struct vcpu *v, const struct vmx *hw, const struct vmx_raw *raw,
                              struct exit *x)
{
	uint64_t vector = GET(EVENT_INFO_VECTOR, raw->event);

	x->kind = EXIT_SLICE;                   /* as if its time were up; see v->again */
	if (vector == VECTOR_MC)
		insn_int_machine_check();
	else if (vector == VECTOR_UD && is_hypercall(v, &x->insn_len))
		x->kind = EXIT_HYPERCALL;
	else
		give_back(v, hw, raw);
}

/* True: the guest goes on at once.  False: `x` says what remains to be done. */
bool vmx_resolve(struct vcpu *v, struct vmx *hw, const struct vmx_raw *raw, struct exit *x)
{
	switch (GET(REASON_BASIC, raw->reason)) {
	case VMX_REASON_CR_ACCESS:
		x->kind = EXIT_GP;
		return resolve_cr(v, hw, raw);
	case VMX_REASON_NMI_WINDOW:
		v->nmi_pending |= vmx_take_back_nmi(hw);
		x->kind = EXIT_IRQ_WINDOW;      /* the run loop delivers it now */
		return false;
	case VMX_REASON_EXCEPTION_NMI:
		resolve_exception(v, hw, raw, x);
		return false;
	}
	panic("exit reason 0x%x is neither decoded nor resolved", raw->reason);
}
