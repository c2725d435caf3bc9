# SPDX-License-Identifier: MIT
"""The machine starts again, switches itself off, and does not stay stuck.

virt=off: QEMU's machines need no virtualisation for this.  They end instead of starting again
(-no-reboot), which is how the test knows.  tests/e2e/test_gwctl_node.py asks a host with guests.
"""

import json
import os
import re
import socket
import subprocess

import pytest

from lablib.iso import build_iso
from conftest import BUILD
from pc import Pc, complete_lines, needs

ENDS_S = 120
ADDRESS = "10.0.2.15"


@pytest.fixture
def pc(image, directory):
    """pc(cmdline, *options): a machine that boots the image."""
    needs("bios")

    def switch_on(cmdline, *options):
        iso = os.path.join(directory, "boot.iso")
        build_iso(iso, image, "node=t virt=off " + cmdline)
        return Pc(directory, options=["-cdrom", iso, *options])
    return switch_on


def last_words(machine):
    """COM1's text, after the machine has ended by itself."""
    assert machine.process.wait(ENDS_S) == 0
    return complete_lines(machine.log)


@pytest.mark.parametrize("options,ways", [
    (["-M", "q35", "-net", "none"], ["the ACPI reset register"]),
    (["-no-acpi", "-net", "none"], ["port 0xcf9"]),
    (["-M", "isapc", "-cpu", "qemu64", "-net", "none"],
     ["port 0xcf9", "the keyboard controller"]),
    (["-M", "isapc,i8042=off", "-cpu", "qemu64", "-net", "none"],
     ["port 0xcf9", "the keyboard controller", "a triple fault"]),
])
def test_restarts_by_the_first_way_that_works(pc, options, ways):
    with pc("test=reboot", *options) as machine:
        text = last_words(machine)
    assert re.findall("power: restart by (.*)", text) == ways


@pytest.mark.parametrize("machine_type", ["pc", "q35"])
def test_switches_itself_off_as_the_tables_say(pc, machine_type):
    with pc("test=poweroff", "-M", machine_type, "-net", "none") as machine:
        assert "power: off by ACPI's S5" in last_words(machine)


def test_says_when_it_cannot_switch_itself_off(pc):
    with pc("test=poweroff", "-no-acpi", "-net", "none") as machine:
        text = machine.wait_for("godwit: stopped.*\n")
    assert "did not switch itself off: do it by hand" in text


def test_restarts_after_a_panic_when_told_to(pc):
    with pc("test=panic panic=1", "-net", "none") as machine:
        text = last_words(machine)
    assert "godwit: stopped; restart in 1 s" in text and "power: restart by" in text


@pytest.mark.parametrize("timer,options", [
    ("HPET", []), ("PIT", ["-M", "pc,hpet=off"])])
def test_a_stuck_host_says_where_and_restarts(pc, timer, options):
    with pc("test=stuck watchdog=2 panic=1", "-net", "none", *options) as machine:
        text = last_words(machine)
    assert f"(NMI by the {timer})" in text, text
    screen = text[text.index("godwit: panic: stuck: no turn of the scheduler for 2 s"):]
    assert "task stuck test" in screen and "called from" in screen
    assert "power: restart by" in screen


def test_a_host_that_has_stopped_is_not_stuck(pc):
    """The screen of a panic stays, however short the watchdog's patience."""
    with pc("test=task watchdog=2", "-net", "none") as machine:
        machine.wait_for("godwit: stopped\n")
        with pytest.raises(AssertionError, match="no 'second"):
            machine.wait_for("second|restart by", limit_s=6)


def test_an_idle_host_is_not_stuck(pc):
    """Its scheduler turns at least once a second, and the watchdog waits for two."""
    with pc("watchdog=2", "-net", "none") as machine:
        machine.wait_for("watchdog: .*\n")
        with pytest.raises(AssertionError, match="no 'panic'"):
            machine.wait_for("panic", limit_s=6)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def gwctl(port, *words):
    done = subprocess.run([os.path.join(BUILD, "gwctl"), "-n", f"127.0.0.1:{port}", *words],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command,does", [("reboot", "power: restart by"),
                                          ("poweroff", "power: off by")])
def test_a_request_ends_the_machine(pc, command, does):
    port = free_port()
    with pc(f"mgmt=nic0,{ADDRESS}/24", "-nic",
            f"user,model=e1000,hostfwd=tcp:127.0.0.1:{port}-{ADDRESS}:80") as machine:
        machine.wait_for("godwit: ready.*\n")
        firmware = json.loads(gwctl(port, "--json", "node", "show"))["firmware"]
        assert firmware["power_off"] is True and firmware["uefi"] is False
        gwctl(port, "node", command)
        assert does in last_words(machine)
