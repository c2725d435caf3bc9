/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_probe.c - what of AMD-V does this CPU have?
 *
 * Reads CPUID and VM_CR, changes nothing.  The table names everything that we look for, whether we
 * can do without it, and where we looked: the self-test at boot prints it.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/idt.h"
#include "arch/x86_64/svm/svm.h"

struct svm_caps svm_caps;

#define ASIDS_MIN 2                     /* the host's, and one for guests */

/* What the self-test looks for in EDX of CPUID leaf 8000_000A. */
static const struct {
	const char *name;
	uint32_t    bit;
	bool        required;
	const char *why;
} features[] = {
	{ "NPT", CPUIDSVM_EDX_NP, true,
	  "CPUID 8000000A EDX.0: guests' memory needs nested page tables" },
	{ "nRIP", CPUIDSVM_EDX_NRIP, false,
	  "CPUID 8000000A EDX.3: the length of an instruction is found by decoding it" },
	{ "decode assists", CPUIDSVM_EDX_DECODE, false,
	  "CPUID 8000000A EDX.7: instructions are read from guests' memory" },
	{ "flush by ASID", CPUIDSVM_EDX_FLUSH_ASID, false,
	  "CPUID 8000000A EDX.6: a guest whose translations change gets a fresh tag" },
	{ "VMCB clean bits", CPUIDSVM_EDX_CLEAN, false,
	  "CPUID 8000000A EDX.5: the CPU reads the whole VMCB at each entry" },
	{ "TSC scaling", CPUIDSVM_EDX_TSC_RATIO, false,
	  "CPUID 8000000A EDX.4: after a move from another rate, RDTSC exits" },
	{ "virtual NMIs", CPUIDSVM_EDX_VNMI, false,
	  "not used: the IRET that ends an NMI exits" },
};

/* Bits of CR4 that VMRUN accepts on this CPU: those that some feature of it announces. */
static uint64_t known_cr4(void)
{
	uint64_t known = MASK(10, 0) | CR4_OSXSAVE;
	struct cpuid f7 = insn_cpuid(CPUID_FEATURES7, 0);
	uint32_t ecx = insn_cpuid(CPUID_FEATURES, 0).ecx;

	known |= f7.ebx & CPUID7_EBX_FSGSBASE ? CR4_FSGSBASE : 0;
	known |= f7.ebx & CPUID7_EBX_SMEP ? CR4_SMEP : 0;
	known |= f7.ebx & CPUID7_EBX_SMAP ? CR4_SMAP : 0;
	known |= f7.ecx & CPUID7_ECX_UMIP ? CR4_UMIP : 0;
	known |= f7.ecx & CPUID7_ECX_PKU ? CR4_PKE : 0;
	known |= f7.ecx & CPUID7_ECX_LA57 ? CR4_LA57 : 0;
	known |= f7.ecx & CPUID7_ECX_CET_SS ? CR4_CET : 0;
	return known | (ecx & CPUID1_ECX_PCID ? CR4_PCIDE : 0);
}

/* Bochs 2.7 has AMD-V and not this register, so nothing that could be set in it. */
static bool allowed_by_firmware(void)
{
	uint64_t vm_cr;

	return !msr_try(MSR_VM_CR, &vm_cr) || !(vm_cr & VM_CR_SVMDIS);
}

static void read_caps(struct svm_caps *c)
{
	struct cpuid svm = insn_cpuid(CPUID_SVM, 0);

	*c = (struct svm_caps){ .asids = svm.ebx, .features = svm.edx, .cr4_known = known_cr4() };
	c->efer_known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME;
	c->phys_bits = cpu_phys_bits();
}

bool svm_caps_same(void)
{
	struct svm_caps mine;

	read_caps(&mine);
	return allowed_by_firmware() && mine.asids == svm_caps.asids &&
	       mine.features == svm_caps.features && mine.phys_bits == svm_caps.phys_bits &&
	       mine.cr4_known == svm_caps.cr4_known;
}

enum err svm_probe(struct virt_caps *out)
{
	bool xsave = cpu_has_xsave(), leaf = insn_cpuid(CPUID_EXT_MAX, 0).eax >= CPUID_SVM;

	*out = (struct virt_caps){ .usable = true };
	out->present = leaf && (insn_cpuid(CPUID_EXT_FEATURES, 0).ecx & CPUID80000001_ECX_SVM);
	virt_add_feature(out, "AMD-V", out->present, true,
	                 "CPUID leaf 80000001, ECX bit 2: this CPU has no AMD-V, or it is hidden");
	if (!out->present)
		return OK;
	virt_add_feature(out, "AMD-V allowed by firmware", allowed_by_firmware(), true,
	                 "SVMDIS is set in VM_CR: turn it on in the firmware's set-up");
	virt_add_feature(out, "XSAVE", xsave, true,
	                 "CPUID leaf 1, ECX bit 26: guests' FPU state is switched by it");
	read_caps(&svm_caps);
	for (unsigned i = 0; i < COUNT(features); i++)
		virt_add_feature(out, features[i].name, svm_caps.features & features[i].bit,
		                 features[i].required, features[i].why);
	virt_add_feature(out, "ASIDs", svm_caps.asids >= ASIDS_MIN, true,
	                 "CPUID 8000000A EBX: no tag for a guest's translations");
	cpu_defend(out);
	out->ad_bits = out->large_2m = true;            /* part of the long-mode format */
	if (svm_caps.features & CPUIDSVM_EDX_TSC_RATIO) {
		out->tsc_fraction = TSC_RATIO_FRACTION;
		out->tsc_scale_max = TSC_RATIO_MAX;
	}
	out->xcr0_mask = xsave ? cpu_xcr0_mask() : 0;
	return OK;
}
