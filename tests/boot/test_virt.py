# SPDX-License-Identifier: MIT
"""The vendor's door by itself: small guests through virt_ops, on each kind of CPU that differs.

boot/virttest.c looks at exits of all kinds, the timer, the interrupt window, interrupted
deliveries, exact dirty pages, control registers, a refused entry, and the whole state's round trip.
"""

import re

import pytest

from lablib import backends

# What makes each different.  VT-x: XSAVES and PML; neither; no accessed and dirty flags; CET and
# 5 more.  AMD-V: the least that there is, 16 ASIDs and nothing optional.
MACHINES = [("bochs", "corei7_skylake_x"), ("bochs", "corei7_haswell_4770"),
            ("bochs", "corei7_ivy_bridge_3770k"), ("bochs", "tigerlake"),
            ("qemu", "EPYC-Rome,+svm,+npt")]
VENDORS = [MACHINES[0], MACHINES[4]]


@pytest.fixture
def run(boot):
    """run(backend, model): boots with test=virt until it has passed or the boot has stopped."""
    def boot_it(backend, model):
        if backends.BACKENDS[backend].missing():
            pytest.skip(f"no {backend} here")
        result = boot("node=t test=virt", until=r"godwit: (ready|stopped).*", grace=0,
                      cpu_limit=100, backend=backend, cpu_model=model)
        assert "virt test: PASS" in result.serial, result.tail()
        return result
    return boot_it


@pytest.mark.parametrize("backend,model", MACHINES)
def test_small_guests_go_through_the_door(run, backend, model):
    result = run(backend, model)
    assert "virt test: FAIL" not in result.serial
    assert len(re.findall(r"virt test: ok", result.serial)) >= 14
    if model == "tigerlake":                    # the one that has them all
        assert "8 sets of defences, IBRS, L1D flush" in result.serial
        assert "MDS, TAA, RFDS: VERW before entries" in result.serial


@pytest.mark.parametrize("backend,model", VENDORS)
def test_only_the_entry_that_must_be_refused_breaks_a_rule(run, backend, model):
    """Our check runs after every set(); an emulator might accept what a CPU refuses."""
    result = run(backend, model)
    rules = set(re.findall(r"VM-entry rule broken: (.*)", result.serial))
    assert rules == {"guest DR7: bits above 31"}


def test_an_exit_stays_cheap(run):
    """Instructions of the vendor's part alone; the whole path has its own limit in the bench."""
    cost = re.search(r"exit and entry for CPUID: (\d+) ticks", run(*MACHINES[0]).serial)
    assert int(cost[1]) <= 300
