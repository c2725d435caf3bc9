/* SPDX-License-Identifier: MIT */
/*
 * drivers/gbe.c - the body of a driver for Intel's gigabit cards, as a struct nic.
 *
 * Owns the cards' registers and, for each card, one 2 MiB frame with both rings and all buffers.
 * Frames are copied out of the caller's pieces into a slot, and handed up where the card put them;
 * longer ones lie in several slots, one after the other.
 * The interrupt handler masks the card and marks it; gbe_poll() does the work and gbe_rearm()
 * unmasks.  The card receives everything: behind it is a switch, with guests' addresses.
 * Used by drivers/e1000.c and drivers/e1000e.c; read next: drivers/gbe_rx.c, net/nic.c.
 */
#include "drivers/gbe.h"

#include <string.h>

#include "arch/x86_64/insn.h"
#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/task.h"
#include "lib/time.h"

#define RX_SLOTS            496       /* with the rings they fill one frame of memory      */
#define TX_SLOTS            512       /* more than two full TCP windows of 180 segments    */
#define RX_RETURN_BATCH     16        /* slots given back to the card at once              */
#define RESET_MAX_NS        (20 * NS_PER_MS)
#define RX_STOP_NS          (15 * NS_PER_MS)    /* the longest frame, 16 KiB, at 10 Mb/s   */
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
struct gbe_dma {
	struct gbe_rx_desc rx[RX_SLOTS];
	struct gbe_tx_desc tx[TX_SLOTS];
	uint8_t rx_slot[RX_SLOTS][GBE_SLOT_SIZE] __attribute__((aligned(GBE_SLOT_SIZE)));
	uint8_t tx_slot[TX_SLOTS][GBE_SLOT_SIZE];
};
_Static_assert(sizeof(struct gbe_dma) <= FRAME_SIZE, "one frame of memory holds it all");
_Static_assert(RX_SLOTS % 8 == 0 && TX_SLOTS % 8 == 0, "ring lengths are multiples of 128 bytes");
_Static_assert(offsetof(struct gbe_dma, tx) % 16 == 0, "rings are 16 byte aligned");
_Static_assert(FRAME_LEN_MAX <= GBE_SLOT_SIZE, "an ordinary frame fits a slot");
_Static_assert(FRAME_JUMBO_MAX <= GBE_SLOT_SIZE * FRAME_PARTS_MAX, "a frame has its pieces");

static struct gbe cards[NICS_MAX];
static unsigned ncards;

uint32_t gbe_read(const struct gbe *c, enum gbe_reg reg)
{
	return *(volatile uint32_t *)(c->regs + reg);
}

/* Stores to RAM made before are visible to the card first: registers are mapped uncached. */
void gbe_write(const struct gbe *c, enum gbe_reg reg, uint64_t value)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*(volatile uint32_t *)(c->regs + reg) = (uint32_t)value;
}

bool gbe_wait(const struct gbe *c, enum gbe_reg reg, uint64_t mask, uint64_t want,
		     uint64_t max_ns)
{
	uint64_t end_ns = time_now_ns() + max_ns;

	while ((gbe_read(c, reg) & mask) != want) {
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

static void tx_reap(struct gbe *c)
{
	while (c->tx_oldest != c->tx_next) {
		volatile struct gbe_tx_desc *d = &c->dma->tx[c->tx_oldest];

		if (!(d->status & TX_STATUS_DD))
			break;
		c->tx_oldest = next_slot(c->tx_oldest, TX_SLOTS);
	}
}

static unsigned tx_free(const struct gbe *c)
{
	return (c->tx_oldest + TX_SLOTS - c->tx_next - 1) % TX_SLOTS;
}

static uint32_t longest_frame(const struct nic *nic)
{
	return FRAME_HEAD_MAX + (uint32_t)nic->mtu;
}

/* How many slots a frame of `len` bytes takes. */
static unsigned tx_slots(uint32_t len)
{
	return (len + GBE_SLOT_SIZE - 1) / GBE_SLOT_SIZE;
}

static unsigned gbe_room(const struct nic *nic)
{
	struct gbe *c = CONTAINER_OF(nic, struct gbe, nic);

	tx_reap(c);
	return tx_free(c) / tx_slots(longest_frame(nic));
}

/*
 * `len` bytes of the frame, from byte `from` on, into the next slot.  Whether IFCS counts in a
 * frame's first descriptor or in its last differs from card to card: all have it.
 */
static void tx_put(struct gbe *c, const struct frame *f, uint32_t from, uint32_t len)
{
	volatile struct gbe_tx_desc *d = &c->dma->tx[c->tx_next];
	bool last = from + len == f->len;
	struct frame piece;

	if (len < f->len) {
		frame_clear(&piece);
		frame_slice(&piece, f, from, len);
		f = &piece;
	}
	frame_copy(c->dma->tx_slot[c->tx_next], f);
	d->len = (uint16_t)len;
	d->status = 0;
	d->command = TX_COMMAND_IFCS | TX_COMMAND_RS | (last ? TX_COMMAND_EOP : 0);
	c->tx_next = next_slot(c->tx_next, TX_SLOTS);
}

static bool gbe_send(struct nic *nic, const struct frame *f)
{
	struct gbe *c = CONTAINER_OF(nic, struct gbe, nic);

	ASSERT(f->len <= longest_frame(nic));
	if (tx_free(c) < tx_slots(f->len))
		tx_reap(c);
	if (!nic->link || tx_free(c) < tx_slots(f->len)) {
		nic->count.tx_full++;
		return false;
	}
	for (uint32_t from = 0; from < f->len; from += GBE_SLOT_SIZE)
		tx_put(c, f, from, MIN(f->len - from, (uint32_t)GBE_SLOT_SIZE));
	gbe_write(c, GBE_TDT, c->tx_next);
	nic->count.tx_frames++;
	nic->count.tx_bytes += f->len;
	return true;
}

/* --- Frames in ------------------------------------------------------------------------------- */

static bool rx_pending(const struct gbe *c)
{
	return ((volatile struct gbe_rx_desc *)c->dma->rx)[c->rx_next].status & RX_STATUS_DD;
}

static void hand_up(struct gbe *c)
{
	struct nic *nic = &c->nic;

	nic->count.rx_frames++;
	nic->count.rx_bytes += c->rx.frame.len;
	if (nic->receive)
		nic->receive(nic->receive_to, &c->rx.frame);
}

/* The next slot, which may be all of a frame, or a piece, or its last. */
static void rx_one(struct gbe *c)
{
	struct gbe_rx_desc *in_ring = &c->dma->rx[c->rx_next];
	struct gbe_rx_desc d = *in_ring;              /* one copy, checked, then used */
	enum gbe_rx_got got = gbe_rx_take(&c->rx, &d, c->dma->rx_slot[c->rx_next],
					  longest_frame(&c->nic));

	if (got == GBE_RX_FRAME)
		hand_up(c);
	else if (got == GBE_RX_LONG)
		c->nic.count.rx_long++;
	else if (got == GBE_RX_BAD)
		c->nic.count.rx_errors++;
	in_ring->status = 0;
	c->rx_next = next_slot(c->rx_next, RX_SLOTS);
}

/* The card gets back what was handed up or dropped. */
static void rx_give_back(struct gbe *c)
{
	unsigned tail = gbe_rx_tail(&c->rx, c->rx_next, RX_SLOTS);

	if (tail != c->rx_tail)
		gbe_write(c, GBE_RDT, tail);
	c->rx_tail = tail;
}

/* The budget is one of slots: who gets long frames has no longer turns. */
static unsigned rx_poll(struct gbe *c, unsigned budget)
{
	unsigned n = 0;

	while (n < budget && rx_pending(c)) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		rx_one(c);
		if (++n % RX_RETURN_BATCH == 0)
			rx_give_back(c);
	}
	rx_give_back(c);
	return n;
}

/* --- The rest of a card's turn --------------------------------------------------------------- */

static void link_update(struct gbe *c)
{
	static const unsigned mbit_s[] = { 10, 100, 1000, 1000 };
	uint32_t status = gbe_read(c, GBE_STATUS);

	nic_link(&c->nic, status & STATUS_LU, mbit_s[GET(STATUS_SPEED, status)]);
}

static void handle_causes(struct gbe *c, uint32_t causes)
{
	if (causes & INT_LSC)
		link_update(c);
	if (causes & INT_RXO) {
		uint32_t missed = gbe_read(c, GBE_MPC);

		c->nic.count.rx_dropped += MAX(missed, 1u);     /* Bochs raises RXO and counts 0 */
	}
}

static unsigned gbe_poll(struct nic *nic, unsigned budget)
{
	struct gbe *c = CONTAINER_OF(nic, struct gbe, nic);
	uint32_t causes = c->causes;

	if (causes) {
		c->causes = 0;
		handle_causes(c, causes);
	}
	return rx_poll(c, budget);
}

static bool gbe_rearm(struct nic *nic)
{
	struct gbe *c = CONTAINER_OF(nic, struct gbe, nic);

	if (nic->polled)
		c->causes |= gbe_read(c, GBE_ICR);
	else
		gbe_write(c, GBE_IMS, INTS_WANTED);
	return rx_pending(c) || c->causes;
}

/* Of frames that are too long for it the card says no more than how many there were. */
static void gbe_refresh(struct nic *nic)
{
	nic->count.rx_long += gbe_read(CONTAINER_OF(nic, struct gbe, nic), GBE_ROC);
}

static bool on_interrupt(void *ctx)
{
	struct gbe *c = ctx;
	uint32_t causes = gbe_read(c, GBE_ICR);

	if (!causes)
		return false;
	gbe_write(c, GBE_IMC, INT_ALL);       /* quiet until gbe_rearm() */
	c->causes |= causes;
	c->nic.count.interrupts++;
	c->nic.work = true;
	sched_poke();
	return true;
}

/* --- Starting a card ------------------------------------------------------------------------- */

void gbe_quiet(struct gbe *c)
{
	gbe_write(c, GBE_IMC, INT_ALL);
	gbe_write(c, GBE_RCTL, 0);
	gbe_write(c, GBE_TCTL, TCTL_PSP);
	gbe_read(c, GBE_STATUS);                /* the writes above have arrived */
}

/* "Initialization", "Reset Operation" */
enum err gbe_reset(struct gbe *c)
{
	gbe_write(c, GBE_CTRL, gbe_read(c, GBE_CTRL) | CTRL_RST);
	if (!gbe_wait(c, GBE_CTRL, CTRL_RST, 0, RESET_MAX_NS))
		return fail(ERR_TIMEOUT, "%s: %s does not come out of reset", c->nic.driver,
			    c->nic.where);
	gbe_write(c, GBE_IMC, INT_ALL);
	gbe_read(c, GBE_ICR);
	return OK;
}

static enum err eeprom_read(struct gbe *c, unsigned word, uint16_t *out)
{
	const struct gbe_model *m = c->model;

	gbe_write(c, GBE_EERD, EERD_START | PUT(m->eerd_addr, word));
	if (!gbe_wait(c, GBE_EERD, m->eerd_done, m->eerd_done, EERD_MAX_NS))
		return fail(ERR_TIMEOUT, "%s: EEPROM of %s: no word %u", c->nic.driver,
			    c->nic.where, word);
	*out = (uint16_t)GET(EERD_DATA, gbe_read(c, GBE_EERD));
	return OK;
}

/* The address is in RAL/RAH, or (Bochs) only in the EEPROM's first three words. */
static enum err read_mac(struct gbe *c)
{
	uint16_t word[3] = { (uint16_t)gbe_read(c, GBE_RAL),
			     (uint16_t)(gbe_read(c, GBE_RAL) >> 16),
			     (uint16_t)gbe_read(c, GBE_RAH) };
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
		return fail(ERR_BAD_FORMAT, "%s: %s has no usable address", c->nic.driver,
			    c->nic.where);
	return OK;
}

static void write_mac(struct gbe *c)
{
	const uint8_t *m = c->nic.mac;

	gbe_write(c, GBE_RAL, m[0] | m[1] << 8 | m[2] << 16 | (uint32_t)m[3] << 24);
	gbe_write(c, GBE_RAH, RAH_AV | m[4] | (uint32_t)m[5] << 8);
	for (unsigned i = 0; i < GBE_MTA_LEN; i++)
		gbe_write(c, GBE_MTA + 4 * i, 0);
}

/* "Receive Control Register": all frames; long ones as soon as the MTU is not the ordinary one. */
static uint64_t receive_control(uint16_t mtu)
{
	return RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC | (mtu > NIC_MTU ? RCTL_LPE : 0);
}

static void start_receiver(struct gbe *c)
{
	uint64_t ring = ptr_hpa(c->dma->rx).v;

	for (unsigned i = 0; i < RX_SLOTS; i++)
		c->dma->rx[i].buffer = ptr_hpa(c->dma->rx_slot[i]).v;
	gbe_write(c, GBE_RDBAL, ring);
	gbe_write(c, GBE_RDBAH, ring >> 32);
	gbe_write(c, GBE_RDLEN, sizeof(c->dma->rx));
	gbe_write(c, GBE_RDTR, 0);            /* ITR is enough of a delay */
	gbe_write(c, GBE_RADV, 0);
	gbe_write(c, GBE_RDH, 0);
	gbe_write(c, GBE_RCTL, RCTL_EN | receive_control(c->nic.mtu));
	c->rx_tail = RX_SLOTS - 1;            /* all but one: equal means empty */
	gbe_write(c, GBE_RDT, c->rx_tail);
}

static void start_transmitter(struct gbe *c)
{
	uint64_t ring = ptr_hpa(c->dma->tx).v;

	for (unsigned i = 0; i < TX_SLOTS; i++)
		c->dma->tx[i].buffer = ptr_hpa(c->dma->tx_slot[i]).v;
	gbe_write(c, GBE_TDBAL, ring);
	gbe_write(c, GBE_TDBAH, ring >> 32);
	gbe_write(c, GBE_TDLEN, sizeof(c->dma->tx));
	gbe_write(c, GBE_TIDV, 0);
	gbe_write(c, GBE_TDH, 0);
	gbe_write(c, GBE_TDT, 0);
	gbe_write(c, GBE_TIPG, PUT(TIPG_IPGT, GAP_TRANSMIT) | PUT(TIPG_IPGR1, GAP_RECEIVE1) |
		  PUT(TIPG_IPGR2, GAP_RECEIVE2));
	gbe_write(c, GBE_TCTL, TCTL_EN | TCTL_PSP | PUT(TCTL_CT, COLLISION_THRESHOLD) |
		  PUT(TCTL_COLD, COLLISION_DISTANCE));
}

/* "General Configuration": link by auto-negotiation, no flow control, no VLAN stripping. */
static void configure(struct gbe *c)
{
	uint32_t control = gbe_read(c, GBE_CTRL);

	control &= (uint32_t)~(CTRL_LRST | CTRL_ILOS | CTRL_PHY_RST | CTRL_VME);
	gbe_write(c, GBE_CTRL, control | CTRL_SLU | CTRL_ASDE);
	gbe_write(c, GBE_FCAL, 0);
	gbe_write(c, GBE_FCAH, 0);
	gbe_write(c, GBE_FCT, 0);
	gbe_write(c, GBE_FCTTV, 0);
	gbe_write(c, GBE_ITR, ITR_NS / ITR_UNIT_NS);
	for (unsigned i = 0; i < GBE_NSTATS; i++)
		gbe_read(c, GBE_STATS + 4 * i);
	c->model->configure(c);
}

/*
 * "Receive Control Register": without EN, reception ends after the frame that is coming in, and no
 * bit says when; what may come in changes then.  The ring stays as it is.
 */
static enum err gbe_set_mtu(struct nic *nic, uint16_t mtu)
{
	struct gbe *c = CONTAINER_OF(nic, struct gbe, nic);

	gbe_write(c, GBE_RCTL, receive_control(nic->mtu));
	gbe_read(c, GBE_STATUS);                /* the write above has arrived */
	for (uint64_t end_ns = time_now_ns() + RX_STOP_NS; time_now_ns() < end_ns;)
		insn_pause();
	nic->mtu = mtu;
	gbe_write(c, GBE_RCTL, receive_control(mtu));
	gbe_write(c, GBE_RCTL, RCTL_EN | receive_control(mtu));
	return OK;
}

static const struct nic_ops gbe_ops = {
	.send = gbe_send, .room = gbe_room, .poll = gbe_poll, .rearm = gbe_rearm,
	.refresh = gbe_refresh, .set_mtu = gbe_set_mtu,
};

/* From here on the card writes to memory, until it is reset. */
static enum err go(struct gbe *c, struct pci_dev *dev)
{
	configure(c);
	write_mac(c);
	start_receiver(c);
	start_transmitter(c);
	c->nic.polled = pci_irq_start(dev, on_interrupt, c) == IRQ_POLLED;
	return nic_register(&c->nic);
}

static enum err bring_up(struct gbe *c, struct pci_dev *dev)
{
	hpa_t frame;
	enum err e = c->model->reset(c);

	if (e == OK)
		e = read_mac(c);
	if (e == OK)
		e = frames_alloc_run(1, &frame);
	if (e != OK)
		return e;
	c->dma = hpa_ptr(frame);
	memset(c->dma, 0, offsetof(struct gbe_dma, rx_slot));
	e = go(c, dev);
	if (e != OK && c->model->reset(c) == OK)    /* a card that runs on keeps its memory */
		frames_free_run(frame, 1);
	return e;
}

enum err gbe_start(struct pci_dev *dev, const struct gbe_model *model, const char *name)
{
	if (ncards == COUNT(cards))
		return fail(ERR_NO_MEMORY, "%s: more than %u cards", model->driver, ncards);

	struct gbe *c = &cards[ncards];
	*c = (struct gbe){ .model = model };
	c->nic = (struct nic){ .driver = model->driver, .mtu = NIC_MTU, .ops = &gbe_ops };
	fmt_format(c->nic.where, sizeof(c->nic.where), "%s at PCI %02x:%02x.%u", name, dev->bus,
		   dev->slot, dev->function);
	pci_enable(dev, true);
	c->regs = pci_map_bar(dev, 0, GBE_BAR_LEN);
	if (!c->regs)
		return ERR_NOT_SUPPORTED;

	enum err e = bring_up(c, dev);
	if (e != OK)
		return e;
	ncards++;
	nic_announce(&c->nic, pci_irq_text(dev));
	link_update(c);
	c->nic.work = true;                     /* the first poll unmasks the card */
	return OK;
}
