# SPDX-License-Identifier: MIT
"""A serial line that a person can type on: `relay.py PORT LOG SOCKET`.

Bochs connects to PORT at localhost as the host's COM1.  What the host says goes to the LOG and
to everybody on the unix socket SOCKET; what they type goes to the host.  Ends with Bochs.
"""

import os
import select
import socket
import sys


def serve(host, log, door):
    listeners = []
    while True:
        ready, _, _ = select.select([host, door, *listeners], [], [])
        if door in ready:
            listeners.append(door.accept()[0])
        for peer in [p for p in listeners if p in ready]:
            typed = peer.recv(4096)
            if typed:
                host.sendall(typed)
            else:
                listeners.remove(peer)
                peer.close()
        if host in ready:
            said = host.recv(4096)
            if not said:
                return
            log.write(said)
            for peer in list(listeners):
                try:
                    peer.sendall(said)
                except OSError:
                    listeners.remove(peer)


def main(port, log_path, door_path):
    with socket.create_server(("127.0.0.1", int(port))) as com1, \
            socket.socket(socket.AF_UNIX) as door, open(log_path, "ab", buffering=0) as log:
        door.bind(door_path)
        door.listen()                   # the socket's file says that both doors are open
        try:
            serve(com1.accept()[0], log, door)
        finally:
            os.unlink(door_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
