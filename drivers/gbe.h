/* SPDX-License-Identifier: MIT */
/*
 * drivers/gbe.h - what Intel's gigabit cards have in common: registers, descriptors, one driver's
 * body.
 *
 * Names and numbers from "PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
 * Manual" (8254x) and "82574 GbE Controller Family Datasheet" (docs/references.md), sections
 * "Register Descriptions", "Receive Descriptor Format" and "Legacy Transmit Descriptor Format".
 * What only one of them has stands in its own file.
 */
#ifndef DRIVERS_GBE_H
#define DRIVERS_GBE_H

#include "drivers/gbe_rx.h"
#include "drivers/pci.h"
#include "lib/types.h"
#include "net/nic.h"

enum gbe_reg {
	GBE_CTRL   = 0x0000,
	GBE_STATUS = 0x0008,
	GBE_EECD   = 0x0010,
	GBE_EERD   = 0x0014,
	GBE_CTRL_EXT = 0x0018,        /* 82574L */
	GBE_FCAL   = 0x0028,
	GBE_FCAH   = 0x002c,
	GBE_FCT    = 0x0030,
	GBE_ICR    = 0x00c0,        /* reading acknowledges */
	GBE_ITR    = 0x00c4,
	GBE_IMS    = 0x00d0,
	GBE_IMC    = 0x00d8,
	GBE_RCTL   = 0x0100,
	GBE_FCTTV  = 0x0170,
	GBE_TCTL   = 0x0400,
	GBE_TIPG   = 0x0410,
	GBE_RDBAL  = 0x2800,
	GBE_RDBAH  = 0x2804,
	GBE_RDLEN  = 0x2808,
	GBE_RDH    = 0x2810,
	GBE_RDT    = 0x2818,
	GBE_RDTR   = 0x2820,
	GBE_RADV   = 0x282c,
	GBE_TDBAL  = 0x3800,
	GBE_TDBAH  = 0x3804,
	GBE_TDLEN  = 0x3808,
	GBE_TDH    = 0x3810,
	GBE_TDT    = 0x3818,
	GBE_TIDV   = 0x3820,
	GBE_TXDCTL = 0x3828,
	GBE_STATS  = 0x4000,        /* 64 counters; reading clears */
	GBE_MPC    = 0x4010,        /* frames missed for want of buffers */
	GBE_ROC    = 0x40ac,        /* frames longer than RCTL lets in         */
	GBE_RFCTL  = 0x5008,          /* 82574L */
	GBE_MTA    = 0x5200,
	GBE_RAL    = 0x5400,
	GBE_RAH    = 0x5404,
	GBE_MRQC   = 0x5818,          /* 82574L */
	GBE_GCR    = 0x5b00,          /* 82574L */
};
#define GBE_BAR_LEN         (128 * KIB)
#define GBE_NSTATS          64
#define GBE_MTA_LEN         128

#define CTRL_MASTER_OFF       BIT(2)          /* 82574L: no new requests on PCI Express */
#define CTRL_LRST             BIT(3)
#define CTRL_ASDE             BIT(5)
#define CTRL_SLU              BIT(6)
#define CTRL_ILOS             BIT(7)
#define CTRL_RST              BIT(26)
#define CTRL_VME              BIT(30)
#define CTRL_PHY_RST          BIT(31)

#define STATUS_LU             BIT(1)
#define STATUS_SPEED          MASK(7, 6)      /* 0: 10 Mb/s, 1: 100, 2 and 3: 1000 */
#define STATUS_MASTER         BIT(19)         /* 82574L: requests may be on their way */

#define EECD_AUTO_READ        BIT(9)          /* 82574L: the EEPROM was read        */
#define CTRL_EXT_DRV_LOAD     BIT(28)
#define TXDCTL_ALWAYS_1       BIT(22)         /* reserved, to be written as 1       */
#define RFCTL_EXTENDED        BIT(15)
#define GCR_ALWAYS_1          BIT(22)         /* reserved, to be written as 1       */

#define EERD_START            BIT(0)          /* DONE and ADDR: see struct gbe_model */
#define EERD_DATA             MASK(31, 16)

#define INT_LSC               BIT(2)          /* link changed                       */
#define INT_RXDMT0            BIT(4)          /* receive descriptors are running low */
#define INT_RXO               BIT(6)          /* receiver overrun                   */
#define INT_RXT0              BIT(7)          /* frames received                    */
#define INT_ALL               MASK(31, 0)

#define RCTL_EN               BIT(1)
#define RCTL_UPE              BIT(3)          /* unicast promiscuous                */
#define RCTL_MPE              BIT(4)          /* all multicast                      */
#define RCTL_LPE              BIT(5)          /* frames of more than 1522 bytes     */
#define RCTL_BAM              BIT(15)         /* broadcast                          */
#define RCTL_SECRC            BIT(26)         /* strip the CRC; BSIZE 0: 2048 bytes */

#define TCTL_EN               BIT(1)
#define TCTL_PSP              BIT(3)          /* pad short frames                   */
#define TCTL_CT               MASK(11, 4)
#define TCTL_COLD             MASK(21, 12)
#define TIPG_IPGT             MASK(9, 0)
#define TIPG_IPGR1            MASK(19, 10)
#define TIPG_IPGR2            MASK(29, 20)

#define RAH_AV                BIT(31)         /* address valid                      */

struct gbe_tx_desc {
	uint64_t buffer;
	uint16_t len;
	uint8_t  cso, command, status, css;
	uint16_t special;
};
_Static_assert(sizeof(struct gbe_tx_desc) == 16, "Legacy Transmit Descriptor Format");
#define TX_COMMAND_EOP        BIT(0)
#define TX_COMMAND_IFCS       BIT(1)          /* append the CRC                     */
#define TX_COMMAND_RS         BIT(3)          /* report: set DD when sent           */
#define TX_STATUS_DD          BIT(0)

struct gbe;
struct gbe_dma;

/* In what the kinds of cards differ. */
struct gbe_model {
	const char *driver;                     /* "e1000" */
	uint32_t    eerd_done, eerd_addr;       /* fields of "EEPROM Read Register" */
	/* gbe_quiet(), then gbe_reset(), and what these cards need between and after. */
	enum err  (*reset)(struct gbe *);
	/* After reset, before the rings start: what only these cards need. */
	void      (*configure)(struct gbe *);
};

struct gbe {
	struct nic              nic;
	const struct gbe_model *model;
	volatile uint8_t       *regs;
	struct gbe_dma         *dma;
	struct gbe_rx           rx;             /* the frame that is coming in                   */
	unsigned                rx_next;        /* the slot that the card fills next             */
	unsigned                rx_tail;        /* the slot before which it stops: RDT           */
	unsigned                tx_next;        /* the slot that the next frame goes into        */
	unsigned                tx_oldest;      /* the oldest slot that is not known to be sent  */
	volatile uint32_t       causes;         /* from the interrupt handler, for poll          */
};

/* For pci_driver.start: bring the card up and register it; `name` is for people: "82540EM". */
enum err gbe_start(struct pci_dev *dev, const struct gbe_model *model, const char *name);

uint32_t gbe_read(const struct gbe *c, enum gbe_reg reg);
void     gbe_write(const struct gbe *c, enum gbe_reg reg, uint64_t value);
/* Wait until the bits in `mask` read as `want`; false when `max_ns` have passed. */
bool     gbe_wait(const struct gbe *c, enum gbe_reg reg, uint64_t mask, uint64_t want,
		  uint64_t max_ns);

/* The parts of a reset that all need: nothing moves any more; the reset itself, to its end. */
void     gbe_quiet(struct gbe *c);
enum err gbe_reset(struct gbe *c);

#endif
