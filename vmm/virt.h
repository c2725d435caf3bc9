/* SPDX-License-Identifier: MIT */
/*
 * vmm/virt.h - the only door to a CPU vendor.
 *
 * arch/x86_64/vmx implements it with VT-x, its twin arch/x86_64/svm with AMD-V.  Nothing in
 * vmm/, mig/ or net/ asks which one is behind it.
 */
#ifndef VMM_VIRT_H
#define VMM_VIRT_H

#include "lib/err.h"
#include "vmm/cpu_state.h"
#include "vmm/exit.h"

struct vcpu;
struct vm;

/* Which bits of a second-stage entry mean what; vmm/stage2.c builds tables from it. */
struct s2_format {
	uint64_t read, write, exec;     /* permissions of any entry; `read` doubles as present */
	uint64_t leaf;                  /* this entry maps a large page                        */
	uint64_t accessed, dirty;       /* set by the CPU; 0 when it has no such bits          */
	uint64_t ram_type;              /* memory type and other constant bits of a RAM leaf   */
	uint64_t table_type;            /* constant bits of an entry that points to a table    */
	bool     small_code;            /* large leaves must not have `exec`                   */
};

#define VIRT_FEATURES_MAX 32

/* One thing that the self-test looked for. */
struct virt_feature {
	const char *name;               /* "EPT accessed and dirty flags"                      */
	bool        found, required;
	const char *why;                /* when not found: where we looked and what that means */
};

struct virt_caps {
	bool     present;               /* this CPU has the vendor's extension at all          */
	bool     usable;                /* every required feature was found                    */
	bool     ad_bits;               /* stage-2 accessed and dirty flags                    */
	bool     large_2m;
	unsigned tsc_fraction;          /* bits behind the point of v->tsc_scale; 0: no scaling */
	uint64_t tsc_scale_max;         /* the largest that the CPU takes                      */
	uint64_t xcr0_mask;             /* XSAVE components that a guest may be given          */
	unsigned nfeatures;
	struct virt_feature feature[VIRT_FEATURES_MAX];
};

struct virt_ops {
	/* "VT-x" or "AMD-V": for people, never compared */
	const char *name;
	/* reads CPUID and MSRs, changes nothing        */
	enum err (*probe)(struct virt_caps *);
	/* VMXON, or EFER.SVME                          */
	enum err (*cpu_on)(unsigned cpu);
	void     (*cpu_off)(unsigned cpu);
	/* sets v->hw; guest state as after reset       */
	enum err (*vcpu_init)(struct vcpu *);
	void     (*vcpu_fini)(struct vcpu *);
	/* becomes current on this CPU: VMCS, FPU, MSRs */
	void     (*vcpu_load)(struct vcpu *);
	/* leaves this CPU: nothing of it stays here, any CPU may load it next */
	void     (*vcpu_put)(struct vcpu *);
	/* hardware to neutral, whole state             */
	void     (*get)(struct vcpu *, struct cpu_state *);
	/* neutral to hardware, whole state             */
	void     (*set)(struct vcpu *, const struct cpu_state *);
	/* the part an emulator needs                   */
	void     (*get_mode)(struct vcpu *, struct cpu_mode *);
	/*
	 * Run the guest until it needs us.  The entry itself stands between guest_mode_enter() and
	 * guest_mode_leave() (vmm/guest_mode.h), without the host lock; GS stays the host's.
	 * Uses v->gpr, v->rip, v->rflags, v->slice_tsc (host TSC at which to come back at the
	 * latest, EXIT_SLICE), and when v->tsc_changed the three about the TSC (and clears it).
	 * After return those are current, v->irq_blocked says whether an interrupt could be
	 * injected now, and v->again holds an event whose delivery the exit interrupted (EVENT_NONE
	 * otherwise).
	 * v->others_ran (the host handled what is not this VM's since the last entry) is for a
	 * vendor that must clean caches then; enter() clears it.
	 */
	void     (*enter)(struct vcpu *, struct exit *);
	/*
	 * Delivered by the next enter().  An NMI that cannot be delivered yet comes back as
	 * v->nmi_pending: at once in the shadow of STI, else with EXIT_IRQ_WINDOW when it can.
	 */
	void     (*inject)(struct vcpu *, const struct inject *);
	/* EXIT_IRQ_WINDOW when it can take one        */
	void     (*irq_window)(struct vcpu *, bool wanted);
	/* IA32_TSC_AUX of the vCPU that is loaded: RDTSCP gives it, too */
	uint64_t (*tsc_aux)(struct vcpu *);
	/*
	 * This CPU forgets what it knows of the VM's second-stage tables, before its next entry
	 * of any vCPU of the VM: INVEPT, or fresh ASIDs.  vmm/guest_mode.c calls it for each CPU.
	 */
	void     (*s2_flush)(struct vm *);
	const struct s2_format *s2;
};

/*
 * For a probe: one more thing that was looked for.  `why` is said when it was not found; without
 * what is required the CPU is not usable.
 */
void virt_add_feature(struct virt_caps *out, const char *name, bool found, bool required,
                      const char *why);

/* The one in use, chosen at boot; and what its probe said. */
extern const struct virt_ops *virt;
extern struct virt_caps virt_caps;

#endif
