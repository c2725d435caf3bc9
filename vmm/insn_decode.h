/* SPDX-License-Identifier: MIT */
/*
 * vmm/insn_decode.h - the instruction behind an MMIO fault (SDM vol. 2, "Instruction Format").
 *
 * Knows the forms with which kernels touch device registers: MOV, MOVZX, MOVSX, MOVSXD, MOVNTI,
 * AND, OR, XOR, ADD, SUB, CMP, TEST, XCHG, BT, BTS, BTR and BTC with immediates, STOS, MOVS, LODS,
 * in 16-, 32- and 64-bit code.
 * Also lengths of the instructions whose exits carry none on CPUs without next-RIP support.
 */
#ifndef VMM_INSN_DECODE_H
#define VMM_INSN_DECODE_H

#include "lib/err.h"
#include "vmm/cpu_state.h"

#define INSN_LEN_MAX 15

enum insn_op {
	INSN_MOV, INSN_MOVZX, INSN_MOVSX, INSN_AND, INSN_OR, INSN_XOR, INSN_ADD, INSN_SUB, INSN_CMP,
	INSN_TEST, INSN_XCHG, INSN_BT, INSN_BTS, INSN_BTR, INSN_BTC, INSN_STOS, INSN_MOVS,
	INSN_LODS,
};

#define INSN_ESCAPE 0x0f        /* first byte of the two-byte opcodes; comes after prefixes */

struct insn {
	uint8_t  op;            /* enum insn_op                                              */
	uint8_t  len;           /* bytes                                                     */
	uint8_t  size;          /* of the memory access: 1, 2, 4, 8                          */
	uint8_t  reg_size;      /* of the register written (MOVZX, MOVSX), else as size      */
	uint8_t  addr_size;     /* 2, 4 or 8                                                 */
	bool     to_memory;     /* memory is the destination                                 */
	bool     has_imm;       /* the other operand is `imm`, sign-extended to 64 bits      */
	bool     rep;
	bool     high_byte;     /* register is AH, CH, DH or BH: bits 15:8 of gpr            */
	uint8_t  gpr;           /* the other operand otherwise: enum gpr                     */
	uint8_t  seg;           /* of the memory operand                                     */
	int64_t  imm;
};

/*
 * `n` bytes at RIP (up to INSN_LEN_MAX).  ERR_NOT_SUPPORTED (refused, with the bytes) for anything
 * else.
 */
enum err insn_decode(const uint8_t *bytes, size_t n, const struct cpu_mode *mode, struct insn *out);

/*
 * Instructions decoded before.  Decoding depends on the bytes and on how long the mode's operands
 * are, on nothing else: so the same bytes in the same mode are the same instruction, whoever wrote
 * them wherever.  All zero: nothing is remembered.
 */
struct insn_memo {
	struct insn_known {
		uint64_t    bytes[2];   /* INSN_LEN_MAX of them, and a zero                  */
		uint64_t    mode;       /* the parts that matter; 0: this place is empty     */
		struct insn in;
	} known[8];
};

/*
 * As insn_decode() of INSN_LEN_MAX bytes and a zero; `where` (their address) chooses the place in
 * the memo.  *out is valid until the next call.
 */
enum err insn_decode_again(struct insn_memo *memo, uint64_t where, const uint64_t bytes[2],
                           const struct cpu_mode *mode, const struct insn **out);

/*
 * An instruction that exits by itself (CPUID, HLT, IN, OUT, INS, OUTS, RDMSR, WRMSR, XSETBV,
 * RDTSC, VMCALL, VMMCALL, PAUSE, WBINVD, MOV CR ...), or because one vendor does not have it
 * (SYSENTER, SYSEXIT), for a CPU whose exits do not say it.
 */
struct insn_exiting {
	uint8_t len;            /* bytes                                                     */
	bool    escaped;        /* the opcode came after 0F                                  */
	uint8_t opcode, modrm;  /* modrm: 0 when there is none                               */
	uint8_t rm;             /* ModRM.rm as a register: the general one of a MOV CR       */
	uint8_t seg;            /* that OUTS reads from                                      */
	uint8_t addr_size;      /* 2, 4 or 8                                                 */
	bool    wide;           /* REX.W                                                     */
	bool    lock;           /* its prefix, which makes most of them undefined            */
};

/* ERR_NOT_SUPPORTED (refused, with the bytes) for any other instruction. */
enum err insn_exiting(const uint8_t *bytes, size_t n, const struct cpu_mode *mode,
                      struct insn_exiting *out);

/* Its length only. */
enum err insn_length(const uint8_t *bytes, size_t n, const struct cpu_mode *mode, uint8_t *len);

/* SYSENTER or SYSEXIT; `*out`: which. */
bool insn_is_sysenter(const struct insn_exiting *in, bool *out);

/* Is it RDTSCP? */
bool insn_is_rdtscp(const struct insn_exiting *in);

/* VMCALL is one vendor's, VMMCALL the other's: a guest that moved may use either. */
bool insn_is_hypercall(const struct insn_exiting *in);

#endif
