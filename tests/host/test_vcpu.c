/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vcpu.c - the run loop of a vCPU against a CPU on paper: what it delivers and
 * when, how long it lets the guest run, how it halts, yields, parks, and what travels.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "tests/host/vcpu_loop.h"
#include "vmm/kvmclock.h"

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

/* --- Time ------------------------------------------------------------------------------------- */

static void the_slice_ends_with_the_nearest_deadline(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++)
		fake_push(insn(EXIT_WBINVD, 2));
	vcpu_turn(v);
	assert_int_equal(fake_cpu.slice_tsc,
	                 support_now_ns + 10 * NS_PER_MS); /* nobody wants anything */

	fake_tasks.sched_deadline_ns = support_now_ns + NS_PER_MS;
	v->slice_stale = true;
	vcpu_turn(v);
	assert_int_equal(fake_cpu.slice_tsc, support_now_ns + NS_PER_MS);

	/* One shot in 50 us of VM time, by the APIC timer at divide by 1. */
	vlapic_write(&v->lapic, APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1, 0);
	v->lapic.lvt[VLAPIC_TIMER] = VECTOR;
	fake_cpu.nsteps = fake_cpu.next;
	v->gpr[GPR_RCX] = MSR_TSC_DEADLINE;
	v->lapic.lvt[VLAPIC_TIMER] = VECTOR | PUT(APIC_LVT_TIMER_MODE, APIC_TIMER_DEADLINE);
	uint64_t deadline = clock_guest_tsc(&vm->clock) + 50000;
	v->gpr[GPR_RAX] = (uint32_t)deadline;
	v->gpr[GPR_RDX] = deadline >> 32;
	fake_push((struct exit){ .kind = EXIT_MSR, .insn_len = 2, .msr = { .write = true } });
	fake_push(insn(EXIT_SLICE, 0));
	fake_push(insn(EXIT_WBINVD, 2));
	assert_int_equal(vcpu_turn(v), RESUME_NEXT);
	vcpu_turn(v);
	assert_int_equal(fake_cpu.slice_tsc, support_now_ns + 50000);
	assert_int_equal(fake_cpu.ninjected, 0);
	support_now_ns += 50000;
	vcpu_turn(v); /* it has come: the interrupt goes in */
	assert_int_equal(fake_cpu.ninjected, 1);
	assert_int_equal(fake_cpu.injected[0].vector, VECTOR);
}

static uint64_t shortest_ns;
static void note_the_slice(struct vcpu *one)
{
	uint64_t slice_ns = one->slice_tsc > support_now_ns ? one->slice_tsc - support_now_ns : 0;

	shortest_ns = MIN(shortest_ns, slice_ns);
	support_now_ns += slice_ns;
}

/* Polls that take longer than a turn, a sleeper that is due: the guest goes on all the same. */
static void others_that_are_late_leave_the_guest_a_slice(void **state)
{
	(void)state;
	shortest_ns = NEVER_NS;
	fake_tasks.sched_deadline_ns = support_now_ns - NS_PER_MS;
	for (int i = 0; i < 5; i++)
		fake_push_step((struct fake_step){ .x = insn(EXIT_SLICE, 0),
		                                   .before = note_the_slice });
	fake_run(vm, 0);
	assert_int_equal(fake_cpu.entries, 5 + 1);
	assert_int_equal(shortest_ns, 50 * NS_PER_US);
	assert_true(fake_tasks.yields >= 5);            /* and they get the CPU right after */
}

/* A guest that keeps changing its timer does not earn a new minimum each time. */
static void the_least_slice_is_of_the_turn_not_of_each_deadline(void **state)
{
	(void)state;
	v->least_ns = support_now_ns + 50 * NS_PER_US;
	fake_tasks.sched_deadline_ns = support_now_ns;
	for (int i = 0; i < 3; i++)
		fake_push(insn(EXIT_WBINVD, 2));
	uint64_t end = v->least_ns;
	for (int i = 0; i < 3; i++) {
		v->slice_stale = true;
		vcpu_turn(v);
		assert_int_equal(fake_cpu.slice_tsc, MAX(end, support_now_ns));
		support_now_ns += 30 * NS_PER_US;
	}
}

static void the_tsc_offset_follows_the_clock(void **state)
{
	(void)state;
	fake_push(insn(EXIT_WBINVD, 2));
	fake_push(insn(EXIT_WBINVD, 2));
	vcpu_turn(v);
	assert_int_equal(support_now_ns + fake_cpu.tsc_offset, clock_guest_tsc(&vm->clock));
	assert_int_equal(vm_pause(vm), OK);
	support_now_ns += 5 * NS_PER_S;
	assert_int_equal(vm_resume(vm), OK);
	vcpu_turn(v);
	assert_int_equal(support_now_ns + fake_cpu.tsc_offset, clock_guest_tsc(&vm->clock));
	assert_true(clock_guest_tsc(&vm->clock) < NS_PER_S);    /* the pause is not in it */
}

/* The guest's formula (Linux, pvclock). */
static uint64_t guest_reads_time(uint64_t at, uint64_t guest_tsc)
{
	struct {
		uint32_t version, pad;
		uint64_t tsc, ns;
		uint32_t mul;
		int8_t shift;
		uint8_t flags;
		uint8_t pad2[2];
	} r;

	mem_read(&vm->mem, gpa(at), &r, sizeof(r));
	assert_int_equal(r.version & 1, 0);
	uint64_t delta = guest_tsc - r.tsc;
	delta = r.shift >= 0 ? delta << r.shift : delta >> -r.shift;
	return r.ns + (uint64_t)((unsigned __int128)delta * r.mul >> 32);
}

static void kvmclock_says_vm_time_before_and_after_a_stop(void **state)
{
	uint32_t version[2];

	(void)state;
	assert_true(kvmclock_set_system_time(v, 0x7000 | KVM_SYSTEM_TIME_ENABLE));
	assert_false(kvmclock_set_system_time(v, 0x7fffffff00 | KVM_SYSTEM_TIME_ENABLE));
	support_now_ns += 123456789;
	assert_in_range(guest_reads_time(0x7000, clock_guest_tsc(&vm->clock)),
	                clock_now_ns(&vm->clock) - 1, clock_now_ns(&vm->clock));
	mem_read(&vm->mem, gpa(0x7000), &version[0], 4);
	assert_int_equal(vm_stun(vm), OK);
	support_now_ns += NS_PER_S;
	support_tsc_khz = 2000000;                              /* as if it had moved */
	vm_unstun(vm, 30 * NS_PER_MS);
	support_now_ns += 55555;
	assert_in_range(guest_reads_time(0x7000, clock_guest_tsc(&vm->clock)),
	                clock_now_ns(&vm->clock) - 2, clock_now_ns(&vm->clock));
	mem_read(&vm->mem, gpa(0x7000), &version[1], 4);
	assert_true(version[1] > version[0]);
	uint64_t dirty = 0;
	for (uint64_t i = 0; i < vm->mem.ram_pages / 64; i++)
		dirty |= i == 7 / 64 ? vm->mem.soft_dirty[i] & BIT(7) : 0;
	assert_true(dirty);                                     /* a migration will send the page */
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
	uint64_t from = vm->trace.next, rip = v->rip, flushes = vm->flushes;
	assert_int_equal(vcpu_turn(v), RESUME_SAME);
	assert_int_equal(v->rip, rip);
	assert_int_equal(vm->flushes, flushes + 1);
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

static void it_yields_when_others_want_the_cpu(void **state)
{
	(void)state;
	fake_push(insn(EXIT_CPUID, 2));
	fake_push(insn(EXIT_CPUID, 2));
	sched_wanted = true;
	fake_run(vm, 0);
	assert_true(fake_tasks.yields >= 1);
}

static uint64_t ran_ns;

static void use_the_whole_slice(struct vcpu *one)
{
	assert_true(one->slice_tsc > support_now_ns);
	ran_ns += one->slice_tsc - support_now_ns;
	support_now_ns = one->slice_tsc;
}

static void a_throttled_vm_runs_in_a_part_of_the_time(void **state)
{
	uint64_t begin_ns = support_now_ns;

	(void)state;
	for (int i = 0; i < 10; i++)
		fake_push_step((struct fake_step){ .x = insn(EXIT_SLICE, 0),
		                                   .before = use_the_whole_slice });
	ran_ns = 0;
	vm_throttle(vm, 750);
	fake_run(vm, 0);
	assert_int_equal(ran_ns, 10 * 5 * NS_PER_MS);                   /* a quarter of it  */
	assert_int_equal(support_now_ns - begin_ns, 200 * NS_PER_MS);
	assert_int_equal(fake_tasks.waits, 10 + 1);     /* the last at the end of the script */
}

static void a_throttle_that_is_taken_off_is_forgotten(void **state)
{
	uint64_t begin_ns = support_now_ns;

	(void)state;
	for (int i = 0; i < 4; i++)
		fake_push_step((struct fake_step){ .x = insn(EXIT_SLICE, 0),
		                                   .before = use_the_whole_slice });
	vm_throttle(vm, VM_THROTTLE_MAX);
	vm_throttle(vm, 0);
	fake_run(vm, 0);
	assert_int_equal(support_now_ns - begin_ns, 40 * NS_PER_MS);
	assert_int_equal(fake_tasks.waits, 1);
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
		T(the_slice_ends_with_the_nearest_deadline),
		T(others_that_are_late_leave_the_guest_a_slice),
		T(the_least_slice_is_of_the_turn_not_of_each_deadline),
		T(the_tsc_offset_follows_the_clock),
		T(kvmclock_says_vm_time_before_and_after_a_stop),
		T(a_vendor_learns_when_data_of_others_was_used),
		T(code_is_split_where_large_leaves_must_not_run_it),
		T(hlt_sleeps_until_the_timer),
		T(hlt_with_a_pending_interrupt_does_not_sleep),
		T(it_yields_when_others_want_the_cpu),
		T(a_throttled_vm_runs_in_a_part_of_the_time),
		T(a_throttle_that_is_taken_off_is_forgotten),
		T(nothing_enters_a_stunned_vm),
		T(a_second_vcpu_waits_for_sipi),
		T(a_state_from_outside_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
