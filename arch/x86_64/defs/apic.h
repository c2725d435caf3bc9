/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/apic.h - registers of the local APIC (SDM vol. 3, "Advanced Programmable
 * Interrupt Controller"), the IOAPIC (82093AA) and the two 8259s.
 */
#ifndef DEFS_APIC_H
#define DEFS_APIC_H

#include "lib/types.h"

#define APIC_DEFAULT_BASE       0xfee00000
#define IOAPIC_DEFAULT_BASE     0xfec00000

/* Local APIC: MMIO offsets; the x2APIC MSR is MSR_X2APIC_BASE + offset / 16. */
#define APIC_ID                 0x020
#define APIC_VERSION            0x030
#define APIC_TPR                0x080
#define APIC_APR                0x090
#define APIC_PPR                0x0a0
#define APIC_EOI                0x0b0
#define APIC_RRD                0x0c0
#define APIC_LDR                0x0d0
#define APIC_DFR                0x0e0
#define APIC_SVR                0x0f0
#define APIC_ISR                0x100           /* eight registers of 32 bits, 0x10 apart   */
#define APIC_TMR                0x180
#define APIC_IRR                0x200
#define APIC_ESR                0x280
#define APIC_LVT_CMCI           0x2f0
#define APIC_ICR                0x300
#define APIC_ICR_HIGH           0x310
#define APIC_LVT_TIMER          0x320
#define APIC_LVT_THERMAL        0x330
#define APIC_LVT_PERF           0x340
#define APIC_LVT_LINT0          0x350
#define APIC_LVT_LINT1          0x360
#define APIC_LVT_ERROR          0x370
#define APIC_TIMER_INITIAL      0x380
#define APIC_TIMER_CURRENT      0x390
#define APIC_TIMER_DIVIDE       0x3e0
#define APIC_SELF_IPI           0x3f0           /* x2APIC only                              */

#define APIC_VERSION_MAX_LVT    MASK(23, 16)
#define APIC_XAPIC_ID           MASK(31, 24)    /* in APIC_ID, xAPIC mode                   */

#define APIC_SVR_ENABLE         BIT(8)
#define APIC_SVR_VECTOR         MASK(7, 0)

#define APIC_LVT_VECTOR         MASK(7, 0)
#define APIC_LVT_MODE           MASK(10, 8)
#define APIC_LVT_PENDING        BIT(12)
#define APIC_LVT_MASKED         BIT(16)
#define APIC_LVT_TIMER_MODE     MASK(18, 17)
#define APIC_TIMER_ONE_SHOT     0
#define APIC_TIMER_PERIODIC     1
#define APIC_TIMER_DEADLINE     2
#define APIC_DIVIDE_BY_1        0xb

/* Delivery modes of the ICR, the LVT, IOAPIC entries and MSI data. */
#define APIC_MODE_FIXED         0
#define APIC_MODE_LOWEST        1
#define APIC_MODE_SMI           2
#define APIC_MODE_NMI           4
#define APIC_MODE_INIT          5
#define APIC_MODE_STARTUP       6
#define APIC_MODE_EXTINT        7

#define APIC_ICR_VECTOR         MASK(7, 0)
#define APIC_ICR_MODE           MASK(10, 8)
#define APIC_ICR_LOGICAL        BIT(11)
#define APIC_ICR_PENDING        BIT(12)
#define APIC_ICR_ASSERT         BIT(14)
#define APIC_ICR_LEVEL          BIT(15)
#define APIC_ICR_SHORTHAND      MASK(19, 18)
#define APIC_ICR_DEST           MASK(63, 32)    /* x2APIC; xAPIC: bits 63:56                */

/* IOAPIC: an index window and a data window, then registers behind them. */
#define IOAPIC_SELECT           0x00
#define IOAPIC_WINDOW           0x10
#define IOAPIC_REG_ID           0x00
#define IOAPIC_REG_VERSION      0x01
#define IOAPIC_REG_ENTRY(pin)   (0x10 + 2 * (pin))      /* low half; high half is the next  */
#define IOAPIC_VERSION_MAX_PIN  MASK(23, 16)

#define IOAPIC_VECTOR           MASK(7, 0)
#define IOAPIC_MODE             MASK(10, 8)
#define IOAPIC_LOGICAL          BIT(11)
#define IOAPIC_PENDING          BIT(12)
#define IOAPIC_ACTIVE_LOW       BIT(13)
#define IOAPIC_REMOTE_IRR       BIT(14)
#define IOAPIC_LEVEL            BIT(15)
#define IOAPIC_MASKED           BIT(16)
#define IOAPIC_DEST             MASK(63, 56)

/* The two 8259s. */
#define PIC1_COMMAND            0x20
#define PIC1_DATA               0x21
#define PIC2_COMMAND            0xa0
#define PIC2_DATA               0xa1
#define PIC_ICW1_INIT           0x11            /* edge, cascade, ICW4 follows              */
#define PIC_ICW4_8086           0x01
#define PIC_CASCADE_IRQ         2
#define PIC_OCW2_EOI            0x20            /* non-specific                             */

#endif
