/* SPDX-License-Identifier: MIT */
/*
 * tests/host/vcpu_loop.h - a running VM with two vCPUs on a CPU on paper: what tests of the run
 * loop begin with.
 */
#ifndef TESTS_HOST_VCPU_LOOP_H
#define TESTS_HOST_VCPU_LOOP_H

#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/cr.h"
#include "tests/host/fake_guest.h"

#define VECTOR 0x41

static struct vm *vm;
static struct vcpu *v;

static inline int fresh(void **state)
{
	(void)state;
	fake_guest_reset();
	vm = fake_vm(2);
	v = vm->vcpu[0];
	assert_int_equal(vm_start(vm), OK);
	v->lapic.svr |= APIC_SVR_ENABLE;
	v->rflags |= RFLAGS_IF;
	v->irq_blocked = false;
	return 0;
}

static inline int done(void **state)
{
	(void)state;
	fake_guest_end();
	return 0;
}

static inline struct exit insn(enum exit_kind kind, uint8_t len)
{
	return (struct exit){ .kind = kind, .insn_len = len };
}

/* One turn. */
static inline enum resume vcpu_turn(struct vcpu *one)
{
	one->attention = true;
	return vcpu_turns(one);
}

static inline void send(uint8_t vector)
{
	vcpu_apic_message(v, &(struct apic_msg){ .vector = vector });
}

#endif
