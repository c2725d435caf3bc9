/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/acpi.c - the firmware's ACPI tables: found, checked, handed to their parsers.
 *
 *   RSDP --> XSDT or RSDT --> "APIC" (MADT)            acpi_irq.c
 *                             "FACP" (FADT) --> DSDT   acpi_power.c
 *                             "HPET", "MCFG", "SRAT", "DMAR", "IVRS"   acpi_topology.c
 *
 * Tables are copied into one buffer, checked (length, checksum) and then read field by field; an
 * address outside what the reader can reach is a damaged table, not a crash.  (ACPI 6.5, chapter 5)
 */
#include "arch/x86_64/acpi.h"

#include <string.h>

#include "arch/x86_64/acpi_table.h"
#include "lib/log.h"

#define RSDP_V1_LEN     20
#define RSDP_V2_LEN     36
#define TABLE_MAX       (32 * KIB)      /* the largest that is read whole */
#define AML_MAX         (4 * MIB)       /* the largest that is looked through */
#define TABLES_MAX      128             /* entries of the root table that we follow */

enum rsdp_field { RSDP_REVISION = 15, RSDP_RSDT = 16, RSDP_LENGTH = 20, RSDP_XSDT = 24 };
enum header_field { HEADER_LENGTH = 4 };

static uint8_t buffer[TABLE_MAX];

static uint8_t sum_of(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return sum;
}

/* The length that the table at `address` claims; 0, with a line in the log: not to be used. */
static size_t table_len(const struct acpi_reader *r, uint64_t address, size_t max)
{
	uint8_t header[ACPI_HEADER_LEN];

	if (!r->read(r->ctx, address, header, sizeof(header))) {
		log_line("acpi: a table at 0x%lx cannot be read", address);
		return 0;
	}
	uint32_t len = acpi_u32(header + HEADER_LENGTH);
	if (len < ACPI_HEADER_LEN || len > max || address > UINT64_MAX - len) {
		log_line("acpi: the table at 0x%lx claims %u bytes", address, len);
		return 0;
	}
	return len;
}

/*
 * Bring the table at `address` into the buffer, whole and checked; `len` is 0, with a line in the
 * log, when that fails.
 */
static struct acpi_table load_table(const struct acpi_reader *r, uint64_t address)
{
	struct acpi_table t = { buffer, table_len(r, address, TABLE_MAX) };

	if (!t.len)
		return t;
	if (!r->read(r->ctx, address, buffer, t.len) ||
	    acpi_u32(buffer + HEADER_LENGTH) != t.len || sum_of(buffer, t.len)) {
		log_line("acpi: the table at 0x%lx has a wrong checksum", address);
		t.len = 0;
	}
	return t;
}

bool acpi_next_record(const struct acpi_table *t, size_t *at, bool wide, struct acpi_record *out)
{
	size_t head = wide ? 4 : 2;

	if (*at >= t->len)
		return false;
	out->p = t->p + *at;
	out->len = t->len - *at < head ? 0 : wide ? acpi_u16(out->p + 2) : out->p[1];
	if (out->len < head || out->len > t->len - *at) {
		log_line("acpi: %.4s: a record at %zu claims %zu bytes; the rest is ignored",
		         (const char *)t->p, *at, out->len);
		return false;
	}
	out->type = wide ? acpi_u16(out->p) : out->p[0];
	*at += out->len;
	return true;
}

static const struct {
	char           signature[5];
	acpi_parse_fn *parse;
} parsers[] = {
	{ "APIC", acpi_parse_madt },
	{ "FACP", acpi_parse_fadt },
	{ "HPET", acpi_parse_hpet },
	{ "MCFG", acpi_parse_mcfg },
	{ "SRAT", acpi_parse_srat },
	{ "DMAR", acpi_parse_dmar },
	{ "IVRS", acpi_parse_ivrs },
};

static bool has_signature(const struct acpi_reader *r, uint64_t address, const char *signature)
{
	uint8_t found[4];

	return r->read(r->ctx, address, found, sizeof(found)) &&
	       !memcmp(found, signature, sizeof(found));
}

static void parse_table(const struct acpi_reader *r, uint64_t address, struct acpi_info *out)
{
	for (unsigned i = 0; i < COUNT(parsers); i++) {
		if (!has_signature(r, address, parsers[i].signature))
			continue;
		struct acpi_table t = load_table(r, address);
		if (t.len && !memcmp(t.p, parsers[i].signature, 4))
			parsers[i].parse(&t, out);
	}
}

/*
 * Look for \_S5 in a table of AML, which may be larger than the buffer: pieces that overlap by as
 * much as the package can be long.  The checksum is known at the end only, so then it counts.
 */
static bool s5_in_table(const struct acpi_reader *r, uint64_t address, uint8_t type[2])
{
	size_t len = table_len(r, address, AML_MAX);
	bool found = false;
	uint8_t sum = 0;

	for (size_t at = 0; at < len;) {
		size_t piece = MIN(len - at, sizeof(buffer));
		size_t fresh = at + piece < len ? piece - ACPI_S5_MAX : piece;
		if (!r->read(r->ctx, address + at, buffer, piece))
			return false;
		found = found || acpi_find_s5(buffer, piece, type);
		sum = (uint8_t)(sum + sum_of(buffer, fresh));
		at += fresh;
	}
	return found && !sum;
}

/* It belongs into the DSDT; some firmware has it in an SSDT. */
static void find_s5(const struct acpi_reader *r, const uint64_t *address, size_t n,
                    struct acpi_power *power)
{
	if (power->dsdt && has_signature(r, power->dsdt, "DSDT"))
		power->has_s5 = s5_in_table(r, power->dsdt, power->s5_type);
	for (size_t i = 0; i < n && !power->has_s5; i++)
		if (has_signature(r, address[i], "SSDT"))
			power->has_s5 = s5_in_table(r, address[i], power->s5_type);
}

/* The root table's addresses: 8 bytes each in an XSDT, 4 in an RSDT. */
static enum err parse_root(const struct acpi_reader *r, uint64_t root, bool xsdt,
                           struct acpi_info *out)
{
	static uint64_t address[TABLES_MAX];
	struct acpi_table t = load_table(r, root);
	size_t width = xsdt ? 8 : 4, n = 0;

	if (!t.len || memcmp(t.p, xsdt ? "XSDT" : "RSDT", 4))
		return fail(ERR_BAD_FORMAT, "acpi: there is no good root table at 0x%lx", root);
	for (size_t at = ACPI_HEADER_LEN; at + width <= t.len && n < TABLES_MAX; at += width)
		address[n++] = xsdt ? acpi_u64(t.p + at) : acpi_u32(t.p + at);
	for (size_t i = 0; i < n; i++)
		parse_table(r, address[i], out);
	find_s5(r, address, n, &out->power);
	return OK;
}

enum err acpi_parse(const struct acpi_reader *r, const void *rsdp, size_t rsdp_len,
                    struct acpi_info *out)
{
	const uint8_t *p = rsdp;

	memset(out, 0, sizeof(*out));
	if (rsdp_len < RSDP_V1_LEN || memcmp(p, "RSD PTR ", 8) || sum_of(p, RSDP_V1_LEN))
		return fail(ERR_BAD_FORMAT, "acpi: the root pointer (RSDP) is damaged");
	bool xsdt = p[RSDP_REVISION] >= 2 && rsdp_len >= RSDP_V2_LEN &&
	            !sum_of(p, RSDP_V2_LEN) && acpi_u64(p + RSDP_XSDT);
	enum err e = parse_root(r, xsdt ? acpi_u64(p + RSDP_XSDT) : acpi_u32(p + RSDP_RSDT), xsdt,
	                        out);
	if (e != OK)
		memset(out, 0, sizeof(*out));
	out->present = e == OK;
	return e;
}
