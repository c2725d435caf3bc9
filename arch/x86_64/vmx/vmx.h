/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx.h - what the files of this folder share.  Outside it only vmx_ops is known.
 *
 * Reading order: vmx_probe.c (what is there), vmx.c (on, off, enter), vmcs.c (what is in a VMCS),
 * vmx_entry.S, vmx_decode.c (why did it stop), vmx_state.c (get and set), ept.c, vmx_check.c (why
 * was it refused).
 */
#ifndef VMX_H
#define VMX_H

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/hazards.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/vmx/vmx_check.h"
#include "arch/x86_64/vmx/vmx_decode.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* The door: boot/ puts its address into `virt` when vmx_ops.probe() finds what we need. */
extern const struct virt_ops vmx_ops;

#define CPU_NONE (~0u)

/*
 * VT-x's part of a vCPU; one page, so that it stays away from the heap we do not have.
 * `rip` to `proc_controls` mirror the VMCS, so that enter() writes only what changed.
 * The last part is in the CPU's registers while vmx_owns() and here otherwise; xcr0 is always
 * right.
 */
struct vmx {
	hpa_t    vmcs;
	uint64_t rip, rsp, rflags;
	uint32_t interruptibility;
	uint32_t proc_controls;
	uint64_t cr4_allowed;           /* bits that the guest's CPUID announces                */
	uint64_t cr4_owned;             /* the other bits, and those that the host decides      */
	unsigned cpu;                   /* where it ran last: elsewhere the TLB knows old things */
	const struct host_cpu *active;  /* the CPU that may hold parts of the VMCS, or NULL     */
	uint8_t  launched;              /* since VMCLEAR: VMX_LAUNCHED, otherwise 0             */
	bool     checked;               /* vmx_check() looked since the last set()              */
	bool     nmi_waits;             /* given to inject() while NMIs were blocked            */

	uint64_t xcr0, cr2, dr[4], dr6;
	uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux, xss;
	uint8_t  xsave[XSAVE_AREA_MAX] __attribute__((aligned(64)));
};
_Static_assert(sizeof(struct vmx) <= PAGE_SIZE, "one page each");

/* --- vmx_probe.c ---------------------------------------------------------------------------- */

/* What this CPU can do; filled by vmx_probe(). */
extern struct vmx_caps vmx_caps;

/* Does the CPU that we are on have the very same? */
bool vmx_caps_same(void);

enum err vmx_probe(struct virt_caps *out);

/* --- vmx.c ---------------------------------------------------------------------------------- */

/* Make this vCPU's VMCS the current one, if it is not. */
struct vmx *vmx_use(struct vcpu *v);

/* Write v->rip, RSP and v->rflags into the VMCS if they changed, ending an emulated instruction. */
void vmx_sync(struct vcpu *v, struct vmx *hw);

/* For the next entry; an NMI that is blocked waits for its window. */
void vmx_inject(struct vcpu *v, const struct inject *event);

/* An NMI that still waits to be delivered: forget it, and say whether there was one. */
bool vmx_take_back_nmi(struct vmx *hw);

/*
 * Registers that have no slot in the VMCS: whether they hold this vCPU's values now; copies there
 * and back.
 */
bool vmx_owns(const struct vmx *hw);
void vmx_registers_load(const struct vmx *hw);
void vmx_registers_save(struct vmx *hw);

/* --- vmx_resolve.c -------------------------------------------------------------------------- */

/*
 * For exits that vmx_decode() calls ours.  True: the guest goes on at once; false: `x` says why
 * not.
 */
bool vmx_resolve(struct vcpu *v, struct vmx *hw, const struct vmx_raw *raw, struct exit *x);

/* --- vmcs.c --------------------------------------------------------------------------------- */

/*
 * Of the current VMCS.  A field that this CPU lacks or a value it refuses here is a bug of ours:
 * panic.
 */
static inline uint64_t vmcs_read(enum vmcs_field field);
static inline void     vmcs_write(enum vmcs_field field, uint64_t value);
_Noreturn void         vmcs_broken(const char *what, enum vmcs_field field, uint64_t value);

/* "GUEST_RIP" ... */
const char *vmcs_field_name(enum vmcs_field field);

/* The static parts of a VMCS: host constants, controls; a refused field is named. */
enum err vmcs_build(struct vcpu *v, struct vmx *hw);

/* The part of the host state that belongs to the CPU we are on. */
void vmcs_host_cpu(void);

/* CR0 and CR4 as the guest sees them: its own bits, and shadows of those that it does not own. */
uint64_t vmcs_guest_cr0(void);
uint64_t vmcs_guest_cr4(void);
void     vmcs_set_guest_cr0(uint64_t cr0);
void     vmcs_set_guest_cr4(const struct vmx *hw, uint64_t cr4);

/* Read everything; a field that this CPU does not have reads as 0. */
void vmcs_capture(struct vmcs_image *m);

/* Bits of CR0 that stay with the host; of CR4 see struct vmx. */
#define CR0_OWNED (CR0_NE | CR0_NW | CR0_CD)

static inline uint64_t vmcs_read(enum vmcs_field field)
{
	uint64_t value;

	if (!insn_vmread(field, &value))
		vmcs_broken("VMREAD", field, 0);
	return value;
}

static inline void vmcs_write(enum vmcs_field field, uint64_t value)
{
	if (!insn_vmwrite(field, value))
		vmcs_broken("VMWRITE", field, value);
}

/* --- vmx_state.c ---------------------------------------------------------------------------- */

void vmx_get(struct vcpu *v, struct cpu_state *s);
void vmx_set(struct vcpu *v, const struct cpu_state *s);
void vmx_get_mode(struct vcpu *v, struct cpu_mode *m);

/* --- ept.c ---------------------------------------------------------------------------------- */

extern struct s2_format ept_format;

/* Leaves the flags out of ept_format when this CPU has none; code by small leaves if it must be. */
void     ept_init(const struct vmx_caps *caps);
uint64_t ept_pointer(const struct stage2 *s2);
void     ept_flush(struct vm *vm);
uint16_t ept_vpid(const struct vcpu *v);
void     ept_flush_vpid(uint16_t vpid);

/* What the tables say about an address, for the log. */
void     ept_explain(const struct vm *vm, uint64_t address);

/* --- vmx_entry.S ---------------------------------------------------------------------------- */

/*
 * VMLAUNCH or VMRESUME with these general registers (RSP excepted, which is in the VMCS); returns
 * after the exit with the guest's in the same place.  VMX_ENTERED, VMX_REFUSED (the VMCS says why)
 * or VMX_NO_VMCS.  `how`: VMX_LAUNCHED after the first time, and DEFENCE_* bits.
 */
#define VMX_LAUNCHED 1
enum vmx_entered { VMX_ENTERED, VMX_REFUSED, VMX_NO_VMCS };
enum vmx_entered vmx_entry(uint64_t gpr[GPR_COUNT], uint32_t how);

/* Where the CPU goes at an exit: only the VMCS's HOST_RIP uses it. */
void vmx_exit(void);

#endif
