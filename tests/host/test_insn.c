/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_insn.c - instructions behind MMIO faults: what vmm/insn_decode.c makes of bytes,
 * and the arithmetic of vmm/mmio.c compared with this machine's own instructions.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "vmm/insn_decode.h"
#include "vmm/mmio.h"

static const struct cpu_mode mode64 = { .efer = EFER_LME | EFER_LMA, .cs_attr = SEG_L };
static const struct cpu_mode mode32 = { .cs_attr = SEG_DB };
static const struct cpu_mode mode16 = { .cs_attr = 0 };

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

struct one {
	const struct cpu_mode *mode;
	const char *text;
	const uint8_t *bytes;
	size_t n;
	struct insn want;
};

/* Assembled by GNU as, except where said. */
static const struct one known[] = {
	{ &mode64, "mov %eax, (%rdi)", BYTES(0x89, 0x07),
	  { .op = INSN_MOV, .len = 2, .size = 4, .reg_size = 4, .addr_size = 8, .to_memory = true,
	    .gpr = GPR_RAX, .seg = SEG_DS } },
	{ &mode64, "mov 0xb0(%rdx), %r9d", BYTES(0x44, 0x8b, 0x8a, 0xb0, 0, 0, 0),
	  { .op = INSN_MOV, .len = 7, .size = 4, .reg_size = 4, .addr_size = 8, .gpr = GPR_R9,
	    .seg = SEG_DS } },
	{ &mode64, "movl $0, -0xa00f50(%rip)", BYTES(0xc7, 0x05, 0xb0, 0xf0, 0x5f, 0xff, 0, 0, 0,
	                                             0),
	  { .op = INSN_MOV, .len = 10, .size = 4, .reg_size = 4, .addr_size = 8, .to_memory = true,
	    .has_imm = true, .seg = SEG_DS } },
	{ &mode64, "movq $-1, 8(%rsp,%rcx,4)", BYTES(0x48, 0xc7, 0x44, 0x8c, 0x08, 0xff, 0xff, 0xff,
	                                             0xff),
	  { .op = INSN_MOV, .len = 9, .size = 8, .reg_size = 8, .addr_size = 8, .to_memory = true,
	    .has_imm = true, .imm = -1, .seg = SEG_SS } },
	{ &mode64, "mov %ah, (%rbx)", BYTES(0x88, 0x23),
	  { .op = INSN_MOV, .len = 2, .size = 1, .reg_size = 1, .addr_size = 8, .to_memory = true,
	    .gpr = GPR_RAX, .high_byte = true, .seg = SEG_DS } },
	{ &mode64, "mov %spl, (%rbx)", BYTES(0x40, 0x88, 0x23),
	  { .op = INSN_MOV, .len = 3, .size = 1, .reg_size = 1, .addr_size = 8, .to_memory = true,
	    .gpr = GPR_RSP, .seg = SEG_DS } },
	{ &mode64, "movzbl (%rax), %ecx", BYTES(0x0f, 0xb6, 0x08),
	  { .op = INSN_MOVZX, .len = 3, .size = 1, .reg_size = 4, .addr_size = 8, .gpr = GPR_RCX,
	    .seg = SEG_DS } },
	{ &mode64, "movzwl 2(%rax), %eax", BYTES(0x0f, 0xb7, 0x40, 0x02),
	  { .op = INSN_MOVZX, .len = 4, .size = 2, .reg_size = 4, .addr_size = 8, .gpr = GPR_RAX,
	    .seg = SEG_DS } },
	{ &mode64, "movswq (%rax), %rdx", BYTES(0x48, 0x0f, 0xbf, 0x10),
	  { .op = INSN_MOVSX, .len = 4, .size = 2, .reg_size = 8, .addr_size = 8, .gpr = GPR_RDX,
	    .seg = SEG_DS } },
	{ &mode64, "movslq (%rax), %r10", BYTES(0x4c, 0x63, 0x10),
	  { .op = INSN_MOVSX, .len = 3, .size = 4, .reg_size = 8, .addr_size = 8, .gpr = GPR_R10,
	    .seg = SEG_DS } },
	{ &mode64, "movnti %rsi, (%rdi)", BYTES(0x48, 0x0f, 0xc3, 0x37),
	  { .op = INSN_MOV, .len = 4, .size = 8, .reg_size = 8, .addr_size = 8, .to_memory = true,
	    .gpr = GPR_RSI, .seg = SEG_DS } },
	{ &mode64, "movabs 0x1122334455667788, %eax", BYTES(0xa1, 0x88, 0x77, 0x66, 0x55, 0x44,
	                                                    0x33, 0x22, 0x11),
	  { .op = INSN_MOV, .len = 9, .size = 4, .reg_size = 4, .addr_size = 8, .gpr = GPR_RAX,
	    .seg = SEG_DS } },
	{ &mode64, "lock orl $0x100, (%rax)", BYTES(0xf0, 0x81, 0x08, 0x00, 0x01, 0x00, 0x00),
	  { .op = INSN_OR, .len = 7, .size = 4, .reg_size = 4, .addr_size = 8, .to_memory = true,
	    .has_imm = true, .imm = 0x100, .seg = SEG_DS } },
	{ &mode64, "andw $-2, (%rbp)", BYTES(0x66, 0x83, 0x65, 0x00, 0xfe),
	  { .op = INSN_AND, .len = 5, .size = 2, .reg_size = 2, .addr_size = 8, .to_memory = true,
	    .has_imm = true, .imm = -2, .seg = SEG_SS } },
	{ &mode64, "cmp (%r13), %eax", BYTES(0x41, 0x3b, 0x45, 0x00),
	  { .op = INSN_CMP, .len = 4, .size = 4, .reg_size = 4, .addr_size = 8, .gpr = GPR_RAX,
	    .seg = SEG_DS } },
	{ &mode64, "testb $0x20, 5(%rdx)", BYTES(0xf6, 0x42, 0x05, 0x20),
	  { .op = INSN_TEST, .len = 4, .size = 1, .reg_size = 1, .addr_size = 8, .to_memory = true,
	    .has_imm = true, .imm = 0x20, .seg = SEG_DS } },
	{ &mode64, "xchg %ebx, %gs:(%rcx)", BYTES(0x65, 0x87, 0x19),
	  { .op = INSN_XCHG, .len = 3, .size = 4, .reg_size = 4, .addr_size = 8, .to_memory = true,
	    .gpr = GPR_RBX, .seg = SEG_GS } },
	{ &mode64, "btsl $31, (%rax)", BYTES(0x0f, 0xba, 0x28, 0x1f),
	  { .op = INSN_BTS, .len = 4, .size = 4, .reg_size = 4, .addr_size = 8, .to_memory = true,
	    .has_imm = true, .imm = 31, .seg = SEG_DS } },
	{ &mode64, "rep stosl", BYTES(0xf3, 0xab),
	  { .op = INSN_STOS, .len = 2, .size = 4, .reg_size = 4, .addr_size = 8, .to_memory = true,
	    .rep = true, .seg = SEG_ES } },
	{ &mode64, "movsq", BYTES(0x48, 0xa5),
	  { .op = INSN_MOVS, .len = 2, .size = 8, .reg_size = 8, .addr_size = 8, .to_memory = true,
	    .seg = SEG_DS } },
	{ &mode64, "mov %eax, (%edi)", BYTES(0x67, 0x89, 0x07),
	  { .op = INSN_MOV, .len = 3, .size = 4, .reg_size = 4, .addr_size = 4, .to_memory = true,
	    .gpr = GPR_RAX, .seg = SEG_DS } },
	{ &mode32, "mov %eax, 0xfee000b0", BYTES(0xa3, 0xb0, 0x00, 0xe0, 0xfe),
	  { .op = INSN_MOV, .len = 5, .size = 4, .reg_size = 4, .addr_size = 4, .to_memory = true,
	    .gpr = GPR_RAX, .seg = SEG_DS } },
	{ &mode32, "movw $1, (%eax,%ebx)", BYTES(0x66, 0xc7, 0x04, 0x18, 0x01, 0x00),
	  { .op = INSN_MOV, .len = 6, .size = 2, .reg_size = 2, .addr_size = 4, .to_memory = true,
	    .has_imm = true, .imm = 1, .seg = SEG_DS } },
	{ &mode16, "mov %ax, 2(%bp,%si)", BYTES(0x89, 0x42, 0x02),
	  { .op = INSN_MOV, .len = 3, .size = 2, .reg_size = 2, .addr_size = 2, .to_memory = true,
	    .gpr = GPR_RAX, .seg = SEG_SS } },
	{ &mode16, "mov %cl, 0x1234", BYTES(0x88, 0x0e, 0x34, 0x12),
	  { .op = INSN_MOV, .len = 4, .size = 1, .reg_size = 1, .addr_size = 2, .to_memory = true,
	    .gpr = GPR_RCX, .seg = SEG_DS } },
	{ &mode16, "addr32 mov %eax, (%edi)", BYTES(0x67, 0x66, 0x89, 0x07),
	  { .op = INSN_MOV, .len = 4, .size = 4, .reg_size = 4, .addr_size = 4, .to_memory = true,
	    .gpr = GPR_RAX, .seg = SEG_DS } },
};

static void known_forms_are_decoded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(known); i++) {
		struct insn got;
		uint8_t padded[INSN_LEN_MAX + 1];
		memset(padded, 0xcc, sizeof(padded));
		memcpy(padded, known[i].bytes, known[i].n);
		if (insn_decode(padded, INSN_LEN_MAX, known[i].mode, &got) != OK)
			fail_msg("%s: refused: %s", known[i].text, err_reason());
		const struct insn *w = &known[i].want;
		bool same = got.op == w->op && got.len == w->len && got.size == w->size &&
			got.reg_size == w->reg_size &&
		            got.addr_size == w->addr_size && got.to_memory == w->to_memory &&
		            got.has_imm == w->has_imm &&
		            got.rep == w->rep && got.high_byte == w->high_byte &&
		            got.gpr == w->gpr && got.seg == w->seg && got.imm == w->imm;
		if (!same)
			fail_msg("%s: op %u len %u size %u/%u addr %u gpr %u seg %u imm %ld",
			         known[i].text, got.op, got.len, got.size,
			         got.reg_size, got.addr_size, got.gpr, got.seg, got.imm);
	}
}

static void short_bytes_are_refused_and_not_read_past(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(known); i++) {
		for (size_t n = 0; n < known[i].n; n++) {
			uint8_t *exact = malloc(n ? n : 1); /* AddressSanitizer watches its end */
			struct insn got;
			memcpy(exact, known[i].bytes, n);
			assert_int_equal(insn_decode(exact, n, known[i].mode, &got),
			                 ERR_NOT_SUPPORTED);
			free(exact);
		}
	}
}

static void others_are_refused_with_their_bytes(void **state)
{
	static const struct { const struct cpu_mode *mode; uint8_t bytes[4]; } others[] = {
		{ &mode64, { 0x11, 0x07 } },            /* adc                 */
		{ &mode64, { 0x89, 0xc0 } },            /* mov %eax, %eax      */
		{ &mode64, { 0xff, 0x30 } },            /* push (%rax)         */
		{ &mode64, { 0x0f, 0x11, 0x07 } },      /* movups to memory    */
		{ &mode32, { 0x63, 0x07 } },            /* arpl                */
		{ &mode64, { 0x0f, 0xba, 0x00, 0x01 } },
		{ &mode64, { 0xf7, 0x10 } },            /* not                 */
	};
	struct insn got;

	(void)state;
	for (unsigned i = 0; i < COUNT(others); i++)
		assert_int_equal(insn_decode(others[i].bytes, 4, others[i].mode, &got),
		                 ERR_NOT_SUPPORTED);
	insn_decode(others[3].bytes, 4, &mode64, &got);
	assert_non_null(strstr(err_reason(), "0f 11 07 00"));
}

static void random_bytes_do_no_harm(void **state)
{
	static const struct cpu_mode *modes[] = { &mode64, &mode32, &mode16 };

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t bytes[INSN_LEN_MAX];
		struct insn got;
		uint8_t len;
		for (unsigned k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)random();
		size_t n = (size_t)random() % (INSN_LEN_MAX + 1);
		if (insn_decode(bytes, n, modes[i % 3], &got) == OK) {
			assert_true(got.len >= 1 && got.len <= n);
			assert_true(got.size == 1 || got.size == 2 || got.size == 4 ||
			            got.size == 8);
			assert_true(got.gpr < GPR_COUNT && got.seg <= SEG_GS);
		}
		if (insn_length(bytes, n, modes[i % 3], &len) == OK)
			assert_true(len >= 1 && len <= n);
	}
}

static void lengths_of_instructions_that_exit(void **state)
{
	static const struct { uint8_t bytes[4], n; } cases[] = {
		{ { 0x0f, 0xa2 }, 2 },  { { 0xf4 }, 1 }, { { 0xe6, 0x80 }, 2 }, { { 0xee }, 1 },
		{ { 0x66, 0xed }, 2 },
		{ { 0xf3, 0x6e }, 2 }, { { 0x0f, 0x30 }, 2 }, { { 0x0f, 0x01, 0xd1 }, 3 },
		{ { 0x0f, 0x01, 0xd9 }, 3 },
		{ { 0xf3, 0x90 }, 2 }, { { 0x44, 0x0f, 0x20, 0xc0 }, 4 }, { { 0x0f, 0x09 }, 2 },
	};
	uint8_t len;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(insn_length(cases[i].bytes, 4, &mode64, &len), OK);
		assert_int_equal(len, cases[i].n);
	}
	assert_int_equal(insn_length((const uint8_t[]){ 0x89, 0x07 }, 2, &mode64, &len),
	                 ERR_NOT_SUPPORTED);
}

/* For a CPU whose exits say nothing about their instruction: AMD-V without decode assists. */
static void an_exiting_instruction_gives_its_operands(void **state)
{
	(void)state;
	static const struct {
		uint8_t n, bytes[5], rm, seg, addr_size;
		bool hypercall;
	} cases[] = {
		{ 3, { 0x0f, 0x22, 0xe0 }, GPR_RAX, SEG_DS, 8, false },         /* mov %rax, %cr4 */
		{ 4, { 0x41, 0x0f, 0x20, 0xe7 }, GPR_R15, SEG_DS, 8, false },   /* mov %cr4, %r15 */
		{ 5, { 0x45, 0x0f, 0x22, 0xc1 }, GPR_R9, SEG_DS, 8, false },    /* mov %r9, %cr8 */
		{ 3, { 0x64, 0xf3, 0x6e }, 0, SEG_FS, 8, false },               /* rep outsb %fs: */
		{ 2, { 0x67, 0x6f }, 0, SEG_DS, 4, false },                     /* outsl, 32 bits */
		{ 3, { 0x0f, 0x01, 0xc1 }, GPR_RCX, SEG_DS, 8, true },          /* vmcall */
		{ 3, { 0x0f, 0x01, 0xd9 }, GPR_RCX, SEG_DS, 8, true },          /* vmmcall */
		{ 3, { 0x0f, 0x01, 0xd1 }, GPR_RCX, SEG_DS, 8, false },         /* xsetbv */
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct insn_exiting in;
		assert_int_equal(insn_exiting(cases[i].bytes, cases[i].n, &mode64, &in), OK);
		assert_int_equal(in.rm, cases[i].rm);
		assert_int_equal(in.seg, cases[i].seg);
		assert_int_equal(in.addr_size, cases[i].addr_size);
		assert_int_equal(insn_is_hypercall(&in), cases[i].hypercall);
	}
}

/* SDM vol. 2, "LOCK": undefined before all that cannot be locked, on either vendor's CPUs. */
static void with_lock_nothing_is_a_hypercall_or_sysenter(void **state)
{
	static const struct { uint8_t n, bytes[3]; bool hypercall, sysenter, out; } cases[] = {
		{ 3, { 0x0f, 0x01, 0xc1 }, true, false, false },        /* vmcall   */
		{ 3, { 0x0f, 0x01, 0xd9 }, true, false, false },        /* vmmcall  */
		{ 2, { 0x0f, 0x34 }, false, true, false },              /* sysenter */
		{ 2, { 0x0f, 0x35 }, false, true, true },               /* sysexit  */
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint8_t locked[4] = { 0xf0 };
		struct insn_exiting in;
		bool out;

		memcpy(locked + 1, cases[i].bytes, cases[i].n);
		assert_int_equal(insn_exiting(cases[i].bytes, cases[i].n, &mode64, &in), OK);
		assert_int_equal(insn_is_hypercall(&in), cases[i].hypercall);
		assert_int_equal(insn_is_sysenter(&in, &out), cases[i].sysenter);
		assert_true(!cases[i].sysenter || out == cases[i].out);
		assert_int_equal(insn_exiting(locked, cases[i].n + 1u, &mode64, &in), OK);
		assert_int_equal(in.len, cases[i].n + 1);
		assert_false(insn_is_hypercall(&in));
		assert_false(insn_is_sysenter(&in, &out));
	}
}

/* --- Arithmetic: this machine is the judge (SDM vol. 1, "EFLAGS Register") -------------------- */

#define JUDGE(type, suffix)                                                              \
static uint64_t judge_##suffix(enum insn_op op, uint64_t a, uint64_t b, uint64_t *flags) \
{                                                                                        \
	type x = (type)a, y = (type)b;                                                   \
	switch (op) {                                                                    \
	case INSN_ADD:                                                                   \
		__asm__("add %2, %0; pushfq; pop %1" : "+r"(x), "=r"(*flags) : "r"(y));  \
		break;                                                                   \
	case INSN_SUB:                                                                   \
	case INSN_CMP:                                                                   \
		__asm__("sub %2, %0; pushfq; pop %1" : "+r"(x), "=r"(*flags) : "r"(y));  \
		break;                                                                   \
	case INSN_OR:                                                                    \
		__asm__("or %2, %0; pushfq; pop %1" : "+r"(x), "=r"(*flags) : "r"(y));   \
		break;                                                                   \
	case INSN_XOR:                                                                   \
		__asm__("xor %2, %0; pushfq; pop %1" : "+r"(x), "=r"(*flags) : "r"(y));  \
		break;                                                                   \
	default:                                                                         \
		__asm__("and %2, %0; pushfq; pop %1" : "+r"(x), "=r"(*flags) : "r"(y));  \
		break;                                                                   \
	}                                                                                \
	return x;                                                                        \
}
JUDGE(uint8_t, 1)
JUDGE(uint16_t, 2)
JUDGE(uint32_t, 4)
JUDGE(uint64_t, 8)

static uint64_t judge(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
	return size == 1 ? judge_1(op, a, b, flags) : size == 2 ? judge_2(op, a, b, flags) :
	       size == 4 ? judge_4(op, a, b, flags) : judge_8(op, a, b, flags);
}

static void arithmetic_is_that_of_the_cpu(void **state)
{
	static const enum insn_op ops[] = { INSN_ADD, INSN_SUB, INSN_CMP, INSN_OR, INSN_XOR,
	                                    INSN_AND, INSN_TEST };
	static const uint64_t values[] = { 0, 1, 2, 0xf, 0x10, 0x7f, 0x80, 0xff, 0x7fff, 0x8000,
	                                   0xffff, 0x7fffffff, 0x80000000,
	                                   0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
	                                   ~0ull, 0x123456789abcdef0 };

	(void)state;
	for (unsigned o = 0; o < COUNT(ops); o++)
		for (unsigned i = 0; i < COUNT(values); i++)
			for (unsigned k = 0; k < COUNT(values); k++)
				for (unsigned size = 1; size <= 8; size *= 2) {
					uint64_t want_flags,
						flags = RFLAGS_IF | RFLAGS_ONE | RFLAGS_CF |
							RFLAGS_OF;
					uint64_t want = judge(ops[o], values[i], values[k], size,
					                      &want_flags);
					uint64_t got = mmio_compute(ops[o], values[i], values[k],
					                            size, &flags);
					uint64_t mask = RFLAGS_CF | RFLAGS_PF | RFLAGS_ZF |
						RFLAGS_SF | RFLAGS_OF;
					/* AF is undefined for the others */
					if (ops[o] <= INSN_CMP && ops[o] >= INSN_ADD)
						mask |= RFLAGS_AF;
					assert_int_equal(got, want);
					assert_int_equal(flags & mask, want_flags & mask);
					assert_true(flags & RFLAGS_IF);
				}
}

/* Whatever was decoded before: as if it were the first time. */
static void what_was_decoded_before_is_decoded_again(void **state)
{
	static const uint8_t codes[][INSN_LEN_MAX + 1] = {
		{ 0x89, 0x07 },                         /* mov %eax, (%rdi) */
		{ 0x44, 0x8b, 0x8a, 0xb0 },             /* mov 0xb0(%rdx), %r9d; or inc %esp */
		{ 0x48, 0xc7, 0x44, 0x8c, 0x08, 0xff, 0xff, 0xff, 0xff },
		{ 0x48, 0xc7, 0x44, 0x8c, 0x08, 0xff, 0xff, 0xff, 0x7f },       /* the 9th byte */
		{ 0 },                                  /* add %al, (%rax) */
		{ 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		  0x89, 0x07 },                         /* INSN_LEN_MAX bytes */
		{ 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		  0x89, 0x0f },                         /* and another last one */
		{ 0x0f, 0x0b },                         /* ud2: not ours */
	};
	static const struct cpu_mode *const modes[] = { &mode16, &mode32, &mode64 };
	struct insn_memo memo = { 0 };
	uint64_t bytes[2];

	(void)state;
	for (unsigned i = 0; i < 4096; i++) {
		const struct cpu_mode *mode = modes[i % 3];
		const uint8_t *code = codes[i / 3 % COUNT(codes)];
		const struct insn *got;
		struct insn want;

		memcpy(bytes, code, sizeof(bytes));
		enum err e = insn_decode(code, INSN_LEN_MAX, mode, &want);
		assert_int_equal(insn_decode_again(&memo, i / 64, bytes, mode, &got), e);
		if (e == OK)
			assert_memory_equal(got, &want, sizeof(want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_forms_are_decoded),
		cmocka_unit_test(short_bytes_are_refused_and_not_read_past),
		cmocka_unit_test(others_are_refused_with_their_bytes),
		cmocka_unit_test(random_bytes_do_no_harm),
		cmocka_unit_test(what_was_decoded_before_is_decoded_again),
		cmocka_unit_test(lengths_of_instructions_that_exit),
		cmocka_unit_test(an_exiting_instruction_gives_its_operands),
		cmocka_unit_test(with_lock_nothing_is_a_hypercall_or_sysenter),
		cmocka_unit_test(arithmetic_is_that_of_the_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
