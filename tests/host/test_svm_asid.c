/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_svm_asid.c - a TLB that remembers too much, and the tags that keep it honest (APM
 * vol. 2, "TLB Control").
 *
 * The model remembers for each tag who used it and when; a VMRUN with a tag that holds something
 * old is the mistake that no emulator shows.
 */
#include "tests/host/support.h"

#include "arch/x86_64/svm/svm_asid.h"

#define TAGS   16
#define VCPUS  40
#define STEPS  200000

struct line { unsigned vcpu; unsigned version; };
static struct line tlb[TAGS];                   /* version 0: nothing is remembered */
static struct asid asids[VCPUS];
static unsigned versions[VCPUS];                /* of what its tables say now */
static struct asid_pool pool;

/* Enter: what the CPU remembers under this tag must be this vCPU's, and of today. */
static void run(unsigned vcpu)
{
	enum tlb_control flush = asid_take(&pool, &asids[vcpu]);
	uint32_t tag = asids[vcpu].number;

	assert_in_range(tag, 1, TAGS - 1);
	for (unsigned i = 0; i < TAGS; i++)
		if (flush == TLB_FLUSH_ALL || (flush == TLB_FLUSH_ASID && i == tag))
			tlb[i].version = 0;
	if (tlb[tag].version) {
		assert_int_equal(tlb[tag].vcpu, vcpu);
		assert_int_equal(tlb[tag].version, versions[vcpu]);
	}
	tlb[tag] = (struct line){ vcpu, versions[vcpu] };
}

static void start(bool by_asid)
{
	for (unsigned i = 0; i < TAGS; i++)
		tlb[i] = (struct line){ 99, 7 };        /* what somebody left there */
	for (unsigned i = 0; i < VCPUS; i++) {
		asids[i] = (struct asid){ 0 };
		versions[i] = 1;
	}
	asid_pool_init(&pool, TAGS, by_asid);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

static void walk(bool by_asid)
{
	uint32_t seed = 1;

	start(by_asid);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned vcpu = next_random(&seed) % VCPUS;
		if (next_random(&seed) % 3 == 0) {
			versions[vcpu]++;
			asid_forget(&asids[vcpu]);
		}
		if (next_random(&seed) % 50 == 0)
			asid_leave(&asids[vcpu]);
		run(vcpu);
	}
}

static void nothing_old_is_ever_used(void **state)
{
	(void)state;
	walk(false);
	walk(true);
}

static void what_nobody_forgot_is_kept(void **state)
{
	(void)state;
	start(false);
	run(0);
	run(1);
	uint64_t flushes = pool.flushes;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(asid_take(&pool, &asids[0]), TLB_KEEP);
		assert_int_equal(asid_take(&pool, &asids[1]), TLB_KEEP);
	}
	assert_int_equal(pool.flushes, flushes);
	assert_int_not_equal(asids[0].number, asids[1].number);
}

/* One command or one fresh tag for each time that was asked for: the counter that proves it. */
static void each_request_is_one_flush(void **state)
{
	(void)state;
	for (unsigned by_asid = 0; by_asid < 2; by_asid++) {
		start(by_asid);
		run(0);
		uint32_t tag = asids[0].number;
		uint64_t flushes = pool.flushes;
		for (unsigned i = 1; i <= 5; i++) {
			asid_forget(&asids[0]);
			asid_forget(&asids[0]);
			enum tlb_control flush = asid_take(&pool, &asids[0]);
			assert_int_equal(pool.flushes, flushes + i);
			assert_int_equal(flush, by_asid ? TLB_FLUSH_ASID : TLB_KEEP);
		}
		assert_int_equal(asids[0].number, by_asid ? tag : tag + 5);
	}
}

/* With the last tag given out everything is flushed, and everybody takes a new one. */
static void a_new_generation_flushes_all(void **state)
{
	(void)state;
	start(false);
	assert_int_equal(asid_take(&pool, &asids[0]), TLB_FLUSH_ALL);   /* what others left */
	for (unsigned i = 1; i < TAGS - 1; i++)
		assert_int_equal(asid_take(&pool, &asids[i]), TLB_KEEP);
	uint64_t generation = pool.generation;
	assert_int_equal(asid_take(&pool, &asids[TAGS]), TLB_FLUSH_ALL);
	assert_int_equal(pool.generation, generation + 1);
	assert_int_equal(asids[TAGS].number, 1);
	assert_int_equal(asid_take(&pool, &asids[0]), TLB_KEEP);
	assert_int_equal(asids[0].number, 2);
}

/* The least that a CPU may have: one tag for guests, so every change of vCPU flushes. */
static void one_tag_is_enough(void **state)
{
	(void)state;
	start(false);
	asid_pool_init(&pool, 2, false);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(asid_take(&pool, &asids[i % 2]), TLB_FLUSH_ALL);
	assert_int_equal(asid_take(&pool, &asids[1]), TLB_KEEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_old_is_ever_used),
		cmocka_unit_test(what_nobody_forgot_is_kept),
		cmocka_unit_test(each_request_is_one_flush),
		cmocka_unit_test(a_new_generation_flushes_all),
		cmocka_unit_test(one_tag_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
