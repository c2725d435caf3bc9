/* SPDX-License-Identifier: MIT */
/*
 * mig/hello.h - what a guest is and needs: the body of HELLO, known before its first page.
 */
#ifndef MIG_HELLO_H
#define MIG_HELLO_H

#include "mig/section.h"
#include "vmm/vm.h"

struct hello {
	struct vm_config    config;
	struct cpuid_table  cpuid;              /* the CPU that the guest was shown             */
	uint64_t            tsc_khz;            /* TSC frequency that the guest was told        */
	uint64_t            downtime_max_ns;    /* for people                                   */
	bool                verify;             /* VERIFY will come                             */
	unsigned            nsections;          /* every section that will come, in load order  */
	struct section_head section[WIRE_SECTIONS_MAX];
};

void     hello_put(struct wire_out *w, const struct hello *h);
enum err hello_take(struct wire_in *r, struct hello *h);        /* names the field that is wrong */

#endif
