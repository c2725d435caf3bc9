/* SPDX-License-Identifier: MIT */
/*
 * tests/host/virtio_driver.h - a virtio driver for tests: finds the device by PCI, negotiates, has
 * two small queues at fixed places.  It follows the rules; tests break them one by one.
 */
#ifndef TESTS_HOST_VIRTIO_DRIVER_H
#define TESTS_HOST_VIRTIO_DRIVER_H

#include "tests/host/devtest.h"

#include "lib/bitmap.h"
#include "lib/pages.h"
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
static union {
	struct virtio   virtio;
	struct vnet     net;
	struct vconsole console;
	struct vrng     rng;
} dev;
static uint16_t avail_idx[2];

static uint8_t frame_bytes[FRAME_LEN_MAX];
static struct frame last_frame;
static unsigned frames;

static inline void take_frame(void *to, const struct frame *f)
{
	(void)to;
	frames++;
	last_frame = *f;
	assert_true(f->len <= sizeof(frame_bytes));
	frame_copy(frame_bytes, f);
}

/* --- Bus and configuration -------------------------------------------------------------------- */

static uint64_t bar0, msix_bar;

static inline uint32_t load(enum bus_space space, uint64_t at, unsigned size)
{
	struct access a = { .addr = at, .size = (uint8_t)size };

	return (uint32_t)bus_read(&bus, space, &a);
}

static inline void store(enum bus_space space, uint64_t at, unsigned size, uint64_t v)
{
	struct access a = { .addr = at, .size = (uint8_t)size };

	bus_write(&bus, space, &a, v);
}

static inline uint32_t rd(uint64_t at,
			  unsigned size)         { return load(BUS_MMIO, bar0 + at, size); }
static inline void wr(uint64_t at, unsigned size,
		      uint64_t v) { store(BUS_MMIO, bar0 + at, size, v); }

static inline uint32_t cfg(unsigned reg, unsigned size)
{
	store(BUS_IO, 0xcf8, 4, BIT(31) | 2 << 11 | (reg & 0xfc));
	return load(BUS_IO, 0xcfc + reg % 4, size);
}

static inline void cfg_w(unsigned reg, unsigned size, uint32_t v)
{
	store(BUS_IO, 0xcf8, 4, BIT(31) | 2 << 11 | (reg & 0xfc));
	store(BUS_IO, 0xcfc + reg % 4, size, v);
}

static inline int give_memory(void **unused_state)
{
	void *host = NULL;

	(void)unused_state;
	if (posix_memalign(&host, FRAME_SIZE, 8 * FRAME_SIZE))
		return -1;
	pages_add_region(ptr_hpa(host), 8 * FRAME_SIZE);
	return mem_create(&mem, RAM_BYTES);
}

static inline void board_fresh(void)
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

static inline void plug(void)
{
	assert_int_equal(pci_add(&pci, 2, &dev.virtio.pci, WIRE_TO(&pin), 18), OK);
	bar0 = cfg(0x10, 4) & ~15u;
	msix_bar = cfg(0x20, 4);
	cfg_w(4, 2, 6);
}

static inline void net_fresh(void)
{
	board_fresh();
	vnet_init(&dev.net, &mem, (const uint8_t[]){ 0x52, 0x54, 0, 1, 2, 3 }, MSG_TO(&sent));
	vnet_attach(&dev.net, take_frame, NULL);
	plug();
}

static inline void negotiate(uint64_t features)
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

static inline void queue_up(unsigned q)
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
static inline void vectors_up(void)
{
	for (unsigned n = 0; n < 3; n++) {
		store(BUS_MMIO, msix_bar + 16 * n, 8, 0xfee00000);
		store(BUS_MMIO, msix_bar + 16 * n + 8, 8, 0x40 + n);
	}
	for (unsigned cap = cfg(0x34, 1); cap; cap = cfg(cap + 1, 1))
		if (cfg(cap, 1) == PCI_CAP_MSIX)
			cfg_w(cap + 2, 2, 0x8000);
	wr(0x10, 2, 0);
}

static inline void driver_up(uint64_t features, unsigned nqueues)
{
	negotiate(VIRTIO_F_VERSION_1 | features);
	assert_int_equal(rd(0x14, 1), 11);
	vectors_up();
	for (unsigned q = 0; q < nqueues; q++)
		queue_up(q);
	wr(0x14, 1, 15);
	assert_int_equal(rd(0x14, 1), 15);
}

/* --- Rings ------------------------------------------------------------------------------------ */

static inline void put_desc(uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
			    uint16_t next)
{
	struct desc d = { addr, len, flags, next };

	assert_int_equal(mem_write(&mem, gpa(table + 16 * i), &d, sizeof(d)), OK);
}

static inline void publish(unsigned q, uint16_t head)
{
	mem_write(&mem, gpa(AVAIL(q) + 4 + 2 * (avail_idx[q] % QSIZE)), &head, 2);
	avail_idx[q]++;
	mem_write(&mem, gpa(AVAIL(q) + 2), &avail_idx[q], 2);
}

static inline void notify(unsigned q) { wr(0x3000 + 4 * q, 2, q); }

static inline uint16_t used_idx(unsigned q)
{
	uint16_t v;

	mem_read(&mem, gpa(USED(q) + 2), &v, 2);
	return v;
}

static inline uint32_t used_len(unsigned q, unsigned i)
{
	uint32_t v[2];

	mem_read(&mem, gpa(USED(q) + 4 + 8 * (i % QSIZE)), v, 8);
	return v[1];
}

static inline void guest_put(uint64_t at, const void *bytes, uint64_t len)
{
	assert_int_equal(mem_write(&mem, gpa(at), bytes, len), OK);
}

/* A frame of `len` bytes that counts, behind 12 bytes of header, at BUFFER. */
static inline void make_frame(unsigned len)
{
	uint8_t b[2000] = { 0 };

	for (unsigned i = 0; i < len; i++)
		b[12 + i] = (uint8_t)(i * 3 + 1);
	guest_put(BUFFER, b, len + 12);
}

static inline bool frame_is(unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		if (frame_bytes[i] != (uint8_t)(i * 3 + 1))
			return false;
	return last_frame.len == len;
}

enum { RX, TX };

#endif
