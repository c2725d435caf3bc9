/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev.h - what a device model is.
 *
 * A model is pure: it gets an access and the VM's time, it gives a value, and it raises wires.  No
 * model reads a clock, takes a lock, logs per access, or knows who is at the other end of a wire.
 * Adding a device means one file and one line in vmm/machine.c.
 */
#ifndef VMM_DEV_H
#define VMM_DEV_H

#include "lib/types.h"
#include "vmm/state.h"

enum bus_space { BUS_IO, BUS_MMIO, BUS_SPACES };

struct range { uint8_t space; uint64_t base, len; };

/* One access of the guest.  `addr` is the port or guest-physical address itself. */
struct access {
	uint64_t addr;
	uint8_t  size;          /* 1, 2, 4; MMIO also 8 */
	uint8_t  vcpu;          /* who asks             */
	uint64_t now_ns;        /* VM time              */
};

struct dev_ops {
	const char         *name;
	const struct range *ranges;     /* fixed ones; those in BARs are mapped by vmm/dev/pci.c */
	unsigned            nranges;
	void     (*reset)(void *dev);
	uint64_t (*read)(void *dev, const struct access *a);
	void     (*write)(void *dev, const struct access *a, uint64_t value);
	/* VM time of the next tick(), NEVER_NS; and what it does then.  May be NULL. */
	uint64_t (*deadline)(const void *dev);
	void     (*tick)(void *dev, uint64_t now_ns);
	const struct section *state;    /* what travels when the VM moves; may be NULL */
};

/* An interrupt wire: level-triggered in meaning; the receiver decides about edges. */
struct wire {
	void   (*set)(void *to, unsigned line, bool level);
	void    *to;
	unsigned line;
};
static inline void wire_set(const struct wire *w, bool level)
{
	if (w->set)
		w->set(w->to, w->line, level);
}

/* What travels between IOAPIC, MSI and local APICs (SDM vol. 3, "Message Signalled Interrupts"). */
struct apic_msg {
	uint8_t  vector;
	uint8_t  delivery;      /* 0 fixed, 1 lowest, 2 SMI, 4 NMI, 5 INIT, 6 SIPI, 7 ExtINT     */
	bool     logical;
	bool     level;         /* trigger mode                                                  */
	bool     assert;
	uint8_t  shorthand;     /* 0 none, 1 self, 2 all, 3 all but self (only from a local APIC) */
	uint32_t dest;
};
struct msg_wire {
	void (*send)(void *to, const struct apic_msg *msg);
	void  *to;
};

/* An MSI or MSI-X message as the guest programmed it, decoded. */
struct apic_msg apic_msg_from_msi(uint64_t address, uint32_t data);

#endif
