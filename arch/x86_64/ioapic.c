/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/ioapic.c - device interrupts from their pins to a vector on this CPU.
 *
 * We read no AML, so a PCI interrupt is found by the line that the firmware wrote into
 * configuration space, with the overrides of the MADT: right on machines whose PCI interrupts are
 * the legacy ones (all emulators).  Where it is wrong the NIC driver still polls; docs/limits.md
 * says so. (Intel 82093AA datasheet, "Register Description")
 */
#include "arch/x86_64/ioapic.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/paging.h"
#include "lib/log.h"

struct ioapic {
	volatile uint8_t *registers;
	uint32_t          gsi_first, npins;
};

static struct ioapic ioapics[ACPI_IOAPICS_MAX];
static unsigned nioapics;
static struct acpi_override overrides[ACPI_OVERRIDES_MAX];
static unsigned noverrides;

static uint32_t read(const struct ioapic *io, unsigned reg)
{
	*(volatile uint32_t *)(io->registers + IOAPIC_SELECT) = reg;
	return *(volatile uint32_t *)(io->registers + IOAPIC_WINDOW);
}

static void write(const struct ioapic *io, unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(io->registers + IOAPIC_SELECT) = reg;
	*(volatile uint32_t *)(io->registers + IOAPIC_WINDOW) = value;
}

static void write_entry(const struct ioapic *io, unsigned pin, uint64_t entry)
{
	write(io, IOAPIC_REG_ENTRY(pin), IOAPIC_MASKED);        /* never half an entry */
	write(io, IOAPIC_REG_ENTRY(pin) + 1, (uint32_t)(entry >> 32));
	write(io, IOAPIC_REG_ENTRY(pin), (uint32_t)entry);
}

enum err ioapic_init(const struct acpi_info *acpi)
{
	for (unsigned i = 0; i < acpi->nioapics; i++) {
		struct ioapic io = { .gsi_first = acpi->ioapic[i].gsi_base };
		io.registers = paging_map_device(hpa(acpi->ioapic[i].address), PAGE_SIZE);
		if (!io.registers)
			return ERR_NO_MEMORY;
		io.npins = (uint32_t)GET(IOAPIC_VERSION_MAX_PIN, read(&io, IOAPIC_REG_VERSION)) + 1;
		for (unsigned pin = 0; pin < io.npins; pin++)
			write_entry(&io, pin, IOAPIC_MASKED);
		ioapics[nioapics++] = io;
		log_line("ioapic: %u pins from GSI %u at 0x%lx", io.npins, io.gsi_first,
		         acpi->ioapic[i].address);
	}
	for (unsigned i = 0; i < acpi->noverrides; i++)
		overrides[noverrides++] = acpi->override[i];
	if (!nioapics)
		log_line("ioapic: none known: devices will be polled");
	return OK;
}

/* Where a line comes in: as on its bus, unless the firmware says otherwise. */
static struct acpi_override route_of(struct acpi_override r)
{
	for (unsigned i = 0; i < noverrides; i++)
		if (overrides[i].irq == r.irq) {
			r.gsi = overrides[i].gsi;
			if (!overrides[i].as_bus) {
				r.level = overrides[i].level;
				r.active_low = overrides[i].active_low;
			}
		}
	return r;
}

/* A PCI interrupt is level, active low; an ISA one edge, active high. */
static struct acpi_override pci_route(unsigned line)
{
	return route_of((struct acpi_override){
		.irq = (uint8_t)line, .gsi = line, .level = true, .active_low = true
	});
}

static struct acpi_override isa_route(unsigned irq)
{
	return route_of((struct acpi_override){ .irq = (uint8_t)irq, .gsi = irq });
}

static const struct ioapic *ioapic_of(uint32_t gsi)
{
	for (unsigned i = 0; i < nioapics; i++)
		if (gsi - ioapics[i].gsi_first < ioapics[i].npins)
			return &ioapics[i];
	return NULL;
}

/* `mode`: the vector, or how else it is delivered. */
static enum err route(struct acpi_override r, uint64_t mode)
{
	const struct ioapic *io = ioapic_of(r.gsi);

	if (!io)
		return fail(ERR_NOT_SUPPORTED, "interrupt line %u leads to no IOAPIC pin", r.irq);
	if (apic_id() > GET(IOAPIC_DEST, UINT64_MAX))
		return fail(ERR_NOT_SUPPORTED, "APIC ID %u is too large for the IOAPIC", apic_id());
	write_entry(io, r.gsi - io->gsi_first,
	            mode | (r.level ? IOAPIC_LEVEL : 0) | (r.active_low ? IOAPIC_ACTIVE_LOW : 0) |
	            PUT(IOAPIC_DEST, (uint64_t)apic_id()));
	return OK;
}

enum err ioapic_route(unsigned line, uint8_t vector)
{
	return route(pci_route(line), vector);
}

enum err ioapic_route_nmi(unsigned irq)
{
	return route(isa_route(irq), PUT(IOAPIC_MODE, APIC_MODE_NMI));
}

void ioapic_mask(unsigned line)
{
	struct acpi_override r = pci_route(line);
	const struct ioapic *io = ioapic_of(r.gsi);

	if (io)
		write_entry(io, r.gsi - io->gsi_first, IOAPIC_MASKED);
}
