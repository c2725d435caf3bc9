/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/exitport.h - how small test kernels end: a code to port 0xf4, or the bytes "Shutdown" to
 * port 0x8900.
 */
#ifndef VMM_DEV_EXITPORT_H
#define VMM_DEV_EXITPORT_H

#include "vmm/dev/vpm.h"

struct exitport {
	uint8_t      matched;           /* bytes of "Shutdown" seen so far                     */
	uint8_t      ended;             /* `code` was written                                  */
	uint32_t     code;              /* by custom, a process would exit with code * 2 + 1   */
	struct power power;             /* derived                                             */
};

extern const struct dev_ops exitport_ops;

void exitport_init(struct exitport *e, struct power power);

#endif
