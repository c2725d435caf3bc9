/* SPDX-License-Identifier: MIT */
/*
 * exceptions - a guest's own faults reach the guest: vector, error code, CR2, and where RIP stands.
 *
 * Reason: a hypervisor that swallows, repeats or mislabels a fault breaks every kernel.
 * Verdict: PASS when each row of the table raises what the manual says.
 */
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/layout.h"
#include "lib/trap.h"

const char guest_name[] = "exceptions";
const char guest_title[] = "exceptions (SDM vol. 3, \"Exception and Interrupt Reference\")";

enum {
	PF_WRITE         = 2, PF_INSTRUCTION = 16,
	VECTOR_DB        = 1,
	BAD_SELECTOR     = 0xfff8,
	RFLAGS_TF        = 1 << 8,
	DR6_SINGLE_STEP  = 1 << 14,
};

#define HOLE  (UINT64_C(5) << 30)                    /* the first 4 GiB are mapped, this is not */
#define NON_CANONICAL  (UINT64_C(1) << 60)

struct fault {
	const char *what;
	void (*run)(uint64_t);
	uint64_t argument;
	int vector;
	uint64_t error, cr2;
	bool strict;                                 /* QEMU's emulated CPU does not notice it */
};

static volatile unsigned soft_interrupts, steps;

static void divide_by(uint64_t by)      { insn_divide(1, by); }
static void undefined(uint64_t unused)  { (void)unused; insn_ud2(); }
static void load_fs(uint64_t selector)  { insn_load_fs((uint16_t)selector); }
static void read_at(uint64_t address)   { insn_mov_r64_m((void *)(uintptr_t)address); }
static void write_at(uint64_t address)  { insn_mov_m_r64((void *)(uintptr_t)address, 1); }
static void call_at(uint64_t address)   { insn_call(address); }
static void write_cr4(uint64_t value)   { insn_write_cr4(value); }
static void write_cr0(uint64_t value)   { insn_write_cr0(value); }

static void use_fpu(uint64_t unused)
{
	(void)unused;
	insn_fninit();
}

static const struct fault faults[] = {
	{ "division by 0", divide_by, 0, VECTOR_DE, 0, 0, false },
	{ "UD2", undefined, 0, VECTOR_UD, 0, 0, false },
	{ "selector past the GDT", load_fs, BAD_SELECTOR, VECTOR_GP, BAD_SELECTOR, 0, false },
	{ "non-canonical read", read_at, NON_CANONICAL, VECTOR_GP, 0, 0, true },
	{ "reserved bit of CR4", write_cr4, BIT(31) | CR4_PAE, VECTOR_GP, 0, 0, true },
	{ "CR0.PG without CR0.PE", write_cr0, CR0_PG, VECTOR_GP, 0, 0, true },
	{ "read of a hole", read_at, HOLE + 0x123, VECTOR_PF, 0, HOLE + 0x123, false },
	{ "write to a hole", write_at, HOLE + 0x458, VECTOR_PF, PF_WRITE, HOLE + 0x458, false },
	{ "call into a hole", call_at, HOLE, VECTOR_PF, 0, HOLE, false },
};

static void check_fault(const struct fault *f)
{
	insn_write_cr2(0);
	int vector = trap_try(f->run, f->argument);
	uint64_t error = trap_caught.error;

	CHECK(vector == f->vector, "%s: vector %d, not %d", f->what, vector, f->vector);
	if (f->run == call_at)                       /* the bit is only set when NX paging is on */
		error &= ~(uint64_t)PF_INSTRUCTION;
	CHECK(error == f->error, "%s: error code %lx, not %lx", f->what, error, f->error);
	if (vector == VECTOR_PF)
		CHECK(insn_read_cr2() == f->cr2, "%s: CR2 %lx", f->what, insn_read_cr2());
}

static void on_soft(struct trap_frame *frame)
{
	(void)frame;
	soft_interrupts++;
}

static void on_step(struct trap_frame *frame)
{
	steps++;
	frame->rflags &= ~(uint64_t)RFLAGS_TF;
}

/* Traps return to the next instruction; single-step ends after one. */
static void check_traps(void)
{
	trap_handle(VECTOR_BP, on_soft);
	trap_handle(0x80, on_soft);
	insn_int3();
	insn_int80();
	CHECK(soft_interrupts == 2, "INT3 and INT 80h gave %u interrupts", soft_interrupts);
	trap_handle(VECTOR_DB, on_step);
	insn_write_rflags(insn_read_rflags() | RFLAGS_TF);
	insn_cpuid(0, 0);                            /* an exit, under a hypervisor */
	CHECK(steps == 1, "%u single steps, not 1", steps);
	CHECK(insn_read_dr6() & DR6_SINGLE_STEP, "DR6 is %lx after a step", insn_read_dr6());
}

static void check_no_fpu(void)
{
	uint64_t cr0 = insn_read_cr0();

	insn_write_cr0(cr0 | CR0_TS);
	int vector = trap_try(use_fpu, 0);
	insn_write_cr0(cr0);
	CHECK(vector == VECTOR_NM, "FNINIT with CR0.TS: vector %d, not %d", vector, VECTOR_NM);
	CHECK(insn_read_cr0() == cr0, "CR0 is %lx, not %lx", insn_read_cr0(), cr0);
}

void guest_main(void)
{
	for (unsigned i = 0; i < COUNT(faults); i++) {
		if (faults[i].strict && guest_has_option("lenient"))
			continue;
		check_fault(&faults[i]);
	}
	check_traps();
	check_no_fpu();
}
