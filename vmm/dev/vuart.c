/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vuart.c - a 16550A whose line is infinitely fast.
 *
 * A byte written to THR is on the console before the write returns, so the transmitter is always
 * empty; the THRE interrupt still comes once for each emptying, as drivers count on.  Received
 * bytes below the trigger level are given as a character timeout at once.  Called by the bus and,
 * for input, by vmm/machine.c.
 */
#include "vmm/dev/vuart.h"

#define COM1_BASE       0x3f8
#define COM1_PORTS      8

enum reg { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RECEIVED    BIT(0)
#define IER_EMPTY       BIT(1)
#define IER_ERROR       BIT(2)
#define IER_MODEM       BIT(3)
#define IER_BITS        MASK(3, 0)

#define IIR_NONE        0x01
#define IIR_MODEM       0x00            /* in rising priority; "Interrupt Identification" */
#define IIR_EMPTY       0x02
#define IIR_RECEIVED    0x04
#define IIR_TIMEOUT     0x0c
#define IIR_ERROR       0x06
#define IIR_FIFOS       0xc0

#define FCR_ENABLE      BIT(0)
#define FCR_CLEAR_RX    BIT(1)
#define FCR_TRIGGER     MASK(7, 6)
#define FCR_KEPT        (FCR_ENABLE | FCR_TRIGGER)

#define LCR_DLAB        BIT(7)

#define MCR_DTR         BIT(0)
#define MCR_RTS         BIT(1)
#define MCR_OUT1        BIT(2)
#define MCR_OUT2        BIT(3)          /* on a PC: lets the interrupt out */
#define MCR_LOOP        BIT(4)
#define MCR_BITS        MASK(4, 0)

#define LSR_READY       BIT(0)
#define LSR_OVERRUN     BIT(1)
#define LSR_THR_EMPTY   BIT(5)
#define LSR_IDLE        BIT(6)

#define MSR_CTS         BIT(4)
#define MSR_DSR         BIT(5)
#define MSR_RI          BIT(6)
#define MSR_DCD         BIT(7)
#define MSR_LINES       MASK(7, 4)
#define MSR_DELTA_RI    BIT(2)          /* only its trailing edge counts   */
#define MSR_CONNECTED   (MSR_CTS | MSR_DSR | MSR_DCD)

/* --- Receive FIFO ----------------------------------------------------------------------------- */

static unsigned capacity(const struct vuart *u)
{
	return u->fcr & FCR_ENABLE ? VUART_FIFO : 1;
}

static unsigned trigger(const struct vuart *u)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };

	return u->fcr & FCR_ENABLE ? level[GET(FCR_TRIGGER, u->fcr)] : 1;
}

static void fifo_put(struct vuart *u, uint8_t byte)
{
	if (u->fifo_count == capacity(u)) {
		u->lsr_errors |= LSR_OVERRUN;
		return;
	}
	u->fifo[(u->fifo_head + u->fifo_count++) % VUART_FIFO] = byte;
}

static uint8_t fifo_take(struct vuart *u)
{
	uint8_t byte = u->fifo[u->fifo_head];

	if (!u->fifo_count)
		return 0;
	u->fifo_head = (u->fifo_head + 1) % VUART_FIFO;
	u->fifo_count--;
	return byte;
}

/* What was typed flows in as room appears; in loopback the wire is cut. */
static void refill(struct vuart *u)
{
	uint8_t byte;

	while (!(u->mcr & MCR_LOOP) && u->fifo_count < capacity(u) &&
	       console_input_take(&u->input, &byte, 1))
		fifo_put(u, byte);
}

/* --- Interrupts ------------------------------------------------------------------------------- */

static uint8_t interrupt_id(const struct vuart *u)
{
	if ((u->ier & IER_ERROR) && u->lsr_errors)
		return IIR_ERROR;
	if ((u->ier & IER_RECEIVED) && u->fifo_count)
		return u->fifo_count >= trigger(u) ? IIR_RECEIVED : IIR_TIMEOUT;
	if ((u->ier & IER_EMPTY) && u->thre_pending)
		return IIR_EMPTY;
	if ((u->ier & IER_MODEM) && u->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

static void drive(struct vuart *u)
{
	/* In loopback OUT2's pin is inactive, so nothing gets out. */
	bool out = (u->mcr & MCR_OUT2) && !(u->mcr & MCR_LOOP);

	wire_set(&u->irq, out && interrupt_id(u) != IIR_NONE);
}

/* --- Modem lines ------------------------------------------------------------------------------ */

static uint8_t modem_lines(const struct vuart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CONNECTED;
	return (uint8_t)((u->mcr & MCR_RTS  ? MSR_CTS : 0) | (u->mcr & MCR_DTR  ? MSR_DSR : 0) |
			 (u->mcr & MCR_OUT1 ? MSR_RI  : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void modem_update(struct vuart *u)
{
	uint8_t lines = modem_lines(u), changed = lines ^ u->msr_lines;

	u->msr_delta |= (uint8_t)((changed & ~MSR_RI) >> 4);
	if ((changed & MSR_RI) && !(lines & MSR_RI))
		u->msr_delta |= MSR_DELTA_RI;
	u->msr_lines = lines;
}

/* --- Ports ------------------------------------------------------------------------------------ */

static void transmit(struct vuart *u, uint8_t byte)
{
	u->thre_pending = 0;
	drive(u);                       /* full for no time at all, but the edge is real */
	if (u->mcr & MCR_LOOP)
		fifo_put(u, byte);
	else
		console_put(u->console, CONSOLE_COM1, &byte, 1);
	u->thre_pending = 1;
}

static uint8_t read_iir(struct vuart *u)
{
	uint8_t id = interrupt_id(u);

	if (id == IIR_EMPTY)
		u->thre_pending = 0;
	return (uint8_t)(id | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0));
}

static uint8_t read_lsr(struct vuart *u)
{
	uint8_t errors = u->lsr_errors;

	u->lsr_errors = 0;
	return (uint8_t)(errors | LSR_THR_EMPTY | LSR_IDLE | (u->fifo_count ? LSR_READY : 0));
}

static uint8_t read_msr(struct vuart *u)
{
	uint8_t delta = u->msr_delta;

	u->msr_delta = 0;
	return u->msr_lines | delta;
}

static uint8_t read_rbr(struct vuart *u)
{
	uint8_t byte = fifo_take(u);

	refill(u);
	return byte;
}

static uint64_t vuart_read(void *dev, const struct access *a)
{
	struct vuart *u = dev;
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t value = 0;

	switch ((enum reg)(a->addr % COM1_PORTS)) {
	case RBR_THR: value = dlab ? u->dll : read_rbr(u); break;
	case IER:     value = dlab ? u->dlm : u->ier; break;
	case IIR_FCR: value = read_iir(u); break;
	case LCR:     value = u->lcr; break;
	case MCR:     value = u->mcr; break;
	case LSR:     value = read_lsr(u); break;
	case MSR:     value = read_msr(u); break;
	case SCR:     value = u->scr; break;
	}
	drive(u);
	return value;
}

static void write_ier(struct vuart *u, uint8_t value)
{
	/* Enabling the interrupt while THR is empty raises it. */
	if ((value & IER_EMPTY) && !(u->ier & IER_EMPTY))
		u->thre_pending = 1;
	u->ier = value & IER_BITS;
}

static void write_fcr(struct vuart *u, uint8_t value)
{
	/* Without the enable bit the others are not programmed; changing it clears the FIFOs. */
	if (((value ^ u->fcr) & FCR_ENABLE) || ((value & FCR_ENABLE) && (value & FCR_CLEAR_RX)))
		u->fifo_head = u->fifo_count = 0;
	u->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	refill(u);
}

static void write_mcr(struct vuart *u, uint8_t value)
{
	u->mcr = value & MCR_BITS;
	modem_update(u);
	refill(u);
}

static void vuart_write(void *dev, const struct access *a, uint64_t value)
{
	struct vuart *u = dev;
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t byte = (uint8_t)value;

	switch ((enum reg)(a->addr % COM1_PORTS)) {
	case RBR_THR:
		if (dlab)
			u->dll = byte;
		else
			transmit(u, byte);
		break;
	case IER:
		if (dlab)
			u->dlm = byte;
		else
			write_ier(u, byte);
		break;
	case IIR_FCR: write_fcr(u, byte); break;
	case LCR:     u->lcr = byte; break;
	case MCR:     write_mcr(u, byte); break;
	case LSR:     /* fall through: factory test, and read-only */
	case MSR:     break;
	case SCR:     u->scr = byte; break;
	}
	drive(u);
}

size_t vuart_input(struct vuart *u, const void *bytes, size_t len)
{
	size_t taken = console_input_put(&u->input, bytes, len);

	refill(u);
	drive(u);
	return taken;
}

/* --- Life, and what travels ------------------------------------------------------------------- */

#define DIVISOR_115200 1

static void vuart_reset(void *dev)
{
	struct vuart *u = dev;

	*u = (struct vuart){ .console = u->console, .irq = u->irq, .dll = DIVISOR_115200,
			     .msr_lines = MSR_CONNECTED };
	drive(u);
}

void vuart_init(struct vuart *u, struct console *console, struct wire irq)
{
	*u = (struct vuart){ .console = console, .irq = irq };
	vuart_reset(u);
}

static const struct field vuart_fields[] = {
	FIELD(struct vuart, ier), FIELD(struct vuart, lcr), FIELD(struct vuart, mcr),
	FIELD(struct vuart, scr), FIELD(struct vuart, dll), FIELD(struct vuart, dlm),
	FIELD(struct vuart, fcr), FIELD(struct vuart, lsr_errors), FIELD(struct vuart, msr_lines),
	FIELD(struct vuart, msr_delta), FIELD(struct vuart, thre_pending),
	FIELDS(struct vuart, fifo),
	FIELD(struct vuart, fifo_head), FIELD(struct vuart, fifo_count),
	CONSOLE_INPUT_FIELDS(struct vuart, input),
};

static enum err vuart_check(const void *object)
{
	const struct vuart *u = object;

	if (u->ier & ~IER_BITS)
		return fail(ERR_BAD_FORMAT, "vuart: ier %#x has reserved bits", u->ier);
	if (u->mcr & ~MCR_BITS)
		return fail(ERR_BAD_FORMAT, "vuart: mcr %#x has reserved bits", u->mcr);
	if (u->fcr & ~FCR_KEPT)
		return fail(ERR_BAD_FORMAT, "vuart: fcr %#x has bits that do not last", u->fcr);
	if (u->lsr_errors & ~LSR_OVERRUN)
		return fail(ERR_BAD_FORMAT, "vuart: lsr_errors %#x", u->lsr_errors);
	if ((u->msr_lines & ~MSR_LINES) || (u->msr_delta & MSR_LINES))
		return fail(ERR_BAD_FORMAT, "vuart: msr_lines %#x, msr_delta %#x", u->msr_lines,
			    u->msr_delta);
	if (u->thre_pending > 1)
		return fail(ERR_BAD_FORMAT, "vuart: thre_pending %u", u->thre_pending);
	if (u->fifo_head >= VUART_FIFO || u->fifo_count > capacity(u))
		return fail(ERR_BAD_FORMAT, "vuart: fifo_head %u, fifo_count %u", u->fifo_head,
			    u->fifo_count);
	return console_input_check(&u->input);
}

static const struct section vuart_state = {
	.name = "vuart", .version = 1, .fields = vuart_fields, .nfields = COUNT(vuart_fields),
	.object_size = sizeof(struct vuart), .check = vuart_check,
};

static const struct range vuart_ranges[] = { { BUS_IO, COM1_BASE, COM1_PORTS } };

const struct dev_ops vuart_ops = {
	.name = "vuart", .ranges = vuart_ranges, .nranges = COUNT(vuart_ranges),
	.reset = vuart_reset, .read = vuart_read, .write = vuart_write, .state = &vuart_state,
};
