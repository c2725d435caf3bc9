/* SPDX-License-Identifier: MIT */
/*
 * boot/vendor.c - whose virtualisation this machine has.
 *
 * Each vendor's probe reads what the CPU says.  The first that is there at all is the one, whatever
 * else it lacks: the self-test says that.  When none is there, what each of them missed is kept for
 * the self-test, so that a machine without any is told so in full.
 */
#include "boot/boot.h"

#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/vmx/vmx.h"
#include "vmm/virt.h"

static const struct virt_ops *const vendors[] = { &vmx_ops, &svm_ops };

static void remember(const struct virt_caps *caps)
{
	for (unsigned i = 0; i < caps->nfeatures && virt_caps.nfeatures < VIRT_FEATURES_MAX; i++)
		virt_caps.feature[virt_caps.nfeatures++] = caps->feature[i];
}

enum err vendor_init(void)
{
	static struct virt_caps caps;

	virt = boot_options.virt_off ? &novirt_ops : vendors[0];
	if (boot_options.virt_off)
		return virt->probe(&virt_caps);
	for (unsigned i = 0; i < COUNT(vendors); i++) {
		enum err e = vendors[i]->probe(&caps);
		if (e != OK)
			return e;
		if (caps.present) {
			virt = vendors[i];
			virt_caps = caps;
			return OK;
		}
		remember(&caps);
	}
	return OK;
}
