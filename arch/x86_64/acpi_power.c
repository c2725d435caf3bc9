/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/acpi_power.c - the FADT, and \_S5: how this machine is reset and switched off.
 *
 * The value that means "off" stands in AML: the package \_S5 of the DSDT.  We have no interpreter;
 * all firmware writes it as a constant, so its bytes are looked for:
 *
 *   08 [5c] "_S5_"  12 PkgLength NumElements  integer integer ...
 *
 * Pure.  (ACPI 6.5, "Fixed ACPI Description Table", "_Sx (System States)", "AML Grammar")
 * Called by acpi.c; who acts on it: reset.c.
 */
#include "arch/x86_64/acpi_table.h"

#include <string.h>

enum fadt_field {
	FADT_DSDT = 40, FADT_SMI_CMD = 48, FADT_ACPI_ENABLE = 52, FADT_PM1A_CNT = 64,
	FADT_PM1B_CNT = 68, FADT_PM_TIMER = 76, FADT_PM_TIMER_LEN = 91, FADT_FLAGS = 112,
	FADT_RESET_REG = 116, FADT_RESET_VALUE = 128, FADT_X_DSDT = 140, FADT_X_PM1A_CNT = 172,
	FADT_X_PM1B_CNT = 184, FADT_X_PM_TIMER = 208, FADT_SLEEP_CONTROL = 244,
};

#define FADT_TMR_VAL_EXT        BIT(8)
#define FADT_RESET_REG_SUP      BIT(10)
#define FADT_HW_REDUCED         BIT(20)

#define GAS_SYSTEM_MEMORY       0
#define GAS_SYSTEM_IO           1
#define GAS_ADDRESS             4               /* within the structure */

struct acpi_register acpi_gas(const uint8_t *p)
{
	uint64_t address = acpi_u64(p + GAS_ADDRESS);

	if (p[0] == GAS_SYSTEM_IO && address && address <= UINT16_MAX)
		return (struct acpi_register){ ACPI_PORT, address };
	if (p[0] == GAS_SYSTEM_MEMORY && address)
		return (struct acpi_register){ ACPI_MEMORY, address };
	return (struct acpi_register){ ACPI_NOWHERE, 0 };
}

/* A register that older tables give as a port and newer ones, at `extended`, with its space. */
static struct acpi_register either(const struct acpi_table *t, size_t port, size_t extended)
{
	struct acpi_register r = { ACPI_NOWHERE, 0 };
	uint32_t number = acpi_u32(t->p + port);

	if (t->len >= extended + ACPI_GAS_LEN)
		r = acpi_gas(t->p + extended);
	if (r.space == ACPI_NOWHERE && number && number <= UINT16_MAX)
		r = (struct acpi_register){ ACPI_PORT, number };
	return r;
}

static void parse_timer(const struct acpi_table *t, struct acpi_info *out)
{
	struct acpi_register r = either(t, FADT_PM_TIMER, FADT_X_PM_TIMER);
	bool extended = t->len >= FADT_X_PM_TIMER + ACPI_GAS_LEN &&
	                acpi_gas(t->p + FADT_X_PM_TIMER).space == ACPI_PORT;

	if (r.space == ACPI_PORT && (extended || t->p[FADT_PM_TIMER_LEN] == 4))
		out->pm_timer_port = (uint16_t)r.address;
	out->pm_timer_32bit = acpi_u32(t->p + FADT_FLAGS) & FADT_TMR_VAL_EXT;
}

void acpi_parse_fadt(const struct acpi_table *t, struct acpi_info *out)
{
	struct acpi_power *power = &out->power;

	if (t->len < FADT_FLAGS + 4)
		return;
	uint32_t flags = acpi_u32(t->p + FADT_FLAGS);
	parse_timer(t, out);
	power->control[0] = either(t, FADT_PM1A_CNT, FADT_X_PM1A_CNT);
	power->control[1] = either(t, FADT_PM1B_CNT, FADT_X_PM1B_CNT);
	if (acpi_u32(t->p + FADT_SMI_CMD) <= UINT16_MAX) {
		power->smi_port = (uint16_t)acpi_u32(t->p + FADT_SMI_CMD);
		power->acpi_enable = t->p[FADT_ACPI_ENABLE];
	}
	if ((flags & FADT_RESET_REG_SUP) && t->len > FADT_RESET_VALUE) {
		power->reset = acpi_gas(t->p + FADT_RESET_REG);
		power->reset_value = t->p[FADT_RESET_VALUE];
	}
	if ((flags & FADT_HW_REDUCED) && t->len >= FADT_SLEEP_CONTROL + ACPI_GAS_LEN)
		power->sleep = acpi_gas(t->p + FADT_SLEEP_CONTROL);
	power->dsdt = acpi_u32(t->p + FADT_DSDT);
	if (t->len >= FADT_X_DSDT + 8 && acpi_u64(t->p + FADT_X_DSDT))
		power->dsdt = acpi_u64(t->p + FADT_X_DSDT);
}

/* --- \_S5 ------------------------------------------------------------------------------------- */

enum aml {
	AML_ZERO = 0x00, AML_ONE = 0x01, AML_NAME = 0x08, AML_BYTE = 0x0a, AML_WORD = 0x0b,
	AML_DWORD = 0x0c, AML_PACKAGE = 0x12, AML_ROOT = 0x5c,
};

#define PKG_MORE_BYTES  MASK(7, 6)      /* of the first byte: how many follow */
#define SLP_TYP_MAX     7

/* What is left to read; `bad` once it was not enough, or not what it must be. */
struct cursor { const uint8_t *p, *end; bool bad; };

static uint32_t take(struct cursor *c, size_t bytes)
{
	uint32_t value = 0;

	if (c->bad || (size_t)(c->end - c->p) < bytes) {
		c->bad = true;
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		value |= (uint32_t)*c->p++ << 8 * i;
	return value;
}

static uint32_t take_integer(struct cursor *c)
{
	switch (take(c, 1)) {
	case AML_ZERO:
		return 0;
	case AML_ONE:
		return 1;
	case AML_BYTE:
		return take(c, 1);
	case AML_WORD:
		return take(c, 2);
	case AML_DWORD:
		return take(c, 4);
	default:
		c->bad = true;
		return 0;
	}
}

/* What follows the name; one element holds both types, the second in its second byte. */
static bool take_package(struct cursor *c, uint8_t type[2])
{
	if (take(c, 1) != AML_PACKAGE)
		return false;
	take(c, GET(PKG_MORE_BYTES, take(c, 1)));
	unsigned elements = take(c, 1);
	if (!elements)
		return false;
	uint32_t first = take_integer(c), second = elements > 1 ? take_integer(c) : first >> 8;
	if (elements == 1)
		first &= UINT8_MAX;
	if (c->bad || first > SLP_TYP_MAX || second > SLP_TYP_MAX)
		return false;
	type[0] = (uint8_t)first;
	type[1] = (uint8_t)second;
	return true;
}

bool acpi_find_s5(const uint8_t *aml, size_t len, uint8_t type[2])
{
	static const char name[4] = "_S5_";

	for (size_t at = 1; at + sizeof(name) <= len; at++) {
		if (memcmp(aml + at, name, sizeof(name)))
			continue;
		bool rooted = at > 1 && aml[at - 1] == AML_ROOT && aml[at - 2] == AML_NAME;
		struct cursor c = { aml + at + sizeof(name), aml + len, false };
		if ((rooted || aml[at - 1] == AML_NAME) && take_package(&c, type))
			return true;
	}
	return false;
}
