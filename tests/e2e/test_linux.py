# SPDX-License-Identifier: MIT
"""Debian's Linux moves while a client talks to it: its TCP connection, its memory and its clock."""

import json
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "tools")]
BUILD = os.environ.get("GODWIT_BUILD") or os.path.join(TOP, "build")

import clocks                                   # noqa: E402
from lablib.lab import Lab, Options             # noqa: E402
from moving import WAIT_S, Hosts                # noqa: E402

GUEST, MAC = "10.77.0.50", "52:54:00:77:01:01"
TALK_BYTES = 60000                      # of the guest, before and after: most is the stream's
BOOT_S = 1200                           # wall: Linux on an emulated host on a busy machine


@pytest.fixture(scope="module")
def hosts(backend):
    definition = os.path.join(BUILD, "guests/demo.json")
    if not os.path.exists(definition):
        pytest.fail(f"no {definition}: run make linux first", pytrace=False)
    lab = Lab(os.path.join(BUILD, f"check/files/test_linux.{backend}"))
    lab.up(Options(image=os.path.join(BUILD, "godwit.elf"), backend=backend, memory=256,
                   vms=[(definition, "a")]), print)
    h = Hosts(lab, BUILD)
    h.until(lambda: "guest: ready" in h.api.console("a", "demo")[0], BOOT_S, "Linux is not up")
    yield h
    h.close()
    lab.down()


def bridge_sends_to(hosts, node):
    """The first RARP may come a moment after the source knows that the guest runs."""
    hosts.until(lambda: (hosts.lab.fdb(MAC) or {}).get("node") == node, WAIT_S,
                f"the bridge does not send to node {node}")


def hears_from(hosts, node):
    """Until the guest at `node` has said enough; meanwhile nobody asks the node itself."""
    tap = hosts.lab.node(node)["nics"][0]["tap"]

    def heard():
        said = hosts.lab.run(["ip", "-stats", "-json", "link", "show", "dev", tap],
                             capture_output=True, timeout=WAIT_S).stdout
        return json.loads(said)[0]["stats64"]["rx"]["bytes"]
    begin = heard()
    hosts.until(lambda: heard() > begin + TALK_BYTES, WAIT_S,
                f"the guest at node {node} does not talk", pause_s=0.5)


def test_moves_with_its_connection_its_memory_and_its_time(hosts, backend):
    client = hosts.lab.popen([sys.executable, os.path.join(TOP, "tools/demo-client"), GUEST,
                              "--seconds", "3600"], stdout=subprocess.PIPE)
    asked = clocks.Clocks(hosts)
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
        said = json.loads(client.communicate(timeout=WAIT_S)[0])
    assert said["result"] == "ok", said
    assert said["tcp_checksum_ok"] and said["tcp_bytes"] > TALK_BYTES

    # GRANT and READY count as equally fast: what either took is an error that the clock may have.
    parts = {part: ms / 1e3 for part, ms in status["downtime_parts_ms"].items()}
    assert backend != "bochs" or status["downtime_ms"] > 500, "too short a stop to be missed"
    for clock in ("real", "mono"):
        lost, least, most = clocks.behind(before, after, clock)
        assert least - parts["grant"] < lost < most + parts["run"], (clock, least, lost, most,
                                                                     status)
