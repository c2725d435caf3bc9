# SPDX-License-Identifier: MIT
#
# The contents page of Godwit: every object by layer, in reading order, then the rules.
# `make help` prints what can be made.

BUILD  ?= build
V      ?= @

# --- The image: godwit.elf -------------------------------------------------------------------

boot-objs := boot/multiboot2.o boot/main.o                        # first instructions; the boot list
boot-objs += boot/mbinfo.o boot/cmdline.o boot/selftest.o         # what GRUB gave us; what this machine can do
boot-objs += boot/wire.o boot/commands.o boot/vmdef.o             # modules meet each other; control requests; VM definitions

arch-objs := arch/x86_64/cpu.o arch/x86_64/trap.o arch/x86_64/idt.o arch/x86_64/panic.o
arch-objs += arch/x86_64/paging.o arch/x86_64/acpi.o arch/x86_64/apic.o arch/x86_64/timer.o arch/x86_64/switch.o

vmx-objs  := arch/x86_64/vmx/vmx.o arch/x86_64/vmx/vmcs.o         # the ops; building a VMCS from data
vmx-objs  += arch/x86_64/vmx/vmx_decode.o arch/x86_64/vmx/vmx_check.o   # raw fields to struct exit; entry rules as text
vmx-objs  += arch/x86_64/vmx/ept.o arch/x86_64/vmx/vmx_state.o arch/x86_64/vmx/vmx_entry.o

vmm-objs  := vmm/vm.o vmm/vcpu.o vmm/exit.o                       # life of a VM: create, run, why it stopped
vmm-objs  += vmm/mem.o vmm/stage2.o vmm/dirty.o                   # its memory, and which pages changed
vmm-objs  += vmm/bus.o vmm/machine.o vmm/acpi_tables.o            # its board
vmm-objs  += vmm/cpuid.o vmm/msr.o vmm/insn_decode.o vmm/mmio.o vmm/pagewalk.o   # its CPU
vmm-objs  += vmm/clock.o vmm/trace.o vmm/image.o vmm/load_linux.o vmm/load_multiboot.o

dev-objs  := vmm/dev/vlapic.o vmm/dev/vpic.o vmm/dev/vioapic.o    # interrupt controllers
dev-objs  += vmm/dev/vpit.o vmm/dev/vrtc.o vmm/dev/vpm.o vmm/dev/vuart.o vmm/dev/exitport.o
dev-objs  += vmm/dev/pci.o vmm/dev/virtio.o vmm/dev/vring.o vmm/dev/vnet.o vmm/dev/vconsole.o vmm/dev/vrng.o

net-objs  := net/nic.o net/vswitch.o net/announce.o net/netif.o net/chan_tcp.o net/ctl.o net/http.o
mig-objs  := mig/mig.o mig/state.o mig/source.o mig/precopy.o mig/dest.o mig/wire.o mig/section.o mig/compat.o mig/sha256.o
drv-objs  := drivers/pci.o drivers/uart.o drivers/screen.o drivers/e1000.o
lib-objs  := lib/string.o lib/fmt.o lib/log.o lib/err.o lib/bitmap.o lib/crc32c.o lib/json.o lib/pages.o lib/task.o

objs := $(boot-objs) $(arch-objs) $(vmx-objs) $(vmm-objs) $(dev-objs) $(net-objs) $(mig-objs) $(drv-objs) $(lib-objs)
