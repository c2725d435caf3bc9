/* SPDX-License-Identifier: MIT */
/*
 * boot/novirt.c - the door to no vendor at all, behind virt=off.
 *
 * A host without guests: network, switch and control service run on any machine, so a NIC can be
 * tried where there is no virtualisation.  It has no second-stage tables (s2 is NULL), and so
 * vm_create() refuses; nothing else behind this door is ever reached.
 */
#include "boot/boot.h"

#include "vmm/virt.h"

static enum err probe(struct virt_caps *caps)
{
	*caps = (struct virt_caps){ .usable = false };
	return OK;
}

static enum err cpu_on(unsigned cpu)
{
	(void)cpu;
	return OK;
}

const struct virt_ops novirt_ops = { .name = "none", .probe = probe, .cpu_on = cpu_on };
