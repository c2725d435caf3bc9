# SPDX-License-Identifier: MIT
"""Is this a machine on which Godwit can run under nested KVM, at full speed?"""

import os
from dataclasses import dataclass


@dataclass
class Found:
    usable: bool
    sentence: str


def _nested():
    """The loaded KVM module that offers nesting, the one that could but does not, or None."""
    for module in ("kvm_intel", "kvm_amd"):
        try:
            with open(f"/sys/module/{module}/parameters/nested", encoding="ascii") as f:
                return module, f.read().strip() in ("Y", "1")
        except OSError:
            continue
    return None, False


def check():
    module, nested = _nested()
    if not os.path.exists("/dev/kvm"):
        return Found(False, "no nested KVM: there is no /dev/kvm")
    if not module:
        return Found(False, "no nested KVM: /dev/kvm exists, but no KVM module says that it nests")
    if not nested:
        return Found(False, f"no nested KVM: load {module} with nested=1")
    if module == "kvm_amd":
        return Found(False, "nested KVM is here, but on AMD-V; Godwit knows VT-x only")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Found(False, "nested KVM is here, but you may not open /dev/kvm")
    return Found(True, "nested KVM on VT-x is here")


def line(iso="build/lab/a/boot.iso"):
    """The command that runs one host there, from the image that `lab up` built for node a."""
    return ("qemu-system-x86_64 -accel kvm -cpu host,+vmx -m 512 -display none -serial stdio "
            f"-cdrom {iso} -nic tap,ifname=TAP,script=no,downscript=no,model=e1000")
