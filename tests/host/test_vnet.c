/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vnet.c - virtio network, console and entropy devices against virtio 1.2, and
 * that they go on after a move; each test names its section.
 */
#include "tests/host/virtio_driver.h"

#include "mig/section.h"

/* --- Network ---------------------------------------------------------------------------------- */

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
	enum { PIECES = FRAME_PARTS_MAX + 3 + 1, QMAX = 64 };   /* three are the header */

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
		put_desc(DESC(TX), i, BUFFER + 4 * i, 4, i + 1 < PIECES ? NEXT : 0,
			 (uint16_t)(i + 1));
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

/* A driver on another CPU that adds a frame as fast as we send one. */
static void take_and_add(void *left, const struct frame *f)
{
	unsigned *n = left;

	take_frame(NULL, f);
	if (*n && (*n)--)
		publish(TX, 0);
}

TEST(vnet, a_flood_is_sent_in_bounded_portions)
{
	unsigned left = 400;

	net_fresh();
	driver_up(0, 2);
	vnet_attach(&dev.net, take_and_add, &left);
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_int_equal(frames, VRING_SIZE_MAX);
	assert_int_equal(vnet_ops.deadline(&dev), 0);   /* more waits: tick as soon as may be */
	assert_int_equal(vnet_ops.state->check(&dev), OK);
	vnet_ops.tick(&dev, 1);
	assert_int_equal(frames, 401);
	assert_true(vnet_ops.deadline(&dev) == NEVER_NS);
}

TEST(vnet, nothing_passes_without_a_link)  /* "Device configuration layout", VIRTIO_NET_S_LINK_UP */
{
	struct frame f = frame_of(frame_bytes, 60);

	net_fresh();
	driver_up(BIT(16), 2);
	put_desc(DESC(RX), 0, BUFFER, 2000, WRITE, 0);
	publish(RX, 0);
	vnet_link(&dev.net, false);
	assert_false(vnet_receive(&dev.net, &f));
	put_desc(DESC(TX), 0, BUFFER, 72, 0, 0);
	publish(TX, 0);
	notify(TX);
	assert_int_equal(frames, 0);
	assert_int_equal(used_idx(TX), 1);              /* but the driver does not wait for ever */
	vnet_link(&dev.net, true);
	assert_true(vnet_receive(&dev.net, &f));
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

static void fill_42(void *to, size_t len)
{
	memset(to, 42, len);
}

/* --- Console, entropy ------------------------------------------------------------------------- */

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
	/* before there is a buffer */
	assert_int_equal(vconsole_input(&dev.console, "abcdef", 6), 6);
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
	/* as much as it likes, at least one byte */
	put_desc(DESC(0), 0, BUFFER, 4 * MIB, WRITE, 0);
	publish(0, 0);
	notify(0);
	assert_true(used_len(0, 1) > 0 && used_len(0, 1) < 4096);
}

/* --- What travels ----------------------------------------------------------------------------- */

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

static void net_fresh_without_network(void)
{
	net_fresh();
	vnet_link(&dev.net, false);
}

/* Where a guest arrives, that host's network counts; and the guest hears of it when it differs. */
TEST(vnet, link_is_the_hosts_and_does_not_travel)       /* "Device configuration layout" */
{
	struct frame f = frame_of(frame_bytes, 60);

	net_fresh();
	driver_up(BIT(16), 2);
	put_desc(DESC(RX), 0, BUFFER, 2000, WRITE, 0);
	publish(RX, 0);
	assert_int_equal(move(&vnet_ops, net_fresh_without_network), OK);
	assert_false(vnet_receive(&dev.net, &f));
	assert_int_equal(rd(0x2006, 2), 0);
	uint8_t generation = (uint8_t)rd(0x15, 1);
	vnet_link(&dev.net, false);                     /* as the host does when its port opens */
	assert_int_equal((uint8_t)rd(0x15, 1), (uint8_t)(generation + 1));
	/* And on to a host with a network. */
	assert_int_equal(move(&vnet_ops, net_fresh), OK);
	generation = (uint8_t)rd(0x15, 1);
	vnet_link(&dev.net, true);
	assert_int_equal((uint8_t)rd(0x15, 1), (uint8_t)(generation + 1));
	assert_int_equal(rd(0x2006, 2), 1);
	assert_true(vnet_receive(&dev.net, &f));
	/* Nothing new, nothing said. */
	assert_int_equal(move(&vnet_ops, net_fresh), OK);
	vnet_link(&dev.net, true);
	assert_int_equal((uint8_t)rd(0x15, 1), (uint8_t)(generation + 1));
}

#define QUEUE_DERIVED(type, q)                                                             \
	DERIVED(type, q.mem), DERIVED(type, q.event_idx), DERIVED(type, q.indirect)
#define MSIX_DERIVED(type, m)                                                              \
	DERIVED(type, m.enabled), DERIVED(type, m.masked), DERIVED(type, m.nvectors),      \
	DERIVED(type, m.out)
#define VIRTIO_DERIVED(type, v)                                                            \
	DERIVED(type, v.pci.writable), DERIVED(type, v.pci.power_up),                      \
	DERIVED(type, v.pci.bar), DERIVED(type, v.pci.cap_end),                            \
	DERIVED(type, v.pci.cap_last), DERIVED(type, v.pci.msix_cap),                      \
	DERIVED(type, v.pci.msix_bar), DERIVED(type, v.pci.bus), DERIVED(type, v.pci.pin), \
	DERIVED(type, v.pci.ops), MSIX_DERIVED(type, v.pci.msix), DERIVED(type, v.model),  \
	DERIVED(type, v.access_cap), DERIVED(type, v.complained), DERIVED(type, v.owner),  \
	QUEUE_DERIVED(type, v.queue[0]), QUEUE_DERIVED(type, v.queue[1])

TEST(virtio, sections_are_complete)
{
	static const struct derived net[] = {
		VIRTIO_DERIVED(struct vnet, virtio), DERIVED(struct vnet, mac),
		DERIVED(struct vnet, send), DERIVED(struct vnet, send_to),
		DERIVED(struct vnet, link),
	};
	static const struct derived console[] = {
		VIRTIO_DERIVED(struct vconsole, virtio), DERIVED(struct vconsole, console),
	};
	static const struct derived rng[] = {
		VIRTIO_DERIVED(struct vrng, virtio), DERIVED(struct vrng, fill),
	};

	check_section(vnet_ops.state, net, COUNT(net));
	check_section(vconsole_ops.state, console, COUNT(console));
	check_section(vrng_ops.state, rng, COUNT(rng));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vnet, transmits_whatever_the_pieces),
		CASE(vnet, crosses_frames_of_host_memory),
		CASE(vnet, many_pieces_are_joined),
		CASE(vnet, frames_of_impossible_length_are_counted),
		CASE(vnet, receives_into_posted_buffers),
		CASE(vnet, a_buffer_too_small_is_kept),
		CASE(vnet, a_flood_is_sent_in_bounded_portions),
		CASE(vnet, nothing_passes_without_a_link),
		CASE(vnet, link_is_the_hosts_and_does_not_travel),
		CASE(vnet, configuration),
		CASE(vconsole, says_and_hears),
		CASE(vconsole, emergency_write),
		CASE(vconsole, a_message_without_end_is_refused),
		CASE(vrng, fills_buffers),
		CASE(vnet, goes_on_after_a_move),
		CASE(virtio, sections_are_complete),
	};

	return cmocka_run_group_tests_name("virtio devices", tests, give_memory, NULL);
}
