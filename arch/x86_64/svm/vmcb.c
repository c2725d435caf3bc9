/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/vmcb.c - what is in a VMCB, in three parts.
 *
 *   1. controls            what the guest may do without us        tables, adjusted to the guest
 *   2. permission maps     ports and MSRs                          a table
 *   3. guest reset state   where the guest begins                  svm_set() (svm_state.c)
 *
 * There is no host part: VMRUN saves the host's state by itself.  Pure: a VMCB is plain memory.
 * Called by svm.c when a vCPU is made; read next: svm_entry.S.
 */
#include "arch/x86_64/svm/vmcb.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "lib/log.h"
#include "vmm/vcpu.h"

/* --- 1. Controls ---------------------------------------------------------------------------- */

/*
 * Interrupts exit and stay pending: the host takes them through its IDT.  That is also what brings
 * a guest back in time, because AMD-V has no preemption timer (svm.c).  Every port exits; MOV to
 * CR3, INVLPG, RDTSC, MOV to DR, PAUSE and CLTS run without us.  VINTR and IRET: on demand.
 */
static const uint8_t intercepts[] = {
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_INIT, INTERCEPT_SHUTDOWN, INTERCEPT_FERR_FREEZE,
	INTERCEPT_CR0_SELECTIVE,
	INTERCEPT_CPUID, INTERCEPT_HLT, INTERCEPT_IOIO, INTERCEPT_MSR, INTERCEPT_RDPMC,
	INTERCEPT_INVD, INTERCEPT_WBINVD, INTERCEPT_XSETBV, INTERCEPT_VMMCALL, INTERCEPT_RSM,
	INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_MWAIT_ARMED, INTERCEPT_RDPRU,
	INTERCEPT_MCOMMIT, INTERCEPT_INVLPGB, INTERCEPT_INVLPGB_ILLEGAL, INTERCEPT_TLBSYNC,
	/* EFER.SVME must be set while the guest runs, so these would work if we let them. */
	INTERCEPT_VMRUN, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE, INTERCEPT_STGI, INTERCEPT_CLGI,
	INTERCEPT_SKINIT, INTERCEPT_INVLPGA,
};

/*
 * A guest that makes its own exception delivery fault (#AC with a misaligned stack, #DB with a
 * breakpoint on it) keeps the CPU busy for ever without an exit; #MC is the host's; and #UD may be
 * an instruction of the other vendor's CPUs.
 */
#define EXCEPTIONS_TAKEN (BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC) | BIT(VECTOR_UD))

/*
 * All guest memory is RAM and write-back, whatever the guest's PAT says: the host reads the same
 * memory write-back, and two memory types for one page would not be coherent.
 */
#define PAT_ALL_WRITE_BACK (PAT_WB * 0x0101010101010101ull)

void vmcb_intercept(struct vmcb *m, enum svm_intercept what, bool on)
{
	uint32_t *word = &m->intercept_misc[what / 32], bit = (uint32_t)BIT(what % 32);

	*word = on ? *word | bit : *word & ~bit;
	m->clean &= (uint32_t)~CLEAN_INTERCEPTS;
}

bool vmcb_intercepts(const struct vmcb *m, enum svm_intercept what)
{
	return m->intercept_misc[what / 32] >> what % 32 & 1;
}

void vmcb_build(struct vmcb *m, const struct vmcb_plan *plan)
{
	memset(m, 0, sizeof(*m));
	for (unsigned i = 0; i < COUNT(intercepts); i++)
		vmcb_intercept(m, intercepts[i], true);
	vmcb_intercept(m, INTERCEPT_RDTSCP, !plan->rdtscp);
	vmcb_intercept(m, INTERCEPT_INVPCID, !plan->invpcid);
	m->intercept_cr_read = m->intercept_cr_write = CR4_INTERCEPT | CR8_INTERCEPT;
	m->intercept_exceptions = EXCEPTIONS_TAKEN;
	m->iopm_pa = plan->iopm.v;
	m->msrpm_pa = plan->msrpm.v;
	m->tsc_offset = plan->tsc_offset;
	m->vintr = VINTR_MASKING;
	m->np_control = NP_ENABLE;
	m->n_cr3 = plan->nested_root.v;
	m->g_pat = PAT_ALL_WRITE_BACK;
}

#define CR0_KEPT (CR0_CD | CR0_NW)

static void intercept_cr0(struct vmcb *m, bool all, bool changes)
{
	m->intercept_cr_read &= (uint16_t)~CR0_INTERCEPT;
	m->intercept_cr_write &= (uint16_t)~CR0_INTERCEPT;
	m->intercept_cr_read |= all ? CR0_INTERCEPT : 0;
	m->intercept_cr_write |= all ? CR0_INTERCEPT : 0;
	vmcb_intercept(m, INTERCEPT_CR0_SELECTIVE, changes);
	m->clean &= (uint32_t)~CLEAN_CR;
}

uint64_t vmcb_set_cr0(struct vmcb *m, uint64_t cr0)
{
	m->cr0 = cr0 & ~CR0_KEPT;
	intercept_cr0(m, cr0 & CR0_KEPT, true);
	return cr0 & CR0_KEPT;
}

void vmcb_open_cr0(struct vmcb *m, uint64_t kept)
{
	m->cr0 |= kept;
	intercept_cr0(m, false, false);
}

/* --- 2. Permission maps --------------------------------------------------------------------- */

/*
 * MSRs that VMLOAD and VMSAVE keep apart from the host's.  The SYSENTER ones are not among them: a
 * CPU keeps 32 bits of each, and a guest that came from elsewhere may have more in them; nor is
 * CSTAR, which may have to follow LSTAR (svm_state.c), so writes of that exit, too.
 */
static const uint32_t passed_msrs[] = {
	MSR_STAR, MSR_FMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
};

/* APM vol. 2, "MSR Intercepts": the three ranges of the map; the passed ones are in the second. */
#define MSR_SECOND_RANGE 0xc0000000u

enum { MSRPM_READ = 1, MSRPM_WRITE = 2 };

static void pass_msr(uint8_t map[MSRPM_BYTES], uint32_t msr, unsigned access)
{
	uint32_t i = msr - MSR_SECOND_RANGE;

	ASSERT(i < MSRPM_RANGE);
	map[MSRPM_RANGE_BYTES + i / MSRPM_PER_BYTE] &=
		(uint8_t)~(access << i % MSRPM_PER_BYTE * 2);
}

void vmcb_msrpm_build(uint8_t map[MSRPM_BYTES], bool tsc_aux)
{
	memset(map, 0xff, MSRPM_BYTES);
	for (unsigned i = 0; i < COUNT(passed_msrs); i++)
		pass_msr(map, passed_msrs[i], MSRPM_READ | MSRPM_WRITE);
	pass_msr(map, MSR_LSTAR, MSRPM_READ);
	if (tsc_aux)
		pass_msr(map, MSR_TSC_AUX, MSRPM_READ | MSRPM_WRITE);
}

/* --- What the guest's CPUID says ------------------------------------------------------------ */

static uint32_t offered(const struct cpuid_table *t, uint32_t leaf, const uint32_t *reg)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->leaf[i] == leaf && t->subleaf[i] == 0)
			return reg[i];
	return 0;
}

bool vmcb_offers_tsc_aux(const struct cpuid_table *t)
{
	return (offered(t, CPUID_EXT_FEATURES, t->edx) & CPUID80000001_EDX_RDTSCP) ||
	       (offered(t, CPUID_FEATURES7, t->ecx) & CPUID7_ECX_RDPID);
}

bool vmcb_offers_invpcid(const struct cpuid_table *t)
{
	return offered(t, CPUID_FEATURES7, t->ebx) & CPUID7_EBX_INVPCID;
}
