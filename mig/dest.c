/* SPDX-License-Identifier: MIT */
/*
 * mig/dest.c - the receiving side: a guest that wants to come, from HELLO to RUNNING.
 *
 *   HELLO: check -> ghost -> ACCEPT -> pages and sections, staged -> END -> checks -> READY
 *          -> GRANT: commit, run, RUNNING
 *
 * Everything that can fail happens before READY; what GRANT starts cannot fail.  A refusal before
 * ACCEPT is no more than an answer: the source will not go on with this epoch, so nothing of it has
 * to be remembered.  After ACCEPT, whatever ends the connection before GRANT ends in REFUSED, which
 * is remembered for this guest and epoch, and the ghost is deleted.  Read next: mig/state.c.
 */
#include <string.h>

#include "lib/bitmap.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/time.h"
#include "mig/compat.h"
#include "mig/job.h"

/* --- Before the ghost ------------------------------------------------------------------------ */

/* One sentence with all reasons, as an error. */
static enum err reasons_err(const struct reasons *r)
{
	return r->n ? refuse(ERR_REFUSED, "%s", r->text) : OK;
}

static void check_names(const struct vm_config *c, struct reasons *r)
{
	for (unsigned i = 0; i < VMS_MAX; i++) {
		struct vm *vm = vm_at(i);

		if (vm && memcmp(vm->config.uuid, c->uuid, sizeof(c->uuid)) == 0)
			reasons_add(r, "this guest is here already, as VM %s", vm->config.name);
		else if (vm && strcmp(vm->config.name, c->name) == 0)
			reasons_add(r, "another VM here is called %s", c->name);
	}
}

static void check_epoch(const struct wire_id *id, struct reasons *r)
{
	uint64_t highest = mig_highest_epoch(id->uuid);

	if (mig_recall(id))
		highest = MAX(highest, id->epoch);      /* refused before: that was final */
	if (id->epoch <= highest)
		reasons_add(r,
			    "epoch %llu of this guest is not newer than epoch %llu, which is known "
			    "here",
			    (unsigned long long)id->epoch, (unsigned long long)highest);
}

static enum err check_hello(const struct hello *h, const struct wire_id *id, struct reasons *r)
{
	struct pages_stats pages = pages_stats();
	struct compat_here here = { .bytes_free = pages.frames_free * FRAME_SIZE };

	if (memcmp(h->config.uuid, id->uuid, sizeof(id->uuid)) != 0)
		return refuse(ERR_BAD_FORMAT,
			      "record HELLO: its uuid is not that of the record's header");
	enum err e = vm_config_check(&h->config);
	if (e != OK)
		return e;
	check_epoch(id, r);
	check_names(&h->config, r);
	vm_host_cpuid(&here.cpuid, h->config.cpus, NULL);
	compat_check(h, &here, r);
	return reasons_err(r);
}

/* Bitmap of arrived pages, list of sections, a staged copy of each object. */
static enum err take_memory(struct mig *m)
{
	size_t bitmap = BITMAP_WORDS(m->vm->mem.ram_pages) * sizeof(uint64_t), copies = 0;
	struct section_ref ref;

	for (unsigned i = 0; vm_section(m->vm, i, &ref); i++)
		copies += ALIGN_UP(ref.section->object_size, 64);
	enum err e =
		mig_work_get(m, bitmap + copies + sizeof(*m->zeroes) +
					WIRE_SECTIONS_MAX * (sizeof(*m->ref) + sizeof(*m->copy)) +
					KIB);
	if (e != OK)
		return e;
	m->seen = mig_work_take(m, bitmap);
	m->zeroes = mig_work_take(m, sizeof(*m->zeroes));
	m->ref = mig_work_take(m, WIRE_SECTIONS_MAX * sizeof(*m->ref));
	m->copy = mig_work_take(m, WIRE_SECTIONS_MAX * sizeof(*m->copy));
	return mig_list_sections(m);
}

static enum err make_ghost(struct mig *m, struct visitor *v)
{
	enum err e = vm_create_ghost(&v->hello.config, &v->hello.cpuid, &m->vm);

	if (e != OK)
		return e;
	m->vm->owner = m;
	e = take_memory(m);
	if (e != OK)
		return e;
	compat_sections(&v->hello, m->ref, m->nref, &v->reasons);
	return reasons_err(&v->reasons);
}

/* --- Staging --------------------------------------------------------------------------------- */

static enum err take_pages(struct mig *m, struct wire_in *body)
{
	struct wire_pages p;
	enum err e = wire_take_pages(body, m->vm->mem.ram_pages, &p);

	if (e != OK)
		return e;
	for (unsigned i = 0; i < p.n; i++) {
		gpa_t at = mem_gpa(&m->vm->mem, p.page[i].index);
		uint64_t run;

		wire_unpack_page(&p.page[i], mem_poke(&m->vm->mem, at, PAGE_SIZE, &run));
		ASSERT(run == PAGE_SIZE);
		bitmap_set(m->seen, p.page[i].index);
	}
	m->st.pages_sent += p.n;
	m->st.payload_bytes += p.n * PAGE_SIZE;
	return OK;
}

/*
 * A ghost's RAM begins as whatever others left there.  Often that is zeros, too: to look takes less
 * time than to write, and leaves memory alone that nobody has used yet.
 */
static enum err wipe_page(struct mem *mem, uint64_t page)
{
	return wire_page_mask(mem_page(mem, page)) ?
		       mem_fill(mem, mem_gpa(mem, page), 0, PAGE_SIZE) : OK;
}

static enum err take_zeroes(struct mig *m, struct wire_in *body)
{
	enum err e = wire_take_zeroes(body, m->vm->mem.ram_pages, m->zeroes);

	for (unsigned i = 0; e == OK && i < m->zeroes->n; i++) {
		struct wire_run run = m->zeroes->run[i];

		for (uint64_t page = run.first; page < run.first + run.pages && e == OK; page++) {
			e = wipe_page(&m->vm->mem, page);
			bitmap_set(m->seen, page);
			if (page % PAGES_PER_STEP == 0) /* a run may be all of RAM */
				task_breathe();
		}
		m->st.zero_pages_sent += run.pages;
	}
	return e;
}

/* A copy of the live object with the fields that came; checked. */
static enum err take_section(struct mig *m, struct wire_in *body)
{
	struct section_head head;
	unsigned i = 0;

	section_take_head(body, &head);
	while (i < m->nref && (m->ref[i].instance != head.instance ||
			       strcmp(m->ref[i].section->name, head.name) != 0))
		i++;
	if (i == m->nref)
		return refuse(ERR_BAD_FORMAT, "section %s.%u was not announced", head.name,
			      head.instance);
	if (m->copy[i])
		return refuse(ERR_BAD_FORMAT, "section %s.%u comes twice", head.name,
			      head.instance);
	enum err e = section_match(&m->ref[i], &head);
	if (e != OK)
		return e;
	m->copy[i] = mig_work_take(m, m->ref[i].section->object_size);
	memcpy(m->copy[i], m->ref[i].object, m->ref[i].section->object_size);
	return section_stage(&m->ref[i], body, m->copy[i]);
}

static enum err take_round(struct mig *m, struct wire_in *body)
{
	uint64_t round = wire_take_u64(body), left = wire_take_u64(body);

	(void)round;
	m->st.pages_left = left;
	m->st.nrounds = MIN(m->st.nrounds + 1, (unsigned)MIG_ROUNDS_MAX);
	return wire_take_end(body, "record ROUND");
}

/* Everything must be here now. */
static enum err take_end(struct mig *m, struct wire_in *body, bool *verify)
{
	uint64_t pages = wire_take_u64(body), zero = wire_take_u64(body);
	uint32_t sections = wire_take_u32(body), flag = wire_take_u32(body);
	uint64_t ram_pages = m->vm->mem.ram_pages;
	enum err e = wire_take_end(body, "record END");

	if (e != OK)
		return e;
	if (pages != m->st.pages_sent || zero != m->st.zero_pages_sent)
		return refuse(
			ERR_BAD_FORMAT,
			"record END: %llu and %llu zero pages were sent, %llu and %llu arrived",
			(unsigned long long)pages, (unsigned long long)zero,
			(unsigned long long)m->st.pages_sent,
			(unsigned long long)m->st.zero_pages_sent);
	if (bitmap_weight(m->seen, ram_pages) != ram_pages)
		return refuse(ERR_BAD_FORMAT, "record END: %llu pages of RAM never arrived",
		              (unsigned long long)(ram_pages - bitmap_weight(m->seen, ram_pages)));
	for (unsigned i = 0; i < m->nref; i++)
		if (!m->copy[i])
			return refuse(ERR_BAD_FORMAT, "record END: section %s.%u never arrived",
				      m->ref[i].section->name, m->ref[i].instance);
	if (sections != m->nref)
		return refuse(ERR_BAD_FORMAT, "record END: %u sections were sent, %u arrived",
			      sections, m->nref);
	if (flag > 1)
		return refuse(ERR_BAD_FORMAT, "record END: verify is %u, neither 0 nor 1", flag);
	*verify = flag;
	return OK;
}

/* Asked to stop from this side, or dismissed? */
static enum err still_wanted(struct mig *m)
{
	return m->cancel ? refuse(ERR_CANCELLED, "cancelled at the destination") : OK;
}

static enum err next(struct mig *m, struct wire_record *rec, struct wire_in *body, uint64_t wait_ns)
{
	enum err e = still_wanted(m);

	if (e == OK)
		e = stream_recv(&m->stream, rec, body, time_now_ns() + wait_ns);
	if (e == OK)
		e = still_wanted(m);
	if (e == OK && rec->type == WIRE_CANCEL)
		e = refuse(ERR_CANCELLED, "cancelled by the source");
	return e;
}

enum err dest_unexpected(const struct wire_record *rec)
{
	return refuse(ERR_BAD_FORMAT, "record %s does not belong here", wire_type_name(rec->type));
}

#define ACK_EVERY (256 * KIB)

/* When we have caught up with what arrived, and now and then on the way. */
static enum err send_ack(struct mig *m)
{
	struct wire_out body = stream_body(&m->stream);

	if (stream_readable(&m->stream) && m->stream.bytes_in - m->acked < ACK_EVERY)
		return OK;
	m->acked = m->stream.bytes_in;
	wire_put_u64(&body, m->acked);
	enum err e = stream_send(&m->stream, WIRE_ACK, &body, time_now_ns() + MIG_SILENCE_NS);
	/* A source that hung up said why before: its last words wait to be read. */
	return e == ERR_LINK_LOST ? OK : e;
}

/* Until END. */
static enum err stage(struct mig *m, bool *verify)
{
	struct wire_record rec;
	struct wire_in body;

	for (;;) {
		enum err e = next(m, &rec, &body, MIG_SILENCE_NS);

		if (e != OK)
			return e;
		switch (rec.type) {
		case WIRE_PAGES:   e = take_pages(m, &body); break;
		case WIRE_ZEROES:  e = take_zeroes(m, &body); break;
		case WIRE_ROUND:   e = take_round(m, &body); break;
		case WIRE_SECTION: e = take_section(m, &body); break;
		case WIRE_END:     return take_end(m, &body, verify);
		default:           e = dest_unexpected(&rec);
		}
		if (e != OK)
			return e;
		m->st.bytes_sent = m->stream.bytes_in;
		e = send_ack(m);
		if (e != OK)
			return e;
		task_breathe();
	}
}

/* The source hashes at the same time and sends its result. */
static enum err verify_ram(struct mig *m)
{
	uint8_t theirs[RAMHASH_LEN];
	struct wire_record rec;
	struct wire_in body;

	mig_hash_ram(m);
	enum err e = next(m, &rec, &body, MIG_READY_NS);
	if (e == OK && rec.type != WIRE_VERIFY)
		e = dest_unexpected(&rec);
	if (e != OK)
		return e;
	wire_take_bytes(&body, theirs, sizeof(theirs));
	e = wire_take_end(&body, "record VERIFY");
	if (e == OK && memcmp(theirs, m->st.ram_hash, sizeof(theirs)) != 0)
		e = fail(ERR_BAD_FORMAT,
			 "RAM of %s differs from what the source has: the hashes are not the same",
			 m->st.vm);
	return e;
}

static enum err send_ready(struct mig *m)
{
	struct wire_out body = stream_body(&m->stream);

	wire_put_bytes(&body, m->st.ram_hash, RAMHASH_LEN);
	return stream_send(&m->stream, WIRE_READY, &body, time_now_ns() + MIG_SILENCE_NS);
}

/* --- GRANT ----------------------------------------------------------------------------------- */

/* Cannot fail: everything was checked before READY. */
static void commit(struct mig *m, uint64_t stood_ns, uint64_t granted_ns)
{
	for (unsigned i = 0; i < m->nref; i++)
		section_commit(&m->ref[i], m->copy[i]);
	for (unsigned i = 0; i < m->nref; i++)
		section_resume(&m->ref[i]);
	m->vm->owner = NULL;
	m->st.downtime_ns = stood_ns + (time_now_ns() - granted_ns);
	m->st.part_ns[MIG_PART_run] = time_now_ns() - granted_ns;
	vm_become_running(m->vm, m->st.downtime_ns);
	mig_hooks.announce(m->vm);
}

static void send_running(struct mig *m)
{
	struct wire_out body = stream_body(&m->stream);

	wire_put_u64(&body,
		     MAX(m->st.part_ns[MIG_PART_run], 1u)); /* 0 stands for: not known any more */
	/* If it gets lost, the source asks by QUERY. */
	stream_send(&m->stream, WIRE_RUNNING, &body, time_now_ns() + MIG_GOODBYE_NS);
}

static enum err await_grant(struct mig *m)
{
	struct wire_record rec;
	struct wire_in body;
	uint64_t ready_ns = time_now_ns();

	stream_spin(&m->stream, ready_ns + MIG_SPIN_NS);
	enum err e = next(m, &rec, &body, MIG_SILENCE_NS);
	uint64_t granted_ns = time_now_ns();

	if (e == OK && rec.type != WIRE_GRANT)
		e = dest_unexpected(&rec);
	if (e != OK)
		return e;
	uint64_t stood_ns = wire_take_u64(&body), held_ns = wire_take_u64(&body);
	e = wire_take_end(&body, "record GRANT");
	if (e == OK && (stood_ns > MIG_STOOD_MAX_NS || held_ns > stood_ns))
		e = refuse(ERR_BAD_FORMAT,
			   "record GRANT: the guest stood still for %llu ms, of which %llu "
			   "after READY",
			   (unsigned long long)(stood_ns / NS_PER_MS),
			   (unsigned long long)(held_ns / NS_PER_MS));
	if (e != OK)
		return e;
	mig_dst_event(m, DST_EV_GRANT);
	ASSERT(m->dst == DST_RUN);
	mig_remember(&m->stream.id, VERDICT_RUN);
	/*
	 * GRANT travelled for about half of the time between READY and it, less what the source
	 * took.
	 */
	uint64_t round_trip_ns =
		granted_ns - ready_ns > held_ns ? granted_ns - ready_ns - held_ns : 0;
	commit(m, stood_ns + round_trip_ns / 2, granted_ns);
	return OK;
}

/* --- One guest that wants to come ------------------------------------------------------------ */

static enum err receive(struct mig *m, struct visitor *v)
{
	struct wire_out body;
	bool verify = false;
	enum err e = make_ghost(m, v);

	if (e == OK)
		e = still_wanted(m);    /* to make it took a while */
	if (e != OK)
		return e;
	mig_dst_event(m, DST_EV_HELLO);
	ASSERT(m->dst == DST_GHOST);
	mig_remember(&m->stream.id, VERDICT_OPEN);
	body = stream_body(&m->stream);
	wire_put_u64(&body, mig_node->boot_id);
	e = stream_send(&m->stream, WIRE_ACCEPT, &body, time_now_ns() + MIG_SILENCE_NS);
	if (e == OK)
		e = stage(m, &verify);
	if (e == OK)
		mig_dst_event(m, DST_EV_STAGED);
	if (e == OK && verify != v->hello.verify)
		e = refuse(ERR_BAD_FORMAT, "record END: verify is not what HELLO announced");
	if (e == OK && verify)
		e = verify_ram(m);
	if (e == OK)
		e = still_wanted(m);
	if (e != OK)
		return e;
	mig_dst_event(m, DST_EV_CHECKED);
	e = send_ready(m);
	return e == OK ? await_grant(m) : e;
}

/* Say so, remember it if it was accepted, leave nothing behind. */
static void refuse_guest(struct mig *m, enum err why)
{
	enum mig_dst_event ev = why == ERR_LINK_LOST || why == ERR_TIMEOUT ? DST_EV_LOST :
	                        why == ERR_CANCELLED ? DST_EV_CANCEL : DST_EV_BAD;
	struct vm *ghost = m->vm;

	mig_note(m, why);
	if (!mig_dst_event(m, ev))
		mig_dst_event(m, DST_EV_BAD);
	ASSERT(m->dst == DST_REFUSED || m->dst == DST_IDLE);
	if (m->dst == DST_REFUSED)
		mig_remember(&m->stream.id, VERDICT_REFUSED);
	if (why != ERR_LINK_LOST)
		stream_send_text(&m->stream, WIRE_REFUSED, m->st.result,
				 time_now_ns() + MIG_GOODBYE_NS);
	mig_end(m, false, NULL);
	if (ghost) {
		ghost->owner = NULL;
		vm_delete(ghost);
	}
}

/*
 * A second HELLO of a guest and epoch that are on their way here, or that ran here, is nobody's
 * whom we know.  REFUSED would be a lie, and to remember it would contradict the GRANT that may
 * yet come.
 */
static bool is_decided_elsewhere(const struct wire_id *id)
{
	const struct mig_memory *k = mig_recall(id);

	return mig_find_incoming(id) || (k && k->verdict == VERDICT_RUN);
}

/* A guest that is still being made is no VM yet that the checks would find. */
static enum err take_slot(const struct visitor *v, struct mig **m)
{
	if (mig_find_guest(v->stream.id.uuid))
		return refuse(ERR_EXISTS, "this guest is on its way here already");
	if (mig_count_incoming() == MIG_INCOMING_MAX)
		return refuse(ERR_BUSY, "%d guests are on their way here already",
			      MIG_INCOMING_MAX);
	return mig_slot(m, false);
}

/* --- A source that tries again --------------------------------------------------------------- */

void dest_dismiss(struct mig *m, const char *why)
{
	if (!m->st.result[0])
		fmt_format(m->st.result, sizeof(m->st.result), "%s", why);
	m->cancel = true;
	m->stream.chan->ops->hang_up(m->stream.chan);   /* its task waits for bytes */
}

/* "10.78.0.11:50312" and "10.78.0.11:50313" are one host. */
static bool same_host(const char *a, const char *b)
{
	const char *a_end = strrchr(a, ':'), *b_end = strrchr(b, ':');
	size_t a_len = a_end ? (size_t)(a_end - a) : strlen(a);
	size_t b_len = b_end ? (size_t)(b_end - b) : strlen(b);

	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/*
 * A link was cut, the source noticed and tries anew, while the ghost of its last attempt still
 * waits for bytes: that one makes room.  It may, because without GRANT a ghost can be refused for
 * good at any time.  The table knows no way out of RUN.
 */
static void replace_older(const struct visitor *v)
{
	struct mig *old = mig_find_guest(v->stream.id.uuid);
	uint64_t until_ns = time_now_ns() + MIG_REPLACE_NS;

	if (!old || old->stream.id.epoch >= v->stream.id.epoch ||
	    !same_host(old->st.peer, v->stream.chan->peer) || !mig_dst_event(old, DST_EV_NEWER))
		return;
	if (old->dst == DST_REFUSED)
		mig_remember(&old->stream.id, VERDICT_REFUSED);
	dest_dismiss(old, "the source began anew");
	/* Its task deletes it.  If that takes too long, the checks find the guest here. */
	for (uint32_t id = old->st.id; old->st.id == id && !old->st.ended;) {
		struct event never = { 0 };

		if (time_now_ns() >= until_ns)
			return;
		event_wait(&never, time_now_ns() + MIG_POLL_NS);
	}
}

/* --- A HELLO --------------------------------------------------------------------------------- */

void dest_serve(struct visitor *v, struct wire_in *body)
{
	struct mig *m;

	if (is_decided_elsewhere(&v->stream.id)) {
		refuse(ERR_EXISTS, "this guest and epoch came on another connection");
		visit_turn_away(v, WIRE_UNKNOWN);
		return;
	}
	enum err e = hello_take(body, &v->hello);
	if (e == OK) {
		replace_older(v);
		e = take_slot(v, &m);
	}
	if (e != OK) {
		visit_turn_away(v, WIRE_REFUSED);
		return;
	}
	m->stream = v->stream;
	m->st.epoch = v->stream.id.epoch;
	fmt_format(m->st.vm, sizeof(m->st.vm), "%s", v->hello.config.name);
	fmt_format(m->st.peer, sizeof(m->st.peer), "%s", v->stream.chan->peer);
	e = check_hello(&v->hello, &m->stream.id, &v->reasons);
	if (e == OK)
		e = receive(m, v);
	if (e != OK) {
		refuse_guest(m, e);
		return;
	}
	send_running(m);                        /* before anything slow, such as the log */
	log_line("VM %s arrived from %s, stood still for %llu us", m->st.vm, m->st.peer,
	         (unsigned long long)(m->st.downtime_ns / NS_PER_US));
	mig_end(m, true, "ok");
}
