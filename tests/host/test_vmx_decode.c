/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vmx_decode.c - every VM-exit reason, from raw fields to struct exit (SDM vol. 3,
 * "VM Exits").
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/vmx.h"
#include "arch/x86_64/vmx/vmx_decode.h"
#include "vmm/vcpu.h"

#define OURS EXIT_NKINDS
#define LEN  7                          /* of the instruction, in every case below */

static struct exit x;

static enum exit_kind decode(struct vmx_raw raw)
{
	raw.insn_len = LEN;
	memset(&x, 0xee, sizeof(x));
	return vmx_decode(vmx_decode_how(raw.reason), &raw, &x) ? x.kind : OURS;
}

/* Reasons whose meaning needs nothing but the reason. */
static void each_plain_reason_has_its_kind(void **state)
{
	(void)state;
	static const struct { uint32_t reason; enum exit_kind kind; bool insn; } cases[] = {
		{ VMX_REASON_EXTINT, EXIT_IRQ, false },
			{ VMX_REASON_TRIPLE_FAULT, EXIT_TRIPLE, false },
		{ VMX_REASON_IRQ_WINDOW, EXIT_IRQ_WINDOW, false },
			{ VMX_REASON_NMI_WINDOW, OURS, false },
		{ VMX_REASON_TIMER, EXIT_SLICE, false },
		{ VMX_REASON_CPUID, EXIT_CPUID, true }, { VMX_REASON_HLT, EXIT_HLT, true },
		{ VMX_REASON_RDMSR, EXIT_MSR, true }, { VMX_REASON_WRMSR, EXIT_MSR, true },
		{ VMX_REASON_XSETBV, EXIT_XSETBV, true },
		{ VMX_REASON_RDTSC, EXIT_RDTSC, true }, { VMX_REASON_RDTSCP, EXIT_RDTSC, true },
			{ VMX_REASON_VMCALL, EXIT_HYPERCALL, true },
		{ VMX_REASON_PAUSE, EXIT_PAUSE, true }, { VMX_REASON_WBINVD, EXIT_WBINVD, true },
		{ VMX_REASON_INVD, EXIT_WBINVD, true }, { VMX_REASON_RDPMC, EXIT_GP, true },
		{ VMX_REASON_MWAIT, EXIT_UNDEFINED, true },
			{ VMX_REASON_MONITOR, EXIT_UNDEFINED, true },
		{ VMX_REASON_GETSEC, EXIT_UNDEFINED, true },
			{ VMX_REASON_RSM, EXIT_UNDEFINED, true },
		{ VMX_REASON_VMCLEAR, EXIT_UNDEFINED, true },
			{ VMX_REASON_VMLAUNCH, EXIT_UNDEFINED, true },
		{ VMX_REASON_VMPTRLD, EXIT_UNDEFINED, true },
			{ VMX_REASON_VMPTRST, EXIT_UNDEFINED, true },
		{ VMX_REASON_VMREAD, EXIT_UNDEFINED, true },
			{ VMX_REASON_VMRESUME, EXIT_UNDEFINED, true },
		{ VMX_REASON_VMWRITE, EXIT_UNDEFINED, true },
			{ VMX_REASON_VMXOFF, EXIT_UNDEFINED, true },
		{ VMX_REASON_VMXON, EXIT_UNDEFINED, true },
			{ VMX_REASON_INVEPT, EXIT_UNDEFINED, true },
		{ VMX_REASON_INVVPID, EXIT_UNDEFINED, true },
			{ VMX_REASON_VMFUNC, EXIT_UNDEFINED, true },
		{ VMX_REASON_ENCLS, EXIT_UNDEFINED, true },
			{ VMX_REASON_ENCLV, EXIT_UNDEFINED, true },
		{ VMX_REASON_PCONFIG, EXIT_UNDEFINED, true },
			{ VMX_REASON_UMWAIT, EXIT_UNDEFINED, true },
		{ VMX_REASON_TPAUSE, EXIT_UNDEFINED, true },
			{ VMX_REASON_LOADIWKEY, EXIT_UNDEFINED, true },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		enum exit_kind kind = decode((struct vmx_raw){ .reason = cases[i].reason });
		if (kind != cases[i].kind)
			fail_msg("%s: %u", vmx_decode_reason_name(cases[i].reason), kind);
		if (kind != OURS && x.insn_len != (cases[i].insn ? LEN : 0))
			fail_msg("%s: length %u", vmx_decode_reason_name(cases[i].reason),
			         x.insn_len);
		assert_int_equal(!!(vmx_decode_how(cases[i].reason)->needs & VMX_NEEDS_LEN),
		                 cases[i].insn);
	}
	decode((struct vmx_raw){ .reason = VMX_REASON_WRMSR });
	assert_true(x.msr.write);
	decode((struct vmx_raw){ .reason = VMX_REASON_RDMSR });
	assert_false(x.msr.write);
	decode((struct vmx_raw){ .reason = VMX_REASON_RDTSC });
	assert_false(x.rdtsc.aux);
	decode((struct vmx_raw){ .reason = VMX_REASON_RDTSCP });
	assert_true(x.rdtsc.aux);
}

/* SDM vol. 3, "Exit Qualification for Task Switches" */
static void a_task_switch_names_its_tss_and_its_cause(void **state)
{
	static const enum task_cause causes[] = { TASK_CALL, TASK_IRET, TASK_JMP, TASK_EVENT };

	(void)state;
	for (uint64_t i = 0; i < COUNT(causes); i++) {
		decode((struct vmx_raw){ .reason = VMX_REASON_TASK_SWITCH, .insn_len = 7,
		                         .qual = i << 30 | 0x1234 });
		assert_int_equal(x.kind, EXIT_TASK);
		assert_int_equal(x.insn_len, 7);
		assert_int_equal(x.task.selector, 0x1234);
		assert_int_equal(x.task.cause, causes[i]);
	}
}

/* What our controls never ask for stops the guest, with its name. */
static void what_was_not_asked_for_is_fatal_and_named(void **state)
{
	(void)state;
	static const struct { uint32_t reason; const char *why; } cases[] = {
		{ VMX_REASON_INIT, "INIT signal" }, { VMX_REASON_SIPI, "start-up IPI" },
		{ VMX_REASON_IO_SMI, "I/O system-management interrupt" },
		{ VMX_REASON_OTHER_SMI, "system-management interrupt" },
		{ VMX_REASON_INVLPG, "INVLPG" }, { VMX_REASON_DR_ACCESS, "debug-register access" },
		{ VMX_REASON_MONITOR_TRAP, "monitor trap flag" },
			{ VMX_REASON_TPR, "TPR below threshold" },
		{ VMX_REASON_APIC_ACCESS, "APIC access" }, { VMX_REASON_EOI, "virtualized EOI" },
		{ VMX_REASON_GDTR_IDTR, "access to GDTR or IDTR" },
			{ VMX_REASON_LDTR_TR, "access to LDTR or TR" },
		{ VMX_REASON_EPT_MISCONFIG, "EPT misconfiguration" },
		{ VMX_REASON_APIC_WRITE, "APIC write" }, { VMX_REASON_RDRAND, "RDRAND" },
		{ VMX_REASON_INVPCID, "INVPCID" }, { VMX_REASON_RDSEED, "RDSEED" },
		{ VMX_REASON_PML_FULL, "page-modification log full" },
			{ VMX_REASON_XSAVES, "XSAVES" },
		{ VMX_REASON_XRSTORS, "XRSTORS" }, { VMX_REASON_SPP, "sub-page permission event" },
		{ VMX_REASON_BUS_LOCK, "bus lock" }, { VMX_REASON_NOTIFY, "notify" },
		{ 35, "unknown" }, { 76, "unknown" }, { 0xffff, "unknown" },
		{ REASON_ENTRY_FAILED | VMX_REASON_BAD_GUEST,
		  "VM entry failed: invalid guest state" },
		{ REASON_ENTRY_FAILED | VMX_REASON_BAD_MSR_LOAD, "VM entry failed: MSR loading" },
		{ REASON_ENTRY_FAILED | VMX_REASON_MACHINE_CHECK,
		  "VM entry failed: machine check" },
		{ VMX_REASON_BAD_GUEST, "VM entry failed: invalid guest state" },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		if (decode((struct vmx_raw){ .reason = cases[i].reason }) != EXIT_FATAL)
			fail_msg("reason 0x%x is not fatal", cases[i].reason);
		assert_string_equal(x.fatal.why, cases[i].why);
		assert_int_equal(x.fatal.code, cases[i].reason);
		assert_int_equal(x.insn_len, 0);
	}
}

static void no_reason_is_left_out(void **state)
{
	(void)state;
	for (uint32_t reason = 0; reason < 0x100; reason++) {
		enum exit_kind kind = decode((struct vmx_raw){ .reason = reason });
		if (kind == EXIT_FATAL)
			assert_non_null(x.fatal.why);
		assert_true(kind <= OURS);
	}
}

/* SDM vol. 3, "Exit Qualification for I/O Instructions" */
static void io_names_port_size_and_direction(void **state)
{
	(void)state;
	static const struct { uint64_t qual; uint16_t port; uint8_t size; bool in, string,
	                      rep; } cases[] = {
		{ 0x03f80000, 0x3f8, 1, false, false, false },
			{ 0x03f80008, 0x3f8, 1, true, false, false },
		{ 0x00800001, 0x80, 2, false, false, false },
			{ 0xffff000b, 0xffff, 4, true, false, false },
		{ 0x0cf80043, 0xcf8, 4, false, false, false },
			                 /* bit 6: port in the instruction */
		{ 0x01f00039, 0x1f0, 2, true, true, true },
			{ 0x01f00010, 0x1f0, 1, false, true, false },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(decode((struct vmx_raw){ .reason = VMX_REASON_IO,
		                                          .qual = cases[i].qual }), EXIT_IO);
		assert_int_equal(x.io.port, cases[i].port);
		assert_int_equal(x.io.size, cases[i].size);
		assert_int_equal(x.io.in, cases[i].in);
		assert_int_equal(x.io.string, cases[i].string);
		assert_int_equal(x.io.rep, cases[i].rep);
		assert_int_equal(x.insn_len, LEN);
	}
}

/* SDM vol. 3, "Format of the VM-Exit Instruction-Information Field as Used for INS and OUTS" */
static void string_io_names_address_size_and_segment(void **state)
{
	(void)state;
	static const uint64_t in = 0x01f00018, out = 0x01f00010;
	static const struct { uint64_t qual; uint32_t info; enum exit_kind kind; uint8_t size,
	                      seg; } cases[] = {
		{ in, 0 << 7 | 3 << 15, EXIT_IO, 2, SEG_ES }, { in, 2 << 7, EXIT_IO, 8, SEG_ES },
		{ out, 1 << 7 | 3 << 15, EXIT_IO, 4, SEG_DS },
			{ out, 2 << 7 | 4 << 15, EXIT_IO, 8, SEG_FS },
		{ out, 2 << 7 | 6 << 15, EXIT_FATAL, 0, 0 }, { out, 3 << 7, EXIT_FATAL, 0, 0 },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct vmx_raw raw = { .reason = VMX_REASON_IO, .qual = cases[i].qual,
		                       .insn_info = cases[i].info };
		assert_int_equal(decode(raw), cases[i].kind);
		if (x.kind != EXIT_IO)
			continue;
		assert_int_equal(x.io.addr_size, cases[i].size);
		assert_int_equal(x.io.seg, cases[i].seg);
	}
}

/* SDM vol. 3, "Exit Qualification for Control-Register Accesses" */
static void control_registers_are_ours_but_cr8(void **state)
{
	(void)state;
	static const struct {
		uint64_t qual;
		enum exit_kind kind;
		bool write;
		uint8_t gpr;
	} cases[] = {
		{ 0x000, OURS, false, 0 }, { 0x304, OURS, false, 0 },
			          /* MOV to CR0, CR4 */
		{ 0x908, EXIT_CR8, true, GPR_R9 }, { 0xf18, EXIT_CR8, false, GPR_R15 },
		{ 0x003, EXIT_FATAL, false, 0 }, { 0x013, EXIT_FATAL, false, 0 },
		{ 0x020, EXIT_FATAL, false, 0 }, { 0x030, EXIT_FATAL, false, 0 },
			      /* CLTS, LMSW: no bit of theirs is owned */
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		enum exit_kind kind = decode((struct vmx_raw){ .reason = VMX_REASON_CR_ACCESS,
		                                               .qual = cases[i].qual });
		if (kind != cases[i].kind)
			fail_msg("qualification 0x%lx: %u", cases[i].qual, kind);
		if (kind != EXIT_CR8)
			continue;
		assert_int_equal(x.cr8.write, cases[i].write);
		assert_int_equal(x.cr8.gpr, cases[i].gpr);
	}
}

/* SDM vol. 3, "Exit Qualification for EPT Violations" */
static void faults_say_what_was_tried_where(void **state)
{
	(void)state;
	static const struct { uint64_t qual; bool linear, walk, read, write, fetch,
	                      mapped; } cases[] = {
		{ 0x181, true, false, true, false, false, false },
			     /* a read, nothing mapped       */
		{ 0x182, true, false, false, true, false, false },
		{ 0x184, true, false, false, false, true, false },
		{ 0x1aa, true, false, false, true, false, true },
			      /* a write, entry allows r-x    */
		{ 0x0aa, true, true, false, true, false, true },
			       /* the walk's write             */
		{ 0x0ab, true, true, true, true, false, true },
		{ 0x001, false, false, true, false, false, false },
			    /* no linear address: a PDPTE   */
		{ 0x1183, true, false, true, true, false, false },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct vmx_raw raw = { .reason = VMX_REASON_EPT_VIOLATION, .qual = cases[i].qual,
			.gpa = 0xfee00020, .linear = 0xffffffffff5fc020 };
		assert_int_equal(decode(raw), EXIT_FAULT);
		assert_int_equal(x.fault.addr.v, 0xfee00020);
		assert_int_equal(x.fault.linear, 0xffffffffff5fc020);
		assert_int_equal(x.fault.linear_valid, cases[i].linear);
		assert_int_equal(x.fault.walk, cases[i].walk);
		assert_int_equal(x.fault.read, cases[i].read);
		assert_int_equal(x.fault.write, cases[i].write);
		assert_int_equal(x.fault.fetch, cases[i].fetch);
		assert_int_equal(x.fault.mapped, cases[i].mapped);
		assert_int_equal(x.insn_len, 0);
	}
}

#define VALID 0x80000000u

/* SDM vol. 3, "Information for VM Exits Due to Vectored Events" */
static void exceptions_are_ours_or_fatal(void **state)
{
	(void)state;
	static const struct { uint32_t event; enum exit_kind kind; } cases[] = {
		{ VALID | VMX_EVENT_NMI << 8 | 2, EXIT_NMI },
		{ VALID | VMX_EVENT_EXCEPTION << 8 | VECTOR_DB, OURS },
		{ VALID | VMX_EVENT_PRIV_EXCEPTION << 8 | VECTOR_DB, OURS },
		{ VALID | VMX_EVENT_EXCEPTION << 8 | 1 << 11 | VECTOR_AC, OURS },
		{ VALID | VMX_EVENT_EXCEPTION << 8 | VECTOR_MC, OURS },
		{ VALID | VMX_EVENT_EXCEPTION << 8 | VECTOR_UD, OURS },
		{ VALID | VMX_EVENT_EXCEPTION << 8 | 1 << 11 | VECTOR_PF, EXIT_FATAL },
		{ VALID | VMX_EVENT_SOFT_EXCEPTION << 8 | 3, EXIT_FATAL },
	};

	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_int_equal(decode((struct vmx_raw){ .reason = VMX_REASON_EXCEPTION_NMI,
		                                          .event = cases[i].event }),
		                 cases[i].kind);
}

/* SDM vol. 3, "Information for VM Exits That Occur During Event Delivery" */
static void interrupted_deliveries_come_again(void **state)
{
	(void)state;
	static const struct { uint32_t info; struct inject event; } cases[] = {
		{ 0x00000b0e, { .type = EVENT_NONE } },
			                                /* not valid */
		{ VALID | 0x030, { .type = EVENT_IRQ, .vector = 0x30 } },
		{ VALID | 0x202, { .type = EVENT_NMI, .vector = 2 } },
		{ VALID | 0x306, { .type = EVENT_EXCEPTION, .vector = 6 } },
		{ VALID | 0xb0e, { .type = EVENT_EXCEPTION, .vector = 14, .has_error = true,
		                   .error = 0x1234 } },
		{ VALID | 0xb08, { .type = EVENT_EXCEPTION, .vector = 8, .has_error = true,
		                   .error = 0x1234 } },
		{ VALID | 0x480, { .type = EVENT_SOFT_IRQ, .vector = 0x80, .insn_len = LEN } },
		{ VALID | 0x501, { .type = EVENT_PRIV_SOFT_EXCEPTION, .vector = 1,
		                   .insn_len = LEN } },
		{ VALID | 0x603, { .type = EVENT_SOFT_EXCEPTION, .vector = 3, .insn_len = LEN } },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct vmx_raw raw = { .vectoring = cases[i].info, .vectoring_error = 0x1234,
		                       .insn_len = LEN };
		struct inject again;
		memset(&again, 0xee, sizeof(again));
		vmx_decode_again(&raw, &again);
		assert_int_equal(again.type, cases[i].event.type);
		assert_int_equal(again.vector, cases[i].event.vector);
		assert_int_equal(again.has_error, cases[i].event.has_error);
		assert_int_equal(again.error, cases[i].event.error);
		assert_int_equal(again.insn_len, cases[i].event.insn_len);
		/* and injected they look as they came */
		if (again.type != EVENT_NONE)
			assert_int_equal(vmx_decode_event_info(&again), cases[i].info);
	}
}

/* SDM vol. 3, "Information About NMI Unblocking Due to IRET" */
static void iret_unblocking_counts_only_where_it_is_defined(void **state)
{
	(void)state;
	enum { UNBLOCKED = 1 << 12 };
	static const struct { struct vmx_raw raw; bool unblocked; } cases[] = {
		{ { .reason = VMX_REASON_EPT_VIOLATION, .qual = UNBLOCKED }, true },
		{ { .reason = VMX_REASON_EPT_VIOLATION, .qual = 0x181 }, false },
		{ { .reason = VMX_REASON_EPT_VIOLATION, .qual = UNBLOCKED, .vectoring = VALID |
		    0x30 }, false },
		{ { .reason = VMX_REASON_EXCEPTION_NMI, .event = VALID | UNBLOCKED | 0x300 |
		    VECTOR_AC }, true },
		{ { .reason = VMX_REASON_EXCEPTION_NMI, .event = VALID | UNBLOCKED | 0x300 |
		    VECTOR_DF }, false },
		{ { .reason = VMX_REASON_EXCEPTION_NMI, .event = VALID | UNBLOCKED | 0x202 },
		  false },
		{ { .reason = VMX_REASON_IO, .qual = UNBLOCKED }, false },
		{ { .reason = REASON_ENTRY_FAILED | VMX_REASON_BAD_GUEST, .qual = UNBLOCKED },
		  false },
	};

	for (unsigned i = 0; i < COUNT(cases); i++)
		if (vmx_decode_iret_unblocked_nmi(&cases[i].raw) != cases[i].unblocked)
			fail_msg("case %u", i);
}

static void errors_have_names(void **state)
{
	(void)state;
	assert_string_equal(vmx_decode_error_name(7), "VM entry with invalid control fields");
	assert_string_equal(vmx_decode_error_name(8), "VM entry with invalid host-state fields");
	assert_string_equal(vmx_decode_error_name(14), "unknown");
	assert_string_equal(vmx_decode_error_name(99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_plain_reason_has_its_kind),
		cmocka_unit_test(a_task_switch_names_its_tss_and_its_cause),
		cmocka_unit_test(what_was_not_asked_for_is_fatal_and_named),
		cmocka_unit_test(no_reason_is_left_out),
		cmocka_unit_test(io_names_port_size_and_direction),
		cmocka_unit_test(string_io_names_address_size_and_segment),
		cmocka_unit_test(control_registers_are_ours_but_cr8),
		cmocka_unit_test(faults_say_what_was_tried_where),
		cmocka_unit_test(exceptions_are_ours_or_fatal),
		cmocka_unit_test(interrupted_deliveries_come_again),
		cmocka_unit_test(iret_unblocking_counts_only_where_it_is_defined),
		cmocka_unit_test(errors_have_names),
	};
	return cmocka_run_group_tests_name("vmx_decode", tests, NULL, NULL);
}
