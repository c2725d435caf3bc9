# SPDX-License-Identifier: MIT
"""Debian's Linux moves while a client talks to it: its TCP connection, its memory and its clock.

Management, migrations and guests have networks of their own: on QEMU a VLAN each of the one card,
on Bochs, whose card cuts off frames as long as one with a tag may be, a card each.
"""

import json
import os
import subprocess
import sys

import pytest

import clocks
from conftest import BUILD, TOP
from lablib.api import ApiError
from moving import WAIT_S, hosts_up
from vlan_port import VlanPort

GUEST, MAC = "10.77.0.50", "52:54:00:77:01:01"
TALK_BYTES = 60000                      # of the guest, before and after: most is the stream's
GUEST_VLAN = 30
ONE_CARD = {"cmdline": "mig=nic0.20,10.78.0.11/24@a mig=nic0.20,10.78.0.12/24@b "
                       f"guest=nic0.{GUEST_VLAN}@b"}    # at a each guest says which it wants
CARD_EACH = {"nics": 3, "cmdline": "guest=nic2"}        # the lab gives mig=nic1,10.78.0.x/24
CUTS_TAGGED = {"bochs"}
MIG_WIRE = 1                            # 10.78.0.x: see Hosts.address()
BOOT_S = 1200                           # wall: Linux on an emulated host on a busy machine


def in_vlan(definition, path):
    """The same guest with its network card in GUEST_VLAN, as a file of ours."""
    with open(definition, encoding="utf-8") as f:
        d = json.load(f)
    for payload in ("kernel", "initrd"):
        d["boot"][payload] = os.path.join(os.path.dirname(definition), d["boot"][payload])
    d["nics"][0]["vlan"] = GUEST_VLAN
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(d, f)
    return path


@pytest.fixture(scope="module")
def hosts(backend):
    definition = os.path.join(BUILD, "guests/demo.json")
    if not os.path.exists(definition):
        pytest.fail(f"no {definition}: run make linux first", pytrace=False)
    name = f"test_linux.{backend}"
    if backend not in CUTS_TAGGED:
        definition = in_vlan(definition, os.path.join(BUILD, "check/files", f"{name}.json"))
    with hosts_up(name, backend=backend, memory=256, vms=[(definition, "a")],
                  **(CARD_EACH if backend in CUTS_TAGGED else ONE_CARD)) as h:
        h.wire = MIG_WIRE
        h.until(lambda: "guest: ready" in h.api.console("a", "demo")[0], BOOT_S, "Linux is not up")
        yield h


def bridge_sends_to(hosts, node):
    """The first RARP may come a moment after the source knows that the guest runs."""
    wire = len(hosts.lab.config()["wires"]) - 1         # the guests'; a card of a has that MAC, too

    def sends_to():
        return [entry["node"] for entry in hosts.lab.status()["fdb"]
                if (entry["mac"], entry["wire"]) == (MAC, wire)]
    hosts.until(lambda: sends_to() == [node], WAIT_S, f"the bridge does not send to node {node}")


def hears_from(hosts, node):
    """Until the guest at `node` has said enough; meanwhile nobody asks the node itself."""
    tap = hosts.lab.node(node)["nics"][-1]["tap"]

    def heard():
        said = hosts.lab.run(["ip", "-stats", "-json", "link", "show", "dev", tap],
                             capture_output=True, timeout=WAIT_S).stdout
        return json.loads(said)[0]["stats64"]["rx"]["bytes"]
    begin = heard()
    hosts.until(lambda: heard() > begin + TALK_BYTES, WAIT_S,
                f"the guest at node {node} does not talk", pause_s=0.5)


@pytest.fixture
def guests_wire(hosts, backend):
    """The client's interface in the network of the guest."""
    def route(name):
        words = ["ip", "route", "add", f"{GUEST}/32", "dev", name, "src", "10.77.0.1"]
        assert hosts.lab.run(words).returncode == 0
        return name
    if backend in CUTS_TAGGED:
        yield route("client2")
        return
    port = VlanPort(hosts.lab, GUEST_VLAN)
    yield route(port.name)
    port.close()


def rarp_listener(hosts, wire):
    listener = hosts.lab.popen([sys.executable, os.path.join(TOP, "tools/lablib/rarp.py"), wire],
                               text=True, stdout=subprocess.PIPE)
    assert "watching" in listener.stdout.readline()
    return listener


def test_moves_with_its_connection_its_memory_and_its_time(hosts, backend, guests_wire):
    listener = rarp_listener(hosts, guests_wire)
    client = hosts.lab.popen([sys.executable, os.path.join(TOP, "tools/demo-client"), GUEST,
                              "--seconds", "3600"], stdout=subprocess.PIPE)
    asked = clocks.OfLinux(hosts)
    try:
        bridge_sends_to(hosts, "a")
        hears_from(hosts, "a")
        before = asked.read()
        status = hosts.move("a", "demo", "b", verify=True)
        after = asked.read()
        bridge_sends_to(hosts, "b")
        assert status["ram_hash"] == hosts.incoming("b")["ram_hash"]
        assert status["bytes_sent"] <= 1.05 * status["payload_bytes"]
        hears_from(hosts, "b")
    finally:
        asked.close()
        client.terminate()
        listener.terminate()
        said = json.loads(client.communicate(timeout=WAIT_S)[0])
        heard = listener.communicate(timeout=WAIT_S)[0]
    assert MAC in heard, heard
    assert said["result"] == "ok", said
    assert said["tcp_checksum_ok"] and said["tcp_bytes"] > TALK_BYTES

    # GRANT and READY count as equally fast: what either took is an error that the clock may have.
    parts = {part: ms / 1e3 for part, ms in status["downtime_parts_ms"].items()}
    assert backend != "bochs" or status["downtime_ms"] > 500, "too short a stop to be missed"
    for clock in ("real", "mono"):
        lost, least, most = clocks.behind(before, after, clock)
        assert least - parts["grant"] < lost < most + parts["run"], (clock, least, lost, most,
                                                                     status)


def test_guest_of_a_vlan_that_is_not_there_is_refused_before_the_first_page(hosts, backend):
    if backend in CUTS_TAGGED:
        pytest.skip("its card cuts off long frames with a tag")
    other = {"mac": "52:54:00:77:01:02", "vlan": GUEST_VLAN + 1}
    hosts.start("a", "other", nics=[other])
    status = hosts.watch("a", hosts.begin("a", "other", "b"))
    assert not status["ok"] and status["pages_sent"] == 0
    assert f"for VLAN {GUEST_VLAN + 1}," in status["result"]
    assert f"in VLAN {GUEST_VLAN} " in status["result"]
    hosts.await_beats("a", "other", 1)
    assert hosts.state("b", "other") is None
    with pytest.raises(ApiError) as e:                  # nor can it be made there
        hosts.start("b", "another", nics=[other])
    assert "VLAN" in e.value.sentence
    hosts.remove("other")
