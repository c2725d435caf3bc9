/* SPDX-License-Identifier: MIT */
/*
 * vmm/virt.c - the CPU vendor in use: set once at boot, by boot/main.c, after its probe; and the
 * list of features that a probe makes.
 */
#include "vmm/virt.h"

#include "lib/log.h"

const struct virt_ops *virt;
struct virt_caps virt_caps;

void virt_add_feature(struct virt_caps *out, const char *name, bool found, bool required,
                      const char *why)
{
	ASSERT(out->nfeatures < VIRT_FEATURES_MAX);
	out->feature[out->nfeatures++] = (struct virt_feature){
		.name = name, .found = found, .required = required, .why = found ? NULL : why };
	out->usable &= found || !required;
}
