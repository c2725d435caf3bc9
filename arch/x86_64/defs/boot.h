/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/defs/boot.h - the numbers of the first instructions (boot/multiboot2.S).
 *
 * Plain numbers, because the assembler reads this file too; the header files of the C world have
 * the same bits with their full vocabulary.
 */
#ifndef DEFS_BOOT_H
#define DEFS_BOOT_H

/* Multiboot2 Specification 2.0, "OS image format" and "Machine state" */
#define MULTIBOOT2_HEADER_MAGIC         0xe85250d6
#define MULTIBOOT2_LOADER_MAGIC         0x36d76289
#define MULTIBOOT2_ARCH_I386            0
#define MULTIBOOT2_TAG_END              0
#define MULTIBOOT2_TAG_FRAMEBUFFER      5
#define MULTIBOOT2_TAG_MODULE_ALIGN     6
#define MULTIBOOT2_TAG_RELOCATABLE      10
#define MULTIBOOT2_TAG_OPTIONAL         1
#define MULTIBOOT2_LOWEST               1               /* preference: the lowest address */
#define MULTIBOOT2_RESERVED_END         8               /* of the information's header    */
#define SCREEN_WIDTH                    1024
#define SCREEN_HEIGHT                   768
#define SCREEN_BITS                     32

/* Where the image may lie */
#define IMAGE_LINK_BASE                 0x200000        /* as in linker.ld                */
#define IMAGE_ADDRESS_MAX               0xffffffff
#define LOW_STACK                       0x7c00          /* free on every BIOS PC          */

/* The map with which C starts */
#define EARLY_PAGE_SIZE                 4096
#define EARLY_ENTRY_SIZE                8
#define EARLY_GIBS                      4
#define EARLY_LEAF_SIZE                 0x200000
#define EARLY_TABLE                     0x003           /* present, writable            */
#define EARLY_LEAF                      0x083           /* present, writable, 2 MiB     */
#define EARLY_CR0                       0x80010001      /* PG, WP, PE                   */
#define EARLY_CR4                       0x20            /* PAE                          */
#define EARLY_EFER                      0x100           /* LME                          */
#define MSR_EFER_NUMBER                 0xc0000080
#define EARLY_SEL_CODE                  0x08
#define EARLY_SEL_DATA                  0x10
#define EARLY_GDT_CODE                  0x00af9b000000ffff
#define EARLY_GDT_DATA                  0x00cf93000000ffff
#define AP_SEL_CODE32                   0x18
#define AP_GDT_CODE32                   0x00cf9b000000ffff
#define AP_CR0_PE                       0x1
#define AP_EFER_NXE                     0x800
#define BOOT_STACK_BYTES                32768

#define CPUID_EXT_MAX                   0x80000000
#define CPUID_EXT_FEATURES              0x80000001
#define CPUID_LM_BIT                    29

/* Where a refusal is shown */
#define VGA_TEXT                        0xb8000
#define VGA_WHITE_ON_RED                0x4f
#define COM1_DATA                       0x3f8
#define COM1_IER                        0x3f9
#define COM1_FCR                        0x3fa
#define COM1_FCR_ON                     0x07
#define COM1_LCR                        0x3fb
#define COM1_LCR_DLAB                   0x80
#define COM1_LCR_8N1                    0x03
#define COM1_LSR                        0x3fd
#define COM1_LSR_THRE                   0x20
#define COM1_DIVISOR_115200             1
#define UART_PATIENCE                   100000

#endif
