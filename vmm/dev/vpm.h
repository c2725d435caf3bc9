/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vpm.h - ACPI fixed hardware (ACPI 6, "ACPI Hardware Specification"): PM1a event and
 * control registers, the PM timer; and the keyboard controller's one useful command, reset.
 */
#ifndef VMM_DEV_VPM_H
#define VMM_DEV_VPM_H

#include "vmm/dev.h"

#define VPM_BASE          0xb000u       /* PM1a event block: status, enable           */
#define VPM_PM1_CONTROL   (VPM_BASE + 4)
#define VPM_TIMER         (VPM_BASE + 8)
#define VPM_LEN           12u
#define VPM_TIMER_HZ      3579545ull    /* counts in 32 bits                          */
#define VPM_SLP_TYP_S5    5u            /* what the DSDT's _S5 says                   */

/* What a guest can do to its own power; the text says how, for people. */
struct power {
	void (*off)(void *to, const char *why);
	void (*reset)(void *to, const char *why);
	void  *to;
};
static inline void power_off(const struct power *p, const char *why)
{
	if (p->off)
		p->off(p->to, why);
}
static inline void power_reset(const struct power *p, const char *why)
{
	if (p->reset)
		p->reset(p->to, why);
}

struct vpm {
	uint16_t pm1_status, pm1_enable, pm1_control;
	uint64_t seen_ns;               /* VM time up to which TMR_STS is right    */
	struct wire  sci;               /* derived                                 */
	struct power power;             /* derived                                 */
};

extern const struct dev_ops vpm_ops;

void vpm_init(struct vpm *p, struct wire sci, struct power power);
void vpm_power_button(struct vpm *p);

#endif
