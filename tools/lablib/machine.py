# SPDX-License-Identifier: MIT
"""One emulated host: what it is made of, whichever backend runs it (backends.py)."""

import os
from dataclasses import dataclass, field

BOOT_EPOCH = 1700000000                 # the RTC at power on: the same in every run

# How virtual time follows the wall's.  The first counts instructions and never waits, so a run is
# the same however busy the machine is; hosts that talk to each other want the second.
SYNC = ["none", "slowdown", "realtime"]


@dataclass
class Nic:
    mac: str
    tap: str                            # name of the tap device that carries its frames
    model: str = "e1000"                # what the host sees; `lab up --help` has the list


@dataclass
class Machine:
    """A host to be, and the directory that holds its files."""
    backend: str
    directory: str
    iso: str
    cpus: int = 1
    memory: int = 256                   # MiB
    cpu_model: str = ""                 # as the backend calls it; "": the backend's own choice
    ips: int = 4_000_000                # instructions a second of virtual time, where counted
    sync: str = "none"                  # how virtual time follows the wall's: SYNC
    bios: str = ""                      # another firmware than the backend's
    serial: str = "file"                # or a TCP port of 127.0.0.1 that is listened on
    nics: list = field(default_factory=list)

    def path(self, name):
        return os.path.join(self.directory, name)

    @property
    def serial_log(self):
        return self.path("serial.log")
