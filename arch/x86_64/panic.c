/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/panic.c - the last screen: what happened, the registers, and the way there.
 *
 * A bug of ours ends here, from panic() (lib/log.h) or from an exception (arch/x86_64/idt.c).  It
 * stops the other CPUs and takes about a dozen lines, so that the last lines of the log stay on the
 * screen above it.  The code trusts as little as it can: it walks only stacks that it knows and
 * never allocates.  With panic=SECONDS on the command line the machine then restarts; else it
 * halts.
 */
#include <stdarg.h>

#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/defs/pte.h"
#include "arch/x86_64/idt.h"
#include "arch/x86_64/image.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/reset.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/stack.h"
#include "arch/x86_64/watchdog.h"
#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"

#define BACKTRACE_MAX   12
#define BANKS_SHOWN_MAX 32u

#define JOIN_WAIT_NS    (100 * NS_PER_MS)       /* for the other CPUs to stop */
#define STUCK_RESTART_S 10              /* a watchdog that only halts would be of no use */

static unsigned depth;                  /* a panic within a panic */
static unsigned restart_s;              /* 0: halt                */
static struct host_cpu *panicking;      /* the first CPU that did; it alone prints */
static volatile bool joined[CPUS_MAX];  /* CPUs that have stopped because of that  */

void panic_restart_after(unsigned seconds)
{
	restart_s = seconds;
}

_Noreturn static void halt(void)
{
	for (;;) {
		insn_cli();
		insn_hlt();
	}
}

/* Restarting is for a first or second failure: a third one may come from there. */
_Noreturn static void stop(void)
{
	if (restart_s && depth <= 2) {
		log_text("godwit: stopped; restart in %u s\n", restart_s);
		reset_wait_ns(restart_s * NS_PER_S);
		reset_reboot();
	}
	log_text("godwit: stopped\n");
	halt();
}

void panic_join(void)
{
	struct host_cpu *by = __atomic_load_n(&panicking, __ATOMIC_ACQUIRE);

	if (by && by != cpu_here()) {
		joined[cpu_here()->number] = true;      /* again, if the NMI finds it stopped */
		halt();
	}
}

static unsigned count_joined(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cpus_online; i++)
		n += joined[i];
	return n;
}

static void stop_others(void)
{
	uint64_t until = time_now_ns() + JOIN_WAIT_NS;

	smp_stop_others();
	while (count_joined() < cpus_online - 1 && time_now_ns() < until)
		insn_pause();
}

/* Only the first CPU goes on; the others are stopped, so that they do not write into our screen. */
static void begin(void)
{
	struct host_cpu *nobody = NULL;

	insn_cli();
	watchdog_stop();
	if (__atomic_compare_exchange_n(&panicking, &nobody, cpu_here(), false, __ATOMIC_ACQ_REL,
	                                __ATOMIC_ACQUIRE))
		stop_others();
	panic_join();
	log_urgent = true;
	if (depth++) {                  /* what we print is itself broken: say so and end */
		if (depth == 2)
			log_text("\ngodwit: a second failure while printing the first\n");
		stop();
	}
	log_text("\n");
}

/* Follow saved frame pointers up to a frame that is not on a stack of ours. */
static void print_backtrace(uint64_t rip, uint64_t rbp)
{
	log_text("called from  %016lx", rip);
	for (unsigned i = 1; i < BACKTRACE_MAX && !(rbp % 8) && stack_contains(rbp, 16); i++) {
		const uint64_t *frame = (const uint64_t *)rbp;
		if (frame[1] < (uintptr_t)__text_start || frame[1] >= (uintptr_t)__text_end)
			break;
		log_text("%s%016lx", i % 4 ? " " : "\n             ", frame[1]);
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
	log_text("\n");
}

static void print_control_registers(void)
{
	log_text("cr0 %08lx cr2 %016lx cr3 %012lx cr4 %08lx CPU %u task %s\n", insn_read_cr0(),
	         insn_read_cr2(), insn_read_cr3(), insn_read_cr4(), cpu_here()->number,
	         task_name());
	if (cpus_online > 1)
		log_text("%u of %u other CPUs have stopped\n", count_joined(), cpus_online - 1);
}

void panic(const char *fmt, ...)
{
	char why[LOG_LINE_MAX];
	va_list args;

	begin();
	va_start(args, fmt);
	fmt_vformat(why, sizeof(why), fmt, args);
	va_end(args);
	log_text("godwit: panic: %s\n", why);
	print_control_registers();
	print_backtrace((uintptr_t)__builtin_return_address(0),
	                *(uint64_t *)__builtin_frame_address(0));
	stop();
}

static void print_page_fault(const struct trap_frame *f)
{
	uint64_t address = insn_read_cr2();
	bool fetch = f->error & PF_FETCH, write = f->error & PF_WRITE;

	log_text("%s 0x%lx, %s%s\n", fetch ? "executing" : write ? "writing" : "reading", address,
	         f->error & PF_PRESENT ? "which its page forbids" : "where nothing is mapped",
	         address < PAGE_SIZE ? ": a null pointer" : "");
}

static void print_registers(const struct trap_frame *f)
{
	log_text("rip %016lx rsp %016lx rflags %08lx cs %02lx ss %02lx\n", f->rip, f->rsp,
	         f->rflags, f->cs, f->ss);
	log_text("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	log_text("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	log_text("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	log_text("r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
}

/* What the hardware says is broken: one line for each bank that recorded an error. */
static void print_machine_check(void)
{
	unsigned banks = (unsigned)GET(MCG_CAP_BANKS, insn_rdmsr(MSR_MCG_CAP));

	log_text("the hardware reports an error; status %lx\n", insn_rdmsr(MSR_MCG_STATUS));
	for (unsigned i = 0; i < MIN(banks, BANKS_SHOWN_MAX); i++) {
		uint64_t status = insn_rdmsr(MSR_MC0_STATUS + MC_BANK_STRIDE * i);
		if (!(status & MC_STATUS_VALID))
			continue;
		log_text("bank %u: %016lx", i, status);
		if (status & MC_STATUS_ADDRESS)
			log_text(" at %012lx", insn_rdmsr(MSR_MC0_ADDR + MC_BANK_STRIDE * i));
		log_text("\n");
	}
}

void panic_trap(const struct trap_frame *f)
{
	begin();
	log_text("godwit: panic: %s (vector %lu, error 0x%lx) in the hypervisor\n",
	         trap_name(f->vector), f->vector, f->error);
	if (f->vector == EXCEPTION_PF)
		print_page_fault(f);
	if (f->vector == EXCEPTION_MC)
		print_machine_check();
	if (f->vector == EXCEPTION_DF && stack_of_guard(insn_read_cr2()))
		log_text("%s overflowed into its guard page\n", stack_of_guard(insn_read_cr2()));
	print_registers(f);
	print_control_registers();
	print_backtrace(f->rip, f->rbp);
	stop();
}

void panic_stuck(const struct trap_frame *f, unsigned seconds)
{
	begin();
	log_text("godwit: panic: stuck: no turn of the scheduler for %u s; it was here:\n",
	         seconds);
	print_registers(f);
	print_control_registers();
	print_backtrace(f->rip, f->rbp);
	if (!restart_s)
		restart_s = STUCK_RESTART_S;
	stop();
}
