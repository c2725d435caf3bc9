/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_virtio.c - transport, queues and devices against virtio 1.2; each test names its
 * section.  The driver in this file follows the rules, and then breaks them one by one.
 */
#include "tests/host/devtest.h"

#include "lib/bitmap.h"
#include "lib/pages.h"
#include "mig/section.h"
#include "vmm/dev/vconsole.h"
#include "vmm/dev/vnet.h"
#include "vmm/dev/vrng.h"

#define RAM_BYTES (8 * MIB)
#define QSIZE     8u

/* Where the driver keeps its queue q, and buffers. */
#define DESC(q)   (0x10000ull + 0x4000 * (q))
#define AVAIL(q)  (DESC(q) + 0x1000)
#define USED(q)   (DESC(q) + 0x2000)
#define BUFFER    0x100000ull

struct desc { uint64_t addr; uint32_t len; uint16_t flags, next; };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

static struct mem mem;
static struct bus bus;
static struct pci pci;
static struct wire_end pin;
static struct msg_end sent;
static struct console con;
static union { struct virtio virtio; struct vnet net; struct vconsole console; struct vrng rng; } dev;
static uint16_t avail_idx[2];

static uint8_t frame_bytes[FRAME_LEN_MAX];
static struct frame last_frame;
static unsigned frames;

static void take_frame(void *to, const struct frame *f)
{
	(void)to;
	frames++;
	last_frame = *f;
	assert_true(f->len <= sizeof(frame_bytes));
	frame_copy(frame_bytes, f);
}

static void fill_42(void *to, size_t len) { memset(to, 42, len); }

/* --- Bus and configuration --------------------------------------------------------------------------- */

static uint64_t bar0, msix_bar;

static uint32_t rd(uint64_t at, unsigned size)
{
	return (uint32_t)bus_read(&bus, BUS_MMIO, &(struct access){ .addr = bar0 + at, .size = (uint8_t)size });
}

static void wr(uint64_t at, unsigned size, uint64_t v)
{
	bus_write(&bus, BUS_MMIO, &(struct access){ .addr = bar0 + at, .size = (uint8_t)size }, v);
}

static uint32_t cfg(unsigned reg, unsigned size)
{
	bus_write(&bus, BUS_IO, &(struct access){ .addr = 0xcf8, .size = 4 }, BIT(31) | 2 << 11 | (reg & 0xfc));
	return (uint32_t)bus_read(&bus, BUS_IO, &(struct access){ .addr = 0xcfc + reg % 4, .size = (uint8_t)size });
}

static void cfg_w(unsigned reg, unsigned size, uint32_t v)
{
	bus_write(&bus, BUS_IO, &(struct access){ .addr = 0xcf8, .size = 4 }, BIT(31) | 2 << 11 | (reg & 0xfc));
	bus_write(&bus, BUS_IO, &(struct access){ .addr = 0xcfc + reg % 4, .size = (uint8_t)size }, v);
}

static int give_memory(void **unused_state)
{
	void *host = NULL;

	(void)unused_state;
	if (posix_memalign(&host, FRAME_SIZE, 8 * FRAME_SIZE))
		return -1;
	pages_add_region(ptr_hpa(host), 8 * FRAME_SIZE);
	return mem_create(&mem, RAM_BYTES);
}

static void board_fresh(void)
{
	memset(&pin, 0, sizeof(pin));
	memset(&sent, 0, sizeof(sent));
	memset(avail_idx, 0, sizeof(avail_idx));
	memset(&dev, 0, sizeof(dev));
	frames = 0;
	mem_fill(&mem, gpa(0), 0, RAM_BYTES);
	console_init(&con);
	bus_init(&bus);
	pci_init(&pci, &bus, 0xe0000000, 0xf0000000, (struct power){ 0 });
	bus_map(&bus, BUS_IO, 0xcf8, 8, &pci_ops, &pci);
}

static void plug(void)
{
	assert_int_equal(pci_add(&pci, 2, &dev.virtio.pci, WIRE_TO(&pin), 18), OK);
	bar0 = cfg(0x10, 4) & ~15u;
	msix_bar = cfg(0x20, 4);
	cfg_w(4, 2, 6);
}

static void net_fresh(void)
{
	board_fresh();
	vnet_init(&dev.net, &mem, (const uint8_t[]){ 0x52, 0x54, 0, 1, 2, 3 }, MSG_TO(&sent));
	vnet_attach(&dev.net, take_frame, NULL);
	plug();
}

static void negotiate(uint64_t features)
{
	wr(0x14, 1, 0);
	wr(0x14, 1, 1);
	wr(0x14, 1, 3);
	wr(0x08, 4, 0);
	wr(0x0c, 4, (uint32_t)features);
	wr(0x08, 4, 1);
	wr(0x0c, 4, features >> 32);
	wr(0x14, 1, 11);
}

static void queue_up(unsigned q)
{
	wr(0x16, 2, q);
	wr(0x18, 2, QSIZE);
	wr(0x1a, 2, q + 1);
	wr(0x20, 8, DESC(q));
	wr(0x28, 4, AVAIL(q));
	wr(0x2c, 4, 0);
	wr(0x30, 8, USED(q));
	wr(0x1c, 2, 1);
}

/* MSI-X on; vector n is 0x40 + n at CPU 0. */
static void vectors_up(void)
{
	for (unsigned n = 0; n < 3; n++) {
		uint64_t entry[2] = { 0xfee00000, 0x40 + n };

		for (unsigned i = 0; i < 2; i++)
			bus_write(&bus, BUS_MMIO, &(struct access){ .addr = msix_bar + 16 * n + 8 * i, .size = 8 }, entry[i]);
	}
	for (unsigned cap = cfg(0x34, 1); cap; cap = cfg(cap + 1, 1))
		if (cfg(cap, 1) == PCI_CAP_MSIX)
			cfg_w(cap + 2, 2, 0x8000);
	wr(0x10, 2, 0);
}

static void driver_up(uint64_t features, unsigned nqueues)
{
	negotiate(VIRTIO_F_VERSION_1 | features);
	assert_int_equal(rd(0x14, 1), 11);
	vectors_up();
	for (unsigned q = 0; q < nqueues; q++)
		queue_up(q);
	wr(0x14, 1, 15);
	assert_int_equal(rd(0x14, 1), 15);
}

/* --- Rings ------------------------------------------------------------------------------------------ */

static void put_desc(uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct desc d = { addr, len, flags, next };

	assert_int_equal(mem_write(&mem, gpa(table + 16 * i), &d, sizeof(d)), OK);
}

static void publish(unsigned q, uint16_t head)
{
	mem_write(&mem, gpa(AVAIL(q) + 4 + 2 * (avail_idx[q] % QSIZE)), &head, 2);
	avail_idx[q]++;
	mem_write(&mem, gpa(AVAIL(q) + 2), &avail_idx[q], 2);
}

static void notify(unsigned q) { wr(0x3000 + 4 * q, 2, q); }

static uint16_t used_idx(unsigned q)
{
	uint16_t v;

	mem_read(&mem, gpa(USED(q) + 2), &v, 2);
	return v;
}

static uint32_t used_len(unsigned q, unsigned i)
{
	uint32_t v[2];

	mem_read(&mem, gpa(USED(q) + 4 + 8 * (i % QSIZE)), v, 8);
	return v[1];
}

static void guest_put(uint64_t at, const void *bytes, uint64_t len)
{
	assert_int_equal(mem_write(&mem, gpa(at), bytes, len), OK);
}

/* A frame of `len` bytes that counts, behind 12 bytes of header, at BUFFER. */
static void make_frame(unsigned len)
{
	uint8_t b[2000] = { 0 };

	for (unsigned i = 0; i < len; i++)
		b[12 + i] = (uint8_t)(i * 3 + 1);
	guest_put(BUFFER, b, len + 12);
}

static bool frame_is(unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		if (frame_bytes[i] != (uint8_t)(i * 3 + 1))
			return false;
	return last_frame.len == len;
}

enum { RX, TX };

/* --- Transport -------------------------------------------------------------------------------------- */

TEST(virtio, identity_and_capabilities)         /* "PCI Device Discovery", "Virtio Structure PCI Capabilities" */
{
	unsigned seen = 0;

	net_fresh();
	assert_int_equal(cfg(0, 4), 0x10411af4);
	assert_true(cfg(0x2e, 2) >= 0x40);
	assert_int_equal(cfg(8, 1), 1);
	for (unsigned cap = cfg(0x34, 1), n = 0; cap; cap = cfg(cap + 1, 1), assert_true(++n < 10)) {
		unsigned type = cfg(cap + 3, 1);

		if (cfg(cap, 1) != PCI_CAP_VENDOR)
			continue;
		seen |= 1u << type;
		assert_int_equal(cfg(cap + 2, 1), type == 2 || type == 5 ? 20 : 16);
		if (type == 2)
			assert_int_equal(cfg(cap + 16, 4), 4);
		if (type < 5)
			assert_true(cfg(cap + 8, 4) + cfg(cap + 12, 4) <= 0x4000);
	}
	assert_int_equal(seen, 0x3e);
}

TEST(virtio, features_are_negotiated)           /* "Device Initialization", "Reserved Feature Bits" */
{
	net_fresh();
	wr(0, 4, 1);
	assert_int_equal(rd(4, 4) & 1, 1);              /* VERSION_1 */
	wr(0, 4, 0);
	assert_int_equal(rd(4, 4), BIT(3) | BIT(5) | BIT(16) | BIT(28) | BIT(29));
	wr(0, 4, 2);
	assert_int_equal(rd(4, 4), 0);
	negotiate(BIT(5));                              /* no VERSION_1 */
	assert_int_equal(rd(0x14, 1), 3);
	negotiate(VIRTIO_F_VERSION_1 | BIT(0));         /* CSUM was not offered */
	assert_int_equal(rd(0x14, 1), 3);
	negotiate(VIRTIO_F_VERSION_1 | BIT(5));
	assert_int_equal(rd(0x14, 1), 11);
	wr(0x0c, 4, 0);                                 /* too late */
	assert_int_equal(rd(0x0c, 4), 1);
	wr(0x14, 1, 0);
	assert_int_equal(rd(0x14, 1), 0);
	assert_int_equal(rd(0x0c, 4), 0);
	wr(0x14, 1, 7);                                 /* DRIVER_OK without FEATURES_OK */
	assert_int_equal(rd(0x14, 1), 3);
}

TEST(virtio, queue_configuration)               /* "Common configuration structure layout" */
{
	net_fresh();
	assert_int_equal(rd(0x12, 2), 2);
	assert_int_equal(rd(0x18, 2), VRING_SIZE_MAX);
	wr(0x18, 2, 7);                                 /* not a power of two */
	wr(0x18, 2, 512);                               /* too large */
	assert_int_equal(rd(0x18, 2), VRING_SIZE_MAX);
	assert_int_equal(rd(0x1a, 2), 0xffff);
	wr(0x1a, 2, 3);                                 /* no such vector */
	assert_int_equal(rd(0x1a, 2), 0xffff);
	wr(0x1a, 2, 2);
	assert_int_equal(rd(0x1a, 2), 2);
	wr(0x10, 2, 9);
	assert_int_equal(rd(0x10, 2), 0xffff);
	wr(0x16, 2, 2);                                 /* no such queue: size 0 */
	assert_int_equal(rd(0x18, 2), 0);
	wr(0x18, 2, 8);
	driver_up(0, 2);
	wr(0x16, 2, 1);
	wr(0x18, 2, 16);                                /* enabled: fixed */
	wr(0x20, 8, 0x5000);
	assert_int_equal(rd(0x18, 2), QSIZE);
	assert_int_equal(rd(0x20, 4), DESC(1));
	assert_int_equal(rd(0x1c, 2), 1);
	assert_int_equal(rd(0x1e, 2), 1);
}

TEST(virtio, queues_must_lie_in_ram)            /* "Virtqueues"; a driver that errs is told to reset */
{
	static const struct { uint64_t desc, avail, used; } bad[] = {
		{ 0x10008, AVAIL(0), USED(0) }, { DESC(0), 0x11001, USED(0) }, { DESC(0), AVAIL(0), 0x12002 },
		{ RAM_BYTES - 64, AVAIL(0), USED(0) }, { DESC(0), RAM_BYTES - 2, USED(0) },
		{ DESC(0), AVAIL(0), ~0ull << 12 }, { 0xfee00000, AVAIL(0), USED(0) },
	};

	for (unsigned i = 0; i < COUNT(bad); i++) {
		net_fresh();
		negotiate(VIRTIO_F_VERSION_1);
		wr(0x18, 2, QSIZE);
		wr(0x20, 8, bad[i].desc);
		wr(0x28, 8, bad[i].avail);
		wr(0x30, 8, bad[i].used);
		wr(0x1c, 2, 1);
		assert_int_equal(rd(0x14, 1), 11 | 0x40);
		assert_int_equal(rd(0x1c, 2), 0);
	}
}

TEST(virtio, access_through_configuration_space)        /* "PCI configuration access capability" */
{
	unsigned cap;

	net_fresh();
	for (cap = cfg(0x34, 1); cfg(cap, 1) != 9 || cfg(cap + 3, 1) != 5; cap = cfg(cap + 1, 1))
		;
	cfg_w(cap + 4, 1, 0);
	cfg_w(cap + 8, 4, 0x12);
	cfg_w(cap + 12, 4, 2);
	assert_int_equal(cfg(cap + 16, 2), 2);          /* num_queues */
	cfg_w(cap + 8, 4, 0x14);
	cfg_w(cap + 12, 4, 1);
	cfg_w(cap + 16, 1, 1);
	assert_int_equal(rd(0x14, 1), 1);
	cfg_w(cap + 8, 4, 0x4000);                      /* outside the BAR */
	cfg_w(cap + 16, 4, 0xff);
	cfg_w(cap + 4, 1, 200);                         /* no such BAR */
	cfg_w(cap + 16, 4, 0xff);
	cfg(cap + 16, 4);
	cfg_w(cap + 4, 1, 4);                           /* the MSI-X table */
	cfg_w(cap + 8, 4, 12);
	cfg_w(cap + 12, 4, 4);
	assert_int_equal(cfg(cap + 16, 4), 1);
}

TEST(virtio, queue_reset)                       /* "Virtqueue Reset" */
{
	net_fresh();
	driver_up(VIRTIO_F_RING_RESET, 2);
	wr(0x16, 2, TX);
	wr(0x3a, 2, 1);
	assert_int_equal(rd(0x3a, 2), 0);
	assert_int_equal(rd(0x1c, 2), 0);
	avail_idx[TX] = 0;
	mem_fill(&mem, gpa(DESC(TX)), 0, 0x3000);
	queue_up(TX);
	make_frame(60);
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_int_equal(frames, 1);
}

TEST(virtio, intx_and_isr)                      /* "ISR status capability", without MSI-X */
{
	net_fresh();
	negotiate(VIRTIO_F_VERSION_1);
	queue_up(RX);
	queue_up(TX);
	wr(0x14, 1, 15);
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_true(pin.level);
	assert_int_equal(rd(0x1000, 1), 1);
	assert_false(pin.level);
	assert_int_equal(rd(0x1000, 1), 0);
	vnet_link(&dev.net, false);
	assert_int_equal(rd(0x1000, 1), 2);
	assert_int_equal(sent.n, 0);
}

TEST(virtio, config_change_bumps_generation)    /* "Device Configuration Space", "Notification of Device Configuration Changes" */
{
	uint32_t generation;

	net_fresh();
	driver_up(BIT(16), 2);
	generation = rd(0x15, 1);
	assert_int_equal(rd(0x2006, 2), 1);
	vnet_link(&dev.net, false);
	assert_int_equal(rd(0x2006, 2), 0);
	assert_int_not_equal(rd(0x15, 1), generation);
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.last.vector, 0x40);
}

TEST(virtio, without_bus_mastering_nothing_moves)       /* PCI, "Device Control" */
{
	net_fresh();
	driver_up(0, 2);
	cfg_w(4, 2, 2);
	make_frame(60);
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_int_equal(frames, 0);
	cfg_w(4, 2, 6);
	notify(TX);
	assert_int_equal(frames, 1);
}

/* --- Queues: a driver that breaks the rules ------------------------------------------------------------ */

static const struct hostile { const char *what; uint64_t addr; uint32_t len; uint16_t flags, next, head; uint16_t idx; } hostile[] = {
	{ "head out of range",        BUFFER, 72, 0, 0, QSIZE, 0 },
	{ "next out of range",        BUFFER, 72, NEXT, QSIZE, 0, 0 },
	{ "loop",                     BUFFER, 72, NEXT, 0, 0, 0 },
	{ "outside RAM",              RAM_BYTES - 8, 72, 0, 0, 0, 0 },
	{ "wraps the address space",  ~0ull - 8, 72, 0, 0, 0, 0 },
	{ "indirect not negotiated",  BUFFER, 16, INDIRECT, 0, 0, 0 },
	{ "too many available",       BUFFER, 72, 0, 0, 0, QSIZE + 1 },
};

TEST(vring, hostile_chains_are_refused)         /* "Split Virtqueues"; the driver's MUSTs */
{
	for (unsigned i = 0; i < COUNT(hostile); i++) {
		const struct hostile *h = &hostile[i];

		net_fresh();
		driver_up(0, 2);
		put_desc(DESC(TX), 0, h->addr, h->len, h->flags, h->next);
		publish(TX, h->head);
		if (h->idx)
			guest_put(AVAIL(TX) + 2, &h->idx, 2);
		notify(TX);
		if (rd(0x14, 1) != (15 | 0x40))
			fail_msg("%s: status %#x", h->what, rd(0x14, 1));
		assert_int_equal(frames, 0);
		assert_int_equal(sent.last.vector, 0x40);       /* told by a configuration interrupt */
		notify(TX);                                     /* nothing more happens */
		assert_int_equal(used_idx(TX), 0);
	}
	wr(0x14, 1, 0);                                         /* and a reset heals */
	avail_idx[TX] = 0;
	mem_fill(&mem, gpa(0), 0, RAM_BYTES);
	driver_up(0, 2);
	make_frame(60);
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_int_equal(frames, 1);
}

TEST(vring, readable_after_writable)            /* "The Virtqueue Descriptor Table" */
{
	net_fresh();
	driver_up(0, 2);
	put_desc(DESC(TX), 0, BUFFER, 72, WRITE | NEXT, 1);
	put_desc(DESC(TX), 1, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_int_equal(rd(0x14, 1), 15 | 0x40);
}

TEST(vring, indirect_tables)                    /* "Indirect Descriptors" */
{
	enum { TABLE = 0x80000, NESTED = 0x81000 };
	static const struct { const char *what; uint64_t at; uint32_t len; uint16_t flags, inner; bool good; } cases[] = {
		{ "good",            TABLE, 32, INDIRECT, NEXT, true },
		{ "nested",          NESTED, 32, INDIRECT, NEXT, false },
		{ "odd length",      TABLE, 33, INDIRECT, NEXT, false },
		{ "empty",           TABLE, 0, INDIRECT, NEXT, false },
		{ "longer than queue", TABLE, 16 * (QSIZE + 1), INDIRECT, NEXT, false },
		{ "with NEXT",       TABLE, 32, INDIRECT | NEXT, NEXT, false },
		{ "outside RAM",     RAM_BYTES, 32, INDIRECT, NEXT, false },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		net_fresh();
		driver_up(VIRTIO_F_INDIRECT_DESC, 2);
		make_frame(60);
		put_desc(TABLE, 0, BUFFER, 12, cases[i].inner, 1);
		put_desc(TABLE, 1, BUFFER + 12, 60, 0, 0);
		put_desc(NESTED, 0, BUFFER, 4, NEXT, 1);
		put_desc(NESTED, 1, TABLE, 32, INDIRECT, 0);
		put_desc(DESC(TX), 0, cases[i].at, cases[i].len, cases[i].flags, 1);
		publish(TX, 0);
		notify(TX);
		if ((rd(0x14, 1) == 15) != cases[i].good || frames != cases[i].good)
			fail_msg("indirect table, %s: status %#x", cases[i].what, rd(0x14, 1));
		if (cases[i].good)
			assert_true(frame_is(60));
	}
}

TEST(vring, interrupts_as_the_driver_wants)     /* "Used Buffer Notification Suppression" */
{
	uint16_t one = 1, event;

	net_fresh();
	driver_up(0, 2);
	guest_put(AVAIL(TX), &one, 2);                  /* NO_INTERRUPT */
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_int_equal(sent.n, 0);
	net_fresh();
	driver_up(VIRTIO_F_EVENT_IDX, 2);
	event = 2;                                      /* wake me when entry 2 is used */
	guest_put(AVAIL(TX) + 4 + 2 * QSIZE, &event, 2);
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sent.n, 0);
		publish(TX, 0);
		notify(TX);
	}
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.last.vector, 0x42);
	mem_read(&mem, gpa(USED(TX) + 4 + 8 * QSIZE), &event, 2);
	assert_int_equal(event, 3);                     /* avail_event: the next one */
}

TEST(vring, indices_wrap)                       /* "The Virtqueue Available Ring": idx is free-running */
{
	net_fresh();
	driver_up(0, 2);
	dev.virtio.queue[TX].next_avail = dev.virtio.queue[TX].next_used = dev.virtio.queue[TX].told = 0xfffe;
	avail_idx[TX] = 0xfffe;
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	for (unsigned i = 0; i < 5; i++) {
		publish(TX, 0);
		notify(TX);
	}
	assert_int_equal(frames, 5);
	assert_int_equal(used_idx(TX), 3);
}

TEST(vring, host_writes_mark_pages_dirty)       /* what the CPU's dirty bits do not see */
{
	struct frame f = frame_of(frame_bytes, 60);

	net_fresh();
	driver_up(0, 2);
	put_desc(DESC(RX), 0, BUFFER + 0x5ff0, 2000, WRITE, 0);
	publish(RX, 0);
	for (uint64_t i = 0; i < mem.ram_pages; i++)
		bitmap_clear(mem.soft_dirty, i);
	assert_true(vnet_receive(&dev.net, &f));
	assert_true(bitmap_test(mem.soft_dirty, USED(RX) >> 12));
	assert_true(bitmap_test(mem.soft_dirty, (BUFFER + 0x5ff0) >> 12));
	assert_true(bitmap_test(mem.soft_dirty, (BUFFER + 0x6000) >> 12));
	assert_int_equal(bitmap_weight(mem.soft_dirty, mem.ram_pages), 3);
}

/* --- Network ---------------------------------------------------------------------------------------- */

TEST(vnet, transmits_whatever_the_pieces)       /* "Packet Transmission", "Message Framing" */
{
	static const unsigned cuts[][4] = { { 72 }, { 12, 60 }, { 5, 20, 47 }, { 26, 1, 1, 44 } };

	for (unsigned c = 0; c < COUNT(cuts); c++) {
		uint64_t at = BUFFER;

		net_fresh();
		driver_up(0, 2);
		make_frame(60);
		for (unsigned i = 0; i < 4 && cuts[c][i]; i++) {
			bool last = i == 3 || !cuts[c][i + 1];

			put_desc(DESC(TX), i, at, cuts[c][i], last ? 0 : NEXT, (uint16_t)(i + 1));
			at += cuts[c][i];
		}
		publish(TX, 0);
		notify(TX);
		assert_int_equal(frames, 1);
		assert_true(frame_is(60));
		assert_int_equal(used_idx(TX), 1);
		assert_int_equal(sent.last.vector, 0x42);
	}
}

TEST(vnet, crosses_frames_of_host_memory)
{
	net_fresh();
	driver_up(0, 2);
	make_frame(60);
	frames = 0;
	{
		uint8_t b[72];

		mem_read(&mem, gpa(BUFFER), b, sizeof(b));
		guest_put(2 * MIB - 30, b, sizeof(b));
	}
	put_desc(DESC(TX), 0, 2 * MIB - 30, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_true(frame_is(60));
}

TEST(vnet, many_pieces_are_joined)              /* more than a struct frame holds */
{
	enum { PIECES = 30, QMAX = 64 };

	net_fresh();
	negotiate(VIRTIO_F_VERSION_1);
	for (unsigned q = 0; q < 2; q++) {
		wr(0x16, 2, q);
		wr(0x18, 2, QMAX);
		wr(0x20, 8, DESC(q));
		wr(0x28, 8, AVAIL(q));
		wr(0x30, 8, USED(q));
		wr(0x1c, 2, 1);
	}
	wr(0x14, 1, 15);
	make_frame(PIECES * 4 - 12);
	for (unsigned i = 0; i < PIECES; i++)
		put_desc(DESC(TX), i, BUFFER + 4 * i, 4, i + 1 < PIECES ? NEXT : 0, (uint16_t)(i + 1));
	publish(TX, 0);
	notify(TX);
	assert_int_equal(frames, 1);
	assert_int_equal(last_frame.nparts, 1);
	assert_true(frame_is(PIECES * 4 - 12));
}

TEST(vnet, frames_of_impossible_length_are_counted)
{
	static const unsigned len[] = { 0, 11, 12, 25, 12 + FRAME_LEN_MAX + 1, 100000 };

	net_fresh();
	driver_up(0, 2);
	for (unsigned i = 0; i < COUNT(len); i++) {
		put_desc(DESC(TX), 0, BUFFER, len[i], 0, 0);
		publish(TX, 0);
		notify(TX);
	}
	assert_int_equal(frames, 0);
	assert_int_equal(dev.net.tx_bad, COUNT(len));
	assert_int_equal(used_idx(TX), COUNT(len));
	assert_int_equal(rd(0x14, 1), 15);
}

TEST(vnet, receives_into_posted_buffers)        /* "Processing of Incoming Packets" */
{
	static uint8_t data[100];
	struct frame f = { .len = 100, .nparts = 2, .part = { { data, 30 }, { data + 30, 70 } } };
	uint8_t got[112];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ 0x5a);
	net_fresh();
	driver_up(0, 2);
	assert_false(vnet_receive(&dev.net, &f));       /* no buffer */
	put_desc(DESC(RX), 0, BUFFER, 12, WRITE | NEXT, 1);
	put_desc(DESC(RX), 1, BUFFER + 12, 50, WRITE | NEXT, 2);
	put_desc(DESC(RX), 2, BUFFER + 62, 1500, WRITE, 0);
	publish(RX, 0);
	assert_true(vnet_receive(&dev.net, &f));
	mem_read(&mem, gpa(BUFFER), got, sizeof(got));
	assert_memory_equal(got + 12, data, sizeof(data));
	assert_memory_equal(got, "\0\0\0\0\0\0\0\0\0\0\1\0", 12);      /* num_buffers is 1 */
	assert_int_equal(used_len(RX, 0), 112);
	assert_int_equal(sent.last.vector, 0x41);
	assert_int_equal(dev.net.rx_frames, 1);
	assert_int_equal(dev.net.rx_dropped, 1);
}

TEST(vnet, a_buffer_too_small_is_kept)
{
	struct frame big = frame_of(frame_bytes, 100), small = frame_of(frame_bytes, 60);

	net_fresh();
	driver_up(0, 2);
	put_desc(DESC(RX), 0, BUFFER, 80, WRITE, 0);
	publish(RX, 0);
	assert_false(vnet_receive(&dev.net, &big));
	assert_int_equal(used_idx(RX), 0);
	assert_true(vnet_receive(&dev.net, &small));
	assert_int_equal(used_idx(RX), 1);
}

TEST(vnet, configuration)                       /* "Device configuration layout" */
{
	net_fresh();
	assert_int_equal(rd(0x2000, 4), 0x01005452);
	assert_int_equal(rd(0x2004, 2), 0x0302);
	assert_int_equal(rd(0x2006, 2), 1);
	assert_int_equal(rd(0x200a, 2), 1500);
	assert_int_equal(rd(0x200c, 4), 0);
	wr(0x2000, 4, 0);
	assert_int_equal(rd(0x2000, 4), 0x01005452);
}

/* --- Console, entropy --------------------------------------------------------------------------------- */

static void console_fresh(void)
{
	board_fresh();
	vconsole_init(&dev.console, &mem, &con, MSG_TO(&sent));
	plug();
}

TEST(vconsole, says_and_hears)                  /* "Console Device", "Device Operation" */
{
	char got[8] = { 0 };

	console_fresh();
	assert_int_equal(cfg(0, 4), 0x10431af4);
	driver_up(0, 2);
	guest_put(BUFFER, "hello", 5);
	put_desc(DESC(1), 0, BUFFER, 5, 0, 0);
	publish(1, 0);
	notify(1);
	assert_int_equal(con.count, 5);
	assert_memory_equal(con.ring, "hello", 5);
	assert_int_equal(con.last, CONSOLE_HVC0);
	assert_int_equal(vconsole_input(&dev.console, "abcdef", 6), 6); /* before there is a buffer */
	put_desc(DESC(0), 0, BUFFER + 0x1000, 4, WRITE, 0);
	publish(0, 0);
	notify(0);
	assert_int_equal(used_len(0, 0), 4);
	publish(0, 0);
	notify(0);
	mem_read(&mem, gpa(BUFFER + 0x1000), got, 4);
	assert_memory_equal(got, "efcd", 4);
	assert_int_equal(used_len(0, 1), 2);
	assert_int_equal(sent.last.vector, 0x41);
}

TEST(vconsole, emergency_write)                 /* "Console Device", "emerg_wr" */
{
	console_fresh();
	wr(0x2008, 4, '!');
	assert_int_equal(con.count, 1);
	assert_int_equal(con.ring[0], '!');
}

TEST(vconsole, a_message_without_end_is_refused)
{
	console_fresh();
	driver_up(0, 2);
	put_desc(DESC(1), 0, 0, 4 * MIB, 0, 0);
	publish(1, 0);
	notify(1);
	assert_int_equal(rd(0x14, 1), 15 | 0x40);
	assert_int_equal(con.count, 0);
}

TEST(vrng, fills_buffers)                       /* "Entropy Device", "Device Operation" */
{
	uint8_t got[101];

	board_fresh();
	vrng_init(&dev.rng, &mem, fill_42, MSG_TO(&sent));
	plug();
	assert_int_equal(cfg(0, 4), 0x10441af4);
	driver_up(0, 1);
	put_desc(DESC(0), 0, BUFFER, 100, WRITE, 0);
	publish(0, 0);
	notify(0);
	assert_int_equal(used_len(0, 0), 100);
	mem_read(&mem, gpa(BUFFER), got, sizeof(got));
	assert_int_equal(got[99], 42);
	assert_int_equal(got[100], 0);
	put_desc(DESC(0), 0, BUFFER, 4 * MIB, WRITE, 0);        /* as much as it likes, at least one byte */
	publish(0, 0);
	notify(0);
	assert_true(used_len(0, 1) > 0 && used_len(0, 1) < 4096);
}

/* --- What travels ------------------------------------------------------------------------------------ */

static uint8_t stream[64 * 1024];

/* State goes to a machine that was just made; memory is the same, as after a migration. */
static enum err move(const struct dev_ops *ops, void (*fresh)(void))
{
	static union { uint8_t bytes[sizeof(dev)]; uint64_t align; } copy;
	struct wire_out w = { .buf = stream, .size = sizeof(stream) };
	struct section_ref ref = { ops->state, &dev, 0 };
	struct wire_in r;
	struct section_head head;
	static uint8_t ram[RAM_BYTES];
	enum err e;

	section_save(&ref, &w);
	mem_read(&mem, gpa(0), ram, RAM_BYTES);
	fresh();
	mem_write(&mem, gpa(0), ram, RAM_BYTES);
	r = (struct wire_in){ .buf = stream, .size = w.len };
	section_take_head(&r, &head);
	memcpy(copy.bytes, &dev, sizeof(dev));
	e = section_stage(&ref, &r, copy.bytes);
	if (e != OK)
		return e;
	section_commit(&ref, copy.bytes);
	pci_ops.state->resume(&pci);
	section_resume(&ref);
	return OK;
}

TEST(vnet, goes_on_after_a_move)
{
	struct frame f = frame_of(frame_bytes, 60);
	uint16_t saved_avail;

	net_fresh();
	driver_up(VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC, 2);
	cfg_w(0x10, 4, 0xe0800000);                     /* the guest moved the BAR */
	bar0 = 0xe0800000;
	make_frame(60);
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	put_desc(DESC(RX), 3, BUFFER + 0x1000, 2000, WRITE, 0);
	publish(RX, 3);
	saved_avail = avail_idx[TX];
	assert_int_equal(move(&vnet_ops, net_fresh), OK);
	avail_idx[TX] = saved_avail;
	bar0 = 0xe0800000;
	assert_int_equal(rd(0x14, 1), 15);
	publish(TX, 0);
	notify(TX);
	assert_int_equal(frames, 1);
	assert_int_equal(used_idx(TX), 2);
	assert_true(vnet_receive(&dev.net, &f));
	assert_int_equal(sent.last.vector, 0x41);
	assert_int_equal(dev.net.tx_frames, 2);
}

TEST(virtio, impossible_states_are_refused)
{
	struct vnet good, bad;

	net_fresh();
	driver_up(VIRTIO_F_EVENT_IDX, 2);
	good = dev.net;
	assert_int_equal(vnet_ops.state->check(&good), OK);
#define REFUSED(statement) (bad = good, statement, assert_int_equal(vnet_ops.state->check(&bad), ERR_BAD_FORMAT))
	REFUSED(bad.virtio.driver_features |= 1);
	REFUSED(bad.virtio.driver_features &= ~VIRTIO_F_VERSION_1);
	REFUSED(bad.virtio.status = 4);
	REFUSED(bad.virtio.status |= 0x10);
	REFUSED(bad.virtio.isr = 4);
	REFUSED(bad.virtio.backlog = 4);
	REFUSED(bad.virtio.config_vector = 3);
	REFUSED(bad.virtio.queue[0].size = 3);
	REFUSED(bad.virtio.queue[0].size = 0);
	REFUSED(bad.virtio.queue[0].vector = 3);
	REFUSED(bad.virtio.queue[0].enabled = 2);
	REFUSED(bad.virtio.queue[1].desc = RAM_BYTES);
	REFUSED(bad.virtio.queue[1].used = 2);
	REFUSED(bad.virtio.pci.config[3] = 0);
	REFUSED(bad.link = 2);
	REFUSED(bad.mac[0] = 1);
}

#define VIRTIO_DERIVED(type, m)                                                                 \
	DERIVED(type, m.pci.writable), DERIVED(type, m.pci.power_up), DERIVED(type, m.pci.bar), \
	DERIVED(type, m.pci.cap_end), DERIVED(type, m.pci.cap_last), DERIVED(type, m.pci.msix_cap), \
	DERIVED(type, m.pci.msix_bar), DERIVED(type, m.pci.bus), DERIVED(type, m.pci.pin),      \
	DERIVED(type, m.pci.ops), DERIVED(type, m.pci.msix.enabled), DERIVED(type, m.pci.msix.masked), \
	DERIVED(type, m.pci.msix.nvectors), DERIVED(type, m.pci.msix.out), DERIVED(type, m.model), \
	DERIVED(type, m.access_cap), DERIVED(type, m.complained), DERIVED(type, m.queue[0].mem), \
	DERIVED(type, m.queue[0].event_idx), DERIVED(type, m.queue[0].indirect),                \
	DERIVED(type, m.queue[1].mem), DERIVED(type, m.queue[1].event_idx), DERIVED(type, m.queue[1].indirect)

TEST(virtio, sections_are_complete)
{
	static const struct derived net[] = { VIRTIO_DERIVED(struct vnet, virtio), DERIVED(struct vnet, send),
		DERIVED(struct vnet, send_to) };
	static const struct derived console[] = { VIRTIO_DERIVED(struct vconsole, virtio), DERIVED(struct vconsole, console) };
	static const struct derived rng[] = { VIRTIO_DERIVED(struct vrng, virtio), DERIVED(struct vrng, fill) };

	check_section(vnet_ops.state, net, COUNT(net));
	check_section(vconsole_ops.state, console, COUNT(console));
	check_section(vrng_ops.state, rng, COUNT(rng));
}

TEST(virtio, device_reset_and_power_up)         /* "Device Reset" */
{
	net_fresh();
	driver_up(0, 2);
	vnet_ops.reset(&dev);
	assert_int_equal(rd(0x14, 1), 0);
	assert_int_equal(cfg(4, 2), 2);
	wr(0x16, 2, 0);
	assert_int_equal(rd(0x1c, 2), 0);
	assert_int_equal(rd(0x18, 2), VRING_SIZE_MAX);
	assert_int_equal(vnet_ops.state->check(&dev), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(virtio, identity_and_capabilities), CASE(virtio, features_are_negotiated),
		CASE(virtio, queue_configuration), CASE(virtio, queues_must_lie_in_ram),
		CASE(virtio, access_through_configuration_space), CASE(virtio, queue_reset),
		CASE(virtio, intx_and_isr), CASE(virtio, config_change_bumps_generation),
		CASE(virtio, without_bus_mastering_nothing_moves),
		CASE(vring, hostile_chains_are_refused), CASE(vring, readable_after_writable),
		CASE(vring, indirect_tables), CASE(vring, interrupts_as_the_driver_wants),
		CASE(vring, indices_wrap), CASE(vring, host_writes_mark_pages_dirty),
		CASE(vnet, transmits_whatever_the_pieces), CASE(vnet, crosses_frames_of_host_memory),
		CASE(vnet, many_pieces_are_joined), CASE(vnet, frames_of_impossible_length_are_counted),
		CASE(vnet, receives_into_posted_buffers), CASE(vnet, a_buffer_too_small_is_kept),
		CASE(vnet, configuration), CASE(vconsole, says_and_hears), CASE(vconsole, emergency_write),
		CASE(vconsole, a_message_without_end_is_refused), CASE(vrng, fills_buffers),
		CASE(vnet, goes_on_after_a_move), CASE(virtio, impossible_states_are_refused),
		CASE(virtio, sections_are_complete), CASE(virtio, device_reset_and_power_up),
	};

	return cmocka_run_group_tests_name("virtio", tests, give_memory, NULL);
}
