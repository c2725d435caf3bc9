/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/msix.c - a function's own interrupt vectors.
 *
 * Called by vmm/dev/pci.c (table, capability) and by the device models (msix_fire).
 */
#include "vmm/dev/msix.h"

#include "arch/x86_64/defs/apic.h"

#define ENTRY_LEN       16u
#define ENTRY_ADDRESS   0               /* offsets in an entry */
#define ENTRY_ADDRESS_HIGH 4
#define ENTRY_DATA      8
#define ENTRY_CONTROL   12
#define CONTROL_MASKED  BIT(0)

/* SDM vol. 3, "Message Address Register Format" and "Message Data Register Format". */
#define MSI_WINDOW      MASK(63, 20)
#define MSI_DEST        MASK(19, 12)
#define MSI_LOGICAL     BIT(2)
#define MSI_VECTOR      MASK(7, 0)
#define MSI_MODE        MASK(10, 8)
#define MSI_ASSERT      BIT(14)
#define MSI_LEVEL       BIT(15)
#define PHYSICAL_ALL    0xffu
#define BROADCAST       0xffffffffu

struct apic_msg apic_msg_from_msi(uint64_t address, uint32_t data)
{
	uint32_t dest = (uint32_t)GET(MSI_DEST, address);
	bool logical = address & MSI_LOGICAL;

	return (struct apic_msg){
		.vector   = (uint8_t)GET(MSI_VECTOR, data),
		.delivery = (uint8_t)GET(MSI_MODE, data),
		.logical  = logical,
		.level    = data & MSI_LEVEL,
		.assert   = data & MSI_ASSERT,
		.dest     = !logical && dest == PHYSICAL_ALL ? BROADCAST : dest,
	};
}

static void send(struct msix *m, unsigned n)
{
	struct apic_msg msg = apic_msg_from_msi(m->address[n], m->data[n]);

	m->pending &= (uint32_t)~BIT(n);
	/* Elsewhere it would be a write to memory, which no driver wants from an interrupt. */
	if ((m->address[n] & MSI_WINDOW) == APIC_DEFAULT_BASE && m->out.send)
		m->out.send(m->out.to, &msg);
}

static void send_pending(struct msix *m)
{
	for (unsigned n = 0; n < m->nvectors; n++)
		if (m->enabled && !m->masked && !(m->control[n] & CONTROL_MASKED) &&
		    (m->pending & BIT(n)))
			send(m, n);
}

void msix_fire(struct msix *m, unsigned n)
{
	if (!m->enabled || n >= m->nvectors)
		return;
	m->pending |= (uint32_t)BIT(n);
	send_pending(m);
}

void msix_control(struct msix *m, bool enabled, bool masked)
{
	m->enabled = enabled;
	m->masked = masked;
	send_pending(m);
}

static uint32_t read4(const struct msix *m, uint64_t offset)
{
	unsigned n = (unsigned)(offset / ENTRY_LEN);

	if (offset == MSIX_PBA_OFFSET)
		return m->pending;
	if (n >= m->nvectors)
		return 0;
	switch (offset % ENTRY_LEN) {
	case ENTRY_ADDRESS:      return (uint32_t)m->address[n];
	case ENTRY_ADDRESS_HIGH: return (uint32_t)(m->address[n] >> 32);
	case ENTRY_DATA:         return m->data[n];
	default:                 return m->control[n];
	}
}

static void write4(struct msix *m, uint64_t offset, uint32_t value)
{
	unsigned n = (unsigned)(offset / ENTRY_LEN);

	if (n >= m->nvectors)
		return;
	switch (offset % ENTRY_LEN) {
	case ENTRY_ADDRESS:
		m->address[n] = (m->address[n] & MASK(63, 32)) | (value & (uint32_t)~MASK(1, 0));
		break;
	case ENTRY_ADDRESS_HIGH:
		m->address[n] = (m->address[n] & MASK(31, 0)) | (uint64_t)value << 32;
		break;
	case ENTRY_DATA:
		m->data[n] = value;
		break;
	default:
		m->control[n] = value & (uint32_t)CONTROL_MASKED;
		send_pending(m);
		break;
	}
}

uint64_t msix_read(const struct msix *m, uint64_t offset, unsigned size)
{
	if (size < 4 || offset % size)
		return 0;
	return read4(m, offset) | (size == 8 ? (uint64_t)read4(m, offset + 4) << 32 : 0);
}

void msix_write(struct msix *m, uint64_t offset, unsigned size, uint64_t value)
{
	if (size < 4 || offset % size)
		return;
	write4(m, offset, (uint32_t)value);
	if (size == 8)
		write4(m, offset + 4, (uint32_t)(value >> 32));
}

void msix_reset(struct msix *m)
{
	*m = (struct msix){ .nvectors = m->nvectors, .out = m->out };
	for (unsigned n = 0; n < m->nvectors; n++)
		m->control[n] = CONTROL_MASKED;
}

void msix_init(struct msix *m, unsigned nvectors, struct msg_wire out)
{
	*m = (struct msix){ .nvectors = (uint8_t)nvectors, .out = out };
	msix_reset(m);
}

enum err msix_check(const struct msix *m)
{
	for (unsigned n = 0; n < MSIX_VECTORS_MAX; n++) {
		if (m->address[n] & MASK(1, 0))
			return fail(ERR_BAD_FORMAT, "msix: address[%u] is not aligned", n);
		if (m->control[n] & ~CONTROL_MASKED)
			return fail(ERR_BAD_FORMAT, "msix: control[%u] has reserved bits", n);
	}
	if (m->pending >> m->nvectors)
		return fail(ERR_BAD_FORMAT, "msix: pending %#x names vectors that do not exist",
			    m->pending);
	return OK;
}
