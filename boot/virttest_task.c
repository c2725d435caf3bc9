/* SPDX-License-Identifier: MIT */
/*
 * boot/virttest_task.c - test=virt: INT through a task gate and IRET back, in 32-bit mode.
 *
 * The guest's CPU looks at gates and privilege and exits; vmm/tss.c does the rest; the CPU goes on
 * with what it made.  Called by boot/virttest.c.
 */
#include "boot/boot.h"

#include "arch/x86_64/defs/cr.h"
#include "lib/log.h"
#include "vmm/vm.h"

/* In guest memory. */
#define OLD_CODE        0xa000
#define NEW_CODE        0xa100
#define GDT             0xa800
#define IDT             0xb000
#define OLD_TSS         0xb400
#define NEW_TSS         0xb800
#define STACK           0xc000

#define SEL_CODE        0x10                    /* as cpu_state_flat32() has them */
#define SEL_DATA        0x18
#define SEL_OLD         0x20
#define SEL_NEW         0x28
#define GATE_VECTOR     0x21
#define TSS_BYTES       104
#define DESC_CODE32     0x00cf9b000000ffffull
#define DESC_DATA32     0x00cf93000000ffffull
#define DESC_TSS_FREE   0x0000890000000000ull
#define DESC_TSS_BUSY   0x00008b0000000000ull
#define DESC_TASK_GATE  0x0000850000000000ull
/* Offsets in a TSS (SDM vol. 3, "Task-State Segment (TSS)"). */
enum { TSS_EIP = 32, TSS_EFLAGS = 36, TSS_ESP = 56, TSS_ES = 72, TSS_CS = 76 };
#define TSS_SEGMENTS    6

static const uint8_t old_code[] = { 0xcd, GATE_VECTOR, 0xf4 };          /* int 0x21; hlt      */
static const uint8_t new_code[] = { 0xf4, 0xcf, 0xeb, 0xfc };           /* hlt; iret; jmp -4  */

#define CHECK(holds, ...)                                               \
	do {                                                            \
		if (!(holds))                                           \
			return fail(ERR_NOT_SUPPORTED, __VA_ARGS__);    \
	} while (0)

static void put32(struct mem *m, uint64_t at, uint32_t value)
{
	mem_write(m, gpa(at), &value, sizeof(value));
}

static void put64(struct mem *m, uint64_t at, uint64_t value)
{
	mem_write(m, gpa(at), &value, sizeof(value));
}

static uint64_t tss_descriptor(uint64_t type, uint64_t base)
{
	return type | base << 16 | (TSS_BYTES - 1);
}

static void prepare(struct vcpu *v)
{
	struct mem *m = &v->vm->mem;
	struct cpu_state *s = &v->state;

	mem_write(m, gpa(OLD_CODE), old_code, sizeof(old_code));
	mem_write(m, gpa(NEW_CODE), new_code, sizeof(new_code));
	put64(m, GDT + SEL_CODE, DESC_CODE32);
	put64(m, GDT + SEL_DATA, DESC_DATA32);
	put64(m, GDT + SEL_OLD, tss_descriptor(DESC_TSS_BUSY, OLD_TSS));
	put64(m, GDT + SEL_NEW, tss_descriptor(DESC_TSS_FREE, NEW_TSS));
	put64(m, IDT + 8 * GATE_VECTOR, DESC_TASK_GATE | SEL_NEW << 16);
	mem_fill(m, gpa(NEW_TSS), 0, TSS_BYTES);
	put32(m, NEW_TSS + TSS_EIP, NEW_CODE);
	put32(m, NEW_TSS + TSS_EFLAGS, RFLAGS_ONE);
	put32(m, NEW_TSS + TSS_ESP, STACK);
	for (unsigned i = 0; i < TSS_SEGMENTS; i++)
		put32(m, NEW_TSS + TSS_ES + 4 * i,
		      TSS_ES + 4 * i == TSS_CS ? SEL_CODE : SEL_DATA);

	cpu_state_flat32(s, OLD_CODE);
	s->gdtr_base = GDT;
	s->gdtr_limit = SEL_NEW + 7;
	s->idtr_base = IDT;
	s->idtr_limit = 8 * GATE_VECTOR + 7;
	s->seg_sel[SEG_TR] = SEL_OLD;
	s->seg_base[SEG_TR] = OLD_TSS;
	s->seg_limit[SEG_TR] = TSS_BYTES - 1;
	s->gpr[GPR_RBX] = OLD_TSS;
	virt->set(v, s);
}

/* The exit of a switch that this CPU leaves to us, and the switch. */
static enum err switch_task(struct vcpu *v, struct exit *x, enum task_cause cause,
                            uint16_t selector)
{
	CHECK(x->kind == EXIT_TASK && x->task.cause == cause && x->task.selector == selector,
	      "a task switch came as \"%s\" at %lx", exit_name(x->kind), v->rip);
	CHECK(cause != TASK_EVENT || (v->again.type == EVENT_SOFT_IRQ &&
	                              v->again.insn_len == sizeof(old_code) - 1),
	      "again is type %u, length %u", v->again.type, v->again.insn_len);
	CHECK(exit_dispatch(v, x) == RESUME_SAME && v->exception.type == EVENT_NONE,
	      "the switch failed: vector %u, error %x", v->exception.vector, v->exception.error);
	return OK;
}

/* A CPU that switches tasks itself goes on to the HLT of the new one. */
enum err virttest_task(struct vcpu *v, struct exit *x, enum exit_kind (*enter)(void))
{
	prepare(v);
	bool ours = enter() != EXIT_HLT;
	if (ours) {
		enum err e = switch_task(v, x, TASK_EVENT, SEL_NEW);
		if (e != OK)
			return e;
		enter();
	}
	CHECK(x->kind == EXIT_HLT && v->rip == NEW_CODE && (v->rflags & RFLAGS_NT) &&
	      v->gpr[GPR_RBX] == 0, "the new task came to \"%s\" at %lx", exit_name(x->kind),
	      v->rip);
	vcpu_skip(v, x->insn_len);
	enter();
	if (ours) {
		enum err e = switch_task(v, x, TASK_IRET, SEL_OLD);
		if (e != OK)
			return e;
		enter();
	}
	CHECK(x->kind == EXIT_HLT && v->rip == OLD_CODE + sizeof(old_code) - 1 &&
	      v->gpr[GPR_RBX] == OLD_TSS, "the old task came to \"%s\" at %lx", exit_name(x->kind),
	      v->rip);
	return OK;
}
