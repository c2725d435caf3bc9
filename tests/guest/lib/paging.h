/* SPDX-License-Identifier: MIT */
/*
 * lib/paging.h - single pages in a window of virtual addresses that start.S leaves unmapped.
 *
 * The window holds 2 MiB of 4 KiB pages at PAGING_WINDOW, and 512 MiB worth of 2 MiB pages at
 * PAGING_LARGE_WINDOW (SDM vol. 3, "4-Level Paging").
 */
#ifndef GUEST_PAGING_H
#define GUEST_PAGING_H

#include <stdint.h>

enum pte_bits {
	PTE_P = 1 << 0, PTE_W = 1 << 1, PTE_U = 1 << 2,
	PTE_A = 1 << 5, PTE_D = 1 << 6, PTE_PS = 1 << 7,
};
#define PTE_NX  (UINT64_C(1) << 63)

#define PAGING_WINDOW        (UINT64_C(8) << 30)
#define PAGING_LARGE_WINDOW  (UINT64_C(9) << 30)
#define PAGING_HUGE_WINDOW   (UINT64_C(10) << 30)

void paging_init(void);                          /* hangs the windows into the live tables   */
volatile uint64_t *paging_small(unsigned i);     /* entry of the i-th 4 KiB page, 0 to 511   */
volatile uint64_t *paging_large(unsigned i);     /* entry of the i-th 2 MiB page, 0 to 511   */
volatile uint64_t *paging_huge(void);            /* entry of one 1 GiB page                  */

#endif
