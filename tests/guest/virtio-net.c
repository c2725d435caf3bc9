/* SPDX-License-Identifier: MIT */
/*
 * virtio-net - one IPv4 address on the wire: answers ARP and ping, and can ask first.
 *
 * Reason: frames in both directions through the virtual switch, without an operating system.
 * Options: ip=ADDRESS as a number (0x0a4d0033 is 10.77.0.51), peer=ADDRESS: ask by ARP and ping it
 * before anything else; serve=SECONDS: how long to answer others (0); forge=FRAMES: before all
 * that, send so many from an address that is not ours (02:00:00:00:00:66).
 * Verdict: PASS when the peer answered (where given) and the time is over.
 */
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/virtio.h"

const char guest_name[] = "virtio-net";
const char guest_title[] = "network device (Virtual I/O Device 1.2, \"Network Device\")";

enum {
	QUEUE_RECEIVE = 0, QUEUE_TRANSMIT = 1, RECEIVE_BUFFERS = 4, FRAME_MAX = 1514,
	FRAME_MIN = 60,
	TYPE_ARP = 0x0806, TYPE_IPV4 = 0x0800, ARP_REQUEST = 1, ARP_REPLY = 2, ARP_ETHERNET = 1,
	PROTOCOL_ICMP = 1, ICMP_ECHO = 8, ICMP_ECHO_REPLY = 0, IPV4_VERSION_LENGTH = 0x45, TTL = 64,
	ASK_TRIES = 50, ASK_EVERY_US = 100000, DEFAULT_IP = 0x0a4d0033,
};
#define VIRTIO_NET_F_MAC  BIT(5)

struct net_header {
	uint8_t flags, gso;
	uint16_t header_length, gso_size, checksum_start, checksum_offset, buffers;
};
_Static_assert(sizeof(struct net_header) == 12, "virtio-net header with VERSION_1");

struct ethernet { uint8_t to[6], from[6]; uint8_t type[2]; } __attribute__((packed));
struct arp {
	uint8_t hardware[2], protocol[2], sizes[2], operation[2];
	uint8_t sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
} __attribute__((packed));
struct ipv4 {
	uint8_t version_length, service, length[2], id[2], fragment[2], ttl, protocol, checksum[2];
	uint8_t from[4], to[4];
} __attribute__((packed));
struct icmp { uint8_t type, code, checksum[2], id[2], sequence[2]; } __attribute__((packed));

struct frame {
	struct net_header header;
	struct ethernet ethernet;
	union {
		struct arp arp;
		struct { struct ipv4 ip; struct icmp icmp; } __attribute__((packed));
		uint8_t payload[FRAME_MAX - sizeof(struct ethernet)];
	};
} __attribute__((packed));

static struct virtio net;
static struct virtq receive, transmit;
static struct frame received[RECEIVE_BUFFERS], sent;
static uint8_t our_mac[6], our_ip[4], peer_ip[4], peer_mac[6];
static bool peer_known, peer_answered;
static unsigned arp_answers, ping_answers;

static void put16(uint8_t to[2], unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t from[2])
{
	return (unsigned)from[0] << 8 | from[1];
}

static void put_ip(uint8_t to[4], uint64_t ip)
{
	put16(to, ip >> 16 & 0xffff);
	put16(to + 2, ip & 0xffff);
}

/* Internet checksum, RFC 1071; `length` may be odd. */
static unsigned checksum(const void *data, unsigned length)
{
	const uint8_t *bytes = data;
	unsigned sum = 0;

	for (unsigned i = 0; i < length; i++)
		sum += i & 1 ? bytes[i] : (unsigned)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* Send what stands in `sent`; `length` counts from the Ethernet header. */
static void send(unsigned length)
{
	uint32_t pm = clock_pm_read(), used;
	uint16_t slot;

	if (length < FRAME_MIN) {
		memset((uint8_t *)&sent.ethernet + length, 0, FRAME_MIN - length);
		length = FRAME_MIN;
	}
	sent.header = (struct net_header){ 0 };
	virtq_give(&transmit, 0, &sent, (uint32_t)sizeof(sent.header) + length, 0);
	virtq_kick(&transmit);
	while (!virtq_take(&transmit, &slot, &used))
		CHECK(clock_pm_since(pm) < CLOCK_PM_HZ, "a frame is not sent within 1 s");
}

static void set_ethernet(const uint8_t to[6], unsigned type)
{
	memcpy(sent.ethernet.to, to, 6);
	memcpy(sent.ethernet.from, our_mac, 6);
	put16(sent.ethernet.type, type);
}

static void send_arp(unsigned operation, const uint8_t target_mac[6], const uint8_t target_ip[4])
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	set_ethernet(operation == ARP_REQUEST ? everybody : target_mac, TYPE_ARP);
	put16(sent.arp.hardware, ARP_ETHERNET);
	put16(sent.arp.protocol, TYPE_IPV4);
	put16(sent.arp.sizes, 6 << 8 | 4);
	put16(sent.arp.operation, operation);
	memcpy(sent.arp.sender_mac, our_mac, 6);
	memcpy(sent.arp.sender_ip, our_ip, 4);
	memcpy(sent.arp.target_mac, target_mac, 6);
	memcpy(sent.arp.target_ip, target_ip, 4);
	send(sizeof(struct ethernet) + sizeof(struct arp));
}

/* Somebody else's address in the Ethernet header: the switch learns it, or drops the frame. */
static void forge(uint64_t frames)
{
	static const uint8_t foreign[6] = { 2, 0, 0, 0, 0, 0x66 };
	uint8_t own[6];

	memcpy(own, our_mac, sizeof(own));
	memcpy(our_mac, foreign, sizeof(our_mac));
	for (uint64_t i = 0; i < frames; i++)
		send_arp(ARP_REQUEST, foreign, our_ip);
	memcpy(our_mac, own, sizeof(our_mac));
}

static void send_ping(void)
{
	unsigned length = sizeof(struct ipv4) + sizeof(struct icmp);

	set_ethernet(peer_mac, TYPE_IPV4);
	memset(&sent.ip, 0, length);
	sent.ip.version_length = IPV4_VERSION_LENGTH;
	put16(sent.ip.length, length);
	sent.ip.ttl = TTL;
	sent.ip.protocol = PROTOCOL_ICMP;
	memcpy(sent.ip.from, our_ip, 4);
	memcpy(sent.ip.to, peer_ip, 4);
	put16(sent.ip.checksum, checksum(&sent.ip, sizeof(struct ipv4)));
	sent.icmp.type = ICMP_ECHO;
	put16(sent.icmp.checksum, checksum(&sent.icmp, sizeof(struct icmp)));
	send(sizeof(struct ethernet) + length);
}

static void on_arp(const struct frame *f)
{
	if (memcmp(f->arp.target_ip, our_ip, 4))
		return;
	if (get16(f->arp.operation) == ARP_REQUEST) {
		send_arp(ARP_REPLY, f->arp.sender_mac, f->arp.sender_ip);
		arp_answers++;
	} else if (!memcmp(f->arp.sender_ip, peer_ip, 4)) {
		memcpy(peer_mac, f->arp.sender_mac, 6);
		peer_known = true;
	}
}

/* The answer is the question with the addresses exchanged; the IP checksum does not change. */
static void on_icmp(const struct frame *f, unsigned length)
{
	unsigned total = get16(f->ip.length);

	if (f->ip.version_length != IPV4_VERSION_LENGTH || f->ip.protocol != PROTOCOL_ICMP ||
	    memcmp(f->ip.to, our_ip, 4) || total < sizeof(struct ipv4) + sizeof(struct icmp) ||
	    total + sizeof(struct ethernet) > length)
		return;
	if (f->icmp.type == ICMP_ECHO_REPLY && !memcmp(f->ip.from, peer_ip, 4))
		peer_answered = true;
	if (f->icmp.type != ICMP_ECHO)
		return;
	memcpy(sent.payload, f->payload, total);
	set_ethernet(f->ethernet.from, TYPE_IPV4);
	memcpy(sent.ip.from, our_ip, 4);
	memcpy(sent.ip.to, f->ip.from, 4);
	sent.icmp.type = ICMP_ECHO_REPLY;
	put16(sent.icmp.checksum, 0);
	put16(sent.icmp.checksum, checksum(&sent.icmp, total - (unsigned)sizeof(struct ipv4)));
	send(sizeof(struct ethernet) + total);
	ping_answers++;
}

static void poll_frames(void)
{
	uint32_t length;
	uint16_t slot;

	while (virtq_take(&receive, &slot, &length)) {
		CHECK(slot < RECEIVE_BUFFERS, "receive descriptor %u was not given", slot);
		CHECK(length > sizeof(struct net_header) + sizeof(struct ethernet), "%u bytes",
		      length);
		const struct frame *f = &received[slot];
		length -= sizeof(struct net_header);
		if (get16(f->ethernet.type) == TYPE_ARP)
			on_arp(f);
		else if (get16(f->ethernet.type) == TYPE_IPV4)
			on_icmp(f, length);
		virtq_give(&receive, slot, &received[slot], sizeof(struct frame),
			   VIRTQ_DEVICE_WRITES);
		virtq_kick(&receive);
	}
}

static void poll_for_us(uint64_t us, const bool *enough)
{
	uint64_t ticks = us * CLOCK_PM_HZ / 1000000;
	uint32_t pm = clock_pm_read();

	while (clock_pm_since(pm) < ticks && !(enough && *enough)) {
		poll_frames();
		insn_pause();
	}
}

static void ask_peer(uint64_t peer)
{
	static const uint8_t nobody[6];

	put_ip(peer_ip, peer);
	for (int i = 0; i < ASK_TRIES && !peer_known; i++) {
		send_arp(ARP_REQUEST, nobody, peer_ip);
		poll_for_us(ASK_EVERY_US, &peer_known);
	}
	CHECK(peer_known, "the peer does not answer ARP");
	for (int i = 0; i < ASK_TRIES && !peer_answered; i++) {
		send_ping();
		poll_for_us(ASK_EVERY_US, &peer_answered);
	}
	CHECK(peer_answered, "the peer does not answer ping");
	guest_print("virtio-net: the peer answers\n");
}

void guest_main(void)
{
	uint64_t peer = guest_option("peer", 0), seconds = guest_option("serve", 0);

	put_ip(our_ip, guest_option("ip", DEFAULT_IP));
	CHECK(virtio_open(&net, VIRTIO_NET, VIRTIO_NET_F_MAC), "no network device on the bus");
	CHECK(net.features & VIRTIO_NET_F_MAC, "the device has no MAC address");
	for (int i = 0; i < 6; i++)
		our_mac[i] = net.config[i];
	guest_print("virtio-net: %02x:%02x:%02x:%02x:%02x:%02x is %u.%u.%u.%u\n", our_mac[0],
		    our_mac[1],
		    our_mac[2], our_mac[3], our_mac[4], our_mac[5], our_ip[0], our_ip[1], our_ip[2],
		    our_ip[3]);
	virtio_queue(&net, &receive, QUEUE_RECEIVE, VIRTIO_NO_VECTOR);
	virtio_queue(&net, &transmit, QUEUE_TRANSMIT, VIRTIO_NO_VECTOR);
	for (uint16_t i = 0; i < RECEIVE_BUFFERS; i++)
		virtq_give(&receive, i, &received[i], sizeof(struct frame), VIRTQ_DEVICE_WRITES);
	virtio_start(&net);
	virtq_kick(&receive);
	forge(guest_option("forge", 0));
	if (peer)
		ask_peer(peer);
	for (uint64_t s = 0; s < seconds; s++)
		poll_for_us(1000000, NULL);
	guest_print("virtio-net: answered %u ARP requests and %u pings\n", arp_answers,
		    ping_answers);
}
