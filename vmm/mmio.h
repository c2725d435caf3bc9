/* SPDX-License-Identifier: MIT */
/*
 * vmm/mmio.h - an access to memory that is not RAM: decode the instruction, do what it says.
 */
#ifndef VMM_MMIO_H
#define VMM_MMIO_H

#include "vmm/exit.h"
#include "vmm/insn_decode.h"

/*
 * x is an EXIT_FAULT outside RAM.  Sets v->insn_len.  String instructions do one repetition an
 * exit.  What cannot be emulated stops the VM, with a sentence.
 */
enum resume mmio_emulate(struct vcpu *v, const struct exit *x);

/*
 * a op b for operands of `size` bytes as the CPU computes it; sets CF, PF, AF, ZF, SF, OF in
 * *rflags as the instruction does.  For MOV and XCHG the result is b.  Returns the result, cut to
 * `size`.
 */
uint64_t mmio_compute(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *rflags);

#endif
