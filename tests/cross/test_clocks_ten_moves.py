# SPDX-License-Identifier: MIT
"""TSC, kvm-clock and PM timer between a VT-x host and an AMD-V host, over ten moves.

The micro-guest migrate-clocks compares the three at each heartbeat and with its first, by readings
that an emulator's interruptions do not spoil.  Outside, its time is compared with that of the host
where it is, with both hosts' at each move, and with the wall's.  The hosts' TSCs tick at rates that
are far apart; neither has the guest's, but the one where it was made.
"""

import json
import os

import pytest

import clocks
from conftest import BUILD
from moving import hosts_up

VT_X, AMD_V = "a", "b"
BACKEND = f"bochs@{VT_X} qemu@{AMD_V}"
IPS = 20_000_000
PATH = (AMD_V + VT_X) * 5


@pytest.fixture(scope="module")
def hosts():
    with hosts_up("test_clocks_ten_moves", backend=BACKEND, memory=128, ips=IPS) as h:
        yield h


def test_three_clocks_agree_inside_and_with_those_outside_over_ten_moves(hosts):
    rate = {n: hosts.node(n)["tsc_khz"] for n in (VT_X, AMD_V)}
    assert rate[AMD_V] > 2 * rate[VT_X]
    hosts.start(VT_X, "clocks", cmdline=clocks.CROSS_OPTIONS, elf="migrate-clocks.elf",
                cpu={"features": ["RDTSCP"]})
    by, here, moves = {VT_X: "host", AMD_V: "exits"}, VT_X, []
    watch = clocks.Watch(lambda: clocks.of_vm(hosts, here, "clocks"), ["vm"])
    for there in PATH:
        clocks.stay(hosts, "clocks", here)
        watch.look(here)
        moved = clocks.move(hosts, "clocks", here, there)
        here = there
        watch.look(None)
        vm = hosts.api.get(here, "/v1/vms/clocks")
        assert vm["tsc_khz"] == rate[VT_X] and vm["tsc_by"] == by[here]
        moves.append({"to": there, "downtime_ms": moved["downtime_ms"]})
    clocks.stay(hosts, "clocks", here)
    watch.look(here)
    report = {"backend": BACKEND, "tsc_khz": rate, "moves": moves, "clocks": watch.of_all(),
              "beats": hosts.beat(here, "clocks")}
    hosts.remove("clocks")
    with open(os.path.join(BUILD, "check/clocks.json"), "w", encoding="utf-8") as f:
        json.dump(report, f, indent=2)
        f.write("\n")
