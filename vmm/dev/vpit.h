/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vpit.h - the 8254 interval timer (Intel 8254 data sheet, "Mode Definitions"), port 0x61.
 *
 * Counting is arithmetic: a counter loaded at tick `start` has counted now - start, where ticks are
 * VM time in periods of the 1.193182 MHz clock.  Nothing drifts and nothing is missed.
 */
#ifndef VMM_DEV_VPIT_H
#define VMM_DEV_VPIT_H

#include "vmm/dev.h"

#define VPIT_HZ        1193182ull
#define VPIT_COUNTERS  3
#define VPIT_NO_TICK   UINT64_MAX

struct vpit {
	/* One entry a counter. */
	uint32_t count[VPIT_COUNTERS];   /* N being counted, 1..65536; 0: none yet              */
	uint32_t next[VPIT_COUNTERS];    /* N that waits for its moment; 0: none                */
	uint64_t next_at[VPIT_COUNTERS]; /* the tick of that moment; NO_TICK: at a trigger      */
	uint64_t start[VPIT_COUNTERS];   /* counting: the tick at which N was loaded            */
	uint64_t elapsed[VPIT_COUNTERS]; /* not counting: ticks counted before it stopped       */
	uint8_t  counting[VPIT_COUNTERS];
	uint8_t  gate[VPIT_COUNTERS];
	uint8_t  control[VPIT_COUNTERS]; /* of the last control word: access, mode, BCD         */
	uint8_t  low[VPIT_COUNTERS];     /* first byte of a two-byte count, if low_held         */
	uint8_t  low_held[VPIT_COUNTERS];
	uint8_t  read_high[VPIT_COUNTERS]; /* the next read of two gives the high byte            */
	uint16_t latch[VPIT_COUNTERS];
	uint8_t  latched[VPIT_COUNTERS]; /* bytes of `latch` still to be read                   */
	uint8_t  status[VPIT_COUNTERS];
	uint8_t  status_held[VPIT_COUNTERS];
	uint8_t  port61;                 /* bit 0 gate of counter 2, bit 1 speaker              */
	uint64_t edge;                   /* tick of counter 0's next rising edge, or NO_TICK    */
	struct wire irq;                 /* derived: OUT of counter 0                           */
};

extern const struct dev_ops vpit_ops;

void vpit_init(struct vpit *p, struct wire irq);

#endif
