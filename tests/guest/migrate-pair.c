/* SPDX-License-Identifier: MIT */
/*
 * migrate-pair - two CPUs that rewrite pages of their own and call each other, for ever.
 *
 * Reason: as migrate-pattern, for what only two CPUs have.  Each has registers that the other has
 * not, its own timer, and interrupts on their way to it.  CPU 0 calls CPU 1 by an IPI and CPU 1
 * answers by another, CALLS_PER_TICK times in a row.  Calls are counted on both sides, so one that
 * is lost or comes twice shows; each side looks whether the other's TSC is behind its own.
 * Options: pages=N of each CPU (half of what there is), rate=PAGES a second and CPU (100; 0: as
 * fast as they can), beats=N as migrate-pattern, parked: CPU 1 gets INIT and waits for its start
 * until a byte comes on COM1; endless: one call follows the other, so that at any moment one or its
 * answer is on its way.
 * Verdict: FAIL, or silence; what CPU 1 says may be mixed with a line of CPU 0.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/layout.h"
#include "lib/pattern.h"
#include "lib/pic.h"
#include "lib/second.h"
#include "lib/trap.h"

const char guest_name[] = "migrate-pair";
const char guest_title[] = "two CPUs and the interrupts between them over migrations";

enum {
	TICK_HZ = 100, TICK_US = 10000, IRQ_PIT = 0, FLAT_OUT_BATCH = 16,
	CALLS_PER_TICK = 2, ANSWER_MAX_TICKS = 10 * TICK_HZ,
	VECTOR_CALL = 0x61, VECTOR_ANSWER = 0x62, VECTOR_TIMER = 0x63,
	MSR_LSTAR = (int)0xc0000082, MSR_FS_BASE = (int)0xc0000100,
	MSR_KERNEL_GS_BASE = (int)0xc0000102,
	FX_BYTES = 512, FX_XMM = 160, FX_XMM_BYTES = 256, FX_MXCSR = 24, MXCSR_USUAL = 0x1f80,
	COM1_LSR = COM1 + 5, LSR_DATA_READY = 1,
};
#define FIRST_PAGE  (4 * MIB)
#define MARK        UINT64_C(0x0000123456789000)    /* a canonical address, times ID + 1 */

/* Of one CPU; nobody else writes here. */
struct cpu {
	struct pattern pattern;
	uint64_t due;                            /* pages / TICK_HZ                      */
	volatile uint64_t ticks;                 /* of its own timer                     */
	volatile uint64_t calls;                 /* IPIs that arrived                    */
	uint8_t fx[FX_BYTES] __attribute__((aligned(16)));
	uint8_t fx_found[FX_BYTES] __attribute__((aligned(16)));
};

static struct cpu cpus[2];
static uint64_t rate;
static volatile uint64_t called, called_tsc;     /* by CPU 0: the number of the last call */
static volatile uint64_t answered, answered_tsc; /* by CPU 1                              */
static uint64_t call_tick;                       /* of CPU 0                              */
static uint64_t calls_left;
static volatile bool end_wanted, ended;

/* --- What is a CPU's own ---------------------------------------------------------------------- */

static void own_fill(struct cpu *c, uint64_t id)
{
	uint64_t mark = MARK * (id + 1), dr[4] = { mark, mark + 1, mark + 2, mark + 3 };
	uint32_t mxcsr = MXCSR_USUAL;

	insn_wrmsr(MSR_FS_BASE, mark);
	insn_wrmsr(MSR_KERNEL_GS_BASE, mark + 1);
	insn_wrmsr(MSR_LSTAR, mark + 2);
	insn_write_cr2(mark + 3);
	insn_write_dr0_dr3(dr);
	insn_write_cr4(insn_read_cr4() | CR4_OSFXSR | CR4_OSXMMEX);
	for (unsigned i = 0; i < FX_XMM_BYTES; i++)
		c->fx[FX_XMM + i] = (uint8_t)(i * 7 + id * 101 + 3);
	memcpy(c->fx + FX_MXCSR, &mxcsr, sizeof(mxcsr));
	insn_fxrstor(c->fx);
}

static void own_check(struct cpu *c, uint64_t id)
{
	uint64_t mark = MARK * (id + 1), dr[4];

	insn_read_dr0_dr3(dr);
	insn_fxsave(c->fx_found);
	CHECK(apic_id() == id, "CPU %lu has the APIC ID %u", id, apic_id());
	CHECK(insn_rdmsr(MSR_FS_BASE) == mark, "CPU %lu: IA32_FS_BASE changed", id);
	CHECK(insn_rdmsr(MSR_KERNEL_GS_BASE) == mark + 1, "CPU %lu: KERNEL_GS_BASE changed", id);
	CHECK(insn_rdmsr(MSR_LSTAR) == mark + 2, "CPU %lu: IA32_LSTAR changed", id);
	CHECK(insn_read_cr2() == mark + 3, "CPU %lu: CR2 changed", id);
	CHECK(dr[0] == mark && dr[3] == mark + 3, "CPU %lu: a debug register changed", id);
	CHECK(!memcmp(c->fx_found + FX_XMM, c->fx + FX_XMM, FX_XMM_BYTES),
	      "CPU %lu: an XMM register changed", id);
}

/* The pages that are due with this tick, then sleep until an interrupt; flat out: no sleep. */
static void work(struct cpu *c)
{
	if (!rate) {
		pattern_rewrite(&c->pattern, FLAT_OUT_BATCH);
		insn_sti();
	} else {
		pattern_rewrite(&c->pattern, c->due / TICK_HZ);
		c->due %= TICK_HZ;
		insn_sti_hlt();
	}
	insn_cli();
}

/* --- CPU 1 ------------------------------------------------------------------------------------ */

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	cpus[1].ticks++;
	cpus[1].due += rate;
	apic_eoi();
}

static void on_call(struct trap_frame *frame)
{
	uint64_t now = insn_rdtsc();

	(void)frame;
	cpus[1].calls++;
	CHECK(cpus[1].calls == called, "call %lu was number %lu to arrive", called, cpus[1].calls);
	CHECK(now >= called_tsc, "CPU 1 is %lu ticks behind CPU 0", called_tsc - now);
	answered_tsc = now;
	answered = called;
	apic_eoi();
	apic_ipi(0, ICR_FIXED | VECTOR_ANSWER);
}

static void start_timer(void)
{
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
	clock_wait_us(TICK_US);
	uint32_t period = UINT32_MAX - apic_read(APIC_TIMER_CURRENT);

	apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, period);
}

static void second(void)
{
	struct cpu *c = &cpus[1];
	uint64_t next_check = 0;

	apic_enable(false);
	own_fill(c, SECOND_APIC_ID);
	start_timer();
	while (!end_wanted) {
		if (c->ticks >= next_check) {
			own_check(c, SECOND_APIC_ID);
			next_check = c->ticks + TICK_HZ;
		}
		work(c);
	}
	pattern_verify(&c->pattern);
	ended = true;
	for (;;)
		insn_sti_hlt();                  /* a last call may be on its way */
}

/* --- CPU 0 ------------------------------------------------------------------------------------ */

static void call(void)
{
	calls_left--;
	call_tick = cpus[0].ticks;
	called++;
	called_tsc = insn_rdtsc();
	apic_ipi(SECOND_APIC_ID, ICR_FIXED | VECTOR_CALL);
}

static void on_answer(struct trap_frame *frame)
{
	uint64_t now = insn_rdtsc();

	(void)frame;
	cpus[0].calls++;
	CHECK(answered == cpus[0].calls, "answer %lu was number %lu to arrive", answered,
	      cpus[0].calls);
	CHECK(now >= answered_tsc, "CPU 0 is %lu ticks behind CPU 1", answered_tsc - now);
	apic_eoi();
	if (calls_left && !end_wanted)
		call();
}

static void on_tick(struct trap_frame *frame)
{
	(void)frame;
	cpus[0].ticks++;
	cpus[0].due += rate;
	pic_eoi(IRQ_PIT);
}

/* A new row of calls when the last has ended. */
static void call_again(void)
{
	bool waits = cpus[0].calls != called;

	CHECK(!waits || cpus[0].ticks - call_tick < ANSWER_MAX_TICKS,
	      "call %lu was not answered: %lu arrived there, %lu answers here", called,
	      cpus[1].calls, cpus[0].calls);
	if (waits || end_wanted)
		return;
	calls_left = guest_has_option("endless") ? UINT64_MAX : CALLS_PER_TICK;
	call();
}

static void set_up_memory(void)
{
	uint64_t most = (guest_ram_end() - FIRST_PAGE) / PAGE_SIZE / COUNT(cpus);
	uint64_t pages = guest_option("pages", most);
	uint32_t *generations = (uint32_t *)(uintptr_t)guest_ram_free();

	CHECK(pages > 0 && pages <= most, "pages=%lu, there is room for %lu", pages, most);
	CHECK((uint64_t)(uintptr_t)(generations + COUNT(cpus) * pages) <= FIRST_PAGE,
	      "too many pages");
	for (unsigned i = 0; i < COUNT(cpus); i++) {
		struct pattern *p = &cpus[i].pattern;

		p->first = FIRST_PAGE + i * pages * PAGE_SIZE;
		p->count = pages;
		p->generations = generations + i * pages;
		pattern_start(p);
	}
}

static void set_up_interrupts(void)
{
	apic_enable(false);
	apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	trap_handle(VECTOR_FIRST_IRQ + IRQ_PIT, on_tick);
	trap_handle(VECTOR_CALL, on_call);
	trap_handle(VECTOR_ANSWER, on_answer);
	trap_handle(VECTOR_TIMER, on_timer);
	pit_periodic_hz(TICK_HZ);
	pic_unmask(IRQ_PIT);
}

static bool byte_came(void)
{
	if (!(insn_inb(COM1_LSR) & LSR_DATA_READY))
		return false;
	insn_inb(COM1);
	return true;
}

/* One second of CPU 0's own time; calls, once a tick, when CPU 1 takes interrupts. */
static void live(void)
{
	uint64_t now = cpus[0].ticks, end = now + TICK_HZ;

	while (cpus[0].ticks < end) {
		if (cpus[1].ticks && cpus[0].ticks != now)
			call_again();
		now = cpus[0].ticks;
		work(&cpus[0]);
	}
	own_check(&cpus[0], 0);
}

static void beat(uint64_t number)
{
	guest_print("migrate-pair: beat %lu, %lu pages written, CPU 1: %lu pages, %lu ticks, "
		    "%lu calls\n", number, cpus[0].pattern.written, cpus[1].pattern.written,
		    cpus[1].ticks, cpus[1].calls);
}

static void end(void)
{
	uint64_t limit = cpus[0].ticks + ANSWER_MAX_TICKS;

	end_wanted = true;
	while (!ended || cpus[0].calls != called) {
		CHECK(cpus[0].ticks < limit, "CPU 1 does not end");
		insn_sti_hlt();
		insn_cli();
	}
	pattern_verify(&cpus[0].pattern);
}

void guest_main(void)
{
	uint64_t beats = guest_option("beats", UINT64_MAX);
	bool both = false, parked = guest_has_option("parked");

	rate = guest_option("rate", 100);
	set_up_memory();
	set_up_interrupts();
	own_fill(&cpus[0], 0);
	second_init();
	for (uint64_t number = 1; number <= beats; number++) {
		if (!both && (!parked || byte_came())) {
			second_start(second);
			both = true;
			guest_print("migrate-pair: CPU 1 runs\n");
		}
		live();
		beat(number);
	}
	if (both)
		end();
}
