/* SPDX-License-Identifier: MIT */
/*
 * tests/host/two_hosts.c - scheduler, memory and a toy VM layer for tests of migrations.
 *
 * After every turn of the scheduler it checks what must always hold: the guest runs at most once.
 */
#include "tests/host/two_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "lib/bitmap.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/task.h"
#include "lib/task_arch.h"
#include "lib/time.h"
#include "tests/host/chan_mem.h"
#include "tests/host/support.h"

struct host host_a, host_b, *here = &host_a;
struct guest_truth truth;

/* --- Tasks on ucontext ----------------------------------------------------------------------- */

#define STACK_BYTES (256 * KIB)
#define LEFT_BY_OTHERS 0xa5                      /* in each byte of a ghost's RAM before it came */

struct context { ucontext_t uc; uint8_t *stack; struct host *host; bool used; };
static struct context contexts[TASKS_MAX], main_context, *current_context = &main_context;

void *task_stack_alloc(void)
{
	for (struct context *c = contexts; c < contexts + COUNT(contexts); c++) {
		if (c->used)
			continue;
		c->used = true;
		c->stack = malloc(STACK_BYTES);
		return c;
	}
	return NULL;
}

void task_stack_free(void *top)
{
	struct context *c = top;

	free(c->stack);
	c->used = false;
}

void *task_prepare(void *top, void (*start)(void))
{
	struct context *c = top;

	getcontext(&c->uc);
	c->uc.uc_stack.ss_sp = c->stack;
	c->uc.uc_stack.ss_size = STACK_BYTES;
	makecontext(&c->uc, start, 0);
	c->host = here;
	return c;
}

static void be(struct host *h)
{
	here = h;
	mig_node = &h->node;
}

void task_switch(void **save, void *load)
{
	struct context *from = current_context, *to = load;

	*save = from;
	current_context = to;
	if (to->host)
		be(to->host);
	swapcontext(&from->uc, &to->uc);
}

static jmp_buf out;
static bool (*stop_when)(void);
static uint64_t stop_at_ns;

/* Nobody is ready: time jumps to the next thing to do. */
static void idle(uint64_t deadline_ns)
{
	if (deadline_ns == NEVER_NS || (stop_when && stop_when()) || support_now_ns >= stop_at_ns) {
		cpu_here()->away = NULL;
		host_lock_take();               /* as sched_run() finds it */
		longjmp(out, 1);
	}
	support_now_ns = MIN(deadline_ns, stop_at_ns);
}

void two_hosts_run(bool (*done)(void), uint64_t max_ns)
{
	stop_when = done;
	stop_at_ns = support_now_ns + max_ns;
	if (!setjmp(out))
		sched_run(idle);
	current_context = &main_context;
}

/* --- The guest: RAM with a writer ------------------------------------------------------------ */

/* Its devices: one that counts, and one with an instance number. */
struct toy { uint64_t count; uint8_t pattern[40]; bool on; uint64_t resumed; };
struct toy_vm { struct vm vm; struct toy toy[2]; };

static void toy_resume(void *object) { ((struct toy *)object)->resumed++; }

static enum err toy_check(const void *object)
{
	(void)object;
	return truth.check_fails ? refuse(ERR_BAD_FORMAT, "section toy: count is wrong") : OK;
}

static const struct field toy_fields[] = { FIELD(struct toy, count), FIELDS(struct toy, pattern),
					   FIELD(struct toy, on) };
static const struct section toy_state = { .name = "toy",
					  .version = 1,
					  .fields = toy_fields,
					  .nfields = COUNT(toy_fields),
					  .object_size = sizeof(struct toy),
					  .check = toy_check,
					  .resume = toy_resume };

static bool is_running(const struct vm *vm) { return vm && vm->run == VM_RUNNING && !vm->stun; }

static struct vm *the_runner(void)
{
	struct vm *a = host_guest(&host_a), *b = host_guest(&host_b);

	if (is_running(a) && is_running(b))
		panic("the guest runs twice");
	return is_running(a) ? a : is_running(b) ? b : NULL;
}

/*
 * The whole page follows from its value: zero, or this word and a byte of it everywhere else; in a
 * sparse one only up to SPARSE_BYTES.
 */
#define SPARSE       BIT(63)
#define SPARSE_BYTES 256

static void write_page(struct vm *vm, uint64_t index, uint64_t value)
{
	uint64_t run, *page = mem_poke(&vm->mem, mem_gpa(&vm->mem, index), PAGE_SIZE, &run);

	truth.value[index] = value;
	memset(page, 0, PAGE_SIZE);
	memset(page, value ? (int)(value | 1) : 0, value & SPARSE ? SPARSE_BYTES : PAGE_SIZE);
	page[0] = value;
}

static void guest_writes(struct vm *vm)
{
	unsigned writes = truth.writes_per_turn * (PERMILLE - vm->throttle) / PERMILLE;

	for (unsigned i = 0; i < writes; i++) {
		uint64_t index = (uint64_t)rand() % truth.pages_written;

		/* Sometimes a page becomes zero. */
		uint64_t value = (uint64_t)rand() | 1 | (truth.sparse ? SPARSE : 0);
		write_page(vm, index, rand() % 8 ? value : 0);
	}
	truth.device = ((struct toy_vm *)vm)->toy[1].count += 3;
}

/* In every turn of the scheduler, as if the vCPU had had its slice. */
static uint64_t guest_turn(uint64_t now_ns)
{
	struct vm *vm = the_runner();

	truth.turns++;
	support_now_ns += 10 * NS_PER_US;       /* nothing is for nothing */
	if (vm) {
		support_now_ns += 20 * NS_PER_US;
		guest_writes(vm);
	}
	return vm ? now_ns + NS_PER_MS : NEVER_NS;
}

/* --- The VM layer, as mig/ sees it ----------------------------------------------------------- */

struct vm_hooks vm_hooks;

static enum err toy_vm_create(const struct vm_config *c, enum vm_run run, struct vm **out_vm)
{
	static struct trace_record ring[2][TRACE_RECORDS];
	struct toy_vm *t = calloc(1, sizeof(*t));
	unsigned slot = 0;

	while (slot < VMS_MAX && here->vm[slot])
		slot++;
	t->vm.config = *c;
	t->vm.run = run;
	enum err e = run == VM_GHOST ? mem_create_used(&t->vm.mem, c->ram_bytes) :
				       mem_create(&t->vm.mem, c->ram_bytes);
	if (e != OK) {
		free(t);
		return e;
	}
	for (uint64_t i = 0; run == VM_GHOST && i < t->vm.mem.nframes; i++)
		memset(hpa_ptr(t->vm.mem.frame[i]), LEFT_BY_OTHERS, FRAME_SIZE);
	trace_init(&t->vm.trace, ring[here == &host_b]);
	clock_create(&t->vm.clock, 0);
	here->vm[slot] = &t->vm;
	*out_vm = &t->vm;
	return OK;
}

enum err vm_config_check(const struct vm_config *c)
{
	return c->ram_bytes != GUEST_RAM ?
		       refuse(ERR_BAD_ARGUMENT, "\"memory\" is not that of the test") :
		       OK;
}

enum err vm_create_ghost(const struct vm_config *c, const struct cpuid_table *cpuid,
			 struct vm **out_vm)
{
	enum err e = toy_vm_create(c, VM_GHOST, out_vm);

	if (e == OK)
		(*out_vm)->cpuid = *cpuid;
	return e;
}

enum err vm_delete(struct vm *vm)
{
	ASSERT(!vm->owner);
	ASSERT(!is_running(vm));
	for (unsigned i = 0; i < VMS_MAX; i++)
		if (here->vm[i] == vm)
			here->vm[i] = NULL;
	mem_destroy(&vm->mem);
	free(vm);
	return OK;
}

enum err vm_stun(struct vm *vm)
{
	task_yield();
	vm->stun = true;
	clock_pause(&vm->clock);
	truth.vm_clock_ns = clock_now_ns(&vm->clock);
	truth.stopped_at_ns = support_now_ns;
	return OK;
}

void vm_throttle(struct vm *vm, unsigned permille)
{
	ASSERT(permille <= VM_THROTTLE_MAX);
	vm->throttle = permille;
	truth.throttled = MAX(truth.throttled, permille);
}

static void check_clock(struct vm *vm)
{
	uint64_t want = truth.vm_clock_ns + (support_now_ns - truth.stopped_at_ns),
		 is = clock_now_ns(&vm->clock);

	if (truth.any_clock)
		return;
	if (is > want + NS_PER_MS || is + NS_PER_MS < want)
		panic("the guest's clock is %llu us, should be %llu us",
		      (unsigned long long)is / 1000, (unsigned long long)want / 1000);
}

void vm_unstun(struct vm *vm, uint64_t advance_ns)
{
	vm->stun = false;
	clock_resume(&vm->clock, advance_ns);
	check_clock(vm);
}

void vm_become_running(struct vm *vm, uint64_t advance_ns)
{
	struct toy_vm *t = (struct toy_vm *)vm;

	ASSERT(vm->run == VM_GHOST);
	ASSERT(t->toy[0].resumed == 1);
	ASSERT(t->toy[1].resumed == 1);
	vm->run = VM_RUNNING;
	clock_resume(&vm->clock, advance_ns);
	check_clock(vm);
	if (the_runner() != vm)
		panic("become_running: somebody else runs");
}

struct vm *vm_at(unsigned i) { return here->vm[i]; }
const char *vm_run_name(enum vm_run run)
{
	return run == VM_RUNNING ? "RUNNING" : "something else";
}

bool vm_section(struct vm *vm, unsigned i, struct section_ref *ref)
{
	struct toy_vm *t = (struct toy_vm *)vm;

	if (i > 2)
		return false;
	*ref = i ? (struct section_ref){ &toy_state, &t->toy[i - 1], (uint16_t)(i - 1) } :
	           (struct section_ref){ &clock_state, &vm->clock, 0 };
	return true;
}

enum err dirty_start(struct vm *vm)
{
	ASSERT(!here->tracking);
	here->tracking = true;
	bitmap_fill(vm->mem.soft_dirty, vm->mem.ram_pages, false);
	return OK;
}

void dirty_stop(struct vm *vm)
{
	(void)vm;
	ASSERT(here->tracking);
	here->tracking = false;
}

uint64_t dirty_harvest(struct vm *vm, uint64_t *todo)
{
	uint64_t n = bitmap_weight(vm->mem.soft_dirty, vm->mem.ram_pages);

	bitmap_drain(todo, vm->mem.soft_dirty, vm->mem.ram_pages);
	return n;
}

static const struct field cpuid_fields[] = { FIELD(struct cpuid_table, n),
					     FIELDS(struct cpuid_table, eax),
					     FIELD(struct cpuid_table, xcr0_mask) };
const struct section cpuid_state = { .name = "cpuid",
				     .version = 1,
				     .fields = cpuid_fields,
				     .nfields = COUNT(cpuid_fields),
				     .object_size = sizeof(struct cpuid_table) };

unsigned cpuid_compare(const struct cpuid_table *want, const struct cpuid_table *have,
		       cpuid_missing_fn *missing, void *ctx)
{
	if (!(want->eax[0] & ~have->eax[0]))
		return 0;
	missing(ctx, "AVX2 (leaf 7, EBX bit 5)");
	missing(ctx, "SMEP (leaf 7, EBX bit 7)");
	return 2;
}

/* --- Between the hosts ----------------------------------------------------------------------- */

static enum err connect(const char *where, uint64_t deadline_ns, struct chan **chan)
{
	struct host *from = here, *to = from == &host_a ? &host_b : &host_a;
	struct chan *peer;

	(void)deadline_ns;
	bool again = from->node.slot[0].src == SRC_DOUBT;
	truth.queries += again;
	if (truth.no_way || (again && truth.queries <= truth.unreachable))
		return refuse(ERR_REFUSED, "%s: the connection was refused", where);
	chan_mem_pair(from->name, to->name, chan, &peer);
	be(to);
	enum err e = task_create("peer", truth.serve ? truth.serve : mig_serve, peer);
	be(from);
	return e;
}

static void announce(struct vm *vm)
{
	ASSERT(is_running(vm));
	here->announces++;
}

void vm_host_cpuid(struct cpuid_table *t, unsigned cpus, const struct cpu_baseline *baseline)
{
	(void)baseline;
	memset(t, 0, sizeof(*t));
	t->n = cpus;
	t->eax[0] = here->other_cpu ? 1 : 3;
}

/* --- A test's begin and end ------------------------------------------------------------------ */

unsigned two_hosts_filled = 600;
static struct pages_stats at_begin;
static void *region;

struct vm *host_guest(struct host *h)
{
	for (unsigned i = 0; i < VMS_MAX; i++)
		if (h->vm[i])
			return h->vm[i];
	return NULL;
}

unsigned host_serving(const struct host *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MIG_SERVED_MAX; i++)
		n += h->node.visitor[i].used;
	return n;
}

void host_restart(struct host *h)
{
	struct host *was = here;

	be(h);
	mig_init();
	be(was);
}

static void make_guest(void)
{
	struct vm_config c = { .name = "demo",
			       .uuid = { 7, 7, 7 },
			       .ram_bytes = GUEST_RAM,
			       .cpus = 1,
			       .boot = BOOT_LINUX,
			       .kernel = "vmlinuz",
			       .cmdline = "console=ttyS0",
			       .nnics = 1 };
	struct vm *vm;

	be(&host_a);
	if (toy_vm_create(&c, VM_RUNNING, &vm) != OK)
		panic("no memory for the guest");
	vm_host_cpuid(&vm->cpuid, 1, NULL);
	clock_resume(&vm->clock, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct toy *t = &((struct toy_vm *)vm)->toy[i];

		t->count = i;
		t->on = true;
		memset(t->pattern, 0xa0 + (int)i, sizeof(t->pattern));
	}
	truth.writes_per_turn = 4;
	truth.pages_written = MIN(200u, two_hosts_filled);
	for (unsigned i = 0; i < two_hosts_filled; i++)
		write_page(vm, i, i + 1);
}

void two_hosts_begin(void)
{
	if (!region) {
		if (posix_memalign(&region, FRAME_SIZE, 32 * FRAME_SIZE))
			abort();
		pages_add_region(ptr_hpa(region), 32 * FRAME_SIZE);
		sched_add_poll(guest_turn);
		mig_hooks = (struct mig_hooks){ connect, announce };
	}
	at_begin = pages_stats();
	srand(3);
	memset(&truth, 0, sizeof(truth));
	memset(&chan_mem, 0, sizeof(chan_mem));
	chan_mem.ns_per_kib = 10 * NS_PER_US;            /* about 100 MB/s */
	memset(&host_a, 0, sizeof(host_a));
	memset(&host_b, 0, sizeof(host_b));
	host_a.name = "a";
	host_b.name = "b";
	host_restart(&host_a);
	host_restart(&host_b);
	make_guest();
}

static bool page_is(const uint8_t *page, uint64_t value)
{
	uint8_t near = value ? (uint8_t)(value | 1) : 0, far = value & SPARSE ? 0 : near;

	return *(const uint64_t *)page == value && page[8] == near &&
	       page[SPARSE_BYTES - 1] == near && page[PAGE_SIZE / 2] == far &&
	       page[PAGE_SIZE - 1] == far;
}

struct host *two_hosts_owner(void)
{
	struct vm *vm = the_runner();

	if (!vm)
		panic("the guest is lost: it runs nowhere");
	for (uint64_t i = 0; i < GUEST_PAGES; i++)
		if (!page_is(mem_page(&vm->mem, i), truth.value[i]))
			panic("page %llu of the guest is wrong", (unsigned long long)i);
	const struct toy *t = ((struct toy_vm *)vm)->toy;
	if (t[1].count != truth.device || !t[1].on || t[1].pattern[39] != 0xa1 ||
	    t[0].pattern[0] != 0xa0)
		panic("a device of the guest is wrong");
	if (vm->owner)
		panic("the guest still belongs to a migration");
	if (vm->throttle)
		panic("the guest is still throttled");
	return host_guest(&host_a) == vm ? &host_a : &host_b;
}

void two_hosts_end(void)
{
	for (unsigned k = 0; k < 2; k++) {
		struct host *h = k ? &host_b : &host_a;

		be(h);
		if (host_serving(h))
			panic("host %s still serves a connection", h->name);
		if (h->tracking != false && !host_guest(h))
			h->tracking = false;     /* ended with the guest that moved */
		ASSERT(!h->tracking);
		while (host_guest(h)) {
			struct vm *vm = host_guest(h);

			vm->run = VM_STOPPED;
			vm->owner = NULL;
			vm_delete(vm);
		}
	}
	if (chan_mem.open)
		panic("%u ends of channels were never closed", chan_mem.open);
	struct pages_stats now = pages_stats();
	if (now.frames_free != at_begin.frames_free)
		panic("memory leaked: %llu frames free before, %llu now",
		      (unsigned long long)at_begin.frames_free,
		      (unsigned long long)now.frames_free);
}

void two_hosts_drop_guest(void)
{
	struct vm *vm = host_guest(&host_a);

	be(&host_a);
	vm->run = VM_STOPPED;
	vm_delete(vm);
}

void two_hosts_serve(struct chan *incoming)
{
	be(&host_b);
	if (task_create("peer", mig_serve, incoming) != OK)
		panic("no task is left");
	be(&host_a);
}
