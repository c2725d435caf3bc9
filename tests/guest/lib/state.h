/* SPDX-License-Identifier: MIT */
/*
 * lib/state.h - one known value in everything that a virtual machine must carry along.
 *
 * state_fill() writes patterns into MSRs, vector registers, debug registers, CR2 and registers of
 * the board's devices that nothing else here uses; state_check() ends the guest with FAIL and the
 * name of the first that changed.  For guests that are migrated while they run.
 */
#ifndef GUEST_STATE_H
#define GUEST_STATE_H

#include <stdint.h>

/* Registers that keep what is written to them, each with a value that tells them apart. */
struct kept_msr { uint32_t index; uint64_t value; const char *name; };
#define KEPT_MSRS 11
extern const struct kept_msr kept_msrs[KEPT_MSRS];

void state_fill(void);
void state_check(void);

#endif
