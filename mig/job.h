/* SPDX-License-Identifier: MIT */
/*
 * mig/job.h - one migration while it lasts, as the files of mig/ share it among themselves.
 *
 * Only the files of mig/ that drive migrations include this; everybody else uses mig/mig.h.
 */
#ifndef MIG_JOB_H
#define MIG_JOB_H

#include "lib/task.h"
#include "mig/compat.h"
#include "mig/hello.h"
#include "mig/link.h"
#include "mig/mig.h"
#include "mig/ramhash.h"
#include "mig/state.h"
#include "mig/stream.h"

/* Long work on pages lets others run after so many. */
#define PAGES_PER_STEP (TASK_STEP_BYTES / PAGE_SIZE)

/* What the operator said about a migration in doubt. */
enum mig_word { WORD_NONE, WORD_OURS, WORD_THEIRS };

/* All fields: any task of this host (no task is preempted). */
struct mig {
	struct mig_status st;           /* what the outside sees                               */
	struct mig_params params;       /* outgoing only                                       */
	struct vm        *vm;           /* the guest or its ghost; NULL when it is not ours    */
	struct stream     stream;
	enum mig_src      src;          /* outgoing */
	enum mig_dst      dst;          /* incoming */
	bool              used;         /* the slot holds a migration, running or ended        */
	bool              cancel;       /* asked to stop; looked at wherever we wait           */
	enum mig_word     word;
	struct event      wake;         /* cancel or word was set                              */

	/* Memory that is only held while the migration runs. */
	hpa_t             work;         /* first of `work_frames` frames                       */
	unsigned          work_frames;
	uint8_t          *work_next, *work_end;
	struct hello     *hello;
	uint64_t         *todo;         /* outgoing: pages to send                             */
	uint64_t         *seen;         /* incoming: pages that arrived at least once          */
	struct wire_zeroes *zeroes;     /* runs of zero pages, being collected or received     */
	uint8_t          *sections;     /* outgoing: saved devices, one after the other        */
	size_t            sections_size;
	struct section_ref *ref;        /* of every section, `nref`                            */
	unsigned          nref;
	void            **copy;         /* incoming: the staged copy of each; NULL: not arrived */

	uint64_t          peer_boot_id; /* outgoing: from ACCEPT, for QUERY                    */
	uint64_t          peer_run_ns;  /* outgoing: from RUNNING: its GRANT to a runnable guest */
	uint64_t          acked;        /* bytes the destination acted on: its last ACK        */
	struct link       link;         /* outgoing: bandwidth and round trip, as measured     */
	uint64_t          since_ns, since_acked;        /* outgoing: when its sample began     */
	uint64_t          throttled_ns; /* outgoing: when the throttle was last moved          */
	unsigned          stuck;        /* outgoing: rounds in a row that did not shrink       */
	bool              tracking;     /* outgoing: dirty pages are being tracked             */
	bool              stopped;      /* outgoing: the guest is stunned                      */
	bool              refused;      /* outgoing: the peer said REFUSED                     */
	uint64_t          stop_ns;      /* when that was                                       */
	uint64_t          stop_end_ns;  /* outgoing: READY must be here, or the guest goes on  */
	uint64_t          mark_ns;      /* end of the last part of the downtime                */
};

/* What this host remembers of a guest and epoch, also after the migration's slot is reused. */
enum mig_verdict {
	VERDICT_SENT,           /* an attempt of our own to send it away     */
	VERDICT_OPEN,           /* coming in, not decided                    */
	VERDICT_RUN,            /* GRANT came: it ran here                   */
	VERDICT_REFUSED,        /* it will never run here in this epoch      */
};
struct mig_memory { struct wire_id id; enum mig_verdict verdict; uint64_t order; };

/* What a connection needs before we know what it wants, and as long as it is served. */
struct visitor {
	bool           used;
	struct stream  stream;
	struct hello   hello;
	struct reasons reasons;
	uint8_t        out[STREAM_BUF_LEN], in[STREAM_BUF_LEN];
};

/* Everything of mig/ that one host has; tests have two. */
struct mig_node {
	struct mig        slot[MIGRATIONS_MAX];
	uint32_t          last_id;
	struct mig_memory memory[MIG_VERDICTS_MAX];
	uint64_t          order;        /* counts up; 0 in an entry: free                */
	uint64_t          boot_id;      /* another one after a restart                   */
	struct visitor    visitor[MIG_SERVED_MAX];
	uint64_t          fixed_ns[3];  /* downtime beside the transfer, of the last migrations */
};
extern struct mig_node *mig_node;

/* --- mig.c ------------------------------------------------------------------------------------ */

/* A fresh slot with a number; the oldest ended one makes room.  ERR_NO_MEMORY: all are running. */
enum err mig_slot(struct mig **out, bool outgoing);

/* Apply an event: false when the table forbids it (then nothing changes). */
bool     mig_src_event(struct mig *m, enum mig_src_event ev);
bool     mig_dst_event(struct mig *m, enum mig_dst_event ev);

/* Keep the latest reason (err_reason()) as the result, unless there is one already; returns `e`. */
enum err mig_note(struct mig *m, enum err e);

/* It has ended: give back memory and connection.  result NULL: keep the noted one. */
void     mig_end(struct mig *m, bool ok, const char *result);

/* Working memory: `len` bytes in all, then piecewise, zeroed. */
enum err mig_work_get(struct mig *m, size_t len);
void    *mig_work_take(struct mig *m, size_t len);
void     mig_work_put(struct mig *m);

/* Fill m->ref and m->nref with the sections of m->vm. */
enum err mig_list_sections(struct mig *m);

/* The incoming migration, not ended, of this guest and epoch, or of any epoch; or NULL. */
struct mig *mig_find_incoming(const struct wire_id *id);
struct mig *mig_find_guest(const uint8_t uuid[16]);
unsigned    mig_count_incoming(void);           /* that have not ended */

/* The fingerprint of the guest's RAM, letting others run now and then: into m->st.ram_hash. */
void     mig_hash_ram(struct mig *m);

/* --- memory.c --------------------------------------------------------------------------------- */

/* The highest in which the guest was or comes here; the one for our next attempt, 0: none left. */
uint64_t           mig_highest_epoch(const uint8_t uuid[16]);
uint64_t           mig_next_epoch(const uint8_t uuid[16]);
struct mig_memory *mig_recall(const struct wire_id *id);        /* NULL: not remembered */
void               mig_remember(const struct wire_id *id, enum mig_verdict verdict);

/* --- the two sides ---------------------------------------------------------------------------- */

void     source_run(void *m);                           /* a task */
/* Takes ACKs; refuses when cancelled, out of time, refused, or when the guest is gone. */
enum err source_check(struct mig *m);
void     source_part(struct mig *m, enum mig_part part);/* the part that ends now */
/* By when the peer must have taken what is sent now; no later than the end of a stop. */
uint64_t source_send_end_ns(const struct mig *m);

/* A HELLO came: everything from here to the connection's end. */
void     dest_serve(struct visitor *v, struct wire_in *hello);
/* Somebody else decided that its guest never will run here: end it, and soon. */
void     dest_dismiss(struct mig *m, const char *why);
/* Not the record that belongs here. */
enum err dest_unexpected(const struct wire_record *rec);
/* Say why (err_reason()), as REFUSED or UNKNOWN, and hang up. */
void     visit_turn_away(struct visitor *v, enum wire_type answer);

enum err precopy_run(struct mig *m);            /* OK: it is time to stop the guest          */
enum err precopy_send(struct mig *m);           /* every page of m->todo; one round          */
void     precopy_harvest(struct mig *m);        /* what changed since the last, into m->todo */
void     precopy_learn(struct mig *m);          /* what it cost beside the transfer          */

#endif
