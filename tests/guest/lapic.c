/* SPDX-License-Identifier: MIT */
/*
 * lapic - the local APIC through its MMIO page: timer, priorities, registers.
 *
 * Reason: every kernel's clock and every device interrupt ends here.
 * Verdict: PASS when timer modes, TPR and CR8, IRR, ISR and EOI behave as the manual says.
 */
#include "lib/apic.h"
#include "lib/apic_check.h"
#include "lib/guest.h"
#include "lib/insn.h"

const char guest_name[] = "lapic";
const char guest_title[] = "xAPIC (SDM vol. 3, \"Advanced Programmable Interrupt Controller\")";

void guest_main(void)
{
	apic_enable(false);
	uint32_t version = apic_read(APIC_VERSION);

	guest_print("lapic: id %u, version %x\n", apic_id(), version);
	CHECK((version & 0xf0) == 0x10, "version %x is not an integrated APIC", version & 0xff);
	CHECK((version >> 16 & 0xff) >= 5, "%u LVT entries", (version >> 16 & 0xff) + 1);
	CHECK(apic_id() == insn_cpuid(1, 0).ebx >> 24, "id %u, CPUID says %u", apic_id(),
	      insn_cpuid(1, 0).ebx >> 24);
	CHECK(insn_rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP, "the only CPU is not the boot CPU");
	CHECK((insn_rdmsr(MSR_APIC_BASE) & ~(uint64_t)(PAGE_SIZE - 1)) == APIC_MMIO, "base moved");
	apic_check_timer();
	apic_check_priority();
}
