/* SPDX-License-Identifier: MIT */
/* lib/pic.c - 8259A pair and 8254, programmed the way that BIOSes and kernels do it. */
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/pic.h"

enum {
	ICW1_INIT_ICW4 = 0x11, ICW3_MASTER = 0x04, ICW3_SLAVE = 0x02, ICW4_8086 = 0x01,
	OCW2_EOI = 0x20, OCW3_READ_IRR = 0x0a, OCW3_READ_ISR = 0x0b,
	IRQ_CASCADE = 2, ALL_MASKED = 0xff,
	PIT_BOTH_BYTES = 3 << 4,
};

void pic_init(uint8_t first_vector)
{
	insn_outb(PIC_MASTER, ICW1_INIT_ICW4);
	insn_outb(PIC_SLAVE, ICW1_INIT_ICW4);
	insn_outb(PIC_MASTER + 1, first_vector);
	insn_outb(PIC_SLAVE + 1, first_vector + 8);
	insn_outb(PIC_MASTER + 1, ICW3_MASTER);
	insn_outb(PIC_SLAVE + 1, ICW3_SLAVE);
	insn_outb(PIC_MASTER + 1, ICW4_8086);
	insn_outb(PIC_SLAVE + 1, ICW4_8086);
	pic_mask_all();
}

void pic_mask_all(void)
{
	insn_outb(PIC_MASTER + 1, ALL_MASKED);
	insn_outb(PIC_SLAVE + 1, ALL_MASKED);
}

static void clear_mask_bit(uint16_t port, unsigned bit)
{
	insn_outb(port, insn_inb(port) & (uint8_t)~(1u << bit));
}

void pic_unmask(unsigned irq)
{
	if (irq >= 8) {
		clear_mask_bit(PIC_SLAVE + 1, irq - 8);
		irq = IRQ_CASCADE;
	}
	clear_mask_bit(PIC_MASTER + 1, irq);
}

void pic_eoi(unsigned irq)
{
	if (irq >= 8)
		insn_outb(PIC_SLAVE, OCW2_EOI);
	insn_outb(PIC_MASTER, OCW2_EOI);
}

static uint16_t read_both(uint8_t ocw3)
{
	insn_outb(PIC_MASTER, ocw3);
	insn_outb(PIC_SLAVE, ocw3);
	return (uint16_t)(insn_inb(PIC_SLAVE) << 8 | insn_inb(PIC_MASTER));
}

uint16_t pic_read_irr(void)
{
	return read_both(OCW3_READ_IRR);
}

uint16_t pic_read_isr(void)
{
	return read_both(OCW3_READ_ISR);
}

void pit_start(unsigned channel, unsigned mode, uint16_t count)
{
	insn_outb(PIT_COMMAND, (uint8_t)(channel << 6 | PIT_BOTH_BYTES | mode << 1));
	insn_outb((uint16_t)(PIT_CHANNEL0 + channel), (uint8_t)count);
	insn_outb((uint16_t)(PIT_CHANNEL0 + channel), (uint8_t)(count >> 8));
}

uint16_t pit_read(unsigned channel)
{
	uint16_t port = (uint16_t)(PIT_CHANNEL0 + channel);

	insn_outb(PIT_COMMAND, (uint8_t)(channel << 6 | PIT_LATCH));
	uint8_t low = insn_inb(port);
	return (uint16_t)(insn_inb(port) << 8 | low);
}

void pit_periodic_hz(unsigned hz)
{
	CHECK(hz > PIT_HZ / 65536, "the PIT cannot tick as slowly as %u Hz", hz);
	pit_start(0, PIT_MODE_RATE, (uint16_t)(PIT_HZ / hz));
}
