# SPDX-License-Identifier: MIT
"""Debian's Linux between a VT-x host and an AMD-V host, ten moves under load, its clocks watched.

The guest rewrites and checks a pattern in its memory; a client holds one TCP connection over all
moves and checks each byte; both hosts hash the guest's RAM at each move.  Its clocks may neither
jump nor run at another rate: every few seconds, also while it moves, they are compared with the
wall's and with those of the hosts, which lose time when this machine is busy.  What was seen is
written to build/check/cross.json, also by a run that fails.
"""

import json
import os
import subprocess
import sys
import time

import pytest

import clocks
from conftest import BUILD, TOP
from moving import MOVE_S, WAIT_S, hosts_up

VT_X, AMD_V = "a", "b"
BACKEND = f"bochs@{VT_X} qemu@{AMD_V}"
MOVES = int(os.environ.get("GODWIT_MOVES", "10"))
IPS = 25_000_000                        # so few that Bochs keeps up on a busy machine
STAY_S, LOOK_S = 8, 2                   # wall, at each host between two moves; between two looks
BOOT_S = 1200
DOWNTIME_MS = 300                       # a user's default
CLIENT_S = 7200                         # more than all of it takes; it is told to end
GUEST = "10.77.0.50"
LOAD = "godwit.dirty=4,100"             # MiB, and pages of it rewritten a second
CLOCKS = ("real", "mono")
DIRTY_CLIENT = """
import socket
link = socket.create_connection(("10.77.0.50", 7002), 60)
link.sendall(b"status\\n")
print(link.makefile().readline())
"""


@pytest.fixture(scope="module")
def hosts():
    with hosts_up("test_linux_ten_moves", backend=BACKEND, memory=256, ips=IPS) as h:
        yield h


@pytest.fixture
def report():
    """What was seen; it is written at the end, whatever happened."""
    seen = {"backend": BACKEND, "result": "ended early", "moves": []}
    yield seen
    path = os.path.join(BUILD, "check/cross.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(seen, f, indent=2)
        f.write("\n")
    print(f"written: {path}")


def gwctl(hosts, *words):
    """gwctl's JSON answer, asked of host a."""
    done = hosts.lab.run([os.path.join(BUILD, "gwctl"), "-n", hosts.api.address[VT_X], "--json",
                          *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start(hosts):
    """The demo's guest at the VT-x host, with the CPU that both can offer, under load."""
    with open(os.path.join(BUILD, "guests/demo.json"), encoding="utf-8") as f:
        definition = json.load(f)
    definition["cpu"] = gwctl(hosts, "cluster", "baseline", *hosts.api.address.values())["cpu"]
    definition["boot"]["cmdline"] += " " + LOAD
    for key in ("kernel", "initrd"):
        definition["boot"][key] = os.path.join(os.path.abspath(BUILD), "guests",
                                               definition["boot"][key])
    path = hosts.lab.path("demo.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(definition, f)
    gwctl(hosts, "vm", "create", "--start", path)
    hosts.until(lambda: "guest: ready" in hosts.api.console(VT_X, "demo")[0], BOOT_S,
                "Linux is not up")


def dirty_status(hosts):
    """Pages rewritten so far, and how many of them were wrong before."""
    done = hosts.lab.run([sys.executable, "-c", DIRTY_CLIENT], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr[-500:]
    said = dict(word.split("=") for word in done.stdout.decode().split()[1:])
    return int(said["written"]), int(said["errors"])


def stay(hosts, host, watch):
    """A while at one host, under load."""
    written, _ = dirty_status(hosts)
    end = time.monotonic() + STAY_S
    while time.monotonic() < end:
        watch.look(host)
        time.sleep(LOOK_S)
    now_written, errors = dirty_status(hosts)
    assert errors == 0 and now_written > written, "the load does not go on"


def move(hosts, here, there, watch):
    """One verified move; what is to be said of it."""
    number = hosts.begin(here, "demo", there, verify=True, downtime_ms=DOWNTIME_MS)
    begin = time.monotonic()
    while not (status := hosts.status(here, number))["ended"]:
        assert time.monotonic() < begin + MOVE_S, f"still {status['state']} after {MOVE_S} s"
        time.sleep(LOOK_S)
        now = watch.read()
        on_its_way = hosts.status(here, number)["state"] != "PRECOPY"
        watch.take(now, None if on_its_way else here)
    assert status["ok"], status["result"]
    watch.look(None)
    assert status["ram_hash"] == hosts.incoming(there)["ram_hash"]
    assert hosts.where("demo") == [there]
    keys = ("total_ms", "downtime_ms", "downtime_parts_ms", "predicted_downtime_ms", "bytes_sent",
            "pages_sent", "throttle_max", "ram_hash")
    return {"from": here, "to": there, **{key: status[key] for key in keys},
            "rounds": len(status["rounds"]),
            "tsc_by": hosts.api.get(there, "/v1/vms/demo")["tsc_by"]}


def test_linux_keeps_its_time_its_memory_and_its_connection_over_ten_moves(hosts, report):
    start(hosts)
    report["tsc_khz"] = {n: hosts.node(n)["tsc_khz"] for n in (VT_X, AMD_V)}
    client = hosts.lab.popen([sys.executable, os.path.join(TOP, "tools/demo-client"), GUEST,
                              "--seconds", str(CLIENT_S)], stdout=subprocess.PIPE)
    guest = clocks.OfLinux(hosts)
    watch, here, there = clocks.Watch(guest.read, CLOCKS), VT_X, AMD_V
    try:
        stay(hosts, here, watch)
        for number in range(1, MOVES + 1):
            said = move(hosts, here, there, watch)
            report["moves"].append(said)
            print(f"move {number}: {here} to {there} in {said['total_ms'] / 1e3:.1f} s, stood "
                  f"still {said['downtime_ms']:.0f} ms", flush=True)
            here, there = there, here
            stay(hosts, here, watch)
        report["clocks"] = watch.of_all()
        report["seconds"] = round(watch.last["wall"] - watch.first["wall"])
        report["pages_rewritten"], _ = dirty_status(hosts)
    finally:
        guest.close()
        client.terminate()
        report["client"] = json.loads(client.communicate(timeout=WAIT_S)[0])
    assert report["client"]["result"] == "ok", report["client"]
    assert not hosts.trouble(here, "demo")
    assert "WRONG" not in hosts.api.console(here, "demo")[0]
    report["result"] = "ok"
