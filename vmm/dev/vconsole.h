/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vconsole.h - virtio console (virtio 1.2, "Console Device"), one port: hvc0.
 */
#ifndef VMM_DEV_VCONSOLE_H
#define VMM_DEV_VCONSOLE_H

#include "vmm/dev/console.h"
#include "vmm/dev/virtio.h"

struct vconsole {
	struct virtio virtio;           /* must be first */
	struct console_input input;
	struct console *console;        /* derived       */
};

extern const struct dev_ops vconsole_ops;

void vconsole_init(struct vconsole *c, struct mem *mem, struct console *console,
		   struct msg_wire msi);

/* Typed by a person; returns how many bytes were taken. */
size_t vconsole_input(struct vconsole *c, const void *bytes, size_t len);

#endif
