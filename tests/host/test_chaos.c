/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_chaos.c - a guest that does anything at any time, under ASan and UBSan.
 *
 * Whatever it does, time passes (no device is due for ever), and every device is in a state that
 * its own section accepts: a guest must not be able to make itself unmovable.  The seed is fixed,
 * so a failure comes again; CHAOS_SEED=N in the environment tries another.
 */
#include "tests/host/devtest.h"

#include "lib/pages.h"
#include "vmm/vm.h"

#define RAM_BYTES   (4 * MIB)
#define STEPS       600000u
#define RESET_EVERY 3000u
#define TICKS_MAX   64u                 /* a device may be due again at once, but not for ever */

static struct vm *vm;
static struct vcpu bsp;
static uint64_t now_ns;

void vcpu_kick(struct vcpu *v) { (void)v; }
void vm_power_off(struct vm *which, const char *why) { (void)which; (void)why; }
void vm_reset(struct vm *which, const char *why) { (void)which; (void)why; }

/* Only what the interrupt controllers may legally be asked to send. */
void vm_apic_send(struct vm *which, const struct apic_msg *msg)
{
	(void)which;
	assert_true(msg->delivery < 8 && msg->shorthand < 4);
	if (msg->delivery < 2 && vlapic_matches(&bsp.lapic, msg))
		vlapic_set_irr(&bsp.lapic, msg->vector, msg->level);
}

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t any(void)               /* xorshift64 */
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}
static uint64_t below(uint64_t n) { return any() % n; }

/* Values that hurt: few bits, all bits, addresses around the ends of RAM. */
static uint64_t any_value(void)
{
	switch (below(6)) {
	case 0:  return below(256);
	case 1:  return BIT(below(64));
	case 2:  return ~0ull;
	case 3:  return 0;
	case 4:  return RAM_BYTES - 64 + below(128);
	default: return any();
	}
}

static uint64_t any_address(enum bus_space space)
{
	const struct bus_entry *e = &vm->bus.entry[space][below(vm->bus.n[space])];
	uint64_t offset = below(e->len);

	/* Most of a BAR is empty: prefer the beginning of each 4 KiB. */
	if (space == BUS_MMIO && below(8))
		offset = ALIGN_DOWN(offset, PAGE_SIZE) + below(64);
	return e->base + offset;
}

static void poke_bus(void)
{
	enum bus_space space = below(3) ? BUS_MMIO : BUS_IO;
	struct access a =
		{ .size = (uint8_t)BIT(below(space == BUS_MMIO ? 4 : 3)), .now_ns = now_ns };

	if (!vm->bus.n[space])
		return;
	a.addr = ALIGN_DOWN(any_address(space), a.size);
	if (below(2))
		bus_write(&vm->bus, space, &a, any_value());
	else
		bus_read(&vm->bus, space, &a);
}

static void poke_lapic(void)
{
	static const uint32_t other[] = { 0x1b, 0x6e0 };
	uint32_t msr = below(8) ? 0x800 + (uint32_t)below(0x40) : other[below(2)];
	uint64_t value;
	int vector = vlapic_pending(&bsp.lapic);

	switch (below(5)) {
	case 0: vlapic_read(&bsp.lapic, (uint32_t)below(PAGE_SIZE), now_ns); break;
	case 1: vlapic_write(&bsp.lapic, (uint32_t)below(64) * 16, (uint32_t)any_value(),
			     now_ns); break;
	case 2: vlapic_msr_read(&bsp.lapic, msr, &value, now_ns); break;
	case 3: vlapic_msr_write(&bsp.lapic, msr, any_value(), now_ns); break;
	case 4:
		if (vector >= 0)
			vlapic_accept(&bsp.lapic, (uint8_t)vector);
		break;
	}
}

/* --- Virtio: a driver that begins well and then loses its mind -------------------------------- */

#define QUEUE_SIZE  16u
#define DESC(q)     (0x1000ull + 0x3000 * (q))          /* the three areas, a page each */
#define AVAIL(q)    (DESC(q) + 0x1000)
#define USED(q)     (DESC(q) + 0x2000)

static struct virtio *any_virtio(void)
{
	struct machine *m = &vm->machine;

	return (struct virtio *[]){ &m->net[0].virtio, &m->console.virtio,
		&m->rng.virtio }[below(3)];
}

static void bar_write(struct virtio *v, uint64_t at, unsigned size, uint64_t value)
{
	struct access a = { .size = (uint8_t)size, .now_ns = now_ns };

	pci_func_bar_write(&v->pci, 0, at, &a, value);
}

static void bring_up(struct virtio *v)
{
	mem_fill(&vm->mem, gpa(0), 0, 0x10000);
	v->pci.config[PCI_COMMAND] |= PCI_COMMAND_MASTER;
	bar_write(v, 0x14, 1, 0);
	bar_write(v, 0x14, 1, 3);
	bar_write(v, 0x08, 4, 0);
	bar_write(v, 0x0c, 4, any() & (VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC));
	bar_write(v, 0x08, 4, 1);
	bar_write(v, 0x0c, 4, 1 | (any() & VIRTIO_F_RING_RESET >> 32));
	bar_write(v, 0x14, 1, 11);
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++) {
		bar_write(v, 0x16, 2, q);
		bar_write(v, 0x18, 2, QUEUE_SIZE);
		bar_write(v, 0x1a, 2, below(4));
		bar_write(v, 0x20, 8, DESC(q));
		bar_write(v, 0x28, 8, AVAIL(q));
		bar_write(v, 0x30, 8, USED(q));
		bar_write(v, 0x1c, 2, 1);
	}
	bar_write(v, 0x14, 1, 15);
}

static void write16(uint64_t at, uint64_t value)
{
	mem_write(&vm->mem, gpa(at), &value, 2);
}

/* A chain of one to four descriptors; now and then one of them is wrong. */
static void add_chain(unsigned q)
{
	unsigned head = (unsigned)below(QUEUE_SIZE), n = 1 + (unsigned)below(4);
	bool writes = below(2);
	uint16_t idx = 0;

	for (unsigned i = 0; i < n; i++) {
		struct { uint64_t addr; uint32_t len; uint16_t flags, next; } d = {
			.addr = 0x20000 + below(RAM_BYTES - 0x30000), .len = (uint32_t)below(1000),
			.flags = (uint16_t)((i + 1 < n) | writes << 1),
				.next = (head + i + 1) % QUEUE_SIZE,
		};

		if (!below(100))
			d.addr = any_value();
		if (!below(100))
			d.len = (uint32_t)any_value();
		if (!below(50))
			d.flags = (uint16_t)below(8);
		if (!below(8) && i + 1 == n)            /* an indirect table: the other queue's */
			d.addr = DESC(!q), d.len = 16 * (1 + (uint32_t)below(4)), d.flags = 4;
		mem_write(&vm->mem, gpa(DESC(q) + 16 * ((head + i) % QUEUE_SIZE)), &d, sizeof(d));
	}
	mem_read(&vm->mem, gpa(AVAIL(q) + 2), &idx, 2);
	write16(AVAIL(q) + 4 + 2 * (idx % QUEUE_SIZE), head);
	write16(AVAIL(q) + 2, idx + 1 + !below(100));
	if (!below(8))                                  /* flags, and when to interrupt */
		write16(AVAIL(q), below(2));
	if (!below(8))
		write16(AVAIL(q) + 4 + 2 * QUEUE_SIZE, idx + below(4));
}

static void poke_virtio(void)
{
	struct virtio *v = any_virtio();
	unsigned q = (unsigned)below(2);

	if (!(v->status & 4) || (v->status & 0x40) || !below(200))
		bring_up(v);
	for (uint64_t n = below(6); n; n--)
		add_chain(q);
	bar_write(v, 0x3000 + 4 * q, 2, q);
}

static void poke_memory(void)
{
	uint64_t value = any_value();

	mem_write(&vm->mem, gpa(below(0x10000) & ~1ull), &value, 1 + below(8));
}

static void poke_from_outside(void)
{
	static const uint8_t bytes[FRAME_LEN_MAX];
	struct frame f = frame_of(bytes, (uint16_t)below(FRAME_LEN_MAX + 1));
	struct machine *m = &vm->machine;

	switch (below(4)) {
	case 0: vnet_receive(&m->net[0], &f); break;
	case 1: machine_console_input(m, bytes, below(50)); break;
	case 2: vpm_power_button(&m->pm); break;
	case 3: vpic_accept(&m->pic); break;
	}
}

static void time_passes(void)
{
	now_ns += below(64) ? below(2000) : below(5) * NS_PER_S;
	for (unsigned i = 0; i < vm->machine.ndevs; i++) {
		const struct machine_dev *d = &vm->machine.dev[i];

		for (unsigned n = 0; d->ops->deadline && d->ops->deadline(d->dev) <= now_ns; n++) {
			if (n == TICKS_MAX)
				fail_msg("%s is due for ever", d->ops->name);
			d->ops->tick(d->dev, now_ns);
		}
	}
	for (unsigned n = 0; vlapic_deadline(&bsp.lapic) <= now_ns; n++) {
		assert_true(n < TICKS_MAX);
		vlapic_tick(&bsp.lapic, now_ns);
	}
}

static void all_states_are_legal(unsigned step)
{
	if (vlapic_state.check(&bsp.lapic) != OK)
		fail_msg("step %u: %s", step, err_reason());
	for (unsigned i = 0; i < vm->machine.ndevs; i++) {
		const struct machine_dev *d = &vm->machine.dev[i];

		if (d->ops->state->check(d->dev) != OK)
			fail_msg("step %u: %s", step, err_reason());
	}
}

/* A switch port: every byte of every frame is looked at. */
static void take_frame(void *to, const struct frame *f)
{
	static uint8_t bytes[FRAME_LEN_MAX];

	(void)to;
	assert_in_range(f->len, FRAME_LEN_MIN, FRAME_LEN_MAX);
	frame_copy(bytes, f);
}

static void make_vm(void)
{
	void *host = NULL;

	assert_int_equal(posix_memalign(&host, FRAME_SIZE, 8 * FRAME_SIZE), 0);
	pages_add_region(ptr_hpa(host), 8 * FRAME_SIZE);
	vm = calloc(1, sizeof(*vm));
	vm->config = (struct vm_config){
		.name = "chaos", .ram_bytes = RAM_BYTES, .cpus = 1, .nnics = 1,
		.nic = { { { 0x52, 0x54, 0, 1, 2, 3 } } },
	};
	vm->vcpu[0] = &bsp;
	clock_create(&vm->clock, 1795219199ull * NS_PER_S);
	bus_init(&vm->bus);
	assert_int_equal(mem_create(&vm->mem, RAM_BYTES), OK);
	assert_int_equal(machine_create(vm), OK);
	bsp.lapic.eoi = vioapic_eoi;
	bsp.lapic.eoi_to = &vm->machine.ioapic;
	vlapic_init(&bsp.lapic, 0, true, &vm->clock);
	vnet_attach(&vm->machine.net[0], take_frame, NULL);
	machine_reset(vm);
}

TEST(chaos, any_guest_can_be_moved_and_none_stops_time)
{
	if (getenv("CHAOS_SEED"))
		seed ^= strtoull(getenv("CHAOS_SEED"), NULL, 0) << 32;
	make_vm();
	for (unsigned step = 0; step < STEPS; step++) {
		switch (below(16)) {
		case 0:
		case 1:  poke_from_outside(); break;
		case 2:
		case 3:
		case 4:  poke_virtio(); break;
		case 5:
		case 6:  poke_lapic(); break;
		case 7:  time_passes(); break;
		case 8:
			if (!below(8))
				poke_memory();
			break;
		default: poke_bus(); break;
		}
		if (step % 16 == 0)
			all_states_are_legal(step);
		if (step % RESET_EVERY == 0) {
			machine_reset(vm);
			vlapic_init(&bsp.lapic, 0, true, &vm->clock);
			now_ns = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(chaos, any_guest_can_be_moved_and_none_stops_time),
	};

	return cmocka_run_group_tests_name("chaos", tests, NULL, NULL);
}
