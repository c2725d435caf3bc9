/* SPDX-License-Identifier: MIT */
/* lib/apic_check.h - checks of the local APIC that hold in xAPIC and in x2APIC mode alike. */
#ifndef GUEST_APIC_CHECK_H
#define GUEST_APIC_CHECK_H

void apic_check_timer(void);         /* one-shot, periodic, divider, mask             */
void apic_check_priority(void);      /* TPR holds back, IRR and ISR show, EOI clears  */

#endif
