/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/timer.c - the host's clock (lib/time.h) and its sleep.
 *
 * The TSC is measured against the first of these that is there and counts: the ACPI PM timer, the
 * HPET, the PIT.  CPUID leaves 0x15 and 0x16 are not believed: emulators and some firmware report a
 * nominal frequency that the TSC does not have.  Arithmetic is in calibrate.c.
 */
#include "arch/x86_64/timer.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/calibrate.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/paging.h"
#include "lib/log.h"

#define SAMPLE_NS       (10 * NS_PER_MS)
#define PATIENCE_READS  10000000u       /* a reference that stands still must not hold us */
#define TRIES_PER_MOMENT 3
#define ROUNDS_MAX      4
#define SPREAD_MAX_PPM  500
#define KHZ             1000ul
#define IDLE_MAX_NS     NS_PER_S        /* should an interrupt be lost, wake up all the same */

#define PM_TIMER_HZ     3579545ull      /* ACPI 6.5, "Power Management Timer" */
#define PM_TIMER_24BIT  MASK(23, 0)

#define HPET_CAPABILITY 0x000           /* period in femtoseconds in the upper half */
#define HPET_CONFIG     0x010
#define HPET_COUNTER    0x0f0
#define HPET_ENABLE     BIT(0)
#define HPET_BYTES      1024
#define FS_PER_S        1000000000000000ull
#define HPET_PERIOD_MAX 100000000u      /* IA-PC HPET 1.0a, "General Capabilities" */

#define PIT_HZ          1193182ull
#define PIT_CHANNEL2    0x42
#define PIT_MODE        0x43
#define PIT_CH2_ONESHOT 0xb0            /* channel 2, both bytes, mode 0 */
#define PIT_CH2_LATCH   0x80
#define PIT_GATE_PORT   0x61
#define PIT_GATE        BIT(0)
#define PIT_SPEAKER     BIT(1)

/* A clock that counts up at a known rate, `mask` wide. */
struct reference {
	const char *name;
	uint64_t    hz, mask;
	uint64_t  (*read)(void);
	void      (*restart)(void);     /* before each sample; may be NULL */
};

typedef bool find_fn(const struct acpi_info *acpi, struct reference *out);

static uint16_t pm_timer_port;
static volatile uint8_t *hpet;
static const char *source;
static uint64_t tsc_khz, tsc_base;
static struct tick_scale to_ns, to_tsc;

static uint64_t pm_timer_read(void) { return insn_inl(pm_timer_port); }
static uint64_t hpet_read(void) { return *(volatile uint32_t *)(hpet + HPET_COUNTER); }

/* The PIT counts down from 65535. */
static uint64_t pit_read(void)
{
	insn_outb(PIT_MODE, PIT_CH2_LATCH);
	uint8_t low = insn_inb(PIT_CHANNEL2);

	return (uint16_t)~(low | insn_inb(PIT_CHANNEL2) << 8);
}

static void pit_restart(void)
{
	insn_outb(PIT_GATE_PORT, (uint8_t)((insn_inb(PIT_GATE_PORT) & ~PIT_SPEAKER) | PIT_GATE));
	insn_outb(PIT_MODE, PIT_CH2_ONESHOT);
	insn_outb(PIT_CHANNEL2, 0xff);
	insn_outb(PIT_CHANNEL2, 0xff);
}

static bool pm_timer_find(const struct acpi_info *acpi, struct reference *out)
{
	pm_timer_port = acpi->pm_timer_port;
	*out = (struct reference){ .name = "PM timer", .hz = PM_TIMER_HZ, .read = pm_timer_read,
	                           .mask = acpi->pm_timer_32bit ? UINT32_MAX : PM_TIMER_24BIT };
	return pm_timer_port;
}

static bool hpet_find(const struct acpi_info *acpi, struct reference *out)
{
	if (!acpi->hpet_address)
		return false;
	hpet = paging_map_device(hpa(acpi->hpet_address), HPET_BYTES);
	if (!hpet)
		return false;
	uint32_t period_fs = *(volatile uint32_t *)(hpet + HPET_CAPABILITY + 4);
	if (!period_fs || period_fs > HPET_PERIOD_MAX)
		return false;
	*(volatile uint32_t *)(hpet + HPET_CONFIG) |= HPET_ENABLE;
	*out = (struct reference){ .name = "HPET", .hz = FS_PER_S / period_fs, .read = hpet_read,
	                           .mask = UINT32_MAX };
	return true;
}

static bool pit_find(const struct acpi_info *acpi, struct reference *out)
{
	(void)acpi;
	*out = (struct reference){ .name = "PIT", .hz = PIT_HZ, .read = pit_read,
	                           .mask = UINT16_MAX, .restart = pit_restart };
	return true;
}

/*
 * Both clocks at one moment: the TSC in the middle of the slow read of the other.  Of a few tries
 * the narrowest counts, so that an SMI or a busy emulator in between does not.
 */
static uint64_t read_both(const struct reference *ref, uint64_t *tsc)
{
	uint64_t value = 0, narrowest = UINT64_MAX;

	for (unsigned i = 0; i < TRIES_PER_MOMENT; i++) {
		insn_lfence();
		uint64_t before = insn_rdtsc(), now = ref->read();
		insn_lfence();
		uint64_t width = insn_rdtsc() - before;
		if (width < narrowest) {
			narrowest = width;
			value = now;
			*tsc = before + width / 2;
		}
	}
	return value;
}

static struct calibrate_sample take_sample(const struct reference *ref)
{
	uint64_t wanted = ref->hz * SAMPLE_NS / NS_PER_S, tsc_start = 0, tsc_end = 0, ran = 0;

	if (ref->restart)
		ref->restart();
	uint64_t start = read_both(ref, &tsc_start);
	for (unsigned i = 0; i < PATIENCE_READS && ran < wanted; i++)
		ran = (ref->read() - start) & ref->mask;
	if (ran < wanted)
		return (struct calibrate_sample){ 0 };
	ran = (read_both(ref, &tsc_end) - start) & ref->mask;
	return (struct calibrate_sample){ tsc_end - tsc_start, ran };
}

static enum err measure_once(const struct reference *ref, uint64_t *khz, uint64_t *spread)
{
	struct calibrate_sample s[CALIBRATE_SAMPLES];

	for (unsigned i = 0; i < CALIBRATE_SAMPLES; i++) {
		s[i] = take_sample(ref);
		if (!s[i].ref_ticks)
			return fail(ERR_NOT_SUPPORTED, "timer: the %s stands still", ref->name);
	}
	return calibrate_khz(s, ref->hz, khz, spread);
}

/* A busy emulator scatters the samples: measure again and keep the best. */
static enum err measure(const struct reference *ref)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < ROUNDS_MAX && best > SPREAD_MAX_PPM; i++) {
		uint64_t khz, spread;
		enum err e = measure_once(ref, &khz, &spread);
		if (e != OK)
			return e;
		if (spread < best) {
			best = spread;
			tsc_khz = khz;
		}
	}
	log_line("timer: TSC runs at %lu.%03lu MHz by the %s (%d samples within %lu ppm)%s",
	         tsc_khz / KHZ, tsc_khz % KHZ, ref->name, CALIBRATE_SAMPLES, best,
	         best > SPREAD_MAX_PPM ? ": not exact, the machine is busy" : "");
	source = ref->name;
	return OK;
}

enum err timer_init(const struct acpi_info *acpi)
{
	static find_fn *const find[] = { pm_timer_find, hpet_find, pit_find };

	for (unsigned i = 0; i < COUNT(find) && !source; i++) {
		struct reference ref;
		if (find[i](acpi, &ref))
			measure(&ref);          /* it has said what is wrong; try the next */
	}
	if (!source)
		return fail(ERR_NOT_SUPPORTED, "timer: there is no clock to measure the TSC with");
	to_ns = tick_scale(tsc_khz * KHZ, NS_PER_S);
	to_tsc = tick_scale(NS_PER_S, tsc_khz * KHZ);
	tsc_base = insn_rdtsc();
	return apic_timer_init();
}

const char *timer_source(void) { return source; }
uint64_t time_tsc(void) { return insn_rdtsc(); }
uint64_t time_tsc_khz(void) { return tsc_khz; }
uint64_t time_tsc_to_ns(uint64_t ticks) { return tick_scale_apply(to_ns, ticks); }
uint64_t time_ns_to_tsc(uint64_t ns) { return tick_scale_apply(to_tsc, ns); }

/* 0 until the TSC is measured, so that the first log lines have a stamp as well. */
uint64_t time_now_ns(void)
{
	return source ? time_tsc_to_ns(insn_rdtsc() - tsc_base) : 0;
}

void arch_idle(uint64_t deadline_ns)
{
	uint64_t now = time_now_ns();

	if (deadline_ns <= now)
		return;
	apic_timer_arm(insn_rdtsc() + time_ns_to_tsc(MIN(deadline_ns - now, IDLE_MAX_NS)));
	insn_sti_hlt_cli();
	apic_timer_stop();
}
