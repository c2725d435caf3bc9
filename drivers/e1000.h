/* SPDX-License-Identifier: MIT */
/*
 * drivers/e1000.h - Intel's 8254x family of gigabit cards: registers, descriptors, the driver.
 *
 * Names and numbers from "PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
 * Manual" (docs/references.md), sections "Register Descriptions", "Receive Descriptor Format" and
 * "Legacy Transmit Descriptor Format".
 */
#ifndef DRIVERS_E1000_H
#define DRIVERS_E1000_H

#include "drivers/pci.h"
#include "lib/types.h"

extern const struct pci_driver e1000_driver;

enum e1000_reg {
	E1000_CTRL   = 0x0000,
	E1000_STATUS = 0x0008,
	E1000_EERD   = 0x0014,
	E1000_FCAL   = 0x0028,
	E1000_FCAH   = 0x002c,
	E1000_FCT    = 0x0030,
	E1000_ICR    = 0x00c0,        /* reading acknowledges */
	E1000_ITR    = 0x00c4,
	E1000_IMS    = 0x00d0,
	E1000_IMC    = 0x00d8,
	E1000_RCTL   = 0x0100,
	E1000_FCTTV  = 0x0170,
	E1000_TCTL   = 0x0400,
	E1000_TIPG   = 0x0410,
	E1000_RDBAL  = 0x2800,
	E1000_RDBAH  = 0x2804,
	E1000_RDLEN  = 0x2808,
	E1000_RDH    = 0x2810,
	E1000_RDT    = 0x2818,
	E1000_RDTR   = 0x2820,
	E1000_RADV   = 0x282c,
	E1000_TDBAL  = 0x3800,
	E1000_TDBAH  = 0x3804,
	E1000_TDLEN  = 0x3808,
	E1000_TDH    = 0x3810,
	E1000_TDT    = 0x3818,
	E1000_TIDV   = 0x3820,
	E1000_STATS  = 0x4000,        /* 64 counters; reading clears */
	E1000_MPC    = 0x4010,        /* frames missed for want of buffers */
	E1000_MTA    = 0x5200,
	E1000_RAL    = 0x5400,
	E1000_RAH    = 0x5404,
};
#define E1000_BAR_LEN         (128 * KIB)
#define E1000_NSTATS          64
#define E1000_MTA_LEN         128

#define CTRL_LRST             BIT(3)
#define CTRL_ASDE             BIT(5)
#define CTRL_SLU              BIT(6)
#define CTRL_ILOS             BIT(7)
#define CTRL_RST              BIT(26)
#define CTRL_VME              BIT(30)
#define CTRL_PHY_RST          BIT(31)

#define STATUS_LU             BIT(1)
#define STATUS_SPEED          MASK(7, 6)      /* 0: 10 Mb/s, 1: 100, 2 and 3: 1000 */

#define EERD_START            BIT(0)
#define EERD_DONE             BIT(4)
#define EERD_ADDR             MASK(15, 8)
#define EERD_DATA             MASK(31, 16)

#define INT_LSC               BIT(2)          /* link changed                       */
#define INT_RXDMT0            BIT(4)          /* receive descriptors are running low */
#define INT_RXO               BIT(6)          /* receiver overrun                   */
#define INT_RXT0              BIT(7)          /* frames received                    */
#define INT_ALL               MASK(31, 0)

#define RCTL_EN               BIT(1)
#define RCTL_UPE              BIT(3)          /* unicast promiscuous                */
#define RCTL_MPE              BIT(4)          /* all multicast                      */
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

struct e1000_rx_desc {
	uint64_t buffer;
	uint16_t len, checksum;
	uint8_t  status, errors;
	uint16_t special;
};
_Static_assert(sizeof(struct e1000_rx_desc) == 16, "Receive Descriptor Format");
#define RX_STATUS_DD          BIT(0)          /* the card is done with it           */
#define RX_STATUS_EOP         BIT(1)          /* last piece of a frame              */
#define RX_ERRORS_FRAME       (BIT(0) | BIT(1) | BIT(2) | BIT(4) | BIT(7))   /* CE SE SEQ CXE RXE */

struct e1000_tx_desc {
	uint64_t buffer;
	uint16_t len;
	uint8_t  cso, command, status, css;
	uint16_t special;
};
_Static_assert(sizeof(struct e1000_tx_desc) == 16, "Legacy Transmit Descriptor Format");
#define TX_COMMAND_EOP        BIT(0)
#define TX_COMMAND_IFCS       BIT(1)          /* append the CRC                     */
#define TX_COMMAND_RS         BIT(3)          /* report: set DD when sent           */
#define TX_STATUS_DD          BIT(0)

#endif
