/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/reset.c - reset and power-off of this machine.
 *
 * Hardware offers several ways, and none works everywhere; so each is announced, tried, and given a
 * time to work.  Runs with interrupts off and after a panic too: it waits by counting, allocates
 * nothing, and trusts nothing that came after reset_init().  What the tables say: acpi_power.c.
 */
#include "arch/x86_64/reset.h"

#include "arch/x86_64/insn.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/watchdog.h"
#include "lib/log.h"
#include "lib/time.h"

#define WORK_NS         NS_PER_S        /* what a way may take to work     */
#define DRAIN_NS        (20 * NS_PER_MS) /* for the last characters of COM1 */
#define PULSE_NS        (50 * NS_PER_US)

/* A read of a port that nothing answers takes about this long, since the ISA bus. */
#define DELAY_PORT      0x80
#define DELAY_PORT_NS   1000

#define RESET_PORT      0xcf9           /* "Reset Control Register" of PCI chipsets */
#define RESET_HARD      0x02
#define RESET_GO        0x06

#define KEYBOARD_PORT   0x64
#define KEYBOARD_FULL   BIT(1)
#define KEYBOARD_RESET  0xfe            /* pulse the line to the CPU's reset pin */
#define KEYBOARD_TRIES  100000

/* ACPI 6.5, "PM1 Control Registers", "Sleep Control Register" */
#define PM1_SCI_EN      BIT(0)
#define PM1_SLP_TYP     MASK(12, 10)
#define PM1_SLP_EN      BIT(13)
#define SLEEP_TYP       MASK(4, 2)
#define SLEEP_EN        BIT(5)

static struct acpi_power power;

void reset_wait_ns(uint64_t ns)
{
	if (!time_tsc_khz()) {
		for (uint64_t i = 0; i < ns / DELAY_PORT_NS; i++)
			insn_inb(DELAY_PORT);
		return;
	}
	uint64_t start = time_tsc(), ticks = time_ns_to_tsc(ns);
	while (time_tsc() - start < ticks)
		insn_pause();
}

/* Registers in memory are mapped now: when they are needed, nothing can be. */
static void map_register(struct acpi_register *r)
{
	if (r->space == ACPI_MEMORY && !paging_map_device(hpa(r->address), sizeof(uint32_t)))
		r->space = ACPI_NOWHERE;
}

void reset_init(const struct acpi_info *acpi)
{
	power = acpi->power;
	map_register(&power.reset);
	map_register(&power.control[0]);
	map_register(&power.control[1]);
	map_register(&power.sleep);
}

static void write8(const struct acpi_register *r, uint8_t value)
{
	if (r->space == ACPI_PORT)
		insn_outb((uint16_t)r->address, value);
	else
		*(volatile uint8_t *)hpa_ptr(hpa(r->address)) = value;
}

static uint16_t read16(const struct acpi_register *r)
{
	if (r->space == ACPI_PORT)
		return insn_inw((uint16_t)r->address);
	return *(volatile uint16_t *)hpa_ptr(hpa(r->address));
}

static void write16(const struct acpi_register *r, uint16_t value)
{
	if (r->space == ACPI_PORT)
		insn_outw((uint16_t)r->address, value);
	else
		*(volatile uint16_t *)hpa_ptr(hpa(r->address)) = value;
}

/* Nothing runs any more but this, and what it says comes out at once. */
static void begin(void)
{
	insn_cli();
	watchdog_stop();
	log_urgent = true;
}

/* The line must be out before the machine may be gone. */
static void announce(const char *what)
{
	log_line("power: %s", what);
	reset_wait_ns(DRAIN_NS);
}

/* --- Start again ------------------------------------------------------------------------------ */

static bool has_acpi_reset(void) { return power.reset.space != ACPI_NOWHERE; }
static bool always(void) { return true; }

static void reset_by_acpi(void)
{
	write8(&power.reset, power.reset_value);
}

static void reset_by_chipset(void)
{
	insn_outb(RESET_PORT, RESET_HARD);
	reset_wait_ns(PULSE_NS);
	insn_outb(RESET_PORT, RESET_GO);
}

static void reset_by_keyboard(void)
{
	for (unsigned i = 0; i < KEYBOARD_TRIES; i++)
		if (!(insn_inb(KEYBOARD_PORT) & KEYBOARD_FULL))
			break;
	insn_outb(KEYBOARD_PORT, KEYBOARD_RESET);
}

/* No table of handlers, so the first exception has nowhere to go, nor have the next two. */
static void reset_by_triple_fault(void)
{
	const struct table_register none = { 0, 0 };

	insn_lidt(&none);
	insn_ud2();
}

_Noreturn static void halt(void)
{
	for (;;) {
		insn_cli();
		insn_hlt();
	}
}

_Noreturn void reset_reboot(void)
{
	static const struct {
		const char *name;
		bool      (*there)(void);
		void      (*go)(void);
	} ways[] = {
		{ "restart by the ACPI reset register", has_acpi_reset, reset_by_acpi },
		{ "restart by port 0xcf9", always, reset_by_chipset },
		{ "restart by the keyboard controller", always, reset_by_keyboard },
		{ "restart by a triple fault", always, reset_by_triple_fault },
	};

	begin();
	for (unsigned i = 0; i < COUNT(ways); i++) {
		if (!ways[i].there())
			continue;
		announce(ways[i].name);
		ways[i].go();
		reset_wait_ns(WORK_NS);
	}
	log_line("godwit: stopped: this machine did not start again: do it by hand");
	halt();
}

/* --- Off -------------------------------------------------------------------------------------- */

/* The sleep registers work in ACPI mode only; firmware with a BIOS may start outside it. */
static bool enter_acpi_mode(void)
{
	const struct acpi_register *control = &power.control[0];

	if ((read16(control) & PM1_SCI_EN) || !power.smi_port || !power.acpi_enable)
		return true;
	insn_outb(power.smi_port, power.acpi_enable);
	for (uint64_t waited = 0; waited < WORK_NS; waited += NS_PER_MS) {
		if (read16(control) & PM1_SCI_EN)
			return true;
		reset_wait_ns(NS_PER_MS);
	}
	return false;
}

static void sleep_by_pm1(void)
{
	if (!enter_acpi_mode())
		log_line("power: the firmware did not switch to ACPI mode");
	for (unsigned i = 0; i < COUNT(power.control); i++) {
		const struct acpi_register *r = &power.control[i];
		if (r->space == ACPI_NOWHERE)
			continue;
		uint16_t rest = (uint16_t)(read16(r) & ~(PM1_SLP_TYP | PM1_SLP_EN));
		rest |= (uint16_t)PUT(PM1_SLP_TYP, power.s5_type[i]);
		write16(r, rest);
		write16(r, (uint16_t)(rest | PM1_SLP_EN));
	}
}

_Noreturn void reset_poweroff(void)
{
	begin();
	if (power.has_s5 && power.sleep.space != ACPI_NOWHERE) {
		announce("off by ACPI's sleep control register");
		write8(&power.sleep, (uint8_t)(PUT(SLEEP_TYP, power.s5_type[0]) | SLEEP_EN));
		reset_wait_ns(WORK_NS);
	} else if (power.has_s5 && power.control[0].space != ACPI_NOWHERE) {
		announce("off by ACPI's S5");
		sleep_by_pm1();
		reset_wait_ns(WORK_NS);
	} else {
		log_line("power: ACPI does not say how this machine is switched off");
	}
	log_line("godwit: stopped: this machine did not switch itself off: do it by hand");
	halt();
}
