# SPDX-License-Identifier: MIT
"""mgmt=nic0,dhcp: a host without a server says so and goes on; with one it has an address.

tests/long/test_dhcp_renewal.py waits for what comes minutes later.
"""

import json

import pytest

from dhcp import LEASED, Server, asking_host

LINK_LOCAL = "fe80::5054:ff:fe77:100"
LIMIT_S = 300


@pytest.fixture(scope="module")
def host(backend):
    """A host that asks by DHCP, and nobody answers yet."""
    with asking_host(f"test_dhcp.{backend}", backend) as lab:
        yield lab


def node(host, address):
    """GET /v1/node of the host at this address."""
    done = host.run(["curl", "-sS", "-m", str(LIMIT_S), f"http://{address}/v1/node"],
                    capture_output=True, timeout=2 * LIMIT_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_host_without_a_server_says_so_and_answers_on_ipv6(host):
    said = host.await_log("a", r"net: nic0: no DHCP server .*", LIMIT_S)[0]
    assert "still asking" in said and LINK_LOCAL in said
    assert "has the address" not in host.log("a")
    addresses = node(host, f"[{LINK_LOCAL}%25client]")["addresses"]
    assert addresses == [f"nic0 0.0.0.0 {LINK_LOCAL}"]


def test_server_that_comes_later_gives_the_address(host):
    with Server(host, lease_s=3600) as server:
        host.await_log("a", rf"net: nic0 has the address {LEASED}", LIMIT_S)
        asked = server.heard("REQUEST")
        assert node(host, LEASED)["addresses"][0].split()[1] == LEASED
    assert [m["hostname"] for m in asked] == ["a"] * len(asked) and asked
    assert not server.heard("DECLINE")
    route = host.run(["ping", "-c", "1", "-W", str(LIMIT_S), LEASED], capture_output=True)
    assert b" 0% packet loss" in route.stdout
