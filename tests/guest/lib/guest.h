/* SPDX-License-Identifier: MIT */
/*
 * lib/guest.h - what every micro-guest has: a name, a title, output on COM1, and a verdict.
 *
 * A guest is one file that defines guest_name, guest_title and guest_main().  It runs in ring 0,
 * 64-bit mode, with the first 4 GiB mapped 1:1 and interrupts off.  When guest_main() returns,
 * the verdict is `PASS name`; CHECK() and guest_fail() end the run with `FAIL name: why`, and
 * guest_skip() with `SKIP name: why`, for a CPU that says that it lacks the feature.
 * Then the guest writes 0 (pass), 1 (fail) or 2 (skip) to port 0xf4 as four bytes, writes
 * "Shutdown" to port 0x8900 in case nobody listened, and halts.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT(n)      (UINT64_C(1) << (n))
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define PAGE_SIZE   UINT64_C(4096)
#define MIB         (UINT64_C(1) << 20)

enum port {                      /* where the PC keeps its devices */
	PORT_EXIT     = 0xf4,
	PORT_SHUTDOWN = 0x8900,
	COM1          = 0x3f8,
};

/* Defined by the guest itself. */
extern const char guest_name[];  /* as in the file's name                         */
extern const char guest_title[]; /* the feature, and the manual's section         */
void guest_main(void);           /* returning means that everything checked held  */

/* Output, to COM1 by polling.  Conversions: %s %c %d %u %x %lu %lx %ld, width and leading 0. */
void guest_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

void guest_flush(void);          /* wait until COM1 has sent it all, also from its FIFO */

_Noreturn void guest_pass(void);
_Noreturn void guest_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void guest_skip(const char *why);
_Noreturn void guest_halt(void); /* stop without a verdict                          */

#define CHECK(condition, ...)                                                           \
	do {                                                                            \
		if (!(condition))                                                       \
			guest_fail(__VA_ARGS__);                                        \
	} while (0)

/* Command line, as the loader gave it: `key=123` or `key=0x7b`, or the word `key` alone. */
uint64_t guest_option(const char *key, uint64_t otherwise);
bool guest_has_option(const char *key);

/* RAM: one past the last byte of the block that starts at 1 MiB, and the first free page there. */
uint64_t guest_ram_end(void);
uint64_t guest_ram_free(void);

bool guest_hypervisor(void);     /* CPUID says that we run under one */

void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

#endif
