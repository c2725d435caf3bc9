/* SPDX-License-Identifier: MIT */
/*
 * triple-fault - a guest that kills itself: no IDT, then an exception.
 *
 * Reason: this must stop this guest, with a message and a dump, and nothing else.
 * Verdict: the hypervisor's: the guest is stopped, other guests run on.  FAIL when we live.
 */
#include "lib/guest.h"
#include "lib/insn.h"

const char guest_name[] = "triple-fault";
const char guest_title[] = "shutdown by triple fault (SDM vol. 3, \"Triple Fault\" among VM exits)";

void guest_main(void)
{
	static const uint8_t no_idt[10];                 /* limit 0, base 0 */

	guest_print("triple-fault: now\n");
	guest_flush();
	insn_lidt(no_idt);
	insn_ud2();
	guest_fail("alive after a triple fault");
}
