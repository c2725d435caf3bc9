/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/svm/svm_decode.h - from the raw fields of a #VMEXIT to struct exit.  Pure.
 */
#ifndef SVM_DECODE_H
#define SVM_DECODE_H

#include "arch/x86_64/defs/svm.h"
#include "vmm/cpu_state.h"
#include "vmm/exit.h"
#include "vmm/insn_decode.h"

/* What an exit left in the VMCB, and the instruction behind it where struct svm_how asks for it. */
struct svm_raw {
	uint32_t code;
	uint64_t info1, info2;
	uint64_t rip;
	const uint8_t *bytes;                   /* a fault's instruction, with SVM_NEEDS_BYTES  */
	uint8_t  nbytes;                        /* 0: none were given                           */
	struct insn_exiting insn;               /* .len: 0 where it does not matter             */
};

#define SVM_NEEDS_LEN   BIT(0)                  /* insn.len                                     */
#define SVM_NEEDS_INSN  BIT(1)                  /* all of insn                                  */
#define SVM_NEEDS_STRING BIT(2)                 /* insn.addr_size and .seg, if it is a string's */
#define SVM_NEEDS_BYTES BIT(3)                  /* what decode assists give at a fault          */
#define SVM_LISTED      BIT(7)                  /* a row that is in the table                   */

/* A row of the table: what to make of one code, and what that needs. */
typedef void svm_fill_fn(const struct svm_raw *raw, struct exit *x);
struct svm_how {
	svm_fill_fn *fill;                      /* NULL: the kind says everything               */
	uint8_t      kind, needs;
	uint8_t      bare;                      /* length without prefixes if 0F begins it, or 0 */
};
extern const struct svm_how svm_decode_rows[SVM_EXIT_COUNT];
const struct svm_how *svm_decode_unlisted(uint32_t code);
static inline const struct svm_how *svm_decode_how(uint32_t code)
{
	if (code < SVM_EXIT_COUNT && svm_decode_rows[code].needs)
		return &svm_decode_rows[code];
	return svm_decode_unlisted(code);
}

extern const struct svm_how svm_decode_unreadable;      /* needs more than can be found out     */

#define SVM_EXIT_OURS   EXIT_NKINDS             /* resolved in svm_resolve.c; never leaves here */

/*
 * Fill in `x`.  False: this exit exists only because of AMD-V's own rules (CR4, exceptions taken to
 * keep the host safe, IRET) and is resolved in svm_resolve.c; then `x` says nothing.
 */
static inline bool svm_decode(const struct svm_how *how, const struct svm_raw *raw, struct exit *x)
{
	x->kind = how->kind;
	x->insn_len = raw->insn.len;
	if (how->fill)
		how->fill(raw, x);
	return x->kind != SVM_EXIT_OURS;
}

/*
 * The event whose delivery the exit interrupted: to be delivered again.  EVENT_NONE when there is
 * none, and for INT n and its kin: RIP is still at the instruction, which simply runs again.
 */
void svm_decode_again(uint64_t int_info, struct inject *again);

/* An event as VMRUN wants it in event_inj; 0 for INT n and its kin, see above. */
uint64_t svm_decode_event_inj(const struct inject *event);

/* "CPUID", "nested page fault" ...; "unknown" */
const char *svm_decode_exit_name(uint32_t code);

#endif
