/* SPDX-License-Identifier: MIT */
/*
 * vmm/exit.h - why a guest stopped, in words that no CPU vendor owns.
 *
 * The vendor's code copies raw fields after an exit, a pure function decodes them into struct exit,
 * and exit_dispatch() (vmm/exit.c) finds the handler in a table.  The handler's answer says what
 * happens next; only the dispatcher moves RIP.
 *
 * Exits that exist only because of one vendor's rules (fixed bits of CR0 and CR4, shadowing) are
 * resolved inside virt_ops.enter() and never come here.
 */
#ifndef VMM_EXIT_H
#define VMM_EXIT_H

#include "lib/types.h"

#define EXIT_KINDS(E)                                                                      \
	E(IRQ,        "irq")        /* the host was interrupted while in the guest      */ \
	E(SLICE,      "slice")      /* the preemption timer ran out                     */ \
	E(NMI,        "nmi")        /* a host NMI arrived                               */ \
	E(IRQ_WINDOW, "irq-window") /* the guest can now take an interrupt              */ \
	E(CPUID,      "cpuid")                                                             \
	E(HLT,        "hlt")                                                               \
	E(IO,         "io")         /* IN, OUT, INS, OUTS                               */ \
	E(MSR,        "msr")        /* RDMSR, WRMSR of a register that is not let through */ \
	E(FAULT,      "fault")      /* stage-2 fault: MMIO, or a page that tracking protects */ \
	E(RDTSC,      "rdtsc")      /* RDTSC, RDTSCP: with v->tsc_exits, or not there   */ \
	E(CR8,        "cr8")                                                               \
	E(XSETBV,     "xsetbv")                                                            \
	E(HYPERCALL,  "hypercall")  /* VMCALL or VMMCALL                                */ \
	E(PAUSE,      "pause")                                                             \
	E(WBINVD,     "wbinvd")                                                            \
	E(UNDEFINED,  "undefined")  /* an instruction this guest's CPU does not have: #UD */ \
	E(GP,         "gp")         /* an access this guest's CPU refuses: #GP(0)       */ \
	E(TASK,       "task-switch") /* a task switch by hardware                       */ \
	E(SYSENTER,   "sysenter")   /* SYSENTER or SYSEXIT, which this CPU does not have */ \
	E(TRIPLE,     "triple")     /* triple fault: shutdown                           */ \
	E(FATAL,      "fatal")      /* cannot go on; x->fatal.why says why              */

enum exit_kind {
#define E(name, text) EXIT_##name,
	EXIT_KINDS(E)
#undef E
	EXIT_NKINDS
};

/* What began a task switch; an event is in v->again. */
enum task_cause { TASK_CALL, TASK_IRET, TASK_JMP, TASK_EVENT };

struct exit {
	enum exit_kind kind;
	uint8_t        insn_len;         /* bytes; 0 when the exit is not an instruction's */
	union {
		struct {
			uint16_t port;
			uint8_t  size;   /* 1, 2 or 4                                      */
			bool     in;
			bool     string; /* INS or OUTS                                    */
			bool     rep;
			uint8_t  addr_size; /* string: 2, 4 or 8                           */
			uint8_t  seg;    /* string, out: enum seg                          */
		} io;
		struct {
			bool     write;  /* index is in RCX, value in RDX:RAX              */
		} msr;
		struct {
			gpa_t    addr;
			uint64_t linear; /* guest-linear address, if linear_valid          */
			bool     linear_valid;
			bool     walk;   /* the CPU's own page-table walk, not the data access */
			bool     read, write, fetch;
			bool     mapped; /* a leaf exists: a permission fault              */
			uint8_t  insn_n; /* bytes of the instruction that the CPU gives; 0: none */
			const uint8_t *insn; /* valid until the guest is entered again     */
		} fault;
		struct {
			bool     aux;    /* RDTSCP: IA32_TSC_AUX into ECX                  */
		} rdtsc;
		struct {
			bool     write;
			uint8_t  gpr;    /* enum gpr                                       */
		} cr8;
		struct {
			uint16_t selector; /* of the new task's TSS                         */
			enum task_cause cause;
		} task;
		struct {
			bool     out;    /* SYSEXIT                                        */
			bool     wide;   /* ... to 64-bit code                             */
		} sysenter;
		struct {
			const char *why; /* static text                                    */
			uint64_t    code;/* the vendor's exit or rule number               */
		} fatal;
	};
};

/* What a handler wants to happen next. */
enum resume {           /* the first two go on at once */
	RESUME_NEXT,    /* instruction emulated: go on after it          */
	RESUME_SAME,    /* cause removed: run the same instruction again */
	RESUME_WAIT,    /* emulated, and sleep until an interrupt (HLT)  */
	RESUME_STOP,    /* leave the run loop, RIP untouched             */
};

struct vcpu;
typedef enum resume exit_fn(struct vcpu *, const struct exit *);

/*
 * Run the handler for x->kind and move RIP if it says so: by x->insn_len, or by v->insn_len where
 * the handler had to decode the instruction itself.
 */
enum resume exit_dispatch(struct vcpu *v, const struct exit *x);

/*
 * This guest cannot go on: a dump and the sentence into the log, the VM is FAILED.  For handlers;
 * returns RESUME_STOP.
 */
enum resume exit_fail(struct vcpu *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "io", "fault" ... */
const char *exit_name(enum exit_kind kind);

#endif
