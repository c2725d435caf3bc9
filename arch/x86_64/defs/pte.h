/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/pte.h - page-table entries of 4-level paging (SDM vol. 3, "4-Level Paging and
 * 5-Level Paging"), and the error code of a page fault.
 */
#ifndef DEFS_PTE_H
#define DEFS_PTE_H

#include "lib/types.h"

#define PTE_PRESENT     BIT(0)
#define PTE_WRITE       BIT(1)
#define PTE_USER        BIT(2)
#define PTE_PWT         BIT(3)
#define PTE_PCD         BIT(4)
#define PTE_ACCESSED    BIT(5)
#define PTE_DIRTY       BIT(6)
#define PTE_LARGE       BIT(7)          /* PDPTE: 1 GiB leaf, PDE: 2 MiB leaf         */
#define PTE_PAT_4K      BIT(7)          /* the same bit in a PTE chooses the PAT half */
#define PTE_GLOBAL      BIT(8)
#define PTE_PAT_LARGE   BIT(12)
#define PTE_NX          BIT(63)
#define PTE_ADDRESS     MASK(51, 12)

#define PTE_COUNT       512             /* entries in a table of any level            */
#define PTE_INDEX_BITS  9

#define PF_PRESENT      BIT(0)          /* a protection violation, not a missing page */
#define PF_WRITE        BIT(1)
#define PF_USER         BIT(2)
#define PF_RESERVED     BIT(3)
#define PF_FETCH        BIT(4)

#endif
