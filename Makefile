# SPDX-License-Identifier: MIT
#
# The contents page of Godwit: every object by layer, in reading order, then the rules.
# `make help` prints what can be made.

BUILD  ?= build
V      ?= @

# --- The image: godwit.elf -------------------------------------------------------------------

boot-objs := boot/multiboot2.o boot/relocate.o                  # first instructions
boot-objs += boot/main.o                                        # the boot list
boot-objs += boot/mbinfo.o boot/cmdline.o                       # what GRUB gave us: modules, words
boot-objs += boot/memmap.o boot/memory.o                        # which RAM is there, and for whom
boot-objs += boot/vendor.o boot/novirt.o boot/selftest.o         # what this machine can do
boot-objs += boot/crashtest.o                                   # breaking it on purpose
boot-objs += boot/virttest.o boot/virttest_guest.o              # the vendor's door by itself,
boot-objs += boot/virttest_defences.o boot/virttest_task.o      # with all sets of defences
boot-objs += boot/nicwire.o boot/nictest.o                       # what every NIC must do
boot-objs += boot/bench_net.o                                   # frames against TCP
boot-objs += boot/shutdown.o                                    # off, on request
boot-objs += boot/wire.o boot/vmdef.o                           # modules meet; VM definitions
boot-objs += boot/commands.o boot/describe.o                    # control requests, and answers

arch-objs := arch/x86_64/cpu.o arch/x86_64/trap.o               # segments, exceptions
arch-objs += arch/x86_64/idt.o arch/x86_64/panic.o              # and the last screen
arch-objs += arch/x86_64/msr_try.o                              # a register that may be missing
arch-objs += arch/x86_64/paging.o arch/x86_64/stack.o           # our own map, stacks
arch-objs += arch/x86_64/switch.o arch/x86_64/memops.o          # tasks; memory moves
arch-objs += arch/x86_64/acpi.o arch/x86_64/acpi_irq.o          # where chips are
arch-objs += arch/x86_64/acpi_power.o arch/x86_64/acpi_topology.o
arch-objs += arch/x86_64/apic.o
arch-objs += arch/x86_64/ioapic.o arch/x86_64/irq.o             # interrupts
arch-objs += arch/x86_64/calibrate.o arch/x86_64/timer.o        # the clock
arch-objs += arch/x86_64/reset.o arch/x86_64/watchdog.o         # off, again; stuck
arch-objs += arch/x86_64/entropy.o                              # random numbers
arch-objs += arch/x86_64/hazards.o                              # mistakes of CPUs
arch-objs += arch/x86_64/smp.o arch/x86_64/ap.o                 # the other CPUs

vmx-objs  := arch/x86_64/vmx/vmx_probe.o arch/x86_64/vmx/vmx.o  # what is there; the ops
vmx-objs  += arch/x86_64/vmx/vmx_resolve.o                      # exits of VT-x's own
vmx-objs  += arch/x86_64/vmx/vmcs.o                             # a VMCS, built from data
vmx-objs  += arch/x86_64/vmx/vmx_decode.o                       # raw fields to struct exit
vmx-objs  += arch/x86_64/vmx/vmx_check.o                        # entry rules, as text
vmx-objs  += arch/x86_64/vmx/ept.o arch/x86_64/vmx/vmx_state.o arch/x86_64/vmx/vmx_entry.o

svm-objs  := arch/x86_64/svm/svm_probe.o arch/x86_64/svm/svm.o  # its twin for AMD-V
svm-objs  += arch/x86_64/svm/svm_resolve.o arch/x86_64/svm/svm_events.o
svm-objs  += arch/x86_64/svm/vmcb.o
svm-objs  += arch/x86_64/svm/svm_decode.o
svm-objs  += arch/x86_64/svm/svm_check.o
svm-objs  += arch/x86_64/svm/npt.o arch/x86_64/svm/svm_asid.o
svm-objs  += arch/x86_64/svm/svm_state.o arch/x86_64/svm/svm_entry.o

vmm-objs  := vmm/vm_config.o vmm/vm.o vmm/vm_parts.o            # life of a VM: create, run,
vmm-objs  += vmm/vcpu.o vmm/vcpu_state.o vmm/exit.o             # why it came back,
vmm-objs  += vmm/virt.o vmm/dump.o vmm/fault.o                  # why it stopped
vmm-objs  += vmm/cpu_state.o                                    # what a CPU is
vmm-objs  += vmm/mem.o vmm/stage2.o vmm/dirty.o                 # its memory; changed pages
vmm-objs  += vmm/guest_mode.o                                   # which CPUs are inside
vmm-objs  += vmm/io.o vmm/bus.o vmm/machine.o                   # its board,
vmm-objs  += vmm/acpi_tables.o vmm/acpi_dsdt.o vmm/acpi_writer.o # its board
vmm-objs  += vmm/cpu_baseline.o vmm/cpuid.o vmm/cpuid_compare.o   # the CPU it
vmm-objs  += vmm/vm_cpu.o                                       # is shown,
vmm-objs  += vmm/msr.o vmm/insn_decode.o vmm/mmio.o vmm/pagewalk.o  # its CPU,
vmm-objs  += vmm/tss.o                                  # also as of 1985
vmm-objs  += vmm/sysenter.o                             # where the CPU has none
vmm-objs  += vmm/clock.o vmm/kvmclock.o vmm/trace.o             # its time, and what happened
vmm-objs  += vmm/image.o vmm/memmap.o                           # payloads,
vmm-objs  += vmm/load_linux.o vmm/load_multiboot.o              # and how a guest gets them

dev-objs  := vmm/dev/vlapic.o vmm/dev/vlapic_timer.o vmm/dev/vpic.o vmm/dev/vioapic.o  # interrupts
dev-objs  += vmm/dev/vpit.o vmm/dev/vrtc.o vmm/dev/vpm.o        # time and power
dev-objs  += vmm/dev/console.o vmm/dev/vuart.o vmm/dev/exitport.o  # what a guest says
dev-objs  += vmm/dev/pci.o vmm/dev/msix.o                       # PCI: configuration space, MSI-X
dev-objs  += vmm/dev/vring.o vmm/dev/virtio.o                   # virtio: queues, transport
dev-objs  += vmm/dev/vnet.o vmm/dev/vconsole.o vmm/dev/vrng.o   # and its devices

net-objs  := net/nic.o net/vswitch.o net/segment.o net/announce.o net/netif.o
net-objs  += net/rxq.o net/endpoint.o net/chan_tcp.o
net-objs  += net/ctl.o net/session.o net/route.o net/http.o     # the control service
net-objs  += net/lwip_port/port.o net/lwip_port/checksum.o      # what lwIP asks of us
net-objs  += net/lwip_port/repair.o net/lwip_port/frag.o        # and what it does not do
mig-objs  := mig/mig.o mig/state.o mig/memory.o                 # who owns the guest
mig-objs  += mig/source.o mig/precopy.o                         # the side that sends
mig-objs  += mig/visit.o mig/dest.o                             # the side that receives
mig-objs  += mig/stream.o mig/wire.o mig/hello.o                # bytes
mig-objs  += mig/section.o mig/compat.o mig/ramhash.o mig/link.o # devices, checks, the wire's rate
drv-objs  := drivers/pci.o drivers/pci_irq.o drivers/uart.o drivers/rtc.o
drv-objs  += drivers/screen.o drivers/font.o
drv-objs  += drivers/gbe.o drivers/gbe_rx.o drivers/e1000.o drivers/e1000e.o    # network cards
drv-objs  += drivers/virtq.o drivers/virtio_pci.o drivers/virtio_net.o drivers/virtio_net_tx.o
drv-objs  += drivers/nics.o
lib-objs  := lib/string.o lib/fmt.o lib/log.o lib/err.o lib/bitmap.o
lib-objs  += lib/crc32c.o lib/json.o lib/pages.o lib/random.o
lib-objs  += lib/cpu.o lib/task.o                               # CPUs and their lock; tasks

objs := $(boot-objs) $(arch-objs) $(vmx-objs) $(svm-objs) $(vmm-objs) $(dev-objs)
objs += $(net-objs) $(mig-objs) $(drv-objs) $(lib-objs)

# --- How it is compiled ----------------------------------------------------------------------

CC       := gcc
gccinc   := $(shell $(CC) -print-file-name=include)
tp       := $(BUILD)/third_party
warn     := -Wall -Wextra -Werror -Wmissing-prototypes -Wshadow -Wpointer-arith -Wundef
# The guest's FPU registers stay live while the host runs: general registers only, everywhere.
target   := -std=gnu11 -O2 -g -ffreestanding -fbuiltin -nostdinc \
            -isystem $(gccinc) -isystem lib/libc \
            -mno-red-zone -mgeneral-regs-only -mcmodel=small -fpie \
            -fno-stack-protector \
            -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-strict-aliasing \
            -ffunction-sections -fdata-sections -fcf-protection=none
includes := -I. -I$(tp)/jsmn -I$(tp)/picohttpparser -I$(tp)/lwip/src/include -Inet/lwip_port
CFLAGS   := $(target) $(warn) $(includes)
LDFLAGS  := -nostdlib -static-pie -Wl,-z,norelro -Wl,--gc-sections -Wl,--build-id=none \
            -Wl,-z,noexecstack -Wl,-z,max-page-size=4096

.DEFAULT_GOAL := all
.PHONY: all help clean
all: $(BUILD)/godwit.elf                 ## the hypervisor's image (default)

help:                                    ## this list
	@awk -F':.*## ' '/^[a-z_-]+:.*## /{ printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(V)$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(V)$(CC) $(target) -I. -MMD -MP -c $< -o $@

$(BUILD)/lib/crc32c.o: CFLAGS += -mcrc32
# These define the functions that gcc would otherwise recognise in their loops.
$(BUILD)/lib/string.o: CFLAGS += -fno-builtin -fno-tree-loop-distribute-patterns

# Third-party sources: Debian's source packages, fetched and checked by tools/fetch.
$(tp)/.fetched: tools/fetch
	$(V)GODWIT_THIRD_PARTY=$(abspath $(tp)) tools/fetch
	@touch $@

lwip-core := init def inet_chksum ip mem memp netif pbuf stats tcp tcp_in tcp_out timeouts udp
lwip-ipv4 := dhcp etharp icmp ip4_frag ip4 ip4_addr
lwip-ipv6 := ethip6 icmp6 inet6 ip6 ip6_addr ip6_frag mld6 nd6
lwip-objs := $(patsubst %,$(tp)/lwip/src/core/%.o,\
             $(lwip-core) $(lwip-ipv4:%=ipv4/%) $(lwip-ipv6:%=ipv6/%))
tp-objs   := $(lwip-objs) $(tp)/lwip/src/netif/ethernet.o $(tp)/picohttpparser/picohttpparser.o

# Foreign code is compiled as ours is, without our warnings.
$(tp-objs:.o=.c): $(tp)/.fetched ;
$(tp-objs): %.o: %.c
	$(V)$(CC) $(target) $(includes) -w -MMD -MP -c $< -o $@

image-objs := $(addprefix $(BUILD)/,$(objs))
$(image-objs): | $(tp)/.fetched
$(image-objs) $(tp-objs): Makefile       # other flags make other code

# With symbols for gdb and addr2line; GRUB loads the stripped one.
$(BUILD)/godwit.debug: linker.ld $(image-objs) $(tp-objs)
	$(V)$(CC) $(LDFLAGS) -T linker.ld $(image-objs) $(tp-objs) -o $@

$(BUILD)/godwit.elf: $(BUILD)/godwit.debug
	$(V)objcopy --strip-all $< $@

# --- Host tests: every pure file under AddressSanitizer and UBSan, one program a test file ----

host-cflags  := -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
                -fno-omit-frame-pointer \
                -mcrc32 $(warn) -I. -I$(tp)/jsmn -I$(tp)/picohttpparser
host-sources := $(wildcard tests/host/test_*.c tests/fuzz/test_*.c)
host-tests   := $(addprefix $(BUILD)/host/,$(notdir $(host-sources:.c=)))
# Pure objects, linked into each test as needed from an archive.
pure-objs    := lib/fmt.o lib/log.o lib/err.o lib/bitmap.o lib/crc32c.o lib/json.o lib/pages.o
pure-objs    += lib/cpu.o vmm/guest_mode.o
pure-objs    += vmm/bus.o vmm/clock.o vmm/kvmclock.o vmm/trace.o vmm/image.o vmm/memmap.o
pure-objs    += vmm/cpu_baseline.o vmm/cpuid_compare.o vmm/vm_cpu.o
pure-objs    += vmm/cpuid.o vmm/msr.o vmm/insn_decode.o vmm/mmio.o vmm/pagewalk.o vmm/io.o
pure-objs    += vmm/vm_config.o vmm/vm.o vmm/vm_parts.o vmm/vcpu.o vmm/exit.o
pure-objs    += vmm/virt.o vmm/dump.o
pure-objs    += vmm/vcpu_state.o
pure-objs    += vmm/load_linux.o vmm/load_multiboot.o vmm/fault.o
pure-objs    += vmm/tss.o vmm/sysenter.o
pure-objs    += net/vswitch.o net/segment.o net/announce.o net/nic.o net/endpoint.o
pure-objs    += net/lwip_port/checksum.o
pure-objs    += net/session.o net/route.o net/http.o
pure-objs    += mig/state.o mig/wire.o mig/section.o mig/hello.o mig/compat.o mig/ramhash.o
pure-objs    += mig/link.o
pure-objs    += vmm/cpu_state.o vmm/mem.o vmm/stage2.o vmm/dirty.o
pure-objs    += $(dev-objs) lib/random.o
pure-objs    += vmm/machine.o vmm/acpi_tables.o vmm/acpi_dsdt.o vmm/acpi_writer.o
pure-objs    += boot/mbinfo.o boot/cmdline.o boot/memmap.o boot/vmdef.o
pure-objs    += drivers/virtq.o drivers/gbe_rx.o
pure-objs    += arch/x86_64/acpi.o arch/x86_64/acpi_irq.o arch/x86_64/acpi_power.o
pure-objs    += arch/x86_64/acpi_topology.o arch/x86_64/calibrate.o arch/x86_64/hazards.o
pure-objs    += arch/x86_64/vmx/vmx_decode.o arch/x86_64/vmx/vmx_check.o
pure-objs    += arch/x86_64/svm/svm_decode.o arch/x86_64/svm/svm_check.o
pure-objs    += arch/x86_64/svm/vmcb.o arch/x86_64/svm/svm_asid.o
pure-objs    += tests/host/support.o tests/host/fake_guest.o tests/host/race.o
pure-files   := $(wildcard $(pure-objs:.o=.c))
host-archive := $(BUILD)/host/pure.a

.PHONY: host-tests
host-tests: $(host-tests)                ## build the host's unit tests

$(BUILD)/host/obj/%.o: %.c
	@mkdir -p $(@D)
	$(V)$(CC) $(host-cflags) -MMD -MP -c $< -o $@

$(BUILD)/host/obj/picohttpparser.o: $(tp)/picohttpparser/picohttpparser.c
	@mkdir -p $(@D)
	$(V)$(CC) $(host-cflags) -w -c $< -o $@

$(host-archive): $(addprefix $(BUILD)/host/obj/,$(pure-files:.c=.o) picohttpparser.o)
	@rm -f $@
	$(V)ar rcs $@ $^

# Whole migrations bring a scheduler and a toy VM layer of their own, before the archive's.
two-hosts    := $(mig-objs) lib/task.o tests/host/two_hosts.o tests/host/chan_mem.o
$(addprefix $(BUILD)/host/,test_mig test_mig_strangers test_mig_peer test_mig_memory \
    test_fuzz_stream): \
    $(addprefix $(BUILD)/host/obj/,$(two-hosts))

# What sits on lwIP is tested on it: our files with lwIP's, which are compiled without our warnings.
host-lwip    := $(addprefix $(BUILD)/host/obj/,$(notdir $(lwip-objs)) ethernet.o)
host-lwip    += $(addprefix $(BUILD)/host/obj/net/,lwip_port/port.o lwip_port/repair.o \
    lwip_port/frag.o rxq.o)
host-includes := -I$(tp)/lwip/src/include -Inet/lwip_port -include sys/types.h
vpath %.c $(tp)/lwip/src/core $(tp)/lwip/src/core/ipv4 $(tp)/lwip/src/core/ipv6 \
    $(tp)/lwip/src/netif
$(addprefix $(BUILD)/host/obj/,$(notdir $(lwip-objs)) ethernet.o): $(BUILD)/host/obj/%.o: %.c \
    net/lwip_port/lwipopts.h
	@mkdir -p $(@D)
	$(V)$(CC) $(host-cflags) $(host-includes) -w -MMD -MP -c $< -o $@

$(addprefix $(BUILD)/host/obj/,net/netif.o net/chan_tcp.o net/rxq.o net/lwip_port/port.o \
    net/lwip_port/repair.o net/lwip_port/frag.o tests/host/test_netif.o \
    tests/host/test_chan_tcp.o): \
    host-cflags += $(host-includes)
$(BUILD)/host/test_netif: $(host-lwip) $(BUILD)/host/obj/net/netif.o
$(BUILD)/host/test_chan_tcp: $(host-lwip) $(BUILD)/host/obj/net/chan_tcp.o
$(BUILD)/host/test_task: $(BUILD)/host/obj/lib/task.o

$(BUILD)/host/test_%: $(BUILD)/host/obj/tests/host/test_%.o $(host-archive)
	$(V)$(CC) $(host-cflags) $(filter %.o,$^) $(host-archive) -lcmocka -lpthread -o $@

$(BUILD)/host/test_fuzz_%: $(BUILD)/host/obj/tests/fuzz/test_fuzz_%.o $(host-archive)
	$(V)$(CC) $(host-cflags) $(filter %.o,$^) $(host-archive) -lcmocka -lpthread -o $@

.PRECIOUS: $(BUILD)/host/obj/%.o

# --- Guests, tools, and what people run --------------------------------------------------------

include tests/guest/guests.mk            # micro-guests for tests: build/guest/*.elf

# A target that makes others first does not say of each that there was nothing to do.
quiet := --no-print-directory $(if $(V),-s)

.PHONY: iso usb pxe setup linux gwctl demo demo-cross check check-cross check-firmware check-guests
.PHONY: check-nics bench bench-peer soak
setup:                                   ## install what is needed, on Debian 12
	$(V)tools/setup

# For machines of your own: docs/boot.md, docs/hardware-lab.md.
CMDLINE ?= node=godwit
VMS     ?=
HOSTS   ?=
SERVER  ?=
media-vms := $(VMS:%=--vm %)

iso: $(BUILD)/godwit.elf                 ## boots by BIOS and UEFI; CMDLINE="..." VMS="FILE.json"
	$(V)tools/lab iso $(BUILD)/godwit.iso --image $< --cmdline "$(CMDLINE)" $(media-vms)

usb: iso                                 ## the same for a USB stick: dd if=build/godwit.img
	$(V)cp $(BUILD)/godwit.iso $(BUILD)/godwit.img && echo $(BUILD)/godwit.img

pxe: $(BUILD)/godwit.elf                 ## a TFTP folder, build/pxe; HOSTS=FILE.json CMDLINE="..."
	$(V)tools/lab pxe $(BUILD)/pxe --image $< --cmdline "$(CMDLINE)" \
	    $(HOSTS:%=--hosts %) $(SERVER:%=--server %)

linux: $(BUILD)/guests/demo.json         ## the demo's guest, from Debian's packages
$(BUILD)/guests/demo.json: $(shell find guests/linux -type f) tools/lablib/debian.py
	$(V)guests/linux/build --output $(@D)
	@touch $@

gwctl: $(BUILD)/gwctl                    ## the command line for people and scripts
gwctl-sources := $(wildcard tools/gwctl/*.c)
$(BUILD)/gwctl: $(gwctl-sources) $(wildcard tools/gwctl/*.h)
	@mkdir -p $(@D)
	$(V)$(CC) -std=gnu11 -O2 -g $(warn) -I. $(gwctl-sources) -lcurl -ljansson -o $@

demo: setup                              ## two hosts, a Linux guest, a migration: the story
	$(V)$(MAKE) $(quiet) all gwctl linux
	$(V)tools/demo --build $(BUILD)

demo-cross: setup                        ## the same from VT-x to AMD-V and back
	$(V)$(MAKE) $(quiet) all gwctl linux
	$(V)tools/demo --build $(BUILD) --cross

check: setup                             ## every test; ends with "N passed, N failed"
	$(V)$(MAKE) $(quiet) all gwctl linux guests host-tests
	$(V)tools/check --build $(BUILD)

check-cross: setup                       ## long test: Linux between vendors, ten moves under load
	$(V)$(MAKE) $(quiet) all gwctl linux
	$(V)tools/check --build $(BUILD) cross

check-firmware: setup                    ## booting by CD, disk, USB, network; BIOS and UEFI
	$(V)$(MAKE) $(quiet) all
	$(V)tools/check --build $(BUILD) firmware

check-guests: setup                      ## long tests: Linux with two CPUs moves, a DHCP lease ends
	$(V)$(MAKE) $(quiet) all gwctl linux guests
	$(V)tools/check --build $(BUILD) long

check-nics: setup                        ## long test: a million frames each way for each NIC
	$(V)$(MAKE) $(quiet) all
	$(V)tools/check --build $(BUILD) nics

soak: setup                              ## 50 moves back and forth, each page checked: minutes
	$(V)$(MAKE) $(quiet) all guests
	$(V)tools/soak --build $(BUILD)

bench: setup                             ## figures: instructions, ratios; build/bench.json
	$(V)$(MAKE) $(quiet) all gwctl linux guests
	$(V)tools/bench --build $(BUILD)

bench-peer: setup                        ## against Linux's KVM on the same hosts: 15 minutes
	$(V)$(MAKE) $(quiet) all linux guests
	$(V)tools/bench-peer --build $(BUILD)

clean:                                   ## remove everything that was built
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
