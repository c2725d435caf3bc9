/* SPDX-License-Identifier: MIT */
/*
 * xsave - XCR0, XSAVE and XRSTOR, and that vector registers survive exits and interrupts.
 *
 * Reason: a hypervisor that forgets a component of the extended state corrupts user programs.
 * The registers are loaded by XRSTOR from a patterned image and compared by XSAVE, component by
 * component, so no vector instruction is needed.
 * Verdict: PASS when x87, SSE and (where offered) AVX hold over exits, a switched-off component is
 * reported, and a bad XCR0 raises #GP.
 */
#include "lib/apic.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/layout.h"
#include "lib/trap.h"

const char guest_name[] = "xsave";
const char guest_title[] =
	"extended state (SDM vol. 1, \"Managing State Using the XSAVE Feature Set\")";

enum {
	X87 = 1, SSE = 2, AVX = 4, LEAF_XSAVE = 0xd, ECX_XSAVE = 1 << 26,
	XMM_OFFSET = 160, XMM_BYTES = 256, YMM_BYTES = 256, HEADER_OFFSET = 512,
	MXCSR_OFFSET = 24, MXCSR_MASK_OFFSET = 28, FCW_OFFSET = 0,
	FCW_PATTERN = 0x0f7f, MXCSR_PATTERN = 0x9fc0,
	AREA_BYTES = 4096, ROUNDS = 50, VECTOR_IPI = 0x65, UART_SCRATCH = COM1 + 7,
};

static uint8_t wanted[AREA_BYTES] __attribute__((aligned(64)));
static uint8_t found[AREA_BYTES] __attribute__((aligned(64)));
static volatile unsigned woken;

static void set_xcr0(uint64_t value)
{
	insn_xsetbv(value);
}

static void on_ipi(struct trap_frame *frame)
{
	(void)frame;
	woken++;
	apic_eoi();
}

static void fill(uint8_t *at, size_t bytes, uint8_t salt)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(i * 7 + salt);
}

static void make_image(uint64_t components, uint32_t avx_offset)
{
	memset(wanted, 0, sizeof(wanted));
	uint16_t fcw = FCW_PATTERN;
	uint32_t mxcsr = MXCSR_PATTERN;
	memcpy(wanted + FCW_OFFSET, &fcw, sizeof(fcw));
	memcpy(wanted + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	fill(wanted + XMM_OFFSET, XMM_BYTES, 3);
	if (components & AVX)
		fill(wanted + avx_offset, YMM_BYTES, 101);
	memcpy(wanted + HEADER_OFFSET, &components, sizeof(components));
}

static void check_image(uint64_t components, uint32_t avx_offset, unsigned round)
{
	memset(found, 0, sizeof(found));
	insn_xsave(found, components);
	CHECK(!memcmp(found + FCW_OFFSET, wanted + FCW_OFFSET, 2), "round %u: x87 control word",
	      round);
	CHECK(!memcmp(found + MXCSR_OFFSET, wanted + MXCSR_OFFSET, 4), "round %u: MXCSR", round);
	CHECK(!memcmp(found + XMM_OFFSET, wanted + XMM_OFFSET, XMM_BYTES), "round %u: XMM", round);
	if (components & AVX)
		CHECK(!memcmp(found + avx_offset, wanted + avx_offset, YMM_BYTES), "round %u: YMM",
		      round);
}

static void make_exits(void)
{
	insn_cpuid(0, 0);
	insn_outb(UART_SCRATCH, 1);
	apic_self_ipi(VECTOR_IPI);
	insn_sti_hlt();
	insn_cli();
}

void guest_main(void)
{
	if (!(insn_cpuid(1, 0).ecx & ECX_XSAVE))
		guest_skip("CPUID offers no XSAVE");
	insn_write_cr4(insn_read_cr4() | CR4_OSXSAVE | CR4_OSFXSR | CR4_OSXMMEX);
	uint64_t offered = insn_cpuid(LEAF_XSAVE, 0).eax;
	uint64_t components = X87 | SSE | (offered & AVX);
	uint32_t avx_offset = offered & AVX ? insn_cpuid(LEAF_XSAVE, 2).ebx : 0;

	guest_print("xsave: XCR0 %lx, offered %lx, AVX at %u\n", insn_xgetbv(), offered,
		    avx_offset);
	CHECK(avx_offset + YMM_BYTES <= AREA_BYTES, "AVX at %u", avx_offset);
	insn_xsetbv(components);
	CHECK(insn_xgetbv() == components, "XCR0 is %lx, not %lx", insn_xgetbv(), components);
	CHECK(insn_cpuid(LEAF_XSAVE, 0).ebx >= 512 + 64, "area of %u bytes",
	      insn_cpuid(LEAF_XSAVE, 0).ebx);
	apic_enable(false);
	trap_handle(VECTOR_IPI, on_ipi);
	make_image(components, avx_offset);
	insn_xrstor(wanted, components);
	for (unsigned round = 0; round < ROUNDS; round++) {
		make_exits();
		check_image(components, avx_offset, round);
	}
	CHECK(woken == ROUNDS, "%u interrupts of %u", woken, ROUNDS);
	CHECK(trap_try(set_xcr0, SSE) == VECTOR_GP, "XCR0 without x87 was accepted");
	CHECK(trap_try(set_xcr0, X87 | AVX) == VECTOR_GP, "XCR0 with AVX and no SSE was accepted");
	CHECK(insn_xgetbv() == components, "a refused XSETBV changed XCR0");
}
