# SPDX-License-Identifier: MIT
"""Godwit and the peer with one face: up(), move(load), exits(times), down().

Both run on two hosts of QEMU's TCG with AMD-V, on the lab's bridge, and move the same guest, made
from the same files, with the same words on its command line.
"""

import contextlib
import json
import os
import time

from lablib.api import Api, NoAnswer
from lablib.lab import Lab, Options
from lablib.proc import LabError
from lablib.watch import until

from . import qmp, report
from .linuxhosts import LinuxHosts

LOADS = {"idle": (0, 0), "500x32": (32, 500), "2000x64": (64, 2000)}     # MiB, pages a second
GUEST_MIB = 256
HOST_MIB = 1024
BEATS = 4                               # before the move, and more of them after it
GUEST_READY_S = 300
WIRE_MIB = 256
MOVE_S = 120                            # then it is called off: it does not converge
POLL_S = 1.0
COUNTED = {"sync": "realtime", "ips": 1_000_000_000}     # a TSC tick for each instruction
VM = "moving"
CMDLINE = "console=ttyS0 panic=-1 nokaslr mitigations=off quiet"


def cmdline(load):
    mib, rate = LOADS[load]
    return f"{CMDLINE} godwit.dirty={mib},{rate} godwit.beat=1"


def _last_beat(console):
    found = report.beats(console())
    if found and found[-1][2]:
        raise LabError(f"the guest found {found[-1][2]} pages wrong")
    return found[-1][0] if found else 0


def await_beats(console, count):
    """Wait until the guest has said so many beats; their number."""
    return until(f"beat {count} of the guest",
                 lambda: next((n for n in [_last_beat(console)] if n >= count), 0), GUEST_READY_S)


def ended(status, call_off):
    """Ask status() until the move has ended, at most MOVE_S; then call it off and ask again."""
    deadline, called_off = time.monotonic() + MOVE_S, False
    while True:
        time.sleep(POLL_S)
        found = status()
        if found:
            return found
        if time.monotonic() > deadline:
            if called_off:
                raise LabError("a migration that was called off does not end")
            with contextlib.suppress(LabError):     # it may end by itself just now
                call_off()
            deadline, called_off = time.monotonic() + MOVE_S, True


class System:
    """What both have in common: where their files are, and that `with` takes them down."""

    def __init__(self, build, directory):
        self.build, self.directory = os.path.abspath(build), os.path.abspath(directory)

    def guest_file(self, name):
        return os.path.join(self.build, "guests", name)

    def keep(self, load, status):
        """What the system itself says of a move, for whoever wants to know more."""
        with open(os.path.join(self.directory, f"{self.name}-{load}.json"), "w",
                  encoding="utf-8") as f:
            json.dump(status, f, indent=2)

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self.down()


class Godwit(System):
    name = "godwit"

    def __init__(self, build, directory, nodes=2, **options):
        super().__init__(build, directory)
        self.lab, self.api = Lab(os.path.join(self.directory, "godwit")), None
        self.options = Options(image=os.path.join(self.build, "godwit.elf"), backend="qemu",
                               nodes=nodes, memory=HOST_MIB, nic="virtio-net", **options)

    def up(self):
        self.lab.up(self.options)
        try:
            self.api = Api(self.lab)
            for name in ("vmlinuz", "initrd.cpio"):
                self.api.upload("a", name, self.guest_file(name))
            self.api.upload("a", "exitbench.elf",
                            os.path.join(self.build, "guest/exitbench.elf"))
        except BaseException:
            self.down()
            raise

    def down(self):
        self.lab.down()
        if self.api:
            self.api.close()

    def _console(self, node):
        """Nothing while its host is too slow to answer: counting takes its time."""
        try:
            return self.api.console(node, VM)[0]
        except NoAnswer:
            return ""

    def _start(self, memory, boot):
        self.api.post("a", "/v1/vms", {"name": VM, "memory": memory, "cpus": 1, "boot": boot,
                                       "nics": []})
        self.api.post("a", f"/v1/vms/{VM}/start")

    def _end(self, node):
        if self.api.get(node, f"/v1/vms/{VM}")["state"] != "STOPPED":
            self.api.post(node, f"/v1/vms/{VM}/stop")
        self.api.call(node, "DELETE", f"/v1/vms/{VM}")

    def move(self, load):
        self._start(GUEST_MIB, {"kernel": "vmlinuz", "initrd": "initrd.cpio",
                                "cmdline": cmdline(load)})
        beat = await_beats(lambda: self._console("a"), BEATS)
        made = self.api.post("a", f"/v1/vms/{VM}/migrate", {"to": self.api.address["b"]})
        path = f"/v1/migrations/{made['id']}"
        status = ended(lambda: next((s for s in [self.api.get("a", path)] if s["ended"]), None),
                       lambda: self.api.post("a", path + "/cancel"))
        self.keep(load, status)
        node = "b" if status["ok"] else "a"
        await_beats(lambda: self._console(node), beat + BEATS)
        self._end(node)
        return {"total_ms": status["total_ms"], "downtime_ms": status["downtime_ms"],
                "bytes": status["bytes_sent"], "rounds": len(status["rounds"]),
                "converged": status["ok"]}

    def exits(self, times):
        for _ in range(times):
            self._start(GUEST_MIB, {"multiboot": "exitbench.elf"})
            text = until("verdict of exitbench", lambda: next(
                (t for t in [self._console("a")] if "\nPASS" in t), ""))
            self._end("a")
            yield report.exits(text)


class Kvm(System):
    """QEMU as Debian has it, its defaults: pre-copy, a stop of at most 300 ms wanted, 128 MiB/s at
    most, no compression, one connection, no throttling."""

    name = "kvm"
    MONITOR, INCOMING, WIRE = 4444, 4446, 4448
    RUN = ("qemu-system-x86_64 -accel kvm -cpu host -nodefaults -display none -no-reboot "
           f"-m {GUEST_MIB} -serial file:/tmp/serial")

    def __init__(self, build, directory, image, nodes=2, **machine):
        super().__init__(build, directory)
        self.hosts = LinuxHosts(os.path.join(self.directory, "kvm"), image, "ab"[:nodes],
                                HOST_MIB, **machine)

    def up(self):
        self.hosts.up()

    def down(self):
        self.hosts.down()

    def _start(self, name, words):
        self.hosts.shell[name].run(
            f"rm -f /tmp/serial; {self.RUN} {words} </dev/null >/tmp/qemu 2>&1 &")

    def _qemu(self, name, words, load):
        """A guest, or a place for one, and the monitor of its QEMU."""
        self._start(name, f"-kernel /guest/vmlinuz -initrd /guest/initrd.cpio -append "
                    f"'{cmdline(load)}' -qmp tcp:0.0.0.0:{self.MONITOR},server=on,wait=off {words}")
        try:
            return qmp.Qmp(self.hosts.connect(name, self.MONITOR), GUEST_READY_S)
        except LabError as e:
            said = self.hosts.shell[name].run("tail -n 5 /tmp/qemu")
            raise LabError(f"{e}; QEMU on host {name} said: {said}") from None

    def _console(self, name):
        return self.hosts.shell[name].run("cat /tmp/serial")

    def move(self, load):
        b = self._qemu("b", f"-incoming tcp:0.0.0.0:{self.INCOMING}", load)
        a = self._qemu("a", "", load)
        beat = await_beats(lambda: self._console("a"), BEATS)
        a.run("migrate", uri=f"tcp:{self.hosts.address('b')}:{self.INCOMING}")
        last = {}

        def status():
            last.update(a.run("query-migrate"))
            return qmp.migration(last)
        measured = ended(status, lambda: a.run("migrate_cancel"))
        self.keep(load, last)
        if measured["converged"]:
            if b.run("query-status")["status"] != "running":
                raise LabError("the peer's guest does not run after its move")
            await_beats(lambda: self._console("b"), beat + BEATS)
        for monitor in (a, b):
            monitor.run("quit")
            monitor.close()
        return measured

    def wire(self):
        """Bytes a second of Linux's TCP from a to b, as b saw them, while nothing else goes on."""
        a, b = self.hosts.shell["a"], self.hosts.shell["b"]
        b.run(f"tcprate {self.WIRE} >/tmp/rate 2>&1 &")
        a.run(f"sleep 1; tcprate {self.WIRE} {self.hosts.address('b')} {WIRE_MIB}", MOVE_S)
        return report.wire_rate(until("rate of the wire", lambda: next(
            (t for t in [b.run("cat /tmp/rate")] if t.strip()), ""), MOVE_S))

    def exits(self, times):
        for _ in range(times):
            self._start("a", "-kernel /guest/exitbench.elf")
            text = until("verdict of exitbench under KVM", lambda: next(
                (t for t in [self._console("a")] if "\nPASS" in t), ""))
            self.hosts.shell["a"].run("kill $!; wait $!")
            yield report.exits(text)
