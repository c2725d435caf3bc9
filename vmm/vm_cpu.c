/* SPDX-License-Identifier: MIT */
/*
 * vmm/vm_cpu.c - the CPU of a new VM: this host's, reduced to the VM's baseline, or a refusal.
 *
 * Read next: vmm/cpu_baseline.c (which features there are), vmm/cpuid.c (how a guest sees them).
 */
#include "vmm/vm.h"

#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/time.h"

void vm_host_cpuid(struct cpuid_table *out, unsigned cpus, const struct cpu_baseline *baseline)
{
	static const struct cpu_baseline everything;
	const struct cpuid_source from = {
		.raw = vm_hooks.cpuid, .xcr0_mask = virt_caps.xcr0_mask, .cpus = cpus,
		.tsc_khz = time_tsc_khz(), .baseline = baseline ? baseline : &everything,
	};

	ASSERT(vm_hooks.cpuid);
	cpuid_table_make(out, &from);
}

struct lacking { size_t len; char text[REASON_MAX]; };

static void add_lacking(void *ctx, const char *item)
{
	struct lacking *l = ctx;
	size_t room = sizeof(l->text) - l->len;
	size_t n = (size_t)fmt_format(l->text + l->len, room, "%s%s", l->len ? ", " : "", item);

	l->len += MIN(n, room - 1);
}

enum err vm_make_cpuid(const struct vm_config *c, struct cpuid_table *out)
{
	struct lacking l = { 0 };

	vm_host_cpuid(out, c->cpus, NULL);
	unsigned n = cpuid_lacks(out, &c->cpu, add_lacking, &l);
	if (n)
		return refuse(ERR_NOT_SUPPORTED, "cpu: this host cannot offer \"%s\": it lacks %s",
		              cpu_baseline_name(&c->cpu), l.text);
	vm_host_cpuid(out, c->cpus, &c->cpu);
	return OK;
}
