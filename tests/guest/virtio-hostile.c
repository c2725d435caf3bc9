/* SPDX-License-Identifier: MIT */
/*
 * virtio-hostile - a driver that breaks the rules, one rule at a time.
 *
 * Reason: every byte in a ring comes from the guest; none may make the host read or write outside
 * of the guest's RAM, loop for ever, or forget the other guests.
 * After each offence the device is reset and must serve an honest request: at most the offender's
 * device stops.  Verdict: PASS when we live and the device still works after each.
 */
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/virtio.h"

const char guest_name[] = "virtio-hostile";
const char guest_title[] = "broken rings (Virtual I/O Device 1.2, \"Split Virtqueues\")";

enum {
	BYTES = 64, SETTLE_US = 2000, DESC_NEXT = 1, DESC_INDIRECT = 4, FAR_INDEX = 0x8000,
	BAD_QUEUE = 999, BAD_VECTOR = 777, NOT_A_POWER_OF_TWO = 6,
};
#define OUTSIDE_RAM   UINT64_C(0x0000007000000000)
#define NEAR_THE_TOP  UINT64_C(0xffffffffffffffe0)

static struct virtio rng;
static struct virtq queue;
static uint8_t buffer[BYTES];

static void start(void)
{
	CHECK(virtio_open(&rng, VIRTIO_ENTROPY, 0), "no entropy device on the bus");
	virtio_queue(&rng, &queue, 0, VIRTIO_NO_VECTOR);
	virtio_start(&rng);
}

/* Offer one descriptor as it stands, and let the device look at it. */
static void offer(uint64_t address, uint32_t length, uint16_t flags, uint16_t next)
{
	queue.desc[0].next = next;
	virtq_give(&queue, 0, (void *)(uintptr_t)address, length, flags);
	virtq_kick(&queue);
}

static uint64_t here(void)
{
	return (uint64_t)(uintptr_t)buffer;
}

static void outside_ram(void)    { offer(OUTSIDE_RAM, BYTES, VIRTQ_DEVICE_WRITES, 0); }
static void address_wraps(void)  { offer(NEAR_THE_TOP, BYTES, VIRTQ_DEVICE_WRITES, 0); }
static void over_the_end(void)   { offer(guest_ram_end() - 1, BYTES, VIRTQ_DEVICE_WRITES, 0); }
static void on_the_apic(void)    { offer(0xfee00000, BYTES, VIRTQ_DEVICE_WRITES, 0); }
static void no_bytes(void)       { offer(here(), 0, VIRTQ_DEVICE_WRITES, 0); }
static void huge(void)           { offer(here(), UINT32_MAX, VIRTQ_DEVICE_WRITES, 0); }
static void not_writable(void)   { offer(here(), BYTES, 0, 0); }
static void loop(void)           { offer(here(), BYTES, VIRTQ_DEVICE_WRITES | DESC_NEXT, 0); }
static void next_too_big(void)   { offer(here(), BYTES, VIRTQ_DEVICE_WRITES | DESC_NEXT, 0x7fff); }
static void kick_nothing(void)   { virtq_kick(&queue); }
static void kick_bad_queue(void) { *queue.notify = BAD_QUEUE; }

static void indirect(void)
{
	memset(buffer, 0, sizeof(buffer));       /* empty descriptors, if it is taken for a table */
	offer(here(), BYTES, DESC_INDIRECT, 0);
}

static void bad_descriptor_number(void)
{
	queue.avail.ring[queue.avail.index % VIRTIO_QUEUE_SIZE] = UINT16_MAX;
	queue.avail.index++;
	virtq_kick(&queue);
}

static void index_jumps(void)
{
	queue.avail.index = (uint16_t)(queue.avail.index + FAR_INDEX);
	virtq_kick(&queue);
}

/* A queue whose parts lie outside of RAM, without DRIVER_OK before. */
static void rings_outside(void)
{
	virtio_reset(&rng);
	CHECK(virtio_open(&rng, VIRTIO_ENTROPY, 0), "gone after reset");
	rng.common->queue_select = 0;
	rng.common->queue_size = VIRTIO_QUEUE_SIZE;
	rng.common->queue_desc[1] = (uint32_t)(OUTSIDE_RAM >> 32);
	rng.common->queue_driver[1] = (uint32_t)(OUTSIDE_RAM >> 32);
	rng.common->queue_device[1] = (uint32_t)(OUTSIDE_RAM >> 32);
	rng.common->queue_enable = 1;
	virtio_start(&rng);
	virtq_kick(&queue);
}

static void kick_before_ready(void)
{
	virtio_reset(&rng);
	virtq_kick(&queue);
}

static void bad_numbers(void)
{
	virtio_reset(&rng);
	rng.common->queue_select = BAD_QUEUE;
	CHECK(rng.common->queue_size == 0, "queue %u has size %u", BAD_QUEUE,
	      rng.common->queue_size);
	rng.common->queue_size = NOT_A_POWER_OF_TWO;
	rng.common->queue_enable = 1;
	rng.common->queue_select = 0;
	rng.common->config_vector = BAD_VECTOR;
	CHECK(rng.common->config_vector == VIRTIO_NO_VECTOR, "vector %u was accepted", BAD_VECTOR);
	rng.common->queue_vector = BAD_VECTOR;
	CHECK(rng.common->queue_vector == VIRTIO_NO_VECTOR, "vector %u was accepted", BAD_VECTOR);
	rng.common->driver_feature_select = UINT32_MAX;
	rng.common->driver_feature = UINT32_MAX;
}

/*
 * QEMU 7.2 fetches 4 GiB of random bytes, however long that takes, and writes to the APIC's page
 * what a device is told to write there: an NMI, perhaps.
 */
struct offence { const char *name; void (*commit)(void); bool not_on_qemu; };

static const struct offence offences[] = {
	{ "a buffer outside of RAM", outside_ram, false },
	{ "a buffer that wraps around", address_wraps, false },
	{ "a buffer over the end of RAM", over_the_end, false },
	{ "a buffer on the APIC's page", on_the_apic, true },
	{ "a buffer of 0 bytes", no_bytes, false },
	{ "a buffer of 4 GiB", huge, true },
	{ "a buffer that the device may not write", not_writable, false },
	{ "a chain that is a loop", loop, false },
	{ "a chain to a descriptor that is not there", next_too_big, false },
	{ "an indirect table that was not agreed on", indirect, false },
	{ "a descriptor number that is too big", bad_descriptor_number, false },
	{ "an index that jumps", index_jumps, false },
	{ "a kick for nothing", kick_nothing, false },
	{ "a kick of a queue that is not there", kick_bad_queue, false },
	{ "rings outside of RAM", rings_outside, false },
	{ "a kick before the driver is ready", kick_before_ready, false },
	{ "bad numbers in the configuration", bad_numbers, false },
};

static void serve_honestly(const char *after)
{
	uint32_t length = 0, pm = clock_pm_read();
	uint16_t slot;

	start();
	offer(here(), BYTES, VIRTQ_DEVICE_WRITES, 0);
	while (!virtq_take(&queue, &slot, &length))
		CHECK(clock_pm_since(pm) < CLOCK_PM_HZ, "after %s the device is dead", after);
	CHECK(length >= 1 && length <= BYTES, "after %s: %u bytes", after, length);
}

void guest_main(void)
{
	serve_honestly("the start");
	for (unsigned i = 0; i < COUNT(offences); i++) {
		if (offences[i].not_on_qemu && guest_has_option("lenient"))
			continue;
		start();
		offences[i].commit();
		clock_wait_us(SETTLE_US);
		bool stopped = rng.common->status & VIRTIO_STATUS_NEEDS_RESET;
		guest_print("virtio-hostile: %s: %s\n", offences[i].name,
			    stopped ? "the device stopped" : "survived");
		serve_honestly(offences[i].name);
	}
}
