# SPDX-License-Identifier: MIT
"""A lease is renewed in time, by a question to the server alone, and is over when nobody answers.

Minutes long: lwIP counts a lease in whole minutes.
"""

import pytest

from dhcp import LEASED, Server, asking_host
from lablib.watch import until

LEASE_S = 120
LIMIT_S = 900                           # wall; the host's time may be slower


@pytest.fixture
def host(backend):
    with asking_host(f"test_dhcp_renewal.{backend}", backend) as lab:
        yield lab


def test_lease_is_renewed_and_ends_when_the_server_has_gone(host):
    with Server(host, LEASE_S) as server:
        host.await_log("a", rf"net: nic0 has the address {LEASED}", LIMIT_S)
        until("renewal", lambda: [m for m in server.heard("REQUEST") if m["unicast"]], LIMIT_S)
        renewal = server.heard("REQUEST")[-1]
        assert renewal["ciaddr"] == LEASED and renewal["unicast"]
        assert len(server.heard("DISCOVER")) == 1
    assert "lost" not in host.log("a")
    host.await_log("a", r"net: nic0 has lost its address", LIMIT_S)
    host.await_log("a", r"net: nic0: no DHCP server", LIMIT_S)
    with Server(host, LEASE_S):
        host.await_log("a", rf"lost its address(?s:.*)has the address {LEASED}", LIMIT_S)
