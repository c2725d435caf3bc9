/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/pci.c - PCI bus 0 behind ports 0xcf8 and 0xcfc.
 *
 * A function's configuration space is an array of bytes with a mask of the bits that a guest may
 * write; what a write means (BARs, command register, MSI-X control) is looked at afterwards.  The
 * same mask checks a space that comes with a migration: it may differ only where a guest can write.
 * Read next: vmm/dev/virtio.c, which builds functions.
 */
#include "vmm/dev/pci.h"

#include <string.h>

#include "lib/log.h"

#define PORT_ADDRESS    0xcf8
#define PORT_RESET      0xcf9           /* one byte, inside the address register */
#define PORT_DATA       0xcfc

#define ADDRESS_ENABLE  BIT(31)
#define ADDRESS_BUS     MASK(23, 16)
#define ADDRESS_SLOT    MASK(15, 11)
#define ADDRESS_FUNC    MASK(10, 8)
#define ADDRESS_REG     MASK(7, 2)
#define ADDRESS_BITS    (ADDRESS_ENABLE | MASK(23, 2))

#define RESET_CPU       BIT(2)          /* its rising edge resets */
#define RESET_BITS      (RESET_CPU | BIT(1) | BIT(3))

#define BAR_TYPE_64     BIT(2)
#define BAR_FLAGS       MASK(3, 0)
#define PIN_A           1
#define CAPS_START      0x40
#define MSIX_CONTROL    2               /* offset in the capability */
#define MSIX_ENABLE     BIT(15)
#define MSIX_MASKED     BIT(14)

/* A bridge without registers of its own: nothing that a driver would want to program. */
static const struct pci_id bridge_id = {
	.vendor = 0x1b36, .device = 0x0008, .subsystem_vendor = 0x1af4, .subsystem = 0x1100,
	.class = 0x060000,
};

/* --- Little-endian words in configuration space ----------------------------------------------- */

static uint16_t get16(const uint8_t *b)
{
	return (uint16_t)(b[0] | b[1] << 8);
}

static uint32_t get32(const uint8_t *b)
{
	return get16(b) | (uint32_t)get16(b + 2) << 16;
}

static void put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *b, uint32_t v)
{
	put16(b, (uint16_t)v);
	put16(b + 2, (uint16_t)(v >> 16));
}

/* --- BARs ------------------------------------------------------------------------------------- */

static uint8_t *bar_register(struct pci_func *f, unsigned bar)
{
	return &f->config[PCI_BAR0 + 4 * bar];
}

static uint64_t bar_base(struct pci_func *f, const struct pci_bar *b)
{
	uint64_t base = get32(bar_register(f, b->index)) & ~BAR_FLAGS;

	return b->is64 ? base | (uint64_t)get32(bar_register(f, b->index + 1)) << 32 : base;
}

static void bar_place(struct pci_func *f, const struct pci_bar *b, uint64_t base)
{
	put32(bar_register(f, b->index), (uint32_t)(base | (b->is64 ? BAR_TYPE_64 : 0)));
	if (b->is64)
		put32(bar_register(f, b->index + 1), (uint32_t)(base >> 32));
}

uint64_t pci_func_bar_read(struct pci_func *f, unsigned bar, uint64_t offset,
			   const struct access *a)
{
	if (f->msix_cap && bar == f->msix_bar)
		return msix_read(&f->msix, offset, a->size);
	return f->ops->bar_read(f, bar, offset, a);
}

void pci_func_bar_write(struct pci_func *f, unsigned bar, uint64_t offset, const struct access *a,
                        uint64_t value)
{
	if (f->msix_cap && bar == f->msix_bar)
		msix_write(&f->msix, offset, a->size, value);
	else
		f->ops->bar_write(f, bar, offset, a, value);
}

static uint64_t bar_read(void *dev, const struct access *a)
{
	struct pci_bar *b = dev;

	return pci_func_bar_read(b->func, b->index, a->addr - b->base, a);
}

static void bar_write(void *dev, const struct access *a, uint64_t value)
{
	struct pci_bar *b = dev;

	pci_func_bar_write(b->func, b->index, a->addr - b->base, a, value);
}

static uint64_t bar_deadline(const void *dev)
{
	const struct pci_func *f = ((const struct pci_bar *)dev)->func;

	return f->ops->deadline ? f->ops->deadline(f) : NEVER_NS;
}

static const struct dev_ops bar_ops = {
	.name = "pci-bar", .read = bar_read, .write = bar_write, .deadline = bar_deadline,
};

static void bar_unmap(struct pci_func *f, struct pci_bar *b)
{
	if (b->mapped)
		bus_unmap(f->bus, BUS_MMIO, b->base, b);
	b->mapped = false;
}

/* The bus answers where the BARs say, if the command register lets it. */
static void bars_map(struct pci_func *f)
{
	bool decode = get16(&f->config[PCI_COMMAND]) & PCI_COMMAND_MEMORY;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *b = &f->bar[i];
		uint64_t base;

		if (!b->size)
			continue;
		base = bar_base(f, b);
		if (b->mapped && decode && b->base == base)
			continue;
		bar_unmap(f, b);
		/* Where another device answers already, this one does not: the guest's mistake. */
		if (!decode || bus_map(f->bus, BUS_MMIO, base, b->size, &bar_ops, b) != OK)
			continue;
		b->base = base;
		b->mapped = true;
	}
}

/* --- Interrupt pin and MSI-X ------------------------------------------------------------------ */

static void pin_drive(struct pci_func *f)
{
	bool disabled = get16(&f->config[PCI_COMMAND]) & PCI_COMMAND_INTX_DISABLE;
	uint16_t status = get16(&f->config[PCI_STATUS]) & (uint16_t)~PCI_STATUS_INTERRUPT;

	put16(&f->config[PCI_STATUS], (uint16_t)(status | (f->intx ? PCI_STATUS_INTERRUPT : 0)));
	wire_set(&f->pin, f->intx && !disabled && !f->msix.enabled);
}

void pci_func_intx(struct pci_func *f, bool level)
{
	f->intx = level;
	pin_drive(f);
}

bool pci_func_master(const struct pci_func *f)
{
	return get16(&f->config[PCI_COMMAND]) & PCI_COMMAND_MASTER;
}

static uint16_t msix_control_word(const struct pci_func *f)
{
	return f->msix_cap ? get16(&f->config[f->msix_cap + MSIX_CONTROL]) : 0;
}

/* --- Configuration accesses ------------------------------------------------------------------- */

static uint32_t config_read(struct pci_func *f, unsigned offset, const struct access *a)
{
	uint32_t value = 0;

	if (f->ops->config_read)
		f->ops->config_read(f, offset, a);
	for (unsigned i = 0; i < a->size; i++)
		value |= (uint32_t)f->config[offset + i] << 8 * i;
	return value;
}

static void config_write(struct pci_func *f, unsigned offset, const struct access *a,
			 uint32_t value)
{
	uint16_t control;

	for (unsigned i = 0; i < a->size; i++) {
		uint8_t mask = f->writable[offset + i], byte = (uint8_t)(value >> 8 * i);

		f->config[offset + i] = (uint8_t)((f->config[offset + i] & ~mask) | (byte & mask));
	}
	if (f->ops->config_write)
		f->ops->config_write(f, offset, a);
	control = msix_control_word(f);
	if (f->msix_cap)
		msix_control(&f->msix, control & MSIX_ENABLE, control & MSIX_MASKED);
	pin_drive(f);
	bars_map(f);
}

/* The function that the address register names, or NULL. */
static struct pci_func *addressed(const struct pci *p)
{
	if (!(p->address & ADDRESS_ENABLE) || (p->address & (ADDRESS_BUS | ADDRESS_FUNC)))
		return NULL;
	return p->slot[GET(ADDRESS_SLOT, p->address)];
}

static unsigned addressed_offset(const struct pci *p, const struct access *a)
{
	return (p->address & (uint32_t)ADDRESS_REG) + (unsigned)(a->addr - PORT_DATA);
}

static uint64_t pci_read(void *dev, const struct access *a)
{
	struct pci *p = dev;
	struct pci_func *f = addressed(p);

	if (a->addr >= PORT_DATA)
		return f ? config_read(f, addressed_offset(p, a), a) : ~0ull;
	if (a->addr == PORT_RESET && a->size == 1)
		return p->reset_control;
	return a->addr == PORT_ADDRESS && a->size == 4 ? p->address : ~0ull;
}

static void write_reset(struct pci *p, uint8_t value)
{
	bool rises = (value & RESET_CPU) && !(p->reset_control & RESET_CPU);

	p->reset_control = value & RESET_BITS;
	if (rises)
		power_reset(&p->power, "the guest reset itself (port 0xcf9)");
}

static void pci_write(void *dev, const struct access *a, uint64_t value)
{
	struct pci *p = dev;
	struct pci_func *f = addressed(p);

	if (a->addr >= PORT_DATA && f)
		config_write(f, addressed_offset(p, a), a, (uint32_t)value);
	else if (a->addr == PORT_RESET && a->size == 1)
		write_reset(p, (uint8_t)value);
	else if (a->addr == PORT_ADDRESS && a->size == 4)
		p->address = (uint32_t)(value & ADDRESS_BITS);
}

/* --- Making a function ------------------------------------------------------------------------ */

void pci_func_init(struct pci_func *f, const struct pci_id *id, const struct pci_func_ops *ops)
{
	*f = (struct pci_func){ .ops = ops, .cap_end = CAPS_START };
	put16(&f->config[PCI_VENDOR], id->vendor);
	put16(&f->config[PCI_DEVICE], id->device);
	put32(&f->config[PCI_REVISION], id->class << 8 | id->revision);
	put16(&f->config[PCI_SUBSYSTEM_VENDOR], id->subsystem_vendor);
	put16(&f->config[PCI_SUBSYSTEM], id->subsystem);
	put16(&f->config[PCI_COMMAND], PCI_COMMAND_MEMORY);
	put16(&f->writable[PCI_COMMAND],
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	f->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_func_bar(struct pci_func *f, unsigned bar, uint64_t size, bool is64)
{
	ASSERT(bar < PCI_BARS && !(size & (size - 1)) && size >= 16);
	f->bar[bar] = (struct pci_bar){
		.func = f, .index = (uint8_t)bar, .size = size, .is64 = is64,
	};
	put32(&f->writable[PCI_BAR0 + 4 * bar], (uint32_t)~(size - 1));
	if (is64)
		put32(&f->writable[PCI_BAR0 + 4 * bar + 4], (uint32_t)(~(size - 1) >> 32));
}

unsigned pci_func_cap(struct pci_func *f, uint8_t id, const void *body, const void *writable,
                      unsigned len)
{
	unsigned at = f->cap_end;

	ASSERT(at + 2 + len <= PCI_CONFIG_SIZE);
	f->config[f->cap_last ? f->cap_last + 1 : PCI_CAPABILITIES] = (uint8_t)at;
	f->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	f->config[at] = id;
	memcpy(&f->config[at + 2], body, len);
	if (writable)
		memcpy(&f->writable[at + 2], writable, len);
	f->cap_last = (uint8_t)at;
	f->cap_end = (uint8_t)ALIGN_UP(at + 2 + len, 4);
	return at;
}

void pci_func_msix(struct pci_func *f, unsigned bar, unsigned nvectors, struct msg_wire out)
{
	uint8_t body[10] = { 0 }, writable[10] = { 0 };

	ASSERT(nvectors <= MSIX_VECTORS_MAX);
	pci_func_bar(f, bar, MSIX_BAR_SIZE, false);
	put16(&body[0], (uint16_t)(nvectors - 1));
	put16(&writable[0], MSIX_ENABLE | MSIX_MASKED);
	put32(&body[2], bar);                                   /* table at offset 0 */
	put32(&body[6], MSIX_PBA_OFFSET | bar);
	f->msix_cap = (uint8_t)pci_func_cap(f, PCI_CAP_MSIX, body, writable, sizeof(body));
	f->msix_bar = (uint8_t)bar;
	msix_init(&f->msix, nvectors, out);
}

enum err pci_add(struct pci *p, unsigned slot, struct pci_func *f, struct wire pin, uint8_t line)
{
	ASSERT(slot < PCI_SLOTS && !p->slot[slot]);
	f->bus = p->bus;
	f->pin = pin;
	if (pin.set) {
		f->config[PCI_INTERRUPT_PIN] = PIN_A;
		f->config[PCI_INTERRUPT_LINE] = line;
	}
	for (unsigned i = 0; i < PCI_BARS; i++) {
		uint64_t base = ALIGN_UP(p->next_mmio, MAX(f->bar[i].size, 1));

		if (!f->bar[i].size)
			continue;
		if (base + f->bar[i].size > p->end_mmio)
			return fail(ERR_NO_MEMORY, "pci: no room for BAR %u of slot %u", i, slot);
		bar_place(f, &f->bar[i], base);
		p->next_mmio = base + f->bar[i].size;
	}
	memcpy(f->power_up, f->config, sizeof(f->power_up));
	p->slot[slot] = f;
	pci_func_reset(f);
	return OK;
}

void pci_func_reset(struct pci_func *f)
{
	memcpy(f->config, f->power_up, sizeof(f->config));
	msix_reset(&f->msix);
	f->intx = 0;
	pin_drive(f);
	bars_map(f);
}

/* --- What travels ----------------------------------------------------------------------------- */

enum err pci_func_check(const struct pci_func *f)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
		uint8_t fixed = (uint8_t)~f->writable[i];

		if (i == PCI_STATUS)
			fixed &= (uint8_t)~PCI_STATUS_INTERRUPT;
		if ((f->config[i] ^ f->power_up[i]) & fixed)
			return fail(ERR_BAD_FORMAT, "pci: config[%#x] is %#x: no guest can do that",
				    i, f->config[i]);
	}
	if (f->intx > 1)
		return fail(ERR_BAD_FORMAT, "pci: intx %u", f->intx);
	return msix_check(&f->msix);
}

void pci_func_resume(struct pci_func *f)
{
	uint16_t control = msix_control_word(f);

	f->msix.enabled = control & MSIX_ENABLE;
	f->msix.masked = control & MSIX_MASKED;
	pin_drive(f);
	bars_map(f);
}

static const struct field pci_fields[] = {
	FIELD(struct pci, address), FIELD(struct pci, reset_control),
	PCI_FUNC_FIELDS(struct pci, bridge),
};

static enum err pci_check(const void *object)
{
	const struct pci *p = object;

	if (p->address & ~ADDRESS_BITS)
		return fail(ERR_BAD_FORMAT, "pci: address %#x has reserved bits", p->address);
	if (p->reset_control & ~RESET_BITS)
		return fail(ERR_BAD_FORMAT, "pci: reset_control %#x has reserved bits",
			    p->reset_control);
	return pci_func_check(&p->bridge);
}

/* Before functions are reset or resume: no BAR shall be in another's way. */
static void all_bars_unmap(struct pci *p)
{
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		for (unsigned i = 0; p->slot[s] && i < PCI_BARS; i++)
			bar_unmap(p->slot[s], &p->slot[s]->bar[i]);
}

static void pci_resume(void *object)
{
	struct pci *p = object;

	all_bars_unmap(p);
	pci_func_resume(&p->bridge);
}

static const struct section pci_state = {
	.name = "pci", .version = 1, .fields = pci_fields, .nfields = COUNT(pci_fields),
	.object_size = sizeof(struct pci), .check = pci_check, .resume = pci_resume,
};

/* --- Life ------------------------------------------------------------------------------------- */

static void pci_reset(void *dev)
{
	struct pci *p = dev;

	p->address = 0;
	p->reset_control = 0;
	all_bars_unmap(p);
	pci_func_reset(&p->bridge);
}

void pci_init(struct pci *p, struct bus *bus, uint64_t mmio_base, uint64_t mmio_end,
              struct power power)
{
	static const struct pci_func_ops bridge_ops = { 0 };

	*p = (struct pci){
		.bus = bus, .next_mmio = mmio_base, .end_mmio = mmio_end, .power = power,
	};
	pci_func_init(&p->bridge, &bridge_id, &bridge_ops);
	pci_add(p, 0, &p->bridge, (struct wire){ 0 }, 0);
}

static const struct range pci_ranges[] = { { BUS_IO, PORT_ADDRESS, 8 } };

const struct dev_ops pci_ops = {
	.name = "pci", .ranges = pci_ranges, .nranges = COUNT(pci_ranges), .reset = pci_reset,
	.read = pci_read, .write = pci_write, .state = &pci_state,
};
