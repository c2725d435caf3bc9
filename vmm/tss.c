/* SPDX-License-Identifier: MIT */
/*
 * vmm/tss.c - a task switch by hardware, in the order of the manual's steps (SDM vol. 3,
 * "Task Switching").
 *
 * Everything that can refuse is looked at first: descriptors, limits, and whether all that will be
 * written can be.  Then the old task is saved and the new one loaded; from that commit on a fault
 * belongs to the new task.  32-bit TSSs only.  Pure.  Called by vmm/exit.c.
 */
#include "vmm/tss.h"

#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/defs/pte.h"
#include "vmm/pagewalk.h"
#include "vmm/vcpu.h"

/* SDM vol. 3, "Task-State Segment (TSS)"; registers in the order of enum gpr and enum seg. */
struct tss {
	uint32_t link, stacks[6];
	uint32_t cr3, eip, eflags, gpr[8], seg[6];
	uint32_t ldt;
	uint16_t trap, io_map;
};
_Static_assert(sizeof(struct tss) == 104 && offsetof(struct tss, eip) == 32, "TSS layout");
#define SAVED_FROM      offsetof(struct tss, eip)
#define SAVED_BYTES     (offsetof(struct tss, ldt) - SAVED_FROM)
#define TSS_LIMIT_LEAST (sizeof(struct tss) - 1)
#define TSS_TRAP        BIT(0)

/* Segment descriptors (SDM vol. 3, "Segment Descriptors"); attributes as in cpu_state.h. */
#define DESC_LIMIT_LOW  MASK(15, 0)
#define DESC_BASE_LOW   MASK(39, 16)
#define DESC_LIMIT_HIGH MASK(51, 48)
#define DESC_BASE_HIGH  MASK(63, 56)
#define DESC_ATTR_SHIFT 40
#define DESC_ATTR       (MASK(7, 0) | MASK(15, 12))
#define TYPE_ACCESSED   BIT(0)
#define TYPE_WRITABLE   BIT(1)          /* of data */
#define TYPE_READABLE   BIT(1)          /* of code */
#define TYPE_DOWN       BIT(2)          /* of data: expand down */
#define TYPE_CONFORMING BIT(2)          /* of code */
#define TYPE_CODE       BIT(3)
#define TYPE_LDT        2u
#define TYPE_TSS16_FREE 1u
#define TYPE_TSS16_BUSY 3u
#define TYPE_TSS_FREE   9u
#define TYPE_TSS_BUSY   11u
#define TYPE_BUSY       BIT(1)          /* of a TSS */
#define ATTR_V86        0xf3u           /* present data, accessed, writable, DPL 3 */

#define SEL_RPL         MASK(1, 0)
#define SEL_TI          BIT(2)
#define SEL_OFFSET      MASK(15, 3)
#define ERROR_SELECTOR  MASK(15, 2)
#define ERROR_EXT       BIT(0)
#define EFLAGS_KNOWN    (MASK(21, 0) & ~(BIT(15) | BIT(5) | BIT(3)))
#define DR6_BT          BIT(15)
#define DR7_LOCAL       (BIT(0) | BIT(2) | BIT(4) | BIT(6) | BIT(8))    /* L0 to L3, LE */
#define PDPTE_RESERVED  (MASK(8, 5) | MASK(2, 1) | MASK(63, 52))
#define USER            3u

struct descriptor { uint64_t at, raw; uint32_t base, limit, attr; };

struct switching {
	struct mem               *m;
	struct cpu_state         *s;
	const struct tss_switch *how;
	struct inject            *out;
	struct descriptor         desc;         /* of the new TSS */
	struct tss                new;
};

/* --- Faults and memory ------------------------------------------------------------------------ */

/* All these return false, for callers that return what they say. */
static bool raise(struct switching *w, uint8_t vector, uint32_t selector)
{
	*w->out = (struct inject){ .type = EVENT_EXCEPTION, .vector = vector, .has_error = true };
	w->out->error = (uint32_t)(selector & ERROR_SELECTOR);
	w->out->error |= w->how->external ? ERROR_EXT : 0;
	return false;
}

static bool page_fault(struct switching *w, uint64_t linear, uint32_t error)
{
	*w->out = (struct inject){ .type = EVENT_EXCEPTION, .vector = VECTOR_PF,
	                           .has_error = true, .error = error };
	w->s->cr2 = linear;
	return false;
}

/* Tables and TSSs are read and written with the rights of the system. */
static struct cpu_mode system_mode(const struct cpu_state *s)
{
	return (struct cpu_mode){ .cr0 = s->cr0, .cr3 = s->cr3, .cr4 = s->cr4,
	                          .efer = s->msr[CPU_MSR_EFER] };
}

static bool get(struct switching *w, uint64_t at, void *to, uint64_t len)
{
	struct cpu_mode mode = system_mode(w->s);
	uint64_t fault;
	uint32_t error;

	return pagewalk_read(w->m, &mode, at, to, len, WALK_READ, &fault, &error) ||
	       page_fault(w, fault, error);
}

static bool put(struct switching *w, uint64_t at, const void *from, uint64_t len)
{
	struct cpu_mode mode = system_mode(w->s);
	uint64_t fault;
	uint32_t error;

	return pagewalk_write(w->m, &mode, at, from, len, &fault, &error) ||
	       page_fault(w, fault, error);
}

static bool can_put(struct switching *w, uint64_t at, uint64_t len)
{
	struct cpu_mode mode = system_mode(w->s);
	uint64_t fault;
	uint32_t error;

	return pagewalk_check(w->m, &mode, at, len, WALK_WRITE, &fault, &error) ||
	       page_fault(w, fault, error);
}

/* --- Descriptors ------------------------------------------------------------------------------ */

/* Outside its table: `vector` with the selector. */
static bool get_descriptor(struct switching *w, uint32_t selector, uint8_t vector,
                           struct descriptor *d)
{
	const struct cpu_state *s = w->s;
	bool local = selector & SEL_TI;
	uint64_t base = local ? s->seg_base[SEG_LDTR] : s->gdtr_base;
	uint32_t limit = local ? s->seg_limit[SEG_LDTR] : s->gdtr_limit;

	if ((local && (s->seg_attr[SEG_LDTR] & SEG_UNUSABLE)) ||
	    (selector & SEL_OFFSET) + sizeof(d->raw) - 1 > limit)
		return raise(w, vector, selector);
	d->at = (uint32_t)(base + (selector & SEL_OFFSET));
	if (!get(w, d->at, &d->raw, sizeof(d->raw)))
		return false;
	d->base = (uint32_t)(GET(DESC_BASE_LOW, d->raw) | GET(DESC_BASE_HIGH, d->raw) << 24);
	d->limit = (uint32_t)(GET(DESC_LIMIT_LOW, d->raw) | GET(DESC_LIMIT_HIGH, d->raw) << 16);
	d->attr = (uint32_t)(d->raw >> DESC_ATTR_SHIFT & DESC_ATTR);
	if (d->attr & SEG_G)
		d->limit = d->limit << PAGE_SHIFT | (PAGE_SIZE - 1);
	return true;
}

static void set_segment(struct cpu_state *s, enum seg seg, uint32_t selector,
                        const struct descriptor *d)
{
	s->seg_sel[seg] = (uint16_t)selector;
	s->seg_base[seg] = d->base;
	s->seg_limit[seg] = d->limit;
	s->seg_attr[seg] = d->attr;
}

static uint8_t type_of(const struct descriptor *d)
{
	return (uint8_t)(d->raw >> DESC_ATTR_SHIFT);
}

/*
 * Where the type of a descriptor is in memory.  Busy and accessed are set by locked operations (SDM
 * vol. 3, "Automatic Locking"): other vCPUs may be in the guest, and their LTR is not waited for.
 * NULL: a page fault.
 */
static uint8_t *type_byte(struct switching *w, uint64_t descriptor)
{
	uint64_t at = (uint32_t)(descriptor + DESC_ATTR_SHIFT / 8), run;
	struct cpu_mode mode = system_mode(w->s);
	uint8_t *type = NULL;
	uint32_t error;
	gpa_t found;

	if (pagewalk(w->m, &mode, at, WALK_WRITE, &found, &error))
		type = mem_poke(w->m, found, 1, &run);
	if (!type)
		page_fault(w, at, error);
	return type;
}

/* False: it is not any more what was read, and nothing is set. */
static bool set_type_bit(uint8_t *type, uint8_t was, uint8_t bit)
{
	return __atomic_compare_exchange_n(type, &was, was | bit, false, __ATOMIC_ACQ_REL,
	                                   __ATOMIC_RELAXED);
}

static const struct descriptor unusable = { .attr = SEG_UNUSABLE };

/* --- Before the commit ------------------------------------------------------------------------ */

static bool check_new_tss(struct switching *w)
{
	uint16_t selector = w->how->selector;
	bool back = w->how->cause == TASK_IRET;
	uint32_t wanted = back ? TYPE_TSS_BUSY : TYPE_TSS_FREE;
	uint8_t wrong = back ? VECTOR_TS : VECTOR_GP;

	if ((selector & SEL_TI) || !(selector & SEL_OFFSET))
		return raise(w, wrong, selector);
	if (!get_descriptor(w, selector, wrong, &w->desc))
		return false;
	if ((w->desc.attr & SEG_S) || (w->desc.attr & SEG_TYPE) != wanted)
		return raise(w, wrong, selector);
	if (!(w->desc.attr & SEG_P))
		return raise(w, VECTOR_NP, selector);
	if (w->desc.limit < TSS_LIMIT_LEAST)
		return raise(w, VECTOR_TS, selector);
	return true;
}

/* The busy mark of the old TSS goes when there is no way back into it from the new task. */
static bool leaves_for_good(const struct tss_switch *how)
{
	return how->cause == TASK_JMP || how->cause == TASK_IRET;
}

static uint64_t old_descriptor_at(const struct cpu_state *s)
{
	return (uint32_t)(s->gdtr_base + (s->seg_sel[SEG_TR] & SEL_OFFSET));
}

/* "Are paged into system memory": what is written up to the commit can be. */
static bool check_memory(struct switching *w)
{
	bool back = w->how->cause == TASK_IRET, links = !leaves_for_good(w->how);

	return get(w, w->desc.base, &w->new, sizeof(w->new)) &&
	       can_put(w, w->s->seg_base[SEG_TR] + SAVED_FROM, SAVED_BYTES) &&
	       (back || can_put(w, w->desc.at, sizeof(w->desc.raw))) &&
	       can_put(w, links ? w->desc.base : old_descriptor_at(w->s), sizeof(uint64_t));
}

/*
 * The last that can refuse, so that two CPUs never enter one task: another may have taken this one
 * since it was found free.
 */
static bool take_new(struct switching *w)
{
	if (w->how->cause == TASK_IRET)         /* it is busy, and ours by its link */
		return true;
	uint8_t *type = type_byte(w, w->desc.at);
	if (!type)
		return false;
	if (!set_type_bit(type, type_of(&w->desc), TYPE_BUSY))
		return raise(w, VECTOR_GP, w->how->selector);
	w->desc.attr |= TYPE_TSS_BUSY;
	return true;
}

/* Nothing came of it. */
static bool give_new_back(struct switching *w)
{
	uint8_t *type = w->how->cause == TASK_IRET ? NULL : type_byte(w, w->desc.at);

	if (type)
		__atomic_fetch_and(type, (uint8_t)~TYPE_BUSY, __ATOMIC_ACQ_REL);
	return false;
}

/* --- The commit ------------------------------------------------------------------------------- */

/* Everything of the old task is saved: from here on it can be entered, also by another CPU. */
static bool free_old(struct switching *w)
{
	uint8_t *type = type_byte(w, old_descriptor_at(w->s));

	if (type)
		__atomic_fetch_and(type, (uint8_t)~TYPE_BUSY, __ATOMIC_ACQ_REL);
	return type;
}

static bool save_old(struct switching *w)
{
	const struct cpu_state *s = w->s;
	struct tss old = { .eip = (uint32_t)(s->rip + w->how->insn_len),
	                   .eflags = (uint32_t)s->rflags };

	if (w->how->cause == TASK_IRET)
		old.eflags &= (uint32_t)~RFLAGS_NT;
	if (w->how->fault)
		old.eflags |= RFLAGS_RF;
	for (unsigned i = 0; i < COUNT(old.gpr); i++)
		old.gpr[i] = (uint32_t)s->gpr[i];
	for (unsigned i = 0; i < COUNT(old.seg); i++)
		old.seg[i] = s->seg_sel[i];
	return put(w, s->seg_base[SEG_TR] + SAVED_FROM, &old.eip, SAVED_BYTES) &&
	       (!leaves_for_good(w->how) || free_old(w));
}

/* The new task may return to the old one: its link, and NT in its flags. */
static bool link_new(struct switching *w)
{
	uint32_t old = w->s->seg_sel[SEG_TR];

	if (leaves_for_good(w->how))
		return true;
	w->new.eflags |= RFLAGS_NT;
	return put(w, w->desc.base, &old, sizeof(uint16_t));
}

/* PAE keeps four entries in the CPU (SDM vol. 3, "PDPTE Registers"). */
static bool load_pdptes(struct switching *w, uint64_t cr3)
{
	uint64_t entry[4];

	if (mem_read(w->m, gpa(cr3 & MASK(31, 5)), entry, sizeof(entry)) != OK)
		return raise(w, VECTOR_GP, 0);
	for (unsigned i = 0; i < COUNT(entry); i++)
		if ((entry[i] & PTE_PRESENT) && (entry[i] & PDPTE_RESERVED))
			return raise(w, VECTOR_GP, 0);
	memcpy(w->s->pdpte, entry, sizeof(entry));
	return true;
}

/* Until the descriptors are checked: what a CPU can hold at this privilege, to deliver a fault. */
static void load_selectors(struct switching *w)
{
	struct cpu_state *s = w->s;

	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++) {
		uint64_t type = TYPE_ACCESSED | (seg == SEG_CS ? TYPE_CODE : TYPE_WRITABLE);
		uint64_t attr = s->seg_attr[seg] & ~(SEG_DPL | SEG_UNUSABLE);
		s->seg_sel[seg] = (uint16_t)w->new.seg[seg];
		s->seg_attr[seg] = (uint32_t)(attr | type | SEG_S | SEG_P |
		                              PUT(SEG_DPL, w->new.seg[SEG_CS] & SEL_RPL));
	}
}

/* Virtual-8086 mode has no descriptors. */
static void load_v86_segments(struct switching *w)
{
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++) {
		uint32_t selector = w->new.seg[seg] & MASK(15, 0);
		set_segment(w->s, seg, selector, &(struct descriptor){
			.base = selector << 4, .limit = UINT16_MAX, .attr = ATTR_V86 });
	}
}

/* Registers, without a look at the segments that they select. */
static bool load_new(struct switching *w)
{
	const struct tss *new = &w->new;
	struct cpu_state *s = w->s;

	if ((s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !load_pdptes(w, new->cr3))
		return false;
	if (s->cr0 & CR0_PG)
		s->cr3 = new->cr3;
	set_segment(s, SEG_TR, w->how->selector, &w->desc);
	s->cr0 |= CR0_TS;
	s->dr7 &= ~DR7_LOCAL;
	s->rip = new->eip;
	s->rflags = (new->eflags & EFLAGS_KNOWN) | RFLAGS_ONE;
	for (unsigned i = 0; i < COUNT(new->gpr); i++)
		s->gpr[i] = new->gpr[i];
	set_segment(s, SEG_LDTR, new->ldt, &unusable);
	if (s->rflags & RFLAGS_VM)
		load_v86_segments(w);
	else
		load_selectors(w);
	return true;
}

/* --- In the new task -------------------------------------------------------------------------- */

static bool load_ldt(struct switching *w)
{
	uint32_t selector = w->new.ldt & MASK(15, 0);
	struct descriptor d;

	if (!(selector & (SEL_OFFSET | SEL_TI)))
		return true;                            /* there is none */
	if (selector & SEL_TI)
		return raise(w, VECTOR_TS, selector);
	if (!get_descriptor(w, selector, VECTOR_TS, &d))
		return false;
	if ((d.attr & (SEG_S | SEG_TYPE)) != TYPE_LDT || !(d.attr & SEG_P))
		return raise(w, VECTOR_TS, selector);
	set_segment(w->s, SEG_LDTR, selector, &d);
	return true;
}

/* Type and privilege of a code or data segment for the register that is to hold it. */
static bool fits(enum seg seg, uint32_t attr, unsigned rpl, unsigned cpl)
{
	unsigned dpl = (unsigned)GET(SEG_DPL, attr);
	bool code = attr & TYPE_CODE, conforming = code && (attr & TYPE_CONFORMING);

	if (!(attr & SEG_S))
		return false;
	if (seg == SEG_CS)
		return code && (conforming ? dpl <= cpl : dpl == cpl);
	if (seg == SEG_SS)
		return !code && (attr & TYPE_WRITABLE) && dpl == cpl && rpl == cpl;
	return (!code || (attr & TYPE_READABLE)) && (conforming || dpl >= MAX(rpl, cpl));
}

static bool load_segment(struct switching *w, enum seg seg)
{
	uint32_t selector = w->new.seg[seg] & MASK(15, 0);
	unsigned cpl = w->new.seg[SEG_CS] & SEL_RPL;
	struct descriptor d;

	if (!(selector & (SEL_OFFSET | SEL_TI))) {
		if (seg == SEG_CS || seg == SEG_SS)
			return raise(w, VECTOR_TS, selector);
		set_segment(w->s, seg, selector, &unusable);
		return true;
	}
	if (!get_descriptor(w, selector, VECTOR_TS, &d))
		return false;
	if (!fits(seg, d.attr, selector & SEL_RPL, cpl))
		return raise(w, VECTOR_TS, selector);
	if (!(d.attr & SEG_P))
		return raise(w, seg == SEG_SS ? VECTOR_SS : VECTOR_NP, selector);
	if (!(d.attr & TYPE_ACCESSED)) {
		uint8_t *type = type_byte(w, d.at);
		if (!type)
			return false;
		set_type_bit(type, type_of(&d), TYPE_ACCESSED); /* unless it is another by now */
		d.attr |= TYPE_ACCESSED;
	}
	set_segment(w->s, seg, selector, &d);
	return true;
}

/* SS and CS first: they give the privilege, and a fault needs a stack. */
static bool load_segments(struct switching *w)
{
	static const enum seg order[] = { SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	if (!load_ldt(w))
		return false;
	if (w->s->rflags & RFLAGS_VM)
		return true;
	for (unsigned i = 0; i < COUNT(order); i++)
		if (!load_segment(w, order[i]))
			return false;
	return true;
}

/* An event that has an error code leaves it on the new task's stack. */
static bool push_error(struct switching *w)
{
	struct cpu_state *s = w->s;
	uint32_t attr = s->seg_attr[SEG_SS], limit = s->seg_limit[SEG_SS];
	uint64_t mask = attr & SEG_DB ? UINT32_MAX : UINT16_MAX;
	uint64_t sp = (s->gpr[GPR_RSP] - sizeof(uint32_t)) & mask, last = sp + 3;
	bool inside = attr & TYPE_DOWN ? sp > limit && last <= mask : last <= limit;
	struct cpu_mode mode = system_mode(s);
	uint64_t fault;
	uint32_t error;

	if (!inside)
		return raise(w, VECTOR_SS, 0);
	mode.cpl = s->rflags & RFLAGS_VM ? USER : (uint8_t)(s->seg_sel[SEG_CS] & SEL_RPL);
	if (!pagewalk_write(w->m, &mode, (uint32_t)(s->seg_base[SEG_SS] + sp), &w->how->error,
	                    sizeof(w->how->error), &fault, &error))
		return page_fault(w, fault, error);
	s->gpr[GPR_RSP] = (s->gpr[GPR_RSP] & ~mask) | sp;
	return true;
}

/* --- All of it -------------------------------------------------------------------------------- */

static bool is_16bit(uint32_t attr)
{
	uint32_t type = attr & (SEG_S | SEG_TYPE);

	return type == TYPE_TSS16_FREE || type == TYPE_TSS16_BUSY;
}

static bool switch_tasks(struct switching *w)
{
	if (!check_new_tss(w) || !check_memory(w) || !take_new(w))
		return false;
	if (!save_old(w) || !link_new(w))       /* another vCPU changed page tables meanwhile */
		return give_new_back(w);
	if (!load_new(w) || !load_segments(w))
		return false;
	if (w->s->rip > w->s->seg_limit[SEG_CS])
		return raise(w, VECTOR_GP, 0);
	return !w->how->has_error || push_error(w);
}

enum tss_result tss_switch(struct mem *m, struct cpu_state *s, const struct tss_switch *how,
                             struct inject *out)
{
	struct switching w = { .m = m, .s = s, .how = how, .out = out };

	*out = (struct inject){ .type = EVENT_NONE };
	if (is_16bit(s->seg_attr[SEG_TR]))
		return TSS_UNSUPPORTED;
	if (!switch_tasks(&w))
		return is_16bit(w.desc.attr) ? TSS_UNSUPPORTED : TSS_FAULT;
	s->block_sti = s->block_mov_ss = 0;
	if (w.new.trap & TSS_TRAP) {
		s->dr6 |= DR6_BT;
		*out = (struct inject){ .type = EVENT_EXCEPTION, .vector = VECTOR_DB };
	}
	return TSS_DONE;
}
