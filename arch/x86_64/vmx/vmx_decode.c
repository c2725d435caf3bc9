/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx_decode.c - from the raw fields of a VM exit to struct exit.
 *
 * Pure: no instruction and no state of its own, so every reason is tested on any machine.  One
 * table says for each exit reason which VMCS fields its exit needs, so that the hot path reads no
 * others, and what it means in the neutral words of vmm/exit.h.  A reason that is not in the table
 * is one that our controls never ask for: it stops the guest with its name.
 *
 * Called by vmx.c after each exit; read next: vmm/exit.c.
 */
#include "arch/x86_64/vmx/vmx_decode.h"

#include "arch/x86_64/defs/vmx.h"
#include "vmm/vcpu.h"

static void fatal(struct exit *x, const char *why, uint64_t code)
{
	x->kind = EXIT_FATAL;
	x->insn_len = 0;
	x->fatal.why = why;
	x->fatal.code = code;
}

/* SDM vol. 3, "Information for VM Exits Due to Vectored Events" */
static void fill_event(const struct vmx_raw *raw, struct exit *x)
{
	uint32_t vector = GET(EVENT_INFO_VECTOR, raw->event);

	switch (GET(EVENT_INFO_TYPE, raw->event)) {
	case VMX_EVENT_NMI:
		x->kind = EXIT_NMI;
		return;
	case VMX_EVENT_PRIV_EXCEPTION:
	case VMX_EVENT_EXCEPTION:
		if (vector == VECTOR_DB || vector == VECTOR_AC || vector == VECTOR_MC ||
		    vector == VECTOR_UD)
			return;                         /* ours */
	}
	fatal(x, "an exception that was not asked for", raw->event);
}

/* SDM vol. 3, "Exit Qualification for I/O Instructions" */
static void fill_io(const struct vmx_raw *raw, struct exit *x)
{
	x->io.port = (uint16_t)GET(QUAL_IO_PORT, raw->qual);
	x->io.size = (uint8_t)(GET(QUAL_IO_SIZE, raw->qual) + 1);
	x->io.in = raw->qual & QUAL_IO_IN;
	x->io.string = raw->qual & QUAL_IO_STRING;
	x->io.rep = raw->qual & QUAL_IO_REP;
	x->io.addr_size = 0;
	x->io.seg = SEG_ES;                             /* where INS always goes */
	if (!x->io.string)
		return;
	x->io.addr_size = (uint8_t)(2u << GET(INFO_STRING_ADDR_SIZE, raw->insn_info));
	if (!x->io.in)
		x->io.seg = (uint8_t)GET(INFO_STRING_SEG, raw->insn_info);
	if (x->io.addr_size > 8 || x->io.seg > SEG_GS)
		fatal(x, "string I/O with an address size or segment that does not exist",
		      raw->insn_info);
}

/* SDM vol. 3, "Exit Qualification for Control-Register Accesses" */
static void fill_cr(const struct vmx_raw *raw, struct exit *x)
{
	uint64_t number = GET(QUAL_CR_NUMBER, raw->qual), type = GET(QUAL_CR_TYPE, raw->qual);

	if (number == 8) {
		x->kind = EXIT_CR8;
		x->cr8.write = type == CR_TYPE_TO;
		x->cr8.gpr = (uint8_t)GET(QUAL_CR_GPR, raw->qual);
	} else if ((number != 0 && number != 4) || type != CR_TYPE_TO) {
		fatal(x, "a control-register access that was not asked for", raw->qual);
	}
}

static void fill_rdmsr(const struct vmx_raw *raw, struct exit *x)
{
	(void)raw;
	x->msr.write = false;
}

static void fill_wrmsr(const struct vmx_raw *raw, struct exit *x)
{
	(void)raw;
	x->msr.write = true;
}

static void fill_rdtsc(const struct vmx_raw *raw, struct exit *x)
{
	x->rdtsc.aux = GET(REASON_BASIC, raw->reason) == VMX_REASON_RDTSCP;
}

/* SDM vol. 3, "Exit Qualification for EPT Violations" */
static void fill_fault(const struct vmx_raw *raw, struct exit *x)
{
	x->fault.addr = gpa(raw->gpa);
	x->fault.linear = raw->linear;
	x->fault.linear_valid = raw->qual & QUAL_EPT_LINEAR_VALID;
	x->fault.walk = x->fault.linear_valid && !(raw->qual & QUAL_EPT_TRANSLATED);
	x->fault.read = raw->qual & QUAL_EPT_READ;
	x->fault.write = raw->qual & QUAL_EPT_WRITE;
	x->fault.fetch = raw->qual & QUAL_EPT_FETCH;
	x->fault.mapped = raw->qual & QUAL_EPT_RIGHTS;
	x->fault.insn_n = 0;
}

/* SDM vol. 3, "Exit Qualification for Task Switches"; the same numbers as enum task_cause. */
static void fill_task(const struct vmx_raw *raw, struct exit *x)
{
	x->task.selector = (uint16_t)GET(QUAL_TASK_SELECTOR, raw->qual);
	x->task.cause = (enum task_cause)GET(QUAL_TASK_SOURCE, raw->qual);
}

static void fill_unasked(const struct vmx_raw *raw, struct exit *x)
{
	fatal(x, vmx_decode_reason_name(raw->reason), raw->reason);
}

static const struct vmx_how rows[VMX_REASON_COUNT] = {
#define ROW(fill, kind, needs) { fill, kind, VMX_LISTED | (needs) }
#define PLAIN(kind)       ROW(NULL, kind, 0)
#define INSN(kind)        ROW(NULL, kind, VMX_NEEDS_LEN)
#define UNDEFINED         INSN(EXIT_UNDEFINED)
	[VMX_REASON_EXCEPTION_NMI] = ROW(fill_event, VMX_EXIT_OURS, VMX_NEEDS_EVENT |
	                                 VMX_NEEDS_QUAL),
	[VMX_REASON_EXTINT]        = PLAIN(EXIT_IRQ),
	[VMX_REASON_TRIPLE_FAULT]  = PLAIN(EXIT_TRIPLE),
	[VMX_REASON_IRQ_WINDOW]    = PLAIN(EXIT_IRQ_WINDOW),
	[VMX_REASON_NMI_WINDOW]    = PLAIN(VMX_EXIT_OURS),
	[VMX_REASON_TIMER]         = PLAIN(EXIT_SLICE),

	[VMX_REASON_TASK_SWITCH]   = ROW(fill_task, EXIT_TASK, VMX_NEEDS_LEN | VMX_NEEDS_QUAL),
	[VMX_REASON_CPUID]         = INSN(EXIT_CPUID),
	[VMX_REASON_HLT]           = INSN(EXIT_HLT),
	[VMX_REASON_IO]            = ROW(fill_io, EXIT_IO, VMX_NEEDS_LEN | VMX_NEEDS_QUAL |
	                               VMX_NEEDS_INFO),
	[VMX_REASON_RDMSR]         = ROW(fill_rdmsr, EXIT_MSR, VMX_NEEDS_LEN),
	[VMX_REASON_WRMSR]         = ROW(fill_wrmsr, EXIT_MSR, VMX_NEEDS_LEN),
	[VMX_REASON_RDTSC]         = ROW(fill_rdtsc, EXIT_RDTSC, VMX_NEEDS_LEN),
	[VMX_REASON_RDTSCP]        = ROW(fill_rdtsc, EXIT_RDTSC, VMX_NEEDS_LEN),
	[VMX_REASON_EPT_VIOLATION] = ROW(fill_fault, EXIT_FAULT, VMX_NEEDS_QUAL | VMX_NEEDS_ADDR),
	[VMX_REASON_EPT_MISCONFIG] = ROW(fill_unasked, EXIT_FATAL, VMX_NEEDS_ADDR),
	[VMX_REASON_CR_ACCESS]     = ROW(fill_cr, VMX_EXIT_OURS, VMX_NEEDS_LEN | VMX_NEEDS_QUAL),
	[VMX_REASON_XSETBV]        = INSN(EXIT_XSETBV),
	[VMX_REASON_VMCALL]        = INSN(EXIT_HYPERCALL),
	[VMX_REASON_PAUSE]         = INSN(EXIT_PAUSE),
	/*
	 * The caches stay coherent without the guest's help, and INVD would throw away the host's
	 * data.
	 */
	[VMX_REASON_WBINVD]        = INSN(EXIT_WBINVD),
	[VMX_REASON_INVD]          = INSN(EXIT_WBINVD),
	[VMX_REASON_RDPMC]         = INSN(EXIT_GP),

	/* Instructions that the guest's CPUID does not announce. */
	[VMX_REASON_MWAIT]         = UNDEFINED,
	[VMX_REASON_MONITOR]       = UNDEFINED,
	[VMX_REASON_GETSEC]        = UNDEFINED,
	[VMX_REASON_RSM]           = UNDEFINED,
	[VMX_REASON_VMCLEAR]       = UNDEFINED,
	[VMX_REASON_VMLAUNCH]      = UNDEFINED,
	[VMX_REASON_VMPTRLD]       = UNDEFINED,
	[VMX_REASON_VMPTRST]       = UNDEFINED,
	[VMX_REASON_VMREAD]        = UNDEFINED,
	[VMX_REASON_VMRESUME]      = UNDEFINED,
	[VMX_REASON_VMWRITE]       = UNDEFINED,
	[VMX_REASON_VMXOFF]        = UNDEFINED,
	[VMX_REASON_VMXON]         = UNDEFINED,
	[VMX_REASON_INVEPT]        = UNDEFINED,
	[VMX_REASON_INVVPID]       = UNDEFINED,
	[VMX_REASON_VMFUNC]        = UNDEFINED,
	[VMX_REASON_ENCLS]         = UNDEFINED,
	[VMX_REASON_ENCLV]         = UNDEFINED,
	[VMX_REASON_PCONFIG]       = UNDEFINED,
	[VMX_REASON_UMWAIT]        = UNDEFINED,
	[VMX_REASON_TPAUSE]        = UNDEFINED,
	[VMX_REASON_LOADIWKEY]     = UNDEFINED,
#undef ROW
#undef PLAIN
#undef INSN
#undef UNDEFINED
};

const struct vmx_how *vmx_decode_how(uint32_t reason)
{
	static const struct vmx_how unasked = { fill_unasked, EXIT_FATAL, 0 };

	/* A failed entry has bit 31 set, so it is not in the table either. */
	return reason < VMX_REASON_COUNT && rows[reason].needs ? &rows[reason] : &unasked;
}

/* --- Events --------------------------------------------------------------------------------- */

static const uint8_t neutral_type[] = {
	[VMX_EVENT_EXTINT]         = EVENT_IRQ,
	[1]                        = EVENT_NONE,        /* reserved */
	[VMX_EVENT_NMI]            = EVENT_NMI,
	[VMX_EVENT_EXCEPTION]      = EVENT_EXCEPTION,
	[VMX_EVENT_SOFT_IRQ]       = EVENT_SOFT_IRQ,
	[VMX_EVENT_PRIV_EXCEPTION] = EVENT_PRIV_SOFT_EXCEPTION,
	[VMX_EVENT_SOFT_EXCEPTION] = EVENT_SOFT_EXCEPTION,
	[VMX_EVENT_OTHER]          = EVENT_NONE,        /* never on an exit */
};

static const uint8_t vmx_type[] = {
	[EVENT_NONE]                = 0,
	[EVENT_IRQ]                 = VMX_EVENT_EXTINT,
	[EVENT_NMI]                 = VMX_EVENT_NMI,
	[EVENT_EXCEPTION]           = VMX_EVENT_EXCEPTION,
	[EVENT_SOFT_IRQ]            = VMX_EVENT_SOFT_IRQ,
	[EVENT_SOFT_EXCEPTION]      = VMX_EVENT_SOFT_EXCEPTION,
	[EVENT_PRIV_SOFT_EXCEPTION] = VMX_EVENT_PRIV_EXCEPTION,
};

static bool is_software(uint8_t type)
{
	return type == EVENT_SOFT_IRQ || type == EVENT_SOFT_EXCEPTION ||
		type == EVENT_PRIV_SOFT_EXCEPTION;
}

/* SDM vol. 3, "Information for VM Exits That Occur During Event Delivery" */
void vmx_decode_again(const struct vmx_raw *raw, struct inject *again)
{
	*again = (struct inject){ .type = EVENT_NONE };
	if (!(raw->vectoring & EVENT_INFO_VALID))
		return;
	again->type = neutral_type[GET(EVENT_INFO_TYPE, raw->vectoring)];
	again->vector = (uint8_t)GET(EVENT_INFO_VECTOR, raw->vectoring);
	again->has_error = raw->vectoring & EVENT_INFO_HAS_ERROR;
	again->error = again->has_error ? raw->vectoring_error : 0;
	/*
	 * INT n and its kin push the address behind themselves: delivering again needs their
	 * length.
	 */
	again->insn_len = is_software(again->type) ? (uint8_t)raw->insn_len : 0;
}

/*
 * SDM vol. 3, "Information About NMI Unblocking Due to IRET": not valid with #DF or during
 * delivery.
 */
bool vmx_decode_iret_unblocked_nmi(const struct vmx_raw *raw)
{
	if ((raw->vectoring & EVENT_INFO_VALID) || (raw->reason & REASON_ENTRY_FAILED))
		return false;
	switch (GET(REASON_BASIC, raw->reason)) {
	case VMX_REASON_EXCEPTION_NMI:
		return GET(EVENT_INFO_TYPE, raw->event) == VMX_EVENT_EXCEPTION &&
		       GET(EVENT_INFO_VECTOR, raw->event) != VECTOR_DF &&
		       (raw->event & EVENT_INFO_NMI_UNBLOCKED);
	case VMX_REASON_EPT_VIOLATION:
		return raw->qual & QUAL_NMI_UNBLOCKED;
	default:
		return false;
	}
}

uint32_t vmx_decode_event_info(const struct inject *event)
{
	return (uint32_t)(EVENT_INFO_VALID | PUT(EVENT_INFO_TYPE, (uint64_t)vmx_type[event->type]) |
	                  event->vector | (event->has_error ? EVENT_INFO_HAS_ERROR : 0));
}

/* --- Names ---------------------------------------------------------------------------------- */

const char *vmx_decode_reason_name(uint32_t reason)
{
	static const char *const names[VMX_REASON_COUNT] = {
#define R(name, number, text) [number] = text,
		VMX_REASONS(R)
#undef R
	};
	uint32_t basic = GET(REASON_BASIC, reason);

	return basic < VMX_REASON_COUNT && names[basic] ? names[basic] : "unknown";
}

const char *vmx_decode_error_name(uint32_t error)
{
	static const char *const names[] = {
#define E(number, text) [number] = text,
		VMX_ERRORS(E)
#undef E
	};

	return error < COUNT(names) && names[error] ? names[error] : "unknown";
}
