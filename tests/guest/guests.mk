# SPDX-License-Identifier: MIT
# guests.mk - the micro-guests: tests/guest/NAME.c becomes build/guest/NAME.elf (multiboot1, ELF32).
# Included by the top Makefile; alone: make -f tests/guest/guests.mk guests

guest-names := hello cpuid                      # alive; what the CPU says about itself
guest-names += pit rtc uart                     # devices of the board
guest-names += pic ioapic lapic x2apic tsc-deadline hlt   # interrupts, timers, sleep
guest-names += msr exceptions paging realmode xsave sysenter # what the CPU does for a guest
guest-names += port-io mmio                     # instructions behind exits
guest-names += triple-fault shutdown            # ways to end
guest-names += pci-scan virtio-rng virtio-net   # PCI and virtio
guest-names += virtio-hostile unsupported       # what a host must survive
guest-names += kvmclock                         # time from the hypervisor
guest-names += spin                             # the CPU for itself
guest-names += dirty exitbench migrate-pattern  # for measurements and migrations
guest-names += migrate-pair migrate-clocks      # two CPUs, and time, for migrations
guest-names += migrate-vendors                  # between hosts of two vendors

guest-lib   := start trap_entry guest trap      # entry, exceptions, console and verdict
guest-lib   += clock pic apic apic_check paging # PM timer; 8259, 8254; APICs; own pages
guest-lib   += pci virtio kvmclock state        # devices; paravirtual clock; all state at once
guest-lib   += real_entry sysenter_entry        # excursions to real mode and to ring 3
guest-lib   += second second_entry pattern      # the second CPU; pages that are checked

guest-dir   := build/guest
GUEST_CC    ?= gcc
guest-flags := -std=c11 -O2 -g -Wall -Wextra -Werror -Itests/guest -ffreestanding -fno-pic \
	-mcmodel=small -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -MMD -MP
guest-lib-o := $(guest-lib:%=$(guest-dir)/lib/%.o)

.PHONY: guests
guests: $(guest-names:%=$(guest-dir)/%.elf)

$(guest-dir)/%.o: tests/guest/%.c tests/guest/guests.mk
	@mkdir -p $(@D)
	$(V)$(GUEST_CC) $(guest-flags) -c -o $@ $<

$(guest-dir)/%.o: tests/guest/%.S tests/guest/guests.mk
	@mkdir -p $(@D)
	$(V)$(GUEST_CC) $(guest-flags) -c -o $@ $<

# Linked as 64-bit ELF (kept, for gdb and addr2line), then rewritten: multiboot1 wants 32-bit ELF.
$(guest-dir)/%.elf64: $(guest-dir)/%.o $(guest-lib-o) tests/guest/lib/guest.ld
	$(V)$(GUEST_CC) -nostdlib -static -no-pie -Wl,-z,max-page-size=4096 -Wl,--build-id=none \
		-Wl,-T,tests/guest/lib/guest.ld -o $@ $(filter %.o,$^)

$(guest-dir)/%.elf: $(guest-dir)/%.elf64
	$(V)objcopy -O elf32-i386 -S $< $@

.SECONDARY: $(guest-lib-o) $(guest-names:%=$(guest-dir)/%.o) $(guest-names:%=$(guest-dir)/%.elf64)

-include $(guest-lib-o:.o=.d) $(guest-names:%=$(guest-dir)/%.d)
