/* SPDX-License-Identifier: MIT */
/*
 * vmm/acpi_writer.c - bytes, words and table headers into a buffer.
 */
#include "vmm/acpi_writer.h"

#include <string.h>

#include "lib/log.h"

void acpi_put(struct acpi_writer *w, const void *bytes, unsigned len)
{
	ASSERT(w->len + len <= ACPI_TABLES_MAX);
	memcpy(w->buf + w->len, bytes, len);
	w->len += len;
}

void acpi_put8(struct acpi_writer *w, unsigned v)
{
	acpi_put(w, &(uint8_t){ (uint8_t)v }, 1);
}

void acpi_put16(struct acpi_writer *w, unsigned v)
{
	acpi_put8(w, v);
	acpi_put8(w, v >> 8);
}

void acpi_put32(struct acpi_writer *w, uint32_t v)
{
	acpi_put16(w, v);
	acpi_put16(w, v >> 16);
}

void acpi_align(struct acpi_writer *w, unsigned to)
{
	while (w->len % to)
		acpi_put8(w, 0);
}

uint8_t acpi_checksum(const uint8_t *bytes, unsigned len)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

struct acpi_header acpi_header(const char *signature, uint8_t revision)
{
	struct acpi_header h = { .revision = revision, .oem_revision = 1, .creator_revision = 1 };

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, "GODWIT", sizeof(h.oem_id));
	memcpy(h.oem_table_id, "GODWIT  ", sizeof(h.oem_table_id));
	memcpy(h.creator_id, "GDWT", sizeof(h.creator_id));
	return h;
}

unsigned acpi_table_begin(struct acpi_writer *w, const char *signature, uint8_t revision)
{
	struct acpi_header h = acpi_header(signature, revision);
	unsigned at;

	acpi_align(w, 16);
	at = w->len;
	acpi_put(w, &h, sizeof(h));
	return at;
}

void acpi_table_end(struct acpi_writer *w, unsigned at)
{
	struct acpi_header *h = (struct acpi_header *)(w->buf + at);

	h->length = w->len - at;
	h->checksum = acpi_checksum(w->buf + at, w->len - at);
}
