/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_virtq.c - the driver's side of a virtqueue against our own device's side, and
 * against a device that lies; each test names its section of virtio 1.2.
 */
#include "tests/host/devtest.h"

#include "drivers/virtq.h"
#include "lib/pages.h"
#include "vmm/dev/vring.h"

#define RAM_BYTES   (4 * MIB)
#define QUEUE_AT    0x10000ull          /* guest-physical: the device sees RAM by mem_*() */
#define BUFFERS_AT  0x100000ull
#define BUFFER_LEN  64u

static struct mem mem;
static struct virtq q;
static struct vring r;
static uint8_t *memory;                 /* the queue's, as the driver sees it */

static int give_memory(void **unused_state)
{
	void *host = NULL;

	(void)unused_state;
	if (posix_memalign(&host, FRAME_SIZE, 4 * FRAME_SIZE))
		return -1;
	pages_add_region(ptr_hpa(host), 4 * FRAME_SIZE);
	return mem_create(&mem, RAM_BYTES);
}

static uint64_t guest_address(const volatile void *p)
{
	return QUEUE_AT + (uint64_t)((const volatile uint8_t *)p - memory);
}

/* Both sides of one queue; all of its buffers are the driver's, for the device to write. */
static void fresh(uint16_t size)
{
	uint64_t run;

	mem_fill(&mem, gpa(0), 0, RAM_BYTES);
	memory = mem_poke(&mem, gpa(QUEUE_AT), VIRTQ_BYTES(VIRTQ_BUFFERS_MAX), &run);
	assert_true(run >= VIRTQ_BYTES(VIRTQ_BUFFERS_MAX));
	virtq_init(&q, memory, size);
	for (unsigned i = 0; i < size; i++)
		virtq_buffer(&q, i, BUFFERS_AT + i * BUFFER_LEN, BUFFER_LEN, VIRTQ_DESC_WRITE);
	r = (struct vring){ .mem = &mem };
	vring_reset(&r);
	r.size = size;
	r.desc = guest_address(q.desc);
	r.avail = guest_address(q.avail);
	r.used = guest_address(q.used);
	assert_int_equal(vring_start(&r), OK);
}

static uint16_t *used_word(unsigned at)
{
	return (uint16_t *)(uintptr_t)(q.used + at);
}

static struct virtq_used *used_entry(unsigned i)
{
	return (struct virtq_used *)(uintptr_t)(q.used + VIRTQ_ENTRIES) + i;
}

/* "Split Virtqueues": buffers go round and round, in any order, past the wrap of both indices. */
static void round_trips(uint16_t size)
{
	static struct vring_chain c[2];
	unsigned i;
	uint32_t len;

	fresh(size);
	for (unsigned n = 0; n < 70000; n++) {
		unsigned first = 2 * n % size, second = (2 * n + 1) % size;

		virtq_give(&q, first);
		if (second != first)
			virtq_give(&q, second);
		virtq_publish(&q);
		for (unsigned k = 0; k < (second != first ? 2 : 1); k++)
			assert_int_equal(vring_take(&r, &c[k]), OK);
		assert_int_equal(c[0].head, first);
		assert_int_equal(c[0].piece[0].addr.v, BUFFERS_AT + first * BUFFER_LEN);
		assert_int_equal(c[0].write_len, BUFFER_LEN);
		for (unsigned k = second != first ? 2 : 1; k-- > 0; )    /* not in order */
			vring_give(&r, &c[k], n % BUFFER_LEN);
		assert_int_equal(virtq_waiting(&q), second != first ? 2 : 1);
		assert_true(virtq_take(&q, &i, &len));
		assert_int_equal(i, second);
		assert_int_equal(len, n % BUFFER_LEN);
		if (second != first)
			assert_true(virtq_take(&q, &i, &len));
		assert_int_equal(q.nout, 0);
	}
}

TEST(virtq, buffers_go_round)
{
	static const uint16_t sizes[] = { 1, 2, 64, 256 };

	for (unsigned i = 0; i < COUNT(sizes); i++)
		round_trips(sizes[i]);
}

TEST(virtq, notifies_when_asked)        /* "Available Buffer Notification Suppression" */
{
	static struct vring_chain c;

	fresh(8);
	assert_false(virtq_publish(&q));                /* nothing new */
	virtq_give(&q, 0);
	assert_true(virtq_publish(&q));
	assert_int_equal(vring_take(&r, &c), OK);
	vring_want_kicks(&r, false);
	virtq_give(&q, 1);
	assert_false(virtq_publish(&q));
	assert_true(vring_want_kicks(&r, true));        /* told that one came meanwhile */
	assert_int_equal(vring_take(&r, &c), OK);
	virtq_give(&q, 2);
	virtq_give(&q, 3);
	assert_true(virtq_publish(&q));
}

TEST(virtq, interrupts_when_asked)      /* "Used Buffer Notification Suppression" */
{
	static struct vring_chain c;
	unsigned i;
	uint32_t len;

	fresh(8);
	for (unsigned k = 0; k < 8; k++)
		virtq_give(&q, k);
	virtq_publish(&q);
	assert_false(virtq_want_interrupts(&q, false));
	vring_take(&r, &c);
	vring_give(&r, &c, 1);
	assert_false(vring_should_interrupt(&r));
	assert_true(virtq_want_interrupts(&q, true));   /* one is there already */
	assert_true(virtq_take(&q, &i, &len));
	assert_false(virtq_want_interrupts(&q, true));
	vring_take(&r, &c);
	vring_give(&r, &c, 1);
	assert_true(vring_should_interrupt(&r));
}

/* Every lie about a used buffer is noticed before anything is done with it. */
TEST(virtq, a_device_that_lies)         /* "The Virtqueue Used Ring" */
{
	static const struct { uint32_t id; const char *lie; } lies[] = {
		{ 8, "behind the queue" }, { UINT32_MAX, "far behind it" },
		{ 0x10001, "its low half is right" }, { 3, "never given" },
	};
	unsigned i;
	uint32_t len;

	for (unsigned k = 0; k < COUNT(lies); k++) {
		fresh(8);
		virtq_give(&q, 1);
		virtq_publish(&q);
		*used_entry(0) = (struct virtq_used){ lies[k].id, 1 };
		*used_word(VIRTQ_IDX) = 1;
		assert_int_equal(virtq_waiting(&q), 1);
		assert_false(virtq_take(&q, &i, &len));
		assert_int_equal(q.nout, 1);
	}
	fresh(8);
	virtq_give(&q, 1);
	virtq_publish(&q);
	*used_entry(0) = *used_entry(1) = (struct virtq_used){ 1, 1 };
	*used_word(VIRTQ_IDX) = 2;
	assert_true(virtq_take(&q, &i, &len));
	assert_false(virtq_take(&q, &i, &len));         /* the same again */
}

TEST(virtq, untake_takes_again)
{
	static struct vring_chain c;
	unsigned i;
	uint32_t len;

	fresh(4);
	virtq_give(&q, 2);
	virtq_publish(&q);
	vring_take(&r, &c);
	vring_give(&r, &c, 7);
	assert_true(virtq_take(&q, &i, &len));
	virtq_untake(&q, i);
	assert_int_equal(virtq_waiting(&q), 1);
	assert_true(virtq_take(&q, &i, &len));
	assert_int_equal(i, 2);
	assert_int_equal(len, 7);
	assert_panics(virtq_untake(&q, 2); virtq_give(&q, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(virtq, buffers_go_round), CASE(virtq, notifies_when_asked),
		CASE(virtq, interrupts_when_asked), CASE(virtq, a_device_that_lies),
		CASE(virtq, untake_takes_again),
	};

	return cmocka_run_group_tests(tests, give_memory, NULL);
}
