/* SPDX-License-Identifier: MIT */
/*
 * paging - the guest's own page tables: three page sizes, A and D bits, protection, INVLPG.
 *
 * Reason: under nested paging the CPU walks both tables; flags and flushes stay the guest's.
 * Verdict: PASS when aliases agree, accessed and dirty follow accesses, and violations fault with
 * the right error code.
 */
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/layout.h"
#include "lib/paging.h"
#include "lib/trap.h"

const char guest_name[] = "paging";
const char guest_title[] = "4-level paging (SDM vol. 3, \"4-Level Paging and 5-Level Paging\")";

enum {
	PF_PRESENT = 1, PF_WRITE = 2, PF_FETCH = 16, RET = 0xc3,
	EXTENDED_FEATURES = (int)0x80000001, EDX_HUGE_PAGES = 1 << 26,
	FRAME_A = 2 << 20, FRAME_B = FRAME_A + 4096,     /* physical pages above the image */
};

static volatile uint64_t *at(uint64_t address)
{
	return (volatile uint64_t *)(uintptr_t)address;
}

static void write_at(uint64_t address) { insn_mov_m_r64((void *)(uintptr_t)address, 1); }
static void call_at(uint64_t address)  { insn_call(address); }

static void set(volatile uint64_t *entry, uint64_t value, uint64_t address)
{
	*entry = value;
	insn_invlpg((const void *)(uintptr_t)address);
}

static void expect_pf(void (*run)(uint64_t), uint64_t address, uint64_t error, const char *what)
{
	int vector = trap_try(run, address);

	CHECK(vector == VECTOR_PF, "%s: vector %d, not #PF", what, vector);
	CHECK(trap_caught.error == error, "%s: error code %lx, not %lx", what, trap_caught.error,
	      error);
	CHECK(insn_read_cr2() == address, "%s: CR2 %lx", what, insn_read_cr2());
}

static void check_flags(volatile uint64_t *entry, uint64_t address, uint64_t frame,
			const char *size)
{
	set(entry, frame, address);
	CHECK(*at(address) == *at(FRAME_A), "%s: the alias reads something else", size);
	CHECK((*entry & (PTE_A | PTE_D)) == PTE_A, "%s: flags %lx after a read", size, *entry);
	*at(address) = 0x1122334455667788;
	CHECK((*entry & (PTE_A | PTE_D)) == (PTE_A | PTE_D), "%s: flags %lx after a write", size,
	      *entry);
	CHECK(*at(FRAME_A) == 0x1122334455667788, "%s: the write went elsewhere", size);
	set(entry, frame & ~(uint64_t)PTE_W, address);
	insn_write_cr0(insn_read_cr0() | CR0_WP);
	expect_pf(write_at, address, PF_PRESENT | PF_WRITE, size);
	insn_write_cr0(insn_read_cr0() & ~(uint64_t)CR0_WP);
	write_at(address);                               /* ring 0 may, without CR0.WP */
	set(entry, 0, address);
	expect_pf(write_at, address, PF_WRITE, size);
}

static void check_invlpg(void)
{
	volatile uint64_t *entry = paging_small(1);
	uint64_t address = PAGING_WINDOW + PAGE_SIZE;

	*at(FRAME_A) = 0xaaaa;
	*at(FRAME_B) = 0xbbbb;
	for (int i = 0; i < 100; i++) {
		set(entry, FRAME_A | PTE_P | PTE_W, address);
		CHECK(*at(address) == 0xaaaa, "stale translation after INVLPG");
		set(entry, FRAME_B | PTE_P | PTE_W, address);
		CHECK(*at(address) == 0xbbbb, "stale translation after INVLPG");
	}
	*entry = FRAME_A | PTE_P | PTE_W;
	insn_write_cr3(insn_read_cr3());
	CHECK(*at(address) == 0xaaaa, "stale translation after a load of CR3");
}

static void check_nx(void)
{
	volatile uint64_t *entry = paging_small(2);
	uint64_t address = PAGING_WINDOW + 2 * PAGE_SIZE;

	insn_wrmsr(MSR_EFER, insn_rdmsr(MSR_EFER) | EFER_NXE);
	*(volatile uint8_t *)(uintptr_t)FRAME_B = RET;
	set(entry, FRAME_B | PTE_P, address);
	CHECK(trap_try(call_at, address) == TRAP_NONE, "an executable page faults");
	set(entry, FRAME_B | PTE_P | PTE_NX, address);
	expect_pf(call_at, address, PF_PRESENT | PF_FETCH, "NX");
}

void guest_main(void)
{
	paging_init();
	*at(FRAME_A) = 0x0102030405060708;
	check_flags(paging_small(0), PAGING_WINDOW, FRAME_A | PTE_P | PTE_W, "4 KiB");
	check_flags(paging_large(0), PAGING_LARGE_WINDOW, FRAME_A | PTE_P | PTE_W | PTE_PS,
		    "2 MiB");
	if (insn_cpuid((uint32_t)EXTENDED_FEATURES, 0).edx & EDX_HUGE_PAGES)
		check_flags(paging_huge(), PAGING_HUGE_WINDOW + FRAME_A, PTE_P | PTE_W | PTE_PS,
			    "1 GiB");
	else
		guest_print("paging: no 1 GiB pages\n");
	check_invlpg();
	check_nx();
}
