/* SPDX-License-Identifier: MIT */
/* lib/pattern.c - see the header; used by guests that are migrated while they run. */
#include "lib/guest.h"
#include "lib/pattern.h"

enum { WORDS = 512, FIRST_STRIDE = 40503 };
#define STEP  UINT64_C(0x9e3779b97f4a7c15)

static uint64_t *page_at(const struct pattern *p, uint64_t number)
{
	return (uint64_t *)(uintptr_t)(p->first + number * PAGE_SIZE);
}

static uint64_t first_word(const uint64_t *page, uint32_t generation)
{
	return (uint64_t)(uintptr_t)page / PAGE_SIZE * STEP ^ (uint64_t)generation << 32;
}

static void fill(struct pattern *p, uint64_t number, uint32_t generation)
{
	uint64_t *page = page_at(p, number), word = first_word(page, generation);

	for (unsigned i = 0; i < WORDS; i++, word += STEP)
		page[i] = word;
	p->generations[number] = generation;
}

static void verify(const struct pattern *p, uint64_t number)
{
	uint64_t *page = page_at(p, number), word = first_word(page, p->generations[number]);

	for (unsigned i = 0; i < WORDS; i++, word += STEP)
		CHECK(page[i] == word, "page %lx word %u of generation %u holds %lx, not %lx",
		      (uint64_t)(uintptr_t)page, i, p->generations[number], page[i], word);
}

static uint64_t divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

void pattern_start(struct pattern *p)
{
	p->stride = FIRST_STRIDE;
	while (divisor(p->stride, p->count) != 1)
		p->stride++;                     /* coprime: every page gets its turn */
	for (uint64_t n = 0; n < p->count; n++)
		fill(p, n, 0);
}

void pattern_rewrite(struct pattern *p, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++) {
		verify(p, p->cursor);
		fill(p, p->cursor, p->generations[p->cursor] + 1);
		p->cursor = (p->cursor + p->stride) % p->count;
		p->written++;
	}
}

void pattern_verify(const struct pattern *p)
{
	for (uint64_t n = 0; n < p->count; n++)
		verify(p, n);
}
