/* SPDX-License-Identifier: MIT */
/*
 * vmm/msr.h - RDMSR and WRMSR of registers that the hardware does not keep for the guest.
 */
#ifndef VMM_MSR_H
#define VMM_MSR_H

#include "vmm/exit.h"

/* Index in RCX, value in RDX:RAX.  A register that the guest does not have is #GP. */
enum resume msr_read(struct vcpu *v);
enum resume msr_write(struct vcpu *v);

#endif
