/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_dirty.c - no write is lost, on a model of the meanest CPU that the manual allows.
 *
 * The model (SDM vol. 3, "Accessed and Dirty Flags for EPT" and "Caching Translation Information")
 * keeps every translation until a flush: a page whose dirty bit it has once set is written without
 * looking at the tables again, and a level-2 entry that it has once used is not marked accessed
 * again.  Another CPU of the guest writes before and after every flush, so the two steps of a
 * harvest race with it.  At the end the copy must be equal to the original.
 *
 * Leaving out any flush, or copying too early, must make this test find a lost page: so says the
 * second half, which breaks the protocol in each way and expects the loss.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bitmap.h"
#include "lib/pages.h"
#include "vmm/guest_mode.h"
#include "vmm/vm.h"

#define POOL_BYTES  (32 * MIB)
#define GUEST_BYTES (8 * MIB)
#define GUEST_PAGES (GUEST_BYTES / PAGE_SIZE)
#define FRAMES      (GUEST_BYTES / FRAME_SIZE)
#define ROUNDS      12
#define SEEDS       20

static const struct s2_format ept = {
	.read = BIT(0), .write = BIT(1), .exec = BIT(2), .leaf = BIT(7),
	.accessed = BIT(8), .dirty = BIT(9), .ram_type = 6 << 3,
};
static const struct s2_format no_ad = {
	.read = BIT(0), .write = BIT(1), .exec = BIT(2), .leaf = BIT(7), .ram_type = 6 << 3,
};

/* --- The CPU -------------------------------------------------------------------------------- */

enum cached { NOT_CACHED, MAY_READ, MAY_WRITE };

static struct vm *vm;
static struct {
	enum cached page[GUEST_PAGES];
	/* paging-structure cache: the table behind a level-2 entry */
	uint64_t   *leaves[FRAMES];
	/* a large leaf is cached, dirty                            */
	bool        large[FRAMES];
} tlb;
static uint64_t random_state;
/* skip_every 2, skip_phase 0: every first of two, and so on */
static unsigned flushes, skip_every;
static unsigned skip_phase;
static bool other_cpu;
/* where the guest works now; the rest is left alone */
static uint64_t hot_frame;

static uint64_t random_below(uint64_t n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 33) % n;
}

static uint64_t *level2(uint64_t index)
{
	uint64_t *table = hpa_ptr(vm->s2.root), a = index * PAGE_SIZE;

	for (unsigned shift = 39; shift > 21; shift -= 9)
		table = (uint64_t *)(table[a >> shift & 511] & MASK(51, 12));
	return &table[a >> 21 & 511];
}

static void cpu_access(uint64_t index, bool write)
{
	const struct s2_format *f = vm->s2.fmt;
	uint64_t frame = index / PAGES_PER_FRAME, *large = level2(index);

	if (tlb.large[frame] || tlb.page[index] == MAY_WRITE ||
	    (tlb.page[index] == MAY_READ && !write))
		return;
	if (!tlb.leaves[frame]) {
		*large |= f->accessed;
		if (*large & f->leaf) {
			*large |= f->dirty;
			tlb.large[frame] = true;
			return;
		}
		tlb.leaves[frame] = (uint64_t *)(*large & MASK(51, 12));
	}
	uint64_t *leaf = &tlb.leaves[frame][index % PAGES_PER_FRAME];
	if (write && !(*leaf & f->write)) {
		/* a fault forgets what it used for this address */
		tlb.leaves[frame] = NULL;
		tlb.page[index] = NOT_CACHED;
		assert_true(stage2_fault_dirty(&vm->s2, &vm->mem, gpa(index * PAGE_SIZE)));
		cpu_access(index, write);
		return;
	}
	*leaf |= f->accessed | (write ? f->dirty : 0);
	tlb.page[index] = write ? MAY_WRITE : MAY_READ;
}

static void cpu_write(uint64_t index)
{
	static uint64_t value;

	cpu_access(index, true);
	((uint64_t *)(uintptr_t)mem_page(&vm->mem, index))[3] = ++value;
}

/*
 * Mostly a working set, sometimes anywhere in the frame; some reads; some writes by the host,
 * anywhere.
 */
static void work(unsigned n)
{
	while (n-- > 0) {
		uint64_t near = random_below(40) * 12, far = random_below(PAGES_PER_FRAME);
		uint64_t first = hot_frame * PAGES_PER_FRAME;
		cpu_write(first + (random_below(4) ? near : far));
		cpu_access(first + random_below(PAGES_PER_FRAME), false);
		if (!random_below(8)) {
			uint64_t word = random_below(1000000), at = random_below(GUEST_BYTES - 8);
			assert_int_equal(mem_write(&vm->mem, gpa(at), &word, sizeof(word)), OK);
		}
	}
}

/* In place of vmm/guest_mode.c, which gives other CPUs no chance to race: here they have every. */
void guest_mode_flush(struct vm *of)
{
	assert_ptr_equal(of, vm);
	if (other_cpu)
		work(5);
	if (!skip_every || flushes % skip_every != skip_phase)
		memset(&tlb, 0, sizeof(tlb));
	flushes++;
	vm->tlb.flushes++;
	if (other_cpu && random_below(2))               /* it may also stop working here for good */
		work(5);
}

/* --- A migration ---------------------------------------------------------------------------- */

static int give_pool(void **state)
{
	(void)state;
	pages_add_region(ptr_hpa(aligned_alloc(FRAME_SIZE, POOL_BYTES)), POOL_BYTES);
	return 0;
}

static void make_vm(const struct s2_format *f, uint64_t seed)
{
	vm = calloc(1, sizeof(*vm));
	memset(&tlb, 0, sizeof(tlb));
	random_state = seed;
	hot_frame = 0;
	flushes = 0;
	assert_int_equal(mem_create(&vm->mem, GUEST_BYTES), OK);
	assert_int_equal(stage2_create(&vm->s2, f), OK);
	assert_int_equal(stage2_map_ram(&vm->s2, &vm->mem), OK);
}

static void unmake_vm(void)
{
	stage2_destroy(&vm->s2);
	mem_destroy(&vm->mem);
	free(vm);
}

enum order { FLUSH_THEN_COPY, COPY_THEN_HARVEST };

/* Returns how many pages differ at the end: pages lost. */
static unsigned migrate(const struct s2_format *f, uint64_t seed, enum order order)
{
	uint64_t todo[BITMAP_WORDS(GUEST_PAGES)];
	unsigned lost = 0;

	make_vm(f, seed);
	uint8_t *copy = calloc(GUEST_PAGES, PAGE_SIZE);
	work(50);
	assert_int_equal(dirty_start(vm), OK);
	memset(todo, 0xff, sizeof(todo));
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool last = round == ROUNDS - 1;
		other_cpu = !last;
		if (order == FLUSH_THEN_COPY)
			dirty_harvest(vm, todo);
		for (uint64_t i = 0; i < GUEST_PAGES; i++) {
			if (!bitmap_test(todo, i))
				continue;
			memcpy(copy + i * PAGE_SIZE, mem_page(&vm->mem, i), PAGE_SIZE);
			bitmap_clear(todo, i);
		}
		hot_frame = round * FRAMES / ROUNDS;
		if (!last)
			work(60);
		if (order == COPY_THEN_HARVEST) {
			work(last ? 0 : 10);
			dirty_harvest(vm, todo);
		}
	}
	for (uint64_t i = 0; i < GUEST_PAGES; i++)
		lost += memcmp(copy + i * PAGE_SIZE, mem_page(&vm->mem, i), PAGE_SIZE) != 0;
	dirty_stop(vm);
	free(copy);
	unmake_vm();
	return lost;
}

static unsigned lost_over_seeds(const struct s2_format *f, enum order order)
{
	unsigned lost = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		lost += migrate(f, seed, order);
	return lost;
}

static void no_page_is_lost(void **state)
{
	(void)state;
	skip_every = 0;
	assert_int_equal(lost_over_seeds(&ept, FLUSH_THEN_COPY), 0);
	assert_int_equal(lost_over_seeds(&no_ad, FLUSH_THEN_COPY), 0);
}

/* dirty_start() flushes twice, and so does each harvest. */
static void without_the_flush_between_the_steps_pages_are_lost(void **state)
{
	(void)state;
	skip_every = 2;
	skip_phase = 0;
	assert_true(lost_over_seeds(&ept, FLUSH_THEN_COPY) > 0);
	skip_every = 0;
}

static void without_the_flush_after_the_steps_pages_are_lost(void **state)
{
	(void)state;
	skip_every = 2;
	skip_phase = 1;
	assert_true(lost_over_seeds(&ept, FLUSH_THEN_COPY) > 0);
	assert_true(lost_over_seeds(&no_ad, FLUSH_THEN_COPY) > 0);
	skip_every = 0;
}

static void copying_before_the_last_harvest_loses_pages(void **state)
{
	(void)state;
	assert_true(lost_over_seeds(&ept, COPY_THEN_HARVEST) > 0);
}

/* --- What the functions promise ------------------------------------------------------------- */

static void harvest_is_the_union_and_counts_each_page_once(void **state)
{
	(void)state;
	uint64_t todo[BITMAP_WORDS(GUEST_PAGES)] = { 0 };

	make_vm(&ept, 1);
	other_cpu = false;
	assert_int_equal(mem_write(&vm->mem, gpa(0), "old", 3), OK);
	assert_int_equal(dirty_start(vm), OK);
	assert_int_equal(vm->tlb.flushes, 2);
	assert_int_equal(dirty_harvest(vm, todo), 0);           /* all clean after start */
	assert_int_equal(vm->tlb.flushes, 4);
	cpu_write(3);
	cpu_write(600);
	cpu_access(4, false);
	assert_int_equal(mem_write(&vm->mem, gpa(3 * PAGE_SIZE), "x", 1), OK);  /* both writers */
	assert_int_equal(mem_write(&vm->mem, gpa(9 * PAGE_SIZE), "x", 1), OK);
	assert_int_equal(dirty_harvest(vm, todo), 3);
	assert_int_equal(bitmap_weight(todo, GUEST_PAGES), 3);
	cpu_write(3);                                           /* still in todo: not added again */
	cpu_write(5);
	assert_int_equal(dirty_harvest(vm, todo), 1);
	dirty_stop(vm);
	assert_int_equal(vm->tlb.flushes, 10);
	assert_false(vm->s2.tracking);
	/* a second migration begins afresh */
	assert_int_equal(dirty_start(vm), OK);
	memset(todo, 0, sizeof(todo));
	assert_int_equal(dirty_harvest(vm, todo), 0);
	cpu_write(77);
	assert_int_equal(dirty_harvest(vm, todo), 1);
	unmake_vm();
}

static void a_failed_start_is_flushed_too(void **state)
{
	(void)state;
	static hpa_t hoard[POOL_BYTES / PAGE_SIZE];
	unsigned n = 0;

	make_vm(&ept, 1);
	other_cpu = false;
	while (page_alloc(&hoard[n]) == OK)
		n++;
	page_free(hoard[--n]);
	assert_int_equal(dirty_start(vm), ERR_NO_MEMORY);
	assert_int_equal(vm->tlb.flushes, 2);
	assert_false(vm->s2.tracking);
	while (n > 0)
		page_free(hoard[--n]);
	unmake_vm();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_page_is_lost),
		cmocka_unit_test(without_the_flush_between_the_steps_pages_are_lost),
		cmocka_unit_test(without_the_flush_after_the_steps_pages_are_lost),
		cmocka_unit_test(copying_before_the_last_harvest_loses_pages),
		cmocka_unit_test(harvest_is_the_union_and_counts_each_page_once),
		cmocka_unit_test(a_failed_start_is_flushed_too),
	};
	return cmocka_run_group_tests_name("dirty", tests, give_pool, NULL);
}
