/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/image.h - the boundaries of our own memory image, named by linker.ld.
 */
#ifndef ARCH_X86_64_IMAGE_H
#define ARCH_X86_64_IMAGE_H

#include "lib/types.h"

extern const uint8_t __image_start[], __image_end[];
extern const uint8_t __text_start[], __text_end[];
extern const uint8_t __rodata_start[], __rodata_end[];
extern const uint8_t __rela_start[], __rela_end[];
extern const uint8_t __data_start[], __data_end[], __bss_end[];

#endif
