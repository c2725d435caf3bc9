/* SPDX-License-Identifier: MIT */
/*
 * lib/apic.h - the local APIC, by MMIO (xAPIC) or by MSR (x2APIC), and the IOAPIC.
 *
 * Registers are named by their xAPIC offset; the x2APIC MSR is 0x800 + offset / 16
 * (SDM vol. 3, "x2APIC Register Address Space").
 */
#ifndef GUEST_APIC_H
#define GUEST_APIC_H

#include <stdbool.h>
#include <stdint.h>

enum apic_reg {                      /* SDM vol. 3, "Local APIC Register Address Map" */
	APIC_ID = 0x020, APIC_VERSION = 0x030, APIC_TPR = 0x080, APIC_PPR = 0x0a0, APIC_EOI = 0x0b0,
	APIC_LDR = 0x0d0, APIC_DFR = 0x0e0, APIC_SVR = 0x0f0, APIC_ISR = 0x100, APIC_TMR = 0x180,
	APIC_IRR = 0x200, APIC_ESR = 0x280, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320, APIC_LVT_LINT0 = 0x350, APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370, APIC_TIMER_INITIAL = 0x380, APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0, APIC_SELF_IPI = 0x3f0,
};

enum apic_bits {
	APIC_MMIO            = 0xfee00000,
	MSR_APIC_BASE        = 0x1b,
	APIC_BASE_BSP        = 1 << 8,
	APIC_BASE_X2         = 1 << 10,
	APIC_BASE_ENABLE     = 1 << 11,
	MSR_X2APIC_FIRST     = 0x800,
	MSR_TSC_DEADLINE     = 0x6e0,
	SVR_ENABLE           = 1 << 8,
	SVR_SPURIOUS_VECTOR  = 0xff,
	LVT_MASKED           = 1 << 16,
	LVT_EXTINT           = 7 << 8,
	LVT_PERIODIC         = 1 << 17,
	LVT_TSC_DEADLINE     = 2 << 17,
	DIVIDE_BY_1          = 0xb,
	ICR_SELF             = 1 << 18,
	ICR_BUSY             = 1 << 12,
	ICR_FIXED            = 0 << 8,
	ICR_INIT             = 5 << 8,
	ICR_STARTUP          = 6 << 8,
	ICR_ASSERT           = 1 << 14,
};

enum ioapic_bits {                   /* 82093AA data sheet, "I/O Redirection Table Registers" */
	IOAPIC_MMIO          = 0xfec00000,
	IOAPIC_REG_ID        = 0x00,
	IOAPIC_REG_VERSION   = 0x01,
	IOAPIC_REG_TABLE     = 0x10,     /* two registers per pin */
	IOAPIC_LEVEL         = 1 << 15,
	IOAPIC_REMOTE_IRR    = 1 << 14,
	IOAPIC_ACTIVE_LOW    = 1 << 13,
	IOAPIC_MASKED        = 1 << 16,
	IOAPIC_PIN_PIT       = 2,        /* ISA IRQ 0 is wired to pin 2, as the MADT says */
};

bool apic_has_x2(void);              /* CPUID.1:ECX[21]                                     */
bool apic_has_tsc_deadline(void);    /* CPUID.1:ECX[24]                                     */
void apic_enable(bool x2);           /* into that mode from whatever mode it was in; TPR 0  */
bool apic_is_x2(void);
uint32_t apic_read(enum apic_reg reg);
void apic_write(enum apic_reg reg, uint32_t value);
uint32_t apic_id(void);              /* in either mode, as a plain number                    */
void apic_eoi(void);
void apic_self_ipi(uint8_t vector);

/* To one CPU; `command` is the low half of the ICR.  xAPIC mode, interrupts off. */
void apic_ipi(uint32_t to, uint32_t command);
bool apic_in_service(uint8_t vector);
bool apic_requested(uint8_t vector);

uint32_t ioapic_read(unsigned reg);
void ioapic_write(unsigned reg, uint32_t value);
void ioapic_route(unsigned pin, uint8_t vector, uint32_t flags);  /* to this CPU, fixed     */
void ioapic_mask(unsigned pin);

#endif
