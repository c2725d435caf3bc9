/* SPDX-License-Identifier: MIT */
/*
 * boot/mbinfo.h - what the boot loader tells us, as a struct of our own.
 *
 * Pure: multiboot2 tags are bytes from outside; everything is checked and copied, so the boot
 * loader's memory can be reused afterwards.  (Multiboot2 Specification 2.0, "Boot information
 * format")
 */
#ifndef BOOT_MBINFO_H
#define BOOT_MBINFO_H

#include "arch/x86_64/acpi.h"
#include "drivers/screen.h"
#include "lib/err.h"
#include "lib/types.h"

#define MBINFO_BYTES_MAX        (256 * KIB)     /* of tags                                      */
#define MBINFO_STRING_MAX       512             /* command line, with the NUL                   */
#define MBINFO_MODULE_STRING_MAX 128
#define MBINFO_MODULES_MAX      32
#define MBINFO_REGIONS_MAX      256             /* UEFI's maps are long                         */

struct mb_module { uint64_t start, end; char string[MBINFO_MODULE_STRING_MAX]; };
struct mb_region { uint64_t base, len; bool available; };

struct boot_info {
	char     cmdline[MBINFO_STRING_MAX];
	char     loader[64];
	unsigned nregions;
	struct mb_region region[MBINFO_REGIONS_MAX];
	unsigned nmodules;
	struct mb_module module[MBINFO_MODULES_MAX];
	struct screen screen;                   /* drivers/screen.h                             */
	uint8_t  rsdp[ACPI_RSDP_MAX];
	size_t   rsdp_len;                      /* 0: none                                      */
	bool     efi;                           /* booted by UEFI firmware                      */
};

/* ERR_BAD_FORMAT names the tag and what is wrong with it; `out` is then not to be used. */
enum err mbinfo_parse(const void *bytes, size_t len, struct boot_info *out);

/* The length that the information at `bytes` claims; mbinfo_parse() checks it. */
uint32_t mbinfo_claimed_len(const void *bytes);

#endif
