/* SPDX-License-Identifier: MIT */
/*
 * boot/nictest.c - the contract of net/nic.h, tried on two cards on one wire.
 *
 * With test=nics-FRAMES[-untagged][-lossy][-link][-jumbo] on the command line (docs/network.md),
 * nic0 and nic1 send each other frames that both can check: every length up to their MTU, each way,
 * both ways at once, faster than the receiver looks, with interrupts held back, and with the cable
 * pulled, or frames longer than the MTU sent, by whoever reads our lines on COM1.  The drivers run
 * as always: interrupts wake the scheduler, which polls.  The last line is the verdict.  Read next:
 * boot/nicwire.c; for TCP boot/bench_net.c.
 */
#include "boot/nictest.h"

#include <string.h>

#include "boot/boot.h"
#include "boot/nicwire.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"

#define TEST_NAME        "nics-"
#define FRAMES_MAX       100000000u
#define FIRST_TRIES      10
#define OVERRUN_FRAMES   3000                   /* more than any ring has               */
#define OVERRUN_ROOM_NS  (500 * NS_PER_MS)      /* a wire may push back: then it ends   */
#define PING_FRAMES      500
#define HELD_FRAMES      50
#define JUMBO_FRAMES     3                      /* as tests/nicpair.py sends            */
#define AIR_FRAMES       2000                   /* sent towards a card without a link   */
#define SETTLE_NS        (100 * NS_PER_MS)
#define PATIENCE_NS      (60 * NS_PER_S)        /* for what must come: machines are busy */
#define LENGTH_DENSE     128                    /* each length up to here is tried      */
#define LENGTH_STEP      7                      /* and each so many behind              */

static uint64_t nframes;
static bool with_link, with_jumbo, untagged;

/* --- The parts of the test -------------------------------------------------------------------- */

static bool both_have_links(void)
{
	uint64_t end_ns = time_now_ns() + PATIENCE_NS;

	for (unsigned i = 0; i < 2; i++)
		while (!nicwire[i].nic->link)
			if (!nicwire_wait(NS_PER_MS) && time_now_ns() > end_ns) {
				log_line("nics: %s has no link", nicwire[i].nic->name);
				return false;
			}
	return true;
}

/* Links come up, bridges begin to forward: until one frame has come through each way. */
static bool test_wire(void)
{
	bool was_lossy = nicwire_lossy, through = false;

	nicwire_lossy = true;
	for (unsigned i = 0; i < FIRST_TRIES && !through && both_have_links(); i++) {
		nicwire_count();
		nicwire_move(1, 1);
		through = nicwire[0].got && nicwire[1].got;
	}
	nicwire_lossy = was_lossy;
	if (!through)
		log_line("nics: nothing gets from one card to the other");
	return through;
}

static bool one_length(unsigned len)
{
	nicwire_len = len;
	nicwire_count();
	nicwire_move(1, 1);
	nicwire_len = 0;
	if (nicwire_whole("one frame", &nicwire[0], 1) &&
	    nicwire_whole("one frame", &nicwire[1], 1))
		return true;
	log_line("nics: that frame had %u bytes", len);
	return false;
}

static bool test_lengths(void)
{
	bool good = true;

	for (unsigned len = FRAME_LEN_MIN; good && len <= nicwire_longest;
	     len += len < LENGTH_DENSE ? 1 : LENGTH_STEP)
		good = one_length(len);
	return good && one_length(nicwire_longest - 1) && one_length(nicwire_longest) &&
	       (untagged || one_length(nicwire_longest + NICWIRE_TAG_LEN));
}

static bool run(const char *what, uint64_t n0, uint64_t n1)
{
	uint64_t from_ns = time_now_ns(), took_ns, rate;

	nicwire_count();
	nicwire_move(n0, n1);
	took_ns = MAX(time_now_ns() - from_ns, NS_PER_US);
	rate = (n0 + n1) * NS_PER_S / took_ns;
	log_line("nics: %s: %lu frames in %lu ms, %lu frames/s, %lu lost, interrupts %lu and %lu",
		 what, n0 + n1, (uint64_t)(took_ns / NS_PER_MS), rate,
		 nicwire[0].lost + nicwire[1].lost,
		 nicwire[0].nic->count.interrupts - nicwire[0].interrupts,
		 nicwire[1].nic->count.interrupts - nicwire[1].interrupts);
	return nicwire_whole(what, &nicwire[0], n1) && nicwire_whole(what, &nicwire[1], n0);
}

static bool test_there(void) { return run("nic0 to nic1", nframes, 0); }
static bool test_back(void)  { return run("nic1 to nic0", 0, nframes); }
static bool test_both(void)  { return run("both ways", nframes, nframes); }

/*
 * More frames than rings have, while nobody looks at the receiver.  Some may be lost, none may be
 * wrong or out of order; then all is as before.
 */
static bool overrun(struct nicwire *from)
{
	struct nicwire *to = nicwire_peer(from);
	uint64_t n = 0, dropped = to->nic->count.rx_dropped;

	nicwire_count();
	while (n < OVERRUN_FRAMES && nicwire_room(from, OVERRUN_ROOM_NS))
		n += nicwire_send(from);
	while (nicwire_wait(SETTLE_NS))
		;
	log_line("nics: overrun: %s got %lu of %lu frames, %lu dropped by its card",
		 to->nic->name, to->got, n, to->nic->count.rx_dropped - dropped);
	if (to->bad || to->got == 0)
		return nicwire_whole("overrun", to, n);
	return run("after it", NICWIRE_WINDOW, NICWIRE_WINDOW);
}

static bool test_overrun(void)
{
	return overrun(&nicwire[0]) && overrun(&nicwire[1]);
}

/* A card interrupts at most once for each time that it was allowed to, and not never. */
static bool bounded(const struct nicwire *e)
{
	uint64_t n = e->nic->count.interrupts - e->interrupts;

	if (n <= e->rearms + 1 && (n > 0) == !e->nic->polled)
		return true;
	log_line("nics: storm: %lu interrupts of %s, which was allowed %lu", n, e->nic->name,
		 e->rearms);
	return false;
}

/* While a card's interrupts are held back, frames come and it stays quiet. */
static bool held_back(struct nicwire *to)
{
	uint64_t end_ns = time_now_ns() + PATIENCE_NS;

	nicwire_count();
	to->hold = true;
	for (unsigned i = 0; i < HELD_FRAMES; i++) {
		if (!nicwire_room(nicwire_peer(to), PATIENCE_NS) || !nicwire_send(nicwire_peer(to)))
			return false;
		nicwire_wait(NS_PER_MS);
	}
	while (to->got < HELD_FRAMES && time_now_ns() < end_ns)
		nicwire_wait(SETTLE_NS);
	to->hold = false;
	uint64_t n = to->nic->count.interrupts - to->interrupts;

	to->nic->work = true;                   /* so that it is allowed again */
	if (n <= 1)
		return nicwire_whole("interrupts held back", to, HELD_FRAMES);
	log_line("nics: storm: %lu interrupts of %s, which was allowed none", n, to->nic->name);
	return false;
}

/* Frames one by one, each waking us: the most interrupts that there can be. */
static bool test_storm(void)
{
	nicwire_count();
	for (unsigned i = 0; i < PING_FRAMES && !(nicwire[0].lost | nicwire[1].lost); i++)
		nicwire_move(1, 1);
	return nicwire_whole("one by one", &nicwire[0], PING_FRAMES) &&
	       nicwire_whole("one by one", &nicwire[1], PING_FRAMES) && bounded(&nicwire[0]) &&
	       bounded(&nicwire[1]) && held_back(&nicwire[0]) && held_back(&nicwire[1]);
}

/* --- The cable -------------------------------------------------------------------------------- */

/* Somebody reads this line and acts; true: the card noticed. */
static bool wait_for_link(const struct nicwire *e, bool up)
{
	uint64_t end_ns = time_now_ns() + PATIENCE_NS;

	log_line("nics: %s the cable of %s", up ? "plug in" : "pull", e->nic->name);
	while (e->nic->link != up && time_now_ns() < end_ns)
		nicwire_wait(NS_PER_MS);
	return e->nic->link == up;
}

/* Without a link a card takes nothing; a peer's ring does not fill up for ever. */
static bool pulled(struct nicwire *e)
{
	struct nicwire *peer = nicwire_peer(e);

	if (!wait_for_link(e, false))
		return false;
	if (nicwire_send(e)) {
		log_line("nics: %s took a frame without a link", e->nic->name);
		return false;
	}
	for (unsigned i = 0; i < AIR_FRAMES && peer->nic->link; i++)
		if (!nicwire_room(peer, OVERRUN_ROOM_NS) || !nicwire_send(peer))
			break;                  /* a wire may push back */
	if (!wait_for_link(e, true) || !both_have_links())
		return false;
	while (nicwire_wait(SETTLE_NS))
		;                               /* what waited on the wire may fill a ring */
	return run("with the cable back", nframes / 10, nframes / 10);
}

static bool test_link(void)
{
	return !with_link || (pulled(&nicwire[0]) && pulled(&nicwire[1]));
}

/* --- Jumbo frames ----------------------------------------------------------------------------- */

static uint64_t refused(struct nicwire *e)
{
	nic_refresh(e->nic);
	return e->nic->count.rx_long + e->nic->count.rx_errors;
}

/*
 * Somebody reads the line and sends frames that are longer than the MTU, then a short one.  That
 * one alone may be handed up, the others are counted (where the card tells us of them), and all is
 * as before.
 */
static bool jumbo(struct nicwire *e)
{
	uint64_t end_ns = time_now_ns() + PATIENCE_NS, frames = e->nic->count.rx_frames;
	uint64_t counted = refused(e);

	log_line("nics: send jumbo frames to %s", e->nic->name);
	while (e->nic->count.rx_frames == frames && time_now_ns() < end_ns)
		nicwire_wait(NS_PER_MS);
	while (nicwire_wait(SETTLE_NS))
		;
	frames = e->nic->count.rx_frames - frames;
	counted = refused(e) - counted;
	log_line("nics: jumbo: %s handed up %lu frames, counted %lu", e->nic->name, frames,
		 counted);
	return frames == 1 && counted <= JUMBO_FRAMES &&
	       run("after it", NICWIRE_WINDOW, NICWIRE_WINDOW);
}

static bool test_jumbo(void)
{
	return !with_jumbo || (jumbo(&nicwire[0]) && jumbo(&nicwire[1]));
}

/* --- All of it -------------------------------------------------------------------------------- */

static const struct part {
	const char *name;
	bool      (*run)(void);
	bool        quiet;                      /* only on a wire that loses nothing */
} parts[] = {
	{ "wire", test_wire, false },   { "lengths", test_lengths, true },
	{ "there", test_there, false }, { "back", test_back, false },
	{ "both", test_both, false },   { "overrun", test_overrun, true },
	{ "storm", test_storm, true },  { "link", test_link, true },
	{ "jumbo", test_jumbo, true },
};

static void test_all(void *arg)
{
	const char *verdict = "PASS";

	(void)arg;
	for (const struct part *p = parts; p < parts + COUNT(parts); p++) {
		if (nicwire_lossy && p->quiet)
			continue;
		if (!p->run()) {
			log_line("nics: failed: %s", p->name);
			verdict = "FAIL";
			break;
		}
		log_line("nics: ok: %s", p->name);
	}
	log_line("nics: %s (%s and %s)", verdict, nicwire[0].nic->driver, nicwire[1].nic->driver);
}

/* True when `word` stands at *p; moves *p behind it. */
static bool take(const char **p, const char *word)
{
	bool there = !strncmp(*p, word, strlen(word));

	*p += there ? strlen(word) : 0;
	return there;
}

/* "20000-link-jumbo" */
static enum err parse_options(const char *text)
{
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && nframes <= FRAMES_MAX; p++)
		nframes = nframes * 10 + (uint64_t)(*p - '0');
	untagged = take(&p, "-untagged");       /* Bochs cuts frames off at 1514 bytes */
	nicwire_lossy = take(&p, "-lossy");
	with_link = take(&p, "-link");
	with_jumbo = take(&p, "-jumbo");
	if (*p || nframes == 0 || nframes > FRAMES_MAX)
		return fail(ERR_BAD_ARGUMENT, "test=nics-%s: not of the form "
			    "FRAMES[-untagged][-lossy][-link][-jumbo]", text);
	return OK;
}

enum err nictest_start(void)
{
	if (strncmp(boot_options.test, TEST_NAME, sizeof(TEST_NAME) - 1) != 0)
		return OK;
	enum err e = parse_options(boot_options.test + sizeof(TEST_NAME) - 1);
	if (e != OK)
		return e;
	if (!nic_at(1))
		return fail(ERR_BAD_ARGUMENT, "test=%s needs two NICs", boot_options.test);
	nicwire_start(nic_at(0), nic_at(1));
	if (!boot_options.mgmt.nic.name[0])          /* else the network does it */
		sched_add_poll(nic_poll_all);
	return task_create("nic test", test_all, NULL);
}
