# SPDX-License-Identifier: MIT
"""The backends qemu and kvm: QEMU's PC with AMD-V by emulation, or with this machine's own CPU.

Both are one machine; what differs is the accelerator and the CPU.  docs/lab.md says what QEMU's
AMD-V is like.
"""

import math
import os
import shutil
import time

from . import kvm
from .machine import BOOT_EPOCH
from .proc import LabError

QEMU = "qemu-system-x86_64"
NICS = {                                # model: QEMU's device, and how the lab wants it
    "e1000": "e1000",
    "e1000e": "e1000e",
    "virtio-net": "virtio-net-pci,disable-legacy=on",
}
SHUTDOWN_PORT = 0x8900                  # where Bochs expects "Shutdown"; here one byte is enough
NS_PER_S = 1_000_000_000
ICOUNT_SHIFT_MAX = 10                   # QEMU's: an instruction takes 2^shift ns


def value(text):
    """A value in an option of QEMU, where a comma ends one."""
    return text.replace(",", ",,")


class Qemu:
    """QEMU 7.2 as Debian builds it, without any KVM."""

    name = "qemu"
    offers = "AMD-V, emulated"
    cpu = "EPYC-Rome,+svm,+npt"         # an AMD by its CPUID, too

    def missing(self):
        """Why this machine cannot run it, or ""."""
        return "" if shutil.which(QEMU) else f"no {QEMU}; run tools/setup"

    def check(self, machine):
        if machine.memory < 1:
            raise LabError(f"a host has at least 1 MiB of memory, not {machine.memory}")
        for nic in machine.nics:
            if nic.model.partition(",")[0] not in NICS:
                raise LabError(f"the lab knows no NIC {nic.model!r}, but {', '.join(NICS)}")

    # --- what differs between qemu and kvm ----------------------------------------------

    def _processor(self, m):
        """The accelerator, the CPU and the clock: real time, or a count of instructions."""
        if m.sync == "slowdown":
            # With a thread for each CPU QEMU 7.2 loses its way after #VMEXIT: docs/lab.md.
            thread = "multi" if m.cpus == 1 else "single"
            return ["-accel", f"tcg,thread={thread}", "-cpu", m.cpu_model or self.cpu]
        shift = min(max(round(math.log2(NS_PER_S / m.ips)), 0), ICOUNT_SHIFT_MAX)
        sleep = "off" if m.sync == "none" else "on"
        return ["-accel", "tcg,thread=single", "-cpu", m.cpu_model or self.cpu,
                "-icount", f"shift={shift},sleep={sleep}"]

    # --- the machine --------------------------------------------------------------------

    @staticmethod
    def _nics(machine):
        words = []
        for number, nic in enumerate(machine.nics):
            model, _, properties = nic.model.partition(",")
            words += ["-netdev",
                      f"tap,id=net{number},ifname={nic.tap},script=no,downscript=no",
                      "-device", ",".join([NICS[model], f"netdev=net{number}", f"mac={nic.mac}",
                                           "romfile=", *properties.split(",")]).rstrip(",")]
        return words

    @staticmethod
    def _boot_from(m):
        return ["-drive", f"file={value(m.iso)},format=raw,media=cdrom,if=ide,readonly=on",
                "-boot", "d"]

    @staticmethod
    def _com1(m):
        if m.serial == "file":
            return ["-chardev", f"file,id=com1,path={value(m.serial_log)}",
                    "-serial", "chardev:com1"]
        return ["-chardev", f"socket,id=com1,host=127.0.0.1,port={m.serial}",
                "-serial", "chardev:com1"]

    def _command(self, m):
        began = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BOOT_EPOCH))
        return [QEMU, "-machine", "pc", *self._processor(m), "-smp", str(m.cpus),
                "-m", f"{m.memory}M", "-nodefaults", "-no-user-config", "-vga", "std",
                "-display", "none", "-no-reboot", "-rtc", f"base={began},clock=vm",
                *(["-bios", m.bios] if m.bios else []),
                *self._boot_from(m), *self._com1(m), *self._nics(m),
                "-device", f"isa-debug-exit,iobase={SHUTDOWN_PORT:#x},iosize=1"]

    def prepare(self, machine):
        """Write the machine's files; returns (command, environment) that run it."""
        self.check(machine)
        open(machine.serial_log, "w", encoding="ascii").close()
        return self._command(machine), dict(os.environ)

    def final_tick(self, _):
        """QEMU does not say."""
        return None


class Kvm(Qemu):
    """The same machine with this machine's CPU: nested virtualisation by KVM."""

    name = "kvm"
    offers = "what this machine's CPU has, VT-x or AMD-V, by nested KVM"
    cpu = "host,migratable=off"         # the invariant TSC, too

    def missing(self):
        found = super().missing()
        return found or kvm.probe().refusal

    def _processor(self, m):
        return ["-accel", "kvm", "-cpu", m.cpu_model or self.cpu]
