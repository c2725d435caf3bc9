/* SPDX-License-Identifier: MIT */
/*
 * cpuid - the answers of CPUID hang together, also under a hypervisor.
 *
 * Reason: guests pick code paths by CPUID; a bit that promises what is not there crashes them.
 * Verdict: PASS when leaves are in range and stable, OSXSAVE follows CR4, no virtualization
 * extension is promised to a guest, and the hypervisor leaves (where present) are KVM's.
 */
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/layout.h"

const char guest_name[] = "cpuid";
const char guest_title[] = "CPUID (SDM vol. 2, \"CPUID - CPU Identification\"), hypervisor leaves";

enum {
	LEAF_EXTENDED      = 0x80000000,
	LEAF_ADDRESS_SIZES = 0x80000008,
	LEAF_HYPERVISOR    = 0x40000000,
	LEAF_KVM_FEATURES  = 0x40000001,
	LEAF_XSAVE         = 0xd,
	ECX_VMX            = 1 << 5,
	ECX_XSAVE          = 1 << 26,
	ECX_OSXSAVE        = 1 << 27,
	KVM_CLOCKSOURCE2   = 1 << 3,
};

static void text_of(char text[13], uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t words[3] = { a, b, c };

	memcpy(text, words, 12);
	text[12] = 0;
	for (char *p = text; *p; p++)
		CHECK(*p >= ' ' && *p <= '~', "signature holds the byte %x", (uint8_t)*p);
}

static void check_basic(void)
{
	struct cpuid zero = insn_cpuid(0, 0);
	char vendor[13];

	text_of(vendor, zero.ebx, zero.edx, zero.ecx);
	struct cpuid one = insn_cpuid(1, 0), again = insn_cpuid(1, 0);
	guest_print("cpuid: %s, last leaf %x, signature %x, features %x %x\n", vendor, zero.eax,
		    one.eax, one.ecx, one.edx);
	CHECK(zero.eax >= 1, "last leaf %x", zero.eax);
	CHECK(!memcmp(&one, &again, sizeof(one)), "leaf 1 changes between two reads");
	CHECK(one.edx & BIT(9), "no local APIC");
	CHECK(one.edx & BIT(4), "no TSC");
	struct cpuid extended = insn_cpuid(LEAF_EXTENDED, 0);
	CHECK(extended.eax >= LEAF_ADDRESS_SIZES, "last extended leaf %x", extended.eax);
	uint32_t bits = insn_cpuid(LEAF_ADDRESS_SIZES, 0).eax;
	CHECK((bits & 0xff) >= 36 && (bits & 0xff) <= 52, "%u physical bits", bits & 0xff);
	CHECK((bits >> 8 & 0xff) == 48 || (bits >> 8 & 0xff) == 57, "%u linear bits",
	      bits >> 8 & 0xff);
}

static void check_osxsave(void)
{
	uint64_t cr4 = insn_read_cr4();
	uint32_t ecx = insn_cpuid(1, 0).ecx;

	CHECK(!(ecx & ECX_OSXSAVE), "OSXSAVE is set while CR4.OSXSAVE is clear");
	if (!(ecx & ECX_XSAVE))
		return;
	insn_write_cr4(cr4 | CR4_OSXSAVE);
	CHECK(insn_cpuid(1, 0).ecx & ECX_OSXSAVE, "OSXSAVE does not follow CR4");
	CHECK(insn_cpuid(LEAF_XSAVE, 0).eax & 1, "XCR0 does not offer x87");
	insn_write_cr4(cr4);
}

static void check_hypervisor(void)
{
	char name[13];

	if (!guest_hypervisor()) {
		guest_print("cpuid: no hypervisor bit\n");
		return;
	}
	struct cpuid leaf = insn_cpuid(LEAF_HYPERVISOR, 0);
	text_of(name, leaf.ebx, leaf.ecx, leaf.edx);
	guest_print("cpuid: hypervisor \"%s\", last leaf %x\n", name, leaf.eax);
	CHECK(!(insn_cpuid(1, 0).ecx & ECX_VMX), "VMX is promised to a guest");
	CHECK(leaf.eax >= LEAF_KVM_FEATURES || !leaf.eax, "last hypervisor leaf %x", leaf.eax);
	if (!memcmp(name, "KVMKVMKVM", 10)) {
		uint32_t features = insn_cpuid(LEAF_KVM_FEATURES, 0).eax;
		CHECK(features & KVM_CLOCKSOURCE2, "KVM's leaves without its clock: %x", features);
	}
}

void guest_main(void)
{
	check_basic();
	check_osxsave();
	check_hypervisor();
}
