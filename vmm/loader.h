/* SPDX-License-Identifier: MIT */
/*
 * vmm/loader.h - putting a kernel into a fresh guest: Linux's 64-bit boot protocol, multiboot1.
 */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

#include "lib/err.h"

struct vm;

/* Fill the guest's RAM from vm->config's payloads and set vCPU 0's state; others wait for SIPI. */
enum err loader_linux(struct vm *vm);           /* vmm/load_linux.c     */
enum err loader_multiboot(struct vm *vm);       /* vmm/load_multiboot.c */

#endif
