/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/hazards.c - from what a CPU says about itself to the defences that it needs.
 *
 * Pure.  Five questions, one function each: may large pages of code raise a machine check (iTLB
 * multihit), can a guest read the L1 data cache (L1TF), the CPU's buffers (MDS and kin), and can it
 * steer the speculation of other guests, or ours (Spectre, variant 2)?  A CPU that cannot be
 * defended is used all the same, and the self-test says so.
 * Source: Intel's "Affected Processors" and the guidance behind it (docs/references.md).
 * Called by cpu_defend(); read next: arch/x86_64/vmx/vmx_entry.S, svm/svm_entry.S.
 */
#include "arch/x86_64/hazards.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/msr.h"

struct defences defences;

static bool is_intel(const struct hazard_facts *f)
{
	return !memcmp(f->vendor, "GenuineIntel", sizeof(f->vendor));
}

/*
 * Intel's small cores and Xeon Phi before IA32_ARCH_CAPABILITIES existed: affected neither by iTLB
 * multihit nor by L1TF, and without a register to say so.
 */
static bool is_small_core(const struct hazard_facts *f)
{
	static const uint8_t models[] = {
		0x1c, 0x26, 0x27, 0x35, 0x36,           /* Bonnell, Saltwell                */
		0x37, 0x4a, 0x4d, 0x5a, 0x5d,           /* Silvermont                       */
		0x4c, 0x75,                             /* Airmont                          */
		0x5c, 0x5f, 0x7a,                       /* Goldmont, Goldmont Plus          */
		0x86,                                   /* Tremont in servers               */
		0x57, 0x85,                             /* Xeon Phi: Knights Landing, Mill  */
	};

	for (unsigned i = 0; i < COUNT(models); i++)
		if (f->family == 6 && f->model == models[i])
			return true;
	return false;
}

static struct virt_feature held(const char *name)
{
	return (struct virt_feature){ .name = name, .found = true };
}

static struct virt_feature open_to(const char *name, const char *why)
{
	return (struct virt_feature){ .name = name, .why = why };
}

static struct virt_feature decide_multihit(const struct hazard_facts *f, struct defences *out)
{
	if (!is_intel(f) || is_small_core(f) || (f->arch_caps & ARCH_CAP_PSCHANGE_MC_NO))
		return held("iTLB multihit: not affected");
	out->small_code = true;
	return held("iTLB multihit: guests' code by 4 KiB leaves");
}

/* Without RDCL_NO: page-table entries that are not present let loads hit in the L1 data cache. */
static struct virt_feature decide_l1tf(const struct hazard_facts *f, struct defences *out)
{
	if (!is_intel(f) || is_small_core(f) ||
	    (f->arch_caps & (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_L1D_FLUSH)))
		return held("L1TF: not affected");
	out->flush_l1d = f->leaf7_edx & CPUID7_EDX_L1D_FLUSH;
	if (out->flush_l1d)
		return held("L1TF: L1 data cache flushed before entries");
	return open_to("defence against L1TF",
	               "CPUID 7 EDX.28: no IA32_FLUSH_CMD; guests may read what the host used");
}

/*
 * MDS and TAA are mended by the VERW of microcode with MD_CLEAR, RFDS by that with RFDS_CLEAR.
 * (MMIO stale data takes a guest that owns a device, and ours own none.)
 */
static struct virt_feature decide_buffers(const struct hazard_facts *f, struct defences *out)
{
	bool mds = is_intel(f) && !(f->arch_caps & ARCH_CAP_MDS_NO);
	bool taa = is_intel(f) && !(f->arch_caps & ARCH_CAP_TAA_NO) &&
	           (f->leaf7_ebx & CPUID7_EBX_RTM);
	bool rfds = !(f->arch_caps & ARCH_CAP_RFDS_NO) && (f->arch_caps & ARCH_CAP_RFDS_CLEAR);

	if (!mds && !taa && !rfds)
		return held("MDS, TAA, RFDS: not affected");
	if (rfds || (f->leaf7_edx & CPUID7_EDX_MD_CLEAR))
		out->entry |= DEFENCE_VERW;
	if ((mds || taa) && !(f->leaf7_edx & CPUID7_EDX_MD_CLEAR))
		return open_to("defence against MDS",
		               "CPUID 7 EDX.10: VERW clears no buffers; guests may read traces");
	return held("MDS, TAA, RFDS: VERW before entries");
}

static struct virt_feature decide_other_guests(const struct hazard_facts *f, struct defences *out)
{
	out->ibpb = is_intel(f) ? f->leaf7_edx & CPUID7_EDX_SPEC_CTRL
	                        : f->ext8_ebx & CPUID80000008_EBX_IBPB;
	if (out->ibpb)
		return held("Spectre v2, guest to guest: IBPB");
	return open_to("defence against Spectre v2, guest to guest",
	               "CPUID 7 EDX.26 and 80000008 EBX.12: no IBPB");
}

/*
 * APM vol. 2, "Automatic IBRS": what runs in a guest predicts nothing in the host, and the return
 * stack is emptied at #VMEXIT.  IBRS that may stay on does the first (AMD, "Indirect Branch Control
 * Extension").  IBRS of older CPUs would have to be written after every exit.
 */
static struct virt_feature decide_host_amd(const struct hazard_facts *f, struct defences *out)
{
	uint32_t always = CPUID80000008_EBX_IBRS | CPUID80000008_EBX_IBRS_ALWAYS;

	if (f->ext21_eax & CPUID80000021_EAX_AUTO_IBRS) {
		out->auto_ibrs = true;
		return held("Spectre v2, guest to host: automatic IBRS");
	}
	if ((f->ext8_ebx & always) != always)
		return open_to("defence against Spectre v2, guest to host",
		               "CPUID 80000021 EAX.8 and 80000008 EBX.16: no IBRS that stays on");
	out->spec_ctrl = SPEC_CTRL_IBRS;
	out->entry |= DEFENCE_RSB;
	return held("Spectre v2, guest to host: IBRS that stays on, RSB after exits");
}

/*
 * Enhanced IBRS is set once and keeps what guests taught the predictors away from us; plain IBRS
 * has to be written anew after every exit.  Returns are predicted by a stack of their own, which
 * plain IBRS leaves alone and some enhanced ones do not empty in time (PBRSB_NO says which do).
 */
static struct virt_feature decide_host(const struct hazard_facts *f, struct defences *out)
{
	if (!is_intel(f))
		return decide_host_amd(f, out);
	if (!(f->leaf7_edx & CPUID7_EDX_SPEC_CTRL))
		return open_to("defence against Spectre v2, guest to host",
		               "CPUID 7 EDX.26: no IBRS");
	if (!(f->arch_caps & ARCH_CAP_IBRS_ALL)) {
		out->entry |= DEFENCE_IBRS | DEFENCE_RSB;
		return held("Spectre v2, guest to host: IBRS and RSB after exits");
	}
	out->spec_ctrl = SPEC_CTRL_IBRS;
	if (!(f->arch_caps & ARCH_CAP_PBRSB_NO))
		out->entry |= DEFENCE_RSB;
	if (!(f->arch_caps & ARCH_CAP_BHI_NO) && (f->leaf7_2_edx & CPUID7_2_EDX_BHI_CTRL))
		out->spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
	return held("Spectre v2, guest to host: enhanced IBRS");
}

void hazards_decide(const struct hazard_facts *f, struct defences *out,
                    struct virt_feature says[HAZARDS])
{
	*out = (struct defences){ 0 };
	says[0] = decide_multihit(f, out);
	says[1] = decide_l1tf(f, out);
	says[2] = decide_buffers(f, out);
	says[3] = decide_other_guests(f, out);
	says[4] = decide_host(f, out);
}
