/* SPDX-License-Identifier: MIT */
/*
 * net/nic.c - the cards of this machine, in PCI order, and the turn in which each is served.
 *
 * Owns the list; the cards belong to their drivers.  A card's interrupt handler only marks the
 * card (`work`); frames move here, in the scheduler's turn, so nothing above ever races with an
 * interrupt.
 */
#include "net/nic.h"

#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"

#define NIC_POLL_BUDGET 64            /* frames per turn: a guest waits no longer than these take */
#define NIC_POLL_NS     NS_PER_MS     /* how often to look at a card that has no interrupt        */

static struct nic *nics[NICS_MAX];
static unsigned nnics;

enum err nic_register(struct nic *nic)
{
	if (nnics == COUNT(nics))
		return fail(ERR_NO_MEMORY, "nic: %s is one card too many, %u are used", nic->where,
			    nnics);
	fmt_format(nic->name, sizeof(nic->name), "nic%u", nnics);
	nics[nnics++] = nic;
	return OK;
}

/* "52:54:00:00:00:0a", as nic_find() compares it: lower case. */
static void mac_text(char out[3 * MAC_LEN], const uint8_t mac[MAC_LEN])
{
	fmt_format(out, 3 * MAC_LEN, "%02x:%02x:%02x:%02x:%02x:%02x",
		   mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void nic_announce(const struct nic *nic, const char *irq)
{
	char mac[3 * MAC_LEN];

	mac_text(mac, nic->mac);
	log_line("%s: %s, %s, %s, %s", nic->name, nic->where, nic->driver, mac, irq);
}

void nic_link(struct nic *nic, bool up, unsigned mbit_s)
{
	if (up && !nic->link && mbit_s)
		log_line("%s: link up, %u Mb/s", nic->name, mbit_s);
	else if (up != nic->link)
		log_line("%s: link %s", nic->name, up ? "up" : "down");
	nic->link = up;
}

void nic_refresh(struct nic *nic)
{
	if (nic->ops->refresh)
		nic->ops->refresh(nic);
}

enum err nic_set_mtu(struct nic *nic, unsigned mtu)
{
	if (mtu < NIC_MTU || mtu > NIC_MTU_MAX)
		return fail(ERR_BAD_ARGUMENT, "%s: an MTU is %u to %u, not %u", nic->name, NIC_MTU,
			    NIC_MTU_MAX, mtu);
	if (mtu == nic->mtu)
		return OK;
	if (!nic->ops->set_mtu)
		return fail(ERR_NOT_SUPPORTED, "%s: %s has no MTU but %u", nic->name, nic->where,
			    nic->mtu);
	return nic->ops->set_mtu(nic, (uint16_t)mtu);
}

struct nic *nic_at(unsigned i)
{
	return i < nnics ? nics[i] : NULL;
}

static bool same_ignoring_case(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + ('a' - 'A')) : *a;
		char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + ('a' - 'A')) : *b;

		if (x != y)
			return false;
	}
	return *a == *b;
}

struct nic *nic_find(const char *name)
{
	for (unsigned i = 0; i < nnics; i++) {
		char mac[3 * MAC_LEN];

		mac_text(mac, nics[i]->mac);
		if (same_ignoring_case(name, nics[i]->name) || same_ignoring_case(name, mac))
			return nics[i];
	}
	return NULL;
}

/*
 * One card's turn; true: it has more to do.  It is polled even if its interrupt was not taken yet:
 * while tasks keep the CPU busy, interrupts are taken rarely.
 */
static bool nic_poll_one(struct nic *nic, uint64_t now_ns)
{
	if (nic->polled && now_ns >= nic->look_ns) {
		nic->look_ns = now_ns + NIC_POLL_NS;
		nic->work = true;
	}
	if (nic->ops->poll(nic, NIC_POLL_BUDGET) == NIC_POLL_BUDGET)
		return true;
	if (!nic->work)
		return false;
	nic->work = false;
	if (!nic->ops->rearm(nic))
		return false;
	nic->work = true;               /* what came in meanwhile may not interrupt: rearm again */
	return true;
}

uint64_t nic_poll_all(uint64_t now_ns)
{
	uint64_t next_ns = NEVER_NS;

	for (unsigned i = 0; i < nnics; i++) {
		if (nic_poll_one(nics[i], now_ns))
			next_ns = now_ns;
		else if (nics[i]->polled)
			next_ns = MIN(next_ns, nics[i]->look_ns);
	}
	return next_ns;
}
