/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_events.c - interrupts, NMIs and #DB on their way into the guest.
 *
 * What VT-x has a field or a control for has to be made here of what a VMCB offers: a window for
 * NMIs of the IRET intercept and of single steps, a pending #DB of an exception that is injected, a
 * window for interrupts of a virtual interrupt that is never delivered.  Called by svm.c around
 * each VMRUN.
 */
#include "arch/x86_64/svm/svm.h"

#define DR6_TRAPS       MASK(3, 0)      /* which breakpoint                                     */
#define PENDING_ENABLED BIT(12)         /* struct cpu_state: an enabled breakpoint is pending   */

/* --- Interrupts ----------------------------------------------------------------------------- */

void svm_irq_window(struct vcpu *v, bool wanted)
{
	((struct svm *)v->hw)->window = wanted;
}

/*
 * APM vol. 2, "Injecting Virtual (INTR) Interrupts".  A VMCB has one slot for a virtual interrupt.
 * One that was injected is delivered from it.  Otherwise the window for interrupts is an interrupt
 * that is never delivered, because it exits when the guest could take it.  When both are wanted the
 * window opens after the next exit, which the end of the first interrupt's handler brings.
 * (EVENTINJ would leave the slot to the window; but TCG of QEMU 7.2 delivers an interrupt from
 * there a second time when one of its own timers ends before the next exit.)
 */
static void set_vintr(struct svm *hw)
{
	struct vmcb *m = hw->vmcb;
	bool open = hw->window && !hw->irq_given;
	uint64_t vintr = VINTR_MASKING;

	if (hw->irq_given || open)
		vintr |= VINTR_IRQ | VINTR_IGNORE_TPR;
	if (hw->irq_given)
		vintr |= PUT(VINTR_VECTOR, (uint64_t)hw->irq_vector);
	hw->slot_used = vintr != VINTR_MASKING;
	if (vintr != m->vintr) {
		m->vintr = vintr;
		m->clean &= (uint32_t)~CLEAN_VINTR;
	}
	if (open != vmcb_intercepts(m, INTERCEPT_VINTR))
		vmcb_intercept(m, INTERCEPT_VINTR, open);
}

/* An exit may come before the delivery: then it is delivered again. */
static void check_delivered(struct vcpu *v, struct svm *hw)
{
	if (hw->vmcb->vintr & VINTR_IRQ)
		v->again = (struct inject){ .type = EVENT_IRQ, .vector = hw->irq_vector };
	hw->irq_given = false;
}

/* --- NMIs ----------------------------------------------------------------------------------- */

bool svm_take_back_nmi(struct svm *hw)
{
	bool waited = hw->nmi_waits;

	hw->nmi_waits = false;
	return waited;
}

void svm_block_nmi(struct svm *hw, bool blocked)
{
	hw->nmi_blocked = blocked;
	hw->nmi_ending = false;
	vmcb_intercept(hw->vmcb, INTERCEPT_IRET, blocked);
}

static bool is_fault(const struct inject *event)
{
	return event->type == EVENT_EXCEPTION && event->vector != VECTOR_DB;
}

/* True: not now; the NMI has been put where it will be looked at again. */
static bool nmi_must_wait(struct vcpu *v, struct svm *hw)
{
	if (hw->vmcb->shadow & SHADOW_INTERRUPT) {
		v->nmi_pending = true;
		hw->step = !(v->rflags & RFLAGS_IF);    /* no other window tells its end */
		return true;
	}
	hw->nmi_waits = hw->nmi_blocked;
	hw->step = hw->nmi_ending;
	return hw->nmi_blocked;
}

/*
 * APM vol. 2, "Event Injection".  An NMI in the shadow of STI or MOV SS goes back to the run loop,
 * which asks for the window of interrupts; one that is blocked waits for the IRET.
 */
void svm_inject(struct vcpu *v, const struct inject *event)
{
	struct svm *hw = v->hw;
	struct inject e = *event;

	svm_sync(v, hw);                        /* an emulated instruction ends a shadow */
	if (e.type == EVENT_NMI) {
		if (nmi_must_wait(v, hw))
			return;
		svm_block_nmi(hw, true);
	}
	if (e.type == EVENT_IRQ) {
		hw->irq_given = true;
		hw->irq_vector = e.vector;
		return;
	}
	if (!(hw->vmcb->cr0 & CR0_PE))
		e.has_error = false;            /* real mode has no error codes */
	/* A fault's handler finds RF set; injection pushes RFLAGS as it is. */
	if (is_fault(&e))
		v->rflags |= RFLAGS_RF;
	hw->vmcb->event_inj = svm_decode_event_inj(&e);
}

/* --- Around an entry ------------------------------------------------------------------------ */

/*
 * A #DB that comes before the guest's next instruction: a VMCB has no place for it.  An event that
 * is to be injected goes first and the #DB is lost, as when a CPU with such a place injects one.
 */
bool svm_events_trap(struct vcpu *v, struct svm *hw, struct exit *x)
{
	uint64_t pending = hw->pending_debug;

	hw->pending_debug = 0;
	if ((hw->vmcb->event_inj & EVENTINJ_VALID) || hw->irq_given ||
	    !(pending & (DR6_BS | PENDING_ENABLED)))
		return false;
	hw->vmcb->dr6 = (hw->vmcb->dr6 & ~DR6_TRAPS) | (pending & (DR6_TRAPS | DR6_BS));
	hw->vmcb->clean &= (uint32_t)~CLEAN_DR;
	v->again = (struct inject){ .type = EVENT_EXCEPTION, .vector = VECTOR_DB };
	*x = (struct exit){ .kind = EXIT_SLICE };       /* as if its time were up; see v->again */
	return true;
}

/*
 * One instruction, and back: TF, which the guest does not see.  (It would if the instruction pushed
 * RFLAGS or faulted; those after MOV SS, the IRET of an NMI's handler and MOV CR0 do neither, or
 * hardly ever.)  A guest that steps itself comes back anyway, and an event must not push TF: then
 * the next entry steps.
 */
static void begin_step(const struct vcpu *v, struct svm *hw)
{
	if ((v->rflags & RFLAGS_TF) || (hw->vmcb->event_inj & EVENTINJ_VALID))
		return;
	hw->step = false;
	hw->stepping = true;
	hw->step_dr6 = hw->vmcb->dr6;
	hw->vmcb->rflags |= RFLAGS_TF;
}

/* An IRET brought flags of its own; everything else left ours. */
void svm_events_stepped(const struct vcpu *v, struct svm *hw)
{
	struct vmcb *m = hw->vmcb;
	bool was_iret = hw->nmi_ending && v->rip == hw->iret_rip && m->rip != v->rip;

	if (hw->cr0_open)
		svm_close_cr0(hw);
	if (!hw->stepping)
		return;
	hw->stepping = m->exit_code == SVM_EXIT_DB && (m->dr6 & DR6_BS);
	if (!was_iret)
		m->rflags &= ~RFLAGS_TF;
	if (hw->stepping) {
		m->dr6 = hw->step_dr6;
		m->clean &= (uint32_t)~CLEAN_DR;
	}
}

void svm_events_before(const struct vcpu *v, struct svm *hw)
{
	if (hw->irq_given || hw->window || hw->slot_used)
		set_vintr(hw);
	if (hw->step)
		begin_step(v, hw);
}

/*
 * An event whose delivery the exit interrupted is delivered again; an NMI blocks NMIs from the
 * start of its delivery, so that is undone.
 */
static void repair_events(struct vcpu *v, struct svm *hw)
{
	svm_decode_again(hw->vmcb->exit_int_info, &v->again);
	if (v->again.type == EVENT_NMI)
		svm_block_nmi(hw, false);
}

void svm_events_after(struct vcpu *v, struct svm *hw)
{
	if (hw->vmcb->exit_int_info & EVENTINJ_VALID)
		repair_events(v, hw);
	if (hw->irq_given)
		check_delivered(v, hw);
	if (hw->nmi_ending && v->rip != hw->iret_rip)
		svm_block_nmi(hw, false);
}

/*
 * An NMI that waited for an IRET comes before what the guest did next: every exit but these is one
 * before its instruction, which will exit again.
 */
void svm_events_nmi(struct vcpu *v, struct svm *hw, struct exit *x)
{
	if (x->kind == EXIT_FATAL || x->kind == EXIT_TRIPLE)
		return;
	v->nmi_pending |= svm_take_back_nmi(hw);
	*x = (struct exit){ .kind = EXIT_IRQ_WINDOW };  /* the run loop delivers it now */
}
