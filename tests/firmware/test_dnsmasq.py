# SPDX-License-Identifier: MIT
"""The lines for dnsmasq in docs/hardware-lab.md, as they stand there, boot a machine.

In a network namespace: a bridge with the machine's tap and the manager's port, where dnsmasq runs;
for proxy DHCP another dnsmasq on another port gives addresses and knows nothing of booting.
"""

import os
import re
import shutil
import time

import pytest

from conftest import TOP
from lablib import net, pxe
from lablib.proc import LabError, Records
from pc import SAID_ITS_SENTENCE, Pc, needs

DNSMASQ = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin")
MAC = "52:54:00:77:aa:01"
OTHERS_DHCP = """port=0
interface=other
bind-interfaces
dhcp-authoritative
dhcp-range=10.77.0.100,10.77.0.199,1h
"""
READY_S = 30
pytestmark = pytest.mark.skipif(not DNSMASQ, reason="no dnsmasq")


def documented(heading, folder):
    """The block of the page that begins with the comment `heading`, for our names."""
    with open(os.path.join(TOP, "docs/hardware-lab.md"), encoding="utf-8") as f:
        block = re.search(rf"^    # {heading}\n((?:    .*\n)+)", f.read(), re.MULTILINE)[1]
    text = re.sub(r"^    ", "", block, flags=re.MULTILINE)
    return text.replace("interface=eth0", "interface=client").replace("/srv/godwit", folder)


class Wire:
    """A namespace with a bridge, and what runs in it."""

    def __init__(self, directory):
        self.directory = directory
        self.records = Records(os.path.join(directory, "pids"))
        self.pid = net.hold(self.records).pid
        net.build(self.pid, [["t0"]])
        net.run(self.pid, "ip", "link", "add", "other", "type", "veth", "peer", "name", "other-br")
        net.run(self.pid, "ip", "link", "set", "other-br", "master", "br0", "up")
        net.run(self.pid, "ip", "link", "set", "other", "up")
        net.run(self.pid, "ip", "address", "add", "10.77.0.2/24", "dev", "other")

    def dnsmasq(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path + ".conf", "w", encoding="utf-8") as f:
            f.write(text)
        self.records.spawn(name, [*net.enter_command(self.pid), DNSMASQ, "-k", "-C",
                                  path + ".conf", "--user=root", "--leasefile-ro",
                                  f"--log-facility={path}.log", f"--pid-file={path}.pid"])
        deadline = time.monotonic() + READY_S
        while not os.path.exists(path + ".pid"):
            assert time.monotonic() < deadline, f"dnsmasq does not start: {path}.log"
            time.sleep(0.1)


@pytest.fixture
def wire(directory):
    try:
        one = Wire(directory)
    except LabError as e:
        pytest.skip(str(e))
    yield one
    one.records.kill_all()


@pytest.mark.parametrize("firmware,card", [("bios", "virtio-net-pci"), ("uefi", "e1000")])
@pytest.mark.parametrize("dhcp", ["full DHCP", "proxy DHCP"])
def test_a_machine_boots_by_the_documented_lines(image, directory, wire, firmware, card, dhcp):
    needs(firmware)
    folder = os.path.join(directory, "tftp")
    pxe.build(folder, image, [pxe.Host(MAC, "node=mine virt=off")], "node=other",
              server="10.77.0.1" if dhcp == "proxy DHCP" else None)
    if dhcp == "proxy DHCP":
        wire.dnsmasq("others-dhcp", OTHERS_DHCP)
    wire.dnsmasq("dnsmasq", documented(dhcp, folder))
    with Pc(directory, firmware, ["-netdev", "tap,id=n,ifname=t0,script=no,downscript=no",
                                  "-device", f"{card},netdev=n,mac={MAC},bootindex=1",
                                  "-boot", "n"], enter=net.enter_command(wire.pid)) as pc:
        text = pc.wait_for(SAID_ITS_SENTENCE)
    assert "command line: node=mine virt=off" in text, text
