/* SPDX-License-Identifier: MIT */
/*
 * vmm/dump.c - one screen of a virtual CPU's state: what a person needs to see why it was stopped.
 */
#include "vmm/dump.h"

#include "arch/x86_64/defs/cr.h"
#include "lib/log.h"
#include "vmm/vm.h"

#define CODE_BEFORE  8                          /* bytes shown before RIP */
#define CODE_AFTER   24
#define EXITS_SHOWN  6
#define WORDS_SHOWN  160                       /* bytes of console output */

static const char *const gpr_names[GPR_COUNT] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15",
};
static const char *const seg_names[SEG_COUNT] = {
	"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"
};

static void dump_registers(const struct cpu_state *s)
{
	/* In the order in which people look for them. */
	static const uint8_t order[GPR_COUNT] = {
		GPR_RAX, GPR_RBX, GPR_RCX, GPR_RDX, GPR_RSI, GPR_RDI, GPR_RBP, GPR_RSP,
		GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
	};

	log_text("  rip %016lx  rflags %08lx\n", s->rip, s->rflags);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		log_text("  %s %016lx%s", gpr_names[order[i]], s->gpr[order[i]],
		         i % 4 == 3 ? "\n" : "");
	log_text("  cr0 %08lx  cr2 %016lx  cr3 %016lx  cr4 %08lx  efer %lx  xcr0 %lx\n",
	         s->cr0, s->cr2, s->cr3, s->cr4, s->msr[CPU_MSR_EFER], s->xcr0);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		log_text("  %-4s %04x base %016lx limit %08x attr %05x%s", seg_names[i],
		         s->seg_sel[i], s->seg_base[i], s->seg_limit[i], s->seg_attr[i],
		         i % 2 ? "\n" : "  |");
	log_text("  gdtr %016lx+%x  idtr %016lx+%x  dr7 %lx\n", s->gdtr_base, s->gdtr_limit,
	         s->idtr_base, s->idtr_limit, s->dr7);
	if (s->event_type != EVENT_NONE)
		log_text("  while event type %u vector %u error %#x was delivered\n", s->event_type,
		         s->event_vector, s->event_error);
}

static void dump_code(struct vcpu *v)
{
	uint64_t at = v->state.seg_base[SEG_CS] + v->rip - CODE_BEFORE;

	log_text("  code");
	for (unsigned i = 0; i < CODE_BEFORE + CODE_AFTER; i++) {
		uint8_t byte;
		if (vcpu_fetch(v, at + i, &byte, 1) != OK)
			log_text(" ..");
		else if (i == CODE_BEFORE)
			log_text(" [%02x]", byte);
		else
			log_text(" %02x", byte);
	}
	log_text("\n");
}

static void dump_exits(const struct vm *vm)
{
	struct trace_record r[EXITS_SHOWN];
	uint64_t from = vm->trace.next > EXITS_SHOWN ? vm->trace.next - EXITS_SHOWN : 0;
	unsigned n = trace_read(&vm->trace, &from, r, EXITS_SHOWN);

	for (unsigned i = 0; i < n; i++) {
		if (r[i].event == TRACE_VM_EXIT)
			log_text("  vCPU %u: exit %s %#lx at rip %016lx\n", r[i].vcpu,
			         exit_name((enum exit_kind)(r[i].a & 0xff)), r[i].a >> 8, r[i].b);
		else if (r[i].event == TRACE_VM_INJECT)
			log_text("  vCPU %u: inject type %lu vector %lu\n", r[i].vcpu,
			         r[i].a & 0xff, r[i].a >> 8);
	}
}

void dump_vcpu(struct vcpu *v, const char *why)
{
	vcpu_state_fetch(v);
	log_line("%s vCPU %u: %s", v->vm->config.name, v->id, why);
	dump_registers(&v->state);
	dump_code(v);
	dump_exits(v->vm);
}

/* Where the last line that is not blank starts; cuts the line's end off.  Nothing there: `text`. */
static const char *last_line(char *text, size_t length)
{
	while (length > 0 && text[length - 1] <= ' ')
		length--;
	text[length] = '\0';
	while (length > 0 && text[length - 1] != '\n')
		length--;
	return text + length;
}

void dump_last_words(const struct vm *vm)
{
	char text[WORDS_SHOWN + 1];
	uint64_t from = UINT64_MAX;

	machine_console_read(&vm->machine, &from, text, 0); /* from: the end of the log */
	from -= MIN(from, (uint64_t)WORDS_SHOWN);
	size_t length = machine_console_read(&vm->machine, &from, text, WORDS_SHOWN);
	for (size_t i = 0; i < length; i++) /* a guest must not steer the terminal of the host */
		if (text[i] != '\n' && (text[i] < ' ' || text[i] > '~'))
			text[i] = ' ';
	const char *line = last_line(text, length);
	if (*line)
		log_line("%s: its last words: %s", vm->config.name, line);
}
