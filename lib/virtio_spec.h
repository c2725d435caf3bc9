/* SPDX-License-Identifier: MIT */
/*
 * lib/virtio_spec.h - names and layouts of the virtio specification, 1.2.
 *
 * No code and no policy: vmm/dev/virtio.c is a device by it, drivers/virtio_net.c drives one.
 */
#ifndef LIB_VIRTIO_SPEC_H
#define LIB_VIRTIO_SPEC_H

#include "lib/types.h"

/* "PCI Device Discovery" */
#define VIRTIO_PCI_VENDOR       0x1af4
#define VIRTIO_PCI_DEVICE_BASE  0x1040          /* and the device's type       */
#define VIRTIO_TYPE_NET         1
#define VIRTIO_NO_VECTOR        0xffffu         /* MSI-X: no interrupt, please */

/* "Virtio Structure PCI Capabilities"; `more` is the notify multiplier or the access data. */
enum virtio_cap_type {
	VIRTIO_CAP_COMMON = 1, VIRTIO_CAP_NOTIFY, VIRTIO_CAP_ISR, VIRTIO_CAP_DEVICE,
	VIRTIO_CAP_ACCESS,
};
struct virtio_cap {
	uint8_t  id, next, len, type, bar, instance, padding[2];
	uint32_t offset, length, more;
};
_Static_assert(sizeof(struct virtio_cap) == 20, "virtio_pci_cap and what may follow it");

enum virtio_common {                            /* "Common configuration structure layout" */
	VIRTIO_DEVICE_FEATURE_SELECT = 0, VIRTIO_DEVICE_FEATURE = 4,
	VIRTIO_DRIVER_FEATURE_SELECT = 8, VIRTIO_DRIVER_FEATURE = 12,
	VIRTIO_CONFIG_VECTOR = 16, VIRTIO_NUM_QUEUES = 18, VIRTIO_DEVICE_STATUS = 20,
	VIRTIO_CONFIG_GENERATION = 21, VIRTIO_QUEUE_SELECT = 22, VIRTIO_QUEUE_SIZE = 24,
	VIRTIO_QUEUE_VECTOR = 26, VIRTIO_QUEUE_ENABLE = 28, VIRTIO_QUEUE_NOTIFY_OFF = 30,
	VIRTIO_QUEUE_DESC = 32, VIRTIO_QUEUE_DESC_HIGH = 36, VIRTIO_QUEUE_DRIVER = 40,
	VIRTIO_QUEUE_DRIVER_HIGH = 44, VIRTIO_QUEUE_DEVICE = 48, VIRTIO_QUEUE_DEVICE_HIGH = 52,
	VIRTIO_QUEUE_NOTIFY_DATA = 56, VIRTIO_QUEUE_RESET = 58,
	VIRTIO_COMMON_LEN = 60,
};

enum virtio_status {                            /* "Device Status Field" */
	VIRTIO_ACKNOWLEDGE = BIT(0), VIRTIO_DRIVER = BIT(1), VIRTIO_DRIVER_OK = BIT(2),
	VIRTIO_FEATURES_OK = BIT(3), VIRTIO_NEEDS_RESET = BIT(6), VIRTIO_FAILED = BIT(7),
};

#define VIRTIO_ISR_QUEUE        BIT(0)          /* "ISR status capability" */
#define VIRTIO_ISR_CONFIG       BIT(1)

#define VIRTIO_F_INDIRECT_DESC  BIT(28)         /* "Reserved Feature Bits" */
#define VIRTIO_F_EVENT_IDX      BIT(29)
#define VIRTIO_F_VERSION_1      BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT(33)
#define VIRTIO_F_ORDER_PLATFORM BIT(36)
#define VIRTIO_F_RING_RESET     BIT(40)

/*
 * "Split Virtqueues":
 *   descriptors: size x struct virtq_desc
 *   available:   flags 2, idx 2, size x head 2, used_event 2                 (the driver writes)
 *   used:        flags 2, idx 2, size x struct virtq_used, avail_event 2     (the device writes)
 */
#define VIRTQ_SIZE_MAX          32768u          /* entries, a power of two */
struct virtq_desc { uint64_t addr; uint32_t len; uint16_t flags, next; };
_Static_assert(sizeof(struct virtq_desc) == 16, "\"The Virtqueue Descriptor Table\"");
#define VIRTQ_DESC_NEXT         BIT(0)
#define VIRTQ_DESC_WRITE        BIT(1)
#define VIRTQ_DESC_INDIRECT     BIT(2)

struct virtq_used { uint32_t id, len; };
#define VIRTQ_FLAGS             0u              /* offsets in both rings       */
#define VIRTQ_IDX               2u
#define VIRTQ_ENTRIES           4u
#define VIRTQ_NO_INTERRUPT      BIT(0)          /* flags of the available ring */
#define VIRTQ_NO_NOTIFY         BIT(0)          /* flags of the used ring      */

/* "Network Device": "Feature bits", "Device configuration layout", "Device Operation". */
#define VIRTIO_NET_F_CSUM       BIT(0)
#define VIRTIO_NET_F_GUEST_CSUM BIT(1)
#define VIRTIO_NET_F_MTU        BIT(3)
#define VIRTIO_NET_F_MAC        BIT(5)
#define VIRTIO_NET_F_GUEST_TSO4 BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6 BIT(8)
#define VIRTIO_NET_F_HOST_TSO4  BIT(11)
#define VIRTIO_NET_F_HOST_TSO6  BIT(12)
#define VIRTIO_NET_F_MRG_RXBUF  BIT(15)
#define VIRTIO_NET_F_STATUS     BIT(16)

enum virtio_net_queue { VIRTIO_NET_RX, VIRTIO_NET_TX };

struct virtio_net_config { uint8_t mac[6]; uint16_t status, pairs, mtu; };
_Static_assert(sizeof(struct virtio_net_config) == 12, "up to the MTU");
#define VIRTIO_NET_LINK_UP      BIT(0)

struct virtio_net_header {
	uint8_t  flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
#define VIRTIO_NET_HEADER_LEN   12u
_Static_assert(sizeof(struct virtio_net_header) == VIRTIO_NET_HEADER_LEN, "as VERSION_1 has it");
#define VIRTIO_NET_NEEDS_CSUM   BIT(0)          /* flags */
#define VIRTIO_NET_DATA_VALID   BIT(1)
#define VIRTIO_NET_GSO_NONE     0               /* gso_type */
#define VIRTIO_NET_GSO_TCPV4    1
#define VIRTIO_NET_GSO_TCPV6    4

#endif
