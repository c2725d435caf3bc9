/* SPDX-License-Identifier: MIT */
/*
 * realmode - leaves long mode for real mode, lives there, and comes back.
 *
 * Reason: with "unrestricted guest" real mode runs on the CPU; interrupts, faults and string I/O
 * must then use the IVT and segment bases.
 * Verdict: PASS when software and hardware interrupts, faults, port I/O, CPUID and HLT worked
 * there, several times over.
 */
#include "lib/apic.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/pic.h"
#include "lib/real.h"

const char guest_name[] = "realmode";
const char guest_title[] =
	"real-address mode (SDM vol. 3, \"Switching Back to Real-Address Mode\")";

enum { ROUNDS = 3, TICK_HZ = 200, RESULT_BYTES = 16 };

extern const uint8_t real_blob[], real_blob_end[];
void real_run(void);

static unsigned result(unsigned address)
{
	return *(volatile uint16_t *)(uintptr_t)address;
}

static void check_results(unsigned round)
{
	CHECK(result(REAL_SOFT) == 1, "round %u: INT 80h came %u times", round, result(REAL_SOFT));
	CHECK(result(REAL_UNDEFINED) == 1, "round %u: #UD came %u times", round,
	      result(REAL_UNDEFINED));
	CHECK(result(REAL_DIVIDE) == 1, "round %u: #DE came %u times", round, result(REAL_DIVIDE));
	CHECK(result(REAL_TICKS) >= REAL_TICKS_WANTED, "round %u: %u ticks", round,
	      result(REAL_TICKS));
	CHECK(result(REAL_SCRATCH) == REAL_SCRATCH_VALUE, "round %u: port I/O gave %x", round,
	      result(REAL_SCRATCH));
	CHECK(result(REAL_FAR) == REAL_FAR_VALUE, "round %u: ES:0 gave %x", round,
	      result(REAL_FAR));
	uint32_t ebx = result(REAL_CPUID) | (uint32_t)result(REAL_CPUID + 2) << 16;
	CHECK(ebx == insn_cpuid(0, 0).ebx, "round %u: CPUID gave %x", round, ebx);
}

void guest_main(void)
{
	apic_enable(false);
	apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	pic_init(REAL_VECTOR_PIT);
	pit_periodic_hz(TICK_HZ);
	memcpy((void *)(uintptr_t)REAL_CODE, real_blob, (size_t)(real_blob_end - real_blob));
	for (unsigned round = 1; round <= ROUNDS; round++) {
		memset((void *)(uintptr_t)REAL_RESULTS, 0, RESULT_BYTES);
		guest_flush();                   /* the text must fit into the UART's FIFO */
		pic_unmask(0);
		real_run();
		pic_mask_all();
		check_results(round);
	}
}
