/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx_probe.c - what of VT-x does this CPU have?
 *
 * Reads CPUID and the capability MSRs, changes nothing.  The table names everything that we look
 * for, whether we can do without it, and where we looked: the self-test at boot prints it.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/vmx/vmx.h"

#include <string.h>


struct vmx_caps vmx_caps;

#define MAY_BE_1(bits)  ((uint64_t)(bits) << 32)

/* What the self-test looks for in the capability MSRs. */
static const struct {
	const char *name;
	size_t      where;              /* in struct vmx_caps */
	uint64_t    bits;
	bool        required;
	const char *why;
} features[] = {
#define CAP(member) offsetof(struct vmx_caps, member)
	{ "EPT",                     CAP(proc2),    MAY_BE_1(PROC2_EPT), true,
	  "IA32_VMX_PROCBASED_CTLS2 bit 33: guests' memory needs second-stage tables" },
	{ "EPT 2 MiB leaves",        CAP(ept_vpid), EPT_CAP_2M, true,
	  "IA32_VMX_EPT_VPID_CAP bit 16" },
	{ "EPT write-back, 4 levels", CAP(ept_vpid), EPT_CAP_WB | EPT_CAP_4_LEVELS, true,
	  "IA32_VMX_EPT_VPID_CAP bits 6 and 14" },
	{ "INVEPT single-context",   CAP(ept_vpid), EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE, true,
	  "IA32_VMX_EPT_VPID_CAP bits 20 and 25" },
	{ "EPT accessed and dirty flags", CAP(ept_vpid), EPT_CAP_AD, false,
	  "IA32_VMX_EPT_VPID_CAP bit 21: dirty pages are found by write protection" },
	{ "unrestricted guest",      CAP(proc2),    MAY_BE_1(PROC2_UNRESTRICTED), true,
	  "IA32_VMX_PROCBASED_CTLS2 bit 39: guests start in real mode" },
	{ "VPID",                    CAP(proc2),    MAY_BE_1(PROC2_VPID), true,
	  "IA32_VMX_PROCBASED_CTLS2 bit 37" },
	{ "INVVPID single-context",  CAP(ept_vpid), VPID_CAP_INVVPID | VPID_CAP_SINGLE, true,
	  "IA32_VMX_EPT_VPID_CAP bits 32 and 41" },
	{ "VMX-preemption timer",    CAP(pin),      MAY_BE_1(PIN_PREEMPTION_TIMER), true,
	  "IA32_VMX_PINBASED_CTLS bit 38: it brings every guest back" },
	{ "virtual NMIs",            CAP(pin),      MAY_BE_1(PIN_VIRTUAL_NMI), true,
	  "IA32_VMX_PINBASED_CTLS bit 37" },
	{ "TRUE controls",           CAP(basic),    BASIC_TRUE_CONTROLS, true,
	  "IA32_VMX_BASIC bit 55: without them every MOV to CR3 would exit" },
	{ "INS and OUTS information", CAP(basic),   BASIC_INS_OUTS_INFO, true,
	  "IA32_VMX_BASIC bit 54" },
	{ "WBINVD exiting",          CAP(proc2),    MAY_BE_1(PROC2_WBINVD_EXIT), true,
	  "IA32_VMX_PROCBASED_CTLS2 bit 38" },
	{ "PML",                     CAP(proc2),    MAY_BE_1(PROC2_PML), false,
	  "not used: dirty flags are harvested" },
	{ "TSC scaling",             CAP(proc2),    MAY_BE_1(PROC2_TSC_SCALING), false,
	  "IA32_VMX_PROCBASED_CTLS2 bit 57: after a move from another rate, RDTSC exits" },
	{ "INVPCID for guests",      CAP(proc2),    MAY_BE_1(PROC2_INVPCID), false,
	  "not announced to guests" },
	{ "XSAVES for guests",       CAP(proc2),    MAY_BE_1(PROC2_XSAVES), false,
	  "not announced to guests" },
#undef CAP
};

static void read_caps(struct vmx_caps *c)
{
	c->basic = insn_rdmsr(MSR_VMX_BASIC);
	bool exact = c->basic & BASIC_TRUE_CONTROLS;

	c->misc = insn_rdmsr(MSR_VMX_MISC);
	c->pin = insn_rdmsr(exact ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN);
	c->proc = insn_rdmsr(exact ? MSR_VMX_TRUE_PROC : MSR_VMX_PROC);
	c->exit = insn_rdmsr(exact ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT);
	c->entry = insn_rdmsr(exact ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY);
	if (c->proc & MAY_BE_1(PROC_SECONDARY))
		c->proc2 = insn_rdmsr(MSR_VMX_PROC2);
	if (c->proc2 & MAY_BE_1(PROC2_EPT | PROC2_VPID))
		c->ept_vpid = insn_rdmsr(MSR_VMX_EPT_VPID);
	c->cr0_fixed0 = insn_rdmsr(MSR_VMX_CR0_FIXED0);
	c->cr0_fixed1 = insn_rdmsr(MSR_VMX_CR0_FIXED1);
	c->cr4_fixed0 = insn_rdmsr(MSR_VMX_CR4_FIXED0);
	c->cr4_fixed1 = insn_rdmsr(MSR_VMX_CR4_FIXED1);
	c->phys_bits = cpu_phys_bits();
}

bool vmx_caps_same(void)
{
	struct vmx_caps mine;

	memset(&mine, 0, sizeof(mine));         /* padding as well: it is compared */
	read_caps(&mine);
	return !memcmp(&mine, &vmx_caps, sizeof(mine));
}

enum err vmx_probe(struct virt_caps *out)
{
	uint32_t ecx = insn_cpuid(CPUID_FEATURES, 0).ecx;
	bool xsave = ecx & CPUID1_ECX_XSAVE;

	*out = (struct virt_caps){ .usable = true, .present = ecx & CPUID1_ECX_VMX };
	virt_add_feature(out, "VT-x", out->present, true,
	                 "CPUID leaf 1, ECX bit 5: this CPU has no VT-x, or it is hidden");
	if (!out->present)
		return OK;
	uint64_t control = insn_rdmsr(MSR_FEATURE_CONTROL);
	virt_add_feature(out, "VT-x allowed by firmware",
	                 !(control & FC_LOCKED) || (control & FC_VMXON), true,
	                 "locked off in IA32_FEATURE_CONTROL: turn it on in the firmware's set-up");
	virt_add_feature(out, "XSAVE", xsave, true,
	                 "CPUID leaf 1, ECX bit 26: guests' FPU state is switched by it");
	read_caps(&vmx_caps);
	for (unsigned i = 0; i < COUNT(features); i++) {
		uint64_t cap = *(const uint64_t *)((const char *)&vmx_caps + features[i].where);
		bool found = (cap & features[i].bits) == features[i].bits;
		virt_add_feature(out, features[i].name, found, features[i].required,
		                 features[i].why);
	}
	cpu_defend(out);
	out->ad_bits = vmx_caps.ept_vpid & EPT_CAP_AD;
	out->large_2m = vmx_caps.ept_vpid & EPT_CAP_2M;
	if (vmx_caps.proc2 & MAY_BE_1(PROC2_TSC_SCALING)) {
		out->tsc_fraction = TSC_MULTIPLIER_FRACTION;
		out->tsc_scale_max = TSC_MULTIPLIER_MAX;
	}
	out->xcr0_mask = xsave ? cpu_xcr0_mask() : 0;
	return OK;
}
