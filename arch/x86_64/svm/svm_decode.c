/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_decode.c - from the raw fields of a #VMEXIT to struct exit.
 *
 * Pure: no instruction and no state of its own, so every code is tested on any machine.  One table
 * says for each exit code what it means in the neutral words of vmm/exit.h, and what of the
 * instruction behind it must be known: a CPU may give its length (nRIP) and operands (decode
 * assists), or nothing.  A code that is not in the table is one that our intercepts never ask for:
 * it stops the guest with its name.
 *
 * Called by svm.c after each exit; read next: vmm/exit.c.
 */
#include "arch/x86_64/svm/svm_decode.h"

#include "vmm/vcpu.h"

static void fatal(struct exit *x, const char *why, uint64_t code)
{
	x->kind = EXIT_FATAL;
	x->insn_len = 0;
	x->fatal.why = why;
	x->fatal.code = code;
}

/* APM vol. 2, "IOIO Intercepts": EXITINFO2 is the next instruction's address, on every CPU. */
static void fill_io(const struct svm_raw *raw, struct exit *x)
{
	x->insn_len = (uint8_t)(raw->info2 - raw->rip);
	x->io.port = (uint16_t)GET(IOIO_PORT, raw->info1);
	x->io.size = (uint8_t)GET(IOIO_SIZE, raw->info1);
	x->io.in = raw->info1 & IOIO_IN;
	x->io.string = raw->info1 & IOIO_STRING;
	x->io.rep = raw->info1 & IOIO_REP;
	x->io.addr_size = 0;
	x->io.seg = SEG_ES;                             /* where INS always goes */
	if (!x->io.string)
		return;
	x->io.addr_size = raw->insn.addr_size;
	if (!x->io.in)
		x->io.seg = raw->insn.seg;
	if ((x->io.addr_size != 2 && x->io.addr_size != 4 && x->io.addr_size != 8) ||
	    x->io.seg > SEG_GS)
		fatal(x, "string I/O with an address size or segment that does not exist",
		      raw->info1);
}

static void fill_msr(const struct svm_raw *raw, struct exit *x)
{
	x->msr.write = raw->info1 & MSR_INFO_WRITE;
}

static void fill_cr8_read(const struct svm_raw *raw, struct exit *x)
{
	x->cr8.write = false;
	x->cr8.gpr = raw->insn.rm;
}

static void fill_cr8_write(const struct svm_raw *raw, struct exit *x)
{
	x->cr8.write = true;
	x->cr8.gpr = raw->insn.rm;
}

/* TCG of QEMU 7.2 calls both of them RDTSC. */
static void fill_rdtsc(const struct svm_raw *raw, struct exit *x)
{
	x->rdtsc.aux = raw->code == SVM_EXIT_RDTSCP || insn_is_rdtscp(&raw->insn);
}

/* APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering" */
static void fill_fault(const struct svm_raw *raw, struct exit *x)
{
	x->fault.addr = gpa(raw->info2);
	x->fault.linear_valid = false;
	x->fault.walk = raw->info1 & NPF_WALK;
	x->fault.write = raw->info1 & NPF_WRITE;
	x->fault.fetch = raw->info1 & NPF_FETCH;
	x->fault.read = !x->fault.write && !x->fault.fetch;
	x->fault.mapped = raw->info1 & NPF_PRESENT;
	x->fault.insn = raw->bytes;
	x->fault.insn_n = raw->nbytes;
	if (raw->info1 & NPF_RESERVED)
		fatal(x, "a nested page table has a reserved bit set", raw->info2);
}

static void fill_unreadable(const struct svm_raw *raw, struct exit *x)
{
	fatal(x, "the instruction behind an exit cannot be read", raw->code);
}

static void fill_unasked(const struct svm_raw *raw, struct exit *x)
{
	fatal(x, svm_decode_exit_name(raw->code), raw->code);
}

#define ROW(fill, kind, needs) { fill, kind, SVM_LISTED | (needs), 0 }
#define INSN(fill, kind, bare) { fill, kind, SVM_LISTED | SVM_NEEDS_LEN, bare }
const struct svm_how svm_decode_rows[SVM_EXIT_COUNT] = {
#define PLAIN(kind)       ROW(NULL, kind, 0)
#define UNDEFINED         PLAIN(EXIT_UNDEFINED)
	[SVM_EXIT_CR0_READ]   = PLAIN(SVM_EXIT_OURS),
	[SVM_EXIT_CR0_WRITE]  = PLAIN(SVM_EXIT_OURS),
	[SVM_EXIT_CR0_SELECTIVE] = PLAIN(SVM_EXIT_OURS),
	[SVM_EXIT_CR4_READ]   = ROW(NULL, SVM_EXIT_OURS, SVM_NEEDS_INSN),
	[SVM_EXIT_CR4_WRITE]  = ROW(NULL, SVM_EXIT_OURS, SVM_NEEDS_INSN),
	[SVM_EXIT_CR8_READ]   = ROW(fill_cr8_read, EXIT_CR8, SVM_NEEDS_INSN),
	[SVM_EXIT_CR8_WRITE]  = ROW(fill_cr8_write, EXIT_CR8, SVM_NEEDS_INSN),
	[SVM_EXIT_DB]         = PLAIN(SVM_EXIT_OURS),
	[SVM_EXIT_UD]         = PLAIN(SVM_EXIT_OURS),
	[SVM_EXIT_AC]         = PLAIN(SVM_EXIT_OURS),
	[SVM_EXIT_MC]         = PLAIN(SVM_EXIT_OURS),
	[SVM_EXIT_FERR_FREEZE] = PLAIN(SVM_EXIT_OURS),
	[SVM_EXIT_IRET]       = PLAIN(SVM_EXIT_OURS),

	[SVM_EXIT_INTR]       = PLAIN(EXIT_IRQ),
	[SVM_EXIT_INIT]       = PLAIN(EXIT_IRQ),        /* pending: the host's, when GIF is set */
	[SVM_EXIT_NMI]        = PLAIN(EXIT_NMI),        /* likewise, and so taken already       */
	[SVM_EXIT_VINTR]      = PLAIN(EXIT_IRQ_WINDOW),
	[SVM_EXIT_SHUTDOWN]   = PLAIN(EXIT_TRIPLE),

	[SVM_EXIT_CPUID]      = INSN(NULL, EXIT_CPUID, 2),
	[SVM_EXIT_HLT]        = INSN(NULL, EXIT_HLT, 0),
	[SVM_EXIT_IOIO]       = ROW(fill_io, EXIT_IO, SVM_NEEDS_STRING),
	[SVM_EXIT_MSR]        = INSN(fill_msr, EXIT_MSR, 2),
	[SVM_EXIT_RDTSC]      = INSN(fill_rdtsc, EXIT_RDTSC, 0),        /* see there */
	[SVM_EXIT_RDTSCP]     = INSN(fill_rdtsc, EXIT_RDTSC, 3),
	[SVM_EXIT_XSETBV]     = INSN(NULL, EXIT_XSETBV, 3),
	[SVM_EXIT_VMMCALL]    = INSN(NULL, EXIT_HYPERCALL, 3),
	/*
	 * The caches stay coherent without the guest's help, and INVD would throw away the host's
	 * data.
	 */
	[SVM_EXIT_WBINVD]     = INSN(NULL, EXIT_WBINVD, 2),
	[SVM_EXIT_INVD]       = INSN(NULL, EXIT_WBINVD, 2),
	[SVM_EXIT_RDPMC]      = INSN(NULL, EXIT_GP, 2),

	/* Instructions that the guest's CPUID does not announce. */
	[SVM_EXIT_RSM]        = UNDEFINED,
	[SVM_EXIT_INVLPGA]    = UNDEFINED,
	[SVM_EXIT_VMRUN]      = UNDEFINED,
	[SVM_EXIT_VMLOAD]     = UNDEFINED,
	[SVM_EXIT_VMSAVE]     = UNDEFINED,
	[SVM_EXIT_STGI]       = UNDEFINED,
	[SVM_EXIT_CLGI]       = UNDEFINED,
	[SVM_EXIT_SKINIT]     = UNDEFINED,
	[SVM_EXIT_MONITOR]    = UNDEFINED,
	[SVM_EXIT_MWAIT]      = UNDEFINED,
	[SVM_EXIT_MWAIT_ARMED] = UNDEFINED,
	[SVM_EXIT_RDPRU]      = UNDEFINED,
	[SVM_EXIT_INVLPGB]    = UNDEFINED,
	[SVM_EXIT_INVLPGB_ILLEGAL] = UNDEFINED,
	[SVM_EXIT_INVPCID]    = UNDEFINED,
	[SVM_EXIT_MCOMMIT]    = UNDEFINED,
	[SVM_EXIT_TLBSYNC]    = UNDEFINED,
#undef PLAIN
#undef UNDEFINED
};

const struct svm_how svm_decode_unreadable = ROW(fill_unreadable, EXIT_FATAL, 0);

const struct svm_how *svm_decode_unlisted(uint32_t code)
{
	static const struct svm_how nested_fault = ROW(fill_fault, EXIT_FAULT, SVM_NEEDS_BYTES);
	static const struct svm_how unasked = { fill_unasked, EXIT_FATAL, 0, 0 };

	return code == SVM_EXIT_NPF ? &nested_fault : &unasked;
}
#undef ROW
#undef INSN

/* --- Events --------------------------------------------------------------------------------- */

/* INT3 and INTO report themselves as exceptions; nothing else raises these two. */
static bool is_instruction(uint64_t type, uint8_t vector)
{
	return type == EVENTINJ_SOFT_IRQ ||
	       (type == EVENTINJ_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF));
}

/*
 * APM vol. 2, "Event Injection"; EXITINTINFO has the same format.  TCG of QEMU 7.2 calls virtual
 * interrupts exceptions there; their vectors tell.
 */
void svm_decode_again(uint64_t int_info, struct inject *again)
{
	static const uint8_t neutral_type[] = {
		[EVENTINJ_INTR] = EVENT_IRQ, [1] = EVENT_NONE, [EVENTINJ_NMI] = EVENT_NMI,
		[EVENTINJ_EXCEPTION] = EVENT_EXCEPTION, [EVENTINJ_SOFT_IRQ] = EVENT_NONE,
		[5] = EVENT_NONE, [6] = EVENT_NONE, [7] = EVENT_NONE,
	};
	uint64_t type = GET(EVENTINJ_TYPE, int_info);
	uint8_t vector = (uint8_t)GET(EVENTINJ_VECTOR, int_info);

	*again = (struct inject){ .type = EVENT_NONE };
	if (!(int_info & EVENTINJ_VALID) || is_instruction(type, vector))
		return;
	again->type = neutral_type[type];
	if (again->type == EVENT_EXCEPTION && vector > VECTOR_LAST_EXCEPTION)
		again->type = EVENT_IRQ;
	again->vector = vector;
	again->has_error = int_info & EVENTINJ_HAS_ERROR;
	again->error = again->has_error ? (uint32_t)GET(EVENTINJ_ERROR, int_info) : 0;
}

uint64_t svm_decode_event_inj(const struct inject *event)
{
	uint64_t type;

	switch (event->type) {
	case EVENT_IRQ:       type = EVENTINJ_INTR;      break;
	case EVENT_NMI:       type = EVENTINJ_NMI;       break;
	case EVENT_EXCEPTION: type = EVENTINJ_EXCEPTION; break;
	default:              return 0;
	}
	return EVENTINJ_VALID | PUT(EVENTINJ_TYPE, type) | event->vector |
	       (event->has_error ? EVENTINJ_HAS_ERROR | PUT(EVENTINJ_ERROR, (uint64_t)event->error)
	                         : 0);
}

/* --- Names ---------------------------------------------------------------------------------- */

const char *svm_decode_exit_name(uint32_t code)
{
	static const char *const names[SVM_EXIT_COUNT] = {
#define X(name, number, text) [number] = text,
		SVM_EXITS(X)
#undef X
	};

	if (code == SVM_EXIT_NPF)
		return "nested page fault";
	if (code == SVM_EXIT_INVALID)
		return "VMRUN of an invalid VMCB";
	if (code == SVM_EXIT_BUSY)
		return "VMRUN of a VMCB that is in use";
	return code < SVM_EXIT_COUNT && names[code] ? names[code] : "unknown";
}
