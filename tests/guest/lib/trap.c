/* SPDX-License-Identifier: MIT */
/*
 * lib/trap.c - the IDT, and who handles which vector.
 *
 * Double faults get a stack of their own through the TSS, so that a broken stack is reported and
 * not a triple fault; exceptions of ring 3 get the same.  Called by
 * lib/guest.c at start; guests call trap_handle() and trap_try().
 */
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/trap.h"

enum {
	VECTORS          = 256,
	VECTORS_CPU      = 32,
	STUB_SIZE        = 16,
	GATE_INTERRUPT   = 0x8e,     /* present, ring 0, 64-bit interrupt gate  */
	DESC_TSS_PRESENT = 0x89,
	IST_DOUBLE_FAULT = 1,
	FAULT_STACK_SIZE = 4096,
};

struct gate {                        /* SDM vol. 3, "64-Bit Mode IDT" */
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "IDT gate");

struct tss {                         /* SDM vol. 3, "Task Management in 64-bit Mode" */
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, iomap;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");

struct table_pointer { uint16_t limit; uint64_t base; } __attribute__((packed));

extern const uint8_t trap_stubs[VECTORS][STUB_SIZE];
extern const uint8_t trap_try_caught[];
extern uint64_t trap_try_rsp;
extern uint64_t gdt[];

struct trap_frame trap_caught;

static struct gate idt[VECTORS];
static struct tss tss;
static trap_fn *handlers[VECTORS];
static uint8_t fault_stack[FAULT_STACK_SIZE];

void trap_dispatch(struct trap_frame *frame);

void trap_dispatch(struct trap_frame *frame)
{
	if (handlers[frame->vector]) {
		handlers[frame->vector](frame);
		return;
	}
	if (frame->vector < VECTORS_CPU && trap_try_rsp) {
		trap_caught = *frame;
		frame->rip = (uint64_t)(uintptr_t)trap_try_caught;
		frame->rax = frame->vector;
		return;
	}
	guest_fail("unexpected vector %lu error %lx rip %lx rsp %lx cr2 %lx", frame->vector,
		   frame->error, frame->rip, frame->rsp, insn_read_cr2());
}

void trap_handle(unsigned vector, trap_fn *handler)
{
	CHECK(vector < VECTORS, "trap_handle: vector %u", vector);
	handlers[vector] = handler;
}

static void tss_init(void)
{
	uint64_t base = (uint64_t)(uintptr_t)&tss;
	uint64_t low = (sizeof(tss) - 1) | (base & 0xffffff) << 16 |
		       (uint64_t)DESC_TSS_PRESENT << 40 | (base >> 24 & 0xff) << 56;

	tss.ist[IST_DOUBLE_FAULT - 1] = (uint64_t)(uintptr_t)(fault_stack + sizeof(fault_stack));
	tss.rsp[0] = tss.ist[IST_DOUBLE_FAULT - 1];
	tss.iomap = sizeof(tss);
	gdt[SEL_TSS / 8] = low;
	gdt[SEL_TSS / 8 + 1] = base >> 32;
	insn_ltr(SEL_TSS);
}

void trap_load(void)
{
	struct table_pointer pointer = { sizeof(idt) - 1, (uint64_t)(uintptr_t)idt };

	insn_lidt(&pointer);
}

void trap_init(void)
{
	for (unsigned v = 0; v < VECTORS; v++) {
		uint64_t stub = (uint64_t)(uintptr_t)trap_stubs[v];
		idt[v] = (struct gate){
			.offset_low = (uint16_t)stub, .offset_mid = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32), .selector = SEL_CODE64,
			.type = GATE_INTERRUPT,
			.ist = v == VECTOR_DF ? IST_DOUBLE_FAULT : 0,
		};
	}
	tss_init();
	trap_load();
}
