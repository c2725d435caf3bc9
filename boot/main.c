/* SPDX-License-Identifier: MIT */
/*
 * boot/main.c - the boot list: every step from the first C instruction to "godwit: ready".
 *
 * Steps run in this order, each for the reason given beside it; the first that fails stops the
 * machine with a sentence.  After the last one the scheduler owns the CPU for ever.  Before:
 * boot/multiboot2.S. Read next: boot/wire.c, lib/task.c.
 */
#include "boot/boot.h"

#include <string.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/entropy.h"
#include "arch/x86_64/idt.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/reset.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/timer.h"
#include "arch/x86_64/watchdog.h"
#include "boot/bench_net.h"
#include "boot/nictest.h"
#include "drivers/nics.h"
#include "drivers/pci.h"
#include "drivers/rtc.h"
#include "drivers/screen.h"
#include "drivers/uart.h"
#include "lib/crc32c.h"
#include "lib/log.h"
#include "lib/task.h"
#include "vmm/virt.h"

struct boot_info boot_info;
struct boot_options boot_options;
struct acpi_info acpi_info;

static uint64_t ready_ticks;
static const void *mbinfo;              /* the boot loader's memory, read by one step only */

static enum err console_init(void)
{
	uart_init();                    /* none: the screen is enough */
	log_add_sink(uart_write);
	log_line("godwit: a hypervisor whose point is live migration");
	return OK;
}

static enum err information_init(void)
{
	const struct screen *s = &boot_info.screen;
	enum err e = mbinfo_parse(mbinfo, mbinfo_claimed_len(mbinfo), &boot_info);

	if (e != OK)
		return e;
	if (screen_init(s, EARLY_END))
		log_add_sink(screen_write);
	log_line("boot: by %s from %s, %u modules, command line: %s", boot_info.loader,
	         boot_info.efi ? "UEFI" : "BIOS", boot_info.nmodules, boot_info.cmdline);
	if (s->kind != SCREEN_NONE)
		log_line("boot: screen of %u x %u at 0x%lx", s->width, s->height, s->base);
	return OK;
}

/* UEFI may put the framebuffer above 4 GiB: it shows up here, with what was said before. */
static enum err high_screen_init(void)
{
	static char said[LOG_RING_SIZE];

	if (boot_info.screen.base < EARLY_END ||
	    !screen_init(&boot_info.screen, UINT64_MAX))
		return OK;
	screen_write(said, log_tail(said, sizeof(said)));
	log_add_sink(screen_write);
	return OK;
}

static enum err options_init(void)
{
	enum err e = cmdline_parse(boot_info.cmdline, &boot_options);

	if (e == OK)
		panic_restart_after(boot_options.panic_s);
	return e;
}

/* Tables lie in memory that is not RAM to us: map what is asked for, read-only. */
static bool read_physical(void *ctx, uint64_t address, void *to, size_t len)
{
	(void)ctx;
	if (!paging_readable(hpa(address), len) && paging_map(hpa(address), len, 0) != OK)
		return false;
	if (!paging_readable(hpa(address), len))
		return false;           /* page 0, or a guard page */
	memcpy(to, hpa_ptr(hpa(address)), len);
	return true;
}

static void say_acpi(void)
{
	static const char *const iommus[] = {
		[ACPI_IOMMU_NONE] = "", [ACPI_IOMMU_DMAR] = "VT-d", [ACPI_IOMMU_IVRS] = "AMD's"
	};
	const struct acpi_info *a = &acpi_info;

	log_line("acpi: %u CPUs, %u IOAPICs, PM timer at port 0x%x, HPET at 0x%lx", a->ncpus,
	         a->nioapics, a->pm_timer_port, a->hpet_address);
	log_line("acpi: power off %s, reset register %s, %u proximity domains",
	         a->power.has_s5 ? "by S5" : "not known",
	         a->power.reset.space == ACPI_NOWHERE ? "not there" : "there",
	         acpi_count_domains(a));
	if (a->niommus)
		log_line("acpi: %u IOMMUs (%s), not used: devices reach all memory", a->niommus,
		         iommus[a->iommu_kind]);
}

/* A machine without ACPI runs with one CPU, a PIT and polled devices. */
static enum err acpi_init(void)
{
	static const struct acpi_reader reader = { read_physical, NULL };

	if (!boot_info.rsdp_len)
		log_line("acpi: the boot loader found no tables");
	else if (acpi_parse(&reader, boot_info.rsdp, boot_info.rsdp_len, &acpi_info) == OK)
		say_acpi();
	reset_init(&acpi_info);
	return OK;
}

static enum err local_apic_init(void) { return apic_init(&acpi_info); }
static enum err io_apics_init(void) { return ioapic_init(&acpi_info); }
static enum err clock_init(void) { return timer_init(&acpi_info); }
static enum err wall_clock_init(void) { rtc_init(); return OK; }
static enum err virt_init(void) { return virt->cpu_on(0); }

/* test=cpu-never and its like: tests/boot expects a sentence, and a host that goes on. */
static enum smp_fault fault_asked_for(void)
{
	static const char *const names[] = {
		[SMP_NEVER] = "cpu-never", [SMP_LATE] = "cpu-late", [SMP_DIFFERS] = "cpu-differs",
	};

	for (unsigned i = SMP_NEVER; i < COUNT(names); i++)
		if (!strcmp(boot_options.test, names[i]))
			return (enum smp_fault)i;
	return SMP_SOUND;
}

/* From here on the map is shared, so what maps registers comes before. */
static enum err other_cpus_start(void)
{
	hpa_t page = memory_low_page();

	if (page.v)
		return smp_start(&acpi_info, boot_options.cpus, page, fault_asked_for());
	log_line("cpu: no free page below 640 KiB: the other CPUs are left off");
	return OK;
}

static enum err checksum_init(void)
{
	bool tables = crc32c_choose(cpu_has_crc32()) == CRC32C_TABLES;

	log_line("crc32c: %s", !tables ? "by the CPU's instruction" :
		 cpu_has_crc32() ? "by tables, this CPU's instruction is slower" :
				   "by tables, this CPU has no instruction for it");
	return OK;
}

static enum err nics_init(void)
{
	pci_irq_best = boot_options.irq;
	nics_start();
	return OK;
}

static enum err watchdog_init(void)
{
	watchdog_start(&acpi_info, boot_options.watchdog_s);
	return OK;
}

static const struct step {
	const char *name;
	enum err  (*run)(void);
} boot_steps[] = {
	{ "console",     console_init },        /* first: everything after it can speak          */
	{ "information", information_init },    /* the boot loader's, copied; then the screen    */
	{ "options",     options_init },        /* the command line                              */
	{ "cpu",         cpu_init },            /* GDT, TSS, control registers; NX before paging */
	{ "traps",       idt_init },            /* from here on a fault prints a screen of state */
	{ "memory",      memory_init },         /* the page allocator gets what is free          */
	{ "paging",      memory_map },          /* our own tables: W^X, guard pages, no page 0   */
	{ "high screen", high_screen_init },    /* a framebuffer that the first map left out     */
	{ "acpi",        acpi_init },           /* where the APICs and clocks are                */
	{ "apic",        local_apic_init },     /* masks the 8259s as well                       */
	{ "ioapics",     io_apics_init },       /* all pins masked until a driver asks           */
	{ "clock",       clock_init },          /* measures the TSC; log lines get times         */
	{ "crash test",  crashtest_run },       /* only with test=NAME: proves the steps above   */
	{ "pci",         pci_scan },            /* what devices are there                        */
	{ "vendor",      vendor_init },         /* whose virtualisation this is                  */
	{ "self-test",   selftest_run },        /* what this machine can do, or it stops here    */
	{ "checksum",    checksum_init },       /* the faster way to make those of migrations    */
	{ "virt",        virt_init },           /* the CPU becomes a hypervisor's                */
	{ "entropy",     entropy_init },        /* seeds guests' random numbers and TCP's        */
	{ "wall clock",  wall_clock_init },     /* guests' clocks start from it                  */
	{ "virt test",   virttest_run },        /* only with test=virt: the door by itself       */
	{ "nics",        nics_init },           /* a card that fails is left out, with a line    */
	{ "network",     wire_net },            /* switches, lwIP, control service, migration    */
	{ "other CPUs",  other_cpus_start },    /* they repeat "cpu", "apic" and "virt", and halt */
	{ "guests",      wire_vms },            /* those among the boot modules                  */
	{ "nic test",    nictest_start },       /* only with test=nics-FRAMES: what cards must do */
	{ "net bench",   bench_net_start },     /* only with test=net-NUMBER: frames against TCP */
	{ "watchdog",    watchdog_init },       /* last: from here on the scheduler has turns    */
};

uint64_t boot_ticks(void)
{
	return ready_ticks;
}

_Noreturn static void stop_boot(const struct step *s)
{
	log_line("godwit: stopped: step \"%s\" failed", s->name);
	for (;;) {
		insn_cli();
		insn_hlt();
	}
}

/* The host's own chores between tasks. */
static uint64_t chores_poll(uint64_t now_ns)
{
	uint64_t next_ns = MIN(uart_poll(now_ns), irq_report(now_ns));

	return MIN(next_ns, watchdog_alive(now_ns));
}

void boot_main(uint64_t mbinfo_address, uint64_t entry_tsc)
{
	cpu_become(&host_cpus[0]);
	mbinfo = (const void *)mbinfo_address;
	for (const struct step *s = boot_steps; s < boot_steps + COUNT(boot_steps); s++)
		if (s->run() != OK)
			stop_boot(s);
	ready_ticks = insn_rdtsc() - entry_tsc;
	log_line("godwit: ready (boot %lu ticks)", ready_ticks);
	uart_defer();
	sched_add_poll(chores_poll);
	sched_run(arch_idle);
}
