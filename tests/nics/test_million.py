# SPDX-License-Identifier: MIT
"""A million frames each way through every NIC driver, on QEMU: `make check-nics`."""

import pytest

import nicpair

FRAMES = 1_000_000
LIMIT_S = 3600
CARDS = {
    "e1000": "e1000", "e1000e": "e1000e", "virtio-256": "virtio-net-pci",
    "virtio-1024-line": "virtio-net-pci,vectors=0,rx_queue_size=1024",
}


@pytest.mark.parametrize("name", CARDS)
def test_million_frames_each_way(image, directory, name):
    text = nicpair.run(image, directory, [CARDS[name]] * 2, f"nics-{FRAMES}-link-jumbo",
                       limit_s=LIMIT_S)
    assert nicpair.passed(text), text[-3000:]
