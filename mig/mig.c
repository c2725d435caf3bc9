/* SPDX-License-Identifier: MIT */
/*
 * mig/mig.c - the list of migrations: starting them, watching them, and the operator's word.
 *
 * The two sides themselves are tasks: mig/source.c for a guest that leaves, mig/visit.c and
 * mig/dest.c for one that arrives.  This file starts them, answers questions about them, and
 * carries a cancel or the operator's word to them.  Read next: mig/state.c, mig/memory.c.
 */
#include "mig/job.h"

#include <string.h>

#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/random.h"
#include "lib/time.h"

struct mig_hooks mig_hooks;

static struct mig_node this_node;
struct mig_node *mig_node = &this_node;

void mig_init(void)
{
	memset(mig_node, 0, sizeof(*mig_node));
	random_bytes(&mig_node->boot_id, sizeof(mig_node->boot_id));
}

/* --- Slots ----------------------------------------------------------------------------------- */

static struct mig *free_slot(void)
{
	struct mig *oldest = NULL;

	for (struct mig *m = mig_node->slot; m < mig_node->slot + MIGRATIONS_MAX; m++) {
		if (!m->used)
			return m;
		if (m->st.ended && (!oldest || m->st.id < oldest->st.id))
			oldest = m;
	}
	return oldest;
}

enum err mig_slot(struct mig **out, bool outgoing)
{
	struct mig *m = free_slot();

	if (!m)
		return refuse(ERR_NO_MEMORY, "%d migrations are running here already",
			      MIGRATIONS_MAX);
	memset(m, 0, sizeof(*m));
	m->used = true;
	m->src = SRC_IDLE;
	m->dst = DST_IDLE;
	m->st.id = ++mig_node->last_id;
	m->st.outgoing = outgoing;
	m->st.state = outgoing ? mig_src_name(m->src) : mig_dst_name(m->dst);
	m->st.started_ns = time_now_ns();
	*out = m;
	return OK;
}

static struct mig *find(uint32_t id)
{
	for (struct mig *m = mig_node->slot; m < mig_node->slot + MIGRATIONS_MAX; m++)
		if (m->used && m->st.id == id)
			return m;
	return NULL;
}

struct mig *mig_find_incoming(const struct wire_id *id)
{
	for (struct mig *m = mig_node->slot; m < mig_node->slot + MIGRATIONS_MAX; m++)
		if (m->used && !m->st.outgoing && !m->st.ended &&
		    memcmp(&m->stream.id, id, sizeof(*id)) == 0)
			return m;
	return NULL;
}

struct mig *mig_find_guest(const uint8_t uuid[16])
{
	for (struct mig *m = mig_node->slot; m < mig_node->slot + MIGRATIONS_MAX; m++)
		if (m->used && !m->st.outgoing && !m->st.ended &&
		    memcmp(m->stream.id.uuid, uuid, sizeof(m->stream.id.uuid)) == 0)
			return m;
	return NULL;
}

unsigned mig_count_incoming(void)
{
	unsigned n = 0;

	for (struct mig *m = mig_node->slot; m < mig_node->slot + MIGRATIONS_MAX; m++)
		n += m->used && !m->st.outgoing && !m->st.ended;
	return n;
}

static void trace_state(struct mig *m, unsigned from, unsigned to)
{
	if (m->vm)
		trace_add(&m->vm->trace, TRACE_MIG_STATE, 0, from, to);
}

bool mig_src_event(struct mig *m, enum mig_src_event ev)
{
	enum mig_src next = mig_tables.src_next[m->src][ev];

	if (next == SRC_ILLEGAL)
		return false;
	trace_state(m, m->src, next);
	m->src = next;
	m->st.state = mig_src_name(next);
	return true;
}

bool mig_dst_event(struct mig *m, enum mig_dst_event ev)
{
	enum mig_dst next = mig_tables.dst_next[m->dst][ev];

	if (next == DST_ILLEGAL)
		return false;
	trace_state(m, m->dst, next);
	m->dst = next;
	m->st.state = mig_dst_name(next);
	return true;
}

enum err mig_note(struct mig *m, enum err e)
{
	if (e != OK && !m->st.result[0])
		fmt_format(m->st.result, sizeof(m->st.result), "%s", err_reason());
	return e;
}

void mig_end(struct mig *m, bool ok, const char *result)
{
	stream_close(&m->stream);
	mig_work_put(m);
	if (result)
		fmt_format(m->st.result, sizeof(m->st.result), "%s", result);
	m->vm = NULL;
	m->st.pages_left = 0;
	m->st.ok = ok;
	m->st.ended_ns = time_now_ns();
	m->st.ended = true;
	log_line("migration %u of %s %s %s: %s", m->st.id, m->st.vm, m->st.outgoing ? "to" : "from",
		 m->st.peer, m->st.result);
}

/* --- Working memory -------------------------------------------------------------------------- */

#define WORK_ALIGN 64

enum err mig_work_get(struct mig *m, size_t len)
{
	unsigned n = (unsigned)((len + FRAME_SIZE - 1) / FRAME_SIZE);
	enum err e = frames_alloc_run(n, &m->work);

	if (e != OK)
		return e;
	m->work_frames = n;
	m->work_next = hpa_ptr(m->work);
	m->work_end = m->work_next + n * FRAME_SIZE;
	return OK;
}

void *mig_work_take(struct mig *m, size_t len)
{
	void *piece = m->work_next;

	len = ALIGN_UP(len, WORK_ALIGN);
	ASSERT(len <= (size_t)(m->work_end - m->work_next));
	m->work_next += len;
	return memset(piece, 0, len);
}

void mig_work_put(struct mig *m)
{
	if (m->work_frames)
		frames_free_run(m->work, m->work_frames);
	m->work_frames = 0;
	m->work_next = m->work_end = NULL;
	m->hello = NULL;
	m->todo = m->seen = NULL;
	m->zeroes = NULL;
	m->sections = NULL;
	m->ref = NULL;
	m->copy = NULL;
	m->nref = 0;
}

enum err mig_list_sections(struct mig *m)
{
	m->nref = 0;
	while (m->nref < WIRE_SECTIONS_MAX && vm_section(m->vm, m->nref, &m->ref[m->nref])) {
		if (SECTION_HEAD_LEN + section_len(m->ref[m->nref].section) > WIRE_SECTION_MAX)
			return fail(ERR_NOT_SUPPORTED, "section %s is larger than a record",
				    m->ref[m->nref].section->name);
		m->nref++;
	}
	struct section_ref more;
	if (vm_section(m->vm, m->nref, &more))
		return fail(ERR_NOT_SUPPORTED, "VM %s has more than %d sections",
			    m->vm->config.name, WIRE_SECTIONS_MAX);
	return OK;
}

void mig_hash_ram(struct mig *m)
{
	struct ramhash h;

	ramhash_begin(&h);
	for (uint64_t i = 0; i < m->vm->mem.ram_pages; i++) {
		ramhash_page(&h, i, mem_page(&m->vm->mem, i));
		if (i % PAGES_PER_STEP == PAGES_PER_STEP - 1)
			task_breathe();
	}
	ramhash_end(&h, m->st.ram_hash);
	m->st.ram_hash_valid = true;
}

/* --- Requests -------------------------------------------------------------------------------- */

enum err mig_start(struct vm *vm, const struct mig_params *p, uint32_t *id)
{
	struct mig *m;

	if (vm->owner)
		return refuse(ERR_BUSY, "VM %s is in a migration already", vm->config.name);
	if (vm->run != VM_RUNNING)
		return refuse(ERR_BUSY, "VM %s is %s; only a running VM can be migrated",
			      vm->config.name, vm_run_name(vm->run));
	if (!p->to[0])
		return refuse(ERR_BAD_ARGUMENT, "\"to\" names no host");
	/* Epochs of others come from the network: nobody can make us begin again at 0. */
	uint64_t epoch = mig_next_epoch(vm->config.uuid);
	if (!epoch)
		return refuse(ERR_REFUSED, "VM %s: a host has used up its epochs", vm->config.name);
	enum err e = mig_slot(&m, true);
	if (e != OK)
		return e;
	m->params = *p;
	if (!m->params.downtime_max_ns)
		m->params.downtime_max_ns = MIG_DOWNTIME_DEFAULT_NS;
	m->vm = vm;
	fmt_format(m->st.vm, sizeof(m->st.vm), "%s", vm->config.name);
	fmt_format(m->st.peer, sizeof(m->st.peer), "%s", p->to);
	memcpy(m->stream.id.uuid, vm->config.uuid, sizeof(vm->config.uuid));
	m->stream.id.epoch = m->st.epoch = epoch;
	e = task_create("migration out", source_run, m);
	if (e != OK) {
		m->used = false;
		return e;
	}
	mig_remember(&m->stream.id, VERDICT_SENT);
	vm->owner = m;
	*id = m->st.id;
	return OK;
}

enum err mig_status(uint32_t id, struct mig_status *out)
{
	struct mig *m = find(id);

	if (!m)
		return refuse(ERR_NOT_FOUND, "there is no migration %u here, or it was long ago",
			      id);
	*out = m->st;
	return OK;
}

unsigned mig_list(uint32_t *ids, unsigned max)
{
	uint32_t below = UINT32_MAX;
	unsigned n = 0;

	while (n < max) {
		uint32_t best = 0;

		for (struct mig *m = mig_node->slot; m < mig_node->slot + MIGRATIONS_MAX; m++)
			if (m->used && m->st.id < below && m->st.id > best)
				best = m->st.id;
		if (!best)
			break;
		ids[n++] = below = best;
	}
	return n;
}

/* May it still end as if it had never begun? */
static bool can_cancel(const struct mig *m)
{
	if (m->st.outgoing)
		return mig_tables.src_next[m->src][SRC_EV_CANCEL] != SRC_ILLEGAL ||
		       m->src == SRC_IDLE;
	return mig_tables.dst_next[m->dst][DST_EV_CANCEL] != DST_ILLEGAL &&
	       !mig_dst_is_final(m->dst);
}

enum err mig_cancel(uint32_t id)
{
	struct mig *m = find(id);

	if (!m)
		return refuse(ERR_NOT_FOUND, "there is no migration %u here, or it was long ago",
			      id);
	if (m->st.ended)
		return refuse(ERR_BUSY, "migration %u has ended: %s", id, m->st.result);
	if (!can_cancel(m))
		return refuse(ERR_BUSY, "migration %u is %s: it is too late to cancel", id,
			      m->st.state);
	m->cancel = true;
	event_signal(&m->wake);
	return OK;
}

enum err mig_resolve(uint32_t id, bool ours)
{
	struct mig *m = find(id);

	if (!m)
		return refuse(ERR_NOT_FOUND, "there is no migration %u here, or it was long ago",
			      id);
	if (!m->st.outgoing || m->src != SRC_DOUBT || m->st.ended)
		return refuse(ERR_BUSY,
			      "migration %u is %s, not in doubt: there is nothing to decide", id,
			      m->st.state);
	m->word = ours ? WORD_OURS : WORD_THEIRS;
	event_signal(&m->wake);
	return OK;
}
