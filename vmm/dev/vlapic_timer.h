/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vlapic_timer.h - the timer's registers, for vmm/dev/vlapic.c alone (SDM vol. 3, "APIC
 * Timer"); others know vlapic_deadline() and vlapic_tick().
 */
#ifndef VMM_DEV_VLAPIC_TIMER_H
#define VMM_DEV_VLAPIC_TIMER_H

#include "vmm/dev/vlapic.h"

uint32_t vlapic_timer_current(const struct vlapic *l, uint64_t now_ns);
void     vlapic_timer_set_initial(struct vlapic *l, uint32_t value, uint64_t now_ns);
void     vlapic_timer_set_divide(struct vlapic *l, uint32_t value, uint64_t now_ns);
void     vlapic_timer_set_lvt(struct vlapic *l, uint32_t value, uint64_t now_ns);
void     vlapic_timer_set_deadline(struct vlapic *l, uint64_t value, uint64_t now_ns);

#endif
