/* SPDX-License-Identifier: MIT */
/*
 * vmm/dump.h - what a person needs to see of a guest that stopped, for the log.
 */
#ifndef VMM_DUMP_H
#define VMM_DUMP_H

struct vcpu;
struct vm;

/* Registers, segments, control registers, the code at RIP, the last exits; `why` above it all. */
void dump_vcpu(struct vcpu *v, const char *why);

/* The last line that the guest wrote on a console: often the reason why it stopped. */
void dump_last_words(const struct vm *vm);

#endif
