/* SPDX-License-Identifier: MIT */
/* lib/paging.c - see the header; the caller writes entries and flushes. */
#include "lib/guest.h"
#include "lib/layout.h"
#include "lib/paging.h"

extern uint64_t page_pdpt[];

static uint64_t small_pd[512] __attribute__((aligned(4096)));
static uint64_t small_pt[512] __attribute__((aligned(4096)));
static uint64_t large_pd[512] __attribute__((aligned(4096)));

void paging_init(void)
{
	page_pdpt[PAGING_WINDOW >> 30] = (uint64_t)(uintptr_t)small_pd | PTE_PRESENT_WRITE;
	page_pdpt[PAGING_LARGE_WINDOW >> 30] = (uint64_t)(uintptr_t)large_pd | PTE_PRESENT_WRITE;
	small_pd[0] = (uint64_t)(uintptr_t)small_pt | PTE_PRESENT_WRITE;
}

volatile uint64_t *paging_small(unsigned i)
{
	return &small_pt[i];
}

volatile uint64_t *paging_large(unsigned i)
{
	return &large_pd[i];
}

volatile uint64_t *paging_huge(void)
{
	return &page_pdpt[PAGING_HUGE_WINDOW >> 30];
}
