# SPDX-License-Identifier: MIT
"""One image, as a CD and as a disk (what a USB stick is), by BIOS and by UEFI."""

import os

import pytest

from lablib.iso import Module, build_iso
from pc import boot


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("medium", ["cd", "disk", "usb"])
def test_the_image_boots(image, directory, firmware, medium):
    iso = os.path.join(directory, "portable.iso")
    payload = os.path.join(directory, "payload")
    with open(payload, "w", encoding="ascii") as f:
        f.write("x" * 100000)
    build_iso(iso, image, "node=t", [Module(payload, "file x")], portable=True)
    options = {
        "cd": ["-cdrom", iso],
        "disk": ["-drive", f"file={iso},format=raw,snapshot=on"],
        "usb": ["-drive", f"file={iso},format=raw,if=none,id=stick,snapshot=on",
                "-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=1"],
    }[medium]
    text = boot(directory, firmware, *options, "-net", "none")
    assert f"from {firmware.upper()}, 1 modules, command line: node=t" in text, text
    assert "panic" not in text
