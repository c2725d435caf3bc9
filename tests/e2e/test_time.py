# SPDX-License-Identifier: MIT
"""A guest's time on hosts whose TSCs tick at different rates, over ten moves.

The guest, migrate-clocks, compares its TSC by the rate that it was told at its creation, kvm-clock
and the PM timer at each heartbeat, and sleeps by TSC deadline.  Outside, its time is compared with
what the hosts themselves say has passed (clocks.py).  Host a and c have TSC scaling, host b answers
RDTSC.
"""

import pytest

import clocks
from moving import hosts_up

PATH = "bcabcacbcb"               # from a: ten moves
PPM = 20                                # the ratio is computed: no calibration is in it


@pytest.fixture(scope="module")
def hosts():
    with hosts_up("test_time", memory=128, nodes=3, backend="bochs",
                  ips="20000000 13000000@b 31000000@c",
                  cpu_model="corei7_skylake_x corei7_haswell_4770@b") as h:
        yield h


def test_time_neither_jumps_nor_changes_its_pace_over_ten_moves(hosts):
    rate = {n: hosts.node(n)["tsc_khz"] for n in "abc"}
    assert rate["b"] < 0.8 * rate["a"] < 0.8 * 0.8 * rate["c"]
    hosts.start("a", "clocks", cmdline=f"ppm={PPM}", elf="migrate-clocks.elf",
                cpu={"features": ["RDTSCP"]})
    here = "a"
    told = hosts.api.get("a", "/v1/vms/clocks")["tsc_khz"]
    by = {"a": "host", "b": "exits", "c": "hardware"}
    for there in PATH:
        clocks.stay(hosts, "clocks", here)
        clocks.move(hosts, "clocks", here, there)
        here = there
        vm = hosts.api.get(here, "/v1/vms/clocks")
        assert vm["tsc_khz"] == told
        assert vm["tsc_by"] == by[here]
    hosts.await_beats(here, "clocks", 2)
    hosts.remove("clocks")
