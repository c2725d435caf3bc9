/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_virtio.c - virtio's transport and split queues against virtio 1.2; each test
 * names its section.
 */
#include "tests/host/virtio_driver.h"

/* --- Transport -------------------------------------------------------------------------------- */

/* "PCI Device Discovery", "Virtio Structure PCI Capabilities" */
TEST(virtio, identity_and_capabilities)
{
	unsigned seen = 0;

	net_fresh();
	assert_int_equal(cfg(0, 4), 0x10411af4);
	assert_true(cfg(0x2e, 2) >= 0x40);
	assert_int_equal(cfg(8, 1), 1);
	for (unsigned cap = cfg(0x34, 1), n = 0; cap; cap = cfg(cap + 1, 1)) {
		unsigned type = cfg(cap + 3, 1);

		assert_true(++n < 10);
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

TEST(virtio, features_are_negotiated)   /* "Device Initialization", "Reserved Feature Bits" */
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

TEST(virtio, queues_must_lie_in_ram)    /* "Virtqueues"; a driver that errs is told to reset */
{
	static const struct { uint64_t desc, avail, used; } bad[] = {
		{ 0x10008, AVAIL(0), USED(0) }, { DESC(0), 0x11001, USED(0) },
		{ DESC(0), AVAIL(0), 0x12002 },
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

/* "Device Configuration Space", "Notification of Device Configuration Changes" */
TEST(virtio, config_change_bumps_generation)
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

/* --- Queues: a driver that breaks the rules --------------------------------------------------- */

static const struct hostile {
	const char *what;
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next, head, idx;
} hostile[] = {
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
		assert_int_equal(sent.last.vector, 0x40);    /* told by a configuration interrupt */
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
	static const struct {
		const char *what;
		uint64_t at;
		uint32_t len;
		uint16_t flags, inner;
		bool good;
	} cases[] = {
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

TEST(vring, indices_wrap)       /* "The Virtqueue Available Ring": idx is free-running */
{
	struct vring *r = &dev.virtio.queue[TX];

	net_fresh();
	driver_up(0, 2);
	r->next_avail = r->next_used = r->told = avail_idx[TX] = 0xfffe;
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

/* --- What travels, and reset ------------------------------------------------------------------ */

TEST(virtio, impossible_states_are_refused)
{
	struct vnet good;

	net_fresh();
	driver_up(VIRTIO_F_EVENT_IDX, 2);
	good = dev.net;
	assert_int_equal(vnet_ops.state->check(&good), OK);
	REFUSED(vnet_ops.state, good, bad.virtio.driver_features |= 1);
	REFUSED(vnet_ops.state, good, bad.virtio.driver_features &= ~VIRTIO_F_VERSION_1);
	REFUSED(vnet_ops.state, good, bad.virtio.status = 4);
	REFUSED(vnet_ops.state, good, bad.virtio.status |= 0x10);
	REFUSED(vnet_ops.state, good, bad.virtio.isr = 4);
	REFUSED(vnet_ops.state, good, bad.virtio.backlog = 4);
	REFUSED(vnet_ops.state, good, bad.virtio.config_vector = 3);
	REFUSED(vnet_ops.state, good, bad.virtio.queue[0].size = 3);
	REFUSED(vnet_ops.state, good, bad.virtio.queue[0].size = 0);
	REFUSED(vnet_ops.state, good, bad.virtio.queue[0].vector = 3);
	REFUSED(vnet_ops.state, good, bad.virtio.queue[0].enabled = 2);
	REFUSED(vnet_ops.state, good, bad.virtio.queue[1].desc = RAM_BYTES);
	REFUSED(vnet_ops.state, good, bad.virtio.queue[1].used = 2);
	REFUSED(vnet_ops.state, good, bad.virtio.pci.config[3] = 0);
	REFUSED(vnet_ops.state, good, bad.told = 2);
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
		CASE(virtio, identity_and_capabilities),
		CASE(virtio, features_are_negotiated),
		CASE(virtio, queue_configuration),
		CASE(virtio, queues_must_lie_in_ram),
		CASE(virtio, access_through_configuration_space),
		CASE(virtio, queue_reset),
		CASE(virtio, intx_and_isr),
		CASE(virtio, config_change_bumps_generation),
		CASE(virtio, without_bus_mastering_nothing_moves),
		CASE(vring, hostile_chains_are_refused),
		CASE(vring, readable_after_writable),
		CASE(vring, indirect_tables),
		CASE(vring, interrupts_as_the_driver_wants),
		CASE(vring, indices_wrap),
		CASE(vring, host_writes_mark_pages_dirty),
		CASE(virtio, impossible_states_are_refused),
		CASE(virtio, device_reset_and_power_up),
	};

	return cmocka_run_group_tests_name("virtio: transport and queues", tests, give_memory,
					   NULL);
}
