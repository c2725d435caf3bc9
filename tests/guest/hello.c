/* SPDX-License-Identifier: MIT */
/*
 * hello - the least that a guest can do: enter long mode, speak on COM1, leave.
 *
 * Reason: when this fails, nothing else is worth running.  Verdict: PASS when RAM was announced.
 */
#include "lib/guest.h"

const char guest_name[] = "hello";
const char guest_title[] = "multiboot1 entry, long mode, COM1 (16550 data sheet), exit port 0xf4";

void guest_main(void)
{
	uint64_t end = guest_ram_end();

	guest_print("hello: RAM from 1 MiB to %lu MiB\n", end / MIB);
	CHECK(end >= 4 * MIB, "only %lu bytes of RAM", end);
}
