/* SPDX-License-Identifier: MIT */
/*
 * shutdown - the bytes "Shutdown" to port 0x8900 stop the guest.
 *
 * Reason: test kernels written for Bochs end this way.
 * Verdict: PASS is printed first; a FAIL line after it means that the guest still lives.
 */
#include "lib/guest.h"
#include "lib/insn.h"

const char guest_name[] = "shutdown";
const char guest_title[] = "port 0x8900 (Bochs user manual, \"unmapped\" device)";

void guest_main(void)
{
	static const char word[] = "Shutdown";

	insn_outb(PORT_SHUTDOWN, 'S');                   /* a false start must not count */
	insn_outb(PORT_SHUTDOWN, 'x');
	guest_print("PASS shutdown\n");
	guest_flush();
	for (const char *c = word; *c; c++)
		insn_outb(PORT_SHUTDOWN, (uint8_t)*c);
	guest_fail("alive after \"Shutdown\"");
}
