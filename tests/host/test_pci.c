/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_pci.c - configuration space, BARs and MSI-X against PCI Local Bus 3.0; each test
 * names its section.
 */
#include "tests/host/devtest.h"

#include "vmm/dev/pci.h"

static struct bus bus;
static struct pci pci;
static struct pci_func fn;
static struct wire_end pin;
static struct msg_end sent;
static unsigned resets;

static uint64_t fn_read(struct pci_func *f, unsigned bar, uint64_t offset, const struct access *a)
{
	(void)f;
	return bar << 28 | offset << 4 | a->size;
}

static uint64_t written;
static void fn_write(struct pci_func *f, unsigned bar, uint64_t offset, const struct access *a,
		     uint64_t value)
{
	(void)f;
	(void)bar;
	(void)a;
	written = offset << 32 | value;
}

static void note_reset(void *to, const char *why) { (void)to; (void)why; resets++; }

static void out(uint64_t port, unsigned size, uint64_t v)
{
	bus_write(&bus, BUS_IO, &(struct access){ .addr = port, .size = (uint8_t)size }, v);
}

static uint32_t in(uint64_t port, unsigned size)
{
	struct access a = { .addr = port, .size = (uint8_t)size };

	return (uint32_t)bus_read(&bus, BUS_IO, &a);
}

static uint64_t load(uint64_t addr, unsigned size)
{
	return bus_read(&bus, BUS_MMIO, &(struct access){ .addr = addr, .size = (uint8_t)size });
}

static void store(uint64_t addr, unsigned size, uint64_t v)
{
	bus_write(&bus, BUS_MMIO, &(struct access){ .addr = addr, .size = (uint8_t)size }, v);
}

#define SLOT 3
static uint32_t cfg_read(unsigned reg, unsigned size)
{
	out(0xcf8, 4, BIT(31) | SLOT << 11 | (reg & 0xfc));
	return in(0xcfc + (reg & 3), size);
}

static void cfg_write(unsigned reg, unsigned size, uint32_t v)
{
	out(0xcf8, 4, BIT(31) | SLOT << 11 | (reg & 0xfc));
	out(0xcfc + (reg & 3), size, v);
}

static void fresh(void)
{
	static const struct pci_func_ops ops = { .bar_read = fn_read, .bar_write = fn_write };
	static const struct pci_id id = { 0x1234, 0x5678, 0x9abc, 0xdef0, 7, 0x020000 };

	memset(&pin, 0, sizeof(pin));
	memset(&sent, 0, sizeof(sent));
	resets = 0;
	bus_init(&bus);
	pci_init(&pci, &bus, 0xe0000000, 0xf0000000, (struct power){ .reset = note_reset });
	bus_map(&bus, BUS_IO, 0xcf8, 8, &pci_ops, &pci);
	pci_func_init(&fn, &id, &ops);
	pci_func_bar(&fn, 0, 0x4000, true);
	pci_func_cap(&fn, PCI_CAP_VENDOR, "\x05\xaa\xbb", NULL, 3);
	pci_func_msix(&fn, 4, 3, MSG_TO(&sent));
	assert_int_equal(pci_add(&pci, SLOT, &fn, WIRE_TO(&pin), 19), OK);
}

TEST(pci, mechanism_1)                          /* "Configuration Mechanism #1" */
{
	fresh();
	assert_int_equal(cfg_read(0, 4), 0x56781234);
	assert_int_equal(cfg_read(2, 2), 0x5678);
	assert_int_equal(cfg_read(8, 4), 0x02000007);
	assert_int_equal(cfg_read(0x2c, 4), 0xdef09abc);
	assert_int_equal(cfg_read(0x3c, 2), 0x0113);
	out(0xcf8, 4, SLOT << 11);                      /* not enabled */
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
	out(0xcf8, 4, BIT(31) | SLOT << 11 | 1 << 8);   /* another function */
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
	out(0xcf8, 4, BIT(31) | 1 << 16 | SLOT << 11);  /* another bus */
	assert_int_equal(in(0xcfc, 2), 0xffff);
	out(0xcf8, 4, 0xffffffff);
	assert_int_equal(in(0xcf8, 4), 0x80fffffc);
	out(0xcf8, 2, 0);                               /* only doublewords count */
	assert_int_equal(in(0xcf8, 4), 0x80fffffc);
}

TEST(pci, read_only_registers_stay)             /* "Configuration Space Organization" */
{
	fresh();
	cfg_write(0, 4, 0);
	cfg_write(8, 4, 0);
	cfg_write(0x34, 1, 0);
	assert_int_equal(cfg_read(0, 4), 0x56781234);
	assert_int_equal(cfg_read(8, 4), 0x02000007);
	assert_int_equal(cfg_read(0x34, 1), 0x40);
	cfg_write(4, 2, 0xffff);
	assert_int_equal(cfg_read(4, 2), 0x0406);
	cfg_write(0x3c, 1, 5);
	assert_int_equal(cfg_read(0x3c, 1), 5);
}

TEST(pci, capabilities_list)                    /* "Capabilities List" */
{
	fresh();
	assert_int_equal(cfg_read(6, 2) & 0x10, 0x10);
	assert_int_equal(cfg_read(0x40, 4), 0xaa054809);        /* vendor, next at 0x48 */
	assert_int_equal(cfg_read(0x48, 4), 0x00020011);        /* MSI-X, last, 3 vectors */
	assert_int_equal(cfg_read(0x4c, 4), 4);
	assert_int_equal(cfg_read(0x50, 4), 0x804);
}

TEST(pci, bar_sizing_and_relocation)            /* "Base Addresses" */
{
	fresh();
	assert_int_equal(cfg_read(0x10, 4), 0xe0000004);
	assert_int_equal(cfg_read(0x14, 4), 0);
	assert_int_equal(cfg_read(0x20, 4), 0xe0004000);
	assert_int_equal(cfg_read(0x18, 4), 0);
	assert_int_equal(load(0xe0000120, 4), 0x1204);
	cfg_write(4, 2, 0);                             /* decoding off while sizing */
	assert_int_equal(load(0xe0000120, 4), 0xffffffff);
	cfg_write(0x10, 4, 0xffffffff);
	cfg_write(0x14, 4, 0xffffffff);
	cfg_write(0x20, 4, 0xffffffff);
	cfg_write(0x18, 4, 0xffffffff);
	assert_int_equal(cfg_read(0x10, 4), 0xffffc004);
	assert_int_equal(cfg_read(0x14, 4), 0xffffffff);
	assert_int_equal(cfg_read(0x20, 4), 0xfffff000);
	assert_int_equal(cfg_read(0x18, 4), 0);
	cfg_write(0x10, 4, 0x40000000);
	cfg_write(0x14, 4, 2);
	cfg_write(0x20, 4, 0xe8000000);
	cfg_write(4, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(load(0x240000120, 4), 0x1204);
	store(0x240000008, 2, 0x55);
	assert_int_equal(written, 8ull << 32 | 0x55);
	assert_int_equal(load(0xe0000120, 4), 0xffffffff);
}

TEST(pci, overlapping_bars_do_not_decode_twice)
{
	fresh();
	cfg_write(0x20, 4, 0xe0000000);                 /* onto BAR 0: not answered by both */
	assert_int_equal(load(0xe0000120, 4), 0x1204);
	cfg_write(0x10, 4, 0xe0100000);                 /* BAR 0 leaves */
	cfg_write(0x20, 4, 0xe0000000);
	assert_int_equal(load(0xe0000800, 4), 0);       /* pending bits */
	pci_ops.reset(&pci);
	pci_func_reset(&fn);
	assert_int_equal(load(0xe0000120, 4), 0x1204);
	assert_int_equal(cfg_read(0x20, 4), 0xe0004000);
}

TEST(pci, intx)                                 /* "Interrupt Pin", "Device Control", bit 10 */
{
	fresh();
	pci_func_intx(&fn, true);
	assert_true(pin.level);
	assert_int_equal(cfg_read(6, 2) & 8, 8);
	cfg_write(4, 2, PCI_COMMAND_INTX_DISABLE);
	assert_false(pin.level);
	assert_int_equal(cfg_read(6, 2) & 8, 8);
	cfg_write(4, 2, 0);
	assert_true(pin.level);
	cfg_write(0x4a, 2, 0x8000);                     /* MSI-X takes over */
	assert_false(pin.level);
}

TEST(pci, reset_control)                        /* 82371 (PIIX3), "Reset Control Register" */
{
	fresh();
	out(0xcf9, 1, 2);
	assert_int_equal(resets, 0);
	out(0xcf9, 1, 6);
	assert_int_equal(resets, 1);
	out(0xcf9, 1, 6);                               /* no rising edge */
	assert_int_equal(resets, 1);
	assert_int_equal(in(0xcf9, 1), 6);
}

/* --- MSI-X ------------------------------------------------------------------------------------ */

#define TABLE 0xe0004000ull

static void vector(unsigned n, uint64_t address, uint32_t data, uint32_t control)
{
	store(TABLE + 16 * n, 4, (uint32_t)address);
	store(TABLE + 16 * n + 4, 4, address >> 32);
	store(TABLE + 16 * n + 8, 4, data);
	store(TABLE + 16 * n + 12, 4, control);
}

TEST(msix, table_and_delivery)                  /* "MSI-X Table Structure" */
{
	fresh();
	assert_int_equal(load(TABLE + 12, 4), 1);       /* masked after reset */
	vector(1, 0xfee03000, 0x4055, 0);
	assert_int_equal(load(TABLE + 16, 8), 0xfee03000);
	msix_fire(&fn.msix, 1);
	assert_int_equal(sent.n, 0);                    /* not enabled */
	cfg_write(0x4a, 2, 0x8000);
	msix_fire(&fn.msix, 1);
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.last.vector, 0x55);
	assert_int_equal(sent.last.dest, 3);
	assert_false(sent.last.logical);
	msix_fire(&fn.msix, 3);                         /* not a vector */
	msix_fire(&fn.msix, 0xffff);
	assert_int_equal(sent.n, 1);
	store(TABLE + 16, 8, 0xfee01004);
	store(TABLE + 24, 8, 0x66);
	msix_fire(&fn.msix, 1);
	assert_true(sent.last.logical);
	assert_int_equal(sent.last.vector, 0x66);
}

TEST(msix, masked_vectors_wait)                 /* "Per-vector Masking and Function Masking" */
{
	fresh();
	vector(0, 0xfee00000, 0x40, 1);
	vector(2, 0xfee00000, 0x42, 0);
	cfg_write(0x4a, 2, 0xc000);                     /* enabled, function masked */
	msix_fire(&fn.msix, 0);
	msix_fire(&fn.msix, 2);
	assert_int_equal(sent.n, 0);
	assert_int_equal(load(TABLE + 0x800, 4), 5);
	cfg_write(0x4a, 2, 0x8000);
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.last.vector, 0x42);
	assert_int_equal(load(TABLE + 0x800, 4), 1);
	store(TABLE + 12, 4, 0);
	assert_int_equal(sent.n, 2);
	assert_int_equal(load(TABLE + 0x800, 8), 0);
}

TEST(msix, strange_accesses)                    /* "MSI-X Table Structure", access sizes */
{
	fresh();
	store(TABLE + 1, 4, 0x12345678);
	store(TABLE, 2, 0x1234);
	store(TABLE + 16 * 3, 4, 0x1234);               /* beyond the last vector */
	store(TABLE + 0x800, 4, 0xff);                  /* pending bits are read-only */
	assert_int_equal(load(TABLE, 4), 0);
	assert_int_equal(load(TABLE, 2), 0);
	assert_int_equal(load(TABLE + 0x800, 4), 0);
	vector(0, 0x12345678, 0x40, 0);                 /* not the interrupt window */
	cfg_write(0x4a, 2, 0x8000);
	msix_fire(&fn.msix, 0);
	assert_int_equal(sent.n, 0);
}

TEST(msix, messages_decode)                     /* SDM vol. 3, "Message Signalled Interrupts" */
{
	struct apic_msg m = apic_msg_from_msi(0xfee810c4, 0xc1a5);

	assert_int_equal(m.vector, 0xa5);
	assert_int_equal(m.delivery, 1);
	assert_true(m.level && m.assert && m.logical);
	assert_int_equal(m.dest, 0x81);
	assert_int_equal(apic_msg_from_msi(0xfeeff000, 0).dest, 0xffffffff);
}

/* --- What travels ----------------------------------------------------------------------------- */

TEST(pci, section_is_complete_and_checked)
{
	static const struct derived derived[] = {
		DERIVED(struct pci, slot), DERIVED(struct pci, next_mmio),
		DERIVED(struct pci, end_mmio), DERIVED(struct pci, bus), DERIVED(struct pci, power),
		DERIVED(struct pci, bridge.writable), DERIVED(struct pci, bridge.power_up),
		DERIVED(struct pci, bridge.bar), DERIVED(struct pci, bridge.cap_end),
		DERIVED(struct pci, bridge.cap_last), DERIVED(struct pci, bridge.msix_cap),
		DERIVED(struct pci, bridge.msix_bar), DERIVED(struct pci, bridge.bus),
		DERIVED(struct pci, bridge.pin), DERIVED(struct pci, bridge.ops),
		DERIVED(struct pci, bridge.msix.enabled), DERIVED(struct pci, bridge.msix.masked),
		DERIVED(struct pci, bridge.msix.nvectors), DERIVED(struct pci, bridge.msix.out),
	};
	fresh();
	check_section(pci_ops.state, derived, COUNT(derived));
	assert_int_equal(pci_ops.state->check(&pci), OK);
	REFUSED(pci_ops.state, pci, bad.address = 1);
}

TEST(pci, a_space_that_no_guest_can_make_is_refused)
{
	static const struct { enum err (*check)(const struct pci_func *f); } state =
		{ pci_func_check };

	fresh();
	pci_func_intx(&fn, true);
	assert_int_equal(pci_func_check(&fn), OK);
	REFUSED(&state, fn, bad.config[0] ^= 1);
	REFUSED(&state, fn, bad.config[0x10] = 0);
	REFUSED(&state, fn, bad.config[0x49] = 0x40);
	REFUSED(&state, fn, bad.intx = 2);
	REFUSED(&state, fn, bad.msix.pending = 8);
	REFUSED(&state, fn, bad.msix.control[0] = 2);
	REFUSED(&state, fn, bad.msix.address[0] = 1);
}

TEST(pci, moved_bars_are_mapped_after_resume)
{
	struct pci_func state;

	fresh();
	cfg_write(0x10, 4, 0xe0800000);
	cfg_write(0x20, 4, 0xe0000000);                 /* where BAR 0 was */
	cfg_write(0x4a, 2, 0x8000);
	state = fn;
	fresh();                                        /* the destination, as created */
	memcpy(fn.config, state.config, sizeof(fn.config));
	pci_ops.state->resume(&pci);
	pci_func_resume(&fn);
	assert_int_equal(load(0xe0800120, 4), 0x1204);
	assert_int_equal(load(0xe000000c, 4), 1);       /* the MSI-X table */
	assert_true(fn.msix.enabled);
	assert_int_equal(load(0xe0004000, 4), 0xffffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci, mechanism_1),
		CASE(pci, read_only_registers_stay),
		CASE(pci, capabilities_list),
		CASE(pci, bar_sizing_and_relocation),
		CASE(pci, overlapping_bars_do_not_decode_twice),
		CASE(pci, intx),
		CASE(pci, reset_control),
		CASE(msix, table_and_delivery),
		CASE(msix, masked_vectors_wait),
		CASE(msix, strange_accesses),
		CASE(msix, messages_decode),
		CASE(pci, section_is_complete_and_checked),
		CASE(pci, a_space_that_no_guest_can_make_is_refused),
		CASE(pci, moved_bars_are_mapped_after_resume),
	};

	return cmocka_run_group_tests_name("pci and msix", tests, NULL, NULL);
}
