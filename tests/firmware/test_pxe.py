# SPDX-License-Identifier: MIT
"""Booting over the network: the folder of `make pxe`, served by QEMU's own DHCP and TFTP."""

import json
import os

import pytest

from lablib import pxe
from pc import boot

MAC = "52:54:00:77:aa:01"
STRANGER = "52:54:00:77:aa:02"
BOOT_FILE = {"bios": "/boot/grub/i386-pc/core.0", "uefi": "/boot/grub/x86_64-efi/core.efi"}


@pytest.fixture
def folder(image, directory):
    """A TFTP folder with one host that has a module, and a default."""
    vm = os.path.join(directory, "vm.json")
    with open(os.path.join(directory, "payload"), "w", encoding="ascii") as f:
        f.write("x" * 3000)
    with open(vm, "w", encoding="utf-8") as f:
        json.dump({"name": "x", "memory": 16, "boot": {"multiboot": "payload"}, "nics": []}, f)
    hosts = os.path.join(directory, "hosts.json")
    with open(hosts, "w", encoding="utf-8") as f:
        json.dump([{"mac": MAC.upper(), "cmdline": "node=mine", "vms": ["vm.json"]}], f)
    out = os.path.join(directory, "tftp")
    pxe.build(out, image, pxe.read_hosts(hosts), "node=other")
    return out


def network_boot(directory, folder, firmware, card, mac):
    return boot(directory, firmware, "-netdev",
                f"user,id=n,tftp={folder},bootfile={BOOT_FILE[firmware]}", "-device",
                f"{card},netdev=n,mac={mac},bootindex=1", "-boot", "n")


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("card", ["e1000", "virtio-net-pci"])
def test_a_host_boots_its_own_configuration(directory, folder, firmware, card):
    text = network_boot(directory, folder, firmware, card, MAC)
    assert f"from {firmware.upper()}, 2 modules, command line: node=mine" in text, text


def test_a_machine_that_nobody_listed_boots_the_default(directory, folder):
    text = network_boot(directory, folder, "bios", "virtio-net-pci", STRANGER)
    assert "0 modules, command line: node=other" in text, text


def test_the_folder_is_replaced_but_never_a_strangers(image, directory, folder):
    pxe.build(folder, image, [], "node=new")
    with open(os.path.join(folder, "boot/grub/default.cfg"), encoding="utf-8") as f:
        assert "'node=new'" in f.read()
    with pytest.raises(pxe.LabError, match="was not made by this command"):
        pxe.build(directory, image, [], "node=new")
