/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vioapic.h - the I/O APIC (Intel 82093AA data sheet): 24 lines to interrupt messages.
 */
#ifndef VMM_DEV_VIOAPIC_H
#define VMM_DEV_VIOAPIC_H

#include "vmm/dev.h"

#define VIOAPIC_LINES 24

struct vioapic {
	uint8_t  select;
	uint32_t id;
	uint32_t lines;                 /* bit n: input n is asserted, whatever its polarity     */
	uint64_t redir[VIOAPIC_LINES];
	struct msg_wire out;            /* derived                                               */
};

extern const struct dev_ops vioapic_ops;

void vioapic_init(struct vioapic *a, struct msg_wire out);
void vioapic_set_line(void *vioapic, unsigned line, bool level); /* fits struct wire */
void vioapic_eoi(void *vioapic, uint8_t vector);        /* from a local APIC, level-triggered */

#endif
