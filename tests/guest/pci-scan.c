/* SPDX-License-Identifier: MIT */
/*
 * pci-scan - configuration space by ports 0xcf8 and 0xcfc: what is there, and is it well formed?
 *
 * Reason: every driver starts here.
 * Verdict: PASS when the host bridge answers, empty slots read all ones, BARs tell a power of two
 * and keep their address, capability lists end, and the modern virtio devices are found: net,
 * console and entropy, or those that the option `none` or `need=MASK` (1 net, 2 console, 4 entropy)
 * asks for.
 */
#include "lib/guest.h"
#include "lib/pci.h"

const char guest_name[] = "pci-scan";
const char guest_title[] = "PCI configuration (PCI Local Bus 3.0, \"Configuration Space\")";

enum { NEED_NET = 1, NEED_CONSOLE = 2, NEED_ENTROPY = 4, CAPS_MAX = 48, EMPTY_SLOT = 31 };

static uint64_t found;

static void check_bars(struct pci_device d)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar bar = pci_bar(d, i);
		if (!bar.size)
			continue;
		guest_print("pci-scan:   BAR %u: %s %lx size %lx\n", i, bar.io ? "I/O" : "memory",
			    bar.address, bar.size);
		CHECK((bar.size & (bar.size - 1)) == 0, "BAR %u: size %lx", i, bar.size);
		CHECK((bar.address & (bar.size - 1)) == 0, "BAR %u: %lx is not aligned", i,
		      bar.address);
		CHECK(pci_bar(d, i).address == bar.address, "BAR %u moved by being sized", i);
		if (bar.wide)
			i++;
	}
}

static unsigned check_capabilities(struct pci_device d)
{
	unsigned count = 0, last = 0;

	for (unsigned cap = pci_next_capability(d, 0); cap; cap = pci_next_capability(d, cap)) {
		CHECK(++count < CAPS_MAX, "the capability list does not end");
		CHECK(cap >= 0x40 && cap % 4 == 0, "capability at %x after %x", cap, last);
		last = cap;
	}
	return count;
}

static void check_device(struct pci_device d)
{
	uint16_t vendor = pci_read16(d, PCI_VENDOR), device = pci_read16(d, PCI_DEVICE);
	uint32_t both = pci_read32(d, PCI_VENDOR);

	CHECK(both == ((uint32_t)device << 16 | vendor), "32 bits %x, 16 bits %x %x", both, device,
	      vendor);
	CHECK(pci_read8(d, PCI_VENDOR + 1) == vendor >> 8, "8 bits %x",
	      pci_read8(d, PCI_VENDOR + 1));
	guest_print("pci-scan: %02u.%u %04x:%04x class %06x, %u capabilities\n", d.slot, d.function,
		    vendor, device, pci_read32(d, PCI_REVISION) >> 8, check_capabilities(d));
	uint16_t command = pci_read16(d, PCI_COMMAND);
	if (vendor == PCI_VENDOR_VIRTIO) {
		/* Decoding is off while the BARs hold all ones. */
		pci_write16(d, PCI_COMMAND, 0);
		check_bars(d);
		pci_write16(d, PCI_COMMAND, command);
		CHECK(pci_read16(d, PCI_COMMAND) == command, "command register forgot");
		found |= device == PCI_DEVICE_VIRTIO + 1 ? NEED_NET : 0;
		found |= device == PCI_DEVICE_VIRTIO + 3 ? NEED_CONSOLE : 0;
		found |= device == PCI_DEVICE_VIRTIO + 4 ? NEED_ENTROPY : 0;
	}
	pci_write32(d, PCI_VENDOR, 0);
	CHECK(pci_read32(d, PCI_VENDOR) == both, "the identity can be overwritten");
}

void guest_main(void)
{
	uint64_t need = guest_option("need", NEED_NET | NEED_CONSOLE | NEED_ENTROPY);
	struct pci_device d = { 0, 0 };

	CHECK(pci_read16(d, PCI_VENDOR) != PCI_NOBODY, "no host bridge");
	for (d.slot = 0; d.slot < PCI_SLOTS; d.slot++)
		for (d.function = 0; d.function < pci_functions(d.slot); d.function++)
			if (pci_read16(d, PCI_VENDOR) != PCI_NOBODY)
				check_device(d);
	d = (struct pci_device){ EMPTY_SLOT, 0 };
	CHECK(pci_read32(d, PCI_VENDOR) == UINT32_MAX, "slot %u is not empty", d.slot);
	if (!guest_has_option("none"))
		CHECK((found & need) == need, "virtio devices found %lx, needed %lx", found, need);
}
