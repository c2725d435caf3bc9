# SPDX-License-Identifier: MIT
"""A small DHCP server (RFC 2131) for one client: runs in the lab's network, says what it hears.

`python3 dhcp_server.py INTERFACE OWN_ADDRESS ADDRESS LEASE_S` leases ADDRESS to whoever asks.  For
each message of a client it prints a JSON line: {"type", "ciaddr", "hostname", "unicast"}.
"""

import json
import socket
import struct
import sys

SERVER_PORT, CLIENT_PORT = 67, 68
IP_PKTINFO = 8                          # <linux/in.h>; Python has no name for it
BOOT_REPLY = 2
HEADER = struct.Struct("!4BIHH4s4s4s4s16s64s128s4s")    # RFC 2131, "The Client-Server Protocol"
COOKIE = bytes([99, 130, 83, 99])
NOWHERE = bytes(4)
# RFC 2132, by the numbers of its options.
MASK, ROUTER, HOSTNAME, LEASE, TYPE, SERVER, END = 1, 3, 12, 51, 53, 54, 255
TYPES = {1: "DISCOVER", 3: "REQUEST", 4: "DECLINE", 7: "RELEASE"}
OFFER, ACK = 2, 5


def options_of(data):
    """{number: bytes} of a message's options."""
    found, at = {}, 0
    while at + 1 < len(data) and data[at] != END:
        if data[at] == 0:               # padding
            at += 1
            continue
        found[data[at]] = data[at + 2:at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


def answer(message, kind, own, address, lease_s):
    """The reply to `message`: `address` for `lease_s` seconds, `own` is server and router."""
    fields = list(HEADER.unpack_from(message))
    fields[0] = BOOT_REPLY
    fields[8], fields[9] = address, own                 # yiaddr, siaddr
    options = [(TYPE, bytes([kind])), (SERVER, own), (LEASE, struct.pack("!I", lease_s)),
               (MASK, bytes([255, 255, 255, 0])), (ROUTER, own)]
    return HEADER.pack(*fields) + b"".join(
        bytes([number, len(value)]) + value for number, value in options) + bytes([END])


def main(interface, own, address, lease_s):
    own, address = socket.inet_aton(own), socket.inet_aton(address)
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    door.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    door.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    door.bind(("", SERVER_PORT))
    print(json.dumps({"type": "LISTENS"}), flush=True)
    while True:
        message, info, _, _ = door.recvmsg(2048, 256)
        if len(message) < HEADER.size or message[HEADER.size - 4:HEADER.size] != COOKIE:
            continue
        options = options_of(message[HEADER.size:])
        kind = TYPES.get((options.get(TYPE) or b"\0")[0], "?")
        client = HEADER.unpack_from(message)[7]
        to = info[0][2][8:12]           # struct in_pktinfo: the address in the packet's header
        print(json.dumps({"type": kind, "ciaddr": socket.inet_ntoa(client),
                          "hostname": options.get(HOSTNAME, b"").decode("ascii", "replace"),
                          "unicast": to == own}), flush=True)
        if kind in ("DISCOVER", "REQUEST"):
            reply = answer(message, OFFER if kind == "DISCOVER" else ACK, own, address,
                           int(lease_s))
            target = "255.255.255.255" if client == NOWHERE else socket.inet_ntoa(client)
            door.sendto(reply, (target, CLIENT_PORT))


if __name__ == "__main__":
    main(*sys.argv[1:])
