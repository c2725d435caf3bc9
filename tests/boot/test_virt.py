# SPDX-License-Identifier: MIT
"""The vendor's door by itself: small guests through virt_ops, on each kind of CPU that differs.

boot/virttest.c looks at exits of all kinds, the timer, the interrupt window, interrupted
deliveries, exact dirty pages, control registers, a refused entry, and the whole state's round trip.
"""

import re

import pytest

from conftest import BACKENDS, only

# What makes each different.  VT-x: XSAVES and PML; neither; no accessed and dirty flags; CET and
# 5 more.  AMD-V: the least that there is, 16 ASIDs and nothing optional.
MACHINES = [("bochs", "corei7_skylake_x"), ("bochs", "corei7_haswell_4770"),
            ("bochs", "corei7_ivy_bridge_3770k"), ("bochs", "tigerlake"),
            ("qemu", "EPYC-Rome,+svm,+npt")]


@pytest.fixture
def run(boot):
    """run(model): boots with test=virt until it has passed or the boot has stopped."""
    def boot_it(model=""):
        result = boot("node=t test=virt", until=r"godwit: (ready|stopped).*", grace=0,
                      cpu_limit=100, cpu_model=model)
        assert "virt test: PASS" in result.serial, result.tail()
        return result
    return boot_it


@pytest.mark.parametrize("backend,model", [m for m in MACHINES if m[0] in BACKENDS],
                         scope="module")
def test_small_guests_go_through_the_door(run, model):
    result = run(model)
    assert "virt test: FAIL" not in result.serial
    assert len(re.findall(r"virt test: ok", result.serial)) >= 15
    if model == "tigerlake":                    # the one that has them all
        assert "8 sets of defences, IBRS, L1D flush" in result.serial
        assert "MDS, TAA, RFDS: VERW before entries" in result.serial


def test_only_the_entry_that_must_be_refused_breaks_a_rule(run):
    """Our check runs after every set(); an emulator might accept what a CPU refuses."""
    result = run()
    rules = set(re.findall(r"VM-entry rule broken: (.*)", result.serial))
    assert rules == {"guest DR7: bits above 31"}


@only("bochs")
def test_an_exit_stays_cheap(run):
    """Instructions of the vendor's part alone; the whole path has its own limit in the bench."""
    cost = re.search(r"exit and entry for CPUID: (\d+) ticks", run().serial)
    assert int(cost[1]) <= 300
