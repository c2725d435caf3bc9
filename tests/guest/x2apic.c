/* SPDX-License-Identifier: MIT */
/*
 * x2apic - the local APIC through MSRs: the same timer and priorities, and the rules of its MSRs.
 *
 * Reason: Linux uses it whenever CPUID offers it, and an MSR exit is cheaper than an MMIO exit.
 * Verdict: PASS when all of lapic's checks hold, and forbidden accesses raise #GP.
 */
#include "lib/apic.h"
#include "lib/apic_check.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/trap.h"

const char guest_name[] = "x2apic";
const char guest_title[] = "x2APIC (SDM vol. 3, \"Extended XAPIC (x2APIC)\")";

static uint32_t msr_of(enum apic_reg reg)
{
	return MSR_X2APIC_FIRST + (uint32_t)reg / 16;
}

static void read_msr(uint64_t index)
{
	insn_rdmsr((uint32_t)index);
}

static void write_one(uint64_t index)
{
	insn_wrmsr((uint32_t)index, 1);
}

static void expect_gp(const char *what, void (*access)(uint64_t), uint32_t index)
{
	int vector = trap_try(access, index);

	CHECK(vector == VECTOR_GP, "%s (MSR %x) gave vector %d, not #GP", what, index, vector);
	CHECK(trap_caught.error == 0, "%s: #GP with error code %lx", what, trap_caught.error);
}

void guest_main(void)
{
	if (!apic_has_x2())
		guest_skip("CPUID offers no x2APIC");
	apic_enable(true);
	guest_print("x2apic: id %u, version %x\n", apic_id(), apic_read(APIC_VERSION));
	CHECK(insn_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2, "APIC_BASE forgot the mode");
	/* SDM vol. 3, "Logical Destination Mode in x2APIC Mode": derived from the id, read-only. */
	uint32_t id = apic_id();
	CHECK(guest_has_option("lenient") ||             /* Bochs 2.7 leaves it 0 */
	      apic_read(APIC_LDR) == ((id >> 4) << 16 | 1u << (id & 0xf)), "LDR %x for id %u",
	      apic_read(APIC_LDR), id);
	apic_check_timer();
	apic_check_priority();
	expect_gp("reading EOI", read_msr, msr_of(APIC_EOI));
	expect_gp("reading DFR, which x2APIC lacks", read_msr, msr_of(APIC_DFR));
	expect_gp("reading ICR's high half, which x2APIC lacks", read_msr, msr_of(APIC_ICR_HIGH));
	expect_gp("writing a non-zero EOI", write_one, msr_of(APIC_EOI));
	expect_gp("writing the read-only version", write_one, msr_of(APIC_VERSION));
	expect_gp("writing the read-only id", write_one, msr_of(APIC_ID));
	apic_enable(false);
	CHECK(!(insn_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2), "x2APIC cannot be left");
	expect_gp("an x2APIC MSR in xAPIC mode", read_msr, msr_of(APIC_VERSION));
}
