/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_state.c - walks the product of both sides of a migration, with every message
 * lost, repeated, late or out of order, each side crashing, and cancels at any time, and finds no
 * state with two owners and none from which the guest is lost while both sides live and can talk.
 *
 * Then the rules are broken one by one, and the walk must find each break.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <string.h>

#include "mig/state.h"

/*
 * A message that was sent stays in flight: it may arrive any number of times, at any time, or
 * never.
 */
enum { MSG_HELLO = 1, MSG_STREAM = 2, MSG_GRANT = 4, MSG_QUERY = 8, MSG_CANCEL = 16,
       MSG_ACCEPT = 32, MSG_READY = 64, MSG_RUNNING = 128, MSG_REFUSED = 256,
       MSG_DECLINED = 512,      /* REFUSED as the first record on HELLO's connection */
       MSG_ALL = 1024 };

#define SRC_GONE SRC_N          /* crashed */
#define DST_GONE DST_N

/* What happened, for the rules that speak about the past. */
enum { PAST_GRANTED = 1, PAST_RAN = 2, PAST_REFUSED = 4, PAST_ALL = 8 };

struct point { uint8_t src, dst, past; uint16_t flight; };

#define POINTS ((SRC_N + 1) * (DST_N + 1) * MSG_ALL * PAST_ALL)

/* fair: happens by itself; fault: only if somebody or something interferes */
enum edge { EDGE_FAIR, EDGE_FAULT };

struct walk {
	const struct mig_tables *t;
	bool     gone_refuses;  /* mutation: a restarted peer claims that it never ran the guest */
	bool     declined_late; /* mutation: a refusal before ACCEPT is heard at any time        */
	bool     seen[POINTS], settles[POINTS];
	unsigned queue[POINTS], nqueue;
	unsigned bad_owners, bad_past, stuck;
	bool     backwards;     /* second pass: does a fair edge lead to a point that settles?  */
	bool     found;
};
static struct walk w;

static unsigned number(struct point p)
{
	return ((p.src * (DST_N + 1) + p.dst) * PAST_ALL + p.past) * MSG_ALL + p.flight;
}

static struct point point_at(unsigned n)
{
	struct point p = { .flight = n % MSG_ALL, .past = n / MSG_ALL % PAST_ALL };

	n /= MSG_ALL * PAST_ALL;
	p.dst = n % (DST_N + 1);
	p.src = n / (DST_N + 1);
	return p;
}

static enum mig_own src_own(struct point p)
{
	return p.src == SRC_GONE ? OWN_NONE : w.t->src_owns[p.src];
}
static enum mig_own dst_own(struct point p)
{
	return p.dst == DST_GONE ? OWN_NONE : w.t->dst_owns[p.dst];
}

static bool settled(struct point p)
{
	return (p.src == SRC_RELEASED && p.dst == DST_RUN) ||
	       (p.src == SRC_ABORTED && dst_own(p) == OWN_NONE);
}

static void visit(struct point p, enum edge edge)
{
	if (w.backwards) {
		w.found |= edge == EDGE_FAIR && w.settles[number(p)];
		return;
	}
	if (!w.seen[number(p)]) {
		w.seen[number(p)] = true;
		w.queue[w.nqueue++] = number(p);
	}
}

/* Entering a state sends what that state sends. */
static void src_event(struct point p, enum mig_src_event ev, enum edge edge)
{
	static const uint16_t sends[SRC_N] = {
		[SRC_HELLO] = MSG_HELLO, [SRC_STUNNED] = MSG_STREAM, [SRC_GRANTED] = MSG_GRANT,
			[SRC_DOUBT] = MSG_QUERY };
	enum mig_src next = w.t->src_next[p.src][ev];

	if (next == SRC_ILLEGAL)
		return;
	p.src = next;
	p.flight |= sends[next];
	if (next == SRC_GRANTED)
		p.past |= PAST_GRANTED;
	if (ev == SRC_EV_CANCEL)
		p.flight |= MSG_CANCEL;
	if (ev == SRC_EV_OURS)          /* the operator took that upon himself */
		p.past &= ~PAST_GRANTED;
	visit(p, edge);
}

static void dst_event(struct point p, enum mig_dst_event ev, enum edge edge)
{
	static const uint16_t sends[DST_N] = {
		[DST_GHOST] = MSG_ACCEPT, [DST_READY] = MSG_READY, [DST_RUN] = MSG_RUNNING,
			[DST_REFUSED] = MSG_REFUSED };
	enum mig_dst was = p.dst, next = w.t->dst_next[p.dst][ev];

	if (next == DST_ILLEGAL)
		return;
	p.dst = next;
	if (ev == DST_EV_QUERY)
		p.flight |= next == DST_RUN ? MSG_RUNNING : MSG_REFUSED;
	else if (next == DST_IDLE && (ev == DST_EV_BAD || ev == DST_EV_CANCEL))
		p.flight |= was == DST_IDLE ? MSG_DECLINED : MSG_REFUSED;
	else if (ev != DST_EV_LOST)     /* nobody hears what is said on a dead link */
		p.flight |= sends[next];
	if (next == DST_RUN)
		p.past |= PAST_RAN;
	if (next == DST_REFUSED)
		p.past |= PAST_REFUSED;
	visit(p, edge);
}

static void src_edges(struct point p)
{
	static const struct { uint16_t msg; uint8_t ev; } heard[] = {
		{ MSG_ACCEPT, SRC_EV_ACCEPTED }, { MSG_READY, SRC_EV_READY },
		{ MSG_RUNNING, SRC_EV_RUNNING }, { MSG_REFUSED, SRC_EV_NOT_RUN } };

	if (p.src == SRC_GONE)
		return;
	for (unsigned i = 0; i < COUNT(heard); i++)
		if (p.flight & heard[i].msg)
			src_event(p, heard[i].ev, EDGE_FAIR);
	/* A source that has read ACCEPT has read what comes first. */
	if ((p.flight & MSG_DECLINED) && (p.src == SRC_HELLO || w.declined_late))
		src_event(p, SRC_EV_NOT_RUN, EDGE_FAIR);
	src_event(p, SRC_EV_START, EDGE_FAIR);
	src_event(p, SRC_EV_CONVERGED, EDGE_FAIR);
	src_event(p, SRC_EV_LOST, EDGE_FAIR);           /* a time-out, if nothing else */
	src_event(p, SRC_EV_CANCEL, EDGE_FAULT);
	if (p.dst == DST_GONE || p.dst == DST_REFUSED)  /* operators tell the truth */
		src_event(p, SRC_EV_OURS, EDGE_FAULT);
	if (p.dst == DST_RUN)
		src_event(p, SRC_EV_THEIRS, EDGE_FAULT);
	p.src = SRC_GONE;
	visit(p, EDGE_FAULT);
}

static void dst_edges(struct point p)
{
	static const struct { uint16_t msg; uint8_t ev; } heard[] = {
		{ MSG_HELLO, DST_EV_HELLO }, { MSG_STREAM, DST_EV_STAGED },
		{ MSG_GRANT, DST_EV_GRANT },
		{ MSG_QUERY, DST_EV_QUERY }, { MSG_CANCEL, DST_EV_CANCEL } };

	if (p.dst == DST_GONE) {
		if (w.gone_refuses && (p.flight & MSG_QUERY)) {
			p.flight |= MSG_REFUSED;
			visit(p, EDGE_FAIR);
		}
		return;
	}
	for (unsigned i = 0; i < COUNT(heard); i++)
		if (p.flight & heard[i].msg)
			dst_event(p, heard[i].ev, EDGE_FAIR);
	dst_event(p, DST_EV_CHECKED, EDGE_FAIR);
	dst_event(p, DST_EV_LOST, EDGE_FAIR);
	/* Before HELLO there is nobody to refuse. */
	if (p.dst != DST_IDLE || (p.flight & MSG_HELLO)) {
		dst_event(p, DST_EV_BAD, EDGE_FAULT);
		dst_event(p, DST_EV_CANCEL, EDGE_FAULT);
	}
	dst_event(p, DST_EV_NEWER, EDGE_FAULT);         /* whoever sent it, at any time */
	p.dst = DST_GONE;
	visit(p, EDGE_FAULT);
}

static void edges(struct point p)
{
	struct point all_lost = p;

	all_lost.flight = 0;
	visit(all_lost, EDGE_FAULT);
	src_edges(p);
	dst_edges(p);
}

static void check_safety(struct point p)
{
	if (dst_own(p) == OWN_RUNS && src_own(p) != OWN_NONE)
		w.bad_owners++;
	if (src_own(p) == OWN_RUNS && (p.past & PAST_GRANTED) && !(p.past & PAST_REFUSED))
		w.bad_past++;           /* took the guest back without the peer's word */
	/*
	 * A source begins anew, with a newer epoch, only after ABORTED: the older one never may run
	 * again, or two epochs would.
	 */
	if (p.src == SRC_ABORTED && dst_own(p) != OWN_NONE)
		w.bad_owners++;
	if (p.src == SRC_RELEASED && !(p.past & PAST_RAN))
		w.bad_past++;           /* gave up the guest although nobody ran it    */
}

/*
 * Points from which, if both live and nobody interferes, the guest can still come to run on one
 * side.
 */
static void check_liveness(void)
{
	bool grew = true;

	for (unsigned i = 0; i < w.nqueue; i++)
		w.settles[w.queue[i]] = settled(point_at(w.queue[i]));
	w.backwards = true;
	while (grew) {
		grew = false;
		for (unsigned i = w.nqueue; i-- > 0;) {
			if (w.settles[w.queue[i]])
				continue;
			w.found = false;
			edges(point_at(w.queue[i]));
			w.settles[w.queue[i]] = w.found;
			grew |= w.found;
		}
	}
	for (unsigned i = 0; i < w.nqueue; i++) {
		struct point p = point_at(w.queue[i]);

		if (p.src != SRC_GONE && p.dst != DST_GONE && !w.settles[w.queue[i]])
			w.stuck++;
	}
}

enum lie { LIE_NONE, LIE_GONE_REFUSES, LIE_DECLINED_LATE };

static unsigned walk(const struct mig_tables *t, enum lie lie)
{
	memset(&w, 0, sizeof(w));
	w.t = t;
	w.gone_refuses = lie == LIE_GONE_REFUSES;
	w.declined_late = lie == LIE_DECLINED_LATE;
	visit((struct point){ .src = SRC_IDLE, .dst = DST_IDLE }, EDGE_FAIR);
	for (unsigned i = 0; i < w.nqueue; i++) {
		check_safety(point_at(w.queue[i]));
		edges(point_at(w.queue[i]));
	}
	check_liveness();
	return w.bad_owners + w.bad_past + w.stuck;
}

static void product_has_one_owner_and_loses_no_guest(void **state)
{
	(void)state;
	unsigned bad = walk(&mig_tables, LIE_NONE);

	printf("  %u points of the product reached\n", w.nqueue);
	assert_int_equal(w.bad_owners, 0);
	assert_int_equal(w.bad_past, 0);
	assert_int_equal(w.stuck, 0);
	assert_int_equal(bad, 0);
	assert_true(w.nqueue > 500);
}

struct mutation { const char *rule; char side; uint8_t state, event, next; };

static const struct mutation mutations[] = {
	{ "source goes on after GRANT when the link breaks", 's', SRC_GRANTED, SRC_EV_LOST,
	  SRC_ABORTED },
	{ "source goes on when a QUERY times out",           's', SRC_DOUBT, SRC_EV_LOST,
	  SRC_ABORTED },
	{ "source gives up when a QUERY times out",          's', SRC_DOUBT, SRC_EV_LOST,
	  SRC_RELEASED },
	{ "cancel works after GRANT",                        's', SRC_GRANTED, SRC_EV_CANCEL,
	  SRC_ABORTED },
	{ "cancel works in doubt",                           's', SRC_DOUBT, SRC_EV_CANCEL,
	  SRC_ABORTED },
	{ "source frees the guest when it sends GRANT",      's', SRC_GRANTED, SRC_EV_LOST,
	  SRC_RELEASED },
	{ "source frees the guest on READY",                 's', SRC_STUNNED, SRC_EV_READY,
	  SRC_RELEASED },
	{ "source in doubt ignores REFUSED",                 's', SRC_DOUBT, SRC_EV_NOT_RUN,
	  SRC_ILLEGAL },
	{ "source in doubt ignores RUNNING",                 's', SRC_DOUBT, SRC_EV_RUNNING,
	  SRC_ILLEGAL },
	{ "source waits for ever for ACCEPT",                's', SRC_STUNNED, SRC_EV_LOST,
	  SRC_ILLEGAL },
	{ "destination runs without GRANT when cut off",     'd', DST_READY, DST_EV_LOST, DST_RUN },
	{ "destination runs once it is checked",             'd', DST_LOADED, DST_EV_CHECKED,
	  DST_RUN },
	{ "REFUSED is not final: GRANT",                     'd', DST_REFUSED, DST_EV_GRANT,
	  DST_RUN },
	{ "REFUSED is not final: HELLO",                     'd', DST_REFUSED, DST_EV_HELLO,
	  DST_GHOST },
	{ "QUERY is answered without refusing for good",     'd', DST_READY, DST_EV_QUERY,
	  DST_READY },
	{ "a destination that runs can be made to refuse",   'd', DST_RUN, DST_EV_QUERY,
	  DST_REFUSED },
	{ "a destination that runs can be cancelled",        'd', DST_RUN, DST_EV_CANCEL,
	  DST_REFUSED },
	{ "the refusal that answers a QUERY is not kept",    'd', DST_READY, DST_EV_QUERY,
	  DST_IDLE },
	{ "the refusal of an accepted epoch is not kept",    'd', DST_GHOST, DST_EV_BAD, DST_IDLE },
	{ "a newer epoch takes the place of a running guest", 'd', DST_RUN, DST_EV_NEWER,
	  DST_REFUSED },
	{ "a newer epoch takes GRANT along",                 'd', DST_READY, DST_EV_NEWER,
	  DST_RUN },
	{ "a ghost that made room is not remembered",        'd', DST_READY, DST_EV_NEWER,
	  DST_IDLE },
};

static void walk_finds_every_broken_rule(void **state)
{
	static struct mig_tables broken;

	(void)state;
	for (unsigned i = 0; i < COUNT(mutations); i++) {
		const struct mutation *m = &mutations[i];

		broken = mig_tables;
		if (m->side == 's')
			broken.src_next[m->state][m->event] = m->next;
		else
			broken.dst_next[m->state][m->event] = m->next;
		if (walk(&broken, LIE_NONE) == 0)
			fail_msg("not noticed: %s", m->rule);
	}
	if (walk(&mig_tables, LIE_GONE_REFUSES) == 0)
		fail_msg("not noticed: a peer that restarted says that it never ran the guest");
	if (walk(&mig_tables, LIE_DECLINED_LATE) == 0)
		fail_msg("not noticed: a refusal before ACCEPT counts later");
}

static void ownership_is_never_given_and_kept(void **state)
{
	(void)state;
	/* Stopping and going on: only STUNNED holds. */
	for (unsigned s = SRC_IDLE; s < SRC_N; s++)
		assert_int_equal(mig_tables.src_owns[s] == OWN_HELD, s == SRC_STUNNED);
	for (unsigned s = DST_IDLE; s < DST_N; s++)
		assert_int_equal(mig_tables.dst_owns[s] == OWN_RUNS, s == DST_RUN);
	/* Ends have no way out. */
	for (unsigned ev = 0; ev < SRC_EV_N; ev++) {
		assert_int_equal(mig_tables.src_next[SRC_RELEASED][ev], SRC_ILLEGAL);
		assert_int_equal(mig_tables.src_next[SRC_ABORTED][ev], SRC_ILLEGAL);
	}
	for (unsigned ev = 0; ev < DST_EV_N; ev++) {
		assert_true(mig_tables.dst_next[DST_REFUSED][ev] == DST_REFUSED ||
		            !mig_tables.dst_next[DST_REFUSED][ev]);
		assert_true(mig_tables.dst_next[DST_RUN][ev] == DST_RUN ||
		            !mig_tables.dst_next[DST_RUN][ev]);
	}
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(mig_src_name(SRC_DOUBT), "DOUBT");
	assert_string_equal(mig_dst_name(DST_GHOST), "GHOST");
	assert_string_equal(mig_dst_name(DST_N), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(product_has_one_owner_and_loses_no_guest),
		cmocka_unit_test(walk_finds_every_broken_rule),
		cmocka_unit_test(ownership_is_never_given_and_kept),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
