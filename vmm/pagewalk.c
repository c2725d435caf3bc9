/* SPDX-License-Identifier: MIT */
/*
 * vmm/pagewalk.c - a guest's linear addresses to guest-physical ones.
 *
 * Three layouts of tables, one loop.  Used where we emulate an access: the instruction behind an
 * MMIO fault, the memory side of INS, OUTS and MOVS, and dumps.  Called by vmm/mmio.c and vmm/io.c.
 */
#include "vmm/pagewalk.h"

#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/defs/pte.h"
#include "lib/log.h"

#define USER_CPL        3
#define WALKS_MAX       16              /* for one address, when entries change meanwhile */

/*
 * How a mode's tables are laid out; `top` is the level of the first one, level 0 maps 4 KiB pages.
 */
struct paging {
	uint64_t root, address;         /* where the first table is; the address bits of an entry */
	unsigned top, bits, entry_size; /* bits of the address that index a table                 */
	unsigned large;                 /* highest level whose entries may map a large page       */
	bool     nx;
};

bool pagewalk_is_64bit(const struct cpu_mode *mode)
{
	return (mode->efer & EFER_LMA) && (mode->cs_attr & SEG_L);
}

uint64_t pagewalk_linear(const struct cpu_mode *mode, enum seg seg, uint64_t offset,
                         unsigned addr_size)
{
	bool is_64bit = pagewalk_is_64bit(mode);
	uint64_t base = is_64bit && seg != SEG_FS && seg != SEG_GS ? 0 : mode->seg_base[seg];
	uint64_t linear = base + (offset & ~0ull >> (64 - 8 * addr_size));

	return is_64bit ? linear : (uint32_t)linear;
}

static struct paging paging_of(const struct cpu_mode *mode)
{
	bool nx = mode->efer & EFER_NXE;

	if (mode->efer & EFER_LMA)
		return (struct paging){ mode->cr3 & PTE_ADDRESS, PTE_ADDRESS, 3, 9, 8, 2, nx };
	if (mode->cr4 & CR4_PAE)        /* the first table has 4 entries and 32-byte alignment */
		return (struct paging){ mode->cr3 & MASK(31, 5), PTE_ADDRESS, 2, 9, 8, 1, nx };
	unsigned large = mode->cr4 & CR4_PSE ? 1 : 0;
	return (struct paging){ mode->cr3 & MASK(31, 12), MASK(31, 12), 1, 10, 4, large, false };
}

/*
 * One load: the guest may write there meanwhile.  Entries are aligned, so they lie in one piece.
 * NULL: it is not in RAM.
 */
static const volatile void *read_entry(const struct mem *m, uint64_t at, unsigned size,
                                       uint64_t *entry)
{
	uint64_t run;
	const volatile void *p = mem_peek(m, gpa(at), size, &run);

	if (p)
		*entry = size == sizeof(uint64_t) ? *(const volatile uint64_t *)p
		                                  : *(const volatile uint32_t *)p;
	return p;
}

/*
 * The CPU sets these when it walks; we stand in for it.  Other vCPUs of the guest may be running:
 * false, and nothing is set, if the entry is not any more what was read.
 */
static inline bool set_bits(struct mem *m, uint64_t at, unsigned size, uint64_t entry,
                            uint64_t bits)
{
	uint64_t run, wanted = entry | bits;
	uint32_t half = (uint32_t)entry;

	if (entry == wanted)
		return true;
	void *p = mem_poke(m, gpa(at), size, &run);
	if (size == sizeof(entry))
		return __atomic_compare_exchange_n((uint64_t *)p, &entry, wanted, false,
		                                   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((uint32_t *)p, &half, (uint32_t)wanted, false,
	                                   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Does the CPU let this access through, given the rights gathered on the way? */
static inline bool permitted(const struct cpu_mode *mode, enum walk_access access, uint64_t rights,
                             bool nx)
{
	bool user = mode->cpl == USER_CPL;

	if (user && !(rights & PTE_USER))
		return false;
	if (access == WALK_WRITE && !(rights & PTE_WRITE) && (user || (mode->cr0 & CR0_WP)))
		return false;
	return access != WALK_FETCH || !nx;
}

/*
 * Where a leaf of 2^shift bytes points to; 4 MiB pages hold address bits 39:32 in 20:13 (PSE-36).
 */
static uint64_t leaf_base(uint64_t entry, unsigned shift, unsigned entry_size)
{
	if (entry_size == 4 && shift > PAGE_SHIFT)
		return (entry & MASK(31, 22)) | GET(MASK(20, 13), entry) << 32;
	return entry & PTE_ADDRESS & ~(BIT(shift) - 1);
}

enum outcome { FAULTS, FOUND, CHANGED };        /* CHANGED: by the guest, on the way: walk again */

/* `memo`: NULL, or where the entries go by which it led here. */
static inline enum outcome walk_once(struct mem *m, const struct cpu_mode *mode, uint64_t linear,
                                     enum walk_access access, gpa_t *out, uint32_t *error,
                                     struct pagewalk_memo *memo)
{
	*error = 0;
	if (!(mode->cr0 & CR0_PG)) {
		*out = gpa((uint32_t)linear);
		return FOUND;
	}
	struct paging p = paging_of(mode);
	uint64_t rights = PTE_WRITE | PTE_USER, table = p.root, entry;
	bool pae = p.top == 2, nx = false;

	*error = (access == WALK_WRITE ? PF_WRITE : 0) | (mode->cpl == USER_CPL ? PF_USER : 0) |
	         (access == WALK_FETCH && p.nx ? PF_FETCH : 0);
	if (pae)                        /* bits above 31 are not part of the address */
		linear = (uint32_t)linear;
	for (unsigned level = p.top; ; level--) {
		unsigned shift = PAGE_SHIFT + p.bits * level;
		uint64_t at = table + (linear >> shift & (BIT(p.bits) - 1)) * p.entry_size;

		const volatile void *place = read_entry(m, at, p.entry_size, &entry);
		if (!place || !(entry & PTE_PRESENT))
			return FAULTS;
		table = entry & p.address;
		if (pae && level == p.top)      /* a PAE PDPTE has no rights and no accessed bit */
			continue;
		rights &= entry;
		nx |= p.nx && (entry & PTE_NX);
		bool leaf = level == 0 || (level <= p.large && (entry & PTE_LARGE));
		if (leaf && !permitted(mode, access, rights, nx)) {
			*error |= PF_PRESENT;
			return FAULTS;
		}
		uint64_t bits = PTE_ACCESSED | (leaf && access == WALK_WRITE ? PTE_DIRTY : 0);
		if (!set_bits(m, at, p.entry_size, entry, bits))
			return CHANGED;
		if (memo) {
			memo->at[p.top - level] = place;
			memo->entry[p.top - level] = entry | bits;
		}
		if (leaf) {
			*out = gpa(leaf_base(entry, shift, p.entry_size) |
			           (linear & (BIT(shift) - 1)));
			return FOUND;
		}
	}
}

/* Each entry leads to itself: nothing is known yet. */
static void forget(struct pagewalk_memo *memo)
{
	memo->reach = 0;
	for (unsigned i = 0; i < COUNT(memo->at); i++)
		memo->at[i] = &memo->entry[i];
}

/* A guest that changes its tables all the time gets a page fault too many. */
static bool walk(struct mem *m, const struct cpu_mode *mode, uint64_t linear,
                 enum walk_access access, gpa_t *out, uint32_t *error, struct pagewalk_memo *memo)
{
	enum outcome o = CHANGED;

	for (unsigned n = 0; o == CHANGED && n < WALKS_MAX; n++) {
		if (memo)
			forget(memo);
		o = walk_once(m, mode, linear, access, out, error, memo);
	}
	return o == FOUND;
}

bool pagewalk(struct mem *m, const struct cpu_mode *mode, uint64_t linear, enum walk_access access,
              gpa_t *out, uint32_t *error)
{
	return walk(m, mode, linear, access, out, error, NULL);
}

/* --- Copies ----------------------------------------------------------------------------------- */

/* Translate the piece at `linear` that lies in one page; its length in *run. */
static bool piece(struct mem *m, const struct cpu_mode *mode, uint64_t linear, uint64_t len,
                  enum walk_access access, gpa_t *at, uint64_t *run, uint64_t *fault,
                  uint32_t *error)
{
	*run = MIN(len, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
	*fault = linear;
	if (!pagewalk(m, mode, linear, access, at, error))
		return false;
	return mem_is_ram(m, *at, *run);
}

bool pagewalk_read(struct mem *m, const struct cpu_mode *mode, uint64_t linear, void *to,
                   uint64_t len, enum walk_access access, uint64_t *fault, uint32_t *error)
{
	gpa_t at;

	for (uint64_t done = 0, run; done < len; done += run) {
		if (!piece(m, mode, linear + done, len - done, access, &at, &run, fault, error))
			return false;
		mem_read(m, at, (uint8_t *)to + done, run);
	}
	return true;
}

/* In the mode in which it was found, so with the rights that it needed. */
static inline const uint8_t *recall(const struct pagewalk_memo *memo, const struct cpu_mode *mode,
                                    uint64_t linear)
{
	if (memo->cr0 != mode->cr0 || memo->cr4 != mode->cr4 || memo->efer != mode->efer ||
	    memo->cpl != mode->cpl)
		return NULL;
	return pagewalk_recall(memo, mode->cr3, linear);
}

/*
 * Walk to code, and remember the way: 4-level paging only, the others are not worth it.  What is
 * remembered is what the walk has used: a second look might find other entries.
 */
static bool walk_to_code(struct mem *m, const struct cpu_mode *mode, uint64_t linear,
                         struct pagewalk_memo *memo, gpa_t *at)
{
	uint32_t error;
	uint64_t run;

	if (!walk(m, mode, linear, WALK_FETCH, at, &error, memo))
		return false;
	if (!(mode->cr0 & CR0_PG) || !(mode->efer & EFER_LMA))
		return true;
	memo->code = mem_peek(m, gpa(ALIGN_DOWN(at->v, PAGE_SIZE)), PAGE_SIZE, &run);
	memo->cr0 = mode->cr0;
	memo->cr3 = mode->cr3;
	memo->cr4 = mode->cr4;
	memo->efer = mode->efer;
	memo->cpl = mode->cpl;
	memo->page = ALIGN_DOWN(linear, PAGE_SIZE);
	memo->reach = memo->code ? PAGE_SIZE - INSN_LEN_MAX + 1 : 0;
	return true;
}

/* Most instructions lie in one page, and are copied in one piece. */
unsigned pagewalk_code(struct mem *m, const struct cpu_mode *mode, uint64_t rip,
                       struct pagewalk_memo *memo, uint8_t bytes[INSN_LEN_MAX])
{
	uint64_t linear = pagewalk_linear(mode, SEG_CS, rip, sizeof(rip)), fault = linear, run;
	uint64_t offset = linear & (PAGE_SIZE - 1);
	uint32_t error;
	gpa_t at;

	if (offset <= PAGE_SIZE - INSN_LEN_MAX) {
		const void *code = recall(memo, mode, linear);
		if (!code && walk_to_code(m, mode, linear, memo, &at))
			code = mem_peek(m, at, INSN_LEN_MAX, &run);
		if (code)
			memcpy(bytes, code, INSN_LEN_MAX);
		return code ? INSN_LEN_MAX : 0;
	}
	if (pagewalk_read(m, mode, linear, bytes, INSN_LEN_MAX, WALK_FETCH, &fault, &error))
		return INSN_LEN_MAX;
	return (unsigned)(fault - linear);
}

bool pagewalk_check(struct mem *m, const struct cpu_mode *mode, uint64_t linear, uint64_t len,
                    enum walk_access access, uint64_t *fault, uint32_t *error)
{
	gpa_t at;

	for (uint64_t done = 0, run; done < len; done += run)
		if (!piece(m, mode, linear + done, len - done, access, &at, &run, fault, error))
			return false;
	return true;
}

/*
 * Both pages are known before the first byte is written: the write may change the very tables that
 * lead to the second one.
 */
bool pagewalk_write(struct mem *m, const struct cpu_mode *mode, uint64_t linear, const void *from,
                    uint64_t len, uint64_t *fault, uint32_t *error)
{
	struct { gpa_t at; uint64_t len; } part[2];
	unsigned n = 0;

	ASSERT(len <= PAGE_SIZE);
	for (uint64_t done = 0; done < len; done += part[n++].len)
		if (!piece(m, mode, linear + done, len - done, WALK_WRITE, &part[n].at,
		           &part[n].len, fault, error))
			return false;
	for (unsigned i = 0; i < n; i++) {
		mem_write(m, part[i].at, from, part[i].len);
		from = (const uint8_t *)from + part[i].len;
	}
	return true;
}
