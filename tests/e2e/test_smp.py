# SPDX-License-Identifier: MIT
"""Hosts with two CPUs: guests run on both, harvests reach both, and nobody waits for long.

Emulators flush their TLBs at every entry, so a flush that is missing would never be seen in the
guest's memory: tests read the hosts' counters.  Bochs counts instructions: there, times of the host
are the same on a machine of any speed, and are asserted on.
"""

import os
import time

import pytest

from conftest import BUILD, only
from moving import WAIT_S, hosts_up

CPUS = 2
ROUNDS = 4                              # harvests that are watched
FLUSHES = {"harvest": 2, "track": 4}    # of a harvest; of the begin and end of tracking
SPINNERS = 3                            # guests that never rest, on two CPUs
WINDOW_MS = 1000                        # of the node's time, in which shares are compared
UNFAIR_MS = 16                          # ahead by 8, looked at after each turn of 4
ANSWER_MS = 10
IDLE_S = 1.5                            # a look at a host without work
IDLE, RESTING = 0.5, 0.25               # of its time, at least; of a CPU for its emulator, at most
BYSTANDER_MS = 60                       # 20 of patience, and what others have in hand then


@pytest.fixture(scope="module")
def hosts(backend):
    with hosts_up(f"test_smp.{backend}", backend=backend, memory=128, nics=2, cpus=CPUS,
                  ips=20_000_000) as h:
        yield h


@pytest.fixture
def pair(hosts):
    """pair(name, rate): a guest of two vCPUs on node a, which beats."""
    with hosts.guests() as start:
        yield lambda name, rate: start("a", name, f"pages=64 rate={rate} endless",
                                       elf="migrate-pair.elf", cpus=2)


@pytest.fixture
def spinners(hosts):
    """Guests on node a that compute with interrupts off: two more vCPUs than CPUs with a pair."""
    names = [f"spin{i}" for i in range(SPINNERS)]
    hosts.api.upload("a", "spin.elf", os.path.join(BUILD, "guest", "spin.elf"))
    for name in names:
        hosts.api.post("a", "/v1/vms", {"name": name, "memory": 8, "nics": [],
                                        "boot": {"multiboot": "spin.elf"}})
        hosts.api.post("a", f"/v1/vms/{name}/start")
    for name in names:
        hosts.until(lambda: "begins\n" in hosts.api.console("a", name)[0].replace("\r", ""),
                    WAIT_S, f"{name} does not begin")
    yield names
    for name in names:
        hosts.remove(name)


def tlb(hosts, name):
    """What its CPUs were told to forget, and what they did; the relation that always holds.

    A CPU that had translations when a flush was asked for owes one, and has done it before it is
    inside again: `current`."""
    vm = hosts.api.get("a", f"/v1/vms/{name}")
    for cpu in vm["tlb"]:
        assert cpu["flushed"] == cpu["owed"] + cpu["current"], vm["tlb"]
    return vm["tlb_flushes"], vm["harvests"], {c["cpu"]: c["owed"] for c in vm["tlb"]}


def code_splits(hosts, name):
    """Frames that were split because code ran there, on CPUs that need it: once more after a move
    that was given up."""
    return hosts.api.get("a", f"/v1/vms/{name}")["code_splits"]


def on_both(hosts, name):
    hosts.until(lambda: len(tlb(hosts, name)[2]) == CPUS, WAIT_S, "one CPU is never inside")


@only("bochs")                          # its time is its instructions
def test_answers_come_soon_beside_guests_that_never_rest(hosts, spinners):
    """Counted since the hosts began: first of all tests, before anybody migrates."""
    for path in ("/v1", "/v1/node", "/v1/node/cpu", "/v1/node/log", "/v1/vms", "/v1/vms/spin0",
                 "/v1/vms/spin0/trace", "/v1/migrations", "/v1/images"):
        status, _, _ = hosts.api.raw("a", "GET", path)
        assert status == 200, path
    told = hosts.node("a")
    assert told["poll_wait_max_ms"] < ANSWER_MS, told["turns"]
    assert told["turns"]["too_long"] == 0, told["turns"]


@only("bochs")                          # its time is its instructions
def test_guests_that_never_rest_get_the_same(hosts, spinners):
    def served():
        vms = [hosts.api.get("a", f"/v1/vms/{name}") for name in spinners]
        return [(vm["vcpus"][0]["ran_ms"], vm["node_ms"]) for vm in vms]
    first = served()
    hosts.until(lambda: served()[0][1] - first[0][1] >= WINDOW_MS, WAIT_S, "time stands still")
    then = served()
    shares = [ran - ran_first for (ran, _), (ran_first, _) in zip(then, first)]
    window = then[0][1] - first[0][1]
    assert max(shares) - min(shares) <= UNFAIR_MS, shares
    assert sum(shares) >= window, (shares, window)      # our own questions had the rest


def test_both_cpus_are_told_and_used(hosts, pair):
    pair("told", 100)
    cpus = hosts.node("a")["cpus"]
    assert [c["cpu"] for c in cpus] == list(range(CPUS))
    assert sum(c["vcpus"] for c in cpus) == 2
    on_both(hosts, "told")


def test_an_idle_host_halts_its_cpus(hosts, backend):
    """QEMU rests, too: who spun, and called it idle, would keep a CPU of ours busy."""
    def look():
        node = next(n for n in hosts.lab.status()["nodes"] if n["name"] == "b")
        return time.monotonic(), node["cpu_seconds"], hosts.node("b")
    assert not hosts.api.get("b", "/v1/vms")["vms"]
    hosts.until(lambda: all(c["idle_ticks"] for c in hosts.node("b")["cpus"]), WAIT_S,
                "a CPU has never been idle")
    (began, spent, before), _, (ended, spent_then, after) = look(), time.sleep(IDLE_S), look()
    if backend == "qemu":               # Bochs makes up for time that it has lost
        assert (spent_then - spent) / (ended - began) < RESTING
    for cpu, then in zip(before["cpus"], after["cpus"]):
        idle = (then["idle_ticks"] - cpu["idle_ticks"]) / (after["tsc"] - before["tsc"])
        assert idle > IDLE, (cpu, then)


def test_guest_of_two_cpus_moves(hosts, pair):
    pair("moves", 100)
    status = hosts.move("a", "moves", "b", verify=True)
    assert status["ram_hash"] == hosts.incoming("b")["ram_hash"]
    assert hosts.where("moves") == ["b"]
    hosts.await_beats("b", "moves", 2)


def test_each_harvest_flushes_each_cpu_that_runs_the_guest(hosts, pair, backend):
    """Two vCPUs that never rest: after each harvest both CPUs go in again, and flush first."""
    pair("busy", 0)
    on_both(hosts, "busy")
    asked, harvests, owed = tlb(hosts, "busy")
    splits = code_splits(hosts, "busy")
    number = hosts.begin("a", "busy", "b", throttle=False, downtime_ms=1)   # never short enough
    hosts.watch("a", number, lambda s: s["round"] >= ROUNDS)
    hosts.api.post("a", f"/v1/migrations/{number}/cancel")
    hosts.watch("a", number)
    hosts.until(lambda: not hosts.migrating("a", "busy"), WAIT_S, "it still migrates")
    asked_then, harvests_then, owed_then = tlb(hosts, "busy")
    harvests = harvests_then - harvests
    assert harvests >= ROUNDS - 1       # the first round sends everything
    others = asked_then - asked - FLUSHES["harvest"] * harvests - FLUSHES["track"]
    splits = code_splits(hosts, "busy") - splits
    assert splits <= others <= CPUS * splits    # each vCPU that ran into it asks for a flush
    for cpu in range(CPUS):
        took_part = owed_then[cpu] - owed[cpu]
        assert took_part > 0, (cpu, owed, owed_then)
        if backend == "bochs":          # rounds are as long as the host's clock says
            assert took_part >= harvests, (cpu, owed, owed_then)
    assert hosts.where("busy") == ["a"]
    hosts.await_beats("a", "busy", 1)


@only("bochs")
def test_nobody_waits_long_beside_a_migration(hosts, spinners, pair):
    pair("mover", 100)
    hosts.move("a", "mover", "b")
    turns = hosts.node("a")["turns"]
    assert turns["longest_wait_ms"] <= BYSTANDER_MS, turns
