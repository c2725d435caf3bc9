/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_fault.c - exceptions during exceptions: all pairs (SDM vol. 3, "Interrupt 8 -
 * Double Fault Exception", the two tables there).
 */
#include "tests/host/support.h"

#include "vmm/fault.h"
#include "vmm/vcpu.h"

/* One letter a vector, 0 to 31: benign, contributory, page fault, double fault. */
static const char classes[] = "cbbbbbbbDbccccpbbbbbpcbbbbbbbbbb";

static struct inject exception(uint8_t vector)
{
	return (struct inject){ .type = EVENT_EXCEPTION, .vector = vector };
}

/* What the manual's table says: (s)econd, (d)ouble fault, shut(D)own. */
static char expected(char first, char second)
{
	if (second != 'c' && second != 'p')
		return 's';
	switch (first) {
	case 'c': return second == 'c' ? 'd' : 's';
	case 'p': return 'd';
	case 'D': return 'D';
	default:  return 's';
	}
}

static char found(const struct inject *first, const struct inject *second)
{
	struct inject out;

	if (!fault_merge(first, second, &out))
		return 'D';
	if (out.vector == VECTOR_DF && second->vector != VECTOR_DF) {
		assert_int_equal(out.type, EVENT_EXCEPTION);
		assert_true(out.has_error);
		assert_int_equal(out.error, 0);
		return 'd';
	}
	assert_memory_equal(&out, second, sizeof(out));
	return 's';
}

static void every_pair_of_exceptions_follows_the_table(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 32; i++) {
		for (uint8_t k = 0; k < 32; k++) {
			struct inject first = exception(i), second = exception(k);
			if (found(&first, &second) != expected(classes[i], classes[k]))
				fail_msg("%u then %u: %c", i, k, found(&first, &second));
		}
	}
}

/* INT 13 is not #GP, and an interrupt's vector says nothing. */
static void interrupts_nmis_and_int_n_are_benign(void **state)
{
	static const uint8_t types[] = { EVENT_IRQ, EVENT_NMI, EVENT_SOFT_IRQ,
		                         EVENT_SOFT_EXCEPTION, EVENT_PRIV_SOFT_EXCEPTION };
	struct inject fault = exception(VECTOR_GP);

	(void)state;
	fault.has_error = true;
	fault.error = 0x1234;
	for (unsigned i = 0; i < COUNT(types); i++) {
		struct inject first = { .type = types[i], .vector = VECTOR_GP };
		assert_int_equal(found(&first, &fault), 's');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_of_exceptions_follows_the_table),
		cmocka_unit_test(interrupts_nmis_and_int_n_are_benign),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
