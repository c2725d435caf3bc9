/* SPDX-License-Identifier: MIT */
/*
 * mig/state.h - the two state machines of a migration, and who may run the guest in each state.
 *
 * A machine is a table: next state by state and event.  What is not listed is forbidden and gives
 * state 0, ILLEGAL.  A second table says what each state allows with the guest.  Both are data, so
 * that tests/host/test_state.c can walk the product of the two sides, and docs/migration.md can be
 * generated from them (tools/gendoc.c).
 */
#ifndef MIG_STATE_H
#define MIG_STATE_H

#include "lib/types.h"

/* The sending side: name, what it means. */
#define MIG_SRC_STATES(S)                                                          \
	S(ILLEGAL,  "not a state: the event is forbidden here")                    \
	S(IDLE,     "not begun")                                                   \
	S(HELLO,    "asked the peer whether it can take the guest")                \
	S(PRECOPY,  "sending RAM while the guest runs")                            \
	S(STUNNED,  "the guest stands still; the rest is on its way")              \
	S(GRANTED,  "GRANT may have left: the guest is no longer ours to run")     \
	S(DOUBT,    "the link was lost after GRANT; asking the peer by QUERY")     \
	S(RELEASED, "the peer runs the guest; our copy is gone")                   \
	S(ABORTED,  "the guest runs here as if nothing had happened")

enum mig_src {
#define S(name, text) SRC_##name,
	MIG_SRC_STATES(S)
#undef S
	SRC_N
};

#define MIG_SRC_EVENTS(E)                                                          \
	E(START,     "somebody asked for the migration")                           \
	E(ACCEPTED,  "ACCEPT arrived: the peer has a ghost ready")                 \
	E(CONVERGED, "the predicted downtime is under the target")                 \
	E(READY,     "READY arrived: the peer has staged and checked everything")  \
	E(RUNNING,   "RUNNING arrived: the peer runs the guest")                   \
	E(NOT_RUN,   "REFUSED arrived: the peer never will run it in this epoch")  \
	E(LOST,      "the link broke, was silent for too long or spoke nonsense")  \
	E(CANCEL,    "cancelled, out of time, not converging, or the guest ended") \
	E(OURS,      "the operator vouches that the peer does not run the guest")  \
	E(THEIRS,    "the operator vouches that the peer runs the guest")

enum mig_src_event {
#define E(name, text) SRC_EV_##name,
	MIG_SRC_EVENTS(E)
#undef E
	SRC_EV_N
};

/* The receiving side. */
#define MIG_DST_STATES(S)                                                          \
	S(ILLEGAL, "not a state: the event is forbidden here")                     \
	S(IDLE,    "nothing remembered of this guest and epoch")                        \
	S(GHOST,   "memory and devices are there; pages arrive")                   \
	S(LOADED,  "everything arrived and is being checked")                      \
	S(READY,   "everything is checked; READY may have left")                   \
	S(RUN,     "GRANT arrived: the guest is ours")                             \
	S(REFUSED, "never in this epoch: remembered and final; the ghost is deleted")

enum mig_dst {
#define S(name, text) DST_##name,
	MIG_DST_STATES(S)
#undef S
	DST_N
};

#define MIG_DST_EVENTS(E)                                                          \
	E(HELLO,   "HELLO arrived and nothing speaks against it")                  \
	E(STAGED,  "END arrived: every section and page it counts is here")        \
	E(CHECKED, "every check passed, the RAM hash too if asked for")            \
	E(GRANT,   "GRANT arrived")                                                \
	E(QUERY,   "QUERY arrived, on any connection")                             \
	E(BAD,     "something is wrong with what arrived, or cannot be had here")  \
	E(LOST,    "the link broke or was silent for too long")                    \
	E(CANCEL,  "cancelled, on either side")                                    \
	E(NEWER,   "the same source came with a newer epoch of this guest")

enum mig_dst_event {
#define E(name, text) DST_EV_##name,
	MIG_DST_EVENTS(E)
#undef E
	DST_EV_N
};

/* What a state allows with the guest. */
enum mig_own {
	OWN_NONE,       /* must not run here, and nothing that happens here alone changes that */
	OWN_HELD,       /* stands still, and may go on here                                    */
	OWN_RUNS,       /* runs here                                                           */
};

/* The four tables in one place; a test hands broken copies of it to its walk. */
struct mig_tables {
	uint8_t src_next[SRC_N][SRC_EV_N];
	uint8_t dst_next[DST_N][DST_EV_N];
	uint8_t src_owns[SRC_N];
	uint8_t dst_owns[DST_N];
};
extern const struct mig_tables mig_tables;

/* What QUERY (or a GRANT that comes again) is answered with; only these two states may answer. */
static inline bool mig_dst_is_final(enum mig_dst s) { return s == DST_RUN || s == DST_REFUSED; }
static inline bool mig_src_is_final(enum mig_src s)
{
	return s == SRC_RELEASED || s == SRC_ABORTED;
}

const char *mig_src_name(enum mig_src s);
const char *mig_dst_name(enum mig_dst s);

#endif
