/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm.h - what the files of this folder share.  Outside it only svm_ops is known.
 *
 * Reading order: svm_probe.c (what is there), svm.c (on, off, enter), vmcb.c (what is in a VMCB),
 * svm_entry.S, svm_decode.c (why did it stop), svm_resolve.c (what is nobody else's business),
 * svm_events.c (what goes into the guest),
 * svm_state.c (get and set), npt.c and svm_asid.c (memory), svm_check.c (why was it refused).
 */
#ifndef SVM_H
#define SVM_H

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/hazards.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/svm/svm_asid.h"
#include "arch/x86_64/svm/svm_check.h"
#include "arch/x86_64/svm/svm_decode.h"
#include "arch/x86_64/svm/vmcb.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* The door: boot/ puts its address into `virt` when svm_ops.probe() finds what we need. */
extern const struct virt_ops svm_ops;

#define CPU_NONE (~0u)

#define DR6_BS          BIT(14)         /* single-stepped                                       */
#define DEBUGCTL_BTF    BIT(1)          /* single-stepping stops at branches only               */

/*
 * AMD-V's part of a vCPU; one page, so that it stays away from the heap we do not have.
 * The VMCB is plain memory and holds what it has room for; the last part is in the CPU's registers
 * while svm_owns() and here otherwise.
 */
struct svm {
	struct vmcb *vmcb;
	struct asid asid;
	uint64_t cr0_kept;              /* CD and NW of the guest: the VMCB has them clear      */
	bool     cr0_open;              /* ... but for one access, which runs alone             */
	uint64_t cr4;                   /* as the guest sees it: the VMCB has the host's MCE too */
	uint64_t cr4_allowed;           /* bits that the guest's CPUID announces                */
	uint64_t cr4_forced;            /* bits that are on whatever the guest says             */
	bool     as_intel;              /* the guest takes its CPU for one of Intel's           */
	uint64_t cstar;                 /* as the guest sees it; see svm_state.c                */
	uint64_t tsc_ratio;             /* for MSR_TSC_RATIO                                    */
	uint64_t pat;                   /* as the guest sees it: the VMCB says write-back       */
	uint64_t sysenter[3];           /* CS, ESP, EIP: a VMCB keeps 32 bits of each           */
	uint64_t pending_debug;         /* #DB to come before the next instruction, as in DR6   */
	uint64_t iret_rip;              /* of the IRET that ends the blocking, if nmi_ending    */
	unsigned cpu;                   /* where it ran last: elsewhere the TLB knows old things */
	bool     nmi_blocked;           /* from an NMI's delivery to the end of its IRET        */
	uint8_t  irq_vector;            /* if irq_given                                         */
	uint64_t step_dr6;              /* if stepping: DR6 before it                           */
	/* What an entry or the exit after it must look at.  Mostly nothing: one test of `busy`. */
	union {
		struct {
			bool unchecked; /* svm_check() has not looked since the last set()      */
			bool nmi_ending; /* the IRET that ends the blocking is about to run     */
			bool nmi_waits; /* given to inject() while NMIs were blocked            */
			bool window;    /* exit when the guest can take an interrupt            */
			bool irq_given; /* to inject(), for the coming entry                    */
			bool slot_used; /* the VMCB's virtual interrupt is not at rest          */
			bool step;      /* come back after the guest's next instruction         */
			bool stepping;  /* the last entry was one with `step`                   */
		};
		uint64_t busy;
	};

	uint64_t xcr0, dr[4], tsc_aux, debugctl, xss;
	uint8_t  xsave[XSAVE_AREA_MAX] __attribute__((aligned(64)));
};
_Static_assert(sizeof(struct svm) <= PAGE_SIZE, "one page each");
_Static_assert(offsetof(struct svm, stepping) == offsetof(struct svm, busy) + sizeof(uint64_t) - 1,
               "`busy` is true when one of the eight is");

/* --- svm_probe.c ---------------------------------------------------------------------------- */

/* What this CPU can do; filled by svm_probe(). */
extern struct svm_caps svm_caps;

enum err svm_probe(struct virt_caps *out);

/* The CPU that we are on has what svm_probe() found on the boot CPU. */
bool svm_caps_same(void);

/* --- svm.c ---------------------------------------------------------------------------------- */

/* Write v->rip, RSP, RAX and v->rflags into the VMCB, ending an emulated instruction. */
void svm_sync(struct vcpu *v, struct svm *hw);

/* The guest gets a #DB, which ends stepping by branches: DEBUGCTL.BTF is clear afterwards. */
void svm_end_btf(struct svm *hw);

/*
 * Registers that have no slot in the VMCB: whether they hold this vCPU's values now; copies there
 * and back.
 */
bool svm_owns(const struct svm *hw);
void svm_registers_load(const struct svm *hw);
void svm_registers_save(struct svm *hw);

/* --- svm_events.c --------------------------------------------------------------------------- */

/* For the next entry; an NMI that is blocked waits for the IRET. */
void svm_inject(struct vcpu *v, const struct inject *event);

/* An NMI that still waits to be delivered: forget it, and say whether there was one. */
bool svm_take_back_nmi(struct svm *hw);

/* NMIs are blocked, and the guest's next IRET exits; or the opposite. */
void svm_block_nmi(struct svm *hw, bool blocked);

void svm_irq_window(struct vcpu *v, bool wanted);

/* Before an entry: a #DB that must come first, as v->again; true: `x` says so, do not enter. */
bool svm_events_trap(struct vcpu *v, struct svm *hw, struct exit *x);
/* ... and what hw->busy is about. */
void svm_events_before(const struct vcpu *v, struct svm *hw);

/* After an exit, if hw->busy: of an entry that stepped, before anything else is read; the rest. */
void svm_events_stepped(const struct vcpu *v, struct svm *hw);
void svm_events_after(struct vcpu *v, struct svm *hw);

/* NMIs are not blocked any more, and one waits: `x` becomes the window's exit. */
void svm_events_nmi(struct vcpu *v, struct svm *hw, struct exit *x);

/* --- svm_resolve.c -------------------------------------------------------------------------- */

/* The instruction behind an exit, from the guest's memory; false: it cannot be read. */
bool svm_resolve_insn(struct vcpu *v, struct insn_exiting *insn);

/*
 * For exits that svm_decode() calls ours.  True: the guest goes on at once; false: `x` says why
 * not.
 */
bool svm_resolve(struct vcpu *v, struct svm *hw, const struct svm_raw *raw, struct exit *x);

/*
 * Before an entry into a shadow: true when the HLT of "STI; HLT" is what comes next; it has come,
 * `x` says so, do not enter.
 */
bool svm_resolve_hlt(struct vcpu *v, const struct svm *hw, struct exit *x);

/* After an access to CR0 that ran alone: the VMCB has the guest's whole one. */
void svm_close_cr0(struct svm *hw);

/* --- svm_state.c ---------------------------------------------------------------------------- */

void svm_get(struct vcpu *v, struct cpu_state *s);
void svm_set(struct vcpu *v, const struct cpu_state *s);
void svm_get_mode(struct vcpu *v, struct cpu_mode *m);

/* A segment's attributes in the VMCB's form as those of struct cpu_state. */
uint32_t svm_state_attr(uint16_t attrib);

/* --- npt.c ---------------------------------------------------------------------------------- */

extern const struct s2_format npt_format;

void npt_flush(struct vm *vm);

/* What the tables say about an address, for the log. */
void npt_explain(const struct vm *vm, uint64_t address);

/* --- svm_entry.S ---------------------------------------------------------------------------- */

/*
 * VMRUN with these general registers (RAX and RSP excepted, which are in the VMCB); returns after
 * the exit with the guest's in the same place.  Both VMCBs by host-physical address.
 */
void svm_entry(uint64_t gpr[GPR_COUNT], uint64_t guest_vmcb, uint64_t host_vmcb);

#endif
