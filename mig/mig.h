/* SPDX-License-Identifier: MIT */
/*
 * mig/mig.h - migrations as the rest of the program sees them: start, watch, cancel.
 *
 * The sending side runs as a task (mig/source.c); a receiving side runs as a task for each
 * connection (mig/dest.c).  Both keep their record here until it is pushed out by newer ones.
 */
#ifndef MIG_MIG_H
#define MIG_MIG_H

#include "lib/config.h"
#include "lib/err.h"
#include "net/chan.h"
#include "vmm/vm.h"

#define MIG_ROUNDS_MAX 64
#define MIG_DOWNTIME_DEFAULT_NS (300 * NS_PER_MS)

struct mig_params {
	char     to[64];                /* peer's migration address            */
	uint64_t downtime_max_ns;       /* target: stop when predicted below   */
	uint64_t timeout_ns;            /* give up (cancel) after; 0: never    */
	bool     throttle;              /* slow down a guest that writes faster than the link */
	bool     verify;                /* both sides hash RAM at the stop     */
};

struct mig_round { uint64_t pages, zero_pages, bytes, ns; };

/* Parts of the downtime, in order; ns each, in the node's own time. */
#define MIG_PARTS(P) P(stun) P(state) P(harvest) P(pages) P(verify) P(grant) P(run)
enum mig_part {
#define P(name) MIG_PART_##name,
	MIG_PARTS(P)
#undef P
	MIG_NPARTS
};

struct mig_status {
	uint32_t  id;
	char      vm[VM_NAME_MAX], peer[64];
	uint64_t  epoch;                /* which attempt of this guest, over all hosts */
	bool      outgoing, ended, ok;
	const char *state;              /* name of the state in mig/state.c     */
	char      result[REASON_MAX];   /* "ok", or why not, in a sentence      */
	unsigned  nrounds;              /* the last one may be still running    */
	struct mig_round round[MIG_ROUNDS_MAX];
	uint64_t  pages_left, rate_bytes_s, predicted_downtime_ns;
	uint64_t  bytes_sent, pages_sent, zero_pages_sent, payload_bytes;
	uint64_t  state_bytes;          /* devices and vCPUs, as they go over the wire */
	uint64_t  round_trip_ns;        /* a short record and its ACK, on an empty link */
	unsigned  throttle, throttle_max;       /* permille of its time: now, at most  */
	uint64_t  harvest_ticks, harvest_pages;         /* host TSC ticks of all harvests    */
	uint64_t  started_ns, ended_ns, downtime_ns, part_ns[MIG_NPARTS];
	uint8_t   ram_hash[32];         /* of this side, with verify            */
	bool      ram_hash_valid;
};

/* What migrations need from the rest of the program; set once at boot, by tests otherwise. */
struct mig_hooks {
	enum err (*connect)(const char *where, uint64_t deadline_ns, struct chan **out);
	void     (*announce)(struct vm *vm);    /* the guest runs here now: RARP burst */
};
extern struct mig_hooks mig_hooks;

/* An empty table of migrations; once, before everything else here. */
void mig_init(void);

/* Checks, then starts the task; refuses with a sentence (no such state, already migrating, ...). */
enum err mig_start(struct vm *vm, const struct mig_params *p, uint32_t *id);

/* Serves one incoming connection, in a task of its own; closes the channel. */
void mig_serve(void *chan);

enum err mig_status(uint32_t id, struct mig_status *out);       /* ERR_NOT_FOUND */
unsigned mig_list(uint32_t *ids, unsigned max);                 /* newest first; how many */
enum err mig_cancel(uint32_t id);                               /* ERR_BUSY after GRANT */

/*
 * An outgoing migration in doubt (peer silent after GRANT): the operator vouches that the peer does
 * not run the guest (`ours`), or that it does.
 */
enum err mig_resolve(uint32_t id, bool ours);

#endif
