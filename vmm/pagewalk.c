/* SPDX-License-Identifier: MIT */
/*
 * vmm/pagewalk.c - a guest's linear addresses to guest-physical ones.
 *
 * Three tables of levels, one loop.  Used where we emulate an access: the instruction behind an
 * MMIO fault, the memory side of INS, OUTS and MOVS, and dumps.  Called by vmm/mmio.c and vmm/io.c.
 */
#include "vmm/pagewalk.h"

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/defs/pte.h"

#define USER_CPL        3

/* One level of a walk: which bits of the address index it, and whether an entry may map a page of that size. */
struct level { uint8_t shift, bits; bool may_be_large; };

static const struct level levels_32bit[]  = { { 22, 10, true }, { 12, 10, false } };
static const struct level levels_pae[]    = { { 30, 2, false }, { 21, 9, true }, { 12, 9, false } };
static const struct level levels_4level[] = { { 39, 9, false }, { 30, 9, true }, { 21, 9, true }, { 12, 9, false } };

struct paging { const struct level *level; unsigned levels, entry_size; uint64_t root; bool nx, pdpte_bare; };

bool pagewalk_is_64bit(const struct cpu_mode *mode)
{
	return (mode->efer & EFER_LMA) && (mode->cs_attr & SEG_L);
}

uint64_t pagewalk_linear(const struct cpu_mode *mode, enum seg seg, uint64_t offset, unsigned addr_size)
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
		return (struct paging){ levels_4level, COUNT(levels_4level), 8, mode->cr3 & PTE_ADDRESS, nx, false };
	if (mode->cr4 & CR4_PAE)        /* the first table has 4 entries and 32-byte alignment */
		return (struct paging){ levels_pae, COUNT(levels_pae), 8, mode->cr3 & MASK(31, 5), nx, true };
	return (struct paging){ levels_32bit, COUNT(levels_32bit), 4, mode->cr3 & MASK(31, 12), false, false };
}

/* One load: the guest may write there meanwhile.  Entries are aligned, so they lie in one piece. */
static bool read_entry(const struct mem *m, uint64_t at, unsigned size, uint64_t *entry)
{
	uint64_t run;
	const volatile void *p = mem_peek(m, gpa(at), size, &run);

	if (!p)
		return false;
	*entry = size == sizeof(uint64_t) ? *(const volatile uint64_t *)p : *(const volatile uint32_t *)p;
	return true;
}

/* The CPU sets these when it walks; we stand in for it. */
static void set_bits(struct mem *m, uint64_t at, unsigned size, uint64_t entry, uint64_t bits)
{
	if ((entry & bits) == bits)
		return;
	entry |= bits;
	mem_write(m, gpa(at), &entry, size);
}

/* Does the CPU let this access through, given the rights gathered on the way? */
static bool permitted(const struct cpu_mode *mode, enum walk_access access, uint64_t rights, bool nx)
{
	bool user = mode->cpl == USER_CPL;

	if (user && !(rights & PTE_USER))
		return false;
	if (access == WALK_WRITE && !(rights & PTE_WRITE) && (user || (mode->cr0 & CR0_WP)))
		return false;
	return access != WALK_FETCH || !nx;
}

/* Where a leaf of 2^shift bytes points to; 4 MiB pages hold address bits 39:32 in 20:13 (PSE-36). */
static uint64_t leaf_base(uint64_t entry, unsigned shift, unsigned entry_size)
{
	if (entry_size == 4 && shift > PAGE_SHIFT)
		return (entry & MASK(31, 22)) | GET(MASK(20, 13), entry) << 32;
	return entry & PTE_ADDRESS & ~(BIT(shift) - 1);
}

bool pagewalk(struct mem *m, const struct cpu_mode *mode, uint64_t linear, enum walk_access access, gpa_t *out,
              uint32_t *error)
{
	*error = 0;
	if (!(mode->cr0 & CR0_PG)) {
		*out = gpa((uint32_t)linear);
		return true;
	}
	struct paging p = paging_of(mode);
	uint64_t rights = PTE_WRITE | PTE_USER, table = p.root;
	bool nx = false;

	*error = (access == WALK_WRITE ? PF_WRITE : 0) | (mode->cpl == USER_CPL ? PF_USER : 0) |
	         (access == WALK_FETCH && p.nx ? PF_FETCH : 0);
	for (unsigned i = 0; i < p.levels; i++) {
		const struct level *l = &p.level[i];
		uint64_t at = table + (linear >> l->shift & (BIT(l->bits) - 1)) * p.entry_size, entry;
		bool bare = p.pdpte_bare && i == 0;     /* a PAE PDPTE has no rights and no accessed bit */

		if (!read_entry(m, at, p.entry_size, &entry) || !(entry & PTE_PRESENT))
			return false;
		if (!bare) {
			rights &= entry;
			nx |= p.nx && (entry & PTE_NX);
		}
		bool large = l->may_be_large && (entry & PTE_LARGE) && (p.entry_size == 8 || (mode->cr4 & CR4_PSE));
		if (large || i == p.levels - 1) {
			if (!permitted(mode, access, rights, nx)) {
				*error |= PF_PRESENT;
				return false;
			}
			set_bits(m, at, p.entry_size, entry, PTE_ACCESSED | (access == WALK_WRITE ? PTE_DIRTY : 0));
			*out = gpa(leaf_base(entry, l->shift, p.entry_size) | (linear & (BIT(l->shift) - 1)));
			return true;
		}
		if (!bare)
			set_bits(m, at, p.entry_size, entry, PTE_ACCESSED);
		table = entry & (p.entry_size == 8 ? PTE_ADDRESS : MASK(31, 12));
	}
	return false;
}

/* --- Copies ----------------------------------------------------------------------------------- */

/* Translate the piece at `linear` that lies in one page; its length in *run. */
static bool piece(struct mem *m, const struct cpu_mode *mode, uint64_t linear, uint64_t len, enum walk_access access,
                  gpa_t *at, uint64_t *run, uint64_t *fault, uint32_t *error)
{
	*run = MIN(len, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
	*fault = linear;
	if (!pagewalk(m, mode, linear, access, at, error))
		return false;
	return mem_is_ram(m, *at, *run);
}

bool pagewalk_read(struct mem *m, const struct cpu_mode *mode, uint64_t linear, void *to, uint64_t len,
                   enum walk_access access, uint64_t *fault, uint32_t *error)
{
	gpa_t at;

	for (uint64_t done = 0, run; done < len; done += run) {
		if (!piece(m, mode, linear + done, len - done, access, &at, &run, fault, error))
			return false;
		mem_read(m, at, (uint8_t *)to + done, run);
	}
	return true;
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

bool pagewalk_write(struct mem *m, const struct cpu_mode *mode, uint64_t linear, const void *from, uint64_t len,
                    uint64_t *fault, uint32_t *error)
{
	gpa_t at;

	if (!pagewalk_check(m, mode, linear, len, WALK_WRITE, fault, error))
		return false;
	for (uint64_t done = 0, run; done < len; done += run) {
		piece(m, mode, linear + done, len - done, WALK_WRITE, &at, &run, fault, error);
		mem_write(m, at, (const uint8_t *)from + done, run);
	}
	return true;
}
