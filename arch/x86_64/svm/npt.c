/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/npt.c - which bits of a nested page-table entry mean what, and when the TLB must
 * forget.
 *
 * The tables themselves are built by vmm/stage2.c from npt_format: they are ordinary long-mode
 * tables, walked as user accesses, so every entry has U: it stands for the right to execute, which
 * has no bit of its own.  PWT, PCD and PAT are 0, which is write-back; the guest's half of the
 * memory type is kept write-back by vmcb.c.
 */
#include "arch/x86_64/svm/svm.h"

#include "arch/x86_64/defs/pte.h"
#include "lib/log.h"

const struct s2_format npt_format = {
	.read = PTE_PRESENT, .write = PTE_WRITE, .exec = PTE_USER, .leaf = PTE_LARGE,
	.accessed = PTE_ACCESSED, .dirty = PTE_DIRTY,
};

/*
 * APM vol. 2, "TLB Management" and "Accessed and Dirty Bits": after clearing an accessed or dirty
 * flag or taking a right away, a CPU may go on using what it cached, and sets no flag again, until
 * its TLB is flushed.  Here that means: every vCPU of this VM is entered next with a flushed or
 * fresh tag (svm_asid.c).  vmm/guest_mode.c calls this for each CPU, before its next entry.
 */
void npt_flush(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		struct svm *hw = vm->vcpu[i] ? vm->vcpu[i]->hw : NULL;
		if (hw)
			asid_forget(&hw->asid);
	}
	vm->tlb.done[cpu_here()->number]++;
}

void npt_explain(const struct vm *vm, uint64_t address)
{
	struct s2_leaf leaf;
	bool mapped = stage2_lookup(&vm->s2, gpa(address), &leaf);

	log_line("NPT of %s: guest address 0x%lx: %s, entry 0x%lx of %lu KiB, host address 0x%lx",
	         vm->config.name, address, mapped ? "mapped" : "not mapped", leaf.entry,
	         (unsigned long)(leaf.size / KIB), leaf.hpa.v);
}
