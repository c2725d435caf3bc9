/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vrtc.h - the MC146818 real-time clock and its 128 bytes of CMOS memory.
 *
 * The date is the VM clock's wall time plus an offset that changes when the guest sets the clock.
 */
#ifndef VMM_DEV_VRTC_H
#define VMM_DEV_VRTC_H

#include "vmm/dev.h"

struct clock;

#define VRTC_BYTES 128

struct vrtc {
	uint8_t  index;                 /* port 0x70, bits 6:0                                    */
	uint8_t  cmos[VRTC_BYTES];      /* alarm, registers A to D, memory; the date while held   */
	int64_t  offset_s;              /* guest's date minus the VM's wall clock, seconds        */
	uint32_t phase_ns;              /* and how much earlier its seconds begin                 */
	uint64_t seen_ns;               /* VM time up to which the flags of register C are right  */
	uint64_t deadline_ns;           /* VM time of the next interrupt, or NEVER_NS             */
	const struct clock *clock;      /* derived: wall clock at VM time 0                       */
	struct wire irq;                /* derived: IRQ 8                                         */
};

extern const struct dev_ops vrtc_ops;

/* `ram_bytes` goes into the bytes where the BIOS keeps the memory size. */
void vrtc_init(struct vrtc *r, const struct clock *clock, uint64_t ram_bytes, struct wire irq);

#endif
