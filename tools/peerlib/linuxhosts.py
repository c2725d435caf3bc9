# SPDX-License-Identifier: MIT
"""Two Linux hosts on the lab's bridge, on the same emulated machines as Godwit's hosts.

A host differs from a node of lablib/lab.py in what it boots (kernel and initrd by QEMU's -kernel
instead of a CD) and in nothing else.  Commands go to a shell that listens on each host; the ways
to it and to the monitors of QEMU there are TCP connections from the lab's network.
"""

import os
import select
import shutil
import subprocess
import time

from lablib import net
from lablib.boot import complete, read_text
from lablib.lab import mac_address
from lablib.machine import Machine, Nic
from lablib.proc import LabError, Records
from lablib.qemu import Qemu

SHELL_PORT = 4440
READY = "host: ready"
READY_S = 240
CONNECT_S = 60
POLL_S = 0.2
# As one would set it for speed in a lab; the guests' kernels have the same words.
CMDLINE = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off random.trust_cpu=on tsc=reliable"


class LinuxMachine(Qemu):
    """The lab's QEMU; only what it boots is another thing."""

    def __init__(self, image, words):
        self.image, self.words = image, words

    def _boot_from(self, m):
        kernel, initrd = self.image
        return ["-kernel", kernel, "-initrd", initrd, "-append", f"{CMDLINE} {self.words}"]


class Line:
    """A TCP connection out of the lab's network, line by line."""

    def __init__(self, enter, address, port):
        self.where = f"{address}:{port}"
        self.program = subprocess.Popen([*enter, "busybox", "nc", address, str(port)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.heard = b""

    def say(self, text):
        try:
            self.program.stdin.write(text.encode() + b"\n")
            self.program.stdin.flush()
        except BrokenPipeError:
            raise LabError(f"the connection to {self.where} is closed") from None

    def hear(self, seconds):
        """The next line, without its end."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.heard:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.program.stdout], [], [], left)[0]:
                raise LabError(f"{self.where} does not answer within {seconds} s")
            part = os.read(self.program.stdout.fileno(), 65536)
            if not part:
                raise LabError(f"the connection to {self.where} is closed")
            self.heard += part
        line, _, self.heard = self.heard.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r")

    def close(self):
        self.program.stdin.close()
        self.program.stdout.close()
        self.program.kill()
        self.program.wait()


class Shell:
    """Commands for a host, one after the other."""

    END = "end-of-command"

    def __init__(self, line):
        self.line = line

    def run(self, command, seconds=CONNECT_S):
        """What it printed; its exit status does not matter here."""
        self.line.say(f"{{ {command}\n}} 2>&1; echo; echo {self.END}")
        said = []
        while True:
            line = self.line.hear(seconds)
            if line == self.END:
                return "\n".join(said)[:-1] + "\n" if any(said) else ""
            said.append(line)

    def close(self):
        self.line.close()


class LinuxHosts:
    """Up, a shell on each, down.  Half of them never stay behind."""

    def __init__(self, directory, image, names, memory, **machine):
        self.directory = os.path.abspath(directory)
        self.image, self.names = image, names
        self.fields = {"memory": memory, "sync": "slowdown", **machine}
        self.records = Records(os.path.join(self.directory, "pids"))
        self.shell, self.lines = {}, []

    def address(self, name):
        return net.node_address(0, self.names.index(name))

    def machine(self, name):
        nic = Nic(mac_address(self.names.index(name), 0), f"{name}0", "virtio-net")
        return Machine(backend="qemu", directory=os.path.join(self.directory, name), iso="",
                       nics=[nic], **self.fields)

    def up(self):
        self.records.kill_all()
        try:
            holder = net.hold(self.records)
            net.build(holder.pid, [[f"{name}0" for name in self.names]])
            self.enter = net.enter_command(holder.pid)
            for name in self.names:
                self._start(name)
            deadline = time.monotonic() + READY_S
            for name in self.names:
                self.await_log(name, READY, deadline)
                self.shell[name] = Shell(self.connect(name, SHELL_PORT))
        except BaseException:
            self.down()
            raise

    def _start(self, name):
        machine = self.machine(name)
        shutil.rmtree(machine.directory, ignore_errors=True)
        os.makedirs(machine.directory)
        words = f"peer.ip={self.address(name)}/24"
        argv, env = LinuxMachine(self.image, words).prepare(machine)
        with open(machine.path("stdout"), "wb") as out:
            self.records.spawn("node-" + name, [*self.enter, *argv], cwd=machine.directory,
                               env=env, stdout=out, stderr=out)

    def await_log(self, name, text, deadline):
        """Wait until a host has said a line with `text` on COM1."""
        machine, process = self.machine(name), self.records.read("node-" + name)
        while text not in complete(read_text(machine.serial_log)):
            if not process.alive() or time.monotonic() > deadline:
                raise LabError(f"host {name} did not say {text!r}; see {machine.serial_log} and "
                               f"{machine.path('stdout')}")
            time.sleep(POLL_S)

    def connect(self, name, port):
        """A Line to a port of a host where somebody listens, or soon will."""
        deadline = time.monotonic() + CONNECT_S
        while True:
            line = Line(self.enter, self.address(name), port)
            time.sleep(POLL_S)
            if line.program.poll() is None:
                self.lines.append(line)
                return line
            line.close()
            if time.monotonic() > deadline:
                raise LabError(f"nobody listens on port {port} of host {name}")

    def down(self):
        for line in self.lines:
            line.close()
        self.shell, self.lines = {}, []
        self.records.kill_all()
