/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/exitport.h - how small test kernels end: a code to port 0xf4, or the bytes "Shutdown" to 0x8900.
 */
#ifndef VMM_DEV_EXITPORT_H
#define VMM_DEV_EXITPORT_H

#include "vmm/dev/vpm.h"

#define EXITPORT_CODE     0xf4u         /* exit status of a process would be code * 2 + 1 */
#define EXITPORT_SHUTDOWN 0x8900u

struct exitport {
	uint8_t      matched;           /* bytes of "Shutdown" seen so far         */
	uint8_t      ended;             /* a code was written                      */
	uint32_t     code;
	struct power power;             /* derived                                 */
};

extern const struct dev_ops exitport_ops;

void exitport_init(struct exitport *e, struct power power);

#endif
