/* SPDX-License-Identifier: MIT */
/*
 * lib/apic.c - thin access to the interrupt controllers of the CPU and of the board.
 *
 * No state but the mode: the tests want to see the registers, not an abstraction of them.
 */
#include "lib/apic.h"
#include "lib/guest.h"
#include "lib/insn.h"

enum { CPUID_1_ECX_X2APIC = 1 << 21, CPUID_1_ECX_TSC_DEADLINE = 1 << 24, IPI_SPINS_MAX = 100000 };

static bool x2_mode;

static volatile uint32_t *mmio(uint64_t base, unsigned offset)
{
	return (volatile uint32_t *)(uintptr_t)(base + offset);
}

bool apic_has_x2(void)
{
	return insn_cpuid(1, 0).ecx & CPUID_1_ECX_X2APIC;
}

bool apic_has_tsc_deadline(void)
{
	return insn_cpuid(1, 0).ecx & CPUID_1_ECX_TSC_DEADLINE;
}

bool apic_is_x2(void)
{
	return x2_mode;
}

uint32_t apic_read(enum apic_reg reg)
{
	if (x2_mode)
		return (uint32_t)insn_rdmsr(MSR_X2APIC_FIRST + (uint32_t)reg / 16);
	return *mmio(APIC_MMIO, reg);
}

void apic_write(enum apic_reg reg, uint32_t value)
{
	if (x2_mode)
		insn_wrmsr(MSR_X2APIC_FIRST + (uint32_t)reg / 16, value);
	else
		*mmio(APIC_MMIO, reg) = value;
}

/* SDM vol. 3, "x2APIC State Transitions": back from x2APIC only through "disabled". */
void apic_enable(bool x2)
{
	uint64_t base = insn_rdmsr(MSR_APIC_BASE);

	if (!x2 && (base & APIC_BASE_X2)) {
		base &= ~(uint64_t)(APIC_BASE_X2 | APIC_BASE_ENABLE);
		insn_wrmsr(MSR_APIC_BASE, base);
	}
	base |= APIC_BASE_ENABLE;
	insn_wrmsr(MSR_APIC_BASE, base);
	if (x2)
		insn_wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2);
	x2_mode = x2;
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SVR, SVR_ENABLE | SVR_SPURIOUS_VECTOR);
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(APIC_ID);

	return x2_mode ? id : id >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

static void await_icr(void)
{
	for (int i = 0; apic_read(APIC_ICR) & ICR_BUSY; i++)
		CHECK(i < IPI_SPINS_MAX, "the ICR stays busy");
}

void apic_self_ipi(uint8_t vector)
{
	if (x2_mode) {
		apic_write(APIC_SELF_IPI, vector);
		return;
	}
	apic_write(APIC_ICR, ICR_SELF | vector);
	await_icr();
}

void apic_ipi(uint32_t to, uint32_t command)
{
	apic_write(APIC_ICR_HIGH, to << 24);
	apic_write(APIC_ICR, command);
	await_icr();
}

static bool vector_bit(enum apic_reg first, uint8_t vector)
{
	return apic_read((enum apic_reg)(first + vector / 32 * 16)) >> vector % 32 & 1;
}

bool apic_in_service(uint8_t vector)
{
	return vector_bit(APIC_ISR, vector);
}

bool apic_requested(uint8_t vector)
{
	return vector_bit(APIC_IRR, vector);
}

uint32_t ioapic_read(unsigned reg)
{
	*mmio(IOAPIC_MMIO, 0x00) = reg;
	return *mmio(IOAPIC_MMIO, 0x10);
}

void ioapic_write(unsigned reg, uint32_t value)
{
	*mmio(IOAPIC_MMIO, 0x00) = reg;
	*mmio(IOAPIC_MMIO, 0x10) = value;
}

void ioapic_route(unsigned pin, uint8_t vector, uint32_t flags)
{
	ioapic_write(IOAPIC_REG_TABLE + 2 * pin + 1, apic_id() << 24);
	ioapic_write(IOAPIC_REG_TABLE + 2 * pin, flags | vector);
}

void ioapic_mask(unsigned pin)
{
	ioapic_write(IOAPIC_REG_TABLE + 2 * pin, IOAPIC_MASKED);
}
