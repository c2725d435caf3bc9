/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_state.c - a whole vCPU between VMCB, registers and struct cpu_state.
 *
 * svm_get() and svm_set() are mirror images: each table below is used by both, and what has no
 * table stands in the same order in both.  A state that leaves here may continue on a CPU with
 * VT-x, whose rules about segments and shadows are stricter (SDM vol. 3, "Checks on the Guest State
 * Area"): svm_get() gives it the form that those rules ask for.
 * Called by vmm/vcpu.c for saving, loading and reset.
 */
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/svm/svm.h"

#include <string.h>

#include "lib/log.h"

#define TYPE_ACCESSED   BIT(0)
#define TYPE_BUSY       BIT(1)
#define V86_ATTR        0xf3
#define LIMIT_BYTES     MASK(19, 0)     /* what a limit can say without granularity             */
#define PDPTES_ALIGN    32

#define STATE_FIELD(own, member) { offsetof(struct vmcb, own), offsetof(struct cpu_state, member) }

/* 64-bit members of the VMCB that hold just that. */
static const struct { uint16_t own, offset; } plain_fields[] = {
	STATE_FIELD(cr2, cr2), STATE_FIELD(cr3, cr3),
	STATE_FIELD(dr6, dr6), STATE_FIELD(dr7, dr7),
	STATE_FIELD(gdtr.base, gdtr_base), STATE_FIELD(idtr.base, idtr_base),
	STATE_FIELD(star, msr[CPU_MSR_STAR]), STATE_FIELD(lstar, msr[CPU_MSR_LSTAR]),
	STATE_FIELD(sfmask, msr[CPU_MSR_FMASK]),
	STATE_FIELD(kernel_gs_base, msr[CPU_MSR_KERNEL_GS_BASE]),
};

/* Registers of the CPU itself, and what the guest sees in another form, kept in struct svm. */
static const struct { uint16_t own, offset; } kept_registers[] = {
#define KEPT(own, member) { offsetof(struct svm, own), offsetof(struct cpu_state, member) }
	KEPT(cr4, cr4), KEPT(xcr0, xcr0), KEPT(pending_debug, pending_debug),
	KEPT(dr[0], dr[0]), KEPT(dr[1], dr[1]), KEPT(dr[2], dr[2]), KEPT(dr[3], dr[3]),
	KEPT(pat, msr[CPU_MSR_PAT]), KEPT(tsc_aux, msr[CPU_MSR_TSC_AUX]),
	KEPT(debugctl, msr[CPU_MSR_DEBUGCTL]), KEPT(xss, msr[CPU_MSR_XSS]),
	KEPT(sysenter[0], msr[CPU_MSR_SYSENTER_CS]), KEPT(sysenter[1], msr[CPU_MSR_SYSENTER_ESP]),
	KEPT(sysenter[2], msr[CPU_MSR_SYSENTER_EIP]), KEPT(cstar, msr[CPU_MSR_CSTAR]),
#undef KEPT
};

/* By enum seg. */
static const uint16_t segments[SEG_COUNT] = {
#define SEGMENT(own) offsetof(struct vmcb, own)
	[SEG_ES] = SEGMENT(es), [SEG_CS] = SEGMENT(cs), [SEG_SS] = SEGMENT(ss),
	[SEG_DS] = SEGMENT(ds), [SEG_FS] = SEGMENT(fs), [SEG_GS] = SEGMENT(gs),
	[SEG_LDTR] = SEGMENT(ldtr), [SEG_TR] = SEGMENT(tr),
#undef SEGMENT
};

static uint64_t *at(void *base, size_t offset)
{
	return (uint64_t *)((char *)base + offset);
}

static const uint64_t *at_const(const void *base, size_t offset)
{
	return (const uint64_t *)((const char *)base + offset);
}

static struct vmcb_segment *segment_at(struct vmcb *m, enum seg seg)
{
	return (struct vmcb_segment *)((char *)m + segments[seg]);
}

static bool is_pae(const struct vmcb *m)
{
	return (m->cr0 & CR0_PG) && (m->cr4 & CR4_PAE) && !(m->efer & EFER_LMA);
}

/* --- Hardware to neutral -------------------------------------------------------------------- */

uint32_t svm_state_attr(uint16_t attrib)
{
	return (uint32_t)((attrib & VMCB_SEG_LOW) |
	                  (attrib & VMCB_SEG_HIGH) << VMCB_SEG_HIGH_SHIFT);
}

/*
 * Not present means unusable; granularity follows from the limit, which counts bytes here; what is
 * in use has been accessed, and the task register's type is busy.
 */
static uint32_t neutral_attr(const struct vmcb_segment *from, enum seg seg)
{
	uint32_t attr = svm_state_attr(from->attrib) & (uint32_t)~SEG_G;

	if (from->limit & ~LIMIT_BYTES)
		attr |= SEG_G;
	if (!(attr & SEG_P))
		attr |= SEG_UNUSABLE;
	else if (attr & SEG_S)
		attr |= TYPE_ACCESSED;
	if (seg == SEG_TR)
		attr |= TYPE_BUSY;
	return attr;
}

static void get_segments(struct vmcb *m, struct cpu_state *s)
{
	for (enum seg seg = SEG_ES; seg < SEG_COUNT; seg++) {
		const struct vmcb_segment *from = segment_at(m, seg);
		s->seg_sel[seg] = from->selector;
		s->seg_base[seg] = from->base;
		s->seg_limit[seg] = from->limit;
		s->seg_attr[seg] = neutral_attr(from, seg);
		if ((m->rflags & RFLAGS_VM) && seg <= SEG_GS)
			s->seg_attr[seg] = V86_ATTR;
	}
	/* The privilege level of the whole is SS's in the neutral form. */
	s->seg_attr[SEG_SS] = (uint32_t)((s->seg_attr[SEG_SS] & ~SEG_DPL) |
	                                 PUT(SEG_DPL, (uint64_t)m->cpl));
	s->gdtr_limit = m->gdtr.limit & UINT16_MAX;
	s->idtr_limit = m->idtr.limit & UINT16_MAX;
}

/*
 * The VMCB does not say whose shadow it is.  STI's needs IF, and while a guest steps itself only
 * MOV SS holds the trap back.
 */
static void get_shadow(const struct svm *hw, struct cpu_state *s)
{
	bool shadow = hw->vmcb->shadow & SHADOW_INTERRUPT;
	bool stepping = (s->rflags & RFLAGS_TF) && !(hw->debugctl & DEBUGCTL_BTF);

	s->block_sti = shadow && (s->rflags & RFLAGS_IF) && !stepping;
	s->block_mov_ss = shadow && !s->block_sti;
	s->block_nmi = hw->nmi_blocked;
	if (s->block_mov_ss && stepping)
		s->pending_debug |= DR6_BS;
}

/*
 * The event on its way in: given to inject() but not yet entered, or interrupted by the last exit.
 */
static void get_event(const struct vcpu *v, const struct svm *hw, struct cpu_state *s)
{
	const struct vmcb *m = hw->vmcb;
	struct inject event = v->again;

	if (m->event_inj & EVENTINJ_VALID)
		svm_decode_again(m->event_inj, &event);
	else if (hw->irq_given)
		event = (struct inject){ .type = EVENT_IRQ, .vector = hw->irq_vector };
	s->event_type = event.type;
	s->event_vector = event.vector;
	s->event_has_error = event.has_error;
	s->event_insn_len = event.insn_len;
	s->event_error = event.error;
}

/* This CPU reads them from memory when it needs them; others keep them in registers. */
static void get_pdptes(struct vcpu *v, const struct vmcb *m, struct cpu_state *s)
{
	gpa_t table = gpa(ALIGN_DOWN((uint32_t)m->cr3, PDPTES_ALIGN));

	memset(s->pdpte, 0, sizeof(s->pdpte));
	if (is_pae(m) && mem_read(&v->vm->mem, table, s->pdpte, sizeof(s->pdpte)) != OK)
		memset(s->pdpte, 0, sizeof(s->pdpte));
}

void svm_get(struct vcpu *v, struct cpu_state *s)
{
	struct svm *hw = v->hw;
	struct vmcb *m = hw->vmcb;

	svm_sync(v, hw);
	if (svm_owns(hw))
		svm_registers_save(hw);
	memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->rip = v->rip;
	s->rflags = v->rflags;
	s->cr0 = m->cr0 | hw->cr0_kept;
	for (unsigned i = 0; i < COUNT(plain_fields); i++)
		*at(s, plain_fields[i].offset) = *at_const(m, plain_fields[i].own);
	for (unsigned i = 0; i < COUNT(kept_registers); i++)
		*at(s, kept_registers[i].offset) = *at_const(hw, kept_registers[i].own);
	s->msr[CPU_MSR_EFER] = m->efer & ~EFER_SVME;
	get_segments(m, s);
	get_shadow(hw, s);
	get_event(v, hw, s);
	get_pdptes(v, m, s);
	if (svm_take_back_nmi(hw))
		v->nmi_pending = true;          /* not delivered: it travels as pending */
	memcpy(s->xsave, hw->xsave, sizeof(s->xsave));
}

/* --- Neutral to hardware -------------------------------------------------------------------- */

static void set_segments(struct vmcb *m, const struct cpu_state *s)
{
	for (enum seg seg = SEG_ES; seg < SEG_COUNT; seg++) {
		uint64_t attr = s->seg_attr[seg];
		if (attr & SEG_UNUSABLE)
			attr &= ~SEG_P;
		*segment_at(m, seg) = (struct vmcb_segment){
			.selector = s->seg_sel[seg], .base = s->seg_base[seg],
			.limit = s->seg_limit[seg],
			.attrib = (uint16_t)((attr & VMCB_SEG_LOW) |
			                     (attr >> VMCB_SEG_HIGH_SHIFT & VMCB_SEG_HIGH)),
		};
	}
	m->cpl = (uint8_t)GET(SEG_DPL, (uint64_t)s->seg_attr[SEG_SS]);
	m->gdtr.limit = s->gdtr_limit;
	m->idtr.limit = s->idtr_limit;
}

static void set_flow(struct vcpu *v, struct svm *hw, const struct cpu_state *s)
{
	struct vmcb *m = hw->vmcb;

	memcpy(v->gpr, s->gpr, sizeof(v->gpr));
	v->rip = m->rip = s->rip;
	v->rflags = s->rflags;
	m->shadow = s->block_sti || s->block_mov_ss ? SHADOW_INTERRUPT : 0;
	if (s->block_mov_ss)
		hw->pending_debug = 0;          /* comes with the next instruction's trap */
	svm_block_nmi(hw, s->block_nmi);
	v->irq_blocked = !(s->rflags & RFLAGS_IF) || m->shadow;
	m->event_inj = 0;
	hw->irq_given = hw->step = hw->stepping = false;
	v->again = (struct inject){ .type = s->event_type, .vector = s->event_vector,
		.has_error = s->event_has_error, .insn_len = s->event_insn_len,
		.error = s->event_error };
}

/*
 * Where SYSCALL in compatibility mode leads.  On Intel's CPUs it is undefined, so kernels leave
 * CSTAR at 0 where they believe to have one; here a program would get to that address in ring 0.
 * It gets to the kernel's other entry instead, which must trust nothing that a program may have
 * set, and which sees what a 64-bit program could have sent.
 */
static uint64_t compat_entry(const struct svm *hw)
{
	return hw->as_intel ? hw->vmcb->lstar : hw->cstar;
}

void svm_set(struct vcpu *v, const struct cpu_state *s)
{
	struct svm *hw = v->hw;
	struct vmcb *m = hw->vmcb;

	for (unsigned i = 0; i < COUNT(plain_fields); i++)
		*at(m, plain_fields[i].own) = *at_const(s, plain_fields[i].offset);
	for (unsigned i = 0; i < COUNT(kept_registers); i++)
		*at(hw, kept_registers[i].own) = *at_const(s, kept_registers[i].offset);
	hw->cr0_open = false;
	hw->cr0_kept = vmcb_set_cr0(m, s->cr0);
	m->cr4 = hw->cr4 | hw->cr4_forced;
	m->efer = s->msr[CPU_MSR_EFER] | EFER_SVME;
	m->sysenter_cs = hw->sysenter[0];
	m->sysenter_esp = hw->sysenter[1];
	m->sysenter_eip = hw->sysenter[2];
	m->cstar = compat_entry(hw);
	set_segments(m, s);
	set_flow(v, hw, s);
	memcpy(hw->xsave, s->xsave, sizeof(hw->xsave));
	if (svm_owns(hw))
		svm_registers_load(hw);
	svm_take_back_nmi(hw);
	hw->unchecked = true;
	m->clean = 0;
	asid_forget(&hw->asid);
}

/* --- The part an emulator needs ------------------------------------------------------------- */

void svm_get_mode(struct vcpu *v, struct cpu_mode *m)
{
	const struct svm *hw = v->hw;
	const struct vmcb *from = hw->vmcb;

	m->cr0 = from->cr0 | hw->cr0_kept;
	m->cr3 = from->cr3;
	m->cr4 = hw->cr4;
	m->efer = from->efer & ~EFER_SVME;
	m->seg_base[SEG_ES] = from->es.base;
	m->seg_base[SEG_CS] = from->cs.base;
	m->seg_base[SEG_SS] = from->ss.base;
	m->seg_base[SEG_DS] = from->ds.base;
	m->seg_base[SEG_FS] = from->fs.base;
	m->seg_base[SEG_GS] = from->gs.base;
	m->cs_attr = svm_state_attr(from->cs.attrib);
	m->ss_attr = svm_state_attr(from->ss.attrib);
	m->cpl = from->cpl;
}
