/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_bus.c - who answers a port or an address (vmm/bus.c), the trace ring, images.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "lib/pages.h"
#include "vmm/bus.h"
#include "vmm/image.h"
#include "vmm/trace.h"

/* A device that remembers. */
struct box { uint64_t addr, value, deadline; unsigned size, reads, writes; uint8_t mem[16]; };

static uint64_t box_read(void *dev, const struct access *a)
{
	struct box *b = dev;

	b->reads++;
	b->addr = a->addr;
	b->size = a->size;
	return ~0ull << 32 | b->mem[a->addr % 16];
}

static void box_write(void *dev, const struct access *a, uint64_t value)
{
	struct box *b = dev;

	b->writes++;
	b->addr = a->addr;
	b->size = a->size;
	b->value = value;
	b->mem[a->addr % 16] = (uint8_t)value;
}

static uint64_t box_deadline(const void *dev)
{
	return ((const struct box *)dev)->deadline;
}

static const struct dev_ops box_ops = { .name = "box", .read = box_read, .write = box_write };
static const struct dev_ops timer_ops = {
	.name = "timer", .read = box_read, .write = box_write, .deadline = box_deadline
};

static struct bus bus;
static struct box one, two;

static int fresh(void **state)
{
	(void)state;
	bus_init(&bus);
	memset(&one, 0, sizeof(one));
	memset(&two, 0, sizeof(two));
	return 0;
}

static uint64_t in(uint16_t port, uint8_t size)
{
	return bus_read(&bus, BUS_IO, &(struct access){ .addr = port, .size = size });
}

static void out(uint16_t port, uint8_t size, uint64_t value)
{
	bus_write(&bus, BUS_IO, &(struct access){ .addr = port, .size = size }, value);
}

static void nobody_reads_as_ones(void **state)
{
	(void)state;
	assert_int_equal(in(0x80, 1), 0xff);
	assert_int_equal(in(0x80, 4), 0xffffffff);
	out(0x80, 1, 0);
	assert_true(bus.unclaimed >= 3);
}

static void each_range_finds_its_device(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++)       /* in an order that is not sorted */
		assert_int_equal(bus_map(&bus, BUS_IO, 0x100 + (i * 7 % 20) * 0x10, 8, &box_ops,
		                         i % 2 ? &one : &two),
		                 OK);
	assert_int_equal(bus_map(&bus, BUS_MMIO, 0x100, 8, &box_ops, &one), OK);
	for (unsigned i = 0; i < 20; i++) {
		struct box *owner = i % 2 ? &one : &two;
		uint16_t port = (uint16_t)(0x100 + (i * 7 % 20) * 0x10);
		unsigned before = owner->writes;
		out((uint16_t)(port + 7), 1, i);
		assert_int_equal(owner->writes, before + 1);
		assert_int_equal(owner->addr, port + 7);
		assert_int_equal(in((uint16_t)(port + 8), 1), 0xff);
	}
}

static void values_are_cut_to_the_access(void **state)
{
	(void)state;
	bus_map(&bus, BUS_IO, 0x100, 8, &box_ops, &one);
	out(0x100, 1, 0x12345678);
	assert_int_equal(one.value, 0x78);
	assert_int_equal(in(0x100, 4), 0x78);
	assert_int_equal(bus_read(&bus, BUS_IO, &(struct access){ .addr = 0x100, .size = 8 }),
	                 ~0ull << 32 | 0x78);
}

static void an_access_across_devices_is_split(void **state)
{
	(void)state;
	bus_map(&bus, BUS_IO, 0x70, 1, &box_ops, &one);
	bus_map(&bus, BUS_IO, 0x71, 1, &box_ops, &two);
	out(0x70, 2, 0xbbaa);
	assert_int_equal(one.value, 0xaa);
	assert_int_equal(two.value, 0xbb);
	assert_int_equal(two.addr, 0x71);
	assert_int_equal(in(0x70, 4), 0xffffbbaa);
}

static void overlaps_and_too_many_are_refused(void **state)
{
	(void)state;
	assert_int_equal(bus_map(&bus, BUS_IO, 0x100, 0x10, &box_ops, &one), OK);
	assert_int_equal(bus_map(&bus, BUS_IO, 0x10f, 1, &box_ops, &two), ERR_EXISTS);
	assert_int_equal(bus_map(&bus, BUS_IO, 0xf8, 9, &box_ops, &two), ERR_EXISTS);
	assert_int_equal(bus_map(&bus, BUS_IO, 0x80, 0x200, &timer_ops, &two), ERR_EXISTS);
	assert_non_null(strstr(err_reason(), "overlaps box"));
	assert_int_equal(bus_map(&bus, BUS_IO, 0xf8, 8, &box_ops, &two), OK);
	assert_int_equal(bus_map(&bus, BUS_IO, 0x500, 0, &box_ops, &two), ERR_BAD_ARGUMENT);
	for (unsigned i = 2; i < BUS_RANGES_MAX; i++)
		assert_int_equal(bus_map(&bus, BUS_IO, 0x1000 + i, 1, &box_ops, &one), OK);
	assert_int_equal(bus_map(&bus, BUS_IO, 0x5000, 1, &box_ops, &one), ERR_NO_MEMORY);
	bus_unmap(&bus, BUS_IO, 0x100, &one);
	assert_int_equal(in(0x100, 1), 0xff);
	assert_int_equal(bus_map(&bus, BUS_IO, 0x5000, 1, &box_ops, &one), OK);
}

/* Who answered last is asked first: not after the ranges have moved. */
static void ranges_that_come_and_go_are_noticed(void **state)
{
	(void)state;
	bus_map(&bus, BUS_IO, 0x200, 8, &box_ops, &one);
	bus_map(&bus, BUS_IO, 0x300, 8, &box_ops, &two);
	out(0x300, 1, 1);
	out(0x300, 1, 2);
	bus_map(&bus, BUS_IO, 0x100, 8, &box_ops, &one);
	out(0x300, 1, 3);
	assert_int_equal(two.writes, 3);
	bus_unmap(&bus, BUS_IO, 0x300, &two);
	assert_int_equal(in(0x300, 1), 0xff);
	out(0x200, 1, 1);
	assert_int_equal(one.writes, 1);
	assert_int_equal(two.reads, 0);
	bus_unmap(&bus, BUS_IO, 0x100, &one);
	bus_unmap(&bus, BUS_IO, 0x200, &one);
	assert_int_equal(in(0, 1), 0xff); /* an empty table answers nothing, not even at 0 */
}

static void an_access_brings_the_deadline_nearer_but_not_farther(void **state)
{
	(void)state;
	bus_map(&bus, BUS_IO, 0x40, 4, &timer_ops, &one);
	bus_map(&bus, BUS_IO, 0x60, 4, &box_ops, &two);
	one.deadline = 1000;
	out(0x60, 1, 0);
	assert_int_equal(bus.deadline_ns, NEVER_NS);
	out(0x40, 1, 0);
	assert_int_equal(bus.deadline_ns, 1000);
	one.deadline = 2000;
	in(0x40, 1);
	assert_int_equal(bus.deadline_ns, 1000);
}

/* --- Trace ------------------------------------------------------------------------------------ */

static void the_trace_keeps_the_latest(void **state)
{
	static struct trace_record ring[TRACE_RECORDS];
	struct trace_record got[8];
	struct trace t;
	uint64_t from = 0;

	(void)state;
	trace_init(&t, ring);
	assert_int_equal(trace_read(&t, &from, got, 8), 0);
	for (uint64_t i = 0; i < TRACE_RECORDS + 3; i++) {
		support_now_ns = i;
		trace_add(&t, TRACE_VM_EXIT, 1, i, 0);
	}
	assert_int_equal(trace_read(&t, &from, got, 8), 8);
	assert_int_equal(got[0].a, 3);
	assert_int_equal(got[0].tsc, 3);
	assert_int_equal(from, 11);
	from = TRACE_RECORDS + 1;
	assert_int_equal(trace_read(&t, &from, got, 8), 2);
	assert_int_equal(got[1].a, TRACE_RECORDS + 2);
	from = UINT64_MAX;
	assert_int_equal(trace_read(&t, &from, got, 8), 0);
	assert_int_equal(from, TRACE_RECORDS + 3);
}

/* --- Images ----------------------------------------------------------------------------------- */

static void uploads_appear_when_they_are_complete(void **state)
{
	struct image_upload *u;
	uint64_t free_before = pages_stats().frames_free;

	(void)state;
	assert_int_equal(image_upload_begin("linux-6.1", 10, &u), OK);
	assert_int_equal(image_upload_write(u, "01234", 5), OK);
	assert_null(image_find("linux-6.1"));
	assert_int_equal(image_upload_write(u, "567890", 6), ERR_BAD_ARGUMENT);
	assert_int_equal(image_upload_write(u, "56789", 5), OK);
	assert_int_equal(image_upload_end(u), OK);
	assert_memory_equal(image_find("linux-6.1")->data, "0123456789", 10);
	assert_int_equal(image_upload_begin("linux-6.1", 3, &u), OK);
	assert_int_equal(image_upload_write(u, "new", 3), OK);
	assert_int_equal(image_upload_end(u), OK);
	assert_int_equal(image_find("linux-6.1")->size, 3);
	assert_int_equal(image_upload_begin("half", 3, &u), OK);
	assert_int_equal(image_upload_end(u), ERR_BAD_ARGUMENT);
	assert_int_equal(image_delete("linux-6.1"), OK);
	assert_int_equal(image_delete("linux-6.1"), ERR_NOT_FOUND);
	assert_int_equal(pages_stats().frames_free, free_before);
}

static void boot_modules_stay(void **state)
{
	(void)state;
	assert_int_equal(image_add("kernel", "abc", 3), OK);
	assert_int_equal(image_add("kernel", "abc", 3), ERR_EXISTS);
	assert_int_equal(image_delete("kernel"), ERR_BUSY);
	assert_string_equal(image_find("kernel")->name, "kernel");
}

static void bad_uploads_are_refused(void **state)
{
	struct image_upload *u;

	(void)state;
	assert_int_equal(image_upload_begin("", 1, &u), ERR_BAD_ARGUMENT);
	assert_int_equal(image_upload_begin("a/b", 1, &u), ERR_BAD_ARGUMENT);
	assert_int_equal(image_upload_begin("empty", 0, &u), ERR_BAD_ARGUMENT);
	assert_int_equal(image_upload_begin("large", UINT64_MAX, &u), ERR_BAD_ARGUMENT);
	assert_int_equal(image_upload_begin("large", 1 * GIB, &u), ERR_NO_MEMORY);
}

static int memory(void **state)
{
	void *ram = aligned_alloc(FRAME_SIZE, 16 * MIB);

	(void)state;
	pages_add_region(ptr_hpa(ram), 16 * MIB);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nobody_reads_as_ones, fresh),
		cmocka_unit_test_setup(each_range_finds_its_device, fresh),
		cmocka_unit_test_setup(values_are_cut_to_the_access, fresh),
		cmocka_unit_test_setup(an_access_across_devices_is_split, fresh),
		cmocka_unit_test_setup(overlaps_and_too_many_are_refused, fresh),
		cmocka_unit_test_setup(ranges_that_come_and_go_are_noticed, fresh),
		cmocka_unit_test_setup(an_access_brings_the_deadline_nearer_but_not_farther, fresh),
		cmocka_unit_test(the_trace_keeps_the_latest),
		cmocka_unit_test(uploads_appear_when_they_are_complete),
		cmocka_unit_test(boot_modules_stay),
		cmocka_unit_test(bad_uploads_are_refused),
	};

	return cmocka_run_group_tests(tests, memory, NULL);
}
