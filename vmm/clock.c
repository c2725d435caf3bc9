/* SPDX-License-Identifier: MIT */
/*
 * vmm/clock.c - a VM's time, from the host's TSC alone.
 *
 * While the clock runs, VM time and the guest's TSC are both functions of the host's TSC since one
 * origin, so kvm-clock, the devices' timers and RDTSC agree to the nanosecond.  Where this host's
 * rate is the guest's but for the error of a calibration, the guest's TSC ticks as the host's, and
 * kvm-clock tells the guest the rate (vmm/vcpu.c).  Otherwise it is scaled to the rate that the
 * guest was told, in the fixed-point format of the CPU, so that our sums and the CPU's agree.
 */
#include "vmm/clock.h"

#include <string.h>

#include "lib/time.h"
#include "vmm/virt.h"

#define KHZ_PER_GHZ     1000000ull              /* nanoseconds a millisecond, too */
#define TSC_KHZ_MIN     1000ull
#define TSC_KHZ_MAX     20000000ull
#define OUR_FRACTION    48                      /* bits of a ratio that only we compute with */

/*
 * value * mul / div rounded down, for mul and div below 2^32: the parts of the product never
 * overflow unless the result does.
 */
static uint64_t scale(uint64_t value, uint64_t mul, uint64_t div)
{
	return value / div * mul + value % div * mul / div;
}

uint64_t clock_tsc_ratio(uint64_t guest_khz, uint64_t host_khz, unsigned fraction)
{
	uint64_t whole = guest_khz / host_khz, rest = guest_khz % host_khz;

	for (unsigned i = 0; i < fraction; i++) {
		rest *= 2;
		whole = whole * 2 + (rest >= host_khz);
		rest -= rest >= host_khz ? host_khz : 0;
	}
	return whole + (rest * 2 >= host_khz);
}

static void choose_tsc(struct clock *c)
{
	uint64_t host = time_tsc_khz();
	uint64_t apart = host > c->tsc_khz ? host - c->tsc_khz : c->tsc_khz - host;
	uint64_t ratio = clock_tsc_ratio(c->tsc_khz, host, virt_caps.tsc_fraction);

	c->how = apart <= host * CLOCK_TSC_PPM / 1000000 ? CLOCK_TSC_SAME :
	         virt_caps.tsc_fraction && ratio && ratio <= virt_caps.tsc_scale_max ?
	         CLOCK_TSC_HARDWARE : CLOCK_TSC_EXITS;
	c->fraction = c->how == CLOCK_TSC_HARDWARE ? virt_caps.tsc_fraction : OUR_FRACTION;
	c->ratio = c->how == CLOCK_TSC_HARDWARE ?
	           ratio : clock_tsc_ratio(c->tsc_khz, host, OUR_FRACTION);
}

/* Guest ticks of a host TSC, before the offset. */
static inline uint64_t scaled(const struct clock *c, uint64_t host_tsc)
{
	if (c->how == CLOCK_TSC_SAME)
		return host_tsc;
	return (uint64_t)((unsigned __int128)host_tsc * c->ratio >> c->fraction);
}

uint64_t clock_tsc_rate_khz(const struct clock *c)
{
	return c->how == CLOCK_TSC_SAME ? time_tsc_khz() : c->tsc_khz;
}

static uint64_t guest_ticks_to_ns(const struct clock *c, uint64_t ticks)
{
	if (c->how == CLOCK_TSC_SAME)
		return time_tsc_to_ns(ticks);
	return scale(ticks, KHZ_PER_GHZ, c->tsc_khz);
}

const char *clock_tsc_name(const struct clock *c)
{
	static const char *const names[] = { "host", "hardware", "exits" };

	return names[c->how];
}

bool clock_tsc_plausible(uint64_t khz)
{
	return khz >= TSC_KHZ_MIN && khz <= TSC_KHZ_MAX;
}

/* Move the origin to now. */
static void rebase(struct clock *c)
{
	uint64_t host_tsc = time_tsc();

	c->vm_ns += time_tsc_to_ns(host_tsc - c->host_tsc);
	c->guest_tsc += scaled(c, host_tsc) - scaled(c, c->host_tsc);
	c->host_tsc = host_tsc;
	c->host_ns = time_now_ns();
}

void clock_create(struct clock *c, uint64_t wall_ns)
{
	memset(c, 0, sizeof(*c));
	c->tsc_khz = time_tsc_khz();
	c->wall_ns = wall_ns;
	choose_tsc(c);
}

void clock_pause(struct clock *c)
{
	if (!c->running)
		return;
	rebase(c);
	c->running = false;
}

void clock_resume(struct clock *c, uint64_t advance_ns)
{
	if (c->running)
		return;
	c->vm_ns += advance_ns;
	choose_tsc(c);
	c->guest_tsc += scale(advance_ns, c->tsc_khz, KHZ_PER_GHZ);
	c->host_tsc = time_tsc();
	c->host_ns = time_now_ns();
	c->running = true;
}

uint64_t clock_now_ns(const struct clock *c)
{
	return c->running ? c->vm_ns + time_tsc_to_ns(time_tsc() - c->host_tsc) : c->vm_ns;
}

uint64_t clock_guest_tsc(const struct clock *c)
{
	return c->running ? scaled(c, time_tsc()) + clock_tsc_offset(c) : c->guest_tsc;
}

uint64_t clock_tsc_offset(const struct clock *c)
{
	return c->guest_tsc - scaled(c, c->host_tsc);
}

uint64_t clock_tsc_to_ns(const struct clock *c, uint64_t guest_tsc)
{
	uint64_t ahead = guest_tsc - c->guest_tsc;

	if (guest_tsc < c->guest_tsc)                   /* before the origin: long past */
		return c->vm_ns;
	if (ahead > INT64_MAX / 1000)                   /* further off than any clock runs */
		return NEVER_NS;
	uint64_t ns = c->vm_ns + guest_ticks_to_ns(c, ahead);
	return ns < c->vm_ns ? NEVER_NS : ns;
}

uint64_t clock_host_ns(const struct clock *c, uint64_t vm_ns)
{
	if (vm_ns == NEVER_NS || !c->running)
		return NEVER_NS;
	if (vm_ns <= c->vm_ns)
		return c->host_ns;
	uint64_t ns = c->host_ns + (vm_ns - c->vm_ns);
	return ns < c->host_ns ? NEVER_NS : ns;
}

/* --- What travels ----------------------------------------------------------------------------- */

static void clock_save(void *object)
{
	struct clock *c = object;

	if (c->running)
		rebase(c);
}

static enum err clock_check(const void *object)
{
	const struct clock *c = object;

	if (!clock_tsc_plausible(c->tsc_khz))
		return fail(ERR_BAD_FORMAT, "clock: tsc_khz is %lu", c->tsc_khz);
	if (c->vm_ns > INT64_MAX)
		return fail(ERR_BAD_FORMAT, "clock: vm_ns %#lx is no time", c->vm_ns);
	return OK;
}

static void clock_loaded(void *object)
{
	struct clock *c = object;

	c->running = false;
}

static const struct field clock_fields[] = {
	FIELD(struct clock, vm_ns), FIELD(struct clock, guest_tsc),
	FIELD(struct clock, tsc_khz), FIELD(struct clock, wall_ns),
};

const struct section clock_state = {
	.name = "clock", .version = 1, .fields = clock_fields, .nfields = COUNT(clock_fields),
	.object_size = sizeof(struct clock),
	.save = clock_save, .check = clock_check, .resume = clock_loaded,
};
