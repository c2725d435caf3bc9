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
#include "lib/trap.h"

const char guest_name[] = "msr";
const char guest_title[] = "RDMSR, WRMSR (SDM vol. 2, \"RDMSR\", \"WRMSR\"; vol. 4, tables)";

struct kept { uint32_t index; uint64_t value; const char *name; };

static const struct kept kept[] = {
	{ 0x174, 0x0000000000000008, "IA32_SYSENTER_CS" },
	{ 0x175, 0x00000000deadb000, "IA32_SYSENTER_ESP" },
	{ 0x176, 0x00000000feedc000, "IA32_SYSENTER_EIP" },
	{ 0x277, 0x0007040600010406, "IA32_PAT" },
	{ 0xc0000081, 0x0023001000000000, "IA32_STAR" },
	{ 0xc0000082, 0xffffffff81234560, "IA32_LSTAR" },
	{ 0xc0000083, 0xffffffff81234570, "IA32_CSTAR" },
	{ 0xc0000084, 0x0000000000047700, "IA32_FMASK" },
	{ 0xc0000100, 0x00007f0012345678, "IA32_FS_BASE" },
	{ 0xc0000101, 0xffff888012345678, "IA32_GS_BASE" },
	{ 0xc0000102, 0xffff888087654321, "IA32_KERNEL_GS_BASE" },
};

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
	uint64_t before[COUNT(kept)];

	for (unsigned i = 0; i < COUNT(kept); i++) {
		before[i] = insn_rdmsr(kept[i].index);
		insn_wrmsr(kept[i].index, kept[i].value);
	}
	insn_cpuid(0, 0);                        /* an exit in between, under a hypervisor */
	for (unsigned i = 0; i < COUNT(kept); i++) {
		uint64_t value = insn_rdmsr(kept[i].index);
		insn_wrmsr(kept[i].index, before[i]);
		CHECK(value == kept[i].value, "%s holds %lx, not %lx", kept[i].name, value,
		      kept[i].value);
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
