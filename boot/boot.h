/* SPDX-License-Identifier: MIT */
/*
 * boot/boot.h - what the steps of the boot list share.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "arch/x86_64/acpi.h"
#include "boot/cmdline.h"
#include "boot/mbinfo.h"
#include "vmm/exit.h"

#define EARLY_END (4 * GIB)     /* the map with which we start ends here: boot/multiboot2.S */

/* Filled by the first steps, read-only afterwards. */
extern struct boot_info boot_info;
extern struct boot_options boot_options;
extern struct acpi_info acpi_info;

/* From boot/multiboot2.S: with interrupts off, on the boot stack, in 64-bit mode. */
_Noreturn void boot_main(uint64_t mbinfo_address, uint64_t entry_tsc);

/* boot/relocate.c: from boot/multiboot2.S, before anything else in C. */
void relocate_image(void);

/* TSC ticks from our first instruction to "godwit: ready"; 0 before. */
uint64_t boot_ticks(void);

/* Bytes of host memory that our image takes, with its zeroed data. */
uint64_t boot_image_bytes(void);

/* boot/memory.c: give free RAM to the page allocator; load the final page tables. */
enum err memory_init(void);
enum err memory_map(void);

/* A free page below 640 KiB, for other CPUs' first instructions; hpa(0): there is none. */
hpa_t memory_low_page(void);

/* boot/vendor.c: set `virt` and `virt_caps`. */
enum err vendor_init(void);

/* boot/novirt.c: the host runs no guests (virt=off). */
struct virt_ops;
extern const struct virt_ops novirt_ops;

/* boot/selftest.c: print the table of features; fails when a required one is missing. */
enum err selftest_run(void);

/*
 * boot/crashtest.c: test=fault|panic|guard|task|wx|nx|nullptr|stuck break the host on purpose,
 * test=reboot|poweroff end it; other names are not ours.
 */
enum err crashtest_run(void);

/*
 * boot/virttest.c: test=virt runs small guests through the vendor's door and looks at what comes
 * back.
 */
enum err virttest_run(void);
enum err virttest_defences(enum err (*run_guest)(void));
enum err virttest_task(struct vcpu *v, struct exit *x, enum exit_kind (*enter)(void));

/* boot/wire.c */
enum err wire_net(void);        /* switches, lwIP, control service, migration listener       */
enum err wire_vms(void);        /* the guests listed among the boot modules                  */

#endif
