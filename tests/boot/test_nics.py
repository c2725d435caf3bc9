# SPDX-License-Identifier: MIT
"""Every NIC driver against one contract (net/nic.h), on QEMU: boot/nictest.c in two cards at once.

Every length, each way and both, overrun, interrupts held back, the cable pulled and plugged in,
frames that are too long; the same with an MTU of 9000; on a bad wire also losses and frames that
nobody sent.  QEMU offers no queue shorter than 256 entries: shorter ones are in
tests/host/test_virtq.c.  `make check-nics` moves a million frames each way.
"""

import re

import pytest

import nicpair

FRAMES, JUMBO_FRAMES = 5000, 2000
pytestmark = pytest.mark.skipif(not nicpair.QEMU, reason="no qemu-system-x86_64")

CARDS = {                               # name: (devices, words, how it interrupts)
    "e1000": (["e1000"] * 2, "", "IRQ"),
    "e1000e-msi": (["e1000e"] * 2, "", "MSI"),
    "e1000e-line": (["e1000e"] * 2, "irq=line", "IRQ"),
    "e1000e-poll": (["e1000e"] * 2, "irq=poll", "polled"),
    "virtio-256-msix": (["virtio-net-pci,disable-legacy=on"] * 2, "", "MSI-X"),
    "virtio-1024-line": (["virtio-net-pci,vectors=0,rx_queue_size=1024"] * 2, "", "IRQ"),
    "virtio-plain": (["virtio-net-pci,mrg_rxbuf=off,rx_queue_size=512"] * 2, "", "MSI-X"),
    "virtio-poll": (["virtio-net-pci"] * 2, "irq=poll", "polled"),
}


UNTOLD = {"virtio-plain"}               # the device drops what fits no buffer without a word


@pytest.mark.parametrize("name", CARDS)
def test_card_keeps_the_contract(image, directory, name):
    devices, words, interrupts = CARDS[name]
    text = nicpair.run(image, directory, devices, f"nics-{FRAMES}-link-jumbo", words=words)
    assert nicpair.passed(text), text[-3000:]
    assert len(re.findall(rf"nic[01]: .*, {interrupts}\b", text)) == 2, text
    counted = 0 if name in UNTOLD else nicpair.JUMBO_FRAMES
    assert text.count(f"handed up 1 frames, counted {counted}\n") == 2, text[-3000:]


JUMBO_CARDS = {"e1000": "e1000", "e1000e": "e1000e", "virtio-256": "virtio-net-pci",
               "virtio-1024": "virtio-net-pci,rx_queue_size=1024"}
JUMBO_MTU = "mtu=nic0,9000 mtu=nic1,9000"


@pytest.mark.parametrize("name", JUMBO_CARDS)
def test_card_keeps_the_contract_with_an_mtu_of_9000(image, directory, name):
    text = nicpair.run(image, directory, [JUMBO_CARDS[name]] * 2,
                       f"nics-{JUMBO_FRAMES}-link-jumbo", words=JUMBO_MTU, jumbo_len=9100)
    assert nicpair.passed(text), text[-3000:]
    assert text.count(": MTU 9000\n") == 2, text
    assert text.count(f"handed up 1 frames, counted {nicpair.JUMBO_FRAMES}\n") == 2, text[-3000:]


@pytest.mark.parametrize("device, words, sentence", [
    ("virtio-net-pci,mrg_rxbuf=off,rx_queue_size=512", JUMBO_MTU,
     "has buffers of 4096 bytes and merges none: not enough for an MTU of 9000"),
    ("virtio-net-pci,host_mtu=4000", JUMBO_MTU, "has an MTU of 4000 at most, not 9000"),
    ("e1000", "mtu=nic0,9000 mtu=52:54:00:00:00:01,4000", "nic0 has an MTU already"),
    ("e1000", "mtu=nic2,9000", "mtu=nic2: this machine has no such NIC"),
], ids=["plain", "host_mtu", "twice", "nobody"])
def test_mtu_that_a_card_cannot_have_is_refused(image, directory, device, words, sentence):
    text = nicpair.run(image, directory, [device] * 2, "nics-1", words=words)
    assert sentence in text and "godwit: stopped" in text


@pytest.mark.parametrize("devices", [["e1000", "virtio-net-pci"], ["e1000e", "virtio-net-pci"]],
                         ids=lambda devices: devices[0])
def test_bad_wire_breaks_nothing(image, directory, devices):
    text = nicpair.run(image, directory, devices, f"nics-{FRAMES}-lossy", bad=True)
    assert nicpair.passed(text), text[-3000:]
    lost = [int(n) for n in re.findall(r"nics: (?:nic|both).* (\d+) lost", text)]
    assert len(lost) == 3 and min(lost) > 0, text[-3000:]


def test_old_interface_of_virtio_is_refused(image, directory):
    text = nicpair.run(image, directory, ["virtio-net-pci,disable-modern=on"] * 2, "nics-1")
    assert "has not the registers of virtio 1" in text and "godwit: stopped" in text
