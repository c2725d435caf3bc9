/* SPDX-License-Identifier: MIT */
/*
 * lib/pic.h - the two 8259A interrupt controllers and the 8254 timer (Intel data sheets of both).
 */
#ifndef GUEST_PIC_H
#define GUEST_PIC_H

#include <stdint.h>

enum {
	PIC_MASTER = 0x20, PIC_SLAVE = 0xa0,     /* command ports; data ports follow          */
	PIT_CHANNEL0 = 0x40, PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43, PORT_SYSTEM_B = 0x61,
	PIT_HZ = 1193182,
	PIT_MODE_ONE_SHOT = 0, PIT_MODE_RATE = 2, PIT_MODE_SQUARE = 3,
	PIT_LATCH = 0,
};

void pic_init(uint8_t first_vector);             /* IRQ n at first_vector + n; all masked     */
void pic_unmask(unsigned irq);
void pic_mask_all(void);
void pic_eoi(unsigned irq);                      /* non-specific EOI, to both where needed    */
uint16_t pic_read_irr(void);                     /* slave in the high byte                    */
uint16_t pic_read_isr(void);

void pit_start(unsigned channel, unsigned mode, uint16_t count);  /* count 0 is 65536         */
uint16_t pit_read(unsigned channel);             /* latches, then reads both bytes            */
void pit_periodic_hz(unsigned hz);               /* channel 0, mode 2; 19 Hz and above        */

#endif
