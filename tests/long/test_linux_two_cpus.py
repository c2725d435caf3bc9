# SPDX-License-Identifier: MIT
"""Debian's Linux with two CPUs: it finds both, and goes on with both after a move."""

import json
import os
import re

import pytest

from conftest import BUILD
from moving import WAIT_S, hosts_up

BOOT_S = 1800                           # wall: Linux on an emulated host on a busy machine


@pytest.fixture(scope="module")
def hosts(backend):
    """Two hosts; on `a` runs the demo's guest with two CPUs."""
    with open(os.path.join(BUILD, "guests/demo.json"), encoding="utf-8") as f:
        definition = json.load(f)
    definition["cpus"] = 2
    for key in ("kernel", "initrd"):
        definition["boot"][key] = os.path.join(os.path.abspath(BUILD), "guests",
                                               definition["boot"][key])
    name = f"test_linux_two_cpus.{backend}"
    path = os.path.join(BUILD, "check/files", name, "demo.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(definition, f)
    with hosts_up(name, backend=backend, memory=256, vms=[(path, "a")]) as h:
        h.until(lambda: "guest: ready" in h.api.console("a", "demo")[0], BOOT_S, "Linux is not up")
        yield h


def timer_interrupts(hosts, node):
    """Of each CPU, so far."""
    line = re.search(r"LOC:\s+(\d+)\s+(\d+)",
                     hosts.shell(node, "demo", "grep LOC /proc/interrupts"))
    return int(line[1]), int(line[2])


def both_run(hosts, node):
    """Both CPUs take timer interrupts."""
    before = timer_interrupts(hosts, node)
    hosts.until(lambda: all(now > then for now, then in
                            zip(timer_interrupts(hosts, node), before)), WAIT_S,
                f"a CPU of the guest at node {node} takes no timer interrupts")


def test_linux_finds_both_cpus_and_keeps_them_over_a_move(hosts):
    hosts.api.raw("a", "POST", "/v1/vms/demo/console", b"\n")           # wakes the shell
    assert "0-1" in hosts.shell("a", "demo", "cat /sys/devices/system/cpu/online")
    both_run(hosts, "a")
    status = hosts.move("a", "demo", "b", verify=True)
    assert status["ram_hash"] == hosts.incoming("b")["ram_hash"]
    both_run(hosts, "b")
    assert "0-1" in hosts.shell("b", "demo", "cat /sys/devices/system/cpu/online")
    assert not hosts.trouble("b", "demo")
