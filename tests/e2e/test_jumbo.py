# SPDX-License-Identifier: MIT
"""A wire of jumbo frames (MTU 9000): two hosts that use it, and one that keeps to 1500 bytes.

The cards are such as do not cut segments, so that their counters count what is on the wire.
"""

import itertools

import pytest

from conftest import only
from moving import hosts_up

ORDINARY_FRAME, JUMBO_PING = 1518, 9000 - 28    # the longest; IPv4's and ICMP's headers are 28
NUMBERS = itertools.count(1)
LIMIT_S = 300

pytestmark = only("qemu")


@pytest.fixture(scope="module")
def hosts(backend):
    with hosts_up(f"test_jumbo.{backend}", backend=backend, nodes=3, memory=128, mtu=9000,
                  nic="e1000@a virtio-net,host_tso4=off,host_tso6=off@b e1000e@c",
                  cmdline="mtu=nic0,9000@a mtu=nic0,9000@b") as h:
        yield h


def card(hosts, node):
    return hosts.node(node)["nics"][0]


def test_the_node_says_its_mtu(hosts):
    assert [card(hosts, node)["mtu"] for node in "abc"] == [9000, 9000, 1500]


@pytest.mark.parametrize("node", ["a", "b"])
def test_packets_of_9000_bytes_arrive_whole(hosts, node):
    before = card(hosts, node)
    done = hosts.lab.run(["ping", "-M", "do", "-c", "3", "-i", "0.3", "-W", "60",
                          "-s", str(JUMBO_PING), hosts.address(node)], capture_output=True,
                         timeout=LIMIT_S)
    assert b" 3 received, 0% packet loss" in done.stdout, done
    after = card(hosts, node)
    assert after["tx_bytes"] - before["tx_bytes"] >= 3 * 9014
    assert after["rx_long"] == after["rx_errors"] == 0


def move(hosts, source, to):
    """Moves a guest, and back; returns the mean length of the frames that `to` got."""
    with hosts.guests() as start:
        name = start(source, f"guest{next(NUMBERS)}", "rate=200")
        before = card(hosts, to)
        status = hosts.move(source, name, to, verify=True)
        after = card(hosts, to)
        assert status["ram_hash"] == hosts.incoming(to)["ram_hash"]
        status = hosts.move(to, name, source, verify=True)
        assert status["ram_hash"] == hosts.incoming(source)["ram_hash"]
        hosts.await_beats(source, name, 2)
    for node in (source, to):
        assert card(hosts, node)["rx_long"] == card(hosts, node)["rx_errors"] == 0
    return ((after["rx_bytes"] - before["rx_bytes"])
            / (after["rx_frames"] - before["rx_frames"]))


def test_migration_goes_in_jumbo_frames(hosts):
    assert move(hosts, "a", "b") > ORDINARY_FRAME


@pytest.mark.parametrize("long", ["a", "b"])
def test_host_of_1500_bytes_gets_no_longer_ones(hosts, long):
    assert move(hosts, long, "c") <= ORDINARY_FRAME
