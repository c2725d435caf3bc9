/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx_decode.h - from the raw fields of a VM exit to struct exit.  Pure.
 */
#ifndef VMX_DECODE_H
#define VMX_DECODE_H

#include "vmm/cpu_state.h"
#include "vmm/exit.h"

/* What an exit left in the VMCS.  struct vmx_how says which of the lower part to read. */
struct vmx_raw {
	uint32_t reason;
	uint32_t vectoring, vectoring_error;    /* the event whose delivery was interrupted     */
	uint32_t insn_len;
	uint64_t qual;
	uint64_t gpa, linear;
	uint32_t event, event_error;            /* exceptions and NMIs                          */
	uint32_t insn_info;                     /* string I/O                                   */
};

#define VMX_NEEDS_LEN   BIT(0)
#define VMX_NEEDS_QUAL  BIT(1)
#define VMX_NEEDS_ADDR  BIT(2)                  /* gpa and linear                               */
#define VMX_NEEDS_EVENT BIT(3)
#define VMX_NEEDS_INFO  BIT(4)                  /* insn_info, if QUAL_IO_STRING                 */
#define VMX_NEEDS_MORE  (VMX_NEEDS_QUAL | VMX_NEEDS_ADDR | VMX_NEEDS_EVENT | VMX_NEEDS_INFO)
#define VMX_LISTED      BIT(7)                  /* a row that is in the table                   */

/* A row of the table: what to make of one reason, and which fields that needs. */
typedef void vmx_fill_fn(const struct vmx_raw *raw, struct exit *x);
struct vmx_how {
	vmx_fill_fn *fill;                      /* NULL: the kind says everything               */
	uint8_t      kind, needs;
};
const struct vmx_how *vmx_decode_how(uint32_t reason);

#define VMX_EXIT_OURS   EXIT_NKINDS             /* resolved in vmx.c; never leaves this folder  */

/*
 * Fill in `x`.  False: this exit exists only because of VT-x's own rules (CR0 and CR4, exceptions
 * taken to keep the host safe, NMI window) and is resolved in vmx.c; then `x` says nothing.
 */
static inline bool vmx_decode(const struct vmx_how *how, const struct vmx_raw *raw, struct exit *x)
{
	x->kind = how->kind;
	x->insn_len = how->needs & VMX_NEEDS_LEN ? (uint8_t)raw->insn_len : 0;
	if (how->fill)
		how->fill(raw, x);
	return x->kind != VMX_EXIT_OURS;
}

/*
 * The event whose delivery the exit interrupted: to be delivered again.  EVENT_NONE when there is
 * none.
 */
void vmx_decode_again(const struct vmx_raw *raw, struct inject *again);

/*
 * True: an IRET had already unblocked NMIs when it faulted; it will run again, so they are blocked
 * again.
 */
bool vmx_decode_iret_unblocked_nmi(const struct vmx_raw *raw);

/* An event as VM entry wants it in VMCS_ENTRY_EVENT. */
uint32_t vmx_decode_event_info(const struct inject *event);

/* "CPUID", "VM entry failed: invalid guest state" ...; "unknown" */
const char *vmx_decode_reason_name(uint32_t reason);

/* "VM entry with invalid control fields" ...; "unknown" */
const char *vmx_decode_error_name(uint32_t error);

#endif
