/* SPDX-License-Identifier: MIT */
/*
 * vmm/sysenter.c - SYSENTER and SYSEXIT in long mode, for a guest that has one of Intel's CPUs on a
 * host with one of AMD's, where both are undefined.
 *
 * Kernels choose by the vendor's name, which is Intel's in every baseline: so 32-bit programs under
 * a 64-bit Linux enter it by SYSENTER.  The other way round, a kernel of
 * Intel's CPUs is not prepared for SYSCALL in compatibility mode, which only AMD's CPUs have: there
 * arch/x86_64/svm/svm_state.c says where it leads.
 * Pure.  Called by vmm/exit.c.
 */
#include "vmm/sysenter.h"

#include "arch/x86_64/defs/cr.h"

#define CS_USABLE       MASK(15, 2)     /* of IA32_SYSENTER_CS: a selector that is not null */
#define SELECTOR        MASK(15, 2)     /* without the requested privilege level            */
/* Selectors behind that in IA32_SYSENTER_CS; a stack segment follows each code segment. */
#define USER_CS32       16
#define USER_CS64       32
#define NEXT_SELECTOR   8
#define USER_CPL        3ull

#define ATTR_FLAT       (SEG_S | SEG_P | SEG_G)
#define ATTR_CODE       (PUT(SEG_TYPE, 11ull) | ATTR_FLAT)      /* execute, read, accessed */
#define ATTR_STACK      (PUT(SEG_TYPE, 3ull) | ATTR_FLAT | SEG_DB)      /* read, write, accessed */

#define PENDING_STEP    BIT(14)         /* as in DR6 */

static void set_flat(struct cpu_state *s, enum seg seg, uint64_t selector, uint64_t attr,
                     uint64_t cpl)
{
	s->seg_sel[seg] = (uint16_t)(selector | cpl);
	s->seg_base[seg] = 0;
	s->seg_limit[seg] = UINT32_MAX;
	s->seg_attr[seg] = (uint32_t)(attr | PUT(SEG_DPL, cpl));
}

/* As at the end of any instruction; both are branches, so DEBUGCTL.BTF makes no difference. */
static void go_to(struct cpu_state *s, uint64_t rip, uint64_t rsp)
{
	s->rip = rip;
	s->gpr[GPR_RSP] = rsp;
	s->rflags &= ~RFLAGS_RF;
	s->block_sti = s->block_mov_ss = 0;
	if (s->rflags & RFLAGS_TF)
		s->pending_debug |= PENDING_STEP;
}

bool sysenter_in(struct cpu_state *s)
{
	uint64_t cs = s->msr[CPU_MSR_SYSENTER_CS];

	if (!(cs & CS_USABLE))
		return false;
	s->rflags &= ~(RFLAGS_VM | RFLAGS_IF);
	set_flat(s, SEG_CS, cs & SELECTOR, ATTR_CODE | SEG_L, 0);
	set_flat(s, SEG_SS, (cs & SELECTOR) + NEXT_SELECTOR, ATTR_STACK, 0);
	go_to(s, s->msr[CPU_MSR_SYSENTER_EIP], s->msr[CPU_MSR_SYSENTER_ESP]);
	return true;
}

bool sysenter_out(struct cpu_state *s, bool wide)
{
	uint64_t cs = s->msr[CPU_MSR_SYSENTER_CS], rip = s->gpr[GPR_RDX], rsp = s->gpr[GPR_RCX];

	if (!(cs & CS_USABLE) || GET(SEG_DPL, (uint64_t)s->seg_attr[SEG_SS]) != 0)
		return false;
	if (wide && !(cpu_state_canonical(rip) && cpu_state_canonical(rsp)))
		return false;
	uint64_t to = (cs & SELECTOR) + (wide ? USER_CS64 : USER_CS32);
	set_flat(s, SEG_CS, to, ATTR_CODE | (wide ? SEG_L : SEG_DB), USER_CPL);
	set_flat(s, SEG_SS, to + NEXT_SELECTOR, ATTR_STACK, USER_CPL);
	go_to(s, wide ? rip : (uint32_t)rip, wide ? rsp : (uint32_t)rsp);
	return true;
}
