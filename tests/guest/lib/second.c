/* SPDX-License-Identifier: MIT */
/* lib/second.c - see the header: INIT, SIPI, SIPI, as operating systems do it. */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/second.h"
#include "lib/trap.h"

enum { INIT_US = 10000, SIPI_US = 200, AWAIT_US = 1000, AWAIT_TIMES = 1000 };

extern const uint8_t second_blob[], second_blob_end[];
void second_main(void);              /* called by lib/second_entry.S */

static void (*volatile to_run)(void);
static volatile bool began;

void second_main(void)
{
	trap_load();
	began = true;
	to_run();
	guest_halt();
}

void second_init(void)
{
	apic_ipi(SECOND_APIC_ID, ICR_INIT | ICR_ASSERT);
	clock_wait_us(INIT_US);
}

void second_start(void (*function)(void))
{
	memcpy((void *)(uintptr_t)SECOND_CODE, second_blob,
	       (size_t)(second_blob_end - second_blob));
	to_run = function;
	began = false;
	for (int i = 0; i < 2; i++) {
		apic_ipi(SECOND_APIC_ID, ICR_STARTUP | ICR_ASSERT | SECOND_CODE / PAGE_SIZE);
		clock_wait_us(SIPI_US);
	}
	for (int i = 0; i < AWAIT_TIMES && !began; i++)
		clock_wait_us(AWAIT_US);
	CHECK(began, "the second CPU does not start");
}
