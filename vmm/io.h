/* SPDX-License-Identifier: MIT */
/*
 * vmm/io.h - IN, OUT, INS and OUTS against the VM's port space.
 */
#ifndef VMM_IO_H
#define VMM_IO_H

#include "vmm/exit.h"

/* `value`'s low `size` bytes into a register, as the CPU does it: 4 bytes clear the upper half. */
static inline void gpr_put(uint64_t *gpr, uint64_t value, unsigned size)
{
	switch (size) {
	case 1: *gpr = (*gpr & ~MASK(7, 0)) | (value & MASK(7, 0)); break;
	case 2: *gpr = (*gpr & ~MASK(15, 0)) | (value & MASK(15, 0)); break;
	case 4: *gpr = (uint32_t)value; break;
	default: *gpr = value; break;
	}
}

enum resume io_single(struct vcpu *v, const struct exit *x);

/* A bounded number of repetitions an exit; a page fault on the memory side goes to the guest. */
enum resume io_string(struct vcpu *v, const struct exit *x);

#endif
