/* SPDX-License-Identifier: MIT */
/*
 * vmm/pagewalk.h - a guest's linear addresses to guest-physical ones (SDM vol. 3, "Paging"):
 * none, 32-bit, PAE and 4-level paging.
 *
 * The guest's tables are read entry by entry with mem_read(); they may change while we look.
 */
#ifndef VMM_PAGEWALK_H
#define VMM_PAGEWALK_H

#include "vmm/cpu_state.h"
#include "vmm/insn_decode.h"
#include "vmm/mem.h"

enum walk_access { WALK_READ, WALK_WRITE, WALK_FETCH };

/*
 * Translate.  False: a page fault with `*error` as its error code.  Sets accessed and dirty bits,
 * as the CPU would have done.  Privilege is that of mode->cpl; SMAP, SMEP and protection keys are
 * not looked at.
 */
bool pagewalk(struct mem *m, const struct cpu_mode *mode, uint64_t linear, enum walk_access access,
              gpa_t *out, uint32_t *error);

/*
 * Copies by linear address, across page ends.  False: `*fault` is the linear address that faults,
 * `*error` the code.  A page outside RAM counts as not present.  A write is of up to PAGE_SIZE
 * bytes and happens as a whole or not at all.
 */
bool pagewalk_read(struct mem *m, const struct cpu_mode *mode, uint64_t linear, void *to,
                   uint64_t len, enum walk_access access, uint64_t *fault, uint32_t *error);
bool pagewalk_write(struct mem *m, const struct cpu_mode *mode, uint64_t linear, const void *from,
                    uint64_t len, uint64_t *fault, uint32_t *error);

/*
 * The page where code was found last, and the entries by which: as long as each of them says the
 * same in the same mode, a walk would end there again.  All zero: nothing is remembered.
 */
struct pagewalk_memo {
	uint64_t cr0, cr3, cr4, efer;
	uint8_t  cpl;
	uint64_t page;                  /* linear                                              */
	uint64_t reach;                 /* its first bytes, where a whole instruction has room */
	const volatile uint64_t *at[4]; /* in the guest's memory, where all of them stay; ...  */
	uint64_t entry[4];              /* ... above a large page's, `at` leads to `entry`     */
	const uint8_t *code;
};

/*
 * Where the instruction at `linear` is, in 4-level paging under this CR3; NULL: a walk would tell.
 * Read anew at each exit: a guest may change its tables whenever it likes.
 */
static inline const uint8_t *pagewalk_recall(const struct pagewalk_memo *memo, uint64_t cr3,
                                             uint64_t linear)
{
	uint64_t offset = linear - memo->page;

	if (offset >= memo->reach || memo->cr3 != cr3 || *memo->at[0] != memo->entry[0] ||
	    *memo->at[1] != memo->entry[1] || *memo->at[2] != memo->entry[2] ||
	    *memo->at[3] != memo->entry[3])
		return NULL;
	return memo->code + offset;
}

/* The bytes at CS:rip, up to a page that cannot be read; returns how many. */
unsigned pagewalk_code(struct mem *m, const struct cpu_mode *mode, uint64_t rip,
                       struct pagewalk_memo *memo, uint8_t bytes[INSN_LEN_MAX]);

/* As if copying, without doing it. */
bool pagewalk_check(struct mem *m, const struct cpu_mode *mode, uint64_t linear, uint64_t len,
                    enum walk_access access, uint64_t *fault, uint32_t *error);

/*
 * seg:offset as a linear address; offset is cut to addr_size bytes, bases count in 64-bit mode only
 * for FS and GS.
 */
uint64_t pagewalk_linear(const struct cpu_mode *mode, enum seg seg, uint64_t offset,
                         unsigned addr_size);

/* 64-bit mode: long mode is active, and CS.L is set. */
bool pagewalk_is_64bit(const struct cpu_mode *mode);

#endif
