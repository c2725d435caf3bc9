/* SPDX-License-Identifier: MIT */
/*
 * lib/second.h - the second CPU: from reset to C (SDM vol. 3, "MP Initialization Protocol").
 *
 * It has the first CPU's page tables, GDT, IDT and handlers, a stack of its own, and no TSS: a
 * double fault there is a triple fault.  Numbers first: lib/second_entry.S shares them.
 */
#ifndef GUEST_SECOND_H
#define GUEST_SECOND_H

#define SECOND_CODE       0x8000     /* its first, 16-bit instructions are copied to here */
#define SECOND_STACK_SIZE 16384
#define SECOND_APIC_ID    1

#ifndef __ASSEMBLER__

void second_init(void);              /* INIT: it stands still until it is started */

/* After second_init().  Returns when CPU 1 is about to call `function`; FAIL after 1 s. */
void second_start(void (*function)(void));

#endif
#endif
