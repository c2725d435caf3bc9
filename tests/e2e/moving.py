# SPDX-License-Identifier: MIT
"""What tests of migrations do all the time: make a guest, move it, look where and how it is."""

import contextlib
import os
import re
import time

from conftest import BUILD, lab_up
from lablib.api import Api, ApiError
from lablib.boot import complete

BEAT = re.compile(r"beat (\d+), (\d+) pages written")
SPEED = re.compile(r"beat (\d+), (\d+) pages written, tick \d+, TSC (\d+)")
TROUBLE = re.compile(r"soft lockup|rcu.*stall|BUG:|Oops|Kernel panic|unstable|stuck")
POLL_S = 0.05
SPEED_BEATS = 3
# Wall: an emulated host on a busy machine is slow, and only what fails waits as long.
MOVE_S, WAIT_S = 1800, 900
DOWNTIME_MS = 2000                      # unless a test says another: busy hosts stand still, too


@contextlib.contextmanager
def hosts_up(name, **fields):
    """Hosts of a lab of their own: conftest.lab_up()."""
    with lab_up(name, **fields) as lab, contextlib.closing(Hosts(lab, BUILD)) as hosts:
        yield hosts


class Hosts:
    """The hosts of a lab and the guests on them.  `wire`: which network migrations take."""

    def __init__(self, lab, build):
        self.lab, self.build = lab, build
        self.api = Api(lab)
        self.wire = len(lab.config()["wires"]) - 1
        self.free = {n: self.node(n)["memory"]["free_bytes"] for n in self.api.address}

    def close(self):
        self.api.close()

    def node(self, name):
        return self.api.get(name, "/v1/node")

    def address(self, node):
        """Of the migration network."""
        return f"10.{77 + self.wire}.0.{self.api.address[node].rpartition('.')[2]}"

    # --- guests -------------------------------------------------------------------------

    def start(self, node, name, cmdline="", memory=8, elf="migrate-pattern.elf", **more):
        """A micro-guest on `node`, which beats when this returns."""
        self.api.upload(node, elf, os.path.join(self.build, "guest", elf))
        self.api.post(node, "/v1/vms", {"name": name, "memory": memory, "nics": [],
                                        "boot": {"multiboot": elf, "cmdline": cmdline}, **more})
        self.api.post(node, f"/v1/vms/{name}/start")
        self.await_beats(node, name, 1)

    @contextlib.contextmanager
    def guests(self):
        """A start() whose guests are removed in the end; it returns the name."""
        with contextlib.ExitStack() as ends:
            def start(node, name, *args, **options):
                ends.callback(self.remove, name)
                self.start(node, name, *args, **options)
                return name
            yield start

    def state(self, node, name):
        """RUNNING, GHOST ... or None when the node has no such VM."""
        try:
            return self.api.get(node, f"/v1/vms/{name}")["state"]
        except ApiError as e:
            if e.status == 404:
                return None
            raise

    def time(self, node, name):
        """The node's time and the VM's, at one moment, in ms."""
        vm = self.api.get(node, f"/v1/vms/{name}")
        return vm["node_ms"], vm["clock_ms"]

    def where(self, name):
        """The nodes on which it runs."""
        return [n for n in self.api.address if self.state(n, name) == "RUNNING"]

    def beat(self, node, name):
        """Its last heartbeat; it must not have complained about anything."""
        text = complete(self.api.console(node, name)[0])
        assert "FAIL" not in text, text[-2000:]
        found = BEAT.findall(text)
        return int(found[-1][0]) if found else 0

    def await_beats(self, node, name, more, seconds=WAIT_S):
        """It goes on: `more` heartbeats (a second of its own time each) from now."""
        goal = self.beat(node, name) + more
        self.until(lambda: self.beat(node, name) >= goal, seconds,
                   f"{name} at node {node} stands still before beat {goal}")

    def speed(self, node, name):
        """Pages that it writes in a million ticks of its TSC, over the next beats.

        A throttled guest misses timer interrupts, so its beats are longer; its TSC goes on.  Asked
        seldom: on a busy machine our questions would take the host's time from the guest."""
        first = self.beat(node, name) + 1
        self.until(lambda: self.beat(node, name) >= first + SPEED_BEATS, WAIT_S,
                   f"{name} at node {node} stands still", pause_s=1)
        said = {int(beat): (int(pages), int(tsc)) for beat, pages, tsc in
                SPEED.findall(complete(self.api.console(node, name)[0]))}
        (before, begin), (after, end) = said[first], said[first + SPEED_BEATS]
        return (after - before) * 1e6 / (end - begin)

    def shell(self, node, name, command):
        """What `command` prints, typed on the console of a Linux guest whose shell is awake."""
        _, at = self.api.console(node, name)
        typed = f"{command}; echo the-'end'\n"
        self.api.raw(node, "POST", f"/v1/vms/{name}/console", typed.encode())

        def output():
            return complete(self.api.console(node, name, at)[0])
        self.until(lambda: "the-end" in output(), WAIT_S, f"the shell does not answer: {command}")
        return output().partition("the-'end'")[2].partition("the-end")[0]

    def trouble(self, node, name):
        """What the kernel of a Linux guest has complained about."""
        self.api.raw(node, "POST", f"/v1/vms/{name}/console", b"\n")      # wakes the shell
        return TROUBLE.findall(self.shell(node, name, "dmesg"))

    def migrating(self, node, name):
        return self.state(node, name) and self.api.get(node, f"/v1/vms/{name}")["migrating"]

    def remove(self, name):
        """Stop and delete it wherever it is, once its migrations have ended."""
        for n in self.api.address:
            self.until(lambda: not self.migrating(n, name), WAIT_S, f"{name} still migrates")
            if self.state(n, name) is None:
                continue
            if self.state(n, name) in ("RUNNING", "PAUSED"):
                self.api.post(n, f"/v1/vms/{name}/stop")
            self.api.call(n, "DELETE", f"/v1/vms/{name}")

    def nothing_left(self, node, name):
        """No VM, no ghost, no memory: as if it had never been here."""
        self.until(lambda: self.state(node, name) is None, WAIT_S,
                   f"{name} is still at node {node}")
        images = sum(i["bytes"] for i in self.api.get(node, "/v1/images")["images"])
        self.until(lambda: self.free[node] - self.node(node)["memory"]["free_bytes"]
                   <= images + (4 << 20), WAIT_S,
                   f"memory of node {node} did not come back: {self.node(node)['memory']}")

    # --- migrations ---------------------------------------------------------------------

    @staticmethod
    def until(condition, seconds, complaint, pause_s=POLL_S):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{complaint} (after {seconds} s)"
            time.sleep(pause_s)

    def begin(self, node, name, to, **options):
        """Start a migration; its number at `node`."""
        return self.api.post(node, f"/v1/vms/{name}/migrate",
                             {"to": self.address(to), "downtime_ms": DOWNTIME_MS, **options})["id"]

    def status(self, node, number):
        return self.api.get(node, f"/v1/migrations/{number}")

    def watch(self, node, number, until=lambda s: s["ended"], seconds=MOVE_S):
        """Its status when `until` is true of it for the first time."""
        end = time.monotonic() + seconds
        while True:
            status = self.status(node, number)
            if until(status):
                return status
            assert not status["ended"], f"it ended early: {status['result']}"
            assert time.monotonic() < end, f"still {status['state']} after {seconds} s: {status}"
            time.sleep(POLL_S)

    def move(self, node, name, to, **options):
        """A whole migration that must work; its last status at the source."""
        status = self.watch(node, self.begin(node, name, to, **options))
        assert status["ok"], status["result"]
        return status

    def incoming(self, node):
        """The newest incoming migration of `node`."""
        return next(m for m in self.api.get(node, "/v1/migrations")["migrations"]
                    if not m["outgoing"])
