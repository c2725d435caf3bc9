/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vm_long.c - what others may do while a VM is being made, booted or reset, which
 * takes long: nothing half made is found, and nothing is pulled from under who works on it.
 */
#include "tests/host/support.h"

#include <string.h>

#include "lib/pages.h"
#include "tests/host/fake_guest.h"
#include "vmm/image.h"

static struct vm *the_vm;
static unsigned meanwhile;

#define IN_ITS_RAM 50                   /* breaths: its own structures are zeroed first */

/* RAM is being zeroed: the name is taken, but nobody finds the VM. */
static void create_it_again(void)
{
	struct vm_config c = fake_config("slow", 1);
	struct vm *vm;

	if (++meanwhile < IN_ITS_RAM)
		return;
	fake_tasks.on_breath = NULL;            /* what we do takes long, too */
	assert_int_equal(vm_create(&c, &vm), ERR_EXISTS);
	assert_null(vm_find("slow"));
	assert_null(vm_at(0));
}

static void a_vm_that_is_being_made_cannot_be_found_or_made_twice(void **state)
{
	struct vm_config c = fake_config("slow", 1);
	uint64_t used = pages_stats().pages_used;
	struct vm *vm;

	(void)state;
	c.ram_bytes = 16 * MIB;
	meanwhile = 0;
	fake_tasks.on_breath = create_it_again;
	assert_int_equal(vm_create(&c, &vm), OK);
	assert_int_equal(meanwhile, IN_ITS_RAM);
	assert_ptr_equal(vm_find("slow"), vm);
	assert_int_equal(vm->bytes_used, (pages_stats().pages_used - used) * PAGE_SIZE);
}

static hpa_t stolen[32];
static unsigned nstolen;

static void steal_memory(void)
{
	if (++meanwhile < IN_ITS_RAM)
		return;
	fake_tasks.on_breath = NULL;
	while (nstolen < COUNT(stolen) && frame_alloc(&stolen[nstolen]) == OK)
		nstolen++;
}

static void memory_that_others_take_meanwhile_leaves_nothing_half_made(void **state)
{
	struct vm_config c = fake_config("slow", 1);
	struct vm *vm;

	(void)state;
	c.ram_bytes = 16 * MIB;
	meanwhile = nstolen = 0;
	fake_tasks.on_breath = steal_memory;
	assert_int_equal(vm_create(&c, &vm), ERR_NO_MEMORY);
	assert_null(vm_find("slow"));
	while (nstolen > 0)
		frame_free(stolen[--nstolen]);
	assert_int_equal(vm_create(&c, &vm), OK);
}

/* Payloads are being copied. */
static void everybody_asks(void)
{
	fake_tasks.on_breath = NULL;
	meanwhile++;
	assert_true(the_vm->loading);
	assert_int_equal(vm_start(the_vm), ERR_BUSY);
	assert_int_equal(vm_delete(the_vm), ERR_BUSY);
	assert_non_null(strstr(err_reason(), "being booted"));
	assert_int_equal(vm_pause(the_vm), ERR_BUSY);
	assert_int_equal(image_delete("payload"), ERR_BUSY);
}

static void a_vm_that_is_being_booted_stays(void **state)
{
	struct image_upload *u;
	struct vm *vm = fake_vm(1);

	(void)state;
	assert_int_equal(image_upload_begin("payload", 1, &u), OK);
	image_upload_write(u, "x", 1);
	assert_int_equal(image_upload_end(u), OK);
	the_vm = vm;
	meanwhile = 0;
	fake_tasks.on_breath = everybody_asks;
	assert_int_equal(vm_start(vm), OK);
	assert_int_equal(meanwhile, 1);
	assert_int_equal(vm->run, VM_RUNNING);
	assert_int_equal(image_delete("payload"), OK);
}

static void pull_the_plug(void)
{
	fake_tasks.on_breath = NULL;
	meanwhile++;
	assert_true(the_vm->reset_wanted);      /* no vCPU goes in while it is half loaded */
	assert_int_equal(the_vm->inside, 1);    /* a migration that stuns it waits for us  */
	assert_int_equal(vm_pause(the_vm), ERR_BUSY);
	assert_int_equal(vm_stop(the_vm, "enough"), OK);
}

static void a_reset_can_be_stopped_while_payloads_are_loaded(void **state)
{
	struct vm *vm = fake_vm(1);

	(void)state;
	assert_int_equal(vm_start(vm), OK);
	the_vm = vm;
	meanwhile = 0;
	fake_tasks.on_breath = pull_the_plug;
	vm_reset(vm, "the test wants it");
	assert_int_equal(meanwhile, 1);
	assert_int_equal(vm->run, VM_STOPPED);
	assert_string_equal(vm->why, "enough");
	assert_false(vm->reset_wanted);
	assert_int_equal(vm->inside, 0);
	assert_false(fake_gate_open);
	assert_int_equal(vm_start(vm), OK);
}

static void long_copies_let_others_run(void **state)
{
	static uint8_t bytes[MIB];
	struct vm *vm = fake_vm(1);
	unsigned before = fake_tasks.breaths;
	uint8_t last;

	(void)state;
	memset(bytes, 7, sizeof(bytes));
	assert_int_equal(mem_load(&vm->mem, gpa(MIB + 5), bytes, sizeof(bytes)), OK);
	assert_int_equal(fake_tasks.breaths - before, MIB / TASK_STEP_BYTES);
	assert_int_equal(mem_read(&vm->mem, gpa(2 * MIB + 4), &last, 1), OK);
	assert_int_equal(last, 7);
	assert_int_equal(mem_clear(&vm->mem, gpa(MIB), 2 * MIB), OK);
	assert_int_equal(mem_read(&vm->mem, gpa(2 * MIB + 4), &last, 1), OK);
	assert_int_equal(last, 0);
	/* Not a byte of what does not fit. */
	assert_int_equal(mem_load(&vm->mem, gpa(7 * MIB + 1), bytes, sizeof(bytes)),
	                 ERR_BAD_ARGUMENT);
	assert_int_equal(mem_clear(&vm->mem, gpa(7 * MIB + 1), MIB), ERR_BAD_ARGUMENT);
	assert_int_equal(mem_read(&vm->mem, gpa(7 * MIB + 1), &last, 1), OK);
	assert_int_equal(last, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fake_fresh, fake_done)
	const struct CMUnitTest tests[] = {
		T(a_vm_that_is_being_made_cannot_be_found_or_made_twice),
		T(memory_that_others_take_meanwhile_leaves_nothing_half_made),
		T(a_vm_that_is_being_booted_stays),
		T(a_reset_can_be_stopped_while_payloads_are_loaded),
		T(long_copies_let_others_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
