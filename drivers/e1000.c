/* SPDX-License-Identifier: MIT */
/*
 * drivers/e1000.c - Intel's 82540EM and its nearest relatives, as a struct nic.
 *
 * Owns the cards' registers and, for each card, one 2 MiB frame with both rings and all buffers.
 * Frames are copied out of the caller's pieces into a slot, and handed up where the card put them.
 * The interrupt handler masks the card and marks it; e1000_poll() does the work and e1000_rearm()
 * unmasks.  The card receives everything: behind it is a switch, with guests' addresses.
 * Started by drivers/nics.c; read next: net/nic.c, net/vswitch.c.
 */
#include "drivers/e1000.h"

#include <string.h>

#include "arch/x86_64/insn.h"
#include "arch/x86_64/irq.h"
#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/task.h"
#include "lib/time.h"
#include "net/nic.h"

#define MODEL_82540EM       PCI_ID(0x8086, 0x100e)
#define MODEL_82545EM       PCI_ID(0x8086, 0x100f)
#define MODEL_82544GC       PCI_ID(0x8086, 0x100c)

#define ETH_MTU             1500
#define RX_SLOTS            496       /* with the rings they fill one frame of memory      */
#define TX_SLOTS            512       /* more than two full TCP windows of 180 segments    */
#define SLOT_SIZE           2048
#define RX_RETURN_BATCH     16        /* slots given back to the card at once              */
#define RESET_MAX_NS        (20 * NS_PER_MS)
#define EERD_MAX_NS         (10 * NS_PER_MS)
#define ITR_UNIT_NS         256       /* "Interrupt Throttling Register"                   */
#define ITR_NS              (50 * NS_PER_US)
#define COLLISION_THRESHOLD 15        /* "Transmit Control Register": the manual's values  */
#define COLLISION_DISTANCE  64
#define GAP_TRANSMIT        8         /* "Transmit IPG Register", copper                   */
#define GAP_RECEIVE1        8
#define GAP_RECEIVE2        6
#define INTS_WANTED         (INT_LSC | INT_RXDMT0 | INT_RXO | INT_RXT0)

/* Everything that the card reads and writes. */
struct e1000_dma {
	struct e1000_rx_desc rx[RX_SLOTS];
	struct e1000_tx_desc tx[TX_SLOTS];
	uint8_t              rx_slot[RX_SLOTS][SLOT_SIZE] __attribute__((aligned(SLOT_SIZE)));
	uint8_t              tx_slot[TX_SLOTS][SLOT_SIZE];
};
_Static_assert(sizeof(struct e1000_dma) <= FRAME_SIZE, "one frame of memory holds it all");
_Static_assert(RX_SLOTS % 8 == 0 && TX_SLOTS % 8 == 0, "ring lengths are multiples of 128 bytes");
_Static_assert(offsetof(struct e1000_dma, tx) % 16 == 0, "rings are 16 byte aligned");
_Static_assert(FRAME_LEN_MAX <= SLOT_SIZE, "a frame fits a slot");

struct e1000 {
	struct nic            nic;
	volatile uint8_t     *regs;
	struct e1000_dma     *dma;
	unsigned              rx_next;        /* the slot that the card fills next             */
	unsigned              tx_next;        /* the slot that the next frame goes into        */
	unsigned              tx_oldest;      /* the oldest slot that is not known to be sent  */
	volatile uint32_t     causes;         /* from the interrupt handler, for poll          */
};

static struct e1000 cards[NICS_MAX];
static unsigned ncards;

static const struct { uint32_t id; const char *name; } models[] = {
	{ MODEL_82540EM, "82540EM" },
	{ MODEL_82545EM, "82545EM" },
	{ MODEL_82544GC, "82544GC" },
};

static uint32_t reg_read(const struct e1000 *c, enum e1000_reg reg)
{
	return *(volatile uint32_t *)(c->regs + reg);
}

/* Stores to RAM made before are visible to the card first: registers are mapped uncached. */
static void reg_write(const struct e1000 *c, enum e1000_reg reg, uint64_t value)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*(volatile uint32_t *)(c->regs + reg) = (uint32_t)value;
}

/* Wait until the bits in `mask` read as `want`; false when `max_ns` have passed. */
static bool reg_wait(const struct e1000 *c, enum e1000_reg reg, uint64_t mask, uint64_t want,
		     uint64_t max_ns)
{
	uint64_t end_ns = time_now_ns() + max_ns;

	while ((reg_read(c, reg) & mask) != want) {
		if (time_now_ns() > end_ns)
			return false;
		insn_pause();
	}
	return true;
}

/* --- Frames out ------------------------------------------------------------------------------ */

static unsigned next_slot(unsigned i, unsigned n)
{
	return i + 1 == n ? 0 : i + 1;
}

static void tx_reap(struct e1000 *c)
{
	while (c->tx_oldest != c->tx_next) {
		volatile struct e1000_tx_desc *d = &c->dma->tx[c->tx_oldest];

		if (!(d->status & TX_STATUS_DD))
			break;
		c->tx_oldest = next_slot(c->tx_oldest, TX_SLOTS);
	}
}

static unsigned e1000_room(const struct nic *nic)
{
	struct e1000 *c = CONTAINER_OF(nic, struct e1000, nic);

	tx_reap(c);
	return (c->tx_oldest + TX_SLOTS - c->tx_next - 1) % TX_SLOTS;
}

static bool e1000_send(struct nic *nic, const struct frame *f)
{
	struct e1000 *c = CONTAINER_OF(nic, struct e1000, nic);

	ASSERT(f->len <= FRAME_LEN_MAX);
	if (next_slot(c->tx_next, TX_SLOTS) == c->tx_oldest && e1000_room(nic) == 0) {
		nic->count.tx_full++;
		return false;
	}
	frame_copy(c->dma->tx_slot[c->tx_next], f);

	volatile struct e1000_tx_desc *d = &c->dma->tx[c->tx_next];
	d->len = f->len;
	d->status = 0;
	d->command = TX_COMMAND_EOP | TX_COMMAND_IFCS | TX_COMMAND_RS;
	c->tx_next = next_slot(c->tx_next, TX_SLOTS);
	reg_write(c, E1000_TDT, c->tx_next);
	nic->count.tx_frames++;
	nic->count.tx_bytes += f->len;
	return true;
}

/* --- Frames in ------------------------------------------------------------------------------- */

static bool rx_pending(const struct e1000 *c)
{
	return ((volatile struct e1000_rx_desc *)c->dma->rx)[c->rx_next].status & RX_STATUS_DD;
}

static void rx_one(struct e1000 *c, unsigned slot)
{
	struct e1000_rx_desc d = c->dma->rx[slot];      /* one copy, checked, then used */
	struct nic *nic = &c->nic;

	if (!(d.status & RX_STATUS_EOP) || (d.errors & RX_ERRORS_FRAME) || d.len < FRAME_LEN_MIN ||
	    d.len > FRAME_LEN_MAX) {
		nic->count.rx_errors++;
		return;
	}
	nic->count.rx_frames++;
	nic->count.rx_bytes += d.len;
	if (nic->receive) {
		struct frame f = frame_of(c->dma->rx_slot[slot], d.len);

		nic->receive(nic->receive_to, &f);
	}
}

static unsigned rx_poll(struct e1000 *c, unsigned budget)
{
	unsigned n = 0, slot = c->rx_next;

	while (n < budget && rx_pending(c)) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		slot = c->rx_next;
		rx_one(c, slot);
		c->dma->rx[slot].status = 0;
		c->rx_next = next_slot(slot, RX_SLOTS);
		if (++n % RX_RETURN_BATCH == 0)
			reg_write(c, E1000_RDT, slot);
	}
	if (n % RX_RETURN_BATCH != 0)
		reg_write(c, E1000_RDT, slot);
	return n;
}

/* --- The rest of a card's turn --------------------------------------------------------------- */

static void link_update(struct e1000 *c)
{
	static const unsigned mbit_s[] = { 10, 100, 1000, 1000 };
	uint32_t status = reg_read(c, E1000_STATUS);
	bool up = status & STATUS_LU;

	if (up && !c->nic.link)
		log_line("%s: link up, %u Mb/s", c->nic.name, mbit_s[GET(STATUS_SPEED, status)]);
	if (!up && c->nic.link)
		log_line("%s: link down", c->nic.name);
	c->nic.link = up;
}

static void handle_causes(struct e1000 *c, uint32_t causes)
{
	if (causes & INT_LSC)
		link_update(c);
	if (causes & INT_RXO) {
		uint32_t missed = reg_read(c, E1000_MPC);

		c->nic.count.rx_dropped += MAX(missed, 1u);     /* Bochs raises RXO and counts 0 */
	}
}

static unsigned e1000_poll(struct nic *nic, unsigned budget)
{
	struct e1000 *c = CONTAINER_OF(nic, struct e1000, nic);
	uint32_t causes = c->causes;

	if (causes) {
		c->causes = 0;
		handle_causes(c, causes);
	}
	return rx_poll(c, budget);
}

static bool e1000_rearm(struct nic *nic)
{
	struct e1000 *c = CONTAINER_OF(nic, struct e1000, nic);

	reg_write(c, E1000_IMS, INTS_WANTED);
	return rx_pending(c);
}

static bool on_interrupt(void *ctx)
{
	struct e1000 *c = ctx;
	uint32_t causes = reg_read(c, E1000_ICR);

	if (!causes)
		return false;
	reg_write(c, E1000_IMC, INT_ALL);       /* quiet until e1000_rearm() */
	c->causes |= causes;
	c->nic.count.interrupts++;
	c->nic.work = true;
	sched_poke();
	return true;
}

/* --- Starting a card ------------------------------------------------------------------------- */

/* "Initialization", "Reset Operation": stop everything, reset, wait for the EEPROM's values. */
static enum err reset(struct e1000 *c)
{
	reg_write(c, E1000_IMC, INT_ALL);
	reg_write(c, E1000_RCTL, 0);
	reg_write(c, E1000_TCTL, TCTL_PSP);
	reg_read(c, E1000_STATUS);              /* the writes above have arrived */
	reg_write(c, E1000_CTRL, reg_read(c, E1000_CTRL) | CTRL_RST);
	if (!reg_wait(c, E1000_CTRL, CTRL_RST, 0, RESET_MAX_NS))
		return fail(ERR_TIMEOUT, "e1000: %s does not come out of reset", c->nic.where);
	reg_write(c, E1000_IMC, INT_ALL);
	reg_read(c, E1000_ICR);
	return OK;
}

static enum err eeprom_read(struct e1000 *c, unsigned word, uint16_t *out)
{
	reg_write(c, E1000_EERD, EERD_START | PUT(EERD_ADDR, word));
	if (!reg_wait(c, E1000_EERD, EERD_DONE, EERD_DONE, EERD_MAX_NS))
		return fail(ERR_TIMEOUT, "e1000: EEPROM of %s: no word %u", c->nic.where, word);
	*out = (uint16_t)GET(EERD_DATA, reg_read(c, E1000_EERD));
	return OK;
}

/* The address is in RAL/RAH, or (Bochs) only in the EEPROM's first three words. */
static enum err read_mac(struct e1000 *c)
{
	uint16_t word[3] = { (uint16_t)reg_read(c, E1000_RAL),
			     (uint16_t)(reg_read(c, E1000_RAL) >> 16),
			     (uint16_t)reg_read(c, E1000_RAH) };
	enum err e = OK;

	if (!(word[0] | word[1] | word[2]))
		for (unsigned i = 0; i < COUNT(word) && e == OK; i++)
			e = eeprom_read(c, i, &word[i]);
	if (e != OK)
		return e;
	for (unsigned i = 0; i < COUNT(word); i++) {
		c->nic.mac[2 * i] = (uint8_t)word[i];
		c->nic.mac[2 * i + 1] = (uint8_t)(word[i] >> 8);
	}
	if ((c->nic.mac[0] & 1) || !(word[0] | word[1] | word[2]))
		return fail(ERR_BAD_FORMAT, "e1000: %s has no usable address", c->nic.where);
	return OK;
}

static void write_mac(struct e1000 *c)
{
	const uint8_t *m = c->nic.mac;

	reg_write(c, E1000_RAL, m[0] | m[1] << 8 | m[2] << 16 | (uint32_t)m[3] << 24);
	reg_write(c, E1000_RAH, RAH_AV | m[4] | (uint32_t)m[5] << 8);
	for (unsigned i = 0; i < E1000_MTA_LEN; i++)
		reg_write(c, E1000_MTA + 4 * i, 0);
}

static void start_receiver(struct e1000 *c)
{
	uint64_t ring = ptr_hpa(c->dma->rx).v;

	for (unsigned i = 0; i < RX_SLOTS; i++)
		c->dma->rx[i].buffer = ptr_hpa(c->dma->rx_slot[i]).v;
	reg_write(c, E1000_RDBAL, ring);
	reg_write(c, E1000_RDBAH, ring >> 32);
	reg_write(c, E1000_RDLEN, sizeof(c->dma->rx));
	reg_write(c, E1000_RDTR, 0);            /* ITR is enough of a delay */
	reg_write(c, E1000_RADV, 0);
	reg_write(c, E1000_RDH, 0);
	reg_write(c, E1000_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC);
	reg_write(c, E1000_RDT, RX_SLOTS - 1);  /* all but one: equal means empty */
}

static void start_transmitter(struct e1000 *c)
{
	uint64_t ring = ptr_hpa(c->dma->tx).v;

	for (unsigned i = 0; i < TX_SLOTS; i++)
		c->dma->tx[i].buffer = ptr_hpa(c->dma->tx_slot[i]).v;
	reg_write(c, E1000_TDBAL, ring);
	reg_write(c, E1000_TDBAH, ring >> 32);
	reg_write(c, E1000_TDLEN, sizeof(c->dma->tx));
	reg_write(c, E1000_TIDV, 0);
	reg_write(c, E1000_TDH, 0);
	reg_write(c, E1000_TDT, 0);
	reg_write(c, E1000_TIPG, PUT(TIPG_IPGT, GAP_TRANSMIT) | PUT(TIPG_IPGR1, GAP_RECEIVE1) |
		  PUT(TIPG_IPGR2, GAP_RECEIVE2));
	reg_write(c, E1000_TCTL, TCTL_EN | TCTL_PSP | PUT(TCTL_CT, COLLISION_THRESHOLD) |
		  PUT(TCTL_COLD, COLLISION_DISTANCE));
}

/* "General Configuration": link by auto-negotiation, no flow control, no VLAN stripping. */
static void configure(struct e1000 *c)
{
	uint32_t control = reg_read(c, E1000_CTRL);

	control &= (uint32_t)~(CTRL_LRST | CTRL_ILOS | CTRL_PHY_RST | CTRL_VME);
	reg_write(c, E1000_CTRL, control | CTRL_SLU | CTRL_ASDE);
	reg_write(c, E1000_FCAL, 0);
	reg_write(c, E1000_FCAH, 0);
	reg_write(c, E1000_FCT, 0);
	reg_write(c, E1000_FCTTV, 0);
	reg_write(c, E1000_ITR, ITR_NS / ITR_UNIT_NS);
	for (unsigned i = 0; i < E1000_NSTATS; i++)
		reg_read(c, E1000_STATS + 4 * i);
}

static const struct nic_ops e1000_ops = {
	.driver = "e1000", .send = e1000_send, .room = e1000_room, .poll = e1000_poll,
	.rearm = e1000_rearm,
};

static const char *model_of(uint32_t id)
{
	for (unsigned i = 0; i < COUNT(models); i++)
		if (models[i].id == id)
			return models[i].name;
	return "8254x";
}

/* From here on the card writes to memory, until reset(). */
static enum err go(struct e1000 *c, struct pci_dev *dev)
{
	configure(c);
	write_mac(c);
	start_receiver(c);
	start_transmitter(c);
	enum err e = irq_register(dev->irq_line, on_interrupt, c);

	return e == OK ? nic_register(&c->nic) : e;
}

static enum err bring_up(struct e1000 *c, struct pci_dev *dev)
{
	hpa_t frame;
	enum err e = reset(c);

	if (e == OK)
		e = read_mac(c);
	if (e == OK)
		e = frames_alloc_run(1, &frame);
	if (e != OK)
		return e;
	c->dma = hpa_ptr(frame);
	memset(c->dma, 0, offsetof(struct e1000_dma, rx_slot));
	e = go(c, dev);
	if (e != OK && reset(c) == OK)          /* a card that cannot be stopped keeps its memory */
		frames_free_run(frame, 1);
	return e;
}

static enum err e1000_start(struct pci_dev *dev)
{
	if (ncards == COUNT(cards))
		return fail(ERR_NO_MEMORY, "e1000: more than %u cards", ncards);

	struct e1000 *c = &cards[ncards];
	*c = (struct e1000){ .nic = { .mtu = ETH_MTU, .ops = &e1000_ops } };
	fmt_format(c->nic.where, sizeof(c->nic.where), "%s at PCI %02x:%02x.%u", model_of(dev->id),
		   dev->bus, dev->slot, dev->function);
	pci_enable(dev, true);
	c->regs = pci_map_bar(dev, 0, E1000_BAR_LEN);
	if (!c->regs)
		return ERR_NOT_SUPPORTED;

	enum err e = bring_up(c, dev);
	if (e != OK)
		return e;
	ncards++;
	log_line("%s: %s, %02x:%02x:%02x:%02x:%02x:%02x, IRQ %u", c->nic.name, c->nic.where,
		 c->nic.mac[0], c->nic.mac[1], c->nic.mac[2], c->nic.mac[3], c->nic.mac[4],
		 c->nic.mac[5], dev->irq_line);
	link_update(c);
	c->nic.work = true;                     /* the first poll unmasks the card */
	return OK;
}

static const uint32_t ids[] = { MODEL_82540EM, MODEL_82545EM, MODEL_82544GC, 0 };

const struct pci_driver e1000_driver = { .name = "e1000", .ids = ids, .start = e1000_start };
