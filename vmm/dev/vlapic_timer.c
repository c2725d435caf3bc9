/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vlapic_timer.c - the local APIC's timer: one-shot, periodic, TSC deadline.
 *
 * The count is arithmetic on VM time since it was loaded, so reads are exact and periods do not
 * drift.  The one event is fire_ns; whoever changes a setting first lets pass what was due under
 * the old one (vlapic_tick), then arms anew.
 */
#include "vmm/dev/vlapic_timer.h"

#include "arch/x86_64/defs/apic.h"
#include "vmm/clock.h"

static unsigned timer_mode(const struct vlapic *l)
{
	return (unsigned)GET(APIC_LVT_TIMER_MODE, l->lvt[VLAPIC_TIMER]);
}

/* Nanoseconds a tick, as a shift: 0b1011 divides by 1, 0b0000 by 2, 0b1010 by 128. */
static unsigned timer_shift(const struct vlapic *l)
{
	return (((l->timer_divide & MASK(1, 0)) | (l->timer_divide >> 1 & BIT(2))) + 1) & 7;
}

static uint64_t timer_period_ns(const struct vlapic *l)
{
	return (uint64_t)l->timer_initial << timer_shift(l);
}

uint32_t vlapic_timer_current(const struct vlapic *l, uint64_t now_ns)
{
	uint64_t ticks = (now_ns - l->timer_start_ns) >> timer_shift(l);

	if (!l->timer_initial || timer_mode(l) > APIC_TIMER_PERIODIC)
		return 0;
	if (timer_mode(l) == APIC_TIMER_PERIODIC)
		return (uint32_t)(l->timer_initial - ticks % l->timer_initial);
	return ticks < l->timer_initial ? (uint32_t)(l->timer_initial - ticks) : 0;
}

/* When is the first expiry after `now_ns`? */
static void timer_arm(struct vlapic *l, uint64_t now_ns)
{
	uint64_t period = timer_period_ns(l), past = now_ns - l->timer_start_ns;

	l->fire_ns = NEVER_NS;
	if (timer_mode(l) == APIC_TIMER_DEADLINE) {
		if (l->tsc_deadline)
			l->fire_ns = clock_tsc_to_ns(l->clock, l->tsc_deadline);
	} else if (period && timer_mode(l) == APIC_TIMER_PERIODIC) {
		l->fire_ns = l->timer_start_ns + (past / period + 1) * period;
	} else if (period && timer_mode(l) == APIC_TIMER_ONE_SHOT && past < period) {
		l->fire_ns = l->timer_start_ns + period;
	}
}

void vlapic_tick(struct vlapic *l, uint64_t now_ns)
{
	uint32_t lvt = l->lvt[VLAPIC_TIMER];

	if (now_ns < l->fire_ns)
		return;
	if (timer_mode(l) == APIC_TIMER_DEADLINE)
		l->tsc_deadline = 0;
	timer_arm(l, now_ns);           /* periods that were missed are one interrupt, as in IRR */
	if (!(lvt & APIC_LVT_MASKED))
		vlapic_set_irr(l, (uint8_t)(lvt & APIC_LVT_VECTOR), false);
}

uint64_t vlapic_deadline(const struct vlapic *l)
{
	/* A masked expiry is seen late, by the write that unmasks it: nobody can tell. */
	return l->lvt[VLAPIC_TIMER] & APIC_LVT_MASKED ? NEVER_NS : l->fire_ns;
}

void vlapic_tsc_changed(struct vlapic *l)
{
	if (timer_mode(l) == APIC_TIMER_DEADLINE)
		timer_arm(l, 0);
}

void vlapic_timer_set_lvt(struct vlapic *l, uint32_t value, uint64_t now_ns)
{
	unsigned old = timer_mode(l);

	l->lvt[VLAPIC_TIMER] = value;
	if (old == timer_mode(l))
		return;
	/* SDM vol. 3, "TSC-Deadline Mode": changing to or from it disarms the timer. */
	if (old == APIC_TIMER_DEADLINE || timer_mode(l) == APIC_TIMER_DEADLINE) {
		l->timer_initial = 0;
		l->tsc_deadline = 0;
	}
	timer_arm(l, now_ns);
}

/* The count goes on from where it is, at the new rate. */
void vlapic_timer_set_divide(struct vlapic *l, uint32_t value, uint64_t now_ns)
{
	uint32_t current = vlapic_timer_current(l, now_ns);

	l->timer_divide = value;
	l->timer_start_ns = now_ns - ((uint64_t)(l->timer_initial - current) << timer_shift(l));
	timer_arm(l, now_ns);
}

void vlapic_timer_set_initial(struct vlapic *l, uint32_t value, uint64_t now_ns)
{
	if (timer_mode(l) == APIC_TIMER_DEADLINE)
		return;
	l->timer_initial = value;
	l->timer_start_ns = now_ns;
	timer_arm(l, now_ns);
}

void vlapic_timer_set_deadline(struct vlapic *l, uint64_t value, uint64_t now_ns)
{
	vlapic_tick(l, now_ns);
	if (timer_mode(l) != APIC_TIMER_DEADLINE)
		return;
	l->tsc_deadline = value;
	timer_arm(l, now_ns);
}
