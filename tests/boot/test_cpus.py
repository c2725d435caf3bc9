# SPDX-License-Identifier: MIT
"""The other CPUs of a host: who does not come or differs is left off; a panic stops them all."""

import re

import pytest

STOPPED = r"^godwit: stopped"


@pytest.mark.parametrize("test,sentence", [
    ("cpu-never", "APIC ID 1 did not come within 500 ms of START"),
    ("cpu-late", "APIC ID 1 did not come within 500 ms of START"),
    ("cpu-differs", "APIC ID 1: CPUID leaf 0x1 ECX is "),
])
def test_a_cpu_that_does_not_fit_is_left_off(boot, micro_guest, test, sentence):
    """The host says why and goes on with the others, one of which gets its number."""
    result = boot(f"node=t test={test}", micro_guest("hello"), cpus=3, grace=0, cpu_limit=100,
                  until=r"its last words: .*\n")
    assert sentence in result.serial, result.tail()
    assert "APIC ID 1 is left off" in result.serial
    assert re.findall(r"cpu: (\d) is APIC ID (\d)", result.serial) == [("1", "2")]
    assert "cpu: 2 of 3 run" in result.serial
    assert "hello: its last words: PASS hello" in result.serial, result.tail()


@pytest.mark.parametrize("test,cpu", [("late", 0), ("elsewhere", 1)])
def test_a_panic_stops_all_cpus(boot, micro_guest, test, cpu):
    """One is inside a guest that has interrupts off, or in the hypervisor: an NMI stops it."""
    guests = micro_guest("spin") if test == "late" else ()
    result = boot(f"node=t test={test}", guests, cpus=2, until=STOPPED, grace=0, cpu_limit=100)
    assert not guests or "spin: created" in result.serial, result.tail()
    screen = result.serial[result.serial.index("godwit: panic:"):]
    assert f"CPU {cpu} task late crash test" in screen
    assert "1 of 1 other CPUs have stopped" in screen
    assert screen.count("godwit: panic") == 1
    assert len(screen.splitlines()) <= 25
