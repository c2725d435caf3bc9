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

void state_fill(void);
void state_check(void);

#endif
