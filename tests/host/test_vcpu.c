/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vcpu.c - the run loop of a vCPU against a CPU on paper: what its
 * handlers do, how it halts, yields, parks, and what travels.  See also test_vcpu_events.c and
 * test_vcpu_time.c.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "lib/log.h"
#include "tests/host/vcpu_loop.h"

/* --- RIP and registers ------------------------------------------------------------------------ */

static void rip_moves_by_what_the_handler_says(void **state)
{
	uint64_t rip = v->rip;

	(void)state;
	fake_push(insn(EXIT_CPUID, 2));
	fake_push(insn(EXIT_UNDEFINED, 3));
	fake_push(insn(EXIT_IRQ, 0));
	fake_push_step((struct fake_step){ .x = insn(EXIT_HLT, 1), .irq_blocked = true });
	assert_int_equal(vcpu_turn(v), RESUME_NEXT);
	assert_int_equal(v->rip, rip + 2);
	assert_int_equal(vcpu_turn(v), RESUME_SAME);
	assert_int_equal(v->exception.vector, VECTOR_UD);
	vcpu_turn(v);
	assert_int_equal(v->rip, rip + 2);
	assert_int_equal(vcpu_turn(v), RESUME_WAIT); /* STI; HLT: the shadow ends with HLT */
	assert_int_equal(v->rip, rip + 3);
	assert_false(v->irq_blocked);
}

static void port_input_changes_only_what_it_should(void **state)
{
	struct exit x = { .kind = EXIT_IO,
		          .insn_len = 1,
		          .io = { .port = 0x999, .size = 1, .in = true } };

	(void)state;
	v->gpr[GPR_RAX] = 0x1122334455667788;
	fake_push(x);
	x.io.size = 2;
	fake_push(x);
	x.io.size = 4;
	fake_push(x);
	vcpu_turn(v);
	assert_int_equal(v->gpr[GPR_RAX], 0x11223344556677ff);
	vcpu_turn(v);
	assert_int_equal(v->gpr[GPR_RAX], 0x112233445566ffff);
	vcpu_turn(v);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff);
}

static void rep_outs_goes_on_where_it_stopped(void **state)
{
	struct exit x = { .kind = EXIT_IO,
		          .insn_len = 2,
		          .io = { .port = 0x3f8,
		                  .size = 1,
		                  .string = true,
		                  .rep = true,
		                  .addr_size = 4,
		                  .seg = SEG_DS } };
	char text[100], got[200];
	uint64_t from = 0, rip = v->rip;

	(void)state;
	memset(text, 'x', sizeof(text));
	mem_write(&vm->mem, gpa(0x5000), text, sizeof(text));
	v->gpr[GPR_RSI] = 0x5000;
	v->gpr[GPR_RCX] = 100;
	fake_push(x);
	fake_push(x);
	assert_int_equal(vcpu_turn(v), RESUME_SAME);
	assert_int_equal(v->rip, rip);
	assert_int_equal(vcpu_turn(v), RESUME_NEXT);
	assert_int_equal(v->gpr[GPR_RCX], 0);
	assert_int_equal(v->gpr[GPR_RSI], 0x5000 + 100);
	assert_int_equal(machine_console_read(&vm->machine, &from, got, sizeof(got)), 100);
}

static void xsetbv_takes_only_what_is_offered(void **state)
{
	(void)state;
	fake_push(insn(EXIT_XSETBV, 3));
	fake_push(insn(EXIT_XSETBV, 3));
	v->gpr[GPR_RCX] = 0;
	v->gpr[GPR_RDX] = 0;
	v->gpr[GPR_RAX] = XCR0_X87 | XCR0_SSE | XCR0_AVX;
	assert_int_equal(vcpu_turn(v), RESUME_NEXT);
	assert_int_equal(v->xcr0, 7);
	v->gpr[GPR_RAX] = XCR0_X87 | XCR0_SSE | XCR0_AVX512;
	assert_int_equal(vcpu_turn(v), RESUME_SAME);
	assert_int_equal(v->exception.vector, VECTOR_GP);
	assert_int_equal(v->xcr0, 7);
}

/* --- MMIO ------------------------------------------------------------------------------------- */

static struct exit fault(uint64_t addr, bool write)
{
	return (struct exit){ .kind = EXIT_FAULT,
		              .fault = { .addr = gpa(addr), .read = !write, .write = write } };
}

static void the_local_apic_is_reached_by_mmio(void **state)
{
	static const uint8_t code[] = { 0xa1, 0x30, 0x00, 0xe0, 0xfe }; /* mov 0xfee00030, %eax */
	static const uint8_t store[] = { 0xa3, 0x80, 0x00, 0xe0, 0xfe }; /* mov %eax, 0xfee00080 */

	(void)state;
	mem_write(&vm->mem, gpa(0x100000), code, sizeof(code));
	mem_write(&vm->mem, gpa(0x100005), store, sizeof(store));
	v->rip = 0x100000;
	fake_push(fault(0xfee00030, false));
	fake_push(fault(0xfee00080, true));
	assert_int_equal(vcpu_turn(v), RESUME_NEXT);
	assert_int_equal(v->rip, 0x100005);
	assert_int_equal(v->gpr[GPR_RAX] & 0xff, 0x14);
	v->gpr[GPR_RAX] = 0x50;
	assert_int_equal(vcpu_turn(v), RESUME_NEXT);
	assert_int_equal(v->lapic.tpr, 0x50);
	assert_int_equal(vm->run, VM_RUNNING);
}

static void rep_movs_from_a_device_lands_in_ram(void **state)
{
	static const uint8_t code[] = { 0xf3, 0xa5 };                           /* rep movsl */
	uint32_t got[3] = { 0 };

	(void)state;
	mem_write(&vm->mem, gpa(0x100000), code, sizeof(code));
	v->rip = 0x100000;
	v->gpr[GPR_RCX] = 2;
	v->gpr[GPR_RSI] = 0xd0000000;
	v->gpr[GPR_RDI] = 0x6000;
	fake_push(fault(0xd0000000, false));
	fake_push(fault(0xd0000004, false));
	assert_int_equal(vcpu_turn(v), RESUME_SAME);
	assert_int_equal(vcpu_turn(v), RESUME_NEXT);
	mem_read(&vm->mem, gpa(0x6000), got, sizeof(got));
	assert_int_equal(got[0], 0xffffffff);
	assert_int_equal(got[1], 0xffffffff);
	assert_int_equal(got[2], 0);
	assert_int_equal(v->gpr[GPR_RCX], 0);
	assert_int_equal(v->gpr[GPR_RSI], 0xd0000008);
	assert_int_equal(v->gpr[GPR_RDI], 0x6008);
}

static void what_cannot_be_emulated_stops_this_vm_with_a_sentence(void **state)
{
	static const uint8_t code[] = { 0x0f, 0x11, 0x07 }; /* movups %xmm0, (%edi) */

	(void)state;
	mem_write(&vm->mem, gpa(0x100000), code, sizeof(code));
	v->rip = 0x100000;
	fake_push(fault(0xd0000000, true));
	assert_int_equal(vcpu_turn(v), RESUME_STOP);
	assert_int_equal(vm->run, VM_FAILED);
	assert_non_null(strstr(vm->why, "0f 11 07"));
	assert_non_null(strstr(vm->why, "0xd0000000"));
}

static void code_outside_ram_is_the_end(void **state)
{
	struct exit x = fault(0xd0000000, false);

	(void)state;
	x.fault.fetch = true;
	fake_push(x);
	assert_int_equal(vcpu_turn(v), RESUME_STOP);
	assert_non_null(strstr(vm->why, "runs code at 0xd0000000"));
}

static void a_triple_fault_stops_only_this_vm(void **state)
{
	struct vm_config c = fake_config("other", 1);
	struct vm *other;

	(void)state;
	assert_int_equal(vm_create(&c, &other), OK);
	assert_int_equal(vm_start(other), OK);
	fake_push(insn(EXIT_TRIPLE, 0));
	assert_int_equal(vcpu_turn(v), RESUME_STOP);
	assert_int_equal(vm->run, VM_FAILED);
	assert_int_equal(other->run, VM_RUNNING);
	assert_false(vm->clock.running);
}

/* --- Defences --------------------------------------------------------------------------------- */

static bool others_ran_after(enum exit_kind kind)
{
	fake_push(insn(kind, 0));
	fake_push(insn(EXIT_CPUID, 2));
	v->others_ran = false;
	vcpu_turn(v);
	vcpu_turn(v);
	return fake_cpu.others_ran;
}

static void a_vendor_learns_when_data_of_others_was_used(void **state)
{
	(void)state;
	assert_false(others_ran_after(EXIT_CPUID));
	assert_false(others_ran_after(EXIT_WBINVD));
	assert_true(others_ran_after(EXIT_IRQ));
	assert_true(others_ran_after(EXIT_IO));
	assert_true(others_ran_after(EXIT_NMI));
	fake_run(vm, 0);                        /* another task may have run before this one */
	assert_true(fake_cpu.others_ran);
}

/* The whole way: fetch, split, flush, a record; the next fetch there is not expected to fault. */
static void code_is_split_where_large_leaves_must_not_run_it(void **state)
{
	struct exit x = { .kind = EXIT_FAULT,
	                  .fault = { .addr = gpa(MIB), .fetch = true, .mapped = true } };
	struct s2_leaf leaf;
	struct trace_record last[2];

	(void)state;
	fake_guest_end();
	fake_guest_reset();
	fake_format.small_code = true;
	vm = fake_vm(1);
	v = vm->vcpu[0];
	assert_int_equal(vm_start(vm), OK);
	fake_push(x);
	uint64_t from = vm->trace.next, rip = v->rip, flushes = vm->tlb.flushes;
	assert_int_equal(vcpu_turn(v), RESUME_SAME);
	assert_int_equal(v->rip, rip);
	assert_int_equal(vm->tlb.flushes, flushes + 1);
	assert_int_equal(vm->s2.code_splits, 1);
	assert_true(stage2_lookup(&vm->s2, gpa(MIB), &leaf));
	assert_int_equal(leaf.size, PAGE_SIZE);
	assert_int_equal(trace_read(&vm->trace, &from, last, 2), 2);
	assert_int_equal(last[1].event, TRACE_CODE_SPLIT);
	assert_int_equal(last[1].a, MIB);
	x.fault.write = true;                   /* a write is no reason to split, nor is a hole */
	x.fault.fetch = false;
	fake_push(x);
	assert_int_equal(vcpu_turn(v), RESUME_STOP);
	assert_non_null(strstr(vm->why, "not mapped as it should be"));
}

/* --- The task --------------------------------------------------------------------------------- */

static void hlt_sleeps_until_the_timer(void **state)
{
	(void)state;
	v->lapic.lvt[VLAPIC_TIMER] = VECTOR;
	vlapic_write(&v->lapic, APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1, 0);
	vlapic_write(&v->lapic, APIC_TIMER_INITIAL, 3000000, 0);        /* 3 ms of VM time */
	vm->bus.deadline_ns = 0;
	fake_push(insn(EXIT_HLT, 1));
	uint64_t before = support_now_ns;
	fake_run(vm, 0);
	assert_int_equal(fake_tasks.waited_until_ns, NEVER_NS); /* at the end of the script */
	assert_int_equal(support_now_ns - before, 3000000);
	assert_int_equal(fake_cpu.injected[0].vector, VECTOR);
}

static void hlt_with_a_pending_interrupt_does_not_sleep(void **state)
{
	(void)state;
	fake_push_step((struct fake_step){ .x = insn(EXIT_HLT, 1), .before = NULL });
	send(VECTOR);
	send(VECTOR + 1);
	uint64_t before = support_now_ns;
	fake_run(vm, 0);
	assert_int_equal(support_now_ns, before);
}

static void turn_interrupts_off(struct vcpu *one)
{
	one->rflags &= ~RFLAGS_IF;
	send(VECTOR);                                   /* nothing that could wake it */
}

static void halt_with_interrupts_off(void)
{
	fake_push_step((struct fake_step){ .x = insn(EXIT_HLT, 1), .before = turn_interrupts_off,
	                                   .irq_blocked = true });
}

static unsigned times_in_log(const char *text)
{
	static char log[16 * KIB + 1];
	unsigned n = 0;

	log[log_tail(log, sizeof(log) - 1)] = '\0';
	for (const char *p = log; (p = strstr(p, text)); p++)
		n++;
	return n;
}

/* Linux parks a CPU so, and a kernel that has given up ends so: said once, and seen by all. */
static void a_halt_with_interrupts_off_is_told_once(void **state)
{
	(void)state;
	halt_with_interrupts_off();
	halt_with_interrupts_off();
	assert_false(vm_is_halted(vm));
	fake_run(vm, 0);
	assert_true(v->deaf_told);
	assert_true(vcpu_is_deaf(v));
	assert_true(vm_is_halted(vm));                          /* the other waits for SIPI */
	assert_int_equal(fake_tasks.waited_until_ns, NEVER_NS);
	assert_int_equal(fake_cpu.ninjected, 0);
	vcpu_apic_message(v, &(struct apic_msg){ .delivery = APIC_MODE_NMI });
	assert_false(vcpu_is_deaf(v));
	fake_run(vm, 0);                                        /* its handler, and HLT again */
	assert_int_equal(fake_cpu.injected[0].type, EVENT_NMI);
	assert_int_equal(fake_cpu.entries, 2);
	assert_true(vcpu_is_deaf(v));
	assert_int_equal(times_in_log("vCPU 0 halted with interrupts off"), 1);
	vcpu_reset(v);
	assert_false(v->deaf_told);
}

static void it_yields_when_others_want_the_cpu(void **state)
{
	(void)state;
	fake_push(insn(EXIT_CPUID, 2));
	fake_push(insn(EXIT_CPUID, 2));
	cpu_here()->wanted = true;
	fake_run(vm, 0);
	assert_true(fake_tasks.yields >= 1);
}

static void stun_from_another_task(void)
{
	fake_tasks.on_wait = NULL;
	assert_int_equal(vm_stun(vm), OK);
	vm->vcpu[0]->wake.set = true;           /* a needless wake-up must not let it in */
}

static void nothing_enters_a_stunned_vm(void **state)
{
	(void)state;
	fake_push(insn(EXIT_HLT, 1));
	for (int i = 0; i < 3; i++)
		fake_push(insn(EXIT_CPUID, 2));
	fake_tasks.on_wait = stun_from_another_task;
	fake_run(vm, 0);
	assert_int_equal(fake_cpu.entries, 1);
	assert_int_equal(vm->inside, 0);
	assert_true(v->halted);
	vm_unstun(vm, 0);
}

static void a_second_vcpu_waits_for_sipi(void **state)
{
	struct vcpu *ap = vm->vcpu[1];

	(void)state;
	fake_run(vm, 1);
	assert_int_equal(fake_cpu.entries, 0);
	ap->lapic.svr |= APIC_SVR_ENABLE;
	v->lapic.out.send(v->lapic.out.to,
	                  &(struct apic_msg){ .delivery = APIC_MODE_INIT, .shorthand = 3 });
	v->lapic.out.send(v->lapic.out.to, &(struct apic_msg){ .delivery = APIC_MODE_STARTUP,
	                                                       .vector = 0x9f,
	                                                       .shorthand = 3 });
	v->lapic.out.send(
		v->lapic.out.to,
		&(struct apic_msg){ .delivery = APIC_MODE_STARTUP, .vector = 0x10, .dest = 1 });
	assert_int_equal(vm->run, VM_RUNNING);
	fake_push(insn(EXIT_CPUID, 2));
	fake_run(vm, 1);
	assert_true(fake_cpu.entries >= 1);
	assert_int_equal(ap->state.seg_sel[SEG_CS], 0x1000);    /* the last SIPI before it looked */
	assert_int_equal(ap->state.seg_base[SEG_CS], 0x10000);
	assert_int_equal(ap->rip, 2);
}

/* --- What travels ----------------------------------------------------------------------------- */

static void a_state_from_outside_is_checked(void **state)
{
	static struct vcpu copy;

	(void)state;
	v->nmi_pending = true;
	vcpu_raise_error(v, VECTOR_GP, 7);
	vcpu_state.save(v);
	copy = *v;
	assert_int_equal(vcpu_state.check(&copy), OK);
	copy.exception.vector = 99;
	assert_int_equal(vcpu_state.check(&copy), ERR_BAD_FORMAT);
	copy = *v;
	copy.state.msr[CPU_MSR_LSTAR] = 0x8000000000000000;
	assert_int_equal(vcpu_state.check(&copy), ERR_BAD_FORMAT);
	v->state.rip = 0x1234;
	vcpu_state.resume(v);
	assert_int_equal(v->rip, 0x1234);
	assert_true(v->irq_check);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		T(rip_moves_by_what_the_handler_says),
		T(port_input_changes_only_what_it_should),
		T(rep_outs_goes_on_where_it_stopped),
		T(xsetbv_takes_only_what_is_offered),
		T(the_local_apic_is_reached_by_mmio),
		T(rep_movs_from_a_device_lands_in_ram),
		T(what_cannot_be_emulated_stops_this_vm_with_a_sentence),
		T(code_outside_ram_is_the_end),
		T(a_triple_fault_stops_only_this_vm),
		T(a_vendor_learns_when_data_of_others_was_used),
		T(code_is_split_where_large_leaves_must_not_run_it),
		T(hlt_sleeps_until_the_timer),
		T(hlt_with_a_pending_interrupt_does_not_sleep),
		T(a_halt_with_interrupts_off_is_told_once),
		T(it_yields_when_others_want_the_cpu),
		T(nothing_enters_a_stunned_vm),
		T(a_second_vcpu_waits_for_sipi),
		T(a_state_from_outside_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
