# SPDX-License-Identifier: MIT
"""A host on QEMU with two cards on one wire, which runs its own NIC test (test=nics-FRAMES).

The wire is a pair of datagram sockets: nothing is lost, and a frame arrives when the receiver has
room.  A bad wire loses some frames and adds some that nobody sent: too short, too long, noise.
Cables are pulled by QEMU's monitor, and jumbo frames sent, when the host asks for it on COM1.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from lablib.boot import complete, read_text
from lablib.iso import build_iso

QEMU = shutil.which("qemu-system-x86_64")
REQUEST = re.compile(r"nics: (pull the cable of|plug in the cable of|send jumbo frames to) "
                     r"nic([01])\n")
JUMBO_FRAMES, JUMBO_LEN, SHORT_LEN = 3, 9014, 60        # the first as in boot/nictest.c
END = re.compile(r"nics: (PASS|FAIL).*|godwit: stopped.*|panic.*")
LOSE_EVERY = 40                         # frames, on a bad wire
SILENCE_S = 0.2
STRANGERS = [b"\xff" * 9, os.urandom(700), b"\x52\x54\0\0\0\1" + os.urandom(4000), b"\0" * 60]


class BadWire:
    """Carries datagrams from one name to another, until stop()."""

    def __init__(self, source, target):
        self.target, self.carried, self.stopped = target, 0, False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(source)
        self.socket.settimeout(SILENCE_S)
        self.thread = threading.Thread(target=self._carry)
        self.thread.start()

    def _send(self, data):
        try:
            self.socket.sendto(data, socket.MSG_DONTWAIT, self.target)
        except OSError:
            pass                        # the receiver's room is full, or QEMU has ended: lost

    def _carry(self):
        while not self.stopped:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            self.carried += 1
            if self.carried % LOSE_EVERY:
                self._send(data)
            else:
                self._send(STRANGERS[self.carried // LOSE_EVERY % len(STRANGERS)])

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.socket.close()


def _netdev(number, local, remote):
    return ["-netdev", f"dgram,id=wire{number},local.type=unix,local.path={local},"
                       f"remote.type=unix,remote.path={remote}"]


def _machine(directory, sockets, devices, bad, options):
    argv = [QEMU, "-cdrom", os.path.join(directory, "boot.iso"), "-display", "none",
            "-m", "128", "-cpu", "max", "-no-reboot", "-monitor", "stdio",
            "-serial", "file:" + os.path.join(directory, "serial.log"), *options]
    for i, device in enumerate(devices):
        remote = os.path.join(sockets, f"bad{i}" if bad else str(1 - i))
        argv += _netdev(i, os.path.join(sockets, str(i)), remote)
        argv += ["-device", f"{device},netdev=wire{i},id=nic{i},mac=52:54:00:00:00:0{i + 1}"]
    return argv


def _send_jumbo(path, nic, jumbo_len):
    """Frames that are too long, for the card behind the socket `path`, and then a short one."""
    head = bytes.fromhex(f"52540000000{nic + 1} 52540000000{2 - nic} 88b5")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        for length in [jumbo_len] * JUMBO_FRAMES + [SHORT_LEN]:
            wire.sendto(head + bytes(length - len(head)), path)


def _obey(process, sockets, what, nic, jumbo_len):
    if what.startswith("send"):
        _send_jumbo(os.path.join(sockets, str(nic)), nic, jumbo_len)
        return
    process.stdin.write(f"set_link nic{nic} {'off' if what[:4] == 'pull' else 'on'}\n".encode())
    process.stdin.flush()


def _follow(process, sockets, log, limit_s, jumbo_len):
    """The complete lines of the log, at the verdict or when it is too late for one."""
    deadline, obeyed, text = time.monotonic() + limit_s, 0, ""
    while time.monotonic() < deadline and not END.search(text) and process.poll() is None:
        time.sleep(0.05)
        text = complete(read_text(log))
        for what, nic in REQUEST.findall(text)[obeyed:]:
            obeyed += 1
            _obey(process, sockets, what, int(nic), jumbo_len)
    return text


def run(image, directory, devices, test, *, bad=False, words="", options=(), limit_s=600,
        jumbo_len=JUMBO_LEN):
    """What COM1 said.  `devices`: two of QEMU's; `test`: after test=; `words`: command line."""
    build_iso(os.path.join(directory, "boot.iso"), image, f"node=t virt=off test={test} {words}")
    with tempfile.TemporaryDirectory(prefix="godwit-nics.") as sockets:     # a short path
        wires = [BadWire(os.path.join(sockets, f"bad{i}"), os.path.join(sockets, str(1 - i)))
                 for i in range(2) if bad]
        process = subprocess.Popen(_machine(directory, sockets, devices, bad, options),
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            return _follow(process, sockets, os.path.join(directory, "serial.log"), limit_s,
                           jumbo_len)
        finally:
            process.kill()
            process.wait()
            for wire in wires:
                wire.stop()


def passed(text):
    return re.search(r"^\S* *\S+\] nics: PASS", text, re.MULTILINE)
