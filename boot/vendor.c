/* SPDX-License-Identifier: MIT */
/*
 * boot/vendor.c - whose virtualisation this machine has.
 *
 * One vendor so far, so there is nothing to choose: on any other CPU its probe says what is
 * missing.  A second one is a second entry here and a twin of the folder arch/x86_64/vmx.
 */
#include "boot/boot.h"

#include "arch/x86_64/vmx/vmx.h"
#include "vmm/virt.h"

enum err vendor_init(void)
{
	virt = boot_options.virt_off ? &novirt_ops : &vmx_ops;
	return OK;
}
