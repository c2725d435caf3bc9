/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_guest_mode.c - CPUs that go in and out of guests while others fetch and flush.
 *
 * Each of the other CPUs is a coroutine that runs the real code of vmm/guest_mode.h and lib/cpu.h;
 * CPU 0 is the test.  Whenever one waits, or stands where on a machine anything could come between,
 * chance says who goes on.  A guest here never leaves by itself: a kick that is lost shows as a CPU
 * that nobody sees again.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "lib/time.h"
#include "vmm/guest_mode.h"
#include "vmm/vm.h"

#define OTHERS        3
#define SEEDS         150
#define ACTIONS       40
#define STACK_BYTES   (256 * KIB)
#define STEPS_MAX     200               /* until a CPU that is left alone has done what it should */
#define STEP_NS       NS_PER_US

static struct other {
	ucontext_t uc;
	struct host_cpu *cpu;
	struct vcpu *v;
	bool     irq, nmi;              /* wait to be taken */
	bool     deaf;                  /* only an NMI brings it out, as Bochs has it at times */
	bool     stuck;                 /* nothing does */
	bool     inside;
	uint64_t seen;                  /* flushes behind it when it went in */
	unsigned handled;               /* kicks that it has noticed */
	unsigned hard;                  /* pokes of that kind */
	uint8_t  stack[STACK_BYTES];
} others[OTHERS];

static ucontext_t test_context;
static struct other *running;           /* NULL: the test, on CPU 0 */
static struct vm *vm;
static uint64_t must_have_seen;         /* a guest that runs must have gone in after so many */
static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (random_state >> 33) % n;
}

/* --- The machine ------------------------------------------------------------------------------ */

static void step(struct other *o)
{
	running = o;
	support_cpu = o->cpu;
	swapcontext(&test_context, &o->uc);
	running = NULL;
	support_cpu = host_cpus;
}

/* Anything may come between here. */
static void gap(void)
{
	if (running) {
		swapcontext(&running->uc, &test_context);
		return;
	}
	support_now_ns += STEP_NS;
	for (uint64_t n = random_below(2 * OTHERS); n > 0; n--)
		step(&others[random_below(OTHERS)]);
}

static void poked(const struct host_cpu *c, bool hard)
{
	struct other *o = &others[c->number - 1];

	gap();
	*(hard ? &o->nmi : &o->irq) = true;
	o->hard += hard;
	gap();
}

/* What every CPU's vendor does at the next entry. */
static void flush(struct vm *of)
{
	assert_ptr_equal(of, vm);
	of->tlb.done[cpu_here()->number]++;
}

static const struct virt_ops ops = { .name = "paper", .s2_flush = flush };

static void run_guest(struct other *o)
{
	while (o->stuck || !(o->nmi || (o->irq && !o->deaf))) {
		o->inside = true;
		assert_true(o->seen >= must_have_seen);
		gap();
	}
	o->inside = o->irq = o->nmi = false;
}

/* A CPU's life: in and out of its guest until somebody wants something of the vCPU. */
static void live(void)
{
	struct other *o = running;

	for (;;) {
		host_lock_take();
		o->v->on = o->cpu;
		while (!o->v->attention) {
			guest_mode_prepare(vm, o->cpu);
			o->seen = vm->tlb.flushes;
			guest_mode_enter(vm, o->cpu);
			gap();                          /* it is about to go in */
			run_guest(o);
			gap();                          /* it is out, and still counts as inside */
			guest_mode_leave(o->cpu);
		}
		o->v->attention = false;
		o->handled++;
		o->v->on = NULL;
		host_lock_drop();
		gap();
	}
}

static void begin_other(struct other *o, unsigned number)
{
	memset(o, 0, offsetof(struct other, stack));
	o->cpu = &host_cpus[number];
	*o->cpu = (struct host_cpu){ .self = o->cpu, .number = number };
	o->v = calloc(1, sizeof(*o->v));
	o->v->vm = vm;
	getcontext(&o->uc);
	o->uc.uc_stack.ss_sp = o->stack;
	o->uc.uc_stack.ss_size = STACK_BYTES;
	makecontext(&o->uc, live, 0);
}

static int begin(void **state)
{
	(void)state;
	vm = calloc(1, sizeof(*vm));
	vm->tlb.flushes = 1;
	virt = &ops;
	cpus_online = OTHERS + 1;
	host_lock = (struct host_lock){ .next = 1 };
	must_have_seen = 0;
	support_poked = poked;
	support_paused = gap;
	for (unsigned i = 0; i < OTHERS; i++)
		begin_other(&others[i], i + 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OTHERS; i++)
		free(others[i].v);
	free(vm);
	return 0;
}

/* --- What the hypervisor does, on CPU 0 ------------------------------------------------------- */

/* Every CPU is inside its guest. */
static void settle(void)
{
	unsigned n = 0;

	host_lock_drop();
	for (unsigned i = 0; i < OTHERS; i++)
		while (!others[i].inside) {
			step(&others[i]);
			assert_true(n++ < STEPS_MAX);
		}
	host_lock_take();
}

static void flush_all(void)
{
	guest_mode_flush(vm);
	must_have_seen = vm->tlb.flushes;
	for (unsigned i = 0; i < OTHERS; i++) {
		assert_false(others[i].inside);
		assert_ptr_not_equal(others[i].cpu->away, vm);
	}
	for (uint64_t n = random_below(4); n > 0; n--)
		gap();                          /* tables and pages are read: nobody may come in */
	for (unsigned i = 0; i < OTHERS; i++)
		assert_false(others[i].inside);
}

/* The vCPU notices, and nobody has to ask twice. */
static void kick(struct other *o)
{
	unsigned handled = o->handled, n = 0;

	o->v->attention = true;
	guest_mode_kick(o->v);
	host_lock_drop();
	while (o->handled == handled) {
		gap();
		assert_true(n++ < STEPS_MAX);
	}
	host_lock_take();
}

/* As GET /v1/vms/VM tells it, and at any time. */
static void each_flush_that_was_owed_was_done(void)
{
	const struct tlb *t = &vm->tlb;

	for (unsigned c = 1; c <= OTHERS; c++)
		assert_int_equal(t->done[c], t->owed[c] + (t->flushed[c] == t->flushes));
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void no_kick_is_lost_and_nobody_stays_inside(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(state);
		random_state = seed;
		for (unsigned i = 0; i < ACTIONS; i++) {
			struct other *o = &others[random_below(OTHERS)];

			switch (random_below(3)) {
			case 0: flush_all(); break;
			case 1: kick(o); break;
			default:
				host_lock_drop();
				gap();
				host_lock_take();
			}
			each_flush_that_was_owed_was_done();
		}
		end(state);
	}
}

static void a_flush_counts_who_was_inside(void **state)
{
	(void)state;
	settle();
	flush_all();
	flush_all();                            /* nobody has been inside since */
	for (unsigned c = 1; c <= OTHERS; c++) {
		assert_int_equal(vm->tlb.fetched[c], 1);
		assert_int_equal(vm->tlb.owed[c], 1);
		assert_int_equal(vm->tlb.done[c], 1);
	}
	settle();
	for (unsigned c = 1; c <= OTHERS; c++)
		assert_int_equal(vm->tlb.done[c], 2);
}

static void who_hears_no_interrupt_is_fetched_by_an_nmi(void **state)
{
	(void)state;
	others[1].deaf = true;
	settle();
	uint64_t began = support_now_ns;
	flush_all();
	assert_true(others[1].hard >= 1);
	assert_true(support_now_ns - began < NS_PER_MS);
}

static void who_never_comes_out_is_named(void **state)
{
	(void)state;
	settle();
	others[2].stuck = true;
	assert_panics(guest_mode_flush(vm));
	assert_non_null(strstr(support_panic_text, "CPU 3 did not come out of VM"));
}

static void a_cpu_that_is_not_inside_is_not_poked(void **state)
{
	(void)state;
	vm->config.name[0] = 'x';
	others[0].cpu->away = cpu_halted;
	host_cpus[2].away = NULL;
	others[0].v->on = others[0].cpu;
	guest_mode_kick(others[0].v);
	guest_mode_flush(vm);
	for (unsigned i = 0; i < OTHERS; i++)
		assert_false(others[i].irq || others[i].nmi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_kick_is_lost_and_nobody_stays_inside),
		cmocka_unit_test_setup_teardown(a_flush_counts_who_was_inside, begin, end),
		cmocka_unit_test_setup_teardown(who_hears_no_interrupt_is_fetched_by_an_nmi, begin,
		                                end),
		cmocka_unit_test_setup_teardown(a_cpu_that_is_not_inside_is_not_poked, begin, end),
		cmocka_unit_test_setup_teardown(who_never_comes_out_is_named, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
