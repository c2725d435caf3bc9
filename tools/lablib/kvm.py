# SPDX-License-Identifier: MIT
"""Can a hypervisor run under this machine's KVM?  Found out by doing it (kvm_probe.S)."""

import functools
import os
import subprocess
import tempfile
from dataclasses import dataclass

from .proc import LabError

PROBE_S = 60
ANSWER_PORT = 0xf4
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kvm_probe.S")
ANSWERS = {1: "", 2: "VT-x", 3: "AMD-V"}        # of kvm_probe.S


@dataclass
class Found:
    offers: str                         # "VT-x", "AMD-V", or "" when there is no nested KVM
    refusal: str = ""                   # then why


def _assemble(folder):
    image, made = os.path.join(folder, "probe.bin"), os.path.join(folder, "probe.o")
    try:
        for command in (["gcc", "-m32", "-c", "-o", made, SOURCE],
                        ["ld", "-m", "elf_i386", "-Ttext=0", "-e", "0", "--oformat", "binary",
                         "-o", image, made]):
            subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise LabError("gcc is not installed; run tools/setup") from None
    except subprocess.CalledProcessError as e:
        raise LabError(f"{SOURCE} does not assemble: {e.stderr.strip()}") from None
    return image


def run_probe(*processor):
    """Run kvm_probe.S on QEMU with these options for accelerator and CPU; what it said, or None."""
    with tempfile.TemporaryDirectory(prefix="godwit-probe.") as folder:
        command = ["qemu-system-x86_64", *processor, "-machine", "pc", "-m", "16", "-nodefaults",
                   "-display", "none", "-no-reboot", "-bios", _assemble(folder),
                   "-device", f"isa-debug-exit,iobase={ANSWER_PORT:#x},iosize=1"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  check=False, timeout=PROBE_S)
        except (OSError, subprocess.TimeoutExpired):
            return None
    return ANSWERS.get(done.returncode >> 1) if done.returncode & 1 else None


@functools.lru_cache
def probe():
    """Once a program: it takes a tenth of a second."""
    if not os.path.exists("/dev/kvm"):
        return Found("", "there is no /dev/kvm")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Found("", "you may not open /dev/kvm")
    said = run_probe("-accel", "kvm", "-cpu", "host")
    if said is None:
        return Found("", "/dev/kvm exists, but a hypervisor's first steps fail under it")
    if not said:
        return Found("", "this machine's KVM gives its guests neither VT-x nor AMD-V (on hardware: "
                     "load kvm_intel or kvm_amd with nested=1)")
    return Found(said)
