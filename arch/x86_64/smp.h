/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/smp.h - the other CPUs: started, compared with the boot CPU, poked and stopped.
 */
#ifndef ARCH_X86_64_SMP_H
#define ARCH_X86_64_SMP_H

#include "arch/x86_64/acpi.h"
#include "lib/cpu.h"
#include "lib/err.h"

/* What the first of the other CPUs does, for tests: never comes, comes too late, has features. */
enum smp_fault { SMP_SOUND, SMP_NEVER, SMP_LATE, SMP_DIFFERS };

/*
 * Start the CPUs that ACPI names, so that at most `limit` run in all (0: no limit); `page` is a
 * free page below 1 MiB for their first instructions.  One that does not come, or differs from the
 * boot CPU, is left off with a sentence.  Afterwards the host's page tables are shared: nothing in
 * them changes any more.
 */
enum err smp_start(const struct acpi_info *acpi, unsigned limit, hpa_t page, enum smp_fault first);

/* How another CPU's TSC stood against the boot CPU's when it came up, in ticks; and how exactly. */
struct smp_skew { int64_t ticks; uint64_t within; };
struct smp_skew smp_skew(unsigned cpu);

/* From the NMI handler: was it cpu_poke_hard() that sent it? */
bool smp_take_nmi_poke(void);

/* For a panic: stop all other CPUs where they are. */
void smp_stop_others(void);

#endif
