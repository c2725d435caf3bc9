/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vpic.h - the two cascaded 8259A interrupt controllers.
 */
#ifndef VMM_DEV_VPIC_H
#define VMM_DEV_VPIC_H

#include "vmm/dev.h"

struct vpic_chip { uint8_t irr, isr, imr, lines, vector_base, elcr, icw_step, icw4, read_isr, auto_eoi, rotate, special_mask, poll, priority; };
struct vpic {
	struct vpic_chip chip[2];
	struct wire      intr;          /* derived: the INTR pin, high while something is pending */
};

extern const struct dev_ops vpic_ops;

void vpic_init(struct vpic *p, struct wire intr);
void vpic_set_line(void *vpic, unsigned line, bool level);      /* 0..15; fits struct wire */
int  vpic_pending(const struct vpic *p);                        /* vector, or -1           */
int  vpic_accept(struct vpic *p);                               /* the INTA cycle: gives the vector (spurious: base + 7) */

#endif
