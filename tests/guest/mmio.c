/* SPDX-License-Identifier: MIT */
/*
 * mmio - the instructions that compilers and kernels use on device memory.
 *
 * Reason: behind an MMIO exit stands an instruction decoder; each form here is a row of its table.
 * The initial count of the masked timer serves as a 32-bit cell; IOAPIC registers serve bytes.
 * Verdict: PASS when all forms read and write what they should, flags and registers included.
 */
#include "lib/apic.h"
#include "lib/guest.h"
#include "lib/insn.h"

const char guest_name[] = "mmio";
const char guest_title[] = "MMIO by many instruction forms (SDM vol. 2, chapters on each)";

enum { CELL = APIC_MMIO + APIC_TIMER_INITIAL, SELECT = IOAPIC_MMIO, PATTERN = 0x12345678 };

static volatile void *at(uint64_t address)
{
	return (volatile void *)(uintptr_t)address;
}

static void expect(uint64_t value, uint64_t expected, const char *form)
{
	CHECK(value == expected, "%s: %lx, not %lx", form, value, expected);
}

static void check_moves(void)
{
	insn_mov_m_r32(at(CELL), 0x0badcafe);
	expect(insn_mov_r32_m(at(CELL)), 0x0badcafe, "mov r32");
	insn_mov_m_imm32(at(CELL));
	expect(insn_mov_r32_m(at(CELL)), PATTERN, "mov m, imm32");
	expect(insn_mov_r32_sib(at(CELL), 8), PATTERN, "mov with base, index and REX");
	insn_movabs_m_eax(0x13579bdf);
	expect(insn_movabs_eax_m(), 0x13579bdf, "movabs eax");
	insn_mov_m_r32(at(CELL), 0x80000001);
	expect((uint64_t)insn_movsx_r64_m32(at(CELL)), 0xffffffff80000001, "movsxd");
}

static void check_arithmetic(void)
{
	insn_mov_m_r32(at(CELL), 0x0f0f0f0f);
	insn_or_m_r32(at(CELL), 0xf0000001);
	expect(insn_mov_r32_m(at(CELL)), 0xff0f0f0f, "or m, r32");
	insn_and_m_imm32(at(CELL));
	expect(insn_mov_r32_m(at(CELL)), 0x000f0f00, "and m, imm32");
	insn_xor_m_r32(at(CELL), 0x000000ff);
	expect(insn_mov_r32_m(at(CELL)), 0x000f0fff, "xor m, r32");
	insn_and_m_imm8(at(CELL));
	expect(insn_mov_r32_m(at(CELL)), 0x000f0ff0, "and m, imm8 sign-extended");
	expect(insn_and_r32_m(at(CELL), 0xff0), 0xff0, "and r32, m");
	expect(insn_add_r32_m(at(CELL), 0x10), 0x000f1000, "add r32, m");
	expect(insn_test_m_r32(at(CELL), 0x0000000f), 1, "test m, r32: zero");
	expect(insn_test_m_r32(at(CELL), 0x00000010), 0, "test m, r32: not zero");
	insn_mov_m_r32(at(CELL), PATTERN);
	expect(insn_cmp_m_imm32(at(CELL)), 1, "cmp m, imm32: equal");
	insn_mov_m_r32(at(CELL), PATTERN + 1);
	expect(insn_cmp_m_imm32(at(CELL)), 0, "cmp m, imm32: different");
	expect(insn_xchg_m_r32(at(CELL), 0x600d), PATTERN + 1, "xchg: old value");
	expect(insn_mov_r32_m(at(CELL)), 0x600d, "xchg: new value");
}

static void check_strings(void)
{
	uint32_t source = 0xfeed1234, copy = 0;

	insn_stosl(at(CELL), 0x5105e5);
	expect(insn_lodsl(at(CELL)), 0x5105e5, "stos, lods");
	insn_rep_movsl(at(CELL), &source, 1);
	expect(insn_mov_r32_m(at(CELL)), source, "movs to MMIO");
	insn_rep_movsl(&copy, at(CELL), 1);
	expect(copy, source, "movs from MMIO");
}

/* The IOAPIC's index register is 8 bits wide; its upper bytes read 0. */
static void check_bytes(void)
{
	insn_mov_m_r8(at(SELECT), IOAPIC_REG_VERSION);
	expect(insn_mov_r8_m(at(SELECT)), IOAPIC_REG_VERSION, "mov r8");
	expect(insn_movzx_r32_m8(at(SELECT)), IOAPIC_REG_VERSION, "movzx from a byte");
	expect((uint32_t)insn_movsx_r32_m8(at(SELECT)), IOAPIC_REG_VERSION, "movsx from a byte");
	insn_mov_m_r32(at(SELECT), IOAPIC_REG_TABLE);
	expect(insn_mov_r8_m(at(SELECT)), IOAPIC_REG_TABLE, "mov r8 after a write of 32 bits");
	expect(insn_movzx_r32_m16(at(SELECT)), IOAPIC_REG_TABLE, "movzx from a word");
}

void guest_main(void)
{
	apic_enable(false);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	check_moves();
	check_arithmetic();
	check_strings();
	check_bytes();
	insn_mov_m_r32(at(CELL), 0);
}
