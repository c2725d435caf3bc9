/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx_check.c - which VM-entry rule does this VMCS break?
 *
 * A CPU says only "invalid guest state".  This file repeats the CPU's own checks in the manual's
 * order over a plain array of field values and returns the first rule that does not hold, as text.
 * Pure, so each rule is tested on any machine.  vmx.c runs it when an entry fails, and before the
 * first entry after a whole state was loaded, because an emulated CPU may accept what a real one
 * refuses.
 */
#include "arch/x86_64/vmx/vmx_check.h"

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "vmm/cpu_state.h"
#include "vmm/vcpu.h"

#define V(field)                (m->v[VI_##field])
#define RULE(holds, text)                       \
	do {                                    \
		if (!(holds))                   \
			return text;            \
	} while (0)

#define CR3_TARGETS_MAX         4
#define EFER_KNOWN              (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define RFLAGS_RESERVED         (MASK(63, 22) | BIT(15) | BIT(5) | BIT(3))
#define DEBUGCTL_RESERVED       (MASK(63, 16) | MASK(5, 3))
#define PDPTE_RESERVED          (MASK(2, 1) | MASK(8, 5))
#define PDPTE_PRESENT           BIT(0)
#define SELECTOR_RPL            MASK(1, 0)
#define SELECTOR_TI             BIT(2)
#define ERROR_CODE_RESERVED     MASK(31, 16)
#define INSN_LEN_MAX_ENTRY      15
#define TYPE_ACCESSED           BIT(0)
#define TYPE_READABLE           BIT(1)
#define TYPE_CODE               BIT(3)
#define TYPE_DATA_RW            3
#define TYPE_DATA_RW_DOWN       7
#define TYPE_LDT                2
#define TYPE_TSS16_BUSY         3
#define TYPE_TSS_BUSY           11
#define TYPE_CODE_CONFORMING    12      /* and above                                    */
#define V86_ATTR                0xf3
#define V86_LIMIT               0xffff
#define BASIC_ANY_ERROR_CODE    BIT(56) /* exceptions: with or without, as we like      */
#define MISC_INSN_LEN_0         BIT(30)

static bool canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static bool physical(uint64_t a, uint64_t align, const struct vmx_caps *c)
{
	return !(a & (align - 1)) && !(a >> c->phys_bits);
}

static bool allowed(uint64_t value, uint64_t cap)
{
	uint64_t must = GET(CAP_MUST_BE_1, cap), may = GET(CAP_MAY_BE_1, cap);

	return (value & must) == must && !(value & ~may);
}

static bool fixed(uint64_t value, uint64_t fixed0, uint64_t fixed1)
{
	return (value & fixed0) == fixed0 && !(value & ~fixed1);
}

static bool pat_valid(uint64_t pat)
{
	for (unsigned i = 0; i < sizeof(pat); i++) {
		uint64_t type = pat >> (8 * i) & 0xff;
		if (type != PAT_UC && type != PAT_WC && (type < PAT_WT || type > PAT_UC_MINUS))
			return false;
	}
	return true;
}

static uint64_t proc2_of(const struct vmcs_image *m)
{
	return V(PROC_CONTROLS) & PROC_SECONDARY ? V(PROC2_CONTROLS) : 0;
}

static bool unrestricted(const struct vmcs_image *m)
{
	return proc2_of(m) & PROC2_UNRESTRICTED;
}

static bool long_mode(const struct vmcs_image *m)
{
	return V(ENTRY_CONTROLS) & ENTRY_CTL_IA32E;
}

/* --- Controls ------------------------------------------------------------------------------- */

bool vmx_check_adjust(const struct vmx_control *c, uint64_t cap, uint32_t *value, uint32_t *bad)
{
	uint32_t must = (uint32_t)GET(CAP_MUST_BE_1, cap), may = (uint32_t)GET(CAP_MAY_BE_1, cap);

	*bad = (c->required & ~may) | (c->forbidden & must);
	*value = must | c->required | (c->wanted & may);
	return !*bad;
}

static const char *check_eptp(const struct vmcs_image *m, const struct vmx_caps *c)
{
	uint64_t eptp = V(EPT_POINTER), type = GET(EPTP_MEMORY_TYPE, eptp);

	RULE((type == MEMORY_TYPE_WB && (c->ept_vpid & EPT_CAP_WB)) ||
	     (type == MEMORY_TYPE_UC && (c->ept_vpid & EPT_CAP_UC)),
	     "EPT pointer: memory type is not supported");
	RULE(GET(EPTP_LEVELS_MINUS_1, eptp) == 3, "EPT pointer: page-walk length is not 4");
	RULE(!(eptp & EPTP_AD) || (c->ept_vpid & EPT_CAP_AD),
	     "EPT pointer: accessed and dirty flags are not supported");
	RULE(!(eptp & EPTP_RESERVED), "EPT pointer: bits 11:7 are not 0");
	RULE(!(eptp >> c->phys_bits), "EPT pointer: beyond the physical-address width");
	return NULL;
}

/* SDM vol. 3, "VM-Execution Control Fields" of "Checks on VMX Controls" */
static const char *check_execution_controls(const struct vmcs_image *m, const struct vmx_caps *c)
{
	uint64_t pin = V(PIN_CONTROLS), proc = V(PROC_CONTROLS), proc2 = proc2_of(m);

	RULE(allowed(pin, c->pin), "pin-based controls: a reserved bit");
	RULE(allowed(proc, c->proc), "primary processor-based controls: a reserved bit");
	RULE(!(proc & PROC_SECONDARY) || allowed(proc2, c->proc2),
	     "secondary processor-based controls: a reserved bit");
	RULE(V(CR3_TARGET_COUNT) <= CR3_TARGETS_MAX, "CR3-target count is over 4");
	RULE(!(proc & PROC_MSR_BITMAP) || physical(V(MSR_BITMAP), PAGE_SIZE, c),
	     "MSR bitmap: not a page-aligned physical address");
	RULE((pin & PIN_NMI_EXIT) || !(pin & PIN_VIRTUAL_NMI), "virtual NMIs without NMI exiting");
	RULE((pin & PIN_VIRTUAL_NMI) || !(proc & PROC_NMI_WINDOW),
	     "NMI-window exiting without virtual NMIs");
	RULE((proc & PROC_TPR_SHADOW) ||
	     !(proc2 & (PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_IRQ_DELIVERY)),
	     "APIC virtualization without TPR shadow");
	RULE(!(pin & PIN_POSTED_INTERRUPTS) || (proc2 & PROC2_IRQ_DELIVERY),
	     "posted interrupts without virtual-interrupt delivery");
	RULE(!(proc2 & PROC2_VPID) || GET(MASK(15, 0), V(VPID)), "VPID is 0");
	RULE(!(proc2 & PROC2_UNRESTRICTED) || (proc2 & PROC2_EPT),
	     "unrestricted guest without EPT");
	RULE(!(proc2 & PROC2_TSC_SCALING) || V(TSC_MULTIPLIER), "TSC scaling by 0");
	RULE(!(proc2 & PROC2_PML) || (proc2 & PROC2_EPT), "page-modification logging without EPT");
	return proc2 & PROC2_EPT ? check_eptp(m, c) : NULL;
}

static bool has_error_code(uint64_t vector)
{
	return (MASK(14, 10) | BIT(VECTOR_DF) | BIT(VECTOR_AC)) >> vector & 1;
}

/* SDM vol. 3, "VM-Entry Control Fields" of "Checks on VMX Controls": the event to be injected */
static const char *check_event(const struct vmcs_image *m, const struct vmx_caps *c)
{
	uint64_t event = V(ENTRY_EVENT), type = GET(EVENT_INFO_TYPE, event);
	uint64_t vector = GET(EVENT_INFO_VECTOR, event);
	bool exception = type == VMX_EVENT_EXCEPTION, error = event & EVENT_INFO_HAS_ERROR;
	bool protected_mode = !unrestricted(m) || (V(GUEST_CR0) & CR0_PE);
	bool software = type >= VMX_EVENT_SOFT_IRQ && type <= VMX_EVENT_SOFT_EXCEPTION;

	if (!(event & EVENT_INFO_VALID))
		return NULL;
	RULE(type != 1, "event injection: type is reserved");
	RULE(type != VMX_EVENT_NMI || vector == VECTOR_NMI,
	     "event injection: an NMI whose vector is not 2");
	RULE(!exception || vector < 32, "event injection: an exception whose vector is over 31");
	RULE(type != VMX_EVENT_OTHER || vector == 0,
	     "event injection: other event whose vector is not 0");
	RULE(!error || (exception && protected_mode),
	     "event injection: error code without an exception in protected mode");
	RULE((c->basic & BASIC_ANY_ERROR_CODE) ||
	     error == (exception && protected_mode && has_error_code(vector)),
	     "event injection: error code does not fit the vector");
	RULE(!(event & EVENT_INFO_RESERVED), "event injection: bits 30:12 are not 0");
	RULE(!error || !(V(ENTRY_ERROR_CODE) & ERROR_CODE_RESERVED),
	     "event injection: error code has bits above 15");
	RULE(!software || V(ENTRY_INSN_LEN) <= INSN_LEN_MAX_ENTRY,
	     "event injection: instruction length is over 15");
	RULE(!software || V(ENTRY_INSN_LEN) || (c->misc & MISC_INSN_LEN_0),
	     "event injection: instruction length is 0");
	return NULL;
}

static const char *check_exit_entry_controls(const struct vmcs_image *m, const struct vmx_caps *c)
{
	RULE(allowed(V(EXIT_CONTROLS), c->exit), "VM-exit controls: a reserved bit");
	RULE((V(PIN_CONTROLS) & PIN_PREEMPTION_TIMER) || !(V(EXIT_CONTROLS) & EXIT_CTL_SAVE_TIMER),
	     "VM-exit controls: save preemption timer without the timer");
	RULE(!V(EXIT_MSR_STORE_COUNT) && !V(EXIT_MSR_LOAD_COUNT) && !V(ENTRY_MSR_LOAD_COUNT),
	     "MSR lists: we use none, so their counts are 0");
	RULE(allowed(V(ENTRY_CONTROLS), c->entry), "VM-entry controls: a reserved bit");
	RULE(!(V(ENTRY_CONTROLS) & (ENTRY_CTL_SMM | ENTRY_CTL_DUAL_MONITOR)),
	     "VM-entry controls: SMM outside SMM");
	return check_event(m, c);
}

/* --- Host state: SDM vol. 3, "Checks on Host Control Registers, MSRs, and SSP" ff. --- */

static const char *check_host_registers(const struct vmcs_image *m, const struct vmx_caps *c)
{
	uint64_t efer = V(HOST_EFER);
	bool host_64 = V(EXIT_CONTROLS) & EXIT_CTL_HOST_64;

	RULE(fixed(V(HOST_CR0), c->cr0_fixed0, c->cr0_fixed1), "host CR0: a bit that VMX fixes");
	RULE(fixed(V(HOST_CR4), c->cr4_fixed0, c->cr4_fixed1), "host CR4: a bit that VMX fixes");
	RULE(!(V(HOST_CR3) >> c->phys_bits), "host CR3: beyond the physical-address width");
	RULE(canonical(V(HOST_SYSENTER_ESP)) && canonical(V(HOST_SYSENTER_EIP)),
	     "host SYSENTER: not canonical");
	RULE(!(V(EXIT_CONTROLS) & EXIT_CTL_LOAD_PAT) || pat_valid(V(HOST_PAT)),
	     "host PAT: a reserved memory type");
	RULE(host_64, "VM-exit controls: host address-space size is not 64 bits");
	RULE(V(HOST_CR4) & CR4_PAE, "host CR4: PAE is clear");
	if (V(EXIT_CONTROLS) & EXIT_CTL_LOAD_EFER) {
		RULE(!(efer & ~EFER_KNOWN), "host EFER: a reserved bit");
		RULE((efer & EFER_LMA) && (efer & EFER_LME), "host EFER: LMA or LME is clear");
	}
	RULE(canonical(V(HOST_RIP)), "host RIP: not canonical");
	return NULL;
}

static const char *check_host_segments(const struct vmcs_image *m)
{
	uint64_t selectors = V(HOST_ES_SELECTOR) | V(HOST_CS_SELECTOR) | V(HOST_SS_SELECTOR) |
	                     V(HOST_DS_SELECTOR) | V(HOST_FS_SELECTOR) | V(HOST_GS_SELECTOR) |
	                     V(HOST_TR_SELECTOR);

	RULE(!(selectors & (SELECTOR_RPL | SELECTOR_TI)), "host selector: RPL or TI is not 0");
	RULE(V(HOST_CS_SELECTOR), "host CS selector is null");
	RULE(V(HOST_TR_SELECTOR), "host TR selector is null");
	RULE(canonical(V(HOST_FS_BASE)) && canonical(V(HOST_GS_BASE)),
	     "host FS or GS base: not canonical");
	RULE(canonical(V(HOST_TR_BASE)), "host TR base: not canonical");
	RULE(canonical(V(HOST_GDTR_BASE)) && canonical(V(HOST_IDTR_BASE)),
	     "host GDTR or IDTR base: not canonical");
	return NULL;
}

/* --- Guest state: SDM vol. 3, "Checks on the Guest State Area" --- */

static const char *check_guest_registers(const struct vmcs_image *m, const struct vmx_caps *c)
{
	uint64_t cr0 = V(GUEST_CR0), cr4 = V(GUEST_CR4);
	uint64_t never_checked = CR0_NW | CR0_CD | (unrestricted(m) ? CR0_PE | CR0_PG : 0);

	RULE(fixed(cr0, c->cr0_fixed0 & ~never_checked, c->cr0_fixed1 | never_checked),
	     "guest CR0: a bit that VMX fixes");
	RULE(!(cr0 & CR0_PG) || (cr0 & CR0_PE), "guest CR0: PG without PE");
	RULE(fixed(cr4, c->cr4_fixed0, c->cr4_fixed1), "guest CR4: a bit that VMX fixes");
	RULE(!(cr4 & CR4_CET) || (cr0 & CR0_WP), "guest CR4: CET without CR0.WP");
	RULE(!long_mode(m) || ((cr0 & CR0_PG) && (cr4 & CR4_PAE)),
	     "IA-32e mode guest without CR0.PG and CR4.PAE");
	RULE(long_mode(m) || !(cr4 & CR4_PCIDE), "guest CR4: PCIDE outside IA-32e mode");
	RULE(!(V(GUEST_CR3) >> c->phys_bits), "guest CR3: beyond the physical-address width");
	if (V(ENTRY_CONTROLS) & ENTRY_CTL_LOAD_DEBUG) {
		RULE(!(V(GUEST_DEBUGCTL) & DEBUGCTL_RESERVED), "guest DEBUGCTL: a reserved bit");
		RULE(!(V(GUEST_DR7) >> 32), "guest DR7: bits above 31");
	}
	RULE(canonical(V(GUEST_SYSENTER_ESP)) && canonical(V(GUEST_SYSENTER_EIP)),
	     "guest SYSENTER: not canonical");
	RULE(!(V(ENTRY_CONTROLS) & ENTRY_CTL_LOAD_PAT) || pat_valid(V(GUEST_PAT)),
	     "guest PAT: a reserved memory type");
	if (V(ENTRY_CONTROLS) & ENTRY_CTL_LOAD_EFER) {
		uint64_t efer = V(GUEST_EFER);
		RULE(!(efer & ~EFER_KNOWN), "guest EFER: a reserved bit");
		RULE(!!(efer & EFER_LMA) == long_mode(m),
		     "guest EFER: LMA is not the IA-32e mode guest control");
		RULE(!(cr0 & CR0_PG) || !!(efer & EFER_LMA) == !!(efer & EFER_LME),
		     "guest EFER: paging, and LMA is not LME");
	}
	return NULL;
}

/* SDM vol. 3, "Checks on Guest Segment Registers" */
struct segment { uint64_t selector, base, limit, attr, type, dpl; bool usable; };

static struct segment segment_of(const struct vmcs_image *m, enum seg seg)
{
	uint64_t attr = m->v[VI_GUEST_ES_ATTR + seg];

	return (struct segment){
		.selector = m->v[VI_GUEST_ES_SELECTOR + seg], .base = m->v[VI_GUEST_ES_BASE + seg],
		.limit = m->v[VI_GUEST_ES_LIMIT + seg], .attr = attr, .type = GET(SEG_TYPE, attr),
		.dpl = GET(SEG_DPL, attr), .usable = !(attr & SEG_UNUSABLE),
	};
}
_Static_assert(VI_GUEST_TR_ATTR - VI_GUEST_ES_ATTR == SEG_TR &&
               VI_GUEST_TR_BASE - VI_GUEST_ES_BASE == SEG_TR,
               "indices of the segments are in the order of enum seg");

static bool granularity_fits(const struct segment *s)
{
	if ((s->limit & MASK(11, 0)) != MASK(11, 0) && (s->attr & SEG_G))
		return false;
	return !(s->limit & MASK(31, 20)) || (s->attr & SEG_G);
}

static const char *check_v86(const struct vmcs_image *m)
{
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++) {
		struct segment s = segment_of(m, seg);
		RULE(s.base == s.selector << 4,
		     "virtual-8086 mode: a segment's base is not its selector times 16");
		RULE(s.limit == V86_LIMIT, "virtual-8086 mode: a segment's limit is not ffff");
		RULE(s.attr == V86_ATTR, "virtual-8086 mode: a segment's attributes are not f3");
	}
	return NULL;
}

static const char *check_code_segment(const struct vmcs_image *m)
{
	struct segment cs = segment_of(m, SEG_CS), ss = segment_of(m, SEG_SS);

	RULE((cs.type & (TYPE_CODE | TYPE_ACCESSED)) == (TYPE_CODE | TYPE_ACCESSED) ||
	     (cs.type == TYPE_DATA_RW && unrestricted(m)), "guest CS: type is not accessed code");
	RULE(cs.attr & SEG_S, "guest CS: a system segment");
	if (cs.type == TYPE_DATA_RW)
		RULE(cs.dpl == 0, "guest CS: a data type, and DPL is not 0");
	else if (cs.type < TYPE_CODE_CONFORMING)
		RULE(cs.dpl == ss.dpl, "guest CS: DPL is not that of SS");
	else
		RULE(cs.dpl <= ss.dpl, "guest CS: conforming, and DPL is above that of SS");
	RULE(cs.attr & SEG_P, "guest CS: not present");
	RULE(!(cs.attr & SEG_RESERVED), "guest CS: reserved attributes");
	RULE(!(long_mode(m) && (cs.attr & SEG_L)) || !(cs.attr & SEG_DB),
	     "guest CS: both L and D in IA-32e mode");
	RULE(granularity_fits(&cs), "guest CS: limit does not fit granularity");
	RULE(!(cs.base >> 32), "guest CS: base has bits above 31");
	return NULL;
}

static const char *check_stack_segment(const struct vmcs_image *m)
{
	struct segment cs = segment_of(m, SEG_CS), ss = segment_of(m, SEG_SS);

	RULE(unrestricted(m) || ss.dpl == (ss.selector & SELECTOR_RPL), "guest SS: DPL is not RPL");
	RULE(!(cs.type == TYPE_DATA_RW || !(V(GUEST_CR0) & CR0_PE)) || ss.dpl == 0,
	     "guest SS: DPL is not 0 in real mode");
	if (!ss.usable)
		return NULL;
	RULE(ss.type == TYPE_DATA_RW || ss.type == TYPE_DATA_RW_DOWN,
	     "guest SS: type is not accessed writable data");
	RULE(ss.attr & SEG_S, "guest SS: a system segment");
	RULE(ss.attr & SEG_P, "guest SS: not present");
	RULE(!(ss.attr & SEG_RESERVED), "guest SS: reserved attributes");
	RULE(granularity_fits(&ss), "guest SS: limit does not fit granularity");
	RULE(!(ss.base >> 32), "guest SS: base has bits above 31");
	return NULL;
}

static const char *check_data_segment(const struct vmcs_image *m, enum seg seg)
{
	struct segment s = segment_of(m, seg);

	if (seg == SEG_FS || seg == SEG_GS)
		RULE(canonical(s.base), "guest FS or GS: base is not canonical");
	if (!s.usable)
		return NULL;
	RULE(s.type & TYPE_ACCESSED, "guest DS, ES, FS or GS: type is not accessed");
	RULE(!(s.type & TYPE_CODE) || (s.type & TYPE_READABLE),
	     "guest DS, ES, FS or GS: code that is not readable");
	RULE(s.attr & SEG_S, "guest DS, ES, FS or GS: a system segment");
	RULE(unrestricted(m) || s.type >= TYPE_CODE_CONFORMING ||
	     s.dpl >= (s.selector & SELECTOR_RPL), "guest DS, ES, FS or GS: DPL is below RPL");
	RULE(s.attr & SEG_P, "guest DS, ES, FS or GS: not present");
	RULE(!(s.attr & SEG_RESERVED), "guest DS, ES, FS or GS: reserved attributes");
	RULE(granularity_fits(&s), "guest DS, ES, FS or GS: limit does not fit granularity");
	RULE(seg == SEG_FS || seg == SEG_GS || !(s.base >> 32),
	     "guest DS or ES: base has bits above 31");
	return NULL;
}

static const char *check_system_segments(const struct vmcs_image *m)
{
	struct segment tr = segment_of(m, SEG_TR), ldtr = segment_of(m, SEG_LDTR);

	RULE(!(tr.selector & SELECTOR_TI), "guest TR: TI is not 0");
	RULE(canonical(tr.base), "guest TR: base is not canonical");
	RULE(tr.usable, "guest TR: unusable");
	RULE(tr.type == TYPE_TSS_BUSY || (tr.type == TYPE_TSS16_BUSY && !long_mode(m)),
	     "guest TR: type is not a busy TSS");
	RULE(!(tr.attr & SEG_S), "guest TR: not a system segment");
	RULE(tr.attr & SEG_P, "guest TR: not present");
	RULE(!(tr.attr & SEG_RESERVED), "guest TR: reserved attributes");
	RULE(granularity_fits(&tr), "guest TR: limit does not fit granularity");
	if (!ldtr.usable)
		return NULL;
	RULE(!(ldtr.selector & SELECTOR_TI), "guest LDTR: TI is not 0");
	RULE(canonical(ldtr.base), "guest LDTR: base is not canonical");
	RULE(ldtr.type == TYPE_LDT, "guest LDTR: type is not LDT");
	RULE(!(ldtr.attr & SEG_S), "guest LDTR: not a system segment");
	RULE(ldtr.attr & SEG_P, "guest LDTR: not present");
	RULE(!(ldtr.attr & SEG_RESERVED), "guest LDTR: reserved attributes");
	RULE(granularity_fits(&ldtr), "guest LDTR: limit does not fit granularity");
	return NULL;
}

static const char *check_guest_segments(const struct vmcs_image *m)
{
	const char *broken = check_system_segments(m);

	if (broken)
		return broken;
	if (V(GUEST_RFLAGS) & RFLAGS_VM)
		return check_v86(m);
	RULE(unrestricted(m) || !((V(GUEST_SS_SELECTOR) ^ V(GUEST_CS_SELECTOR)) & SELECTOR_RPL),
	     "guest SS: RPL is not that of CS");
	broken = check_code_segment(m);
	if (!broken)
		broken = check_stack_segment(m);
	for (enum seg seg = SEG_ES; !broken && seg <= SEG_GS; seg++)
		if (seg != SEG_CS && seg != SEG_SS)
			broken = check_data_segment(m, seg);
	return broken;
}

/*
 * SDM vol. 3, "Checks on Guest Descriptor-Table Registers", "Checks on Guest RIP, RFLAGS, and SSP"
 */
static const char *check_guest_flow(const struct vmcs_image *m)
{
	bool code_64 = long_mode(m) && (V(GUEST_CS_ATTR) & SEG_L);
	uint64_t flags = V(GUEST_RFLAGS), event = V(ENTRY_EVENT);

	RULE(canonical(V(GUEST_GDTR_BASE)), "guest GDTR: base is not canonical");
	RULE(canonical(V(GUEST_IDTR_BASE)), "guest IDTR: base is not canonical");
	RULE(!(V(GUEST_GDTR_LIMIT) >> 16), "guest GDTR: limit is over 16 bits");
	RULE(!(V(GUEST_IDTR_LIMIT) >> 16), "guest IDTR: limit is over 16 bits");
	RULE(code_64 || !(V(GUEST_RIP) >> 32), "guest RIP: bits above 31 outside 64-bit mode");
	RULE(!code_64 || canonical(V(GUEST_RIP)), "guest RIP: not canonical");
	RULE(!(flags & RFLAGS_RESERVED), "guest RFLAGS: a reserved bit");
	RULE(flags & RFLAGS_ONE, "guest RFLAGS: bit 1 is clear");
	RULE(!(flags & RFLAGS_VM) || (!long_mode(m) && (V(GUEST_CR0) & CR0_PE)),
	     "guest RFLAGS: VM in IA-32e mode or in real mode");
	RULE((flags & RFLAGS_IF) || !(event & EVENT_INFO_VALID) ||
	     GET(EVENT_INFO_TYPE, event) != VMX_EVENT_EXTINT,
	     "guest RFLAGS: an interrupt is injected and IF is clear");
	return NULL;
}

/* SDM vol. 3, "Checks on Guest Non-Register State" */
static const char *check_interruptibility(const struct vmcs_image *m)
{
	uint64_t blocked = V(GUEST_INTERRUPTIBILITY), event = V(ENTRY_EVENT);
	uint64_t type = GET(EVENT_INFO_TYPE, event);
	bool valid = event & EVENT_INFO_VALID;

	RULE(!(blocked & INTERRUPTIBILITY_RESERVED), "guest interruptibility: a reserved bit");
	RULE(!(blocked & BLOCK_STI) || !(blocked & BLOCK_MOV_SS),
	     "guest interruptibility: blocked by STI and by MOV SS");
	RULE(!(blocked & BLOCK_STI) || (V(GUEST_RFLAGS) & RFLAGS_IF),
	     "guest interruptibility: blocked by STI and IF is clear");
	RULE(!valid || type != VMX_EVENT_EXTINT || !(blocked & (BLOCK_STI | BLOCK_MOV_SS)),
	     "guest interruptibility: an interrupt is injected into a shadow");
	RULE(!valid || type != VMX_EVENT_NMI || !(blocked & BLOCK_MOV_SS),
	     "guest interruptibility: an NMI is injected into the shadow of MOV SS");
	RULE(!valid || type != VMX_EVENT_NMI || !(V(PIN_CONTROLS) & PIN_VIRTUAL_NMI) ||
	     !(blocked & BLOCK_NMI),
	     "guest interruptibility: an NMI is injected while NMIs are blocked");
	RULE(!(blocked & BLOCK_SMI), "guest interruptibility: blocked by SMI outside SMM");
	return NULL;
}

static const char *check_non_register(const struct vmcs_image *m)
{
	uint64_t activity = V(GUEST_ACTIVITY), pending = V(GUEST_PENDING_DEBUG);
	bool shadow = V(GUEST_INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS);
	bool stepping = (V(GUEST_RFLAGS) & RFLAGS_TF) && !(V(GUEST_DEBUGCTL) & DEBUGCTL_BTF);

	RULE(activity == ACTIVITY_ACTIVE, "guest activity: we enter active guests only");
	RULE(!(pending & ~PENDING_DEBUG_KNOWN), "guest pending debug exceptions: a reserved bit");
	RULE(!shadow || !!(pending & PENDING_DEBUG_BS) == stepping,
	     "guest pending debug exceptions: BS does not fit RFLAGS.TF in a shadow");
	RULE(V(LINK_POINTER) == ~0ull, "VMCS link pointer: not all ones");
	return check_interruptibility(m);
}

/* SDM vol. 3, "Checks on Guest Page-Directory-Pointer-Table Entries" */
static const char *check_pdptes(const struct vmcs_image *m, const struct vmx_caps *c)
{
	bool pae = (V(GUEST_CR0) & CR0_PG) && (V(GUEST_CR4) & CR4_PAE) && !long_mode(m);

	for (unsigned i = 0; pae && i < 4; i++) {
		uint64_t pdpte = m->v[VI_GUEST_PDPTE0 + i];
		RULE(!(pdpte & PDPTE_PRESENT) ||
		     (!(pdpte & PDPTE_RESERVED) && !(pdpte >> c->phys_bits)),
		     "guest PDPTE: a reserved bit");
	}
	return NULL;
}

const char *vmx_check(const struct vmcs_image *m, const struct vmx_caps *caps)
{
	const char *broken = check_execution_controls(m, caps);

	if (!broken)
		broken = check_exit_entry_controls(m, caps);
	if (!broken)
		broken = check_host_registers(m, caps);
	if (!broken)
		broken = check_host_segments(m);
	if (!broken)
		broken = check_guest_registers(m, caps);
	if (!broken)
		broken = check_guest_segments(m);
	if (!broken)
		broken = check_guest_flow(m);
	if (!broken)
		broken = check_non_register(m);
	return broken ? broken : check_pdptes(m, caps);
}
