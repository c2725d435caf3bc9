/* SPDX-License-Identifier: MIT */
/*
 * boot/selftest.c - one line for each feature that we look for: found or missing, and why.
 *
 * Runs before anything is switched on, so a machine that cannot do it says so and halts.
 */
#include "boot/boot.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/timer.h"
#include "drivers/pci.h"
#include "lib/log.h"
#include "vmm/virt.h"

#define CLASS_NETWORK   0x02

static unsigned missing;                /* required features that are not there */

static void report(const struct virt_feature *f)
{
	if (f->found)
		log_line("self-test: ok       %s", f->name);
	else
		log_line("self-test: %s %s (%s)", f->required ? "MISSING " : "no      ", f->name,
		         f->why ? f->why : "no reason given");
	if (!f->found && f->required)
		missing++;
}

static unsigned count_nics(void)
{
	unsigned n = 0;

	for (unsigned i = 0; pci_at(i); i++)
		n += pci_at(i)->class == CLASS_NETWORK;
	return n;
}

static void report_machine(void)
{
	const struct virt_feature list[] = {
		{ timer_source() ? timer_source() : "clock", timer_source(), true,
		  "no PM timer, HPET or PIT counts" },
		{ "IOAPIC", acpi_info.nioapics, false, "not in ACPI: devices are polled" },
		{ "network card", count_nics(), false,
		  "no PCI device of class 02: no control service, no migration" },
	};

	for (unsigned i = 0; i < COUNT(list); i++)
		report(&list[i]);
}

enum err selftest_run(void)
{
	static struct virt_feature cpu[VIRT_FEATURES_MAX];
	unsigned n = cpu_features(cpu, COUNT(cpu));

	for (unsigned i = 0; i < n; i++)
		report(&cpu[i]);
	report_machine();
	for (unsigned i = 0; i < virt_caps.nfeatures; i++)
		report(&virt_caps.feature[i]);
	if (missing)
		return fail(ERR_NOT_SUPPORTED, "%u required feature(s) are missing: see above",
		            missing);
	return OK;
}
