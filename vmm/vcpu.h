/* SPDX-License-Identifier: MIT */
/*
 * vmm/vcpu.h - one virtual CPU and its loop: prepare, enter, dispatch, and again.
 *
 * Each vCPU is a task (lib/task.h) that any CPU may run.  HLT makes the task wait for `wake`;
 * others get the CPU whenever it is wanted, and at the latest when the slice ends.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "arch/x86_64/defs/cr.h"
#include "lib/config.h"
#include "lib/task.h"
#include "vmm/dev/vlapic.h"
#include "vmm/pagewalk.h"
#include "vmm/virt.h"

struct vm;
struct host_cpu;

/* Who may touch a field:  I fixed after create   o only the task of this vCPU   a any, atomic */
struct vcpu {
	/* Must be first, in this order: the entry assembly addresses them by offset. */
	uint64_t      gpr[GPR_COUNT];   /* o  RSP included                                    */
	uint64_t      rip, rflags;      /* o                                                  */

	struct vm    *vm;               /* I                                                  */
	unsigned      id;               /* I  also the APIC ID                                */
	void         *hw;               /* I  the vendor's part, from virt_ops.vcpu_init()    */
	struct host_cpu *on;            /* o  the CPU that holds its registers, or NULL       */
	uint64_t      tsc_offset;       /* o  guest TSC = scaled host TSC + this              */
	uint64_t      tsc_scale;        /* o  guest ticks a host tick, or 0: see virt_caps   */
	bool          tsc_exits;        /* o  RDTSC and RDTSCP come to us                     */
	bool          tsc_changed;      /* o  one of these three did, since the last entry    */
	uint64_t      slice_tsc;        /* o  host TSC at which enter() returns at the latest */
	bool          irq_blocked;      /* o  RFLAGS.IF clear, or STI/MOV SS shadow           */
	struct inject again;            /* o  delivery that an exit interrupted               */
	struct inject exception;        /* o  raised by a handler, to be delivered next       */
	bool          nmi_pending;      /* a                                                  */
	bool          halted;           /* o  after HLT, until an interrupt                   */
	bool          deaf_told;        /* o  the log has been told of vcpu_is_deaf()         */
	bool          wait_sipi;        /* o  an application processor before SIPI            */
	bool          init_pending;     /* a  an INIT arrived; the task acts on it            */
	bool          sipi_pending;     /* a  a SIPI arrived, with this vector                */
	uint8_t       sipi_vector;      /* a                                                  */
	bool          window_wanted;    /* o  what virt_ops.irq_window() was last told        */
	bool          extint;           /* a  level of the 8259's INT pin; the first vCPU's only */
	bool          irq_check;        /* a  interrupt controllers may have something new    */
	bool          attention;        /* a  leave the inner loop and look at everything     */
	bool          slice_stale;      /* o  slice_tsc is to be computed anew                */
	bool          others_ran;       /* o  since the last entry: see virt_ops.enter()      */
	uint8_t       insn_len;         /* o  of the instruction being emulated               */
	uint64_t      least_ns;         /* o  others do not end the slice before (host time)  */
	uint64_t      slice_for_ns;     /* o  VM deadline for which slice_tsc was computed    */
	struct event  wake;             /* a  something changed: look again                   */
	struct pagewalk_memo code;      /* o  where the last decoded instruction was found    */
	struct insn_memo insns;         /* o  and what the last ones meant                    */
	struct vlapic lapic;            /* o                                                  */
	struct cpu_state state;         /* o  scratch for save, load and reset                */

	uint64_t      xcr0;             /* o  copy of the hardware's, for CPUID               */
	uint64_t      tsc_adjust;       /* o  IA32_TSC_ADJUST: its TSC minus the VM clock's */
	uint64_t      pvclock_gpa;      /* o  kvm-clock: MSR value, 0 when off                */
	uint64_t      misc_enable;      /* o  IA32_MISC_ENABLE as the guest sees it           */
	uint64_t      mtrr_def_type;    /* o                                                  */
	uint64_t      mtrr_fixed[11];   /* o                                                  */
	uint64_t      mtrr_base[8], mtrr_mask[8]; /* o                                        */

	uint64_t      exits[EXIT_NKINDS]; /* a counters                                       */
	uint64_t      ran_tsc;            /* o host TSC ticks that it had a CPU, exits included */
	uint64_t          holds;          /* o how often vm_throttle() made it wait           */
	uint32_t      msrs_unknown;       /* o accesses to MSRs that nobody knows             */
};

/* Everything of a vCPU that travels, apart from its local APIC: cpu_state and the fields above. */
extern const struct section vcpu_state;

/* State as after power-up, then the vendor's part; destroy undoes both. */
enum err vcpu_create(struct vcpu *v, struct vm *vm, unsigned id);
void     vcpu_destroy(struct vcpu *v);

/* Power-up: v->state is as after RESET; a loader may change it before vcpu_state_apply(). */
void vcpu_reset(struct vcpu *v);

/* v->state to the hardware and back; the vCPU is not inside. */
void vcpu_state_apply(struct vcpu *v);
void vcpu_state_fetch(struct vcpu *v);

/* VM time runs again (start, resume, arrival): the TSC offset and kvm-clock follow. */
void vcpu_clock_changed(struct vcpu *v, bool was_stopped);

/*
 * Turns, until something else is to be done with this vCPU (v->attention), its CPU is wanted, or
 * the guest cannot go on; at least one.  A turn: deliver what is pending, enter, dispatch.  For
 * vcpu_task() and tests.
 */
enum resume vcpu_turns(struct vcpu *v);

/* The guest wrote to its local APIC: interrupts and the timer are looked at again. */
void vcpu_lapic_changed(struct vcpu *v);

/* A message of an APIC arrives at this vCPU. */
void vcpu_apic_message(struct vcpu *v, const struct apic_msg *msg);

/* The task's body: runs the guest while the VM is running, waits otherwise, ends with the VM. */
void vcpu_task(void *v);

/* Host TSC ticks that all vCPUs together had a CPU since boot, exits included. */
uint64_t vcpu_ran_tsc(void);

/* From anywhere: something that this vCPU must look at has changed (interrupt, pause). */
void vcpu_kick(struct vcpu *v);

/* RIP moves here and nowhere else; also ends an STI or MOV SS shadow. */
static inline void vcpu_skip(struct vcpu *v, unsigned insn_len)
{
	v->rip += insn_len;
	v->irq_blocked = !(v->rflags & RFLAGS_IF);
}

/* Halted with interrupts off: only an NMI, INIT or a reset can wake it. */
static inline bool vcpu_is_deaf(const struct vcpu *v)
{
	return v->halted && v->irq_blocked && !v->nmi_pending;
}

/* A guest's fault: delivered before the next instruction.  RESUME_SAME must follow. */
void vcpu_raise(struct vcpu *v, uint8_t vector);                       /* #UD, #DB ...       */
void vcpu_raise_error(struct vcpu *v, uint8_t vector, uint32_t error); /* #GP(0) ...         */
void vcpu_raise_page_fault(struct vcpu *v, uint64_t linear, uint32_t error);    /* sets CR2   */

/* Copy from the guest's linear address space as the instruction at RIP would see it. */
enum err vcpu_fetch(struct vcpu *v, uint64_t linear, void *to, uint64_t len);

#define VECTOR_DE 0
#define VECTOR_DB 1
#define VECTOR_NMI 2
#define VECTOR_BP 3
#define VECTOR_OF 4
#define VECTOR_BR 5
#define VECTOR_UD 6
#define VECTOR_DF 8
#define VECTOR_TS 10
#define VECTOR_NP 11
#define VECTOR_SS 12
#define VECTOR_GP 13
#define VECTOR_PF 14
#define VECTOR_MF 16
#define VECTOR_AC 17
#define VECTOR_MC 18
#define VECTOR_VE 20
#define VECTOR_CP 21

#endif
