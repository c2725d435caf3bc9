/* SPDX-License-Identifier: MIT */
/*
 * msr - unknown MSRs raise #GP(0), known ones keep what is written.
 *
 * Reason: an ignored write lies to the guest; a value lost in an exit or a migration crashes it.
 * Verdict: PASS when each access in the tables behaves so.
 */
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/layout.h"
#include "lib/state.h"
#include "lib/trap.h"

const char guest_name[] = "msr";
const char guest_title[] = "RDMSR, WRMSR (SDM vol. 2, \"RDMSR\", \"WRMSR\"; vol. 4, tables)";

/* Linear addresses: #GP when bits 63:47 differ, with four levels of tables. */
static const uint32_t linear[] = { 0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101,
                                   0xc0000102 };

static const uint32_t unknown[] = { 0x1234, 0x0bad0bad, 0x40001234, 0xc0001fff, 0xffffffff };

static void read_msr(uint64_t index)
{
	insn_rdmsr((uint32_t)index);
}

static void write_zero(uint64_t index)
{
	insn_wrmsr((uint32_t)index, 0);
}

static uint32_t bad_index;
static void write_not_canonical(uint64_t value)
{
	insn_wrmsr(bad_index, value);
}

static void write_reserved_efer(uint64_t value)
{
	insn_wrmsr(MSR_EFER, value);
}

static void expect_gp(int vector, const char *what, uint32_t index)
{
	CHECK(vector == VECTOR_GP, "%s MSR %x gave vector %d, not #GP", what, index, vector);
	CHECK(trap_caught.error == 0, "%s MSR %x: error code %lx", what, index, trap_caught.error);
}

void guest_main(void)
{
	uint64_t before[KEPT_MSRS];

	for (unsigned i = 0; i < KEPT_MSRS; i++) {
		before[i] = insn_rdmsr(kept_msrs[i].index);
		insn_wrmsr(kept_msrs[i].index, kept_msrs[i].value);
	}
	insn_cpuid(0, 0);                        /* an exit in between, under a hypervisor */
	for (unsigned i = 0; i < KEPT_MSRS; i++) {
		uint64_t value = insn_rdmsr(kept_msrs[i].index);
		insn_wrmsr(kept_msrs[i].index, before[i]);
		CHECK(value == kept_msrs[i].value, "%s holds %lx, not %lx", kept_msrs[i].name,
		      value, kept_msrs[i].value);
	}
	for (unsigned i = 0; i < COUNT(unknown); i++) {
		/* QEMU without a hypervisor ignores unknown MSRs. */
		if (trap_try(read_msr, unknown[i]) == TRAP_NONE && guest_has_option("lenient"))
			continue;
		expect_gp(trap_try(read_msr, unknown[i]), "reading", unknown[i]);
		expect_gp(trap_try(write_zero, unknown[i]), "writing", unknown[i]);
	}
	for (unsigned i = 0; i < COUNT(linear) && !guest_has_option("lenient"); i++) {
		uint64_t old = insn_rdmsr(bad_index = linear[i]);
		expect_gp(trap_try(write_not_canonical, 0x0000800000000000), "writing", bad_index);
		expect_gp(trap_try(write_not_canonical, BIT(63)), "writing", bad_index);
		CHECK(insn_rdmsr(bad_index) == old, "MSR %x changed by a #GP", bad_index);
	}
	CHECK(insn_rdmsr(MSR_EFER) & EFER_LME, "EFER.LME is clear in long mode");
	if (!guest_has_option("lenient"))
		expect_gp(trap_try(write_reserved_efer, insn_rdmsr(MSR_EFER) | BIT(63)),
			  "setting a reserved bit of", MSR_EFER);
}
