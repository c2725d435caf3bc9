/* SPDX-License-Identifier: MIT */
/*
 * vmm/io.c - IN, OUT, INS and OUTS against the VM's port space.
 *
 * Read next: vmm/bus.c, then the device.
 */
#include "vmm/io.h"

#include "arch/x86_64/defs/cr.h"
#include "vmm/pagewalk.h"
#include "vmm/vm.h"

#define STRING_BATCH 64                         /* repetitions an exit */

enum resume io_single(struct vcpu *v, const struct exit *x)
{
	struct vm *vm = v->vm;
	struct access a = { x->io.port, x->io.size, (uint8_t)v->id, clock_now_ns(&vm->clock) };

	if (x->io.in)
		gpr_put(&v->gpr[GPR_RAX], bus_read(&vm->bus, BUS_IO, &a), x->io.size);
	else
		bus_write(&vm->bus, BUS_IO, &a, v->gpr[GPR_RAX]);
	return RESUME_NEXT;
}

/* One repetition; false: the memory side faulted, and the guest will hear of it. */
static bool string_step(struct vcpu *v, const struct exit *x, const struct cpu_mode *mode)
{
	struct vm *vm = v->vm;
	uint64_t *index = &v->gpr[x->io.in ? GPR_RDI : GPR_RSI];
	enum seg seg = x->io.in ? SEG_ES : x->io.seg;
	struct access a = { x->io.port, x->io.size, (uint8_t)v->id, clock_now_ns(&vm->clock) };
	uint64_t linear = pagewalk_linear(mode, seg, *index, x->io.addr_size), value = 0, fault;
	uint32_t error;
	bool done;

	if (x->io.in) {
		/* The page is checked first: what a device gave cannot be put back. */
		done = pagewalk_check(&vm->mem, mode, linear, x->io.size, WALK_WRITE, &fault,
		                      &error);
		if (done)
			value = bus_read(&vm->bus, BUS_IO, &a);
		done = done && pagewalk_write(&vm->mem, mode, linear, &value, x->io.size, &fault,
		                              &error);
	} else {
		done = pagewalk_read(&vm->mem, mode, linear, &value, x->io.size, WALK_READ, &fault,
		                     &error);
		if (done)
			bus_write(&vm->bus, BUS_IO, &a, value);
	}
	if (!done) {
		vcpu_raise_page_fault(v, fault, error);
		return false;
	}
	uint64_t step = v->rflags & RFLAGS_DF ? -(uint64_t)x->io.size : x->io.size;
	gpr_put(index, *index + step, x->io.addr_size);
	return true;
}

enum resume io_string(struct vcpu *v, const struct exit *x)
{
	uint64_t count_mask = ~0ull >> (64 - 8 * x->io.addr_size);
	struct cpu_mode mode;

	virt->get_mode(v, &mode);
	if (!x->io.rep)
		return string_step(v, x, &mode) ? RESUME_NEXT : RESUME_SAME;
	for (unsigned i = 0; i < STRING_BATCH && (v->gpr[GPR_RCX] & count_mask); i++) {
		if (!string_step(v, x, &mode))
			return RESUME_SAME;
		gpr_put(&v->gpr[GPR_RCX], v->gpr[GPR_RCX] - 1, x->io.addr_size);
	}
	return v->gpr[GPR_RCX] & count_mask ? RESUME_SAME : RESUME_NEXT;
}
