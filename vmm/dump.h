/* SPDX-License-Identifier: MIT */
/*
 * vmm/dump.h - one screen of a virtual CPU's state, for the log.
 */
#ifndef VMM_DUMP_H
#define VMM_DUMP_H

struct vcpu;

/* Registers, segments, control registers, the code at RIP, the last exits.  `why` is the headline. */
void dump_vcpu(struct vcpu *v, const char *why);

#endif
