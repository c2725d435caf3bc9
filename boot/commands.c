/* SPDX-License-Identifier: MIT */
/*
 * boot/commands.c - the control service's table: what each request does.
 *
 * Handlers run from the network's poll, never inside a guest's exit, and must not wait: what takes
 * long starts a task and is watched by further requests, or is marked slow and runs in the control
 * service's own task, while others run.  The machinery is net/ctl.c, the form of the answers
 * boot/describe.c, the description for users docs/api.md.
 */
#include "boot/commands.h"

#include <string.h>

#include "boot/shutdown.h"
#include "boot/vmdef.h"
#include "lib/log.h"
#include "vmm/image.h"

#define TRACE_ANSWER_MAX 32             /* records in one answer: some milliseconds */
#define CONSOLE_CHUNK    1024

static enum err find_vm(const struct ctl_request *rq, struct vm **out)
{
	*out = vm_find(rq->param[0]);
	return *out ? OK : refuse(ERR_NOT_FOUND, "this node has no VM \"%s\"", rq->param[0]);
}

/* --- The node --------------------------------------------------------------------------------- */

static enum err get_node(struct ctl_request *rq, struct ctl_response *rs)
{
	(void)rq;
	json_object(&rs->json, NULL);
	describe_node(&rs->json);
	json_object_end(&rs->json);
	return OK;
}

static enum err get_cpu(struct ctl_request *rq, struct ctl_response *rs)
{
	(void)rq;
	json_object(&rs->json, NULL);
	describe_cpu(&rs->json);
	json_object_end(&rs->json);
	return OK;
}

static enum err get_log(struct ctl_request *rq, struct ctl_response *rs)
{
	static char text[LOG_RING_SIZE];
	size_t n = log_tail(text, MIN(sizeof(text), ctl_room(rs)));

	(void)rq;
	rs->content_type = "text/plain; charset=utf-8";
	ctl_append(rs, text, n);
	return OK;
}

static enum err shut_down(struct ctl_request *rq, struct ctl_response *rs, enum shutdown_kind kind)
{
	static const char *const known[] = { "force", NULL };
	static struct json_doc d;
	bool force = false;
	enum err e = OK;

	if (rq->body_len) {
		e = json_parse(&d, rq->body, rq->body_len);
		if (e == OK)
			e = json_only(&d, 0, known, "request");
		if (e == OK && json_get(&d, 0, "force") >= 0)
			e = json_get_bool(&d, json_get(&d, 0, "force"), "force", &force);
	}
	if (e == OK)
		e = shutdown_begin(kind, force);
	if (e != OK)
		return e;
	rs->status = 202;
	json_object(&rs->json, NULL);
	json_object_end(&rs->json);
	return OK;
}

static enum err post_reboot(struct ctl_request *rq, struct ctl_response *rs)
{
	return shut_down(rq, rs, SHUTDOWN_REBOOT);
}
static enum err post_poweroff(struct ctl_request *rq, struct ctl_response *rs)
{
	return shut_down(rq, rs, SHUTDOWN_POWEROFF);
}

/* --- VMs -------------------------------------------------------------------------------------- */

static enum err get_vms(struct ctl_request *rq, struct ctl_response *rs)
{
	(void)rq;
	json_object(&rs->json, NULL);
	json_array(&rs->json, "vms");
	for (unsigned i = 0; i < VMS_MAX; i++) {
		if (!vm_at(i))
			continue;
		json_object(&rs->json, NULL);
		describe_vm(&rs->json, vm_at(i), false);
		json_object_end(&rs->json);
	}
	json_array_end(&rs->json);
	json_object_end(&rs->json);
	return OK;
}

static enum err answer_vm(struct ctl_response *rs, const struct vm *vm)
{
	json_object(&rs->json, NULL);
	describe_vm(&rs->json, vm, true);
	json_object_end(&rs->json);
	return OK;
}

static enum err post_vms(struct ctl_request *rq, struct ctl_response *rs)
{
	static struct vm_config config;         /* one slow request at a time */
	struct vm *vm;
	enum err e = vmdef_parse(rq->body, rq->body_len, &config);

	if (e == OK)
		e = vm_create(&config, &vm);
	if (e != OK)
		return e;
	rs->status = 201;
	return answer_vm(rs, vm);
}

static enum err get_vm(struct ctl_request *rq, struct ctl_response *rs)
{
	struct vm *vm;
	enum err e = find_vm(rq, &vm);

	return e == OK ? answer_vm(rs, vm) : e;
}

static enum err delete_vm(struct ctl_request *rq, struct ctl_response *rs)
{
	struct vm *vm;
	enum err e = find_vm(rq, &vm);

	if (e == OK)
		e = vm_delete(vm);
	rs->status = 204;
	return e;
}

static enum err run_on_vm(struct ctl_request *rq, struct ctl_response *rs,
                          enum err (*run)(struct vm *))
{
	struct vm *vm;
	enum err e = find_vm(rq, &vm);

	if (e == OK)
		e = run(vm);
	return e == OK ? answer_vm(rs, vm) : e;
}

static enum err stop_vm(struct vm *vm) { return vm_stop(vm, "stopped on request"); }

static enum err post_start(struct ctl_request *rq, struct ctl_response *rs)
{
	return run_on_vm(rq, rs, vm_start);
}
static enum err post_pause(struct ctl_request *rq, struct ctl_response *rs)
{
	return run_on_vm(rq, rs, vm_pause);
}
static enum err post_resume(struct ctl_request *rq, struct ctl_response *rs)
{
	return run_on_vm(rq, rs, vm_resume);
}
static enum err post_stop(struct ctl_request *rq, struct ctl_response *rs)
{
	return run_on_vm(rq, rs, stop_vm);
}

static enum err get_console(struct ctl_request *rq, struct ctl_response *rs)
{
	char chunk[CONSOLE_CHUNK];
	struct vm *vm;
	uint64_t from;
	enum err e = find_vm(rq, &vm);

	if (e == OK)
		e = ctl_query_u64(rq, "from", 0, &from);
	if (e != OK)
		return e;
	rs->content_type = "application/octet-stream";
	for (;;) {
		size_t n = machine_console_read(&vm->machine, &from, chunk,
		                                MIN(sizeof(chunk), ctl_room(rs)));
		if (!n)
			break;
		ctl_append(rs, chunk, n);
	}
	ctl_header(rs, "X-Next", "%lu", from);
	return OK;
}

static enum err post_console(struct ctl_request *rq, struct ctl_response *rs)
{
	struct vm *vm;
	enum err e = find_vm(rq, &vm);

	if (e != OK)
		return e;
	/* A ghost's devices will be overwritten; those of a guest that stands still have left. */
	bool moves = vm->stun || vm->run == VM_GHOST;
	json_object(&rs->json, NULL);
	json_u64(&rs->json, "accepted",
	         moves ? 0 : machine_console_input(&vm->machine, rq->body, rq->body_len));
	json_object_end(&rs->json);
	return OK;
}

static enum err get_trace(struct ctl_request *rq, struct ctl_response *rs)
{
	struct vm *vm;
	uint64_t from, max;
	enum err e = find_vm(rq, &vm);

	if (e == OK)
		e = ctl_query_u64(rq, "from", 0, &from);
	if (e == OK)
		e = ctl_query_u64(rq, "max", TRACE_ANSWER_MAX, &max);
	if (e != OK)
		return e;
	json_object(&rs->json, NULL);
	describe_trace(&rs->json, vm, from, (unsigned)MIN(max, TRACE_ANSWER_MAX));
	json_object_end(&rs->json);
	return OK;
}

/* --- Migrations ------------------------------------------------------------------------------- */

static enum err optional_u64(const struct json_doc *d, const char *key, uint64_t *value)
{
	int at = json_get(d, 0, key);

	return at < 0 ? OK : json_get_u64(d, at, key, value);
}

static enum err parse_migrate(const struct ctl_request *rq, struct mig_params *p)
{
	static const char *const known[] = { "to",       "downtime_ms", "timeout_s",
					     "throttle", "verify",      NULL };
	static struct json_doc d;
	uint64_t downtime_ms = MIG_DOWNTIME_DEFAULT_NS / NS_PER_MS, timeout_s = 0;
	enum err e = json_parse(&d, rq->body, rq->body_len);

	if (e == OK)
		e = json_only(&d, 0, known, "request");
	if (e == OK)
		e = json_get_string(&d, json_get(&d, 0, "to"), "to", p->to, sizeof(p->to));
	if (e == OK)
		e = optional_u64(&d, "downtime_ms", &downtime_ms);
	if (e == OK)
		e = optional_u64(&d, "timeout_s", &timeout_s);
	if (e == OK && json_get(&d, 0, "verify") >= 0)
		e = json_get_bool(&d, json_get(&d, 0, "verify"), "verify", &p->verify);
	if (e == OK && (downtime_ms > UINT32_MAX || timeout_s > UINT32_MAX))
		e = refuse(ERR_BAD_ARGUMENT, "downtime_ms and timeout_s must be below 2^32");
	p->throttle = true;
	if (e == OK && json_get(&d, 0, "throttle") >= 0)
		e = json_get_bool(&d, json_get(&d, 0, "throttle"), "throttle", &p->throttle);
	p->downtime_max_ns = downtime_ms * NS_PER_MS;
	p->timeout_ns = timeout_s * NS_PER_S;
	return e;
}

static enum err post_migrate(struct ctl_request *rq, struct ctl_response *rs)
{
	struct mig_params params = { 0 };
	struct vm *vm;
	uint32_t id;
	enum err e = find_vm(rq, &vm);

	if (e == OK)
		e = parse_migrate(rq, &params);
	if (e == OK)
		e = mig_start(vm, &params, &id);
	if (e != OK)
		return e;
	rs->status = 202;
	json_object(&rs->json, NULL);
	json_u64(&rs->json, "id", id);
	json_object_end(&rs->json);
	return OK;
}

enum { MIGRATION_TEXT_MAX = 1200 };             /* one in the list, beside its result */
_Static_assert(MIGRATIONS_MAX * (REASON_MAX + MIGRATION_TEXT_MAX) <= CTL_BODY_MAX,
               "the list is an answer, whatever peers gave as their reasons");

static enum err get_migrations(struct ctl_request *rq, struct ctl_response *rs)
{
	static struct mig_status s;
	uint32_t ids[MIGRATIONS_MAX];
	unsigned n = mig_list(ids, MIGRATIONS_MAX);

	(void)rq;
	json_object(&rs->json, NULL);
	json_array(&rs->json, "migrations");
	for (unsigned i = 0; i < n; i++) {
		if (mig_status(ids[i], &s) != OK)
			continue;
		json_object(&rs->json, NULL);
		describe_migration(&rs->json, &s, false);
		json_object_end(&rs->json);
	}
	json_array_end(&rs->json);
	json_object_end(&rs->json);
	return OK;
}

static enum err migration_id(const struct ctl_request *rq, uint32_t *id)
{
	uint64_t value = 0;
	const char *p = rq->param[0];

	for (; *p >= '0' && *p <= '9' && value <= UINT32_MAX; p++)
		value = value * 10 + (uint64_t)(*p - '0');
	if (*p || p == rq->param[0] || value > UINT32_MAX)
		return refuse(ERR_BAD_ARGUMENT, "\"%s\" is not the number of a migration",
		              rq->param[0]);
	*id = (uint32_t)value;
	return OK;
}

static enum err answer_migration(uint32_t id, struct ctl_response *rs)
{
	static struct mig_status s;
	enum err e = mig_status(id, &s);

	if (e != OK)
		return e;
	json_object(&rs->json, NULL);
	describe_migration(&rs->json, &s, true);
	json_object_end(&rs->json);
	return OK;
}

static enum err get_migration(struct ctl_request *rq, struct ctl_response *rs)
{
	uint32_t id;
	enum err e = migration_id(rq, &id);

	return e == OK ? answer_migration(id, rs) : e;
}

static enum err post_cancel(struct ctl_request *rq, struct ctl_response *rs)
{
	uint32_t id;
	enum err e = migration_id(rq, &id);

	if (e == OK)
		e = mig_cancel(id);
	return e == OK ? answer_migration(id, rs) : e;
}

static enum err post_resolve(struct ctl_request *rq, struct ctl_response *rs)
{
	static const char *const known[] = { "ours", NULL };
	static struct json_doc d;
	uint32_t id;
	bool ours = false;
	enum err e = migration_id(rq, &id);

	if (e == OK)
		e = json_parse(&d, rq->body, rq->body_len);
	if (e == OK)
		e = json_only(&d, 0, known, "request");
	if (e == OK)
		e = json_get_bool(&d, json_get(&d, 0, "ours"), "ours", &ours);
	if (e == OK)
		e = mig_resolve(id, ours);
	return e == OK ? answer_migration(id, rs) : e;
}

/* --- Images ----------------------------------------------------------------------------------- */

static enum err get_images(struct ctl_request *rq, struct ctl_response *rs)
{
	(void)rq;
	json_object(&rs->json, NULL);
	json_array(&rs->json, "images");
	for (unsigned i = 0; i < IMAGES_MAX; i++) {
		const struct image *image = image_at(i);
		if (!image)
			continue;
		json_object(&rs->json, NULL);
		json_string(&rs->json, "name", image->name);
		json_u64(&rs->json, "bytes", image->size);
		json_bool(&rs->json, "uploaded", image->uploaded);
		json_object_end(&rs->json);
	}
	json_array_end(&rs->json);
	json_object_end(&rs->json);
	return OK;
}

static enum err begin_image(struct ctl_request *rq)
{
	return image_upload_begin(rq->param[0], rq->content_length,
	                          (struct image_upload **)&rq->upload);
}

static enum err write_image(struct ctl_request *rq, const void *bytes, size_t len)
{
	return image_upload_write(rq->upload, bytes, len);
}

static void abort_image(struct ctl_request *rq)
{
	image_upload_abort(rq->upload);
}

static enum err put_image(struct ctl_request *rq, struct ctl_response *rs)
{
	enum err e = image_upload_end(rq->upload);

	if (e != OK)
		return e;
	rs->status = 201;
	json_object(&rs->json, NULL);
	json_string(&rs->json, "name", rq->param[0]);
	json_u64(&rs->json, "bytes", rq->content_length);
	json_object_end(&rs->json);
	return OK;
}

static enum err delete_image(struct ctl_request *rq, struct ctl_response *rs)
{
	rs->status = 204;
	return image_delete(rq->param[0]);
}

#define ROUTE(m, p, h, f) { .method = m, .path = p, .help = h, .run = f }
#define SLOW(m, p, h, f)  { .method = m, .path = p, .help = h, .run = f, .slow = true }

const struct ctl_route commands[] = {
	ROUTE("GET", "/v1/node", "this host: CPU features, memory, cards, switches", get_node),
	ROUTE("GET", "/v1/node/cpu", "the CPU that guests can be given here", get_cpu),
	ROUTE("GET", "/v1/node/log", "the end of this host's log, as text", get_log),
	ROUTE("POST", "/v1/node/reboot", "start this machine again", post_reboot),
	ROUTE("POST", "/v1/node/poweroff", "switch this machine off", post_poweroff),
	ROUTE("GET", "/v1/vms", "all VMs", get_vms),
	SLOW("POST", "/v1/vms", "create a VM from a definition", post_vms),
	ROUTE("GET", "/v1/vms/{}", "one VM", get_vm),
	ROUTE("DELETE", "/v1/vms/{}", "delete a VM that does not run", delete_vm),
	SLOW("POST", "/v1/vms/{}/start", "load its payloads and run it", post_start),
	ROUTE("POST", "/v1/vms/{}/pause", "let it stand still", post_pause),
	ROUTE("POST", "/v1/vms/{}/resume", "let it go on", post_resume),
	ROUTE("POST", "/v1/vms/{}/stop", "pull its plug", post_stop),
	ROUTE("GET", "/v1/vms/{}/console", "what it said since ?from=N; X-Next says where to go on",
	      get_console),
	ROUTE("POST", "/v1/vms/{}/console", "type the body on its console", post_console),
	ROUTE("GET", "/v1/vms/{}/trace", "its trace records since ?from=N", get_trace),
	ROUTE("POST", "/v1/vms/{}/migrate", "move it to another host", post_migrate),
	ROUTE("GET", "/v1/migrations", "migrations that this host remembers, newest first",
	      get_migrations),
	ROUTE("GET", "/v1/migrations/{}", "one migration, with its rounds", get_migration),
	ROUTE("POST", "/v1/migrations/{}/cancel", "give it up; the guest stays where it runs",
	      post_cancel),
	ROUTE("POST", "/v1/migrations/{}/resolve", "in doubt: the operator says whose the guest is",
	      post_resolve),
	ROUTE("GET", "/v1/images", "payloads that definitions can name", get_images),
	{ "PUT", "/v1/images/{}", "upload a payload: the body", put_image, false, begin_image,
	  write_image, abort_image },
	ROUTE("DELETE", "/v1/images/{}", "forget an uploaded payload", delete_image),
};
const unsigned ncommands = COUNT(commands);
