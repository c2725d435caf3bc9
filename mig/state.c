/* SPDX-License-Identifier: MIT */
/*
 * mig/state.c - the rules by which a guest never runs twice and is never lost, as four tables.
 *
 * The rules behind them:
 *   1. The source goes on with the guest only if GRANT never left, or if it holds the destination's
 *      REFUSED for this epoch.  REFUSED is remembered and final, except before ACCEPT: there it is
 *      the first and last record on the connection that brought HELLO, and ends the attempt.
 *   2. The destination runs the guest only with GRANT.
 *   3. A lost acknowledgement is settled by QUERY, which may be asked again and on any connection.
 *      A destination without GRANT refuses for good before it answers.
 *   4. A peer that stays silent after GRANT leaves the source in DOUBT: stopped, until the peer
 *      answers or the operator decides.  No timeout ever decides.
 * Used by mig/source.c and mig/dest.c; tests/host/test_state.c walks the product of both sides.
 */
#include "mig/state.h"

const struct mig_tables mig_tables = {
	.src_next = {
		[SRC_IDLE]    = { [SRC_EV_START]     = SRC_HELLO },
		[SRC_HELLO]   = { [SRC_EV_ACCEPTED]  = SRC_PRECOPY,
		                  [SRC_EV_NOT_RUN]   = SRC_ABORTED,
		                  [SRC_EV_LOST]      = SRC_ABORTED,
		                  [SRC_EV_CANCEL]    = SRC_ABORTED },
		[SRC_PRECOPY] = { [SRC_EV_CONVERGED] = SRC_STUNNED,
		                  [SRC_EV_NOT_RUN]   = SRC_ABORTED,
		                  [SRC_EV_LOST]      = SRC_ABORTED,
		                  [SRC_EV_CANCEL]    = SRC_ABORTED },
		[SRC_STUNNED] = { [SRC_EV_READY]     = SRC_GRANTED,
		                  [SRC_EV_NOT_RUN]   = SRC_ABORTED,
		                  [SRC_EV_LOST]      = SRC_ABORTED,
		                  [SRC_EV_CANCEL]    = SRC_ABORTED },
		[SRC_GRANTED] = { [SRC_EV_RUNNING]   = SRC_RELEASED,
		                  [SRC_EV_NOT_RUN]   = SRC_ABORTED,
		                  [SRC_EV_LOST]      = SRC_DOUBT },
		[SRC_DOUBT]   = { [SRC_EV_RUNNING]   = SRC_RELEASED,
		                  [SRC_EV_NOT_RUN]   = SRC_ABORTED,
		                  [SRC_EV_LOST]      = SRC_DOUBT,
		                  [SRC_EV_THEIRS]    = SRC_RELEASED,
		                  [SRC_EV_OURS]      = SRC_ABORTED },
	},
	.src_owns = {
		[SRC_IDLE]    = OWN_RUNS, [SRC_HELLO] = OWN_RUNS, [SRC_PRECOPY]  = OWN_RUNS,
		[SRC_STUNNED] = OWN_HELD,
		[SRC_GRANTED] = OWN_NONE, [SRC_DOUBT] = OWN_NONE, [SRC_RELEASED] = OWN_NONE,
		[SRC_ABORTED] = OWN_RUNS,
	},
	.dst_next = {
		/* A refusal before ACCEPT: the source hears it first of all, or nothing. */
		[DST_IDLE]    = { [DST_EV_HELLO]   = DST_GHOST,
		                  [DST_EV_BAD]     = DST_IDLE,    [DST_EV_LOST]   = DST_IDLE,
		                  [DST_EV_CANCEL]  = DST_IDLE,    [DST_EV_NEWER]  = DST_IDLE },
		[DST_GHOST]   = { [DST_EV_STAGED]  = DST_LOADED,
		                  [DST_EV_BAD]     = DST_REFUSED, [DST_EV_QUERY]  = DST_REFUSED,
		                  [DST_EV_LOST]    = DST_REFUSED, [DST_EV_CANCEL] = DST_REFUSED,
		                  [DST_EV_NEWER]   = DST_REFUSED },
		[DST_LOADED]  = { [DST_EV_CHECKED] = DST_READY,
		                  [DST_EV_BAD]     = DST_REFUSED, [DST_EV_QUERY]  = DST_REFUSED,
		                  [DST_EV_LOST]    = DST_REFUSED, [DST_EV_CANCEL] = DST_REFUSED,
		                  [DST_EV_NEWER]   = DST_REFUSED },
		[DST_READY]   = { [DST_EV_GRANT]   = DST_RUN,
		                  [DST_EV_BAD]     = DST_REFUSED, [DST_EV_QUERY]  = DST_REFUSED,
		                  [DST_EV_LOST]    = DST_REFUSED, [DST_EV_CANCEL] = DST_REFUSED,
		                  [DST_EV_NEWER]   = DST_REFUSED },
		[DST_RUN]     = { [DST_EV_QUERY]   = DST_RUN,     [DST_EV_GRANT]  = DST_RUN,
		                  [DST_EV_LOST]    = DST_RUN },
		[DST_REFUSED] = { [DST_EV_QUERY]   = DST_REFUSED, [DST_EV_GRANT]  = DST_REFUSED,
		                  [DST_EV_HELLO]   = DST_REFUSED, [DST_EV_LOST]   = DST_REFUSED,
		                  [DST_EV_BAD]     = DST_REFUSED, [DST_EV_CANCEL] = DST_REFUSED,
		                  [DST_EV_NEWER]   = DST_REFUSED },
	},
	.dst_owns = {
		[DST_IDLE]  = OWN_NONE, [DST_GHOST] = OWN_NONE, [DST_LOADED]  = OWN_NONE,
		[DST_READY] = OWN_NONE, [DST_RUN]   = OWN_RUNS, [DST_REFUSED] = OWN_NONE,
	},
};

const char *mig_src_name(enum mig_src s)
{
	static const char *const names[SRC_N] = {
#define S(name, text) #name,
		MIG_SRC_STATES(S)
#undef S
	};

	return s < SRC_N ? names[s] : "?";
}

const char *mig_dst_name(enum mig_dst s)
{
	static const char *const names[DST_N] = {
#define S(name, text) #name,
		MIG_DST_STATES(S)
#undef S
	};

	return s < DST_N ? names[s] : "?";
}
