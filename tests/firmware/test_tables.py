# SPDX-License-Identifier: MIT
"""What the firmware's ACPI tables say reaches the log: NUMA domains, IOMMUs, how to switch off."""

import os
import re

import pytest

from lablib.iso import build_iso
from pc import boot

NUMA = [word for node in "01" for word in (
    "-object", f"memory-backend-ram,id=m{node},size=128M",
    "-numa", f"node,memdev=m{node},cpus={node}")]


@pytest.mark.parametrize("options,says", [
    (["-M", "q35", "-smp", "2", *NUMA], "2 CPUs.*\n.*2 proximity domains"),
    (["-M", "q35", "-device", "intel-iommu"], r"1 IOMMUs \(VT-d\), not used"),
    (["-M", "q35", "-device", "amd-iommu"], r"1 IOMMUs \(AMD's\), not used"),
    (["-M", "q35"], "power off by S5, reset register there, 0 proximity domains"),
    (["-M", "pc"], "power off by S5, reset register not there"),
])
def test_tables_of_qemu_are_told(image, directory, options, says):
    iso = os.path.join(directory, "boot.iso")
    build_iso(iso, image, "node=t virt=off")
    text = boot(directory, "bios", "-cdrom", iso, "-net", "none", *options)
    assert re.search(f"acpi: .*{says}", text), text
