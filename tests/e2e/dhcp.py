# SPDX-License-Identifier: MIT
"""dhcp_server.py as tests use it, and a host that asks it."""

import json
import os
import sys

from conftest import lab_up
from lablib.watch import until

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER, LEASED = "10.77.0.1", "10.77.0.177"
START_S = 60


def asking_host(name, backend):
    """A lab of one host that asks by DHCP."""
    return lab_up(name, backend=backend, nodes=1, memory=64, cmdline="mgmt=nic0,dhcp")


class Server:
    """Runs from `with` to its end, on the client's port; what it heard stays."""

    def __init__(self, lab, lease_s):
        self.lab, self.lease_s = lab, lease_s
        self.log = lab.path("dhcp.jsonl")

    def __enter__(self):
        with open(self.log, "wb") as out:
            self.program = self.lab.popen(
                [sys.executable, os.path.join(HERE, "dhcp_server.py"),
                 self.lab.config()["client"]["interface"], SERVER, LEASED, str(self.lease_s)],
                stdout=out)
        until("DHCP server that listens", lambda: self.heard("LISTENS"), START_S)
        return self

    def __exit__(self, *_):
        self.program.kill()
        self.program.wait()

    def heard(self, kind):
        """The messages of this kind so far."""
        with open(self.log, encoding="utf-8") as f:
            lines = [line for line in f if line.endswith("\n")]
        return [m for m in map(json.loads, lines) if m["type"] == kind]
