/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_machine.c - the board as a guest meets it: wires, slots, sections, ACPI tables.
 *
 * The VM's run loop is not here; its few functions that the board calls are faked below.
 */
#include "tests/host/devtest.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/pages.h"
#include "vmm/vm.h"

#define RAM_BYTES (8 * MIB)

static struct {
	unsigned kicks, messages;
	struct apic_msg last;
	char off[100], reset[100];
} seen;

static struct vm *vm;

void vcpu_kick(struct vcpu *v)
{
	(void)v;
	seen.kicks++;
}

void vm_power_off(struct vm *which, const char *why)
{
	assert_ptr_equal(which, vm);
	snprintf(seen.off, sizeof(seen.off), "%s", why);
}

void vm_reset(struct vm *which, const char *why)
{
	assert_ptr_equal(which, vm);
	snprintf(seen.reset, sizeof(seen.reset), "%s", why);
}

void vm_apic_send(struct vm *which, const struct apic_msg *msg)
{
	assert_ptr_equal(which, vm);
	seen.messages++;
	seen.last = *msg;
}

static struct vcpu bsp;

static int setup(void **state)
{
	static bool have_pages;
	void *host = NULL;

	(void)state;
	if (!have_pages && posix_memalign(&host, FRAME_SIZE, 16 * FRAME_SIZE))
		return -1;
	if (!have_pages)
		pages_add_region(ptr_hpa(host), 16 * FRAME_SIZE);
	have_pages = true;
	memset(&seen, 0, sizeof(seen));
	vm = calloc(1, sizeof(*vm));
	vm->config = (struct vm_config){ .ram_bytes = RAM_BYTES, .cpus = 2, .nnics = 2,
		.nic = { { { 0x52, 0x54, 0, 1, 2, 3 } }, { { 0x52, 0x54, 0, 1, 2, 4 } } } };
	vm->vcpu[0] = &bsp;
	bus_init(&vm->bus);
	if (mem_create(&vm->mem, RAM_BYTES) != OK || machine_create(vm) != OK)
		return -1;
	machine_reset(vm);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_destroy(vm);
	mem_destroy(&vm->mem);
	free(vm);
	return 0;
}

static void out(uint64_t port, unsigned size, uint64_t value)
{
	bus_write(&vm->bus, BUS_IO, &(struct access){ .addr = port, .size = (uint8_t)size }, value);
}

static uint32_t in(uint64_t port, unsigned size)
{
	struct access a = { .addr = port, .size = (uint8_t)size };

	return (uint32_t)bus_read(&vm->bus, BUS_IO, &a);
}

static uint32_t config_read(unsigned slot, unsigned reg, unsigned size)
{
	out(0xcf8, 4, BIT(31) | slot << 11 | (reg & ~3u));
	return in(0xcfc + (reg & 3), size);
}

static void ioapic_entry(unsigned pin, uint64_t value)
{
	struct access sel = { .addr = 0xfec00000, .size = 4 };
	struct access win = { .addr = 0xfec00010, .size = 4 };

	for (unsigned half = 0; half < 2; half++) {
		bus_write(&vm->bus, BUS_MMIO, &sel, 0x10 + 2 * pin + half);
		bus_write(&vm->bus, BUS_MMIO, &win, value >> 32 * half);
	}
}

TEST(machine, timer_reaches_pic_input_0_and_ioapic_pin_2)
{
	ioapic_entry(2, 0x30);
	ioapic_entry(0, 0x31);
	out(0x21, 1, 0xfe);     /* the 8259 as firmware leaves it, line 0 unmasked */
	out(0x43, 1, 0x34);                     /* counter 0, rate generator */
	assert_int_equal(seen.messages, 1);     /* OUT rises: mode 2 is high between pulses */
	assert_int_equal(seen.last.vector, 0x30);
	assert_int_equal(vpic_accept(&vm->machine.pic), 8);
	assert_int_equal(seen.kicks, 1);
}

TEST(machine, sci_is_line_9)
{
	ioapic_entry(9, 0x8039);                /* level */
	out(0xb002, 2, 0x100);
	vpm_power_button(&vm->machine.pm);
	assert_int_equal(seen.messages, 1);
	assert_int_equal(seen.last.vector, 0x39);
	assert_true(seen.last.level);
}

TEST(machine, slots_interrupt_above_16)
{
	ioapic_entry(18, 0x8052);
	out(0xcf8, 4, BIT(31) | 2 << 11 | 0x3c);
	assert_int_equal(in(0xcfc, 1), 18);
	pci_func_intx(&vm->machine.net[0].virtio.pci, true);
	assert_int_equal(seen.last.vector, 0x52);
}

TEST(machine, pci_bus_has_what_the_configuration_says)  /* virtio 1.2, "PCI Device Discovery" */
{
	assert_int_equal(config_read(0, 0x0a, 2), 0x0600);      /* host bridge */
	assert_int_equal(config_read(2, 0, 4), 0x10411af4);
	assert_int_equal(config_read(3, 0, 4), 0x10411af4);
	assert_int_equal(config_read(4, 0, 4), 0xffffffff);     /* two NICs only */
	assert_int_equal(config_read(6, 0, 4), 0x10431af4);
	assert_int_equal(config_read(7, 0, 4), 0x10441af4);
	assert_int_equal(config_read(2, 8, 1), 1);
	assert_int_equal(config_read(2, 0x10, 4), 0xe0000004);
	assert_int_equal(config_read(2, 0x20, 4), 0xe0004000);
	assert_int_equal(config_read(3, 0x10, 4), 0xe0008004);
}

/* ACPI 6, "Sleeping Control", "Reset Register" */
TEST(machine, guest_can_turn_itself_off_and_reset)
{
	out(0xb004, 2, 5 << 10 | BIT(13));
	assert_non_null(strstr(seen.off, "S5"));
	out(0xcf9, 1, 6);
	assert_non_null(strstr(seen.reset, "0xcf9"));
	out(0x64, 1, 0xfe);
	assert_non_null(strstr(seen.reset, "keyboard"));
	out(0xf4, 4, 3);
	assert_non_null(strstr(seen.off, "code 3"));
	assert_int_equal(in(0x64, 1), 0xff);
}

TEST(machine, console_log_joins_com1_and_hvc0)
{
	char text[32];
	uint64_t from = 0;

	out(0x3f8, 1, 'a');
	console_put(&vm->machine.log, CONSOLE_HVC0, "b", 1);
	assert_int_equal(machine_console_read(&vm->machine, &from, text, sizeof(text)), 2);
	assert_memory_equal(text, "ab", 2);
	assert_int_equal(from, 2);
	assert_int_equal(machine_console_input(&vm->machine, "x", 1), 1);
	assert_int_equal(vm->machine.console.input.count, 1);   /* hvc0 spoke last */
	out(0x3f8, 1, 'c');
	machine_console_input(&vm->machine, "y", 1);
	assert_int_equal(in(0x3f8, 1), 'y');
}

TEST(machine, every_device_has_a_place_and_a_unique_name)
{
	for (unsigned i = 0; i < vm->machine.ndevs; i++) {
		const struct machine_dev *d = &vm->machine.dev[i];

		assert_non_null(d->ops->reset);
		assert_non_null(d->ops->state);
		assert_int_equal(d->ops->state->check(d->dev), OK);
		for (const struct machine_dev *o = vm->machine.dev; o < d; o++)
			assert_false(!strcmp(d->ops->state->name, o->ops->state->name) &&
				     d->instance == o->instance);
	}
}

/* --- ACPI ------------------------------------------------------------------------------------- */

static uint8_t sum(const uint8_t *p, unsigned len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t tables[0x2000];

static const uint8_t *table_at(uint32_t address)
{
	return tables + (address - MACHINE_ACPI_BASE);
}

static void write_tables(void)
{
	gpa_t rsdp;

	assert_int_equal(acpi_tables_write(vm, &rsdp), OK);
	assert_int_equal(rsdp.v, MACHINE_ACPI_BASE);
	assert_int_equal(mem_read(&vm->mem, rsdp, tables, sizeof(tables)), OK);
}

TEST(acpi, tables_are_found_and_sum_to_zero)    /* ACPI 6, "ACPI System Description Tables" */
{
	const uint8_t *xsdt, *rsdt, *fadt, *madt, *dsdt, *facs;

	write_tables();
	assert_memory_equal(tables, "RSD PTR ", 8);
	assert_int_equal(sum(tables, 20), 0);
	assert_int_equal(sum(tables, 36), 0);
	rsdt = table_at(le32(tables + 16));
	xsdt = table_at(le32(tables + 24));
	assert_memory_equal(xsdt, "XSDT", 4);
	assert_memory_equal(rsdt, "RSDT", 4);
	fadt = table_at(le32(xsdt + 36));
	madt = table_at(le32(xsdt + 44));
	assert_ptr_equal(fadt, table_at(le32(rsdt + 36)));
	assert_memory_equal(fadt, "FACP", 4);
	assert_memory_equal(madt, "APIC", 4);
	dsdt = table_at(le32(fadt + 140));
	assert_ptr_equal(dsdt, table_at(le32(fadt + 40)));
	assert_memory_equal(dsdt, "DSDT", 4);
	facs = table_at(le32(fadt + 36));
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal((facs - tables) % 64, 0);
	for (unsigned i = 0; i < 5; i++) {
		const uint8_t *t = (const uint8_t *[]){ xsdt, rsdt, fadt, madt, dsdt }[i];

		assert_int_equal(sum(t, le32(t + 4)), 0);
	}
}

/* `want` has len + 1 bytes with its NUL; does [p, p + n) contain it? */
static bool contains(const uint8_t *p, unsigned n, const char *want, unsigned len)
{
	for (unsigned i = 0; i + len <= n; i++)
		if (!memcmp(p + i, want, len))
			return true;
	return false;
}

TEST(acpi, madt_lists_cpus_ioapic_and_overrides)     /* ACPI 6, "Multiple APIC Description Table" */
{
	static const char cpu1[] = "\x00\x08\x01\x01\x01\x00\x00\x00";
	static const char timer[] = "\x02\x0a\x00\x00\x02\x00\x00\x00\x00\x00";
	static const char nmi[] = "\x04\x06\xff\x00\x00\x01";
	const uint8_t *madt;

	write_tables();
	madt = table_at(le32(table_at(le32(tables + 24)) + 44));
	assert_true(contains(madt, le32(madt + 4), cpu1, 8));
	assert_true(contains(madt, le32(madt + 4), timer, 10));
	assert_true(contains(madt, le32(madt + 4), nmi, 6));
}

/* Intel's own compiler reads our AML and finds no fault; skipped where it is not installed. */
TEST(acpi, iasl_disassembles_and_recompiles_the_dsdt)
{
	char dir[] = "/tmp/godwit-acpi-XXXXXX", command[200], text[20000];
	const uint8_t *dsdt;
	FILE *f;

	if (system("command -v iasl >/dev/null"))
		skip();
	write_tables();
	dsdt = table_at(le32(table_at(le32(table_at(le32(tables + 24)) + 36)) + 40));
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "%s/dsdt.aml", dir);
	f = fopen(command, "wb");
	assert_int_equal(fwrite(dsdt, 1, le32(dsdt + 4), f), le32(dsdt + 4));
	fclose(f);
	snprintf(command, sizeof(command),
		 "cd %s && iasl -d dsdt.aml >log 2>&1 && iasl -we dsdt.dsl >>log 2>&1", dir);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/dsdt.dsl", dir);
	f = fopen(command, "r");
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	assert_non_null(strstr(text, "EisaId (\"PNP0A03\")"));
	assert_non_null(strstr(text, "_PRT"));
	assert_non_null(strstr(text, "0xE0000000,         // Range Minimum"));
	assert_non_null(strstr(text, "0x0002FFFF"));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

#define VM_TEST(unit, name) cmocka_unit_test_setup_teardown(unit##__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VM_TEST(machine, timer_reaches_pic_input_0_and_ioapic_pin_2),
		VM_TEST(machine, sci_is_line_9),
		VM_TEST(machine, slots_interrupt_above_16),
		VM_TEST(machine, pci_bus_has_what_the_configuration_says),
		VM_TEST(machine, guest_can_turn_itself_off_and_reset),
		VM_TEST(machine, console_log_joins_com1_and_hvc0),
		VM_TEST(machine, every_device_has_a_place_and_a_unique_name),
		VM_TEST(acpi, tables_are_found_and_sum_to_zero),
		VM_TEST(acpi, madt_lists_cpus_ioapic_and_overrides),
		VM_TEST(acpi, iasl_disassembles_and_recompiles_the_dsdt),
	};

	return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
