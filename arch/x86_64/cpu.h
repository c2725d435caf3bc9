/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/cpu.h - this CPU as the host wants it: segments, control registers, PAT, XCR0; and
 * which CPU it is (lib/cpu.h).
 */
#ifndef ARCH_X86_64_CPU_H
#define ARCH_X86_64_CPU_H

#include "arch/x86_64/hazards.h"
#include "lib/cpu.h"
#include "lib/err.h"
#include "lib/types.h"
#include "vmm/virt.h"

/* GDT selectors; a vendor's host state needs them. */
#define CPU_SEL_CODE    0x08
#define CPU_SEL_DATA    0x10
#define CPU_SEL_TSS     0x18

/* Stacks that the CPU switches to by itself (TSS.IST): each has a guard page below. */
#define IST_DOUBLE_FAULT  1
#define IST_NMI           2
#define IST_MACHINE_CHECK 3
#define IST_COUNT         3

/* From here on cpu_here() is `c`: the very first thing that C code does on a CPU. */
void cpu_become(struct host_cpu *c);

/* GDT, TSS, CR0, CR4, EFER.NXE, PAT, XCR0 of the boot CPU; then of any other. */
enum err cpu_init(void);
void     cpu_load(void);

uint64_t cpu_tss_base(void);

/* Bits of a physical address (CPUID leaf 0x80000008). */
unsigned cpu_phys_bits(void);
bool     cpu_has_nx(void);
bool     cpu_has_1g_pages(void);
bool     cpu_has_x2apic(void);
bool     cpu_has_tsc_deadline(void);
bool     cpu_has_xsave(void);
bool     cpu_has_crc32(void);

/* XSAVE components that this CPU has and struct cpu_state has room for. */
uint64_t cpu_xcr0_mask(void);

/* "GenuineIntel" and the brand string, into a buffer of CPU_NAME_MAX. */
#define CPU_NAME_MAX 64
void cpu_describe(char out[CPU_NAME_MAX]);

/* What this CPU says about its mistakes, for hazards_decide(). */
void cpu_hazard_facts(struct hazard_facts *out);

/* For a vendor's probe: decide on `defences`, and add what was decided to its features. */
void cpu_defend(struct virt_caps *out);

/*
 * What one VM taught this CPU's branch predictors shall not steer another.  `vm` is its vm->asid:
 * call the first before it runs here, the second before another VM may get the number.
 */
void cpu_branches_for(uint32_t vm);
void cpu_branches_release(uint32_t vm);

/* What the self-test says about the CPU apart from virtualisation; returns how many. */
unsigned cpu_features(struct virt_feature *out, unsigned max);

#endif
