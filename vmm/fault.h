/* SPDX-License-Identifier: MIT */
/*
 * vmm/fault.h - an exception that comes while another event is being delivered.
 */
#ifndef VMM_FAULT_H
#define VMM_FAULT_H

#include "vmm/cpu_state.h"

/*
 * What is delivered in the place of both: `second` itself, or a double fault (SDM vol. 3,
 * "Interrupt 8 - Double Fault Exception"; APM vol. 2, "#DF - Double-Fault Exception").  False: the
 * CPU shuts down, a triple fault.  `first` is the event on its way in, of any type; where it is
 * given up it comes again by itself (a fault), or is lost as on a bare CPU.
 */
bool fault_merge(const struct inject *first, const struct inject *second, struct inject *out);

#endif
