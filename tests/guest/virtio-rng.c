/* SPDX-License-Identifier: MIT */
/*
 * virtio-rng - random bytes through a virtqueue, by polling and by MSI-X.
 *
 * Reason: the smallest virtio device, so the test of the transport: features, queue, MSI-X.
 * Verdict: PASS when bytes arrive and differ, an interrupt announces them, a masked entry holds it
 * back and shows it as pending, and a reset forgets the queue.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/trap.h"
#include "lib/virtio.h"

const char guest_name[] = "virtio-rng";
const char guest_title[] = "entropy device (Virtual I/O Device 1.2, \"Entropy Device\")";

enum { BYTES = 64, VECTOR_QUEUE = 0x58, ENTRY = 1, WAIT_US = 1000000, ROUNDS = 20 };

static struct virtio rng;
static struct virtq queue;
static uint8_t buffers[2][BYTES];
static volatile unsigned interrupts;

static void on_queue(struct trap_frame *frame)
{
	(void)frame;
	interrupts++;
	apic_eoi();
}

static uint32_t await_answer(const char *how)
{
	uint32_t pm = clock_pm_read(), length;
	uint16_t slot;

	while (!virtq_take(&queue, &slot, &length))
		CHECK(clock_pm_since(pm) < (uint64_t)CLOCK_PM_HZ * WAIT_US / 1000000,
		      "%s: no answer", how);
	CHECK(slot == 0, "%s: descriptor %u was not given", how, slot);
	CHECK(length >= 1 && length <= BYTES, "%s: %u bytes", how, length);
	return length;
}

static void ask(uint8_t *buffer)
{
	memset(buffer, 0, BYTES);
	virtq_give(&queue, 0, buffer, BYTES, VIRTQ_DEVICE_WRITES);
	virtq_kick(&queue);
}

static void check_polling(void)
{
	virtio_queue(&rng, &queue, 0, VIRTIO_NO_VECTOR);
	virtio_start(&rng);
	ask(buffers[0]);
	uint32_t length = await_answer("polling");
	ask(buffers[1]);
	await_answer("polling");
	CHECK(memcmp(buffers[0], buffers[1], length), "twice the same %u bytes", length);
	for (int i = 0; i < ROUNDS; i++) {               /* more than the ring is long */
		ask(buffers[0]);
		await_answer("polling");
	}
}

static void check_msix(void)
{
	apic_enable(false);
	trap_handle(VECTOR_QUEUE, on_queue);
	virtio_reset(&rng);
	CHECK(virtio_open(&rng, VIRTIO_ENTROPY, 0), "gone after reset");
	virtio_msix_enable(&rng);
	virtio_msix_route(&rng, ENTRY, VECTOR_QUEUE);
	virtio_queue(&rng, &queue, 0, ENTRY);
	virtio_start(&rng);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		ask(buffers[0]);
		uint32_t pm = clock_pm_read();
		while (interrupts < i) {
			CHECK(clock_pm_since(pm) < CLOCK_PM_HZ, "round %u: no interrupt", i);
			insn_sti();
			insn_cli();
		}
		await_answer("MSI-X");
	}
	insn_sti();
	clock_wait_us(1000);
	insn_cli();
	CHECK(interrupts == ROUNDS, "%u interrupts for %u answers", interrupts, ROUNDS);
}

static void check_mask(void)
{
	interrupts = 0;
	virtio_msix_mask(&rng, ENTRY, true);
	ask(buffers[0]);
	await_answer("masked");
	insn_sti();
	clock_wait_us(1000);
	CHECK(interrupts == 0, "a masked entry interrupts");
	CHECK(*rng.msix_pending & BIT(ENTRY), "pending bits are %lx", *rng.msix_pending);
	virtio_msix_mask(&rng, ENTRY, false);
	clock_wait_us(1000);
	insn_cli();
	CHECK(interrupts == 1, "%u interrupts after unmasking", interrupts);
	CHECK(!(*rng.msix_pending & BIT(ENTRY)), "still pending: %lx", *rng.msix_pending);
}

void guest_main(void)
{
	CHECK(virtio_open(&rng, VIRTIO_ENTROPY, 0), "no entropy device on the bus");
	check_polling();
	check_msix();
	check_mask();
	virtio_reset(&rng);
	rng.common->queue_select = 0;
	CHECK(rng.common->queue_enable == 0, "the queue is on after a reset");
}
