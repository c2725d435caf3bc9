# SPDX-License-Identifier: MIT
"""The client's place in a VLAN of the lab's first wire.

`VlanPort` makes a tap `vlanN` in the lab's network whose frames leave the client's port with the
tag N, and gets those that come with it: what Linux's own VLAN devices do, which need a module that
not every kernel has.  `python3 vlan_port.py CLIENT N` is the program that carries the frames; it
prints a line when the tap is there.
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TUN, TUNSETIFF, IFF_TAP_NO_PI = "/dev/net/tun", 0x400454ca, 0x1002              # Linux, if_tun.h
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4               # packet(7)
PACKET_OUTGOING, ETH_P_ALL = 4, 3
TYPE_AT, FRAME_MAX = 12, 2048
TYPE_VLAN = b"\x81\x00"


class VlanPort:
    """Until close(); `name` is the interface."""

    def __init__(self, lab, vid):
        self.lab, self.name = lab, f"vlan{vid}"
        self.program = lab.popen([sys.executable, os.path.abspath(__file__), "client", str(vid)],
                                 text=True, stdout=subprocess.PIPE)
        assert self.program.stdout.readline() == "ready\n"
        self.ip("link", "set", self.name, "up")

    def ip(self, *words):
        done = self.lab.run(["ip", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def close(self):
        self.program.kill()
        self.program.wait()


# --- the program in the lab's network --------------------------------------------------------

def open_tap(name):
    tap = os.open(TUN, os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP_NO_PI))
    return tap


def open_port(name):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    port.bind((name, ETH_P_ALL))
    return port


def receive(port):
    """The next frame without its tag, and its VLAN; Linux may have taken the tag off before us."""
    data, more, _, address = port.recvmsg(FRAME_MAX, socket.CMSG_SPACE(20))
    if address[2] == PACKET_OUTGOING:
        return data, 0                  # ours, shown to us again
    for _, _, aux in more:
        if struct.unpack_from("I", aux)[0] & TP_STATUS_VLAN_VALID:
            return data, struct.unpack_from("H", aux, 16)[0] & 0xfff
    if data[TYPE_AT:TYPE_AT + 2] == TYPE_VLAN:
        return data[:TYPE_AT] + data[TYPE_AT + 4:], struct.unpack_from(">H", data, 14)[0] & 0xfff
    return data, 0


def main(client, vid):
    tap, port = open_tap(f"vlan{vid}"), open_port(client)
    tag = TYPE_VLAN + struct.pack(">H", vid)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([tap, port], [], [])
        if tap in ready:
            data = os.read(tap, FRAME_MAX)
            port.send(data[:TYPE_AT] + tag + data[TYPE_AT:])
        if port in ready:
            data, vlan = receive(port)
            if vlan == vid:
                os.write(tap, data)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
