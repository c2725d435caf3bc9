/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vlapic.h - a local APIC (SDM vol. 3, "Advanced Programmable Interrupt Controller"), as
 * xAPIC by MMIO and as x2APIC by MSR, with one-shot, periodic and TSC-deadline timer.
 *
 * Not offered, and so reported: CMCI, directed EOI (suppression of EOI broadcasts).
 */
#ifndef VMM_DEV_VLAPIC_H
#define VMM_DEV_VLAPIC_H

#include "vmm/dev.h"

struct clock;

enum vlapic_lvt {
	VLAPIC_TIMER, VLAPIC_THERMAL, VLAPIC_PERF, VLAPIC_LINT0, VLAPIC_LINT1, VLAPIC_ERROR,
	VLAPIC_LVTS
};

struct vlapic {
	uint64_t base_msr;              /* IA32_APIC_BASE                                     */
	uint32_t ldr, dfr, tpr, svr;    /* xAPIC's LDR; x2APIC's is derived from the ID       */
	uint32_t esr, esr_pending;      /* as read; errors since the last write to ESR        */
	uint32_t irr[8], isr[8], tmr[8];
	uint32_t lvt[VLAPIC_LVTS];
	uint64_t icr;
	uint32_t timer_initial, timer_divide;
	uint64_t timer_start_ns;        /* VM time of the last load of the initial count      */
	uint64_t tsc_deadline;          /* IA32_TSC_DEADLINE, 0 when disarmed                 */
	uint64_t fire_ns;               /* VM time of the next timer interrupt, or NEVER_NS   */
	uint32_t id;                    /* derived: fixed at create                           */
	const struct clock *clock;      /* derived: TSC deadlines to VM time                  */
	struct msg_wire out;            /* derived: IPIs leave here, but for those to self    */
	void   (*eoi)(void *to, uint8_t vector);        /* derived: end of a level-triggered  */
	void    *eoi_to;                                /* interrupt, for the IOAPIC          */
};

#define VLAPIC_TIMER_HZ 1000000000ull   /* timer clock before the divider: one tick a ns      */

extern const struct section vlapic_state;

/*
 * Power-up.  There is no firmware, so the BSP is left as firmware leaves it: virtual wire mode, in
 * which the 8259's interrupts pass through LINT0.  Keeps the wires.
 */
void vlapic_init(struct vlapic *l, unsigned id, bool bsp, const struct clock *clock);
void vlapic_init_signal(struct vlapic *l);      /* INIT: keeps IA32_APIC_BASE and the ID      */

/* MMIO at the page of IA32_APIC_BASE; `offset` within the page.  Only when in xAPIC mode. */
uint32_t vlapic_read(struct vlapic *l, uint32_t offset, uint64_t now_ns);
void     vlapic_write(struct vlapic *l, uint32_t offset, uint32_t value, uint64_t now_ns);

/* MSRs 0x1b, 0x6e0 and 0x800-0x8ff; false: #GP. */
bool vlapic_msr_read(struct vlapic *l, uint32_t msr, uint64_t *value, uint64_t now_ns);
bool vlapic_msr_write(struct vlapic *l, uint32_t msr, uint64_t value, uint64_t now_ns);

bool vlapic_enabled(const struct vlapic *l);                    /* IA32_APIC_BASE.EN          */
bool vlapic_x2apic(const struct vlapic *l);
bool vlapic_mmio_at(const struct vlapic *l, uint64_t gpa);      /* xAPIC mode, inside the page */

/* Does a message with this destination name this APIC?  Broadcast is ~0 (physical). */
bool vlapic_matches(const struct vlapic *l, const struct apic_msg *msg);

/* A fixed or lowest-priority interrupt arrives. */
void vlapic_set_irr(struct vlapic *l, uint8_t vector, bool level);

/* Highest vector that may be delivered now (above the processor priority), or -1. */
int  vlapic_pending(const struct vlapic *l);
void vlapic_accept(struct vlapic *l, uint8_t vector);           /* IRR to ISR: being injected */

/* May the 8259's interrupt pass (LINT0 as ExtINT, or APIC disabled)? */
bool vlapic_accepts_extint(const struct vlapic *l);

uint8_t vlapic_cr8(const struct vlapic *l);
void    vlapic_set_cr8(struct vlapic *l, uint8_t cr8);

uint64_t vlapic_deadline(const struct vlapic *l);               /* VM time, NEVER_NS          */
void     vlapic_tick(struct vlapic *l, uint64_t now_ns);
void     vlapic_tsc_changed(struct vlapic *l);                  /* the guest moved its TSC    */

#endif
