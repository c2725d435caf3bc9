/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/watchdog.c - a stuck host says where, and starts again.
 *
 * The host runs with interrupts off, so only an NMI reaches it when it loops for ever.  The old
 * timer line (IRQ 0) is routed through the IOAPIC as NMI: from the HPET once a second, or from the
 * PIT.  Each tick looks whether the scheduler has had a turn since the last one; when it had none
 * for so many ticks, panic_stuck() prints one screen of state and restarts the machine.  Ticks are
 * counted, not time: a machine that was suspended for an hour is not stuck.  NMIs of others that
 * come in between do no harm, as two within half a period count once.
 *
 * Watches the CPU that called watchdog_start().  Called from idt.c.
 */
#include "arch/x86_64/watchdog.h"

#include "arch/x86_64/insn.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/paging.h"
#include "lib/log.h"
#include "lib/time.h"

#define TIMER_IRQ       0
#define PROOF_NS        (3 * NS_PER_S)  /* by then the first tick must have come */

/* IA-PC HPET 1.0a, "Register Definitions" */
enum hpet_register {
	HPET_CAPABILITY = 0x000, HPET_CONFIG = 0x010, HPET_COUNTER = 0x0f0,
	HPET_TIMER0_CONFIG = 0x100, HPET_TIMER0_COMPARATOR = 0x108, HPET_BYTES = 1024,
};
#define HPET_CAP_LEGACY         BIT(15)         /* can take the PIT's line */
#define HPET_ENABLE             BIT(0)
#define HPET_LEGACY             BIT(1)
#define HPET_TIMER_INTERRUPT    BIT(2)
#define HPET_TIMER_PERIODIC     BIT(3)
#define HPET_TIMER_CAN_REPEAT   BIT(4)
#define HPET_TIMER_SET          BIT(6)          /* the next write sets the accumulator */
#define HPET_TIMER_32BIT        BIT(8)
#define FS_PER_S                1000000000000000ull
#define HPET_PERIOD_MAX_FS      100000000u

#define PIT_CHANNEL0    0x40
#define PIT_MODE        0x43
#define PIT_CH0_RATE    0x34            /* channel 0, both bytes, mode 2 */
#define PIT_PERIOD_NS   54925400ull     /* 65536 ticks of 1.193182 MHz   */

static volatile uint64_t turns;         /* of the scheduler                        */
static volatile uint64_t ticks;         /* NMIs of ours                            */
static uint64_t seen_turns;             /* when the last tick came                 */
static uint64_t last_tick_tsc, half_period_tsc;
static uint64_t ticks_stuck;            /* in a row without a turn                 */
static volatile uint64_t ticks_max;     /* so many are too many; 0: no watchdog    */
static unsigned limit_s;
static uint64_t proof_ns;               /* look by then whether ticks come; 0: did */

static volatile uint32_t *hpet_at(volatile uint8_t *hpet, enum hpet_register reg)
{
	return (volatile uint32_t *)(hpet + reg);
}

/* The HPET's first timer in place of the PIT, once a second; its period, or 0: not possible. */
static uint64_t start_hpet(const struct acpi_info *acpi)
{
	volatile uint8_t *hpet;

	if (!acpi->hpet_address)
		return 0;
	hpet = paging_map_device(hpa(acpi->hpet_address), HPET_BYTES);
	if (!hpet)
		return 0;
	uint32_t period_fs = *hpet_at(hpet, HPET_CAPABILITY + 4);
	if (!(*hpet_at(hpet, HPET_CAPABILITY) & HPET_CAP_LEGACY) || !period_fs ||
	    period_fs > HPET_PERIOD_MAX_FS ||
	    !(*hpet_at(hpet, HPET_TIMER0_CONFIG) & HPET_TIMER_CAN_REPEAT))
		return 0;
	uint32_t count = (uint32_t)(FS_PER_S / period_fs);
	*hpet_at(hpet, HPET_CONFIG) &= ~(uint32_t)HPET_ENABLE;
	*hpet_at(hpet, HPET_TIMER0_CONFIG) = HPET_TIMER_INTERRUPT | HPET_TIMER_PERIODIC |
	                                     HPET_TIMER_SET | HPET_TIMER_32BIT;
	*hpet_at(hpet, HPET_TIMER0_COMPARATOR) = *hpet_at(hpet, HPET_COUNTER) + count;
	*hpet_at(hpet, HPET_TIMER0_COMPARATOR) = count;
	*hpet_at(hpet, HPET_CONFIG) |= HPET_ENABLE | HPET_LEGACY;
	return NS_PER_S;
}

static uint64_t start_pit(void)
{
	insn_outb(PIT_MODE, PIT_CH0_RATE);
	insn_outb(PIT_CHANNEL0, 0);             /* 0 is 65536 */
	insn_outb(PIT_CHANNEL0, 0);
	return PIT_PERIOD_NS;
}

void watchdog_start(const struct acpi_info *acpi, unsigned seconds)
{
	uint64_t period_ns;

	if (!seconds || ioapic_route_nmi(TIMER_IRQ) != OK) {
		log_line("watchdog: off: a host that is stuck will stay so");
		return;
	}
	period_ns = start_hpet(acpi);
	log_line("watchdog: %u s without a turn of the scheduler end in a restart (NMI by the %s)",
	         seconds, period_ns ? "HPET" : "PIT");
	if (!period_ns)
		period_ns = start_pit();
	limit_s = seconds;
	half_period_tsc = time_ns_to_tsc(period_ns / 2);
	last_tick_tsc = time_tsc();
	proof_ns = time_now_ns() + PROOF_NS;
	ticks_max = seconds * NS_PER_S / period_ns;
}

void watchdog_stop(void)
{
	ticks_max = 0;
}

uint64_t watchdog_alive(uint64_t now_ns)
{
	turns = turns + 1;
	if (!proof_ns)
		return NEVER_NS;
	if (now_ns < proof_ns && !ticks)
		return proof_ns;
	if (!ticks)
		log_line("watchdog: its NMIs do not arrive: a host that is stuck will stay so");
	proof_ns = 0;
	return NEVER_NS;
}

bool watchdog_tick(const struct trap_frame *f)
{
	uint64_t now = time_tsc();

	if (!ticks_max || now - last_tick_tsc < half_period_tsc)
		return false;
	last_tick_tsc = now;
	ticks = ticks + 1;
	ticks_stuck = turns == seen_turns ? ticks_stuck + 1 : 0;
	seen_turns = turns;
	if (ticks_stuck >= ticks_max)
		panic_stuck(f, limit_s);
	return true;
}
