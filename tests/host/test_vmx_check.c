/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vmx_check.c - each VM-entry rule (SDM vol. 3, "VM Entries"), broken one at a
 * time.
 *
 * Three good VMCSs (64-bit, real mode, virtual-8086) break no rule; then each case changes up to
 * three
 * fields of one of them, and the rule named must be the one expected.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/vmx/vmx_check.h"
#include "vmm/cpu_state.h"
#include "vmm/vcpu.h"

/* As a Skylake server reports them: low half must be 1, high half may be 1. */
static const struct vmx_caps caps = {
	.basic = BIT(55) | BIT(54) | 0x2b, .misc = 0x200401e0, .ept_vpid = 0xf0106334141,
	.pin = 0x0000007f00000016, .proc = 0xf7f9fffe04006172, .proc2 = 0x02177fff00000000,
	.exit = 0x007fffff00036dfb, .entry = 0x0000ffff000011fb,
	.cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff, .cr4_fixed0 = 0x2000, .cr4_fixed1 =
		0x3727ff,
	.phys_bits = 40,
};

static struct vmcs_image m;
#define V(field) m.v[VI_##field]

static void set_segment(enum seg seg, uint64_t selector, uint64_t base, uint64_t limit,
                        uint64_t attr)
{
	m.v[VI_GUEST_ES_SELECTOR + seg] = selector;
	m.v[VI_GUEST_ES_BASE + seg] = base;
	m.v[VI_GUEST_ES_LIMIT + seg] = limit;
	m.v[VI_GUEST_ES_ATTR + seg] = attr;
}

static void make_controls_and_host(void)
{
	m = (struct vmcs_image){ 0 };
	V(PIN_CONTROLS) = 0x7f;
	V(PROC_CONTROLS) = 0x04006172 | PROC_SECONDARY | PROC_MSR_BITMAP | PROC_HLT_EXIT;
	V(PROC2_CONTROLS) = PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID;
	V(EXIT_CONTROLS) = 0x36dfb | EXIT_CTL_HOST_64 | EXIT_CTL_LOAD_EFER | EXIT_CTL_LOAD_PAT;
	V(ENTRY_CONTROLS) = 0x11fb | ENTRY_CTL_LOAD_EFER | ENTRY_CTL_LOAD_PAT |
		ENTRY_CTL_LOAD_DEBUG;
	V(MSR_BITMAP) = 0x1000;
	V(VPID) = 1;
	V(EPT_POINTER) = 0x5e | 0x100000;
	V(LINK_POINTER) = ~0ull;
	V(HOST_CR0) = 0x80010033;
	V(HOST_CR3) = 0x200000;
	V(HOST_CR4) = 0x2020;
	V(HOST_EFER) = EFER_LMA | EFER_LME | EFER_NXE;
	V(HOST_PAT) = V(GUEST_PAT) = PAT_RESET;
	V(HOST_CS_SELECTOR) = 8;
	V(HOST_SS_SELECTOR) = V(HOST_DS_SELECTOR) = V(HOST_ES_SELECTOR) = 0x10;
	V(HOST_TR_SELECTOR) = 0x18;
	V(HOST_RIP) = 0x201000;
	V(GUEST_RFLAGS) = RFLAGS_ONE;
	V(GUEST_DR7) = DR7_INIT;
	V(GUEST_GDTR_LIMIT) = V(GUEST_IDTR_LIMIT) = 0xffff;
	set_segment(SEG_LDTR, 0, 0, 0xffff, 0x82);
	set_segment(SEG_TR, 0, 0, 0xffff, 0x8b);
}

static void make_64(void)
{
	make_controls_and_host();
	V(ENTRY_CONTROLS) |= ENTRY_CTL_IA32E;
	V(GUEST_CR0) = 0x80010031 | CR0_NE;
	V(GUEST_CR3) = 0x9000;
	V(GUEST_CR4) = CR4_PAE | CR4_VMXE;
	V(GUEST_EFER) = EFER_LMA | EFER_LME;
	V(GUEST_RIP) = 0xffffffff81000000;
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		set_segment(seg, 0x18, 0, 0xffffffff, 0xc093);
	set_segment(SEG_CS, 0x10, 0, 0xffffffff, 0xa09b);
}

static void make_real(void)
{
	make_controls_and_host();
	V(GUEST_CR0) = 0x30;
	V(GUEST_CR4) = CR4_VMXE;
	V(GUEST_RIP) = 0xfff0;
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		set_segment(seg, 0, 0, 0xffff, 0x93);
	set_segment(SEG_CS, 0xf000, 0xffff0000, 0xffff, 0x93);
}

static void make_v86(void)
{
	make_controls_and_host();
	V(GUEST_CR0) = 0x80000031;
	V(GUEST_CR4) = CR4_VMXE;
	V(GUEST_RFLAGS) = RFLAGS_ONE | RFLAGS_VM | RFLAGS_IF;
	V(GUEST_RIP) = 0x100;
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		set_segment(seg, 0x1234, 0x12340, 0xffff, 0xf3);
}

/* No unrestricted guest, and 32-bit paging: rules that unrestricted guests are spared. */
static void make_32(void)
{
	make_64();
	V(PROC2_CONTROLS) &= ~PROC2_UNRESTRICTED;
	V(ENTRY_CONTROLS) &= ~ENTRY_CTL_IA32E;
	V(GUEST_EFER) = 0;
	V(GUEST_CR4) = CR4_VMXE;
	V(GUEST_RIP) = 0x100000;
	set_segment(SEG_CS, 0x10, 0, 0xffffffff, 0xc09b);
}

static void good_ones_break_no_rule(void **state)
{
	(void)state;
	void (*const makers[])(void) = { make_64, make_real, make_v86, make_32 };

	for (unsigned i = 0; i < COUNT(makers); i++) {
		makers[i]();
		const char *broken = vmx_check(&m, &caps);
		if (broken)
			fail_msg("VMCS %u: %s", i, broken);
	}
}

/* Also what the loaders make, and a guest that runs at CPL 3 with an interrupt on its way. */
static void these_break_no_rule_either(void **state)
{
	(void)state;
	make_64();
	V(GUEST_RFLAGS) |= RFLAGS_IF;
	V(ENTRY_EVENT) = EVENT_INFO_VALID | 0x30;
	set_segment(SEG_CS, 0x33, 0, 0xffffffff, 0xa0fb);
	set_segment(SEG_SS, 0x2b, 0, 0xffffffff, 0xc0f3);
	set_segment(SEG_ES, 0, 0, 0, SEG_UNUSABLE);
	set_segment(SEG_LDTR, 0, 0, 0, SEG_UNUSABLE);
	assert_null(vmx_check(&m, &caps));
	V(ENTRY_EVENT) = EVENT_INFO_VALID | EVENT_INFO_HAS_ERROR | 0x30e;
	V(ENTRY_ERROR_CODE) = 7;
	V(GUEST_INTERRUPTIBILITY) = BLOCK_STI;
	assert_null(vmx_check(&m, &caps));
	make_real();
	/* #GP, in real mode without error code */
	V(ENTRY_EVENT) = EVENT_INFO_VALID | 0x30d;
	assert_null(vmx_check(&m, &caps));
	make_32();
	V(GUEST_CR4) |= CR4_PAE;
	V(GUEST_PDPTE0) = 0x5001;
	V(GUEST_PDPTE1) = 0x1fe;                                /* not present: anything goes */
	assert_null(vmx_check(&m, &caps));
}

struct change { enum vmcs_index field; uint64_t value; };
struct broken { void (*make)(void); struct change change[3]; const char *says; };

#define C(field, value) { VI_##field, value }
#define EVENT(bits) C(ENTRY_EVENT, EVENT_INFO_VALID | (bits))
#define NONE { VMCS_COUNT, 0 }
#define ONE(make, a, says)           { make, { a, NONE, NONE }, says }
#define TWO(make, a, b, says)        { make, { a, b, NONE }, says }
#define THREE(make, a, b, c, says)   { make, { a, b, c }, says }

static void expect_each(const struct broken *cases, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		cases[i].make();
		for (unsigned k = 0; k < 3 && cases[i].change[k].field != VMCS_COUNT; k++)
			m.v[cases[i].change[k].field] = cases[i].change[k].value;
		const char *says = vmx_check(&m, &caps);
		if (!says || !strstr(says, cases[i].says))
			fail_msg("case %u: expected \"%s\", got \"%s\"", i, cases[i].says, says
			         ? says : "nothing");
	}
}

#define PROC_OK  (0x04006172 | PROC_SECONDARY | PROC_MSR_BITMAP)
#define PROC2_OK (PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID)

static void controls(void **state)
{
	(void)state;
	static const struct broken cases[] = {
		ONE(make_64, C(PIN_CONTROLS, 0x69), "pin-based controls: a reserved bit"),
		ONE(make_64, C(PIN_CONTROLS, 0x17f), "pin-based controls: a reserved bit"),
		ONE(make_64, C(PROC_CONTROLS, PROC_SECONDARY), "primary processor-based"),
		ONE(make_64, C(PROC2_CONTROLS, PROC2_OK | BIT(31)), "secondary processor-based"),
		ONE(make_64, C(CR3_TARGET_COUNT, 5), "CR3-target"),
		ONE(make_64, C(MSR_BITMAP, 0x1008), "MSR bitmap"),
		ONE(make_64, C(MSR_BITMAP, BIT(40)), "MSR bitmap"),
		ONE(make_64, C(PIN_CONTROLS, 0x77), "virtual NMIs without NMI exiting"),
		TWO(make_64, C(PIN_CONTROLS, 0x5f), C(PROC_CONTROLS, PROC_OK | PROC_NMI_WINDOW),
		    "NMI-window exiting"),
		ONE(make_64, C(PROC2_CONTROLS, PROC2_OK | PROC2_X2APIC), "APIC virtualization"),
		ONE(make_64, C(VPID, 0), "VPID is 0"),
		ONE(make_64, C(VPID, 0x10000), "VPID is 0"),
		ONE(make_64, C(PROC2_CONTROLS, PROC2_UNRESTRICTED),
		    "unrestricted guest without EPT"),
		ONE(make_64, C(PROC2_CONTROLS, PROC2_PML), "page-modification logging without EPT"),
		ONE(make_64, C(EPT_POINTER, 0x10005d), "EPT pointer: memory type"),
		ONE(make_64, C(EPT_POINTER, 0x100046), "EPT pointer: page-walk length"),
		ONE(make_64, C(EPT_POINTER, 0x1000de), "EPT pointer: bits 11:7"),
		ONE(make_64, C(EPT_POINTER, BIT(40) | 0x5e), "EPT pointer: beyond"),
		ONE(make_64, C(EXIT_CONTROLS, EXIT_CTL_HOST_64),
		    "VM-exit controls: a reserved bit"),
		TWO(make_64, C(PIN_CONTROLS, 0x3f),
		    C(EXIT_CONTROLS, 0x36dfb | EXIT_CTL_HOST_64 | EXIT_CTL_SAVE_TIMER),
		    "without the timer"),
		ONE(make_64, C(EXIT_MSR_LOAD_COUNT, 1), "MSR lists"),
		ONE(make_64, C(ENTRY_CONTROLS, ENTRY_CTL_IA32E),
		    "VM-entry controls: a reserved bit"),
		ONE(make_64, C(ENTRY_CONTROLS, 0x11fb | ENTRY_CTL_IA32E | ENTRY_CTL_SMM),
		    "SMM outside SMM"),
	};

	expect_each(cases, COUNT(cases));
}

static void accessed_and_dirty_flags_need_the_capability(void **state)
{
	(void)state;
	struct vmx_caps old = caps;

	old.ept_vpid &= ~EPT_CAP_AD;
	make_64();
	assert_string_equal(vmx_check(&m, &old),
	                    "EPT pointer: accessed and dirty flags are not supported");
	V(EPT_POINTER) &= ~EPTP_AD;
	assert_null(vmx_check(&m, &old));
}

/* Rules about bits that the CPU above does not have. */
static void newer_cpus_have_more_rules(void **state)
{
	(void)state;
	struct vmx_caps newer = caps;

	newer.pin |= PIN_POSTED_INTERRUPTS << 32;
	newer.cr4_fixed1 |= CR4_CET;
	make_64();
	V(PIN_CONTROLS) |= PIN_POSTED_INTERRUPTS;
	assert_string_equal(vmx_check(&m, &newer),
	                    "posted interrupts without virtual-interrupt delivery");
	make_64();
	V(GUEST_CR4) |= CR4_CET;
	assert_null(vmx_check(&m, &newer));
	V(GUEST_CR0) &= ~CR0_WP;
	assert_string_equal(vmx_check(&m, &newer), "guest CR4: CET without CR0.WP");
}

static void event_injection(void **state)
{
	(void)state;
	static const struct broken cases[] = {
		ONE(make_64, EVENT(0x130), "type is reserved"),
		ONE(make_64, EVENT(0x203), "an NMI whose vector"),
		ONE(make_64, EVENT(0x320), "an exception whose vector"),
		ONE(make_64, EVENT(0x701), "other event"),
		ONE(make_64, EVENT(0x830), "error code without an exception"),
		ONE(make_real, EVENT(0xb0d), "error code without an exception"),
		ONE(make_64, EVENT(0x30e), "does not fit the vector"),
		ONE(make_64, EVENT(0xb06), "does not fit the vector"),
		ONE(make_64, EVENT(0x1306), "bits 30:12"),
		TWO(make_64, EVENT(0xb0e), C(ENTRY_ERROR_CODE, 0x10000),
		    "error code has bits above"),
		TWO(make_64, EVENT(0x480), C(ENTRY_INSN_LEN, 16), "length is over 15"),
		TWO(make_64, EVENT(0x603), C(ENTRY_INSN_LEN, 16), "length is over 15"),
		ONE(make_64, EVENT(0x480), "length is 0"),
		ONE(make_64, EVENT(0x030), "IF is clear"),
		THREE(make_64, EVENT(0x030), C(GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_IF),
		      C(GUEST_INTERRUPTIBILITY, BLOCK_STI),
		      "into a shadow"),
		TWO(make_64, EVENT(0x202), C(GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS),
		    "shadow of MOV SS"),
		TWO(make_64, EVENT(0x202), C(GUEST_INTERRUPTIBILITY, BLOCK_NMI),
		    "while NMIs are blocked"),
	};

	expect_each(cases, COUNT(cases));
}

static void host_state(void **state)
{
	(void)state;
	static const struct broken cases[] = {
		ONE(make_64, C(HOST_CR0, 0x10033), "host CR0"),
		ONE(make_64, C(HOST_CR4, CR4_PAE), "host CR4: a bit"),
		ONE(make_64, C(HOST_CR4, CR4_VMXE), "host CR4: PAE"),
		ONE(make_64, C(HOST_CR4, CR4_PAE | CR4_VMXE | BIT(25)), "host CR4: a bit"),
		ONE(make_64, C(HOST_CR3, BIT(40)), "host CR3"),
		ONE(make_64, C(HOST_SYSENTER_EIP, BIT(47)), "host SYSENTER"),
		ONE(make_64, C(HOST_PAT, 2), "host PAT"),
		ONE(make_64, C(EXIT_CONTROLS, 0x36dfb), "host address-space size"),
		ONE(make_64, C(HOST_EFER, EFER_LMA), "host EFER: LMA or LME"),
		ONE(make_64, C(HOST_EFER, EFER_LMA | EFER_LME | BIT(1)), "host EFER: a reserved"),
		ONE(make_64, C(HOST_RIP, BIT(63)), "host RIP"),
		ONE(make_64, C(HOST_SS_SELECTOR, 0x13), "host selector"),
		ONE(make_64, C(HOST_FS_SELECTOR, 4), "host selector"),
		ONE(make_64, C(HOST_CS_SELECTOR, 0), "host CS"),
		ONE(make_64, C(HOST_TR_SELECTOR, 0), "host TR selector"),
		ONE(make_64, C(HOST_GS_BASE, BIT(47)), "host FS or GS"),
		ONE(make_64, C(HOST_TR_BASE, BIT(47)), "host TR base"),
		ONE(make_64, C(HOST_IDTR_BASE, BIT(47)), "host GDTR or IDTR"),
	};

	expect_each(cases, COUNT(cases));
}

static void guest_registers(void **state)
{
	(void)state;
	static const struct broken cases[] = {
		ONE(make_64, C(GUEST_CR0, 0x80010011), "guest CR0: a bit"),
		ONE(make_32, C(GUEST_CR0, 0x31), "guest CR0: a bit"),
		ONE(make_real, C(GUEST_CR0, 0x80000030), "PG without PE"),
		ONE(make_64, C(GUEST_CR4, CR4_PAE), "guest CR4: a bit"),
		ONE(make_64, C(GUEST_CR4, CR4_PAE | CR4_VMXE | CR4_PKE), "guest CR4: a bit"),
		ONE(make_64, C(GUEST_CR4, CR4_VMXE), "IA-32e mode guest without"),
		ONE(make_real, C(ENTRY_CONTROLS, 0x11fb | ENTRY_CTL_IA32E),
		    "IA-32e mode guest without"),
		ONE(make_32, C(GUEST_CR4, CR4_VMXE | CR4_PCIDE), "PCIDE outside"),
		ONE(make_64, C(GUEST_CR3, BIT(40)), "guest CR3"),
		ONE(make_64, C(GUEST_DEBUGCTL, BIT(4)), "guest DEBUGCTL"),
		ONE(make_64, C(GUEST_DR7, BIT(32)), "guest DR7"),
		ONE(make_64, C(GUEST_SYSENTER_ESP, BIT(47)), "guest SYSENTER"),
		ONE(make_64, C(GUEST_PAT, 0x0300000000000000), "guest PAT"),
		ONE(make_64, C(GUEST_EFER, EFER_LMA | EFER_LME | BIT(9)), "guest EFER: a reserved"),
		ONE(make_64, C(GUEST_EFER, EFER_LME), "LMA is not the IA-32e"),
		ONE(make_64, C(GUEST_EFER, EFER_LMA), "LMA is not LME"),
		ONE(make_32, C(GUEST_EFER, EFER_LME), "LMA is not LME"),
	};

	expect_each(cases, COUNT(cases));
}

static void guest_segments(void **state)
{
	(void)state;
	static const struct broken cases[] = {
		ONE(make_64, C(GUEST_TR_SELECTOR, 4), "guest TR: TI"),
		ONE(make_64, C(GUEST_TR_BASE, BIT(47)), "guest TR: base"),
		ONE(make_64, C(GUEST_TR_ATTR, 0x8b | SEG_UNUSABLE), "guest TR: unusable"),
		ONE(make_64, C(GUEST_TR_ATTR, 0x83), "guest TR: type"),
		ONE(make_64, C(GUEST_TR_ATTR, 0x89), "guest TR: type"),
		ONE(make_64, C(GUEST_TR_ATTR, 0x9b), "guest TR: not a system"),
		ONE(make_64, C(GUEST_TR_ATTR, 0x0b), "guest TR: not present"),
		ONE(make_64, C(GUEST_TR_ATTR, 0x18b), "guest TR: reserved"),
		TWO(make_64, C(GUEST_TR_ATTR, 0x808b), C(GUEST_TR_LIMIT, 0x67), "guest TR: limit"),
		ONE(make_64, C(GUEST_TR_LIMIT, 0x10ffff), "guest TR: limit"),
		ONE(make_64, C(GUEST_LDTR_SELECTOR, 4), "guest LDTR: TI"),
		ONE(make_64, C(GUEST_LDTR_BASE, BIT(47)), "guest LDTR: base"),
		ONE(make_64, C(GUEST_LDTR_ATTR, 0x83), "guest LDTR: type"),
		ONE(make_64, C(GUEST_LDTR_ATTR, 0x92), "guest LDTR: not a system"),
		ONE(make_64, C(GUEST_LDTR_ATTR, 0x02), "guest LDTR: not present"),
		ONE(make_64, C(GUEST_LDTR_ATTR, 0x182), "guest LDTR: reserved"),
		TWO(make_64, C(GUEST_LDTR_ATTR, 0x8082), C(GUEST_LDTR_LIMIT, 0x67),
		    "guest LDTR: limit"),
		ONE(make_v86, C(GUEST_DS_BASE, 0x12344), "virtual-8086 mode: a segment's base"),
		ONE(make_v86, C(GUEST_CS_LIMIT, 0xfffff), "virtual-8086 mode: a segment's limit"),
		ONE(make_v86, C(GUEST_SS_ATTR, 0x93), "virtual-8086 mode: a segment's attributes"),
		ONE(make_32, C(GUEST_SS_SELECTOR, 0x1b), "guest SS: RPL"),
		ONE(make_64, C(GUEST_CS_ATTR, 0xa09a), "guest CS: type"),
		ONE(make_32, C(GUEST_CS_ATTR, 0xc093), "guest CS: type"),
		ONE(make_64, C(GUEST_CS_ATTR, 0xa08b), "guest CS: a system"),
		ONE(make_real, C(GUEST_CS_ATTR, 0xf3), "guest CS: a data type"),
		ONE(make_64, C(GUEST_CS_ATTR, 0xa0fb), "guest CS: DPL is not that of SS"),
		ONE(make_64, C(GUEST_CS_ATTR, 0xa0ff), "guest CS: conforming"),
		ONE(make_64, C(GUEST_CS_ATTR, 0xa01b), "guest CS: not present"),
		ONE(make_64, C(GUEST_CS_ATTR, 0xa19b), "guest CS: reserved"),
		ONE(make_64, C(GUEST_CS_ATTR, 0xe09b), "guest CS: both L and D"),
		ONE(make_64, C(GUEST_CS_ATTR, 0x209b), "guest CS: limit"),
		ONE(make_64, C(GUEST_CS_LIMIT, 0xfffff0ff), "guest CS: limit"),
		ONE(make_64, C(GUEST_CS_BASE, BIT(32)), "guest CS: base"),
		TWO(make_32, C(GUEST_SS_SELECTOR, 0x1b), C(GUEST_CS_SELECTOR, 0x13),
		    "guest SS: DPL is not RPL"),
		TWO(make_real, C(GUEST_SS_ATTR, 0xf3), C(GUEST_CS_ATTR, 0xfb),
		    "guest SS: DPL is not 0"),
		ONE(make_64, C(GUEST_SS_ATTR, 0xc095), "guest SS: type"),
		ONE(make_64, C(GUEST_SS_ATTR, 0xc083), "guest SS: a system"),
		ONE(make_64, C(GUEST_SS_ATTR, 0xc013), "guest SS: not present"),
		ONE(make_64, C(GUEST_SS_ATTR, 0xc293), "guest SS: reserved"),
		ONE(make_64, C(GUEST_SS_ATTR, 0x4093), "guest SS: limit"),
		ONE(make_64, C(GUEST_SS_BASE, BIT(32)), "guest SS: base"),
		ONE(make_64, C(GUEST_FS_BASE, BIT(47)), "guest FS or GS: base"),
		ONE(make_64, C(GUEST_DS_ATTR, 0xc092), "type is not accessed"),
		ONE(make_64, C(GUEST_ES_ATTR, 0xc099), "code that is not readable"),
		ONE(make_64, C(GUEST_GS_ATTR, 0xc083), "GS: a system segment"),
		ONE(make_32, C(GUEST_DS_SELECTOR, 0x1b), "DPL is below RPL"),
		ONE(make_64, C(GUEST_DS_ATTR, 0xc013), "GS: not present"),
		ONE(make_64, C(GUEST_FS_ATTR, 0xc893), "GS: reserved"),
		ONE(make_64, C(GUEST_DS_LIMIT, 0xfffffffe), "GS: limit"),
		ONE(make_64, C(GUEST_DS_BASE, BIT(32)), "guest DS or ES: base"),
	};

	expect_each(cases, COUNT(cases));
}

static void guest_flow_and_the_rest(void **state)
{
	(void)state;
	static const struct broken cases[] = {
		ONE(make_64, C(GUEST_GDTR_BASE, BIT(47)), "guest GDTR: base"),
		ONE(make_64, C(GUEST_IDTR_BASE, BIT(47)), "guest IDTR: base"),
		ONE(make_64, C(GUEST_GDTR_LIMIT, 0x10000), "guest GDTR: limit"),
		ONE(make_64, C(GUEST_IDTR_LIMIT, 0x10000), "guest IDTR: limit"),
		ONE(make_32, C(GUEST_RIP, BIT(32)), "guest RIP: bits above 31"),
		ONE(make_64, C(GUEST_RIP, BIT(47)), "guest RIP: not canonical"),
		ONE(make_64, C(GUEST_RFLAGS, 0), "guest RFLAGS: bit 1"),
		ONE(make_64, C(GUEST_RFLAGS, RFLAGS_ONE | BIT(3)), "guest RFLAGS: a reserved"),
		ONE(make_64, C(GUEST_RFLAGS, RFLAGS_ONE | BIT(22)), "guest RFLAGS: a reserved"),
		ONE(make_v86, C(GUEST_CR0, 0x30), "VM in IA-32e mode or in real mode"),
		ONE(make_64, C(GUEST_ACTIVITY, ACTIVITY_HLT), "guest activity"),
		ONE(make_64, C(GUEST_PENDING_DEBUG, BIT(4)),
		    "guest pending debug exceptions: a reserved"),
		TWO(make_64, C(GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS),
		    C(GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_TF), "BS does not fit"),
		TWO(make_64, C(GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS),
		    C(GUEST_PENDING_DEBUG, PENDING_DEBUG_BS), "BS does not fit"),
		ONE(make_64, C(LINK_POINTER, 0), "link pointer"),
		ONE(make_64, C(GUEST_INTERRUPTIBILITY, BIT(5)), "interruptibility: a reserved"),
		TWO(make_64, C(GUEST_INTERRUPTIBILITY, BLOCK_STI | BLOCK_MOV_SS),
		    C(GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_IF),
		    "by STI and by MOV SS"),
		ONE(make_64, C(GUEST_INTERRUPTIBILITY, BLOCK_STI), "by STI and IF is clear"),
		ONE(make_64, C(GUEST_INTERRUPTIBILITY, BLOCK_SMI), "by SMI"),
		TWO(make_32, C(GUEST_CR4, CR4_PAE | CR4_VMXE), C(GUEST_PDPTE2, 0x5003),
		    "guest PDPTE"),
		TWO(make_32, C(GUEST_CR4, CR4_PAE | CR4_VMXE), C(GUEST_PDPTE3, BIT(40) | 1),
		    "guest PDPTE"),
	};

	expect_each(cases, COUNT(cases));
}

/* SDM vol. 3, appendix "Reserved Controls and Default Settings" */
static void controls_are_adjusted_to_the_cpu(void **state)
{
	(void)state;
	struct vmx_control c = { .name = "a control", .required = BIT(3), .wanted = BIT(4) | BIT(5),
	                         .forbidden = BIT(6) };
	uint32_t value, bad;

	assert_true(vmx_check_adjust(&c, 0x1800000001, &value,
	                             &bad));          /* may: 3, 4; must: 0 */
	assert_int_equal(value, BIT(0) | BIT(3) | BIT(4));
	assert_false(vmx_check_adjust(&c, 0x1000000001, &value,
	                              &bad));         /* 3 is not to be had */
	assert_int_equal(bad, BIT(3));
	assert_false(vmx_check_adjust(&c, 0x5800000041, &value,
	                              &bad));         /* 6 cannot be off    */
	assert_int_equal(bad, BIT(6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_break_no_rule),
		cmocka_unit_test(these_break_no_rule_either),
		cmocka_unit_test(controls),
		cmocka_unit_test(accessed_and_dirty_flags_need_the_capability),
		cmocka_unit_test(newer_cpus_have_more_rules),
		cmocka_unit_test(event_injection),
		cmocka_unit_test(host_state),
		cmocka_unit_test(guest_registers),
		cmocka_unit_test(guest_segments),
		cmocka_unit_test(guest_flow_and_the_rest),
		cmocka_unit_test(controls_are_adjusted_to_the_cpu),
	};
	return cmocka_run_group_tests_name("vmx_check", tests, NULL, NULL);
}
