/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_svm_decode.c - every #VMEXIT, from raw fields to struct exit (APM vol. 2, "SVM
 * Intercept Exit Codes").
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/svm/svm_decode.h"
#include "vmm/vcpu.h"

#define OURS EXIT_NKINDS
#define LEN  7                          /* of the instruction, in every case below */
#define RIP  0x1000

static struct exit x;

static enum exit_kind decode(struct svm_raw raw)
{
	const struct svm_how *how = svm_decode_how(raw.code);

	if (how->needs & (SVM_NEEDS_LEN | SVM_NEEDS_INSN))      /* as svm.c gives it */
		raw.insn.len = LEN;
	raw.rip = RIP;
	memset(&x, 0xee, sizeof(x));
	return svm_decode(how, &raw, &x) ? x.kind : OURS;
}

static void each_plain_code_has_its_kind(void **state)
{
	(void)state;
	static const struct { uint32_t code; enum exit_kind kind; bool insn; } cases[] = {
		{ SVM_EXIT_INTR, EXIT_IRQ, false }, { SVM_EXIT_NMI, EXIT_NMI, false },
		{ SVM_EXIT_INIT, EXIT_IRQ, false }, { SVM_EXIT_VINTR, EXIT_IRQ_WINDOW, false },
		{ SVM_EXIT_SHUTDOWN, EXIT_TRIPLE, false },
		{ SVM_EXIT_CPUID, EXIT_CPUID, true }, { SVM_EXIT_HLT, EXIT_HLT, true },
		{ SVM_EXIT_XSETBV, EXIT_XSETBV, true }, { SVM_EXIT_VMMCALL, EXIT_HYPERCALL, true },
		{ SVM_EXIT_WBINVD, EXIT_WBINVD, true }, { SVM_EXIT_INVD, EXIT_WBINVD, true },
		{ SVM_EXIT_RDPMC, EXIT_GP, true },
		{ SVM_EXIT_VMRUN, EXIT_UNDEFINED, false }, { SVM_EXIT_CLGI, EXIT_UNDEFINED, false },
		{ SVM_EXIT_MWAIT, EXIT_UNDEFINED, false },
		{ SVM_EXIT_INVPCID, EXIT_UNDEFINED, false },
		{ SVM_EXIT_CR0_READ, OURS, false }, { SVM_EXIT_CR0_WRITE, OURS, false },
		{ SVM_EXIT_CR0_SELECTIVE, OURS, false },
		{ SVM_EXIT_CR4_READ, OURS, true }, { SVM_EXIT_CR4_WRITE, OURS, true },
		{ SVM_EXIT_DB, OURS, false }, { SVM_EXIT_UD, OURS, false },
		{ SVM_EXIT_AC, OURS, false }, { SVM_EXIT_MC, OURS, false },
		{ SVM_EXIT_FERR_FREEZE, OURS, false }, { SVM_EXIT_IRET, OURS, false },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		enum exit_kind kind = decode((struct svm_raw){ .code = cases[i].code });
		if (kind != cases[i].kind)
			fail_msg("%s is kind %d", svm_decode_exit_name(cases[i].code), kind);
		assert_int_equal(x.insn_len, cases[i].insn ? LEN : 0);
	}
}

/* What our intercepts never ask for stops the guest with its name. */
static void a_code_that_was_not_asked_for_is_fatal(void **state)
{
	(void)state;
	static const uint32_t codes[] = { SVM_EXIT_IDTR_READ, SVM_EXIT_PUSHF,
		SVM_EXIT_TASK_SWITCH, SVM_EXIT_EFER_WRITE, SVM_EXIT_SMI, 0x57, 0x401, 0xffff,
		SVM_EXIT_INVALID, SVM_EXIT_BUSY, SVM_EXIT_COUNT };

	for (unsigned i = 0; i < COUNT(codes); i++) {
		assert_int_equal(decode((struct svm_raw){ .code = codes[i] }), EXIT_FATAL);
		assert_string_equal(x.fatal.why, svm_decode_exit_name(codes[i]));
		assert_int_equal(x.fatal.code, codes[i]);
	}
	assert_string_equal(svm_decode_exit_name(SVM_EXIT_INVALID), "VMRUN of an invalid VMCB");
	assert_string_equal(svm_decode_exit_name(0x57), "unknown");
	assert_string_equal(svm_decode_exit_name(SVM_EXIT_NPF), "nested page fault");
}

/* Asked for on a host of another rate; RDTSCP also where the guest has none. */
static void reading_the_tsc_says_which_instruction(void **state)
{
	(void)state;
	assert_int_equal(decode((struct svm_raw){ .code = SVM_EXIT_RDTSC }), EXIT_RDTSC);
	assert_false(x.rdtsc.aux);
	assert_int_equal(decode((struct svm_raw){ .code = SVM_EXIT_RDTSCP }), EXIT_RDTSC);
	assert_true(x.rdtsc.aux);
	/* As TCG says it. */
	struct svm_raw raw = { .code = SVM_EXIT_RDTSC };
	assert_int_equal(insn_exiting((const uint8_t[]){ 0x0f, 0x01, 0xf9 }, 3,
	                              &(struct cpu_mode){ .cr0 = 0 }, &raw.insn), OK);
	assert_int_equal(decode(raw), EXIT_RDTSC);
	assert_true(x.rdtsc.aux);
	assert_int_equal(raw.insn.len, 3);
	assert_int_equal(svm_decode_how(SVM_EXIT_RDTSC)->bare, 0);      /* so it is decoded */
}

/* APM vol. 2, "IOIO Intercepts": EXITINFO2 has the next RIP. */
static void port_io_names_port_size_and_direction(void **state)
{
	(void)state;
	struct svm_raw out = { .code = SVM_EXIT_IOIO, .info1 = 0x03f80010, .info2 = RIP + 2 };
	struct svm_raw in = { .code = SVM_EXIT_IOIO, .info1 = 0x0cfc0041, .info2 = RIP + 1 };

	assert_int_equal(decode(out), EXIT_IO);
	assert_int_equal(x.insn_len, 2);
	assert_int_equal(x.io.port, 0x3f8);
	assert_int_equal(x.io.size, 1);
	assert_false(x.io.in || x.io.string || x.io.rep);
	assert_int_equal(decode(in), EXIT_IO);
	assert_int_equal(x.insn_len, 1);
	assert_int_equal(x.io.port, 0xcfc);
	assert_int_equal(x.io.size, 4);
	assert_true(x.io.in);
}

static void string_io_has_the_instructions_segment(void **state)
{
	(void)state;
	struct svm_raw outs = { .code = SVM_EXIT_IOIO, .info1 = 0x0080002c, .info2 = RIP + 3,
	                        .insn = { .seg = SEG_FS, .addr_size = 8 } };
	struct svm_raw ins = { .code = SVM_EXIT_IOIO, .info1 = 0x0080002d, .info2 = RIP + 2,
	                       .insn = { .seg = SEG_FS, .addr_size = 2 } };

	assert_int_equal(decode(outs), EXIT_IO);
	assert_true(x.io.string && x.io.rep && !x.io.in);
	assert_int_equal(x.io.seg, SEG_FS);
	assert_int_equal(x.io.addr_size, 8);
	assert_int_equal(x.io.size, 2);
	assert_int_equal(decode(ins), EXIT_IO);
	assert_int_equal(x.io.seg, SEG_ES);
	ins.insn.addr_size = 3;
	assert_int_equal(decode(ins), EXIT_FATAL);
}

static void registers_of_msr_and_cr8(void **state)
{
	(void)state;
	assert_int_equal(decode((struct svm_raw){ .code = SVM_EXIT_MSR }), EXIT_MSR);
	assert_false(x.msr.write);
	decode((struct svm_raw){ .code = SVM_EXIT_MSR, .info1 = 1 });
	assert_true(x.msr.write);
	assert_int_equal(x.insn_len, LEN);
	struct svm_raw cr8 = { .code = SVM_EXIT_CR8_WRITE, .insn = { .rm = GPR_R9 } };
	assert_int_equal(decode(cr8), EXIT_CR8);
	assert_true(x.cr8.write && x.cr8.gpr == GPR_R9);
	cr8.code = SVM_EXIT_CR8_READ;
	decode(cr8);
	assert_true(!x.cr8.write && x.cr8.gpr == GPR_R9);
}

/* APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering" */
static void a_nested_fault_says_what_was_done_where(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0x89, 0x08 };
	static const struct { uint64_t info; bool read, write, fetch, mapped, walk; } cases[] = {
		{ NPF_FINAL | 4, true, false, false, false, false },
		{ NPF_FINAL | 6, false, true, false, false, false },
		{ NPF_FINAL | 7, false, true, false, true, false },
		{ NPF_FINAL | 0x14, false, false, true, false, false },
		{ NPF_WALK | 6, false, true, false, false, true },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(decode((struct svm_raw){ .code = SVM_EXIT_NPF,
		                 .info1 = cases[i].info, .info2 = 0xfee00020, .bytes = bytes,
		                 .nbytes = 2 }), EXIT_FAULT);
		assert_int_equal(x.fault.addr.v, 0xfee00020);
		assert_int_equal(x.fault.read, cases[i].read);
		assert_int_equal(x.fault.write, cases[i].write);
		assert_int_equal(x.fault.fetch, cases[i].fetch);
		assert_int_equal(x.fault.mapped, cases[i].mapped);
		assert_int_equal(x.fault.walk, cases[i].walk);
		assert_false(x.fault.linear_valid);
		assert_true(x.fault.insn == bytes && x.fault.insn_n == 2);
	}
	struct svm_raw reserved = { .code = SVM_EXIT_NPF, .info1 = NPF_RESERVED | 1 };
	assert_int_equal(decode(reserved), EXIT_FATAL);
}

static void an_unreadable_instruction_is_fatal(void **state)
{
	(void)state;
	struct svm_raw raw = { .code = SVM_EXIT_CPUID };

	assert_true(svm_decode(&svm_decode_unreadable, &raw, &x));
	assert_int_equal(x.kind, EXIT_FATAL);
	assert_int_equal(x.fatal.code, SVM_EXIT_CPUID);
}

/* --- Events --------------------------------------------------------------------------------- */

static void events_survive_the_round_trip(void **state)
{
	(void)state;
	static const struct inject events[] = {
		{ .type = EVENT_IRQ, .vector = 0x40 }, { .type = EVENT_NMI, .vector = VECTOR_NMI },
		{ .type = EVENT_EXCEPTION, .vector = VECTOR_DB },
		{ .type = EVENT_EXCEPTION, .vector = VECTOR_PF, .has_error = true, .error = 6 },
		{ .type = EVENT_EXCEPTION, .vector = VECTOR_GP, .has_error = true,
		  .error = 0xffff },
	};

	for (unsigned i = 0; i < COUNT(events); i++) {
		struct inject again;
		svm_decode_again(svm_decode_event_inj(&events[i]), &again);
		assert_memory_equal(&again, &events[i], sizeof(again));
	}
	assert_int_equal(svm_decode_event_inj(&events[0]), 0x80000040);
	assert_int_equal(svm_decode_event_inj(&events[3]), 0x680000b0e);
}

/* RIP is still at INT n, INT3, INTO: they run again by themselves. */
static void events_of_instructions_are_not_repeated(void **state)
{
	(void)state;
	struct inject again = { .type = EVENT_IRQ };
	static const uint64_t infos[] = { 0, 0x40, 0x80000480, 0x80000303, 0x80000304, 0x80000140 };

	for (unsigned i = 0; i < COUNT(infos); i++) {
		svm_decode_again(infos[i], &again);
		assert_int_equal(again.type, EVENT_NONE);
	}
	for (uint8_t type = EVENT_SOFT_IRQ; type <= EVENT_PRIV_SOFT_EXCEPTION; type++)
		assert_int_equal(svm_decode_event_inj(&(struct inject){ .type = type }), 0);
}

/* TCG of QEMU 7.2 calls a virtual interrupt an exception. */
static void an_exception_above_31_is_an_interrupt(void **state)
{
	(void)state;
	struct inject again;

	svm_decode_again(0x80000340, &again);
	assert_int_equal(again.type, EVENT_IRQ);
	assert_int_equal(again.vector, 0x40);
}

/*
 * Where a CPU does not give the next RIP, an instruction without prefixes has the length that is
 * written in the table: what the decoder says of its bytes (APM vol. 3, "Opcode Map").
 */
static void bare_lengths_are_those_of_the_decoder(void **state)
{
	static const struct cpu_mode mode64 = { .efer = EFER_LMA, .cs_attr = SEG_L };
	static const struct { uint32_t code; uint8_t bytes[3]; } cases[] = {
		{ SVM_EXIT_CPUID, { 0x0f, 0xa2 } }, { SVM_EXIT_MSR, { 0x0f, 0x32 } },
		{ SVM_EXIT_MSR, { 0x0f, 0x30 } },
		{ SVM_EXIT_RDTSCP, { 0x0f, 0x01, 0xf9 } }, { SVM_EXIT_RDPMC, { 0x0f, 0x33 } },
		{ SVM_EXIT_XSETBV, { 0x0f, 0x01, 0xd1 } }, { SVM_EXIT_INVD, { 0x0f, 0x08 } },
		{ SVM_EXIT_VMMCALL, { 0x0f, 0x01, 0xd9 } }, { SVM_EXIT_WBINVD, { 0x0f, 0x09 } },
	};
	unsigned bare = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint8_t len;
		assert_int_equal(insn_length(cases[i].bytes, 3, &mode64, &len), OK);
		assert_int_equal(svm_decode_how(cases[i].code)->bare, len);
	}
	for (uint32_t code = 0; code < SVM_EXIT_COUNT; code++)
		bare += svm_decode_how(code)->bare != 0;
	assert_int_equal(bare, COUNT(cases) - 1);       /* two of them are SVM_EXIT_MSR */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_plain_code_has_its_kind),
		cmocka_unit_test(a_code_that_was_not_asked_for_is_fatal),
		cmocka_unit_test(reading_the_tsc_says_which_instruction),
		cmocka_unit_test(port_io_names_port_size_and_direction),
		cmocka_unit_test(string_io_has_the_instructions_segment),
		cmocka_unit_test(registers_of_msr_and_cr8),
		cmocka_unit_test(a_nested_fault_says_what_was_done_where),
		cmocka_unit_test(an_unreadable_instruction_is_fatal),
		cmocka_unit_test(events_survive_the_round_trip),
		cmocka_unit_test(events_of_instructions_are_not_repeated),
		cmocka_unit_test(an_exception_above_31_is_an_interrupt),
		cmocka_unit_test(bare_lengths_are_those_of_the_decoder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
