/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vuart.c - COM1 against National's PC16550D data sheet; the console log; the exit
 * port; random numbers against RFC 8439.  Each test names its section.
 */
#include "tests/host/devtest.h"

#include "lib/random.h"
#include "vmm/dev/exitport.h"
#include "vmm/dev/vuart.h"

static struct vuart uart;
static struct console con;
static struct wire_end irq;

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static void out(unsigned reg, uint8_t v) { dev_out(&vuart_ops, &uart, 0x3f8 + reg, 1, v, 0); }
static uint8_t in(unsigned reg)          { return (uint8_t)dev_in(&vuart_ops, &uart, 0x3f8 + reg, 1,
	0); }

static void fresh(void)
{
	memset(&irq, 0, sizeof(irq));
	console_init(&con);
	vuart_init(&uart, &con, WIRE_TO(&irq));
	out(MCR, 0x08);                                 /* OUT2 */
}

TEST(vuart, reset_state)                        /* "Reset Configuration" */
{
	fresh();
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 1);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
}

TEST(vuart, divisor_latch)                      /* "Line Control Register", DLAB */
{
	fresh();
	out(LCR, 0x83);
	out(0, 0x0c); out(1, 0x01);
	assert_int_equal(in(0), 0x0c);
	assert_int_equal(in(1), 0x01);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0);
	assert_int_equal(con.count, 0);
	out(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
}

TEST(vuart, transmits_to_the_console)
{
	fresh();
	out(0, 'h'); out(0, 'i');
	assert_int_equal(con.count, 2);
	assert_memory_equal(con.ring, "hi", 2);
	assert_int_equal(in(LSR), 0x60);
	assert_false(irq.level);
}

TEST(vuart, thre_interrupt)                     /* "Interrupt Identification Register", THRE */
{
	fresh();
	out(IER, 0x02);                                 /* enabling raises it */
	assert_true(irq.level);
	assert_int_equal(in(IIR), 0x02);                /* reading IIR as the source clears it */
	assert_false(irq.level);
	assert_int_equal(in(IIR), 0x01);
	irq.rises = 0;
	out(0, 'x');                                    /* emptied at once: an edge each time */
	assert_int_equal(irq.rises, 1);
	out(0, 'y');
	assert_int_equal(irq.rises, 2);
	out(IER, 0x00);
	assert_false(irq.level);
	in(IIR);
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x02);
}

TEST(vuart, fifo_trigger_and_timeout)           /* "FIFO Interrupt Mode Operation" */
{
	fresh();
	out(IIR, 0x81);                                 /* FIFOs on, trigger at 8 */
	assert_int_equal(in(IIR), 0xc1);
	out(IER, 0x01);
	vuart_input(&uart, "1234567", 7);
	assert_int_equal(in(IIR), 0xcc);                /* character timeout */
	vuart_input(&uart, "8", 1);
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(in(LSR) & 1, 1);
	for (char c = '1'; c <= '8'; c++)
		assert_int_equal(in(0), c);
	assert_int_equal(in(LSR) & 1, 0);
	assert_false(irq.level);
}

TEST(vuart, without_fifo_one_byte_at_a_time)    /* "FIFO Control Register", bit 0 */
{
	fresh();
	out(IER, 0x01);
	vuart_input(&uart, "ab", 2);
	assert_int_equal(uart.fifo_count, 1);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(0), 'a');
	assert_int_equal(in(0), 'b');                   /* nothing was overrun */
	assert_int_equal(in(LSR) & 2, 0);
}

TEST(vuart, input_beyond_the_fifo_waits)
{
	static char many[2000];
	size_t taken;

	fresh();
	for (unsigned i = 0; i < sizeof(many); i++)
		many[i] = (char)(i * 7);
	out(IIR, 0x01);
	taken = vuart_input(&uart, many, sizeof(many));
	assert_int_equal(taken, CONSOLE_INPUT_SIZE);
	taken += vuart_input(&uart, many + taken, sizeof(many) - taken);
	for (unsigned i = 0; i < taken; i++)
		assert_int_equal(in(0), (uint8_t)many[i]);
	assert_int_equal(in(LSR) & 1, 0);
}

TEST(vuart, clearing_the_fifo)                  /* "FIFO Control Register", bits 0 and 1 */
{
	fresh();
	out(IIR, 0x01);
	out(MCR, 0x18);
	out(0, 'a');
	out(IIR, 0x03);
	assert_int_equal(in(LSR) & 1, 0);
	out(0, 'a');
	out(IIR, 0x00);                                 /* a change of the enable bit clears too */
	assert_int_equal(in(LSR) & 1, 0);
	assert_int_equal(in(IIR) & 0xc0, 0);
}

TEST(vuart, loopback)                           /* "Modem Control Register", LOOP */
{
	fresh();
	in(MSR);
	out(MCR, 0x1f);
	assert_int_equal(in(MSR) & 0xf0, 0xf0);
	out(MCR, 0x10);                                 /* all four go away: CTS, DSR, RI, DCD */
	assert_int_equal(in(MSR), 0x0f);
	assert_int_equal(in(MSR), 0x00);                /* the deltas are gone */
	out(MCR, 0x14);
	assert_int_equal(in(MSR), 0x40);                /* RI: only its trailing edge counts */
	out(0, 'z');
	assert_int_equal(con.count, 0);
	vuart_input(&uart, "q", 1);                     /* the wire is cut meanwhile */
	assert_int_equal(in(0), 'z');
	assert_int_equal(in(LSR) & 1, 0);
	out(MCR, 0x08);
	assert_int_equal(in(0), 'q');
}

/* "Line Status Register" bit 1; "Interrupt Control Functions" */
TEST(vuart, overrun_and_priorities)
{
	fresh();
	out(MCR, 0x10);
	out(IER, 0x0f);
	in(MSR);
	out(0, 'a');
	out(0, 'b');                                    /* no FIFO: lost */
	assert_int_equal(in(IIR), 0x06);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(0), 'a');
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x01);
	out(MCR, 0x11);
	assert_int_equal(in(IIR), 0x00);                /* modem status */
	assert_int_equal(in(MSR), 0x22);
	assert_int_equal(in(IIR), 0x01);
}

TEST(vuart, out2_lets_the_interrupt_out)        /* IBM PC serial adapter */
{
	fresh();
	out(MCR, 0);
	out(IER, 0x02);
	assert_false(irq.level);
	out(MCR, 0x08);
	assert_true(irq.level);
	out(MCR, 0x18);
	assert_false(irq.level);
}

TEST(vuart, section_is_complete_and_checked)
{
	static const struct derived derived[] = {
		DERIVED(struct vuart, console), DERIVED(struct vuart, irq),
	};

	fresh();
	check_section(vuart_ops.state, derived, COUNT(derived));
	assert_int_equal(vuart_ops.state->check(&uart), OK);
	REFUSED(vuart_ops.state, uart, bad.fifo_count = 2);
	REFUSED(vuart_ops.state, uart, bad.fifo_head = 16);
	REFUSED(vuart_ops.state, uart, bad.ier = 0x10);
	REFUSED(vuart_ops.state, uart, bad.fcr = 2);
	REFUSED(vuart_ops.state, uart, bad.mcr = 0x20);
	REFUSED(vuart_ops.state, uart, bad.msr_delta = 0x10);
	REFUSED(vuart_ops.state, uart, bad.input.head = CONSOLE_INPUT_SIZE);
	REFUSED(vuart_ops.state, uart, bad.input.count = CONSOLE_INPUT_SIZE + 1);
	REFUSED(vuart_ops.state, uart, bad.thre_pending = 2);
	REFUSED(vuart_ops.state, uart, bad.lsr_errors = 1);
}

/* --- The log ---------------------------------------------------------------------------------- */

TEST(console, keeps_the_latest_and_counts_all)
{
	uint64_t from = 0;
	uint8_t text[8];

	console_init(&con);
	for (unsigned i = 0; i < CONSOLE_RING_SIZE + 5; i++)
		console_put(&con, CONSOLE_COM1, &(uint8_t){ (uint8_t)i }, 1);
	assert_int_equal(console_read(&con, &from, text, 4), 4);        /* 0..4 are gone */
	assert_int_equal(text[0], 5);
	assert_int_equal(from, 9);
	from = con.count - 2;
	assert_int_equal(console_read(&con, &from, text, sizeof(text)), 2);
	assert_int_equal(text[1], (uint8_t)(CONSOLE_RING_SIZE + 4));
	from = con.count + 1000;                                        /* the future */
	assert_int_equal(console_read(&con, &from, text, sizeof(text)), 0);
	assert_int_equal(from, con.count);
}

TEST(console, section_is_complete_and_checked)
{
	check_section(console_ops.state, NULL, 0);
	con.last = CONSOLE_SOURCES;
	assert_int_equal(console_ops.state->check(&con), ERR_BAD_FORMAT);
}

/* --- Exit port -------------------------------------------------------------------------------- */

static unsigned ends;
static void note_end(void *to, const char *why) { (void)to; (void)why; ends++; }

TEST(exitport, code_and_shutdown)
{
	static const char word[] = "ShutShutdown";
	static const struct derived derived[] = { DERIVED(struct exitport, power) };
	struct exitport e;

	ends = 0;
	exitport_init(&e, (struct power){ .off = note_end });
	dev_out(&exitport_ops, &e, 0xf4, 4, 0x11, 0);
	assert_int_equal(ends, 1);
	assert_true(e.ended);
	assert_int_equal(e.code, 0x11);
	for (unsigned i = 0; word[i]; i++) {
		assert_int_equal(ends, 1);
		dev_out(&exitport_ops, &e, 0x8900, 1, (uint8_t)word[i], 0);
	}
	assert_int_equal(ends, 2);
	check_section(exitport_ops.state, derived, COUNT(derived));
	e.matched = 8;
	assert_int_equal(exitport_ops.state->check(&e), ERR_BAD_FORMAT);
}

/* --- Random numbers --------------------------------------------------------------------------- */

TEST(random, chacha20_block)                    /* RFC 8439, section 2.3.2 */
{
	static const uint8_t nonce[12] = { 0, 0, 0, 9, 0, 0, 0, 0x4a };
	static const uint8_t want[64] = {
		0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20,
			0x71, 0xc4,
		0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4,
			0x6c, 0x4e,
		0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b,
			0x02, 0xa2,
		0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50,
			0x3c, 0x4e,
	};
	uint8_t key[32], got[64];

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	random_chacha20(key, 1, nonce, got);
	assert_memory_equal(got, want, sizeof(want));
}

TEST(random, depends_on_what_was_stirred_in_and_never_repeats)
{
	uint8_t a[100], b[100];

	random_stir("seed", 4);
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, a + 32, 32);
	random_stir("seed", 4);
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vuart, reset_state),
		CASE(vuart, divisor_latch),
		CASE(vuart, transmits_to_the_console),
		CASE(vuart, thre_interrupt),
		CASE(vuart, fifo_trigger_and_timeout),
		CASE(vuart, without_fifo_one_byte_at_a_time),
		CASE(vuart, input_beyond_the_fifo_waits),
		CASE(vuart, clearing_the_fifo),
		CASE(vuart, loopback),
		CASE(vuart, overrun_and_priorities),
		CASE(vuart, out2_lets_the_interrupt_out),
		CASE(vuart, section_is_complete_and_checked),
		CASE(console, keeps_the_latest_and_counts_all),
		CASE(console, section_is_complete_and_checked),
		CASE(exitport, code_and_shutdown),
		CASE(random, chacha20_block),
		CASE(random, depends_on_what_was_stirred_in_and_never_repeats),
	};

	return cmocka_run_group_tests_name("vuart, console, exitport, random", tests, NULL, NULL);
}
