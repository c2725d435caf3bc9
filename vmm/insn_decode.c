/* SPDX-License-Identifier: MIT */
/*
 * vmm/insn_decode.c - the instruction behind an MMIO fault.
 *
 * Prefixes, opcode, ModRM, displacement, immediate: one cursor over at most 15 bytes.  Where the
 * memory operand is, the fault already said; only its form, size and partner are decoded.  Tables
 * say what an opcode is; what is not in them is refused.  Pure.  Called by vmm/mmio.c.
 */
#include "vmm/insn_decode.h"

#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "lib/fmt.h"

/* How the operands of an opcode are encoded. */
enum form {
	FORM_NONE,              /* not one of ours                                        */
	FORM_RM_REG,            /* memory (ModRM.rm) op= register (ModRM.reg)             */
	FORM_REG_RM,            /* register op= memory                                    */
	FORM_RM_IMM,            /* memory op= immediate of the operand's size (64: 32)    */
	FORM_RM_IMM8,           /* memory op= sign-extended byte                          */
	FORM_GROUP1_IMM,        /* as RM_IMM, the operation is in ModRM.reg               */
	FORM_GROUP1_IMM8,
	FORM_GROUP3,            /* F6, F7: TEST with an immediate, others are not ours    */
	FORM_GROUP8,            /* 0F BA: BT, BTS, BTR, BTC with a byte                   */
	FORM_ACC_MOFFS,         /* accumulator = memory at an absolute address            */
	FORM_MOFFS_ACC,
	FORM_STRING,            /* STOS, MOVS, LODS                                       */
};
/* Widths of the memory operand other than the operand size. */
enum { BYTE = 1, WORD_SOURCE = 2, DWORD_SOURCE = 3 };

struct opcode { uint8_t form, op, width; };

#define ALU(base, name)                                         \
	[(base)]     = { FORM_RM_REG, name, BYTE },             \
	[(base) + 1] = { FORM_RM_REG, name, 0 },                \
	[(base) + 2] = { FORM_REG_RM, name, BYTE },             \
	[(base) + 3] = { FORM_REG_RM, name, 0 }

/* SDM vol. 2, appendix "Opcode Map", one-byte opcodes. */
static const struct opcode one_byte[256] = {
	ALU(0x00, INSN_ADD), ALU(0x08, INSN_OR), ALU(0x20, INSN_AND),
	ALU(0x28, INSN_SUB), ALU(0x30, INSN_XOR), ALU(0x38, INSN_CMP),
	[0x63] = { FORM_REG_RM, INSN_MOVSX, DWORD_SOURCE },     /* MOVSXD, 64-bit mode only */
	[0x80] = { FORM_GROUP1_IMM, 0, BYTE }, [0x81] = { FORM_GROUP1_IMM, 0, 0 },
	[0x83] = { FORM_GROUP1_IMM8, 0, 0 },
	[0x84] = { FORM_RM_REG, INSN_TEST, BYTE }, [0x85] = { FORM_RM_REG, INSN_TEST, 0 },
	[0x86] = { FORM_RM_REG, INSN_XCHG, BYTE }, [0x87] = { FORM_RM_REG, INSN_XCHG, 0 },
	[0x88] = { FORM_RM_REG, INSN_MOV, BYTE }, [0x89] = { FORM_RM_REG, INSN_MOV, 0 },
	[0x8a] = { FORM_REG_RM, INSN_MOV, BYTE }, [0x8b] = { FORM_REG_RM, INSN_MOV, 0 },
	[0xa0] = { FORM_ACC_MOFFS, INSN_MOV, BYTE }, [0xa1] = { FORM_ACC_MOFFS, INSN_MOV, 0 },
	[0xa2] = { FORM_MOFFS_ACC, INSN_MOV, BYTE }, [0xa3] = { FORM_MOFFS_ACC, INSN_MOV, 0 },
	[0xa4] = { FORM_STRING, INSN_MOVS, BYTE }, [0xa5] = { FORM_STRING, INSN_MOVS, 0 },
	[0xaa] = { FORM_STRING, INSN_STOS, BYTE }, [0xab] = { FORM_STRING, INSN_STOS, 0 },
	[0xac] = { FORM_STRING, INSN_LODS, BYTE }, [0xad] = { FORM_STRING, INSN_LODS, 0 },
	[0xc6] = { FORM_RM_IMM, INSN_MOV, BYTE }, [0xc7] = { FORM_RM_IMM, INSN_MOV, 0 },
	[0xf6] = { FORM_GROUP3, INSN_TEST, BYTE }, [0xf7] = { FORM_GROUP3, INSN_TEST, 0 },
};

/* The same appendix, two-byte opcodes (0F xx). */
static const struct opcode two_byte[256] = {
	[0xb6] = { FORM_REG_RM, INSN_MOVZX, BYTE },
	[0xb7] = { FORM_REG_RM, INSN_MOVZX, WORD_SOURCE },
	[0xbe] = { FORM_REG_RM, INSN_MOVSX, BYTE },
	[0xbf] = { FORM_REG_RM, INSN_MOVSX, WORD_SOURCE },
	[0xba] = { FORM_GROUP8, 0, 0 },
	[0xc3] = { FORM_RM_REG, INSN_MOV, 0 },                  /* MOVNTI */
};

/* ModRM.reg of the groups; 0xff: not ours (ADC, SBB; and no such bit operation). */
#define NOT_OURS 0xff
static const uint8_t group1[8] = {
	INSN_ADD, INSN_OR, NOT_OURS, NOT_OURS, INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP,
};
static const uint8_t group8[8] = {
	NOT_OURS, NOT_OURS, NOT_OURS, NOT_OURS, INSN_BT, INSN_BTS, INSN_BTR, INSN_BTC,
};

#define MODE_GIVEN BIT(0)               /* struct insn_known: this place is taken */
#define REX_W BIT(3)
#define REX_R BIT(2)
#define REX_B BIT(0)
#define MODRM_MOD(m) ((m) >> 6)
#define MODRM_REG(m) ((m) >> 3 & 7)
#define MODRM_RM(m)  ((m) & 7)

enum {
	PREFIX_ES = 0x26, PREFIX_CS = 0x2e, PREFIX_SS = 0x36, PREFIX_DS = 0x3e,
	PREFIX_FS = 0x64, PREFIX_GS = 0x65, PREFIX_OPSIZE = 0x66, PREFIX_ADDRSIZE = 0x67,
	PREFIX_LOCK = 0xf0, PREFIX_REPNE = 0xf2, PREFIX_REP = 0xf3,
};
#define NO_SEG SEG_COUNT

struct cursor {
	const uint8_t *bytes;
	size_t   n, at;
	bool     is_64bit, short_of_bytes;
	uint8_t  rex, op_size, addr_size, seg;
	bool     rep, lock;
};

static inline uint8_t take(struct cursor *c)
{
	if (c->at >= c->n) {
		c->short_of_bytes = true;
		return 0;
	}
	return c->bytes[c->at++];
}

/* `size` bytes, little-endian, sign-extended. */
static inline int64_t take_signed(struct cursor *c, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)take(c) << (8 * i);
	unsigned unused = 64 - 8 * size;
	return size ? (int64_t)(value << unused) >> unused : 0;
}

static uint8_t segment_prefix(uint8_t byte)
{
	switch (byte) {
	case PREFIX_ES: return SEG_ES;
	case PREFIX_CS: return SEG_CS;
	case PREFIX_SS: return SEG_SS;
	case PREFIX_DS: return SEG_DS;
	case PREFIX_FS: return SEG_FS;
	case PREFIX_GS: return SEG_GS;
	default:        return NO_SEG;
	}
}

/*
 * SDM vol. 2, "Instruction Prefixes" and "REX Prefixes": REX counts only right before the opcode.
 * Returns the opcode.
 */
static inline uint8_t take_prefixes(struct cursor *c, const struct cpu_mode *mode)
{
	bool wide = mode->cs_attr & SEG_DB, opsize = false, addrsize = false;
	uint8_t byte;

	c->is_64bit = (mode->efer & EFER_LMA) && (mode->cs_attr & SEG_L);
	c->seg = NO_SEG;
	for (;;) {
		byte = take(c);
		if (one_byte[byte].form != FORM_NONE)   /* the usual case: none, or no more */
			break;
		if (byte == PREFIX_OPSIZE)
			opsize = true;
		else if (byte == PREFIX_ADDRSIZE)
			addrsize = true;
		else if (byte == PREFIX_REP || byte == PREFIX_REPNE)
			c->rep = true;
		else if (segment_prefix(byte) != NO_SEG)
			c->seg = segment_prefix(byte);
		else if (byte == PREFIX_LOCK)
			c->lock = true;
		else
			break;
	}
	if (c->is_64bit && (byte & 0xf0) == 0x40) {
		c->rex = byte;
		byte = take(c);
	}
	c->op_size = c->rex & REX_W ? 8 : (wide || c->is_64bit) != opsize ? 4 : 2;
	c->addr_size = c->is_64bit ? (addrsize ? 4 : 8) : wide != addrsize ? 4 : 2;
	return byte;
}

/*
 * Skip SIB and displacement; the base register decides the default segment.  False: no memory
 * operand.
 */
static bool take_modrm_tail(struct cursor *c, uint8_t modrm)
{
	uint8_t mod = MODRM_MOD(modrm), rm = MODRM_RM(modrm);
	bool stack = false;

	if (mod == 3)
		return false;
	if (c->addr_size == 2) {                        /* SDM vol. 2, "16-Bit Addressing Forms" */
		stack = rm == 2 || rm == 3 || (rm == 6 && mod != 0);
		take_signed(c, mod == 2 || (mod == 0 && rm == 6) ? 2 : mod);
	} else {
		uint8_t base = rm;
		if (rm == GPR_RSP)                      /* a SIB byte follows */
			base = MODRM_RM(take(c));
		bool no_base = mod == 0 && base == GPR_RBP;
		stack = !(c->rex & REX_B) &&
		        ((base == GPR_RSP && rm == GPR_RSP) || (base == GPR_RBP && !no_base));
		take_signed(c, mod == 2 || no_base ? 4 : mod);
	}
	if (c->seg == NO_SEG)
		c->seg = stack ? SEG_SS : SEG_DS;
	return true;
}

/* The register in ModRM.reg; without REX, bytes 4 to 7 are AH, CH, DH, BH. */
static inline void set_register(const struct cursor *c, struct insn *out, uint8_t modrm,
                                unsigned width)
{
	out->gpr = (uint8_t)(MODRM_REG(modrm) + (c->rex & REX_R ? 8 : 0));
	if (width == 1 && !c->rex && out->gpr >= GPR_RSP) {
		out->gpr -= GPR_RSP;
		out->high_byte = true;
	}
}

static void set_immediate(struct cursor *c, struct insn *out, unsigned size)
{
	out->has_imm = true;
	out->to_memory = true;
	out->imm = take_signed(c, size);
}

static bool decode_string(struct cursor *c, struct insn *out)
{
	out->rep = c->rep;
	out->gpr = GPR_RAX;
	out->to_memory = out->op != INSN_LODS;
	out->seg = out->op == INSN_STOS ? SEG_ES : c->seg == NO_SEG ? SEG_DS : c->seg;
	return true;
}

static bool decode_moffs(struct cursor *c, struct insn *out, bool to_memory)
{
	c->at += c->addr_size;
	c->short_of_bytes |= c->at > c->n;
	out->gpr = GPR_RAX;
	out->to_memory = to_memory;
	out->seg = c->seg == NO_SEG ? SEG_DS : c->seg;
	return true;
}

static inline bool decode_modrm(struct cursor *c, const struct opcode *o, struct insn *out)
{
	uint8_t modrm = take(c), imm_size = MIN(out->size, 4);

	if (!take_modrm_tail(c, modrm))
		return false;
	out->seg = c->seg;
	switch (o->form) {
	case FORM_RM_REG:
		out->to_memory = true;
		set_register(c, out, modrm, out->size);
		return true;
	case FORM_REG_RM:
		set_register(c, out, modrm, out->reg_size);
		return true;
	case FORM_RM_IMM:
		set_immediate(c, out, imm_size);
		return MODRM_REG(modrm) == 0;
	case FORM_GROUP1_IMM:
	case FORM_GROUP1_IMM8:
		out->op = group1[MODRM_REG(modrm)];
		set_immediate(c, out, o->form == FORM_GROUP1_IMM ? imm_size : 1);
		return out->op != NOT_OURS;
	case FORM_GROUP3:
		set_immediate(c, out, imm_size);
		return MODRM_REG(modrm) <= 1;
	case FORM_GROUP8:
		out->op = group8[MODRM_REG(modrm)];
		set_immediate(c, out, 1);
		return out->op != NOT_OURS;
	default:
		return false;
	}
}

static inline bool decode(struct cursor *c, const struct cpu_mode *mode, struct insn *out)
{
	uint8_t byte = take_prefixes(c, mode);
	bool escaped = byte == INSN_ESCAPE;
	const struct opcode *o = escaped ? &two_byte[take(c)] : &one_byte[byte];

	/* In 32-bit code 63 is ARPL. */
	if (o->form == FORM_NONE || (!escaped && byte == 0x63 && !c->is_64bit))
		return false;
	out->op = o->op;
	out->reg_size = c->op_size;
	out->size = o->width == BYTE ? 1 : o->width == WORD_SOURCE ? 2 :
	            o->width == DWORD_SOURCE ? 4 : c->op_size;
	if (o->op != INSN_MOVZX && o->op != INSN_MOVSX)
		out->reg_size = out->size;
	out->addr_size = c->addr_size;
	if (o->form == FORM_STRING)
		return decode_string(c, out);
	if (o->form == FORM_ACC_MOFFS || o->form == FORM_MOFFS_ACC)
		return decode_moffs(c, out, o->form == FORM_MOFFS_ACC);
	return decode_modrm(c, o, out);
}

static enum err refuse_bytes(const uint8_t *bytes, size_t n, const char *why)
{
	char text[3 * INSN_LEN_MAX + 1] = "";

	for (size_t i = 0; i < n; i++)
		fmt_format(text + 3 * i, 4, "%02x ", bytes[i]);
	return refuse(ERR_NOT_SUPPORTED, "%s: %s", why, text);
}

enum err insn_decode(const uint8_t *bytes, size_t n, const struct cpu_mode *mode, struct insn *out)
{
	struct cursor c = { .bytes = bytes, .n = MIN(n, INSN_LEN_MAX) };

	memset(out, 0, sizeof(*out));
	bool known = decode(&c, mode, out);
	if (c.short_of_bytes)
		return refuse_bytes(bytes, c.n,
		                    "the instruction is longer than what can be read of it");
	if (!known)
		return refuse_bytes(bytes, c.n, "no instruction that is emulated");
	out->len = (uint8_t)c.at;
	return OK;
}

enum err insn_decode_again(struct insn_memo *memo, uint64_t where, const uint64_t bytes[2],
                           const struct cpu_mode *mode, const struct insn **out)
{
	struct insn_known *k = &memo->known[where % COUNT(memo->known)];
	uint64_t kind = (mode->efer & EFER_LMA) | (mode->cs_attr & (SEG_L | SEG_DB)) | MODE_GIVEN;

	*out = &k->in;
	if (k->bytes[0] == bytes[0] && k->bytes[1] == bytes[1] && k->mode == kind)
		return OK;
	k->mode = 0;
	enum err e = insn_decode((const uint8_t *)bytes, INSN_LEN_MAX, mode, &k->in);
	if (e != OK)
		return e;
	k->bytes[0] = bytes[0];
	k->bytes[1] = bytes[1];
	k->mode = kind;
	return OK;
}

/* --- Lengths ---------------------------------------------------------------------------------- */

/* Opcodes of instructions that always exit (SDM vol. 2, "Opcode Map"); OP2: after 0F. */
enum {
	OP_INS8 = 0x6c, OP_INS = 0x6d, OP_OUTS8 = 0x6e, OP_OUTS = 0x6f,
	OP_PAUSE = 0x90,                                        /* after F3 */
	OP_IN_IMM8 = 0xe4, OP_IN_IMM = 0xe5, OP_OUT_IMM8 = 0xe6, OP_OUT_IMM = 0xe7,
	OP_IN_DX8 = 0xec, OP_IN_DX = 0xed, OP_OUT_DX8 = 0xee, OP_OUT_DX = 0xef,
	OP_HLT = 0xf4,
	OP2_GROUP7 = 0x01, OP2_INVD = 0x08, OP2_WBINVD = 0x09,
	OP2_MOV_FROM_CR = 0x20, OP2_MOV_FROM_DR = 0x21, OP2_MOV_TO_CR = 0x22, OP2_MOV_TO_DR = 0x23,
	OP2_WRMSR = 0x30, OP2_RDTSC = 0x31, OP2_RDMSR = 0x32, OP2_RDPMC = 0x33, OP2_CPUID = 0xa2,
	OP2_SYSENTER = 0x34, OP2_SYSEXIT = 0x35,
};

/* ModRM after OP2_GROUP7 */
enum { GROUP7_VMCALL = 0xc1, GROUP7_VMMCALL = 0xd9, GROUP7_RDTSCP = 0xf9 };

/*
 * Operand bytes after the opcode of an instruction that always exits; -1: not such an instruction.
 */
static int tail_one_byte(uint8_t opcode)
{
	switch (opcode) {
	case OP_IN_IMM8: case OP_IN_IMM: case OP_OUT_IMM8: case OP_OUT_IMM:
		return 1;                                       /* the port's number */
	case OP_IN_DX8: case OP_IN_DX: case OP_OUT_DX8: case OP_OUT_DX:
	case OP_INS8: case OP_INS: case OP_OUTS8: case OP_OUTS:
	case OP_PAUSE: case OP_HLT:
		return 0;
	default:
		return -1;
	}
}

static int tail_two_byte(uint8_t opcode)
{
	switch (opcode) {
	case OP2_INVD: case OP2_WBINVD: case OP2_CPUID:
	case OP2_WRMSR: case OP2_RDTSC: case OP2_RDMSR: case OP2_RDPMC:
	case OP2_SYSENTER: case OP2_SYSEXIT:
		return 0;
	case OP2_GROUP7:                                        /* VMMCALL, XSETBV ... */
	case OP2_MOV_FROM_CR: case OP2_MOV_FROM_DR: case OP2_MOV_TO_CR: case OP2_MOV_TO_DR:
		return 1;                                       /* ModRM */
	default:
		return -1;
	}
}

enum err insn_exiting(const uint8_t *bytes, size_t n, const struct cpu_mode *mode,
                      struct insn_exiting *out)
{
	struct cursor c = { .bytes = bytes, .n = MIN(n, INSN_LEN_MAX) };
	uint8_t byte = take_prefixes(&c, mode), operand = 0;
	bool escaped = byte == INSN_ESCAPE;
	int tail;

	if (escaped)
		byte = take(&c);
	tail = escaped ? tail_two_byte(byte) : tail_one_byte(byte);
	if (tail > 0)
		operand = take(&c);
	if (c.short_of_bytes || tail < 0)
		return refuse_bytes(bytes, c.n, "no instruction that exits");
	*out = (struct insn_exiting){
		.len = (uint8_t)c.at, .escaped = escaped, .opcode = byte,
		.modrm = escaped ? operand : 0,
		.rm = (uint8_t)(MODRM_RM(operand) + (c.rex & REX_B ? 8 : 0)),
		.seg = c.seg == NO_SEG ? SEG_DS : c.seg, .addr_size = c.addr_size,
		.wide = c.rex & REX_W, .lock = c.lock,
	};
	return OK;
}

enum err insn_length(const uint8_t *bytes, size_t n, const struct cpu_mode *mode, uint8_t *len)
{
	struct insn_exiting in;
	enum err e = insn_exiting(bytes, n, mode, &in);

	if (e == OK)
		*len = in.len;
	return e;
}

bool insn_is_sysenter(const struct insn_exiting *in, bool *out)
{
	*out = in->opcode == OP2_SYSEXIT;
	return in->escaped && !in->lock &&
	       (in->opcode == OP2_SYSENTER || in->opcode == OP2_SYSEXIT);
}

bool insn_is_rdtscp(const struct insn_exiting *in)
{
	return in->escaped && in->opcode == OP2_GROUP7 && in->modrm == GROUP7_RDTSCP;
}

bool insn_is_hypercall(const struct insn_exiting *in)
{
	return in->escaped && !in->lock && in->opcode == OP2_GROUP7 &&
	       (in->modrm == GROUP7_VMCALL || in->modrm == GROUP7_VMMCALL);
}
