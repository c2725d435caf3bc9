/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vpic.h - the two cascaded 8259A interrupt controllers (Intel 8259A data sheet).
 */
#ifndef VMM_DEV_VPIC_H
#define VMM_DEV_VPIC_H

#include "vmm/dev.h"

#define VPIC_LINES 16

struct vpic_chip {
	uint8_t lines;          /* levels of the eight inputs                             */
	uint8_t irr, isr, imr;
	uint8_t elcr;           /* bit n: input n is level-triggered                      */
	uint8_t vector_base;    /* ICW2                                                   */
	uint8_t icw1, icw4;
	uint8_t expect;         /* which ICW comes next: 2, 3, 4, or 0 when initialised   */
	uint8_t read_isr;       /* OCW3: reads give ISR, not IRR                          */
	uint8_t poll;           /* OCW3: the next read is a poll                          */
	uint8_t special_mask;
	uint8_t rotate_aeoi;    /* OCW2: rotate at each automatic EOI                     */
	uint8_t lowest;         /* the input with the lowest priority, 7 after ICW1       */
};

struct vpic {
	struct vpic_chip chip[2];       /* master, slave                                  */
	struct wire      intr;          /* derived: the master's INT pin                  */
};

extern const struct dev_ops vpic_ops;

void vpic_init(struct vpic *p, struct wire intr);
void vpic_set_line(void *vpic, unsigned line, bool level);      /* 0..15; fits struct wire */
int  vpic_pending(const struct vpic *p);        /* the vector that INTA would give, or -1  */
int  vpic_accept(struct vpic *p);               /* INTA: the vector (spurious: base + 7)   */

#endif
