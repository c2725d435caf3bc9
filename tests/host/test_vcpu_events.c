/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vcpu_events.c - what the run loop of a vCPU delivers and when: interrupts,
 * exceptions, NMIs, windows, and devices that act in between.
 */
#include "tests/host/support.h"

#include <string.h>

#include "tests/host/vcpu_loop.h"

/* --- Delivery --------------------------------------------------------------------------------- */

static void an_interrupt_is_injected_once(void **state)
{
	(void)state;
	fake_push(insn(EXIT_WBINVD, 2));
	fake_push(insn(EXIT_WBINVD, 2));
	send(VECTOR);
	vcpu_turn(v);
	assert_int_equal(fake_cpu.ninjected, 1);
	assert_int_equal(fake_cpu.injected[0].type, EVENT_IRQ);
	assert_int_equal(fake_cpu.injected[0].vector, VECTOR);
	vcpu_turn(v);
	assert_int_equal(fake_cpu.ninjected, 1);
	assert_false(v->irq_check);
}

static void give_a_fault(struct vcpu *one)
{
	vcpu_raise_error(one, VECTOR_GP, 0);
}

static void the_order_is_again_exception_nmi_interrupt(void **state)
{
	(void)state;
	fake_push_step((struct fake_step){ .x = insn(EXIT_WBINVD, 2), .before = give_a_fault });
	for (int i = 1; i < 4; i++)
		fake_push(insn(EXIT_WBINVD, 2));
	send(VECTOR);
	v->nmi_pending = true;
	v->again = (struct inject){ .type = EVENT_SOFT_IRQ, .vector = 0x80, .insn_len = 2 };
	for (int i = 0; i < 4; i++) {
		vcpu_turn(v);
		assert_int_equal(fake_cpu.ninjected, i + 1);            /* one an entry */
		assert_int_equal(fake_cpu.window, i < 3); /* while the interrupt waits */
	}
	assert_int_equal(fake_cpu.injected[0].vector, 0x80);
	assert_int_equal(fake_cpu.injected[1].vector, VECTOR_GP);
	assert_true(fake_cpu.injected[1].has_error);
	assert_int_equal(fake_cpu.injected[2].type, EVENT_NMI);
	assert_int_equal(fake_cpu.injected[3].vector, VECTOR);
}

/* SDM vol. 3, "Interrupt 8 - Double Fault Exception": all pairs are in test_fault.c. */
static void a_fault_about_an_event_on_its_way_in_takes_its_place(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		fake_push(insn(EXIT_WBINVD, 2));
	v->again = (struct inject){ .type = EVENT_IRQ, .vector = 0x80 };
	vcpu_raise_error(v, VECTOR_GP, 0x402);
	vcpu_turn(v);
	assert_int_equal(fake_cpu.injected[0].vector, VECTOR_GP);
	v->again = fake_cpu.injected[0];                        /* its delivery fails as well */
	vcpu_raise_error(v, VECTOR_SS, 0);
	vcpu_turn(v);
	assert_int_equal(fake_cpu.injected[1].vector, VECTOR_DF);
	assert_int_equal(fake_cpu.ninjected, 2);
	v->again = fake_cpu.injected[1];
	vcpu_raise_error(v, VECTOR_PF, 0);
	assert_int_equal(vcpu_turn(v), RESUME_STOP);
	assert_int_equal(fake_cpu.ninjected, 2);
	assert_int_equal(fake_cpu.entries, 2);                  /* the third was not entered */
	assert_int_equal(vm->run, VM_FAILED);
	assert_non_null(strstr(vm->why, "triple fault"));
}

/* There is no instruction to emulate: RIP is where the interrupt came. */
static void a_delivery_that_needs_what_is_not_ram_is_not_emulated(void **state)
{
	(void)state;
	v->again = (struct inject){ .type = EVENT_IRQ, .vector = 0x80 };
	assert_int_equal(exit_dispatch(v, &(struct exit){ .kind = EXIT_FAULT,
	                 .fault = { .addr = gpa(0xe0000000), .write = true } }), RESUME_STOP);
	assert_non_null(strstr(vm->why, "delivery of vector 128 goes to 0xe0000000"));
}

static void a_blocked_interrupt_asks_for_a_window(void **state)
{
	(void)state;
	fake_push(insn(EXIT_IRQ_WINDOW, 0));
	fake_push(insn(EXIT_WBINVD, 2));
	v->irq_blocked = true;
	send(VECTOR);
	vcpu_turn(v);
	assert_int_equal(fake_cpu.ninjected, 0);
	assert_true(fake_cpu.window);
	vcpu_turn(v);                                           /* the window is open now */
	assert_int_equal(fake_cpu.ninjected, 1);
	assert_false(fake_cpu.window);
}

static void an_nmi_in_the_shadow_of_sti_waits_and_wakes_from_hlt(void **state)
{
	(void)state;
	fake_push(insn(EXIT_WBINVD, 2));
	fake_push(insn(EXIT_IRQ_WINDOW, 0));
	fake_push(insn(EXIT_WBINVD, 2));
	v->nmi_pending = true;
	fake_cpu.sti_shadow = true;
	vcpu_turn(v);
	assert_int_equal(fake_cpu.ninjected, 0);
	assert_true(v->nmi_pending);                            /* a halted vCPU would wake */
	assert_true(fake_cpu.window);
	fake_cpu.sti_shadow = false;
	vcpu_turn(v);
	assert_int_equal(fake_cpu.ninjected, 1);
	assert_int_equal(fake_cpu.injected[0].type, EVENT_NMI);
	assert_false(v->nmi_pending);
	vcpu_turn(v);
	assert_false(fake_cpu.window);
}

static unsigned ticks;
static uint64_t nosy_deadline(const void *dev) { (void)dev; return ticks < 2 ? 0 : NEVER_NS; }
static void nosy_tick(void *dev, uint64_t now_ns)
{
	(void)dev;
	(void)now_ns;
	ticks++;
	assert_int_equal(vm->inside, 1);
}

/* Also when its vCPU halts: what a device sends may be a request to start this very VM. */
static void devices_run_inside_of_the_vm(void **state)
{
	static const struct dev_ops nosy = { .name = "nosy", .deadline = nosy_deadline,
		                             .tick = nosy_tick };
	struct machine_dev before = vm->machine.dev[0];

	(void)state;
	ticks = 0;
	vm->machine.dev[0].ops = &nosy;
	fake_push(insn(EXIT_HLT, 1));
	fake_run(vm, 0);
	vm->machine.dev[0] = before;
	assert_int_equal(ticks, 2);
	assert_int_equal(vm->inside, 0);
}

static void look_at_the_other(struct vcpu *one)
{
	vcpu_state_fetch(one->vm->vcpu[1]);
}

/* As a request to the control service does that comes in a frame of this very guest. */
static void a_handler_that_looks_at_another_vcpu_does_no_harm(void **state)
{
	(void)state;
	fake_push_step((struct fake_step){ .x = insn(EXIT_WBINVD, 2),
	                                   .before = look_at_the_other });
	fake_push(insn(EXIT_WBINVD, 2));
	fake_run(vm, 0);
	assert_int_equal(fake_cpu.entries, 3);                  /* enter() asserts */
}

static void an_idle_path_asks_nobody_for_a_window(void **state)
{
	unsigned before = fake_cpu.windows;

	(void)state;
	for (int i = 0; i < 10; i++)
		fake_push(insn(EXIT_CPUID, 2));
	for (int i = 0; i < 10; i++)
		vcpu_turn(v);
	assert_int_equal(fake_cpu.windows, before);
}

static void the_8259_passes_through_lint0(void **state)
{
	struct vpic *pic = &vm->machine.pic;

	(void)state;
	for (int i = 0; i < 3; i++)
		fake_push(insn(EXIT_WBINVD, 2));
	/* ICW1 to ICW4: vectors 0x20; then all lines but 0 masked. */
	static const struct {
		uint16_t port;
		uint8_t value;
	} init[] = { { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 }, { 0x21, 0xfe } };
	for (unsigned i = 0; i < COUNT(init); i++)
		bus_write(&vm->bus, BUS_IO, &(struct access){ .addr = init[i].port, .size = 1 },
		          init[i].value);
	vpic_set_line(pic, 0, true);
	vcpu_turn(v);
	assert_int_equal(fake_cpu.injected[0].vector, 0x20);
	/* With LINT0 masked it does not pass. */
	bus_write(&vm->bus, BUS_IO, &(struct access){ .addr = 0x20, .size = 1 }, 0x20);
	v->lapic.lvt[VLAPIC_LINT0] |= APIC_LVT_MASKED;
	vpic_set_line(pic, 0, false);
	vpic_set_line(pic, 0, true);
	vcpu_turn(v);
	assert_int_equal(fake_cpu.ninjected, 1);
}

#define GDT_AT      0x2000
#define TSS_AT      0x3000
#define SEL_TSS     0x20
#define TSS_EIP     8                   /* in words of 32 bits */
#define TSS_EFLAGS  9
#define TSS_ES      18
#define TSS_WORDS   26

static void prepare_a_task(void)
{
	static const uint64_t gdt[] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff,
	                                0x0000890000000067 | (uint64_t)TSS_AT << 16 };
	uint32_t tss[TSS_WORDS] = { [TSS_EIP] = 0x200000, [TSS_EFLAGS] = RFLAGS_ONE };

	for (unsigned seg = 0; seg < 6; seg++)
		tss[TSS_ES + seg] = seg == SEG_CS ? 0x10 : 0x18;
	mem_write(&vm->mem, gpa(GDT_AT), gdt, sizeof(gdt));
	mem_write(&vm->mem, gpa(TSS_AT), tss, sizeof(tss));
	vcpu_state_fetch(v);
	v->state.gdtr_base = GDT_AT;
	v->state.gdtr_limit = sizeof(gdt) - 1;
	vcpu_state_apply(v);
}

/* All about the switch itself is in test_tss.c. */
static void an_event_through_a_task_gate_is_delivered_by_the_switch(void **state)
{
	const struct exit x = { .kind = EXIT_TASK,
	                        .task = { .selector = SEL_TSS, .cause = TASK_EVENT } };

	(void)state;
	prepare_a_task();
	v->again = (struct inject){ .type = EVENT_NMI, .vector = VECTOR_NMI };
	assert_int_equal(exit_dispatch(v, &x), RESUME_SAME);
	assert_int_equal(v->again.type, EVENT_NONE);
	assert_int_equal(v->exception.type, EVENT_NONE);
	assert_int_equal(v->rip, 0x200000);
	vcpu_state_fetch(v);
	assert_int_equal(v->state.block_nmi, 1);                /* until its IRET */
	v->again = (struct inject){ .type = EVENT_EXCEPTION, .vector = VECTOR_DF };
	assert_int_equal(exit_dispatch(v, &x), RESUME_SAME);    /* it is busy now */
	assert_int_equal(v->exception.vector, VECTOR_GP);
	assert_int_equal(v->exception.error, SEL_TSS | 1);
	assert_int_equal(v->again.vector, VECTOR_DF);
	assert_int_equal(vcpu_turn(v), RESUME_STOP);
	assert_non_null(strstr(vm->why, "triple fault"));
}

/* SDM vol. 3, "Control Registers": bits 63:4 are reserved, and the exit comes before the check. */
static void cr8_takes_four_bits(void **state)
{
	struct exit x = { .kind = EXIT_CR8, .insn_len = 4,
	                  .cr8 = { .write = true, .gpr = GPR_R9 } };
	uint64_t rip = v->rip;

	(void)state;
	v->gpr[GPR_R9] = 5;
	fake_push(x);
	fake_push(x);
	assert_int_equal(vcpu_turn(v), RESUME_NEXT);
	assert_int_equal(vlapic_cr8(&v->lapic), 5);
	v->gpr[GPR_R9] = 0x12;
	assert_int_equal(vcpu_turn(v), RESUME_SAME);
	assert_int_equal(v->exception.vector, VECTOR_GP);
	assert_int_equal(vlapic_cr8(&v->lapic), 5);
	assert_int_equal(v->rip, rip + 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		T(an_interrupt_is_injected_once),
		T(the_order_is_again_exception_nmi_interrupt),
		T(a_fault_about_an_event_on_its_way_in_takes_its_place),
		T(a_delivery_that_needs_what_is_not_ram_is_not_emulated),
		T(a_blocked_interrupt_asks_for_a_window),
		T(an_nmi_in_the_shadow_of_sti_waits_and_wakes_from_hlt),
		T(a_handler_that_looks_at_another_vcpu_does_no_harm),
		T(devices_run_inside_of_the_vm),
		T(an_idle_path_asks_nobody_for_a_window),
		T(the_8259_passes_through_lint0),
		T(cr8_takes_four_bits),
		T(an_event_through_a_task_gate_is_delivered_by_the_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
