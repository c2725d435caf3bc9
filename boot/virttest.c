/* SPDX-License-Identifier: MIT */
/*
 * boot/virttest.c - test=virt: the vendor's door, tested on this CPU without anything above it.
 *
 * A ghost VM gives memory, second-stage tables and a vCPU; its task never runs.  Each test loads a
 * state, enters, and looks at what comes back: exits of all kinds, the timer, the interrupt window,
 * interrupted deliveries, exact dirty pages, control registers, a refused entry, a round trip of
 * the whole state.  The first difference stops the boot with a sentence.  Called by boot/main.c.
 */
#include "boot/boot.h"

#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/defs/pte.h"
#include "arch/x86_64/insn.h"
#include "lib/bitmap.h"
#include "lib/log.h"
#include "lib/time.h"
#include "vmm/guest_mode.h"
#include "vmm/vm.h"

extern const char virttest_guest[], virttest_guest_end[];
extern const char virttest_exits[], virttest_halt[], virttest_window[], virttest_handler[];
extern const char virttest_iret[], virttest_spin[], virttest_step[], virttest_pages[];
extern const char virttest_registers[];
extern const char virttest_mmio[], virttest_align[], virttest_cpuid_loop[];

#define GUEST_BYTES     (16 * MIB)
#define GUEST_PAGES     (GUEST_BYTES / PAGE_SIZE)
#define CODE            0x1000                  /* as in virttest_guest.S               */
#define STACK           0x8000
#define TABLES          0x10000                 /* PML4, PDPT, PD of low RAM, PD below 4 GiB */
#define MMIO_PD_FIRST   (3 * GIB)
#define APIC_PAGE       0xfee00000u
#define SLICE_NS        (20 * NS_PER_MS)
#define VECTOR_TEST     0x40
#define NOT_RAM         0x40000000u
#define CPUID_EXITS     1000
#define DR7_RESERVED    BIT(32)                 /* what no CPU lets a guest begin with  */

static struct vm *vm;
static struct vcpu *v;
static struct exit x;

#define CHECK(holds, ...)                                               \
	do {                                                            \
		if (!(holds))                                           \
			return fail(ERR_NOT_SUPPORTED, __VA_ARGS__);    \
	} while (0)

static uint64_t ip_of(const char *label)
{
	return (uint64_t)(label - virttest_guest);
}

/* The first fetch from a large leaf, where the CPU must run code by small ones only. */
static bool is_first_fetch(void)
{
	if (x.kind != EXIT_FAULT || !x.fault.mapped || !x.fault.fetch ||
	    stage2_fault_code(&vm->s2, &vm->mem, x.fault.addr) != OK)
		return false;
	guest_mode_flush(vm);
	return true;
}

static enum exit_kind enter(void)
{
	v->slice_tsc = time_tsc() + time_ns_to_tsc(SLICE_NS);
	do
		virt->enter(v, &x);
	while (is_first_fetch());
	return x.kind;
}

/* As the dispatcher would after an instruction was emulated, then on. */
static enum exit_kind go_on(void)
{
	vcpu_skip(v, x.insn_len);
	return enter();
}

static void inject(uint8_t type, uint8_t vector)
{
	virt->inject(v, &(struct inject){ .type = type, .vector = vector });
}

static void start_real(const char *label)
{
	struct cpu_state *s = &v->state;

	cpu_state_reset(s);
	s->cr0 = CR0_ET;
	s->rip = ip_of(label);
	s->seg_sel[SEG_CS] = CODE >> 4;
	s->seg_base[SEG_CS] = CODE;
	s->gpr[GPR_RSP] = STACK;
	virt->set(v, s);
}

static void start_64(const char *label)
{
	cpu_state_flat64(&v->state, CODE + ip_of(label), TABLES);
	v->state.gpr[GPR_RSP] = STACK;
}

/* Low RAM and the page of the local APIC by 2 MiB leaves, accessed and dirty from the start. */
static void make_tables(void)
{
	const uint64_t table = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED, leaf = table |
		PTE_DIRTY | PTE_LARGE;
	const struct { uint64_t at, entry; } pointers[] = {
		{ TABLES, (TABLES + 0x1000) | table },
		{ TABLES + 0x1000, (TABLES + 0x2000) | table },
		{ TABLES + 0x1000 + 8 * (MMIO_PD_FIRST / GIB), (TABLES + 0x3000) | table },
	};

	for (unsigned i = 0; i < COUNT(pointers); i++)
		mem_write(&vm->mem, gpa(pointers[i].at), &pointers[i].entry, 8);
	for (uint64_t i = 0; i < PTE_COUNT; i++) {
		uint64_t low = i * FRAME_SIZE | leaf, high = (MMIO_PD_FIRST + i * FRAME_SIZE) |
			leaf;
		mem_write(&vm->mem, gpa(TABLES + 0x2000 + 8 * i), &low, 8);
		mem_write(&vm->mem, gpa(TABLES + 0x3000 + 8 * i), &high, 8);
	}
}

/* --- Exits ---------------------------------------------------------------------------------- */

static enum err test_exit_kinds(void)
{
	static const struct { enum exit_kind kind; uint8_t len; } expected[] = {
		{ EXIT_CPUID, 2 }, { EXIT_IO, 2 }, { EXIT_IO, 2 }, { EXIT_IO, 2 }, { EXIT_IO, 2 },
		{ EXIT_MSR, 2 }, { EXIT_MSR, 2 }, { EXIT_WBINVD, 2 }, { EXIT_WBINVD, 2 },
		{ EXIT_GP, 2 }, { EXIT_HYPERCALL, 3 }, { EXIT_HYPERCALL, 3 }, { EXIT_HLT, 1 },
	};
	struct exit seen[COUNT(expected)];

	start_real(virttest_exits);
	for (unsigned i = 0; i < COUNT(expected); i++) {
		enum exit_kind kind = i ? go_on() : enter();
		CHECK(kind == expected[i].kind, "exit %u is \"%s\" at %lx, not \"%s\"", i,
		      exit_name(kind), v->rip, exit_name(expected[i].kind));
		CHECK(x.insn_len == expected[i].len, "exit %u, %s: length %u", i, exit_name(kind),
		      x.insn_len);
		seen[i] = x;
	}
	CHECK((v->gpr[GPR_RAX] & 0xff) == 0x5a, "RAX is %lx", v->gpr[GPR_RAX]);
	CHECK(seen[1].io.port == 0x80 && seen[1].io.size == 1 && !seen[1].io.in &&
	      !seen[1].io.string, "OUT to 80");
	CHECK(seen[2].io.port == 0x3f8 && seen[2].io.size == 4 && seen[2].io.in, "IN from 3f8");
	CHECK(seen[3].io.string && seen[3].io.rep && seen[3].io.in && seen[3].io.size == 2 &&
	      seen[3].io.addr_size == 2 && seen[3].io.seg == SEG_ES, "REP INSW");
	CHECK(seen[4].io.string && !seen[4].io.rep && !seen[4].io.in && seen[4].io.seg == SEG_FS,
	      "OUTSB from FS");
	CHECK(!seen[5].msr.write && seen[6].msr.write && v->gpr[GPR_RCX] == 0x1b, "RDMSR, WRMSR");
	CHECK(v->irq_blocked, "no shadow of STI at HLT");
	vcpu_skip(v, x.insn_len);
	CHECK(!v->irq_blocked, "the shadow of STI outlives HLT");
	return OK;
}

static enum err test_timer(void)
{
	/* with IF=0: nothing but the timer brings it back */
	start_real(virttest_spin);
	CHECK(enter() == EXIT_SLICE || x.kind == EXIT_IRQ,
	      "a guest that spins came back with \"%s\"", exit_name(x.kind));
	while (x.kind == EXIT_IRQ)
		enter();
	uint64_t now = time_tsc(), late = now - v->slice_tsc;
	CHECK(now + time_ns_to_tsc(NS_PER_MS) > v->slice_tsc, "it came back %lu ticks early",
	      -late);
	CHECK(now < v->slice_tsc || late < time_ns_to_tsc(NS_PER_MS), "it came back %lu ticks late",
	      late);
	v->slice_tsc = 0;                       /* long past */
	uint64_t rip = v->rip;
	virt->enter(v, &x);
	CHECK(x.kind == EXIT_SLICE && v->rip == rip, "a slice that is over still ran");
	return OK;
}

/* --- Events --------------------------------------------------------------------------------- */

static enum err test_interrupt_window(void)
{
	start_real(virttest_window);
	CHECK(enter() == EXIT_HLT && v->irq_blocked, "HLT with IF=0 came as \"%s\"",
	      exit_name(x.kind));
	virt->irq_window(v, true);
	CHECK(go_on() == EXIT_IRQ_WINDOW, "the window came as \"%s\"", exit_name(x.kind));
	CHECK(!v->irq_blocked && v->rip == ip_of(virttest_window) + 5, "the window opened at %lx",
	      v->rip);
	virt->irq_window(v, false);
	inject(EVENT_IRQ, VECTOR_TEST);
	CHECK(enter() == EXIT_HYPERCALL && v->rip == ip_of(virttest_handler),
	      "the handler came as \"%s\" at %lx", exit_name(x.kind), v->rip);
	CHECK(go_on() == EXIT_HLT && !v->irq_blocked, "after IRET came \"%s\"", exit_name(x.kind));
	return OK;
}

/* The CPU came out between STI and HLT: the interrupt that waits comes after HLT, and wakes. */
static enum err test_shadow_of_sti(void)
{
	start_real(virttest_halt);
	v->state.rflags |= RFLAGS_IF;
	v->state.block_sti = true;
	virt->set(v, &v->state);
	virt->irq_window(v, true);
	CHECK(enter() == EXIT_HLT && v->rip == ip_of(virttest_halt) && v->irq_blocked,
	      "HLT in the shadow of STI came as \"%s\" at %lx", exit_name(x.kind), v->rip);
	CHECK(go_on() == EXIT_IRQ_WINDOW && v->rip == ip_of(virttest_halt) + 1,
	      "after it came \"%s\" at %lx", exit_name(x.kind), v->rip);
	virt->irq_window(v, false);
	return OK;
}

/* The interrupt table is where there is no RAM: the delivery faults, and must be done again. */
static enum err test_interrupted_delivery(void)
{
	start_real(virttest_window);
	v->state.idtr_base = NOT_RAM;
	v->state.rflags |= RFLAGS_IF;
	virt->set(v, &v->state);
	inject(EVENT_IRQ, VECTOR_TEST);
	CHECK(enter() == EXIT_FAULT, "delivery through no RAM came as \"%s\"", exit_name(x.kind));
	CHECK(x.fault.addr.v == NOT_RAM + 4 * VECTOR_TEST && x.fault.read && !x.fault.mapped,
	      "fault at %lx", x.fault.addr.v);
	CHECK(v->again.type == EVENT_IRQ && v->again.vector == VECTOR_TEST,
	      "again is type %u vector %u", v->again.type, v->again.vector);
	virt->get(v, &v->state);
	CHECK(v->state.event_type == EVENT_IRQ && v->state.event_vector == VECTOR_TEST,
	      "the event does not travel");
	v->state.idtr_base = 0;
	virt->set(v, &v->state);
	virt->inject(v, &v->again);
	CHECK(enter() == EXIT_HYPERCALL && v->again.type == EVENT_NONE,
	      "delivered again, came \"%s\"", exit_name(x.kind));
	return OK;
}

/*
 * An NMI that finds NMIs blocked waits for the IRET: then the window opens, and the run loop, which
 * we are here, gets the NMI back and injects it.
 */
static enum err test_nmi_waits(void)
{
	start_real(virttest_window);
	inject(EVENT_NMI, VECTOR_NMI);
	CHECK(enter() == EXIT_HYPERCALL, "the NMI's handler came as \"%s\"", exit_name(x.kind));
	inject(EVENT_NMI, VECTOR_NMI);
	CHECK(!v->nmi_pending, "an NMI that waits for the IRET came back at once");
	CHECK(go_on() == EXIT_IRQ_WINDOW && v->nmi_pending,
	      "after the first NMI's IRET came \"%s\" at %lx", exit_name(x.kind), v->rip);
	v->nmi_pending = false;
	inject(EVENT_NMI, VECTOR_NMI);
	CHECK(enter() == EXIT_HYPERCALL, "the second NMI's handler came as \"%s\" at %lx",
	      exit_name(x.kind), v->rip);
	CHECK(go_on() == EXIT_HLT, "after the second NMI's IRET came \"%s\"", exit_name(x.kind));
	return OK;
}

/* A guest that steps itself: #DB comes after what it runs and after what we emulate. */
static enum err test_single_step(void)
{
	static const struct { enum exit_kind kind; uint8_t at; } expected[] = {
		{ EXIT_SLICE, 1 }, { EXIT_CPUID, 1 }, { EXIT_SLICE, 3 }, { EXIT_SLICE, 4 },
		{ EXIT_HLT, 4 },
	};

	start_real(virttest_step);
	v->state.rflags |= RFLAGS_TF;
	virt->set(v, &v->state);
	for (unsigned i = 0; i < COUNT(expected); i++) {
		enum exit_kind kind = i ? go_on() : enter();
		CHECK(kind == expected[i].kind && v->rip == ip_of(virttest_step) + expected[i].at,
		      "step %u came as \"%s\" at %lx", i, exit_name(kind), v->rip);
		CHECK(kind != EXIT_SLICE ||
		      (v->again.type == EVENT_EXCEPTION && v->again.vector == VECTOR_DB),
		      "step %u is no #DB: type %u vector %u", i, v->again.type, v->again.vector);
	}
	virt->get(v, &v->state);
	CHECK(v->state.dr6 & BIT(14), "DR6 is %lx: no BS", v->state.dr6);
	return OK;
}

/* --- Dirty pages ---------------------------------------------------------------------------- */

static enum err run_pages(uint64_t first, uint64_t count, uint64_t step)
{
	start_64(virttest_pages);
	v->state.gpr[GPR_RDI] = first;
	v->state.gpr[GPR_RCX] = count;
	v->state.gpr[GPR_RSI] = step;
	virt->set(v, &v->state);
	for (uint64_t faults = 0; enter() != EXIT_HLT;) {
		if (x.kind == EXIT_IRQ || x.kind == EXIT_SLICE)
			continue;
		CHECK(x.kind == EXIT_FAULT && x.fault.write && x.fault.mapped,
		      "writing pages came to \"%s\"", exit_name(x.kind));
		CHECK(stage2_fault_dirty(&vm->s2, &vm->mem, x.fault.addr),
		      "a fault that tracking did not cause");
		CHECK(++faults <= count, "more faults than pages");
	}
	return OK;
}

/* Walks of the guest's page tables count as writes where there are accessed and dirty flags. */
static bool is_page_table(uint64_t index)
{
	return virt->s2->dirty && index >= TABLES / PAGE_SIZE && index < TABLES / PAGE_SIZE + 4;
}

static enum err check_pages(const uint64_t *map, uint64_t first, uint64_t count, uint64_t step)
{
	for (uint64_t i = 0; i < GUEST_PAGES; i++) {
		uint64_t at = i * PAGE_SIZE;
		bool written = at >= first && at < first + count * step && (at - first) % step == 0;
		if (!is_page_table(i))
			CHECK(bitmap_test(map, i) == written, "page %lx: dirty %d, written %d", at,
			      bitmap_test(map, i), written);
	}
	return OK;
}

static enum err test_dirty_pages(void)
{
	static const struct { uint64_t first, count, step; } rounds[] = {
		{ 2 * MIB, 600, 3 * PAGE_SIZE }, { 2 * MIB, 600, 3 * PAGE_SIZE },
		{ 2 * MIB + PAGE_SIZE, 600, 3 * PAGE_SIZE }, { 15 * MIB, 1, PAGE_SIZE },
		{ 4 * MIB, 1, FRAME_SIZE },
	};
	static uint64_t map[BITMAP_WORDS(GUEST_PAGES)];
	uint64_t flushes = vm->tlb.flushes;
	enum err e = dirty_start(vm);

	for (unsigned i = 0; e == OK && i < COUNT(rounds); i++) {
		e = run_pages(rounds[i].first, rounds[i].count, rounds[i].step);
		memset(map, 0, sizeof(map));
		uint64_t from = time_tsc(), pages = dirty_harvest(vm, map);
		log_line("virt test: %lu dirty pages harvested in %lu ticks", pages,
		         time_tsc() - from);
		if (e == OK)
			e = check_pages(map, rounds[i].first, rounds[i].count, rounds[i].step);
	}
	if (e != OK)
		return e;
	flushes = vm->tlb.flushes - flushes;
	CHECK(flushes == 2 + 2 * COUNT(rounds), "%lu flushes", flushes);
	dirty_stop(vm);
	e = run_pages(2 * MIB, 600, PAGE_SIZE);         /* joined leaves are writable again */
	stage2_track_start(&vm->s2, &vm->mem);          /* as a migration that is cancelled */
	dirty_stop(vm);
	return e;
}

/* After tracking, all leaves are large again: code splits its frame once, and only if it must. */
static enum err test_code_leaves(void)
{
	struct stage2 *s = &vm->s2;
	struct s2_leaf leaf;
	bool small = virt->s2->small_code;

	uint64_t before = s->code_splits;
	CHECK(stage2_lookup(s, gpa(CODE), &leaf) && leaf.size == FRAME_SIZE, "code is not joined");
	CHECK(small == !(leaf.entry & virt->s2->exec), "its large leaf is %lx", leaf.entry);
	for (unsigned i = 0; i < 2; i++) {
		start_real(virttest_iret);
		CHECK(enter() == EXIT_HLT, "code came to \"%s\"", exit_name(x.kind));
	}
	CHECK(s->code_splits - before == small, "%lu splits", s->code_splits - before);
	CHECK(stage2_lookup(s, gpa(CODE), &leaf) && (leaf.entry & virt->s2->exec) &&
	      leaf.size == (small ? PAGE_SIZE : FRAME_SIZE), "a leaf of code is %lx", leaf.entry);
	log_line("virt test: code by %s leaves", small ? "small" : "large");
	return OK;
}

/* --- Registers ------------------------------------------------------------------------------ */

static enum err test_control_registers(void)
{
	start_64(virttest_registers);
	virt->set(v, &v->state);
	uint64_t cr0 = v->state.cr0;
	CHECK(enter() == EXIT_HYPERCALL, "CR0.CD came to \"%s\" at %lx", exit_name(x.kind), v->rip);
	CHECK(v->gpr[GPR_RAX] == cr0, "CR0 reads %lx, not %lx", v->gpr[GPR_RAX], cr0);
	CHECK(v->gpr[GPR_RBX] == (cr0 | CR0_CD), "CR0 with CD reads %lx", v->gpr[GPR_RBX]);
	CHECK(v->gpr[GPR_RBP] == cr0, "CR0 without CD reads %lx", v->gpr[GPR_RBP]);
	CHECK(go_on() == EXIT_CR8 && x.cr8.write && x.cr8.gpr == GPR_R9 && v->gpr[GPR_R9] == 5,
	      "MOV to CR8");
	CHECK(go_on() == EXIT_CR8 && !x.cr8.write && x.cr8.gpr == GPR_R15, "MOV from CR8");
	CHECK(go_on() == EXIT_GP, "CR4.VMXE came to \"%s\" at %lx", exit_name(x.kind), v->rip);
	CHECK(v->gpr[GPR_RBX] == (CR4_PAE | CR4_OSXSAVE), "CR4 reads %lx", v->gpr[GPR_RBX]);
	virt->get(v, &v->state);
	CHECK(v->state.cr4 == (CR4_PAE | CR4_OSXSAVE), "CR4 travels as %lx", v->state.cr4);
	CHECK(v->state.cr0 == cr0, "CR0 travels as %lx", v->state.cr0);
	return OK;
}

static enum err test_mmio_fault(void)
{
	start_64(virttest_mmio);
	virt->set(v, &v->state);
	CHECK(enter() == EXIT_FAULT && x.fault.addr.v == APIC_PAGE + 0x20 && x.fault.read &&
	      !x.fault.write && !x.fault.mapped && !x.fault.walk, "MMIO read: \"%s\" at %lx",
	      exit_name(x.kind), x.fault.addr.v);
	CHECK(!x.fault.linear_valid || x.fault.linear == APIC_PAGE + 0x20, "linear address %lx",
	      x.fault.linear);
	vcpu_skip(v, 2);
	CHECK(enter() == EXIT_FAULT && x.fault.write && !x.fault.read, "MMIO write: \"%s\"",
	      exit_name(x.kind));
	return OK;
}

/* An #AC that the guest's own code raises: taken from it, and given back as v->again. */
static enum err test_alignment_check(void)
{
	struct cpu_state *s = &v->state;

	start_64(virttest_align);
	s->cr0 |= CR0_AM;
	s->rflags |= RFLAGS_AC;
	s->seg_attr[SEG_CS] |= SEG_DPL;
	s->seg_attr[SEG_SS] |= SEG_DPL;
	s->seg_sel[SEG_CS] |= 3;
	s->seg_sel[SEG_SS] |= 3;
	virt->set(v, s);
	if (enter() == EXIT_CPUID) {            /* TCG of QEMU 7.2 went on to the next routine */
		log_line("virt test: this CPU does not check alignment");
		return OK;
	}
	CHECK(x.kind == EXIT_SLICE, "#AC came as \"%s\" at %lx", exit_name(x.kind), v->rip);
	CHECK(v->again.type == EVENT_EXCEPTION && v->again.vector == VECTOR_AC &&
	      v->again.has_error, "again: type %u vector %u", v->again.type, v->again.vector);
	return OK;
}

static void fill_state(struct cpu_state *s)
{
	start_real(virttest_iret);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		s->gpr[i] = 0x1111111111111111ull * i;
	s->cr2 = 0x123456789abcdef0;
	s->cr3 = 0x5000;
	for (unsigned i = 0; i < COUNT(s->dr); i++)
		s->dr[i] = 0x1000 + i;
	s->dr6 = DR6_INIT | 1;
	s->seg_base[SEG_FS] = s->seg_base[SEG_GS] = 0xffff800000001000;
	s->gdtr_base = 0xffff800000002000;
	s->gdtr_limit = 0x7f;
	s->msr[CPU_MSR_STAR] = 0x0023001000000000;
	s->msr[CPU_MSR_LSTAR] = 0xffffffff81000000;
	s->msr[CPU_MSR_CSTAR] = 0xffffffff81000100;
	s->msr[CPU_MSR_FMASK] = 0x47700;
	s->msr[CPU_MSR_KERNEL_GS_BASE] = 0xffff888000000000;
	s->msr[CPU_MSR_SYSENTER_CS] = 0x10;
	s->msr[CPU_MSR_SYSENTER_EIP] = 0xffffffff81000200;
	s->msr[CPU_MSR_TSC_AUX] = 7;
	s->msr[CPU_MSR_EFER] = EFER_SCE | EFER_NXE;
	s->xcr0 = virt_caps.xcr0_mask;
	s->block_nmi = 1;
	memset(s->xsave, 0x3c, XSAVE_MXCSR);            /* x87: FCW, FSW, FTW, pointers */
	memset(s->xsave + 32, 0x5a, 128);               /* the eight ST registers */
	memset(s->xsave + 160, 0xa5, 256);              /* the sixteen XMM registers */
	uint64_t parts = XCR0_X87 | XCR0_SSE;
	memcpy(s->xsave + XSAVE_BV, &parts, sizeof(parts));
}

/* Through the hardware and back, with other code in between: the guest executes one HLT. */
static enum err test_state_round_trip(void)
{
	static struct cpu_state before;
	struct cpu_state *s = &v->state;

	fill_state(s);
	virt->set(v, s);
	/* what a CPU does not keep (FPU pointers) is normal from here */
	virt->get(v, s);
	before = *s;
	virt->vcpu_put(v);
	virt->vcpu_load(v);
	CHECK(enter() == EXIT_HLT, "the state came to \"%s\"", exit_name(x.kind));
	virt->get(v, s);
	CHECK(!memcmp(&before, s, offsetof(struct cpu_state, xsave)),
	      "registers changed on the way");
	CHECK(!memcmp(before.xsave, s->xsave, XSAVE_LEGACY), "x87 or SSE state changed on the way");
	CHECK(s->xsave[160] == 0xa5 && s->xsave[32] == 0x5a, "FPU registers did not travel");
	CHECK(s->gpr[GPR_R15] == 0x1111111111111111ull * 15 && s->cr2 == 0x123456789abcdef0,
	      "GPR or CR2 did not travel");
	return OK;
}

static enum err test_refused_entry(void)
{
	start_real(virttest_iret);
	v->state.dr7 |= DR7_RESERVED;
	virt->set(v, &v->state);
	CHECK(enter() == EXIT_FATAL, "a bad DR7 came to \"%s\"", exit_name(x.kind));
	CHECK(strstr(x.fatal.why, "DR7"), "the refusal does not name DR7: %s", x.fatal.why);
	start_real(virttest_iret);                      /* and the vCPU is none the worse for it */
	CHECK(enter() == EXIT_HLT, "after a refused entry: \"%s\"", exit_name(x.kind));
	return OK;
}

/* Not a limit, a number to look at: two guest instructions, exit, decode and entry. */
static enum err test_exit_cost(void)
{
	start_64(virttest_cpuid_loop);
	virt->set(v, &v->state);
	enter();
	uint64_t from = time_tsc();
	for (unsigned i = 0; i < CPUID_EXITS; i++) {
		v->slice_tsc = UINT64_MAX;
		vcpu_skip(v, x.insn_len);
		virt->enter(v, &x);
		CHECK(x.kind == EXIT_CPUID || x.kind == EXIT_IRQ, "CPUID loop: \"%s\"",
		      exit_name(x.kind));
	}
	uint64_t ticks = (time_tsc() - from) / CPUID_EXITS;
	log_line("virt test: exit and entry for CPUID: %lu ticks", ticks);
	return OK;
}

/* --- Speculation ---------------------------------------------------------------------------- */

/* Every general register comes through entry and exit, whatever is done on the way. */
static enum err run_with_defences(void)
{
	fill_state(&v->state);
	virt->set(v, &v->state);
	v->others_ran = true;
	CHECK(enter() == EXIT_HLT, "it came to \"%s\"", exit_name(x.kind));
	CHECK(!v->others_ran, "others_ran is still set");
	for (unsigned i = 0; i < GPR_COUNT; i++)
		CHECK(v->gpr[i] == 0x1111111111111111ull * i, "register %u is %lx", i, v->gpr[i]);
	return OK;
}

static enum err test_defences(void) { return virttest_defences(run_with_defences); }
static enum err test_task_switch(void) { return virttest_task(v, &x, enter); }

/* --- All of them ---------------------------------------------------------------------------- */

static const struct { const char *name; enum err (*run)(void); } tests[] = {
	{ "exit kinds", test_exit_kinds },
	{ "timer", test_timer },
	{ "interrupt window", test_interrupt_window },
	{ "shadow of STI", test_shadow_of_sti },
	{ "interrupted delivery", test_interrupted_delivery },
	{ "NMI waits for IRET", test_nmi_waits },
	{ "single step", test_single_step },
	{ "dirty pages", test_dirty_pages },
	{ "code leaves", test_code_leaves },
	{ "control registers", test_control_registers },
	{ "MMIO fault", test_mmio_fault },
	{ "alignment check", test_alignment_check },
	{ "state round trip", test_state_round_trip },
	{ "refused entry", test_refused_entry },
	{ "defences", test_defences },
	{ "task switch", test_task_switch },
	{ "exit cost", test_exit_cost },
};

static enum err make_guest(void)
{
	static const struct vm_config config = { .name = "virttest", .ram_bytes = GUEST_BYTES,
		.cpus = 1, .boot = BOOT_MULTIBOOT, .kernel = "none" };
	static struct cpuid_table cpuid;
	const uint16_t handler[2] = { (uint16_t)ip_of(virttest_handler), CODE >> 4 };

	vm_host_cpuid(&cpuid, 1, NULL);
	enum err e = vm_create_ghost(&config, &cpuid, &vm);
	if (e != OK)
		return e;
	v = vm->vcpu[0];
	mem_clear(&vm->mem, gpa(0), GUEST_BYTES);       /* a ghost is given what others left */
	mem_write(&vm->mem, gpa(CODE), virttest_guest, ip_of(virttest_guest_end));
	mem_write(&vm->mem, gpa(4 * VECTOR_TEST), handler, sizeof(handler));
	mem_write(&vm->mem, gpa(4 * VECTOR_NMI), handler, sizeof(handler));
	make_tables();
	vcpu_state_fetch(v);                    /* it is loaded, and stays so on a single CPU */
	return OK;
}

enum err virttest_run(void)
{
	if (strcmp(boot_options.test, "virt"))
		return OK;
	enum err e = make_guest();
	for (unsigned i = 0; e == OK && i < COUNT(tests); i++) {
		e = tests[i].run();
		log_line("virt test: %s %s", e == OK ? "ok  " : "FAIL", tests[i].name);
	}
	if (e == OK)
		e = vm_delete(vm);
	if (e == OK)
		log_line("virt test: PASS");
	return e;
}
