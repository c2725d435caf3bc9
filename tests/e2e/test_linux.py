# SPDX-License-Identifier: MIT
"""Debian's Linux moves while a client talks to it: its TCP connection, its memory and its clock."""

import json
import os
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "tools")]
BUILD = os.environ.get("GODWIT_BUILD") or os.path.join(TOP, "build")

from lablib.lab import Lab, Options             # noqa: E402
from moving import WAIT_S, Hosts                # noqa: E402

GUEST, MAC = "10.77.0.50", "52:54:00:77:01:01"
BOOT_S = 1200                           # wall: Linux on an emulated host on a busy machine
CLOCK_CLIENT = """
import json, socket, time
link = socket.create_connection(("10.77.0.50", 7003), 60)
begin = time.monotonic_ns()
link.sendall(b"time?\\n")
answer = dict(word.split("=") for word in link.makefile().readline().split())
print(json.dumps({"wall": (begin + time.monotonic_ns()) // 2, "spread": time.monotonic_ns() - begin,
                  **answer}))
"""


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


def clocks(hosts):
    """The guest's clock, the wall's, and how far each host's own time has come, in seconds."""
    done = hosts.lab.run([sys.executable, "-c", CLOCK_CLIENT], capture_output=True, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr[-500:]
    said = json.loads(done.stdout)
    assert said["clocksource"] == "kvm-clock"
    now = {"real": int(said["realtime_ns"]) / 1e9, "mono": int(said["monotonic_ns"]) / 1e9,
           "wall": said["wall"] / 1e9, "spread": said["spread"] / 1e9}
    for node in "ab":
        begin = time.monotonic()
        now[node] = hosts.node(node)["uptime_ms"] / 1e3 - (begin + time.monotonic()) / 2
        now["spread"] += time.monotonic() - begin
    return now


def bridge_sends_to(hosts, node):
    """The first RARP may come a moment after the source knows that the guest runs."""
    hosts.until(lambda: (hosts.lab.fdb(MAC) or {}).get("node") == node, WAIT_S,
                f"the bridge does not send to node {node}")


def test_moves_with_its_connection_its_memory_and_its_time(hosts, backend):
    client = hosts.lab.popen([sys.executable, os.path.join(TOP, "tools/demo-client"), GUEST,
                              "--seconds", "900"], stdout=subprocess.PIPE)
    try:
        time.sleep(3)
        before = clocks(hosts)
        bridge_sends_to(hosts, "a")
        status = hosts.move("a", "demo", "b", verify=True)
        after = clocks(hosts)
        bridge_sends_to(hosts, "b")
        assert status["ram_hash"] == hosts.incoming("b")["ram_hash"]
        assert status["bytes_sent"] <= 1.05 * status["payload_bytes"]
        time.sleep(3)
    finally:
        client.terminate()
        said = json.loads(client.communicate(timeout=WAIT_S)[0])
    assert said["result"] == "ok", said
    assert said["tcp_checksum_ok"] and said["tcp_bytes"] > 100000

    # What the guest's clock may be behind the wall's is what the hosts are: an emulator on a busy
    # machine loses time.  A stop that was not counted would be missing on top of that.
    wall = after["wall"] - before["wall"]
    lag = sum(before[node] - after[node] for node in "ab")
    slack = 0.1 + before["spread"] + after["spread"]
    assert backend != "bochs" or status["downtime_ms"] > 500, "too short a stop to be missed"
    for clock in ("real", "mono"):
        behind = wall - (after[clock] - before[clock])
        assert -slack < behind < lag + slack, (clock, behind, lag, status["downtime_ms"])
