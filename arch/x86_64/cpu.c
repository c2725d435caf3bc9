/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/cpu.c - this CPU as the host wants it.
 *
 * Owns the GDT and the TSS of each CPU.  boot/main.c calls cpu_init() once, arch/x86_64/smp.c
 * cpu_load() on every other CPU; a vendor's host state (arch/x86_64/vmx) refers to the same
 * selectors and TSS.  GS points to the CPU's entry in host_cpus[] (lib/cpu.h).
 * Read next: arch/x86_64/idt.c.
 */
#include "arch/x86_64/cpu.h"

#include <string.h>

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/stack.h"
#include "lib/log.h"

/* SDM vol. 3, "64-Bit Mode TSS Format" */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map_base;
} __attribute__((packed));
_Static_assert(offsetof(struct tss, ist) == 36, "TSS layout");
_Static_assert(sizeof(struct tss) == 104, "TSS layout");

/* SDM vol. 3, "Segment Descriptors": flat 64-bit code, data, and a TSS of two slots. */
#define DESC_CODE64     0x00af9b000000ffffull
#define DESC_DATA       0x00cf93000000ffffull
#define DESC_TSS_TYPE   0x89ull                 /* present, available 64-bit TSS */
#define DESC_LIMIT_LOW  MASK(15, 0)
#define DESC_BASE_LOW   MASK(39, 16)
#define DESC_TYPE       MASK(47, 40)
#define DESC_BASE_HIGH  MASK(63, 56)

/* Of one CPU; LTR marks the TSS's descriptor busy, so no two CPUs share a table. */
static struct segments {
	uint64_t gdt[5];
	struct tss tss __attribute__((aligned(16)));
} all_segments[CPUS_MAX];
_Static_assert(CPU_SEL_TSS / sizeof(all_segments[0].gdt[0]) == 3,
               "the TSS descriptor is slots 3 and 4");

static void segments_make(struct segments *s, unsigned cpu)
{
	uint64_t base = (uintptr_t)&s->tss;

	s->tss = (struct tss){ .io_map_base = sizeof(s->tss) };        /* no port bitmap */
	for (unsigned i = IST_DOUBLE_FAULT; i <= IST_COUNT; i++)
		s->tss.ist[i - 1] = (uintptr_t)stack_ist_top(cpu, i);
	s->gdt[1] = DESC_CODE64;
	s->gdt[2] = DESC_DATA;
	s->gdt[3] = PUT(DESC_LIMIT_LOW, sizeof(s->tss) - 1) | PUT(DESC_BASE_LOW, base) |
	            PUT(DESC_TYPE, DESC_TSS_TYPE) | PUT(DESC_BASE_HIGH, base >> 24);
	s->gdt[4] = base >> 32;
}

uint64_t cpu_tss_base(void)
{
	return (uintptr_t)&all_segments[cpu_here()->number].tss;
}

void cpu_become(struct host_cpu *c)
{
	insn_wrmsr(MSR_GS_BASE, (uintptr_t)c);
}

struct host_cpu *cpu_here(void)
{
	return insn_mov_gs0();
}

static void load_segments(void)
{
	struct host_cpu *c = cpu_here();
	struct segments *s = &all_segments[c->number];
	struct table_register r = { sizeof(s->gdt) - 1, (uintptr_t)s->gdt };

	segments_make(s, c->number);
	insn_lgdt(&r);
	insn_load_cs(CPU_SEL_CODE);
	insn_load_data_segments(CPU_SEL_DATA);
	cpu_become(c);                          /* loading GS cleared its base */
	insn_lldt(0);
	insn_ltr(CPU_SEL_TSS);
}

/* The PAT as paging.c uses it: entry 1 (PWT) becomes write-combining, 3 (PCD, PWT) is uncached. */
static const uint64_t pat = PAT_WB | PAT_WC << 8 | PAT_UC_MINUS << 16 | PAT_UC << 24 |
                            PAT_WB << 32 | PAT_WT << 40 | PAT_UC_MINUS << 48 | PAT_UC << 56;

static void control_registers_init(void)
{
	uint64_t cr4 = insn_read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (insn_cpuid(CPUID_FEATURES, 0).edx & CPUID1_EDX_MCE)
		cr4 |= CR4_MCE;
	if (cpu_has_xsave())
		cr4 |= CR4_OSXSAVE;
	insn_write_cr0((insn_read_cr0() | CR0_WP | CR0_NE | CR0_MP) &
	               ~(CR0_EM | CR0_TS | CR0_AM | CR0_CD | CR0_NW));
	insn_write_cr4(cr4);
	if (cpu_has_xsave())
		insn_xsetbv(0, XCR0_X87 | XCR0_SSE);
	if (cpu_has_nx())
		insn_wrmsr(MSR_EFER, insn_rdmsr(MSR_EFER) | EFER_NXE);
	insn_wrmsr(MSR_PAT, pat);
}

void cpu_load(void)
{
	load_segments();
	control_registers_init();
}

enum err cpu_init(void)
{
	char name[CPU_NAME_MAX];

	if (!cpu_has_nx())
		return fail(ERR_NOT_SUPPORTED, "this CPU cannot forbid to execute data (no NX)");
	cpu_load();
	cpu_describe(name);
	log_line("cpu: %s, %u physical address bits", name, cpu_phys_bits());
	return OK;
}

static struct cpuid extended(uint32_t leaf)
{
	if (insn_cpuid(CPUID_EXT_MAX, 0).eax < leaf)
		return (struct cpuid){ 0 };
	return insn_cpuid(leaf, 0);
}

unsigned cpu_phys_bits(void)
{
	unsigned bits = (unsigned)GET(CPUID80000008_EAX_PHYS_BITS, extended(CPUID_EXT_ADDRESS).eax);

	return bits ? bits : 36;                /* what CPUs without the leaf have */
}

bool cpu_has_nx(void) { return extended(CPUID_EXT_FEATURES).edx & CPUID80000001_EDX_NX; }
bool cpu_has_1g_pages(void) { return extended(CPUID_EXT_FEATURES).edx & CPUID80000001_EDX_1G; }
bool cpu_has_x2apic(void) { return insn_cpuid(CPUID_FEATURES, 0).ecx & CPUID1_ECX_X2APIC; }
bool cpu_has_tsc_deadline(void)
{
	return insn_cpuid(CPUID_FEATURES, 0).ecx & CPUID1_ECX_TSC_DEADLINE;
}
bool cpu_has_crc32(void) { return insn_cpuid(CPUID_FEATURES, 0).ecx & CPUID1_ECX_SSE42; }
bool cpu_has_xsave(void) { return insn_cpuid(CPUID_FEATURES, 0).ecx & CPUID1_ECX_XSAVE; }

/* Sets that belong together as a whole, or not at all. */
uint64_t cpu_xcr0_mask(void)
{
	struct cpuid d = insn_cpuid(CPUID_XSAVE, 0);
	uint64_t mask = d.eax & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_MPX | XCR0_AVX512 |
	                         XCR0_PKRU);

	for (unsigned i = 2; i < 32; i++) {
		struct cpuid part = insn_cpuid(CPUID_XSAVE, i);         /* size and offset */
		if ((mask & BIT(i)) && part.eax + part.ebx > XSAVE_AREA_MAX)
			mask &= ~BIT(i);
	}
	if ((mask & XCR0_AVX512) != XCR0_AVX512)
		mask &= ~XCR0_AVX512;
	if ((mask & XCR0_MPX) != XCR0_MPX)
		mask &= ~XCR0_MPX;
	return mask;
}

void cpu_describe(char out[CPU_NAME_MAX])
{
	struct cpuid brand[3];
	size_t len = 0;
	const char *p = (const char *)brand;

	for (unsigned i = 0; i < COUNT(brand); i++)
		brand[i] = extended(CPUID_BRAND + i);
	_Static_assert(sizeof(brand) < CPU_NAME_MAX, "the brand string fits");
	for (size_t i = 0; i < sizeof(brand) && p[i]; i++)
		if (p[i] != ' ' || (len && out[len - 1] != ' '))       /* Intel pads with spaces */
			out[len++] = p[i];
	out[len] = '\0';
	if (!len)
		strcpy(out, "CPU without a name");
}

/* SDM vol. 2, "CPUID": version information, leaf 1. */
void cpu_hazard_facts(struct hazard_facts *out)
{
	struct cpuid vendor = insn_cpuid(CPUID_VENDOR, 0);
	struct cpuid leaf7 = { 0 };
	uint32_t version = insn_cpuid(CPUID_FEATURES, 0).eax;

	if (vendor.eax >= CPUID_FEATURES7)
		leaf7 = insn_cpuid(CPUID_FEATURES7, 0);
	*out = (struct hazard_facts){
		.vendor = { vendor.ebx, vendor.edx, vendor.ecx },
		.family = (unsigned)(GET(CPUID1_EAX_FAMILY, version) +
		                     (GET(CPUID1_EAX_FAMILY, version) == 0xf ?
		                      GET(CPUID1_EAX_EXT_FAMILY, version) : 0)),
		.model = (unsigned)(GET(CPUID1_EAX_MODEL, version) |
		                    GET(CPUID1_EAX_EXT_MODEL, version) << 4),
		.leaf7_ebx = leaf7.ebx, .leaf7_edx = leaf7.edx,
		.ext8_ebx = extended(CPUID_EXT_ADDRESS).ebx,
		.ext21_eax = extended(CPUID_EXT_FEATURES2).eax,
	};
	if (leaf7.eax >= 2)
		out->leaf7_2_edx = insn_cpuid(CPUID_FEATURES7, 2).edx;
	if (leaf7.edx & CPUID7_EDX_ARCH_CAP)
		out->arch_caps = insn_rdmsr(MSR_ARCH_CAPABILITIES);
}

/* A mistake that nothing holds off does not make the CPU unusable. */
void cpu_defend(struct virt_caps *out)
{
	struct virt_feature says[HAZARDS];
	struct hazard_facts facts;

	cpu_hazard_facts(&facts);
	hazards_decide(&facts, &defences, says);
	for (unsigned i = 0; i < HAZARDS; i++)
		virt_add_feature(out, says[i].name, says[i].found, false, says[i].why);
}

#define NOBODY 0

static uint32_t trained_by[CPUS_MAX];   /* by the CPU's number: the VM that used its predictors */

void cpu_branches_for(uint32_t vm)
{
	uint32_t *last = &trained_by[cpu_here()->number];

	if (*last == vm)
		return;
	*last = vm;
	if (defences.ibpb)
		insn_wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}

void cpu_branches_release(uint32_t vm)
{
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (trained_by[i] == vm)
			trained_by[i] = NOBODY;
}

unsigned cpu_features(struct virt_feature *out, unsigned max)
{
	bool leaf7 = insn_cpuid(CPUID_VENDOR, 0).eax >= CPUID_FEATURES7;
	uint32_t ebx7 = leaf7 ? insn_cpuid(CPUID_FEATURES7, 0).ebx : 0;
	const struct virt_feature list[] = {
		{ "NX", cpu_has_nx(), true, "CPUID 80000001 EDX.20: data could be executed" },
		{ "1 GiB pages", cpu_has_1g_pages(), false,
		  "CPUID 80000001 EDX.26: 2 MiB pages are used" },
		{ "invariant TSC", extended(CPUID_EXT_POWER).edx & CPUID80000007_EDX_INVARIANT_TSC,
		  false, "CPUID 80000007 EDX.8: the clock may drift when the CPU changes speed" },
		{ "x2APIC", cpu_has_x2apic(), false,
		  "CPUID 1 ECX.21: the local APIC is used by memory" },
		{ "TSC deadline timer", cpu_has_tsc_deadline(), false,
		  "CPUID 1 ECX.24: the local APIC's counter is used" },
		{ "fast string moves", ebx7 & CPUID7_EBX_ERMS, false,
		  "CPUID 7 EBX.9: pages are copied a word at a time" },
	};
	unsigned n = MIN(max, (unsigned)COUNT(list));

	memcpy(out, list, n * sizeof(list[0]));
	return n;
}
