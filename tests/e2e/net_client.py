# SPDX-License-Identifier: MIT
"""Runs inside a lab's network: net_client.py ADDRESS NAME does one thing to a node and prints JSON.

What curl cannot do: clients that send crumbs, break off, stay silent, or come in crowds, and one
whose cable is pulled by whoever reads its lines.
"""

import json
import os
import socket
import struct
import sys
import time

WAIT_S = 120
TIMEOUTS = 3                            # of TCP's, in a row: nobody hears us
VLAN, VLAN_ADDRESS = 100, "10.79.0.11"          # as test_net.py gives them to the node
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4       # Linux, packet(7)
ETH_P_ALL = 3


def connect(address):
    return socket.create_connection((address, 80), timeout=WAIT_S)


def answer(sock):
    """Everything until the node closes, or one whole response."""
    data = b""
    while True:
        head, blank, body = data.partition(b"\r\n\r\n")
        if blank:
            length = [line for line in head.lower().split(b"\r\n")
                      if line.startswith(b"content-length:")]
            if length and len(body) >= int(length[0].split(b":")[1]):
                return data
        more = sock.recv(65536)
        if not more:
            return data
        data += more


def get(path, *more):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *more, "", ""]).encode()


def status(data):
    return int(data.split(b" ")[1]) if data.startswith(b"HTTP/1.1 ") else 0


def ask(address, path):
    """The JSON at `path`."""
    with connect(address) as sock:
        sock.sendall(get(path))
        return json.loads(answer(sock).partition(b"\r\n\r\n")[2])


def until(question, good):
    """The first good answer, or the last one before the time is over."""
    end = time.monotonic() + WAIT_S
    while True:
        said = question()
        if good(said) or time.monotonic() > end:
            return said
        time.sleep(0.2)


def crumbs(address):
    """A request byte by byte."""
    with connect(address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in get("/v1/node"):
            sock.sendall(bytes([byte]))
        return status(answer(sock))


def pipeline(address):
    """Twenty requests at once; twenty answers in order, then the end."""
    with connect(address) as sock:
        sock.sendall(get("/v1") * 19 + get("/v1", "Connection: close"))
        data = b""
        while more := sock.recv(65536):
            data += more
        return data.count(b"HTTP/1.1 200 OK\r\n")


def say(line):
    print(line, flush=True)


def timeouts_in_a_row(sock):
    """How often TCP has sent again and heard nothing: tcpi_retransmits of <linux/tcp.h>."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 3)[2]


def send_now(sock, data):
    """As much of it as TCP takes without waiting; how many bytes."""
    sock.settimeout(0)
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0
    finally:
        sock.settimeout(WAIT_S)


def cut_upload(address):
    """Half of an upload, the line "half", and after a line from outside so much of the other half
    that TCP sends in vain; then the line "lost", and what remains once somebody hears us again."""
    half = bytes(range(256)) * 4096
    with connect(address) as sock:
        sock.sendall(b"PUT /v1/images/cable HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                     % (2 * len(half)) + half)
        say("half")
        sys.stdin.readline()
        sent = send_now(sock, half)
        count = until(lambda: timeouts_in_a_row(sock), lambda count: count >= TIMEOUTS)
        say("lost" if count >= TIMEOUTS else "heard")
        sock.sendall(half[sent:])
        return status(answer(sock))


def broken_uploads(address):
    """Uploads that end in the middle, politely and by reset; none may stay behind."""
    for i in range(6):
        sock = connect(address)
        sock.sendall(b"PUT /v1/images/broken HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n"
                     + bytes(10000 * (i + 1)))
        time.sleep(0.2)
        if i % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    return until(lambda: ask(address, "/v1/images"), lambda said: said["images"] == [])


def crowd(address):
    """More clients than the node has places, all silent; then one who speaks is served."""
    silent = []
    for _ in range(40):
        try:
            silent.append(connect(address))
        except OSError:
            pass
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            with connect(address) as sock:
                sock.sendall(get("/v1"))
                if status(answer(sock)) == 200:
                    return 200
        except OSError:
            pass
        time.sleep(0.5)
    return 0


def refused_upload(address):
    """A body that the node does not want: the answer arrives although nobody reads the body."""
    with connect(address) as sock:
        sock.sendall(b"POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n")
        try:
            sock.sendall(bytes(300000))
        except OSError:
            pass
        return status(answer(sock))


def garbage(address):
    """What port scanners send."""
    results = []
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"\r\n" * 3000,
                 b"\0" * 9000,
                 b"GET / HTTP/1.1\r\n\r\n", os.urandom(20000)):
        with connect(address) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            try:
                results.append(status(answer(sock)))
            except OSError:
                results.append(-1)
    return results


def vlan(address):
    """Frames with a VLAN tag to everybody reach the node's switch, and do no harm."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("client", 0))
    source = raw.getsockname()[4]

    def vlans():
        for vid in range(1, 50):        # each time: a host may lose frames
            raw.send(b"\xff" * 6 + source + b"\x81\x00" + struct.pack(">H", vid)
                     + b"\x08\x06" + bytes(46))
        return len({m["vlan"] for s in ask(address, "/v1/node")["switches"] for m in s["macs"]})
    return until(vlans, lambda count: count >= 20)


def arp_request(source, sender, target, tag):
    """Who has `target`?  `tag`: a VLAN, or 0 for none."""
    return (b"\xff" * 6 + source + (b"\x81\x00" + struct.pack(">H", tag) if tag else b"")
            + b"\x08\x06" + bytes.fromhex("0001080006040001") + source
            + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target) + bytes(18))


def arp_answer(raw):
    """The next answer to an ARP request: (address, VLAN or 0)."""
    while True:
        data, more, _, _ = raw.recvmsg(2048, socket.CMSG_SPACE(20))
        tag = 0
        for _, kind, aux in more:       # Linux takes the tag off, and says so beside the frame
            if kind == PACKET_AUXDATA and struct.unpack_from("I", aux)[0] & TP_STATUS_VLAN_VALID:
                tag = struct.unpack_from("H", aux, 16)[0] & 0xfff
        if data[12:14] == b"\x81\x00":
            tag, data = struct.unpack_from(">H", data, 14)[0] & 0xfff, data[:12] + data[16:]
        if data[12:14] == b"\x08\x06" and data[20:22] == b"\x00\x02":
            return socket.inet_ntoa(data[28:32]), tag


def vlan_addresses(address):
    """Which of the node's addresses answers in which VLAN; the last question has an answer."""
    other, vid = VLAN_ADDRESS, VLAN
    questions = [(other, 0), (other, vid + 1), (address, vid), (address, 0), (other, vid)]
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    raw.bind(("client", ETH_P_ALL))
    raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    raw.settimeout(WAIT_S)
    for target, tag in questions:
        sender = target.rpartition(".")[0] + ".1"
        raw.send(arp_request(raw.getsockname()[4], sender, target, tag))
    heard = []
    while questions[-1] not in heard:
        heard.append(arp_answer(raw))
    return sorted(set(heard) & set(questions))


def main():
    address, name = sys.argv[1:]
    things = {f.__name__: f for f in (crumbs, pipeline, cut_upload, broken_uploads, crowd,
                                      refused_upload, garbage, vlan, vlan_addresses)}
    print(json.dumps(things[name](address)))


main()
