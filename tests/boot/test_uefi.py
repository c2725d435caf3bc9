# SPDX-License-Identifier: MIT
"""The image as UEFI firmware boots it: OVMF on QEMU with AMD-V, from the ISO of `make iso`.

tests/firmware has the other ways to boot; they take longer.
"""

import os
import re

from lablib.iso import build_iso
from lablib.qemu import Qemu
from pc import boot

MIB = 1 << 20
GUEST_ENDED = r"godwit: stopped.*\n|powered off: .*\n|stopped by us: .*\n"


def test_uefi_boots_the_image_where_memory_is_free_and_a_guest_runs(image, directory, micro_guest):
    """OVMF keeps tables for ACPI at 8 MiB, which the image as it is linked would overlap."""
    iso = os.path.join(directory, "portable.iso")
    build_iso(iso, image, "node=t", micro_guest("hello"), portable=True)
    text = boot(directory, "uefi", "-cdrom", iso, "-net", "none", "-cpu", Qemu.cpu,
                until=GUEST_ENDED)
    assert "from UEFI" in text, text
    placed = re.search(r"image takes (\d+) KiB at 0x([0-9a-f]+)", text)
    assert int(placed[2], 16) + int(placed[1]) * 1024 <= 8 * MIB or int(placed[2], 16) > 8 * MIB
    assert re.search(r"memory: 2[45]\d MiB", text), text    # boot services' memory is ours now
    assert re.search(r"acpi: 1 CPUs, 1 IOAPICs", text), text
    assert re.search(r"boot: screen of 1024 x 768", text), text
    assert "self-test: ok       IOAPIC" in text, text
    assert "godwit: ready" in text and "panic" not in text, text
    assert "hello: its last words: PASS hello" in text, text
