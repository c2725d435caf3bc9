/* SPDX-License-Identifier: MIT */
/*
 * vmm/machine.c - the board: devices in their places, wires between them.
 *
 *   ISA line n --> 8259 pair input n ------------ INTR ----> LINT0 of vCPU 0
 *             \--> IOAPIC pin n (line 0: pin 2) -- message --> local APICs
 *   PCI slot s, INTA --> IOAPIC pin 16 + s        MSI-X ----> local APICs
 *
 * The order of machine.dev[] is the order in which state is loaded: interrupt controllers first,
 * the PCI bus before what sits on it.  vmm/acpi_tables.c tells the guest what is built here.
 */
#include "vmm/machine.h"

#include "lib/log.h"
#include "lib/random.h"
#include "vmm/vm.h"

#define ISA_LINES       16u
#define ISA_TIMER       0u
#define ISA_CASCADE     2u
#define ISA_RTC         8u
#define IOAPIC_TIMER    2u              /* where line 0 goes: the MADT says so */

/* --- Wires ------------------------------------------------------------------------------------ */

static void isa_set(void *machine, unsigned line, bool level)
{
	struct machine *m = machine;

	ASSERT(line < ISA_LINES && line != ISA_CASCADE);
	vpic_set_line(&m->pic, line, level);
	vioapic_set_line(&m->ioapic, line == ISA_TIMER ? IOAPIC_TIMER : line, level);
}

static struct wire isa_wire(struct machine *m, unsigned line)
{
	return (struct wire){ isa_set, m, line };
}

static struct wire slot_wire(struct machine *m, unsigned slot)
{
	return (struct wire){ vioapic_set_line, &m->ioapic, MACHINE_PCI_GSI(slot) };
}
_Static_assert(MACHINE_PCI_GSI(MACHINE_SLOT_RNG) < VIOAPIC_LINES,
	       "every slot has a pin of the IOAPIC");

static void intr_set(void *vm, unsigned line, bool level)
{
	struct vcpu *bsp = ((struct vm *)vm)->vcpu[0];

	(void)line;
	if (!bsp)
		return;
	bsp->extint = level;
	if (level)
		vcpu_kick(bsp);
}

static void message_send(void *vm, const struct apic_msg *msg)
{
	vm_apic_send(vm, msg);
}

static void guest_off(void *vm, const char *why)   { vm_power_off(vm, why); }
static void guest_reset(void *vm, const char *why) { vm_reset(vm, why); }

/* --- Building --------------------------------------------------------------------------------- */

static void add(struct machine *m, const struct dev_ops *ops, void *dev, unsigned instance)
{
	ASSERT(m->ndevs < VM_DEVICES_MAX);
	m->dev[m->ndevs++] = (struct machine_dev){ ops, dev, (uint16_t)instance };
}

static void create_isa(struct vm *vm, struct msg_wire messages, struct power power)
{
	struct machine *m = &vm->machine;

	vpic_init(&m->pic, (struct wire){ intr_set, vm, 0 });
	vioapic_init(&m->ioapic, messages);
	vpit_init(&m->pit, isa_wire(m, ISA_TIMER));
	vrtc_init(&m->rtc, &vm->clock, vm->config.ram_bytes, isa_wire(m, ISA_RTC));
	vpm_init(&m->pm, isa_wire(m, MACHINE_SCI), power);
	console_init(&m->log);
	vuart_init(&m->uart, &m->log, isa_wire(m, MACHINE_COM1_IRQ));
	exitport_init(&m->exitport, power);
	pci_init(&m->pci, &vm->bus, MACHINE_PCI_MMIO_BASE, MACHINE_PCI_MMIO_END, power);
	add(m, &vpic_ops, &m->pic, 0);
	add(m, &vioapic_ops, &m->ioapic, 0);
	add(m, &vpit_ops, &m->pit, 0);
	add(m, &vrtc_ops, &m->rtc, 0);
	add(m, &vpm_ops, &m->pm, 0);
	add(m, &console_ops, &m->log, 0);
	add(m, &vuart_ops, &m->uart, 0);
	add(m, &exitport_ops, &m->exitport, 0);
	add(m, &pci_ops, &m->pci, 0);
}

static enum err add_slot(struct machine *m, unsigned slot, const struct dev_ops *ops,
                         struct virtio *v, unsigned instance)
{
	v->owner = CONTAINER_OF(m, struct vm, machine)->config.name;
	add(m, ops, v, instance);
	return pci_add(&m->pci, slot, &v->pci, slot_wire(m, slot), MACHINE_PCI_GSI(slot));
}

static enum err create_pci(struct vm *vm, struct msg_wire messages)
{
	struct machine *m = &vm->machine;
	enum err e = OK;

	for (unsigned i = 0; i < vm->config.nnics && e == OK; i++) {
		vnet_init(&m->net[i], &vm->mem, vm->config.nic[i].mac, messages);
		e = add_slot(m, MACHINE_SLOT_NET + i, &vnet_ops, &m->net[i].virtio, i);
		m->nnets++;
	}
	if (e != OK)
		return e;
	vconsole_init(&m->console, &vm->mem, &m->log, messages);
	e = add_slot(m, MACHINE_SLOT_CONSOLE, &vconsole_ops, &m->console.virtio, 0);
	if (e != OK)
		return e;
	vrng_init(&m->rng, &vm->mem, random_bytes, messages);
	return add_slot(m, MACHINE_SLOT_RNG, &vrng_ops, &m->rng.virtio, 0);
}
_Static_assert(MACHINE_SLOT_NET + VM_NICS_MAX <= MACHINE_SLOT_CONSOLE, "every NIC has a slot");

static enum err map_ranges(struct vm *vm)
{
	for (unsigned d = 0; d < vm->machine.ndevs; d++) {
		const struct machine_dev *dev = &vm->machine.dev[d];

		for (unsigned i = 0; i < dev->ops->nranges; i++) {
			const struct range *r = &dev->ops->ranges[i];
			enum err e =
				bus_map(&vm->bus, r->space, r->base, r->len, dev->ops, dev->dev);

			if (e != OK)
				return e;
		}
	}
	return OK;
}

enum err machine_create(struct vm *vm)
{
	struct msg_wire messages = { message_send, vm };
	struct power power = { guest_off, guest_reset, vm };
	enum err e;

	vm->machine.ndevs = vm->machine.nnets = 0;
	create_isa(vm, messages, power);
	e = create_pci(vm, messages);
	return e == OK ? map_ranges(vm) : e;
}

/* Nothing here has memory of its own: the bus forgets the devices, and that is all. */
void machine_destroy(struct vm *vm)
{
	bus_init(&vm->bus);
	vm->machine.ndevs = vm->machine.nnets = 0;
}

void machine_reset(struct vm *vm)
{
	for (unsigned d = 0; d < vm->machine.ndevs; d++)
		vm->machine.dev[d].ops->reset(vm->machine.dev[d].dev);
}

/* --- Consoles --------------------------------------------------------------------------------- */

size_t machine_console_read(const struct machine *m, uint64_t *from, void *to, size_t size)
{
	return console_read(&m->log, from, to, size);
}

size_t machine_console_input(struct machine *m, const void *bytes, size_t len)
{
	if (m->log.last == CONSOLE_HVC0)
		return vconsole_input(&m->console, bytes, len);
	return vuart_input(&m->uart, bytes, len);
}
