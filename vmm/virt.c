/* SPDX-License-Identifier: MIT */
/*
 * vmm/virt.c - the CPU vendor in use: set once at boot, by boot/main.c, after its probe.
 */
#include "vmm/virt.h"

const struct virt_ops *virt;
struct virt_caps virt_caps;
