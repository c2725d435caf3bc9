# SPDX-License-Identifier: MIT
"""A cable between a host and its bridge that can be cut, or blocked, at a record of a migration.

Pulling a cable by hand hits a migration in some state; a test wants to hit each.  `Cable` takes
a host's tap off the bridge and puts a program between the two that passes every frame on, and from
the frame on that holds the beginning of the chosen record, none: that one is the first to be lost,
or to wait until the cable is healed.  `python3 cable.py BRIDGE_SIDE HOST_SIDE` is the program: a
command a line on standard input (`cut at TYPE NUMBER`, `block at TYPE NUMBER`, `cut`, `heal`), the
first word of it on standard output when such a record has come for the NUMBERth time.
"""

import os
import select
import socket
import struct
import subprocess
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4                     # what we sent ourselves, shown to us again
MIG_PORT = 7700
TCP = 6
COMMANDS = 0                            # standard input, read past Python's buffer
# mig/wire.h: a record's header begins with its type and the length of its body and ends with a
# CRC of what is before; the records at which tests cut, and the length of their bodies.
HEADER, HEADER_LEN, CRC_AT = struct.Struct("<II"), 48, 44
RECORDS = {"ROUND": (0x80000012, 16), "END": (0x21, 24), "READY": (0x30, 32), "GRANT": (0x31, 16),
           "RUNNING": (0x32, 8)}


class Cable:
    """Between node `name`'s NIC `nic` and its bridge, until close()."""

    def __init__(self, lab, name, nic=0):
        self.tap, self.bridge, self.lab = lab.node(name)["nics"][nic]["tap"], f"br{nic}", lab
        self.near = f"{self.tap}-c"
        far = self.near + "b"
        self.ip(f"link add {self.near} type veth peer name {far}",
                *[f"link set {dev} addrgenmode none" for dev in (self.near, far)],
                f"link set {self.tap} nomaster", f"link set {far} master {self.bridge}",
                *[f"link set {dev} up" for dev in (self.near, far)])
        self.program = lab.popen([sys.executable, os.path.abspath(__file__), self.near, self.tap],
                                 text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ip(self, *commands):
        done = self.lab.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True,
                            capture_output=True)
        assert done.returncode == 0, done.stderr

    def say(self, command):
        self.program.stdin.write(command + "\n")
        self.program.stdin.flush()

    def cut_at(self, record):
        self.say(f"cut at {record} 1")

    def block_at(self, record, number):
        """Frames wait from its `number`th on: what a test then does comes before them."""
        self.say(f"block at {record} {number}")

    def cut(self):
        self.say("cut")

    def heal(self):
        self.say("heal")

    def await_cut(self, seconds, said="cut"):
        ready, _, _ = select.select([self.program.stdout], [], [], seconds)
        assert ready, f"the record that was to {said} the cable never came"
        assert self.program.stdout.readline() == said + "\n"

    def await_block(self, seconds):
        self.await_cut(seconds, "block")

    def close(self):
        self.program.kill()
        self.program.wait()
        self.ip(f"link del {self.near}", f"link set {self.tap} master {self.bridge}")


# --- the program in the lab's network --------------------------------------------------------

def tcp_payload(frame):
    """The bytes that TCP carries for a migration, or none."""
    if len(frame) < 54 or frame[12:14] != b"\x08\0" or frame[23] != TCP:
        return b""
    ip_len, total = (frame[14] & 15) * 4, int.from_bytes(frame[16:18], "big")
    at = 14 + ip_len
    if MIG_PORT not in struct.unpack_from("!HH", frame, at):
        return b""
    return frame[at + (frame[at + 12] >> 4) * 4:14 + total]


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def find_header(data, begin):
    """The record header that begins with `begin` in `data`, or None.  Pages may look like one."""
    at = data.find(begin)
    while at >= 0:
        header = data[at:at + HEADER_LEN]
        if len(header) == HEADER_LEN and struct.pack("<I", crc32c(header[:CRC_AT])) == \
                header[CRC_AT:]:
            return header
        at = data.find(begin, at + 1)
    return None


def open_port(name):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    port.bind((name, ETH_P_ALL))
    return port


class Relay:
    def __init__(self, one, other):
        self.to = {one: other, other: one}
        self.state = "heal"             # the last command that was carried out
        self.then, self.mark, self.left = "", None, 0
        self.seen = set()               # headers: TCP may send one again
        self.waiting = []               # what came while blocked: (port, frame)

    def frame(self, port):
        frame, address = port.recvfrom(2048)
        if address[2] == PACKET_OUTGOING:
            return
        header = self.mark and find_header(tcp_payload(frame), self.mark)
        if header and header not in self.seen:
            self.seen.add(header)
            self.left -= 1
            if not self.left:
                self.state, self.mark = self.then, None
                print(self.state, flush=True)
        if self.state == "heal":
            self.send(port, frame)
        elif self.state == "block":
            self.waiting.append((port, frame))

    def send(self, port, frame):
        try:
            self.to[port].send(frame)
        except OSError:
            pass                        # the host's queue is full: what a switch does, too

    def command(self, words):
        if words[1:2] == ["at"]:
            self.then, self.mark = words[0], HEADER.pack(*RECORDS[words[2]])
            self.left, self.seen = int(words[3]), set()
            return
        self.state, self.mark = words[0], None
        for port, frame in self.waiting:
            self.send(port, frame)
        self.waiting = []

    def run(self):
        while True:
            ready, _, _ = select.select([COMMANDS, *self.to], [], [])
            for port in ready:
                if port != COMMANDS:
                    self.frame(port)
            if COMMANDS in ready:
                lines = os.read(COMMANDS, 4096).decode().splitlines()
                if not lines:
                    return
                for line in lines:
                    self.command(line.split())


if __name__ == "__main__":
    Relay(open_port(sys.argv[1]), open_port(sys.argv[2])).run()
