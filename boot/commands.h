/* SPDX-License-Identifier: MIT */
/*
 * boot/commands.h - the control service's table; docs/api.md says what each request means.
 */
#ifndef BOOT_COMMANDS_H
#define BOOT_COMMANDS_H

#include "net/ctl.h"
#include "mig/mig.h"
#include "vmm/vm.h"

extern const struct ctl_route commands[];
extern const unsigned ncommands;

/* boot/describe.c: what the answers are made of.  Members of the object that is open. */
void describe_node(struct json_writer *w);
void describe_cpu(struct json_writer *w);
void describe_vm(struct json_writer *w, const struct vm *vm, bool whole);
void describe_migration(struct json_writer *w, const struct mig_status *s, bool rounds);
void describe_trace(struct json_writer *w, const struct vm *vm, uint64_t from, unsigned max);

#endif
