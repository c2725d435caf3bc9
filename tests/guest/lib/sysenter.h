/* SPDX-License-Identifier: MIT */
/*
 * lib/sysenter.h - to ring 3 by SYSEXIT, and back by SYSENTER or SYSCALL.  For C and assembly.
 */
#ifndef GUEST_SYSENTER_H
#define GUEST_SYSENTER_H

#define SYSENTER_SELECTOR  0x40                  /* not in the GDT: neither instruction looks */
#define SYSENTER_RSP       0x123456789000
#define SYSENTER_USER_RSP  0x54321089abcd
#define SYSENTER_USER_ESP  0x1089abcd            /* its lower half */

#define SEEN(n)  sysenter_seen + 8 * (n)

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stdint.h>

/* The kernel's side after SYSENTER, and the program's after SYSEXIT. */
extern struct sysenter_seen {
	uint64_t cs, ss, rsp, rflags;
	uint64_t user_cs, user_ss, user_rsp;     /* user_cs is one more in 32-bit code */
} sysenter_seen;

extern const char sysenter_target[], sysenter_program[];
void sysenter_visit(bool wide);                  /* wide: SYSEXIT with REX.W          */

/* A program in 32-bit code does SYSCALL: what it came to. */
enum syscall_came { SYSCALL_UNDEFINED, SYSCALL_LSTAR, SYSCALL_CSTAR };
enum syscall_came syscall_visit(void);
extern const char syscall_lstar[], syscall_cstar[];      /* for these MSRs            */
extern const char syscall_undefined[];           /* where a handler of #UD goes on    */
#endif

#endif
