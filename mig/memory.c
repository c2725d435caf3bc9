/* SPDX-License-Identifier: MIT */
/*
 * mig/memory.c - what this host remembers of guests and epochs, and what it may forget.
 *
 * Two questions are answered from here.  Which epoch comes next: higher than any in which the guest
 * was ours to give or came to be ours.  What became of this one: a source in doubt asks by QUERY,
 * perhaps much later, and a wrong answer would cost the guest; "not remembered" costs an operator's
 * decision.  The table has MIG_VERDICTS_MAX places; when it is full, what goes first is what nobody
 * can ask about any more, see worth().  Called by mig/mig.c, mig/visit.c and mig/dest.c.
 */
#include <string.h>

#include "lib/log.h"
#include "mig/job.h"

_Static_assert(MIG_VERDICTS_MAX > VMS_MAX + MIG_INCOMING_MAX, "something can always be forgotten");

static struct mig_memory *memory_end(void) { return mig_node->memory + MIG_VERDICTS_MAX; }

static bool is_of(const struct mig_memory *k, const uint8_t uuid[16])
{
	return k->order && memcmp(k->id.uuid, uuid, sizeof(k->id.uuid)) == 0;
}

static bool is_present(const uint8_t uuid[16])
{
	for (unsigned i = 0; i < VMS_MAX; i++)
		if (vm_at(i) &&
		    memcmp(vm_at(i)->config.uuid, uuid, sizeof(vm_at(i)->config.uuid)) == 0)
			return true;
	return false;
}

/*
 * An epoch that was only refused here says nothing about where the guest was: whoever reaches our
 * port could name any number and then hang up.
 */
uint64_t mig_highest_epoch(const uint8_t uuid[16])
{
	uint64_t highest = 0;

	for (const struct mig_memory *k = mig_node->memory; k < memory_end(); k++)
		if (is_of(k, uuid) && k->verdict != VERDICT_REFUSED)
			highest = MAX(highest, k->id.epoch);
	return highest;
}

uint64_t mig_next_epoch(const uint8_t uuid[16])
{
	struct wire_id id = { .epoch = mig_highest_epoch(uuid) };

	memcpy(id.uuid, uuid, sizeof(id.uuid));
	/* What was refused here stays refused; at most MIG_VERDICTS_MAX of them. */
	do {
		if (id.epoch == UINT64_MAX)
			return 0;
		id.epoch++;
	} while (mig_recall(&id));
	return id.epoch;
}

struct mig_memory *mig_recall(const struct wire_id *id)
{
	for (struct mig_memory *k = mig_node->memory; k < memory_end(); k++)
		if (is_of(k, id->uuid) && k->id.epoch == id->epoch)
			return k;
	return NULL;
}

/* What would be lost with an entry, least first.  Among equals the oldest goes. */
enum worth {
	WORTH_NOTHING,          /* the source began anew since: it will not ask about this one    */
	WORTH_LITTLE,           /* our own attempt with a guest that is gone; peers never ask     */
	WORTH_AN_ANSWER,        /* a source may be in doubt about it                              */
	WORTH_KEEPING,          /* coming in; or what the next epoch of a guest here follows      */
};

static bool is_superseded(const struct mig_memory *k)
{
	for (const struct mig_memory *other = mig_node->memory; other < memory_end(); other++)
		if (is_of(other, k->id.uuid) && other->id.epoch > k->id.epoch)
			return true;
	return false;
}

static enum worth worth(const struct mig_memory *k)
{
	if (k->verdict == VERDICT_OPEN)
		return WORTH_KEEPING;
	if (k->verdict != VERDICT_REFUSED && is_present(k->id.uuid) &&
	    k->id.epoch == mig_highest_epoch(k->id.uuid))
		return WORTH_KEEPING;
	/* The guest may have moved on from here while its old host still asks. */
	if (k->verdict == VERDICT_RUN)
		return WORTH_AN_ANSWER;
	if (is_superseded(k))
		return WORTH_NOTHING;
	return k->verdict == VERDICT_SENT ? WORTH_LITTLE : WORTH_AN_ANSWER;
}

/* A free entry, or the one whose loss matters least. */
static struct mig_memory *room_to_remember(void)
{
	struct mig_memory *least = NULL;
	enum worth least_worth = WORTH_KEEPING;

	for (struct mig_memory *k = mig_node->memory; k < memory_end(); k++) {
		if (!k->order)
			return k;
		enum worth w = worth(k);
		if (w < least_worth || (least && w == least_worth && k->order < least->order)) {
			least = k;
			least_worth = w;
		}
	}
	ASSERT(least);
	return least;
}

void mig_remember(const struct wire_id *id, enum mig_verdict verdict)
{
	struct mig_memory *k = mig_recall(id);

	if (k) {
		/* The two final words stay what they are. */
		ASSERT(k->verdict != VERDICT_RUN || verdict == VERDICT_RUN);
		ASSERT(k->verdict != VERDICT_REFUSED || verdict == VERDICT_REFUSED);
	} else {
		k = room_to_remember();
	}
	*k = (struct mig_memory){ .id = *id, .verdict = verdict, .order = ++mig_node->order };
}
