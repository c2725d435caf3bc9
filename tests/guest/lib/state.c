/* SPDX-License-Identifier: MIT */
/* lib/state.c - three groups: the CPU's MSRs, its other registers, the devices. */
#include "lib/apic.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/layout.h"
#include "lib/state.h"

enum {
	PORT_CMOS_INDEX = 0x70, PORT_CMOS_DATA = 0x71, CMOS_RAM = 0x5e, CMOS_PATTERN = 0xc3,
	UART_SCRATCH = COM1 + 7, SCRATCH_PATTERN = 0x96,
	PORT_CONFIG_ADDRESS = 0xcf8, CONFIG_PATTERN = (int)0x80001234,
	IOAPIC_UNUSED_PIN = 23, IOAPIC_PATTERN = IOAPIC_MASKED | IOAPIC_LEVEL | 0x77,
	LVT_ERROR_PATTERN = LVT_MASKED | 0x78, DIVIDE_PATTERN = 0xa,
	X87 = 1, SSE = 2, AVX = 4, LEAF_XSAVE = 0xd, ECX_XSAVE = 1 << 26,
	FCW_OFFSET = 0, FCW_PATTERN = 0x0f7f, MXCSR_OFFSET = 24, MXCSR_PATTERN = 0x9fc0,
	XMM_OFFSET = 160, XMM_BYTES = 256, HEADER_OFFSET = 512, AVX_OFFSET = 576, AREA_BYTES = 1024,
};

#define CR2_PATTERN  UINT64_C(0xffff8880c0dec0de)

const struct kept_msr kept_msrs[KEPT_MSRS] = {
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

static const uint64_t debug_pattern[4] = { 0x1111000, 0x2222000, 0x3333000, 0x4444000 };

static uint8_t wanted[AREA_BYTES] __attribute__((aligned(64)));
static uint8_t found[AREA_BYTES] __attribute__((aligned(64)));
static uint64_t components;                      /* of the extended state; 0: only FXSAVE */

static void extended_fill(void)
{
	uint16_t fcw = FCW_PATTERN;
	uint32_t mxcsr = MXCSR_PATTERN;

	insn_write_cr4(insn_read_cr4() | CR4_OSFXSR | CR4_OSXMMEX);
	if (insn_cpuid(1, 0).ecx & ECX_XSAVE) {
		insn_write_cr4(insn_read_cr4() | CR4_OSXSAVE);
		components = X87 | SSE | (insn_cpuid(LEAF_XSAVE, 0).eax & AVX);
		insn_xsetbv(components);
	}
	for (unsigned i = XMM_OFFSET; i < AREA_BYTES; i++)
		wanted[i] = (uint8_t)(i * 11 + 5);
	memset(wanted + XMM_OFFSET + XMM_BYTES, 0, AVX_OFFSET - XMM_OFFSET - XMM_BYTES);
	memcpy(wanted + FCW_OFFSET, &fcw, sizeof(fcw));
	memcpy(wanted + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	memcpy(wanted + HEADER_OFFSET, &components, sizeof(components));
	if (components)
		insn_xrstor(wanted, components);
	else
		insn_fxrstor(wanted);
}

static void extended_check(void)
{
	if (components)
		insn_xsave(found, components);
	else
		insn_fxsave(found);
	CHECK(!memcmp(found + FCW_OFFSET, wanted + FCW_OFFSET, 2), "the x87 control word changed");
	CHECK(!memcmp(found + MXCSR_OFFSET, wanted + MXCSR_OFFSET, 4), "MXCSR changed");
	CHECK(!memcmp(found + XMM_OFFSET, wanted + XMM_OFFSET, XMM_BYTES),
	      "an XMM register changed");
	if (components & AVX)
		CHECK(!memcmp(found + AVX_OFFSET, wanted + AVX_OFFSET, XMM_BYTES),
		      "the upper half of a YMM register changed");
}

static void cmos_select(void)
{
	insn_outb(PORT_CMOS_INDEX, CMOS_RAM);
}

static void devices_fill(void)
{
	insn_outb(UART_SCRATCH, SCRATCH_PATTERN);
	cmos_select();
	insn_outb(PORT_CMOS_DATA, CMOS_PATTERN);
	insn_outl(PORT_CONFIG_ADDRESS, (uint32_t)CONFIG_PATTERN);
	ioapic_write(IOAPIC_REG_TABLE + 2 * IOAPIC_UNUSED_PIN, IOAPIC_PATTERN);
	apic_write(APIC_LVT_ERROR, LVT_ERROR_PATTERN);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_PATTERN);
}

static void devices_check(void)
{
	CHECK(insn_inb(UART_SCRATCH) == SCRATCH_PATTERN, "the UART's scratch register changed");
	cmos_select();
	CHECK(insn_inb(PORT_CMOS_DATA) == CMOS_PATTERN, "CMOS RAM changed");
	CHECK(insn_inl(PORT_CONFIG_ADDRESS) == (uint32_t)CONFIG_PATTERN, "PCI's address changed");
	CHECK(ioapic_read(IOAPIC_REG_TABLE + 2 * IOAPIC_UNUSED_PIN) == IOAPIC_PATTERN,
	      "an IOAPIC entry changed");
	CHECK(apic_read(APIC_LVT_ERROR) == LVT_ERROR_PATTERN, "the APIC's LVT error entry changed");
	CHECK(apic_read(APIC_TIMER_DIVIDE) == DIVIDE_PATTERN, "the APIC timer's divider changed");
}

void state_fill(void)
{
	for (unsigned i = 0; i < KEPT_MSRS; i++)
		insn_wrmsr(kept_msrs[i].index, kept_msrs[i].value);
	insn_write_cr2(CR2_PATTERN);
	insn_write_dr0_dr3(debug_pattern);
	extended_fill();
	devices_fill();
}

void state_check(void)
{
	uint64_t dr[4];

	for (unsigned i = 0; i < KEPT_MSRS; i++)
		CHECK(insn_rdmsr(kept_msrs[i].index) == kept_msrs[i].value, "%s holds %lx, not %lx",
		      kept_msrs[i].name, insn_rdmsr(kept_msrs[i].index), kept_msrs[i].value);
	CHECK(insn_read_cr2() == CR2_PATTERN, "CR2 holds %lx", insn_read_cr2());
	insn_read_dr0_dr3(dr);
	CHECK(!memcmp(dr, debug_pattern, sizeof(dr)), "a debug register changed");
	extended_check();
	devices_check();
}
