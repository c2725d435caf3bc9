# SPDX-License-Identifier: MIT
"""Watches an interface for RARP frames and prints a JSON line for each: {"t", "mac"}.

Run it in the lab's network: `tools/lab exec -- tools/lablib/rarp.py client`.  Ends on SIGTERM.
"""

import json
import signal
import socket
import sys
import time

ETH_P_RARP = 0x8035


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_RARP))
    wire.bind((sys.argv[1], ETH_P_RARP))
    print(json.dumps({"watching": sys.argv[1]}), flush=True)
    while True:
        frame = wire.recv(2048)
        print(json.dumps({"t": time.time(), "mac": frame[6:12].hex(":")}), flush=True)


if __name__ == "__main__":
    main()
