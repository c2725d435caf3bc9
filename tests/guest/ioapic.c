/* SPDX-License-Identifier: MIT */
/*
 * ioapic - the PIT through pin 2 (edge), and COM1's interrupt through pin 4 (level).
 *
 * Reason: Linux takes all non-MSI interrupts through it; a lost level or a stuck remote IRR hangs.
 * Verdict: PASS when edges tick and can be masked, and a level is delivered again after EOI for as
 * long as the device holds its line, with remote IRR set in between.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/pic.h"
#include "lib/trap.h"

const char guest_name[] = "ioapic";
const char guest_title[] =
	"IOAPIC pins, edge and level (82093AA data sheet, \"Redirection Table\")";

enum {
	VECTOR_PIT = 0x41, VECTOR_UART = 0x52, PIN_UART = 4,
	TICKS = 10, TICK_HZ = 200, WAIT_US = 50000, LEVELS = 3,
	UART_IER = COM1 + 1, UART_IIR = COM1 + 2, UART_MCR = COM1 + 4,
	IER_THRE = 2, MCR_DTR_RTS = 3, MCR_OUT2 = 8,
};

static volatile unsigned ticks, levels;
static volatile bool remote_irr;

static void on_tick(struct trap_frame *frame)
{
	(void)frame;
	ticks++;
	apic_eoi();
}

/* The device holds its line until IIR is read: only the last of LEVELS interrupts does that. */
static void on_uart(struct trap_frame *frame)
{
	(void)frame;
	levels++;
	remote_irr = ioapic_read(IOAPIC_REG_TABLE + 2 * PIN_UART) & IOAPIC_REMOTE_IRR;
	if (levels >= LEVELS)
		insn_inb(UART_IIR);
	apic_eoi();
}

static void check_edge(void)
{
	trap_handle(VECTOR_PIT, on_tick);
	ioapic_route(IOAPIC_PIN_PIT, VECTOR_PIT, 0);
	pit_periodic_hz(TICK_HZ);
	uint32_t pm = clock_pm_read();
	insn_sti();
	while (ticks < TICKS)
		CHECK(clock_pm_since(pm) < CLOCK_PM_HZ * 3u, "%u of %u ticks after 3 s", ticks,
		      TICKS);
	insn_cli();
	ioapic_mask(IOAPIC_PIN_PIT);
	insn_sti();
	clock_wait_us(1000);                     /* one may have been on its way */
	ticks = 0;
	clock_wait_us(WAIT_US);
	insn_cli();
	CHECK(ticks == 0, "%u interrupts while masked", ticks);
	pit_start(0, PIT_MODE_ONE_SHOT, 0);
}

static void check_level(void)
{
	trap_handle(VECTOR_UART, on_uart);
	ioapic_route(PIN_UART, VECTOR_UART, IOAPIC_LEVEL);
	insn_inb(UART_IIR);
	insn_outb(UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	insn_outb(UART_IER, IER_THRE);           /* the transmitter is empty: the line goes up */
	insn_sti();
	clock_wait_us(WAIT_US);
	insn_cli();
	insn_outb(UART_IER, 0);
	ioapic_mask(PIN_UART);
	if (guest_has_option("lenient"))         /* Bochs 2.7 does not look at the line at EOI */
		return;
	CHECK(levels == LEVELS, "a held level gave %u interrupts, not %u", levels, LEVELS);
	CHECK(remote_irr, "remote IRR was clear before EOI");
	uint32_t entry = ioapic_read(IOAPIC_REG_TABLE + 2 * PIN_UART);
	CHECK(!(entry & IOAPIC_REMOTE_IRR), "remote IRR stays after EOI: %x", entry);
}

void guest_main(void)
{
	apic_enable(false);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	uint32_t version = ioapic_read(IOAPIC_REG_VERSION);

	guest_print("ioapic: version %x, %u pins\n", version & 0xff, (version >> 16 & 0xff) + 1);
	CHECK((version >> 16 & 0xff) + 1 >= 24, "too few pins for a PC");
	for (unsigned pin = 0; pin <= (version >> 16 & 0xff); pin++)
		ioapic_mask(pin);
	check_edge();
	check_level();
}
