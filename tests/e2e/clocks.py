# SPDX-License-Identifier: MIT
"""A guest's clocks, those of the hosts and the wall's, read at one moment, and what must hold."""

import json
import re
import subprocess
import sys
import time

from lablib.boot import complete

PROGRAM = """
import json, socket, sys, time
for _ in sys.stdin:
    link = socket.create_connection(("10.77.0.50", 7003), 120)
    begin = time.monotonic_ns()
    link.sendall(b"time?\\n")
    answer = dict(word.split("=") for word in link.makefile().readline().split())
    print(json.dumps({"begin": begin, "end": time.monotonic_ns(), **answer}), flush=True)
    link.close()
"""
SAID = re.compile(r"beat \d+, .*kvm-clock (\d+) ns")
STOOD = ["stun", "state", "harvest", "pages", "verify"]         # parts of the stop before GRANT
PPM_MAX = 1000                          # of the time that has passed: the error of a calibration
# For migrate-clocks: the TSC's ratio is computed, no calibration is in it; QEMU wakes a guest when
# this machine lets it.
CROSS_OPTIONS = "ppm=20 late_us=1000000"
READY_GRANT_S = 0.5                     # by which these two may differ; they count as equally fast


def of_hosts(hosts, now, begin):
    """`now`, with how far each host is ahead of the wall, and how long reading all has taken."""
    for node in hosts.api.address:
        asked = time.monotonic()
        now[node] = hosts.node(node)["uptime_ms"] / 1e3 - (asked + time.monotonic()) / 2
    now["spread"] = time.monotonic() - begin
    return now


class OfLinux:
    """Of the demo's guest.  Asks by one program that stays: to start one takes long on a busy
    machine."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.program = hosts.lab.popen([sys.executable, "-c", PROGRAM], text=True, bufsize=1,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self):
        self.program.stdin.close()
        self.program.stdout.close()
        self.program.wait(60)

    def read(self):
        """In seconds: the guest's clocks `real` and `mono`, the `wall`, how far each host is ahead
        of the wall (by its name), and `spread`, how long it took to read them all."""
        self.program.stdin.write("now\n")
        line = self.program.stdout.readline()
        assert line, "the guest does not tell its time"
        said = json.loads(line)
        assert said["clocksource"] == "kvm-clock"
        now = {"real": int(said["realtime_ns"]) / 1e9, "mono": int(said["monotonic_ns"]) / 1e9,
               "wall": (said["begin"] + said["end"]) / 2e9}
        return of_hosts(self.hosts, now, said["begin"] / 1e9)


def of_vm(hosts, node, name):
    """The same of a VM at this node: its time is `vm`."""
    begin = time.monotonic()
    _, vm_ms = hosts.time(node, name)
    now = {"vm": vm_ms / 1e3, "wall": (begin + time.monotonic()) / 2}
    return of_hosts(hosts, now, begin)


def behind(before, after, clock, host=None):
    """By how much a clock of the guest fell behind the wall's, and what it may: (s, least, most).

    An emulator on a busy machine loses time, and its host's clock with it: a guest that ran on
    `host` has lost as much.  One that moved meanwhile (None) may have lost what either did.  A stop
    that was not counted would be missing on top of that."""
    lags = [before[node] - after[node] for node in ("ab" if host is None else host)]
    least, most = (lags * 2 if host else
                   (sum(min(lag, 0) for lag in lags), sum(max(lag, 0) for lag in lags)))
    slack = 0.1 + before["spread"] + after["spread"]
    lost = (after["wall"] - before["wall"]) - (after[clock] - before[clock])
    return lost, least - slack, most + slack


class Watch:
    """Looks at all clocks again and again; each look is checked against the one before."""

    def __init__(self, read, names):
        self.read, self.names = read, names
        self.first = self.last = read()
        self.looks, self.on_its_way = 1, 0
        self.furthest = 0.0     # s: off the host's own clock, beyond what reading both took

    def look(self, host):
        self.take(self.read(), host)

    def take(self, now, host):
        """`host`: where the guest has been since the last look; None: it has moved."""
        self.check(self.last, now, host, 0 if host else READY_GRANT_S)
        self.last = now
        self.looks += 1
        self.on_its_way += not host

    def check(self, before, now, host, slack):
        for name in self.names:
            lost, least, most = behind(before, now, name, host)
            assert now[name] > before[name], "its clock went back"
            assert least - slack < lost < most + slack, (name, host, least, lost, most)
            if host:
                off = abs(lost - (least + most) / 2) - before["spread"] - now["spread"]
                self.furthest = max(self.furthest, off)

    def of_all(self):
        """From the first look to the last."""
        self.check(self.first, self.last, None, READY_GRANT_S * self.on_its_way)
        said = {}
        for name in self.names:
            lost, least, most = behind(self.first, self.last, name)
            said[name] = {"behind_ms": round(lost * 1e3), "least_ms": round(least * 1e3),
                          "most_ms": round(most * 1e3)}
        return {"looks": self.looks, "furthest_off_ms": round(self.furthest * 1e3, 1), **said}


def stay(hosts, name, node):
    """Two heartbeats of migrate-clocks: its time passes as its host's, whose clock of its own each
    leg is measured by, and kvm-clock in the guest is its time."""
    begin = hosts.time(node, name)
    hosts.await_beats(node, name, 2)
    end = hosts.time(node, name)
    outside, inside = (end[i] - begin[i] for i in (0, 1))
    assert abs(inside - outside) <= outside * PPM_MAX / 1e6 + 1, (node, outside, inside)
    kvm_ms = int(SAID.findall(complete(hosts.api.console(node, name)[0]))[-1]) / 1e6
    assert begin[1] - 1 <= kvm_ms, (node, begin, kvm_ms)
    assert kvm_ms <= hosts.time(node, name)[1] + 1, (node, kvm_ms)


def move(hosts, name, here, there):
    """Its time went on during the stop, at least for what the source alone did meanwhile; and every
    moment of the move passed here or there.  The migration's last status."""
    own = {n: hosts.node(n)["uptime_ms"] for n in (here, there)}
    before = hosts.time(here, name)[1]
    moved = hosts.move(here, name, there)
    after = hosts.time(there, name)[1]
    stood = sum(moved["downtime_parts_ms"][part] for part in STOOD)
    own = sum(hosts.node(n)["uptime_ms"] - own[n] for n in own)
    assert before + stood <= after <= before + own * (1 + PPM_MAX / 1e6), (here, there, stood)
    return moved
