/* SPDX-License-Identifier: MIT */
/*
 * vmm/sysenter.h - SYSENTER and SYSEXIT in long mode, which AMD's CPUs do not have (SDM vol. 2,
 * "SYSENTER", "SYSEXIT").
 */
#ifndef VMM_SYSENTER_H
#define VMM_SYSENTER_H

#include "vmm/cpu_state.h"

/*
 * Changes `s` as Intel's CPUs do.  False: #GP(0), and nothing was changed.  `wide`: SYSEXIT with
 * REX.W, to 64-bit code.
 */
bool sysenter_in(struct cpu_state *s);
bool sysenter_out(struct cpu_state *s, bool wide);

#endif
