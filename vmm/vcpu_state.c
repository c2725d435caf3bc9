/* SPDX-License-Identifier: MIT */
/*
 * vmm/vcpu_state.c - what of a vCPU travels: its registers, and what is pending.
 *
 * Its local APIC is a section of its own.  Called by mig/section.c; read next: vmm/cpu_state.c.
 */
#include "vmm/vcpu.h"

#include "lib/log.h"
#include "vmm/vm.h"

#define VECTOR_LAST 31                          /* of the exceptions */

static void state_save(void *object)
{
	vcpu_state_fetch(object);
}

static enum err state_check(const void *object)
{
	const struct vcpu *v = object;

	if ((v->exception.type != EVENT_NONE && v->exception.type != EVENT_EXCEPTION) ||
	    v->exception.vector > VECTOR_LAST)
		return fail(ERR_BAD_FORMAT, "vCPU: the pending exception is none");
	return cpu_state_check(&v->state, virt_caps.xcr0_mask);
}

static void state_resume(void *object)
{
	vcpu_state_apply(object);
}

#define STATE(m)  FIELD(struct vcpu, state.m)
#define STATES(m) FIELDS(struct vcpu, state.m)
static const struct field vcpu_fields[] = {
	STATES(gpr), STATE(rip), STATE(rflags),
	STATE(cr0), STATE(cr2), STATE(cr3), STATE(cr4), STATE(xcr0),
	STATES(dr), STATE(dr6), STATE(dr7),
	STATES(seg_base), STATES(seg_limit), STATES(seg_attr), STATES(seg_sel),
	STATE(gdtr_base), STATE(idtr_base), STATE(gdtr_limit), STATE(idtr_limit),
	STATES(msr), STATES(pdpte), STATE(pending_debug),
	STATE(block_sti), STATE(block_mov_ss), STATE(block_nmi),
	STATE(event_type), STATE(event_vector), STATE(event_has_error), STATE(event_insn_len),
	STATE(event_error), STATES(xsave),
	FIELD(struct vcpu, exception.type), FIELD(struct vcpu, exception.vector),
	FIELD(struct vcpu, exception.has_error), FIELD(struct vcpu, exception.error),
	FIELD(struct vcpu, nmi_pending), FIELD(struct vcpu, halted), FIELD(struct vcpu, wait_sipi),
	FIELD(struct vcpu, init_pending), FIELD(struct vcpu, sipi_pending),
	FIELD(struct vcpu, sipi_vector), FIELD(struct vcpu, tsc_adjust),
	FIELD(struct vcpu, pvclock_gpa), FIELD(struct vcpu, misc_enable),
	FIELD(struct vcpu, mtrr_def_type), FIELDS(struct vcpu, mtrr_fixed),
	FIELDS(struct vcpu, mtrr_base), FIELDS(struct vcpu, mtrr_mask),
};
#undef STATE
#undef STATES

const struct section vcpu_state = {
	.name = "vcpu", .version = 1, .fields = vcpu_fields, .nfields = COUNT(vcpu_fields),
	.object_size = sizeof(struct vcpu),
	.save = state_save, .check = state_check, .resume = state_resume,
};
