/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx_state.c - a whole vCPU between VMCS, registers and struct cpu_state.
 *
 * vmx_get() and vmx_set() are mirror images: each table below is used by both, and what has no
 * table stands in the same order in both.  Called by vmm/vcpu.c for saving, loading and reset.
 */
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/vmx/vmx.h"

#include <string.h>

#include "lib/log.h"

#define STATE_FIELD(field, member) { field, offsetof(struct cpu_state, member) }

/* 64-bit members whose VMCS field holds just that. */
static const struct { enum vmcs_field field; size_t offset; } plain_fields[] = {
	STATE_FIELD(VMCS_GUEST_CR3,           cr3),
	STATE_FIELD(VMCS_GUEST_DR7,           dr7),
	STATE_FIELD(VMCS_GUEST_GDTR_BASE,     gdtr_base),
	STATE_FIELD(VMCS_GUEST_IDTR_BASE,     idtr_base),
	STATE_FIELD(VMCS_GUEST_PDPTE0,        pdpte[0]),
	STATE_FIELD(VMCS_GUEST_PDPTE1,        pdpte[1]),
	STATE_FIELD(VMCS_GUEST_PDPTE2,        pdpte[2]),
	STATE_FIELD(VMCS_GUEST_PDPTE3,        pdpte[3]),
	STATE_FIELD(VMCS_GUEST_EFER,          msr[CPU_MSR_EFER]),
	STATE_FIELD(VMCS_GUEST_PAT,           msr[CPU_MSR_PAT]),
	STATE_FIELD(VMCS_GUEST_DEBUGCTL,      msr[CPU_MSR_DEBUGCTL]),
	STATE_FIELD(VMCS_GUEST_SYSENTER_CS,   msr[CPU_MSR_SYSENTER_CS]),
	STATE_FIELD(VMCS_GUEST_SYSENTER_ESP,  msr[CPU_MSR_SYSENTER_ESP]),
	STATE_FIELD(VMCS_GUEST_SYSENTER_EIP,  msr[CPU_MSR_SYSENTER_EIP]),
	STATE_FIELD(VMCS_GUEST_PENDING_DEBUG, pending_debug),
};

/* Registers of the CPU itself, kept in struct vmx. */
static const struct { size_t in_vmx, offset; } kept_registers[] = {
#define KEPT(own, member) { offsetof(struct vmx, own), offsetof(struct cpu_state, member) }
	KEPT(cr2, cr2), KEPT(xcr0, xcr0), KEPT(dr6, dr6),
	KEPT(dr[0], dr[0]), KEPT(dr[1], dr[1]), KEPT(dr[2], dr[2]), KEPT(dr[3], dr[3]),
	KEPT(star, msr[CPU_MSR_STAR]), KEPT(lstar, msr[CPU_MSR_LSTAR]),
		KEPT(cstar, msr[CPU_MSR_CSTAR]),
	KEPT(fmask, msr[CPU_MSR_FMASK]), KEPT(kernel_gs_base, msr[CPU_MSR_KERNEL_GS_BASE]),
	KEPT(tsc_aux, msr[CPU_MSR_TSC_AUX]), KEPT(xss, msr[CPU_MSR_XSS]),
#undef KEPT
};

static uint64_t *at(void *base, size_t offset)
{
	return (uint64_t *)((char *)base + offset);
}

static const uint64_t *at_const(const void *base, size_t offset)
{
	return (const uint64_t *)((const char *)base + offset);
}

/* --- Hardware to neutral -------------------------------------------------------------------- */

static void get_segments(struct cpu_state *s)
{
	for (enum seg seg = SEG_ES; seg < SEG_COUNT; seg++) {
		s->seg_sel[seg] = (uint16_t)vmcs_read(VMCS_OF_SEG(VMCS_GUEST_ES_SELECTOR, seg));
		s->seg_base[seg] = vmcs_read(VMCS_OF_SEG(VMCS_GUEST_ES_BASE, seg));
		s->seg_limit[seg] = (uint32_t)vmcs_read(VMCS_OF_SEG(VMCS_GUEST_ES_LIMIT, seg));
		s->seg_attr[seg] = (uint32_t)vmcs_read(VMCS_OF_SEG(VMCS_GUEST_ES_ATTR, seg));
	}
	s->gdtr_limit = (uint32_t)vmcs_read(VMCS_GUEST_GDTR_LIMIT);
	s->idtr_limit = (uint32_t)vmcs_read(VMCS_GUEST_IDTR_LIMIT);
}

/*
 * The event on its way in: given to inject() but not yet entered, or interrupted by the last exit.
 */
static void get_event(const struct vcpu *v, struct cpu_state *s)
{
	struct vmx_raw pending = { .vectoring = (uint32_t)vmcs_read(VMCS_ENTRY_EVENT) };
	struct inject event = v->again;

	if (pending.vectoring & EVENT_INFO_VALID) {
		pending.vectoring_error = (uint32_t)vmcs_read(VMCS_ENTRY_ERROR_CODE);
		pending.insn_len = (uint32_t)vmcs_read(VMCS_ENTRY_INSN_LEN);
		vmx_decode_again(&pending, &event);
	}
	s->event_type = event.type;
	s->event_vector = event.vector;
	s->event_has_error = event.has_error;
	s->event_insn_len = event.insn_len;
	s->event_error = event.error;
}

void vmx_get(struct vcpu *v, struct cpu_state *s)
{
	struct vmx *hw = vmx_use(v);

	vmx_sync(v, hw);
	if (vmx_owns(hw))
		vmx_registers_save(hw);
	memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->rip = v->rip;
	s->rflags = v->rflags;
	s->cr0 = vmcs_guest_cr0();
	s->cr4 = vmcs_guest_cr4();
	for (unsigned i = 0; i < COUNT(plain_fields); i++)
		*at(s, plain_fields[i].offset) = vmcs_read(plain_fields[i].field);
	for (unsigned i = 0; i < COUNT(kept_registers); i++)
		*at(s, kept_registers[i].offset) = *at_const(hw, kept_registers[i].in_vmx);
	get_segments(s);
	s->block_sti = !!(hw->interruptibility & BLOCK_STI);
	s->block_mov_ss = !!(hw->interruptibility & BLOCK_MOV_SS);
	s->block_nmi = !!(hw->interruptibility & BLOCK_NMI);
	get_event(v, s);
	if (vmx_take_back_nmi(hw))
		v->nmi_pending = true;          /* not delivered: it travels as pending */
	memcpy(s->xsave, hw->xsave, sizeof(s->xsave));
}

/* --- Neutral to hardware -------------------------------------------------------------------- */

static void set_segments(const struct cpu_state *s)
{
	for (enum seg seg = SEG_ES; seg < SEG_COUNT; seg++) {
		vmcs_write(VMCS_OF_SEG(VMCS_GUEST_ES_SELECTOR, seg), s->seg_sel[seg]);
		vmcs_write(VMCS_OF_SEG(VMCS_GUEST_ES_BASE, seg), s->seg_base[seg]);
		vmcs_write(VMCS_OF_SEG(VMCS_GUEST_ES_LIMIT, seg), s->seg_limit[seg]);
		vmcs_write(VMCS_OF_SEG(VMCS_GUEST_ES_ATTR, seg), s->seg_attr[seg]);
	}
	vmcs_write(VMCS_GUEST_GDTR_LIMIT, s->gdtr_limit);
	vmcs_write(VMCS_GUEST_IDTR_LIMIT, s->idtr_limit);
}

/* What the mirrors in struct vmx stand for is written here and remembered there. */
static void set_flow(struct vcpu *v, struct vmx *hw, const struct cpu_state *s)
{
	memcpy(v->gpr, s->gpr, sizeof(v->gpr));
	v->rip = hw->rip = s->rip;
	v->rflags = hw->rflags = s->rflags;
	hw->rsp = s->gpr[GPR_RSP];
	hw->interruptibility = (s->block_sti ? BLOCK_STI : 0) |
		(s->block_mov_ss ? BLOCK_MOV_SS : 0) |
	                       (s->block_nmi ? BLOCK_NMI : 0);
	vmcs_write(VMCS_GUEST_RIP, hw->rip);
	vmcs_write(VMCS_GUEST_RSP, hw->rsp);
	vmcs_write(VMCS_GUEST_RFLAGS, hw->rflags);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, hw->interruptibility);
	v->irq_blocked = !(s->rflags & RFLAGS_IF) || s->block_sti || s->block_mov_ss;
	vmcs_write(VMCS_ENTRY_EVENT, 0);
	v->again = (struct inject){ .type = s->event_type, .vector = s->event_vector,
		.has_error = s->event_has_error, .insn_len = s->event_insn_len, .error =
			s->event_error };
}

static void set_entry_mode(uint64_t efer)
{
	uint64_t controls = vmcs_read(VMCS_ENTRY_CONTROLS) & ~ENTRY_CTL_IA32E;

	vmcs_write(VMCS_ENTRY_CONTROLS, controls | (efer & EFER_LMA ? ENTRY_CTL_IA32E : 0));
}

void vmx_set(struct vcpu *v, const struct cpu_state *s)
{
	struct vmx *hw = vmx_use(v);

	set_flow(v, hw, s);
	vmcs_set_guest_cr0(s->cr0);
	vmcs_set_guest_cr4(hw, s->cr4);
	for (unsigned i = 0; i < COUNT(plain_fields); i++)
		vmcs_write(plain_fields[i].field, *at_const(s, plain_fields[i].offset));
	set_entry_mode(s->msr[CPU_MSR_EFER]);
	for (unsigned i = 0; i < COUNT(kept_registers); i++)
		*at(hw, kept_registers[i].in_vmx) = *at_const(s, kept_registers[i].offset);
	set_segments(s);
	memcpy(hw->xsave, s->xsave, sizeof(hw->xsave));
	if (vmx_owns(hw))
		vmx_registers_load(hw);
	vmx_take_back_nmi(hw);
	hw->checked = false;
	if (hw->cpu != CPU_NONE)                /* otherwise the first load flushes */
		ept_flush_vpid(ept_vpid(v));
}

/* --- The part an emulator needs ------------------------------------------------------------- */

void vmx_get_mode(struct vcpu *v, struct cpu_mode *m)
{
	vmx_use(v);
	m->cr0 = vmcs_guest_cr0();
	m->cr3 = vmcs_read(VMCS_GUEST_CR3);
	m->cr4 = vmcs_guest_cr4();
	m->efer = vmcs_read(VMCS_GUEST_EFER);
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		m->seg_base[seg] = vmcs_read(VMCS_OF_SEG(VMCS_GUEST_ES_BASE, seg));
	m->cs_attr = (uint32_t)vmcs_read(VMCS_GUEST_CS_ATTR);
	m->ss_attr = (uint32_t)vmcs_read(VMCS_GUEST_SS_ATTR);
	/* SDM vol. 3, "Guest Register State" */
	m->cpl = (uint8_t)GET(SEG_DPL, (uint64_t)m->ss_attr);
}
