/* SPDX-License-Identifier: MIT */
/*
 * vmm/mmio.c - an access to memory that is not RAM, done for the guest.
 *
 * Fetch the instruction, decode it, read and write the local APIC or a device on the bus, set
 * registers and flags.  The guest's page tables are walked only to find the code, and the other
 * side of MOVS.  Called by vmm/exit.c; read next: vmm/insn_decode.c.
 */
#include "vmm/mmio.h"

#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "vmm/io.h"
#include "vmm/pagewalk.h"
#include "vmm/vm.h"

#define LAPIC_REG_SIZE 4

static inline uint64_t mask_of(unsigned size)
{
	return ~0ull >> (64 - 8 * size);
}

static inline uint64_t sign_of(unsigned size)
{
	return BIT(8 * size - 1);
}

/* --- Arithmetic ------------------------------------------------------------------------------- */

static uint64_t result_flags(uint64_t r, unsigned size)
{
	uint64_t flags = 0;

	if (!(__builtin_popcountll(r & MASK(7, 0)) & 1))
		flags |= RFLAGS_PF;
	if (r == 0)
		flags |= RFLAGS_ZF;
	if (r & sign_of(size))
		flags |= RFLAGS_SF;
	return flags;
}

uint64_t mmio_compute(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *rflags)
{
	const uint64_t arithmetic =
		RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;
	uint64_t mask = mask_of(size), r, flags = 0;

	a &= mask;
	b &= mask;
	switch (op) {
	case INSN_AND:
	case INSN_TEST:
		r = a & b;
		break;
	case INSN_OR:
		r = a | b;
		break;
	case INSN_XOR:
		r = a ^ b;
		break;
	case INSN_ADD:
		r = (a + b) & mask;
		flags = (r < a ? RFLAGS_CF : 0) |
		        ((a ^ r) & (b ^ r) & sign_of(size) ? RFLAGS_OF : 0) |
		        ((a ^ b ^ r) & BIT(4) ? RFLAGS_AF : 0);
		break;
	case INSN_SUB:
	case INSN_CMP:
		r = (a - b) & mask;
		flags = (a < b ? RFLAGS_CF : 0) |
		        ((a ^ b) & (a ^ r) & sign_of(size) ? RFLAGS_OF : 0) |
		        ((a ^ b ^ r) & BIT(4) ? RFLAGS_AF : 0);
		break;
	default:
		return b;
	}
	*rflags = (*rflags & ~arithmetic) | flags | result_flags(r, size);
	return r;
}

/* BT, BTS, BTR, BTC: the bit goes to CF, then it stays, is set, cleared or flipped. */
static uint64_t compute_bit(enum insn_op op, uint64_t a, uint64_t bit_number, unsigned size,
                            uint64_t *rflags)
{
	uint64_t bit = BIT(bit_number % (8 * size));

	*rflags = (*rflags & ~RFLAGS_CF) | (a & bit ? RFLAGS_CF : 0);
	switch (op) {
	case INSN_BTS: return a | bit;
	case INSN_BTR: return a & ~bit;
	case INSN_BTC: return a ^ bit;
	default:       return a;
	}
}

/* --- Memory and registers --------------------------------------------------------------------- */

static uint64_t lapic_read(struct vcpu *v, gpa_t at, unsigned size, uint64_t now)
{
	unsigned shift = 8 * (unsigned)(at.v % LAPIC_REG_SIZE);
	uint32_t offset = (uint32_t)((at.v & (PAGE_SIZE - 1)) - at.v % LAPIC_REG_SIZE);

	return (uint64_t)vlapic_read(&v->lapic, offset, now) >> shift & mask_of(size);
}

/*
 * Registers are written whole (SDM vol. 3, "The Local APIC Block Diagram"): narrower writes are
 * undefined, and dropped.
 */
static void lapic_write(struct vcpu *v, gpa_t at, unsigned size, uint64_t value, uint64_t now)
{
	if (size >= LAPIC_REG_SIZE && at.v % LAPIC_REG_SIZE == 0)
		vlapic_write(&v->lapic, (uint32_t)(at.v & (PAGE_SIZE - 1)), (uint32_t)value, now);
	vcpu_lapic_changed(v);
}

static uint64_t read_at(struct vcpu *v, gpa_t at, unsigned size)
{
	struct vm *vm = v->vm;
	uint64_t now = clock_now_ns(&vm->clock), value = 0;

	if (vlapic_mmio_at(&v->lapic, at.v))
		return lapic_read(v, at, size, now);
	if (mem_read(&vm->mem, at, &value, size) == OK)         /* the other side of MOVS */
		return value;
	return bus_read(&vm->bus, BUS_MMIO,
	                &(struct access){ at.v, (uint8_t)size, (uint8_t)v->id, now });
}

static void write_at(struct vcpu *v, gpa_t at, unsigned size, uint64_t value)
{
	struct vm *vm = v->vm;
	uint64_t now = clock_now_ns(&vm->clock);

	if (vlapic_mmio_at(&v->lapic, at.v))
		lapic_write(v, at, size, value, now);
	else if (mem_write(&vm->mem, at, &value, size) != OK)
		bus_write(&vm->bus, BUS_MMIO,
		          &(struct access){ at.v, (uint8_t)size, (uint8_t)v->id, now }, value);
}

static uint64_t operand(const struct vcpu *v, const struct insn *in)
{
	if (in->has_imm)
		return (uint64_t)in->imm;
	return v->gpr[in->gpr] >> (in->high_byte ? 8 : 0);
}

static void set_operand(struct vcpu *v, const struct insn *in, uint64_t value)
{
	uint64_t *gpr = &v->gpr[in->gpr];

	if (in->high_byte)
		*gpr = (*gpr & ~MASK(15, 8)) | PUT(MASK(15, 8), value);
	else
		gpr_put(gpr, value, in->reg_size);
}

static uint64_t sign_extend(uint64_t value, unsigned size)
{
	return (uint64_t)((int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size));
}

/* --- Instructions ----------------------------------------------------------------------------- */

static void do_plain(struct vcpu *v, const struct insn *in, gpa_t at)
{
	uint64_t memory = 0, result;

	if (in->op != INSN_MOV || !in->to_memory)
		memory = read_at(v, at, in->size);
	switch (in->op) {
	case INSN_MOV:
		if (in->to_memory)
			write_at(v, at, in->size, operand(v, in));
		else
			set_operand(v, in, memory);
		return;
	case INSN_MOVZX:
		set_operand(v, in, memory);
		return;
	case INSN_MOVSX:
		set_operand(v, in, sign_extend(memory, in->size));
		return;
	case INSN_XCHG:
		write_at(v, at, in->size, operand(v, in));
		set_operand(v, in, memory);
		return;
	case INSN_BT:
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		result = compute_bit(in->op, memory, (uint64_t)in->imm, in->size, &v->rflags);
		if (in->op != INSN_BT)
			write_at(v, at, in->size, result);
		return;
	}
	uint64_t other = operand(v, in);
	result = mmio_compute(in->op, in->to_memory ? memory : other,
	                      in->to_memory ? other : memory, in->size, &v->rflags);
	if (in->op == INSN_CMP || in->op == INSN_TEST)
		return;
	if (in->to_memory)
		write_at(v, at, in->size, result);
	else
		set_operand(v, in, result);
}

static void advance(struct vcpu *v, enum gpr index, const struct insn *in)
{
	uint64_t step = v->rflags & RFLAGS_DF ? -(uint64_t)in->size : in->size;

	gpr_put(&v->gpr[index], v->gpr[index] + step, in->addr_size);
}

/*
 * MOVS: the faulting side is known, the other one is translated here.  False: that one faults in
 * the guest.
 */
static bool do_movs(struct vcpu *v, const struct insn *in, const struct exit *x,
                    const struct cpu_mode *mode)
{
	bool faulted_on_write = x->fault.write;
	enum gpr index = faulted_on_write ? GPR_RSI : GPR_RDI;
	enum seg seg = faulted_on_write ? in->seg : SEG_ES;
	uint64_t linear = pagewalk_linear(mode, seg, v->gpr[index], in->addr_size);
	uint32_t error;
	gpa_t other;

	if (!pagewalk(&v->vm->mem, mode, linear, faulted_on_write ? WALK_READ : WALK_WRITE, &other,
	              &error)) {
		vcpu_raise_page_fault(v, linear, error);
		return false;
	}
	gpa_t from = faulted_on_write ? other : x->fault.addr,
	      to = faulted_on_write ? x->fault.addr : other;
	write_at(v, to, in->size, read_at(v, from, in->size));
	advance(v, GPR_RSI, in);
	advance(v, GPR_RDI, in);
	return true;
}

/* One repetition; with REP, RIP stays until the count is used up. */
static enum resume do_string(struct vcpu *v, const struct insn *in, const struct exit *x,
                             const struct cpu_mode *mode)
{
	uint64_t count = v->gpr[GPR_RCX] & mask_of(in->addr_size);

	if (in->op == INSN_MOVS) {
		if (!do_movs(v, in, x, mode))
			return RESUME_SAME;
	} else if (in->op == INSN_STOS) {
		write_at(v, x->fault.addr, in->size, v->gpr[GPR_RAX]);
		advance(v, GPR_RDI, in);
	} else {
		gpr_put(&v->gpr[GPR_RAX], read_at(v, x->fault.addr, in->size), in->size);
		advance(v, GPR_RSI, in);
	}
	if (!in->rep)
		return RESUME_NEXT;
	gpr_put(&v->gpr[GPR_RCX], count - 1, in->addr_size);
	return count > 1 ? RESUME_SAME : RESUME_NEXT;
}

/*
 * The instruction behind the fault: as the CPU gave it, else read from memory.  `own` is room for
 * one that the memo is not for, because not all of its bytes can be read.
 */
static inline enum err decode(struct vcpu *v, const struct exit *x, const struct cpu_mode *mode,
                              struct insn *own, const struct insn **in)
{
	uint64_t bytes[2] = { 0 };              /* INSN_LEN_MAX, and a zero */

	*in = own;
	if (x->fault.insn_n && insn_decode(x->fault.insn, x->fault.insn_n, mode, own) == OK)
		return OK;
	unsigned n = pagewalk_code(&v->vm->mem, mode, v->rip, &v->code, (uint8_t *)bytes);
	if (n == INSN_LEN_MAX)
		return insn_decode_again(&v->insns, v->rip, bytes, mode, in);
	return insn_decode((const uint8_t *)bytes, n, mode, own);
}

enum resume mmio_emulate(struct vcpu *v, const struct exit *x)
{
	struct cpu_mode mode;
	struct insn own;
	const struct insn *in;
	gpa_t at = x->fault.addr;

	virt->get_mode(v, &mode);
	if (decode(v, x, &mode, &own, &in) != OK)
		return exit_fail(v, "access to %#lx, where there is no RAM, by %s", at.v,
		                 err_reason());
	if ((at.v & (PAGE_SIZE - 1)) + in->size > PAGE_SIZE)
		return exit_fail(
			v, "access of %u bytes to %#lx, where there is no RAM, crosses a page",
			in->size, at.v);
	v->insn_len = in->len;
	if (in->op == INSN_STOS || in->op == INSN_MOVS || in->op == INSN_LODS)
		return do_string(v, in, x, &mode);
	do_plain(v, in, at);
	return RESUME_NEXT;
}
