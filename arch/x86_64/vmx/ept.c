/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/ept.c - which bits of an EPT entry mean what, and when the TLB must forget.
 *
 * The tables themselves are built by vmm/stage2.c from ept_format.  RAM is always write-back,
 * whatever the guest's PAT says (EPT_IGNORE_PAT): the host reads the same memory write-back, and
 * two memory types for one page would not be coherent.
 */
#include "arch/x86_64/vmx/vmx.h"

#include "lib/log.h"

struct s2_format ept_format = {
	.read = EPT_READ, .write = EPT_WRITE, .exec = EPT_EXEC, .leaf = EPT_LARGE,
	.accessed = EPT_ACCESSED, .dirty = EPT_DIRTY,
	.ram_type = MEMORY_TYPE_WB << 3 | EPT_IGNORE_PAT,
};
_Static_assert(GET(EPT_MEMORY_TYPE, MEMORY_TYPE_WB << 3) == MEMORY_TYPE_WB,
               "memory type of a leaf: bits 5:3");

void ept_init(const struct vmx_caps *caps)
{
	if (!(caps->ept_vpid & EPT_CAP_AD))
		ept_format.accessed = ept_format.dirty = 0;
	ept_format.small_code = defences.small_code;
}

uint64_t ept_pointer(const struct stage2 *s2)
{
	return s2->root.v | MEMORY_TYPE_WB | PUT(EPTP_LEVELS_MINUS_1, 3ull) |
		(s2->fmt->dirty ? EPTP_AD : 0);
}

/*
 * SDM vol. 3, "Guidelines for Use of the INVEPT Instruction": after clearing an accessed or dirty
 * flag or taking a right away, a CPU may go on using what it cached, and sets no flag again, until
 * INVEPT.  On this CPU; vmm/guest_mode.c sees to the others, and that a CPU does this before it
 * enters a VM for the first time, whose root may once have been another VM's.
 */
void ept_flush(struct vm *vm)
{
	if (!insn_invept(INVEPT_SINGLE, ept_pointer(&vm->s2)))
		panic("INVEPT for the tables at 0x%lx refused", vm->s2.root.v);
	vm->tlb.done[cpu_here()->number]++;
}

/* vm->asid begins a block of VCPUS_MAX tags, so that no two vCPUs of this host share one. */
uint16_t ept_vpid(const struct vcpu *v)
{
	uint32_t tag = v->vm->asid + v->id;

	ASSERT(tag && tag <= UINT16_MAX);
	return (uint16_t)tag;
}

/*
 * SDM vol. 3, "Guidelines for Use of the INVVPID Instruction": when a tag gets a new owner, when
 * its vCPU comes to a CPU where it was not last time, and when the host changes CR0, CR3, CR4 or
 * EFER of a guest, which with VPID no VM entry flushes.
 */
void ept_flush_vpid(uint16_t vpid)
{
	if (!insn_invvpid(INVVPID_SINGLE, vpid, 0))
		panic("INVVPID of tag %u refused", vpid);
}

void ept_explain(const struct vm *vm, uint64_t address)
{
	struct s2_leaf leaf;
	bool mapped = stage2_lookup(&vm->s2, gpa(address), &leaf);

	log_line("EPT of %s: guest address 0x%lx: %s, entry 0x%lx of %lu KiB, host address 0x%lx",
	         vm->config.name, address, mapped ? "mapped" : "not mapped", leaf.entry,
	         (unsigned long)(leaf.size / KIB), leaf.hpa.v);
}
