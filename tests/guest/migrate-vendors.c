/* SPDX-License-Identifier: MIT */
/*
 * migrate-vendors - what must look the same on hosts of both CPU vendors.
 *
 * Reason: a guest that was created on one vendor's host goes on on the other's.  CPUID says in
 * every leaf what it said at the start; VMCALL and VMMCALL, one of which the CPU itself does not
 * know, are both answered as a hypercall that is not there; an undefined instruction is one; and
 * what a kernel put into the registers of SYSENTER and SYSCALL is there.
 * Options: beats=N heartbeats of 0.2 s, then PASS (default: never).
 * Verdict: FAIL with what differs; a missing heartbeat is a hang.
 */
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/state.h"
#include "lib/trap.h"

const char guest_name[] = "migrate-vendors";
const char guest_title[] = "a CPU of no vendor (SDM vol. 2, APM vol. 3: CPUID, VMCALL, VMMCALL)";

enum {
	LEAVES_MAX = 160, SUBLEAVES = 8, LEAF_XSAVE = 0xd,
	PAUSE_US = 200000,
	NO_SUCH_HYPERCALL = -1000,               /* Linux, include/uapi/linux/kvm_para.h */
};

static const uint32_t ranges[] = { 0, 0x40000000, 0x80000000 };
static struct cpuid wanted[LEAVES_MAX];

/* One answer: the first time it is kept, later it must be the same. */
static void look_at_leaf(uint32_t leaf, uint32_t subleaf, unsigned n, bool first)
{
	struct cpuid now = insn_cpuid(leaf, subleaf);

	CHECK(n < LEAVES_MAX, "CPUID has more leaves than %d", LEAVES_MAX);
	const struct cpuid *then = &wanted[n];
	if (first)
		wanted[n] = now;
	CHECK(!memcmp(&now, then, sizeof(now)),
	      "CPUID leaf %x.%u was %x %x %x %x, is %x %x %x %x", leaf, subleaf, then->eax,
	      then->ebx, then->ecx, then->edx, now.eax, now.ebx, now.ecx, now.edx);
}

/* Each leaf of each range; those that may have subleaves with their first ones. */
static void look_at_cpuid(bool first)
{
	unsigned n = 0;

	for (unsigned r = 0; r < COUNT(ranges); r++) {
		uint32_t last = insn_cpuid(ranges[r], 0).eax;
		for (uint32_t leaf = ranges[r]; leaf <= last; leaf++)
			for (uint32_t sub = 0; sub < (leaf <= LEAF_XSAVE ? SUBLEAVES : 1); sub++)
				look_at_leaf(leaf, sub, n++, first);
	}
}

static void undefined(uint64_t unused)
{
	(void)unused;
	insn_ud2();
}

static int64_t said;                             /* by the hypercall */

static void call_one(uint64_t other)
{
	said = (int64_t)(other ? insn_vmmcall(0) : insn_vmcall(0));
}

static void check_hypercalls(void)
{
	static const char *const names[] = { "VMCALL", "VMMCALL" };

	for (uint64_t i = 0; i < COUNT(names); i++) {
		said = 0;
		int vector = trap_try(call_one, i);
		CHECK(vector == TRAP_NONE, "%s raises vector %d", names[i], vector);
		CHECK(said == NO_SUCH_HYPERCALL, "%s says %ld", names[i], said);
	}
	CHECK(trap_try(undefined, 0) == VECTOR_UD, "UD2 is no undefined instruction");
}

void guest_main(void)
{
	uint64_t beats = guest_option("beats", UINT64_MAX);

	if (!guest_hypervisor())
		guest_skip("no hypervisor, so no hypercalls");
	state_fill();
	look_at_cpuid(true);
	for (uint64_t number = 1; number <= beats; number++) {
		clock_wait_us(PAUSE_US);
		look_at_cpuid(false);
		check_hypercalls();
		state_check();
		guest_print("migrate-vendors: beat %lu, 0 pages written\n", number);
	}
}
