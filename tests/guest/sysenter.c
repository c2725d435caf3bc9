/* SPDX-License-Identifier: MIT */
/*
 * sysenter - a 64-bit kernel whose 64-bit and 32-bit programs enter it by SYSENTER; not by SYSCALL.
 *
 * Reason: AMD's CPUs have neither SYSENTER nor SYSEXIT in long mode, and a guest whose CPU calls
 * itself Intel's uses both: so does Linux, for 32-bit programs.  And SYSCALL in 32-bit code, which
 * is undefined on Intel's CPUs, leads to CSTAR on AMD's, where Linux then has left 0.
 * Verdict: PASS when each side saw the selectors, stack and flags that the manual names, SYSENTER
 * without a selector is #GP, and SYSCALL in 32-bit code comes to #UD or to LSTAR, but never to
 * CSTAR; SKIP on a CPU of another name.
 */
#include "lib/sysenter.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/paging.h"
#include "lib/pic.h"
#include "lib/trap.h"

const char guest_name[] = "sysenter";
const char guest_title[] = "SYSENTER, SYSEXIT (SDM vol. 2, both instructions)";

enum {
	MSR_STAR = 0xc0000081, MSR_LSTAR = 0xc0000082, MSR_CSTAR = 0xc0000083,
	MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176,
	VENDOR_EBX      = 0x756e6547,                /* "Genu" */
	ENTRIES         = 512,
	LARGE_SHIFT     = 21,
	USER_CS32       = SYSENTER_SELECTOR + 16 + 3, USER_CS64 = SYSENTER_SELECTOR + 32 + 3,
	RFLAGS_IF       = 1 << 9,
	ROUNDS          = 3,
};

extern uint64_t page_pml4[], page_pdpt[], page_pd[];

/* The 2 MiB around the program: user pages from the top of the tables down. */
static void map_program(void)
{
	uint64_t at = (uint64_t)(uintptr_t)sysenter_program;

	page_pml4[0] |= PTE_U;
	page_pdpt[0] |= PTE_U;
	page_pd[(at >> LARGE_SHIFT) % ENTRIES] |= PTE_U;
	insn_write_cr3(insn_read_cr3());
}

static void do_sysenter(uint64_t unused)
{
	(void)unused;
	insn_sysenter();
}

static void expect(const char *what, uint64_t value, uint64_t wanted)
{
	CHECK(value == wanted, "%s is %lx, not %lx", what, value, wanted);
}

static void check_visit(bool wide)
{
	const struct sysenter_seen *s = &sysenter_seen;

	memset(&sysenter_seen, 0, sizeof(sysenter_seen));
	sysenter_visit(wide);
	expect("the program's CS", s->user_cs, wide ? USER_CS64 : USER_CS32 + 1);
	expect("the program's SS", s->user_ss, (wide ? USER_CS64 : USER_CS32) + 8);
	expect("the program's RSP", s->user_rsp, wide ? SYSENTER_USER_RSP : SYSENTER_USER_ESP);
	expect("the kernel's CS", s->cs, SYSENTER_SELECTOR);
	expect("the kernel's SS", s->ss, SYSENTER_SELECTOR + 8);
	expect("the kernel's RSP", s->rsp, SYSENTER_RSP);
	expect("RFLAGS.IF", s->rflags & RFLAGS_IF, 0);
}

/* The program's #UD: the kernel goes on, with its own segments. */
static void undefined_syscall(struct trap_frame *frame)
{
	frame->rip = (uint64_t)(uintptr_t)syscall_undefined;
	frame->cs = SEL_CODE64;
	frame->ss = SEL_DATA;
}

/* LSTAR is written after CSTAR: where SYSCALL leads must follow it. */
static void check_syscall(void)
{
	uint64_t lstar = (uint64_t)(uintptr_t)syscall_lstar;
	uint64_t cstar = (uint64_t)(uintptr_t)syscall_cstar;

	trap_handle(VECTOR_UD, undefined_syscall);
	insn_wrmsr(MSR_EFER, insn_rdmsr(MSR_EFER) | EFER_SCE);
	insn_wrmsr(MSR_STAR, (uint64_t)SEL_CODE64 << 32);
	insn_wrmsr(MSR_CSTAR, cstar);
	insn_wrmsr(MSR_LSTAR, lstar);
	expect("LSTAR", insn_rdmsr(MSR_LSTAR), lstar);
	expect("CSTAR", insn_rdmsr(MSR_CSTAR), cstar);
	enum syscall_came came = syscall_visit();
	CHECK(came != SYSCALL_CSTAR, "a program in 32-bit code came to CSTAR");
	guest_print("sysenter: SYSCALL in 32-bit code %s\n",
		    came == SYSCALL_LSTAR ? "came to LSTAR" : "is undefined");
	expect("CSTAR", insn_rdmsr(MSR_CSTAR), cstar);
	trap_handle(VECTOR_UD, NULL);
}

void guest_main(void)
{
	if (insn_cpuid(0, 0).ebx != VENDOR_EBX)
		guest_skip("this CPU does not call itself Intel's");
	pic_mask_all();
	map_program();
	insn_wrmsr(MSR_SYSENTER_CS, 0);
	int vector = trap_try(do_sysenter, 0);
	CHECK(vector == VECTOR_GP, "SYSENTER without a selector: vector %d", vector);
	expect("its error code", trap_caught.error, 0);
	insn_wrmsr(MSR_SYSENTER_CS, SYSENTER_SELECTOR);
	insn_wrmsr(MSR_SYSENTER_ESP, SYSENTER_RSP);
	insn_wrmsr(MSR_SYSENTER_EIP, (uint64_t)(uintptr_t)sysenter_target);
	for (unsigned round = 0; round < ROUNDS; round++) {
		check_visit(true);
		check_visit(false);
		check_syscall();
	}
}
