/* SPDX-License-Identifier: MIT */
/*
 * vmm/vm_parts.c - a VM as the sum of its parts: what of it travels and in which order, which local
 * APIC a message is for, and whose deadline comes next.
 *
 * Nothing here changes the VM's life; that is vmm/vm.c.  Called by mig/, vmm/machine.c and
 * vmm/vcpu.c.
 */
#include "arch/x86_64/defs/apic.h"
#include "vmm/vm.h"

bool vm_section(struct vm *vm, unsigned i, struct section_ref *out)
{
	/*
	 * The CPU that the guest sees and its time come first: devices and timers are checked
	 * against them.
	 */
	if (i == 0) {
		*out = (struct section_ref){ &cpuid_state, &vm->cpuid, 0 };
		return true;
	}
	if (i == 1) {
		*out = (struct section_ref){ &clock_state, &vm->clock, 0 };
		return true;
	}
	i -= 2;
	for (unsigned d = 0; d < vm->machine.ndevs; d++) {
		const struct machine_dev *dev = &vm->machine.dev[d];
		if (!dev->ops->state || i-- > 0)
			continue;
		*out = (struct section_ref){ dev->ops->state, dev->dev, dev->instance };
		return true;
	}
	if (i >= 2 * vm->config.cpus)
		return false;
	struct vcpu *v = vm->vcpu[i / 2];
	*out = i % 2 == 0 ? (struct section_ref){ &vlapic_state, &v->lapic, (uint16_t)v->id }
	                  : (struct section_ref){ &vcpu_state, v, (uint16_t)v->id };
	return true;
}

/*
 * A lowest-priority message goes to one of those it names; any will do, so the first that listens.
 */
void vm_apic_send(struct vm *vm, const struct apic_msg *msg)
{
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		if (!vlapic_matches(&vm->vcpu[i]->lapic, msg))
			continue;
		vcpu_apic_message(vm->vcpu[i], msg);
		if (msg->delivery == APIC_MODE_LOWEST)
			return;
	}
}

uint64_t vm_tick(struct vm *vm, uint64_t now_ns)
{
	uint64_t next = NEVER_NS;

	for (unsigned d = 0; d < vm->machine.ndevs; d++) {
		const struct machine_dev *dev = &vm->machine.dev[d];
		if (!dev->ops->deadline)
			continue;
		uint64_t due = dev->ops->deadline(dev->dev);
		if (due <= now_ns && dev->ops->tick) {
			dev->ops->tick(dev->dev, now_ns);
			due = dev->ops->deadline(dev->dev);
		}
		next = MIN(next, due);
	}
	for (unsigned i = 0; i < vm->config.cpus; i++) {
		struct vcpu *v = vm->vcpu[i];
		if (vlapic_deadline(&v->lapic) <= now_ns) {
			vlapic_tick(&v->lapic, now_ns);
			vcpu_kick(v);
		}
		next = MIN(next, vlapic_deadline(&v->lapic));
	}
	vm->bus.deadline_ns = next;
	return next;
}
