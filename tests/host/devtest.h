/* SPDX-License-Identifier: MIT */
/*
 * tests/host/devtest.h - what tests of device models share: accesses, wires that remember, and the
 * check that a section describes all of its object.
 */
#ifndef TESTS_HOST_DEVTEST_H
#define TESTS_HOST_DEVTEST_H

#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/dev.h"

#define TEST(unit, name) static void unit##__##name(void **unused_state __attribute__((unused)))
#define CASE(unit, name) cmocka_unit_test(unit##__##name)

/* A wire's end: its level, and how often it rose. */
struct wire_end { bool level; unsigned rises; };
static inline void wire_end_set(void *to, unsigned line, bool level)
{
	struct wire_end *w = to;

	(void)line;
	w->rises += level && !w->level;
	w->level = level;
}
#define WIRE_TO(end) ((struct wire){ wire_end_set, (end), 0 })

struct msg_end { unsigned n; struct apic_msg last; };
static inline void msg_end_send(void *to, const struct apic_msg *msg)
{
	struct msg_end *m = to;

	m->n++;
	m->last = *msg;
}
#define MSG_TO(end) ((struct msg_wire){ msg_end_send, (end) })

static inline uint64_t dev_in(const struct dev_ops *ops, void *dev, uint64_t addr, unsigned size,
			      uint64_t now)
{
	struct access a = { .addr = addr, .size = (uint8_t)size, .now_ns = now };
	uint64_t mask = size == 8 ? ~0ull : BIT(8 * size) - 1;

	return ops->read(dev, &a) & mask;
}

static inline void dev_out(const struct dev_ops *ops, void *dev, uint64_t addr, unsigned size,
			   uint64_t value, uint64_t now)
{
	struct access a = { .addr = addr, .size = (uint8_t)size, .now_ns = now };

	ops->write(dev, &a, value);
}

/* Run the device's ticks as vm_tick() would, up to `now`. */
static inline unsigned dev_run(const struct dev_ops *ops, void *dev, uint64_t now)
{
	unsigned n = 0;

	while (ops->deadline(dev) <= now) {
		ops->tick(dev, MAX(ops->deadline(dev), 0));
		assert_true(++n < 1000000);
	}
	return n;
}

/* The section's check refuses what `statement` makes of `bad`, a copy of the object `good`. */
#define REFUSED(state, good, statement)                                        \
	do {                                                                   \
		typeof(good) bad = good;                                       \
		statement;                                                     \
		assert_int_equal((state)->check(&bad), ERR_BAD_FORMAT);        \
	} while (0)

/* A field that does not travel: derived, so rebuilt or fixed at create. */
struct derived { size_t offset, size; };
#define DERIVED(type, m) { offsetof(type, m), sizeof(((type *)0)->m) }

/*
 * Fields lie in the object, do not overlap, and with the derived ones leave nothing out but padding
 * (less than 8 bytes before an aligned place).
 */
static inline void check_section(const struct section *s, const struct derived *derived, unsigned n)
{
	uint8_t *seen = calloc(1, s->object_size);

	assert_non_null(seen);
	assert_true(strlen(s->name) <= 15);
	for (unsigned i = 0; i < s->nfields; i++) {
		const struct field *f = &s->fields[i];

		assert_true(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
		assert_true(f->offset + (size_t)f->size * f->count <= s->object_size);
		for (size_t b = 0; b < (size_t)f->size * f->count; b++)
			if (seen[f->offset + b]++)
				fail_msg("%s: %s overlaps another field", s->name, f->name);
	}
	for (unsigned i = 0; i < n; i++)
		for (size_t b = 0; b < derived[i].size; b++)
			if (seen[derived[i].offset + b]++)
				fail_msg("%s: a derived field at %zu also travels", s->name,
					 derived[i].offset);
	for (size_t b = 0, run = 0; b <= s->object_size; b++) {
		bool hole = b < s->object_size && !seen[b];

		if (!hole && run && (run >= 8 || b % (run >= 4 ? 8 : run >= 2 ? 4 : 2)))
			fail_msg("%s: bytes %zu..%zu neither travel nor are derived", s->name,
				 b - run, b - 1);
		run = hole ? run + 1 : 0;
	}
	free(seen);
}

#endif
