# SPDX-License-Identifier: MIT
"""A VT-x host and an AMD-V host on one bridge: what they share, what each refuses, what moves.

Linux makes ten such moves under load in tests/cross, and so does the guest that compares clocks.
"""

import json
import os
import re
import subprocess

import pytest

import clocks
from conftest import BUILD
from lablib import backends
from lablib.api import ApiError
from moving import WAIT_S, hosts_up

VT_X, AMD_V = "a", "b"
BACKENDS = {VT_X: "bochs", AMD_V: "qemu"}
VENDORS = {VT_X: "GenuineIntel", AMD_V: "AuthenticAMD"}
ITEM = re.compile(r"[\w.-]+ \(leaf 0x[0-9a-f]+(?:\.\d+)?, E[ABCD]X bit \d+\)")


@pytest.fixture(scope="module")
def hosts():
    missing = [why for name in BACKENDS.values() if (why := backends.BACKENDS[name].missing())]
    if missing:
        pytest.skip("; ".join(missing))
    with hosts_up("test_vendors", memory=128, ips=20_000_000,
                  backend=" ".join(f"{b}@{n}" for n, b in BACKENDS.items())) as h:
        yield h


def gwctl(hosts, *words):
    """gwctl's JSON answer."""
    done = hosts.lab.run([os.path.join(BUILD, "gwctl"), "--json", *words], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def offers(hosts):
    """What each host says of its CPU."""
    return {n: gwctl(hosts, "-n", hosts.api.address[n], "node", "cpu") for n in BACKENDS}


@pytest.fixture(scope="module")
def shared(hosts):
    return gwctl(hosts, "cluster", "baseline", *hosts.api.address.values())


@pytest.fixture
def guest(hosts):
    """guest(node, name, ...): a micro-guest that is removed after the test."""
    with hosts.guests() as start:
        yield start


def names_of(items):
    return {item.split(" (")[0] for item in items}


def test_each_host_says_what_it_offers(offers):
    assert {n: cpu["vendor"] for n, cpu in offers.items()} == VENDORS
    for cpu in offers.values():
        assert set(cpu["shareable"]) < set(cpu["features"])
        assert {"SYSCALL", "NX", "LM"} <= set(cpu["shareable"])
        assert "SEP" not in cpu["shareable"]
        levels = {level["name"]: level["missing"] for level in cpu["levels"]}
        assert levels["x86-64-v1"] == []
        for item in (item for missing in levels.values() for item in missing):
            assert ITEM.fullmatch(item), item
            assert item.split(" (")[0] not in cpu["features"]


def test_a_cluster_shares_what_both_have_and_says_who_has_the_rest(offers, shared, hosts):
    both = set(offers[VT_X]["shareable"]) & set(offers[AMD_V]["shareable"])
    assert set(shared["cpu"]["features"]) == both
    assert shared["cpu"]["phys_bits"] == min(cpu["phys_bits"] for cpu in offers.values())
    only = {hosts.api.address[n]: set(cpu["shareable"]) - both for n, cpu in offers.items()}
    assert {name: nodes for name, nodes in shared["not_shared"].items()} == {
        name: [node] for node, names in only.items() for name in names}
    assert "x86-64-v1" in shared["levels"]


def test_guest_with_what_both_offer_moves_and_sees_no_difference(hosts, guest, shared):
    name = guest(VT_X, "vendors", elf="migrate-vendors.elf", cpu=shared["cpu"])
    for source, to in (VT_X + AMD_V, AMD_V + VT_X):
        status = hosts.move(source, name, to, verify=True)
        assert status["ram_hash"] == hosts.incoming(to)["ram_hash"]
        assert hosts.where(name) == [to]
        hosts.await_beats(to, name, 2)


def test_clocks_of_a_guest_agree_on_a_host_of_another_vendor_and_rate(hosts, guest):
    name = guest(VT_X, "clocks", elf="migrate-clocks.elf", cmdline=clocks.CROSS_OPTIONS,
                 cpu={"features": ["RDTSCP"]})
    clocks.move(hosts, name, VT_X, AMD_V)
    assert hosts.api.get(AMD_V, f"/v1/vms/{name}")["tsc_by"] == "exits"
    clocks.stay(hosts, name, AMD_V)


def test_guest_that_was_made_on_the_other_vendor_moves_too(hosts, guest):
    name = guest(AMD_V, "level", elf="migrate-vendors.elf", cpu="x86-64-v1")
    hosts.move(AMD_V, name, VT_X, verify=True)
    hosts.await_beats(VT_X, name, 2)


def refusal(hosts, source, name, to):
    """What the other host says; the guest must go on here, and nothing of it be there."""
    status = hosts.watch(source, hosts.begin(source, name, to))
    assert not status["ok"] and status["pages_sent"] == 0 and status["downtime_ms"] == 0
    assert hosts.where(name) == [source] and hosts.state(to, name) is None
    hosts.await_beats(source, name, 1)
    return status["result"]


@pytest.mark.parametrize("source, to", [(VT_X, AMD_V), (AMD_V, VT_X)])
def test_a_host_that_lacks_items_of_a_baseline_names_each(hosts, guest, offers, source, to):
    lacks = set(offers[source]["shareable"]) - set(offers[to]["shareable"])
    assert lacks, "this pair of hosts does not differ"
    name = guest(source, "baseline", elf="migrate-vendors.elf",
                 cpu={"features": offers[source]["shareable"]})
    assert names_of(ITEM.findall(refusal(hosts, source, name, to))) == lacks


@pytest.mark.parametrize("source, to", [(VT_X, AMD_V), (AMD_V, VT_X)])
def test_a_guest_without_a_baseline_stays_with_its_vendor(hosts, guest, offers, source, to):
    name = guest(source, "host-cpu", elf="migrate-vendors.elf")
    said = refusal(hosts, source, name, to)
    assert f"the identity {VENDORS[source]} (here {VENDORS[to]}" in said
    lacks = set(offers[source]["features"]) - set(offers[to]["features"])
    assert names_of(ITEM.findall(said)) == lacks


def test_a_baseline_that_the_host_itself_lacks_is_refused_at_creation(hosts, offers):
    lacks = set(offers[VT_X]["shareable"]) - set(offers[AMD_V]["shareable"])
    hosts.api.upload(AMD_V, "hello.elf", os.path.join(BUILD, "guest/hello.elf"))
    with pytest.raises(ApiError) as e:
        hosts.api.post(AMD_V, "/v1/vms", {
            "name": "never", "memory": 8, "nics": [], "boot": {"multiboot": "hello.elf"},
            "cpu": {"features": sorted(lacks)}})
    assert names_of(ITEM.findall(e.value.sentence)) == lacks
    assert hosts.state(AMD_V, "never") is None
