/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/trap.h - numbers that trap.S and idt.c share.  Read by the assembler too.
 */
#ifndef DEFS_TRAP_H
#define DEFS_TRAP_H

#define TRAP_VECTORS            256
#define TRAP_ENTRY_BYTES        16

/*
 * Exceptions for which the CPU pushes an error code: 8, 10 to 14, 17, 21 (SDM vol. 3, "Exception
 * and Interrupt Reference"); 29 and 30 on AMD.
 */
#define TRAP_HAS_ERROR          0x60227d00

#endif
