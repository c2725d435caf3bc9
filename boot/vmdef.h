/* SPDX-License-Identifier: MIT */
/*
 * boot/vmdef.h - a VM definition (JSON, docs/api.md) to struct vm_config.
 */
#ifndef BOOT_VMDEF_H
#define BOOT_VMDEF_H

#include "vmm/vm.h"

#define VMDEF_TEXT_MAX (16 * KIB)

/*
 * Refused (ERR_BAD_FORMAT, ERR_BAD_ARGUMENT) with a sentence that names the field; `out` is then
 * not to be used.  The result has passed vm_config_check(); its uuid is zero: vm_create() makes
 * one.
 */
enum err vmdef_parse(const char *text, size_t len, struct vm_config *out);

#endif
