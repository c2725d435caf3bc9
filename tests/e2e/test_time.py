# SPDX-License-Identifier: MIT
"""A guest's time on hosts whose TSCs tick at different rates, over ten moves.

The guest, migrate-clocks, compares its TSC by the rate that it was told at its creation, kvm-clock
and the PM timer at each heartbeat, and sleeps by TSC deadline.  Outside, its time is compared with
what the hosts themselves say has passed.  Host a and c have TSC scaling, host b answers RDTSC.
"""

import pytest

from moving import hosts_up

PATH = "bcabcacbcb"               # from a: ten moves
STOOD = ["stun", "state", "harvest", "pages", "verify"]         # parts of the stop before GRANT
PPM_MAX = 1000                          # of the time that has passed: the error of a calibration


@pytest.fixture(scope="module")
def hosts():
    with hosts_up("test_time", memory=128, nodes=3, backend="bochs",
                  ips="20000000 13000000@b 31000000@c",
                  cpu_model="corei7_skylake_x corei7_haswell_4770@b") as h:
        yield h


def test_time_neither_jumps_nor_changes_its_pace_over_ten_moves(hosts):
    rate = {n: hosts.node(n)["tsc_khz"] for n in "abc"}
    assert rate["b"] < 0.8 * rate["a"] < 0.8 * 0.8 * rate["c"]
    hosts.start("a", "clocks", elf="migrate-clocks.elf", cpu={"features": ["RDTSCP"]})
    here = "a"
    told = hosts.api.get("a", "/v1/vms/clocks")["tsc_khz"]
    by = {"a": "host", "b": "exits", "c": "hardware"}
    for there in PATH:
        # Each host has a clock of its own, so a leg is measured where it is run.
        begin = hosts.time(here, "clocks")
        hosts.await_beats(here, "clocks", 2)
        end = hosts.time(here, "clocks")
        outside, inside = (end[i] - begin[i] for i in (0, 1))
        assert abs(inside - outside) <= outside * PPM_MAX / 1e6 + 1, (here, outside, inside)
        own = {n: hosts.node(n)["uptime_ms"] for n in (here, there)}
        before = hosts.time(here, "clocks")[1]
        moved = hosts.move(here, "clocks", there)
        after = hosts.time(there, "clocks")[1]
        # It stood still at least for what the source alone did meanwhile; and every moment of the
        # move passed here or there.
        stood = sum(moved["downtime_parts_ms"][part] for part in STOOD)
        own = sum(hosts.node(n)["uptime_ms"] - own[n] for n in own)
        assert before + stood <= after <= before + own * (1 + PPM_MAX / 1e6), (here, there, stood)
        here = there
        vm = hosts.api.get(here, "/v1/vms/clocks")
        assert vm["tsc_khz"] == told
        assert vm["tsc_by"] == by[here]
    hosts.await_beats(here, "clocks", 2)
    hosts.remove("clocks")
