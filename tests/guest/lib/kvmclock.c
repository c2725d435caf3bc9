/* SPDX-License-Identifier: MIT */
/*
 * lib/kvmclock.c - see the header.  The page must not cross a page boundary: it has one of its own.
 */
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/kvmclock.h"

enum {
	LEAF_HYPERVISOR = 0x40000000, LEAF_FEATURES = 0x40000001, FEATURE_CLOCKSOURCE2 = 1 << 3,
	MSR_WALL_CLOCK = 0x4b564d00, MSR_SYSTEM_TIME = 0x4b564d01, ENABLE = 1,
	RETRIES_MAX = 1000000,
};

struct wall_clock { uint32_t version, seconds, nanoseconds; };

static volatile struct kvmclock_time time_page __attribute__((aligned(4096)));
static volatile struct wall_clock wall __attribute__((aligned(64)));

bool kvmclock_present(void)
{
	if (!guest_hypervisor())
		return false;
	struct cpuid leaf = insn_cpuid(LEAF_HYPERVISOR, 0);
	uint32_t name[3] = { leaf.ebx, leaf.ecx, leaf.edx };
	return !memcmp(name, "KVMKVMKVM\0\0\0", 12) &&
	       (insn_cpuid(LEAF_FEATURES, 0).eax & FEATURE_CLOCKSOURCE2);
}

void kvmclock_start(void)
{
	insn_wrmsr(MSR_SYSTEM_TIME, (uint64_t)(uintptr_t)&time_page | ENABLE);
}

const volatile struct kvmclock_time *kvmclock_page(void)
{
	return &time_page;
}

/* The upper 64 bits of the 96-bit product of `ticks` and the 0.32 fixed-point `mul`. */
static uint64_t scale(uint64_t ticks, uint32_t mul, int8_t shift)
{
	ticks = shift < 0 ? ticks >> -shift : ticks << shift;
	return (ticks >> 32) * mul + ((ticks & UINT32_MAX) * mul >> 32);
}

uint64_t kvmclock_at(uint64_t tsc)
{
	return time_page.system_time + scale(tsc - time_page.tsc_timestamp,
	                                     time_page.tsc_to_system_mul, time_page.tsc_shift);
}

uint64_t kvmclock_ns(void)
{
	for (int i = 0; i < RETRIES_MAX; i++) {
		uint32_t version = time_page.version;
		insn_barrier();
		uint64_t ns = kvmclock_at(insn_rdtsc());
		insn_barrier();
		if (!(version & 1) && version == time_page.version)
			return ns;
	}
	guest_fail("the clock page is never stable: version %u", time_page.version);
}

uint64_t kvmclock_boot_s(void)
{
	insn_wrmsr(MSR_WALL_CLOCK, (uint64_t)(uintptr_t)&wall);
	CHECK(!(wall.version & 1), "wall clock version %u", wall.version);
	CHECK(wall.nanoseconds < 1000000000, "wall clock: %u ns", wall.nanoseconds);
	return wall.seconds;
}
