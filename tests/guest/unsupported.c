/* SPDX-License-Identifier: MIT */
/*
 * unsupported - writes to the local APIC's page with a vector register.
 *
 * Reason: no kernel does it, so no hypervisor's decoder need know it; but it must say so.
 * Verdict: the hypervisor's: either the guest is stopped with a message that names the instruction,
 * or it lives and says PASS.  A hang, or a dead host, is the failure.
 */
#include "lib/apic.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/layout.h"

const char guest_name[] = "unsupported";
const char guest_title[] = "an instruction that an MMIO decoder lacks (MOVUPS to device memory)";

void guest_main(void)
{
	insn_write_cr4(insn_read_cr4() | CR4_OSFXSR);
	apic_enable(false);
	guest_print("unsupported: now\n");
	guest_flush();
	insn_movups_m_xmm0((void *)(uintptr_t)(APIC_MMIO + APIC_TIMER_INITIAL));
}
