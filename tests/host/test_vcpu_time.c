/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vcpu_time.c - the run loop of a vCPU and time: how long it lets the guest run,
 * what the guest's clocks say, and what a throttle takes away.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/msr.h"
#include "tests/host/vcpu_loop.h"
#include "vmm/kvmclock.h"

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
	assert_int_equal(v->holds, 10 + 1);             /* vm_throttle() kicked: one ends early */
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
	assert_int_equal(v->holds, 0);
}

/* On a host of another rate that cannot scale, RDTSC says what the guest was told to expect. */
static void rdtsc_keeps_its_rate_on_another_host(void **state)
{
	struct exit rdtscp = insn(EXIT_RDTSC, 3);

	(void)state;
	assert_false(v->tsc_exits);
	assert_int_equal(vm_stun(vm), OK);
	support_tsc_khz = 2000000;
	vm_unstun(vm, 0);
	assert_true(v->tsc_exits);
	assert_true(v->tsc_changed);
	uint64_t before = clock_guest_tsc(&vm->clock);
	support_now_ns += NS_PER_S;
	v->tsc_adjust = 5;
	v->state.msr[CPU_MSR_TSC_AUX] = 0x1234;
	v->gpr[GPR_RCX] = 99;
	fake_push(insn(EXIT_RDTSC, 2));
	vcpu_turn(v);
	uint64_t tsc = v->gpr[GPR_RDX] << 32 | v->gpr[GPR_RAX];
	assert_in_range(tsc, before + 1000000004, before + 1000000006);
	assert_int_equal(v->gpr[GPR_RCX], 99);
	rdtscp.rdtsc.aux = true;
	fake_push(rdtscp);
	vcpu_turn(v);
	assert_int_equal(v->gpr[GPR_RCX], 0x1234);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		T(the_slice_ends_with_the_nearest_deadline),
		T(others_that_are_late_leave_the_guest_a_slice),
		T(the_least_slice_is_of_the_turn_not_of_each_deadline),
		T(the_tsc_offset_follows_the_clock),
		T(kvmclock_says_vm_time_before_and_after_a_stop),
		T(rdtsc_keeps_its_rate_on_another_host),
		T(a_throttled_vm_runs_in_a_part_of_the_time),
		T(a_throttle_that_is_taken_off_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
