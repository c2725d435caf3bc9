/* SPDX-License-Identifier: MIT */
/*
 * lib/real.h - where the real-mode excursion of lib/real_entry.S lives and what it leaves behind.
 * Numbers only: the assembly and the C of the test share it.
 */
#ifndef GUEST_REAL_H
#define GUEST_REAL_H

#define REAL_CODE      0x8000        /* the 16-bit code is copied to here          */
#define REAL_RESULTS   0x9000        /* words, counted up by handlers              */
#define REAL_STACK     0x7c00
#define REAL_SOFT      (REAL_RESULTS + 0)     /* INT 80h handled                   */
#define REAL_UNDEFINED (REAL_RESULTS + 2)     /* UD2 handled and skipped           */
#define REAL_DIVIDE    (REAL_RESULTS + 4)     /* division by 0 handled and skipped */
#define REAL_TICKS     (REAL_RESULTS + 6)     /* IRQ 0 handled                     */
#define REAL_SCRATCH   (REAL_RESULTS + 8)     /* read back from the UART           */
#define REAL_FAR       (REAL_RESULTS + 10)    /* written through another segment   */
#define REAL_CPUID     (REAL_RESULTS + 12)    /* EBX of CPUID leaf 0, 4 bytes      */

#define REAL_TICKS_WANTED    5
#define REAL_SCRATCH_VALUE   0x3c
#define REAL_FAR_VALUE       0x1234
#define REAL_VECTOR_PIT      0x20

#endif
