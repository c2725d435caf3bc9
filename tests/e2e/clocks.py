# SPDX-License-Identifier: MIT
"""The clocks of the demo's guest, of the hosts and of the wall, read at one moment."""

import json
import subprocess
import sys
import time

PROGRAM = """
import json, socket, sys, time
for _ in sys.stdin:
    link = socket.create_connection(("10.77.0.50", 7003), 120)
    begin = time.monotonic_ns()
    link.sendall(b"time?\\n")
    answer = dict(word.split("=") for word in link.makefile().readline().split())
    print(json.dumps({"begin": begin, "end": time.monotonic_ns(), **answer}), flush=True)
    link.close()
"""


class Clocks:
    """Asks by one program that stays: to start one takes long on a busy machine."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.program = hosts.lab.popen([sys.executable, "-c", PROGRAM], text=True, bufsize=1,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self):
        self.program.stdin.close()
        self.program.stdout.close()
        self.program.wait(60)

    def read(self):
        """In seconds: the guest's clocks `real` and `mono`, the `wall`, how far each host is ahead
        of the wall (by its name), and `spread`, how long it took to read them all."""
        self.program.stdin.write("now\n")
        line = self.program.stdout.readline()
        assert line, "the guest does not tell its time"
        said = json.loads(line)
        assert said["clocksource"] == "kvm-clock"
        now = {"real": int(said["realtime_ns"]) / 1e9, "mono": int(said["monotonic_ns"]) / 1e9,
               "wall": (said["begin"] + said["end"]) / 2e9}
        for node in self.hosts.api.address:
            begin = time.monotonic()
            now[node] = self.hosts.node(node)["uptime_ms"] / 1e3 - (begin + time.monotonic()) / 2
        now["spread"] = time.monotonic() - said["begin"] / 1e9
        return now


def behind(before, after, clock, host=None):
    """By how much a clock of the guest fell behind the wall's, and what it may: (s, least, most).

    An emulator on a busy machine loses time, and its host's clock with it: a guest that ran on
    `host` has lost as much.  One that moved meanwhile (None) may have lost what either did.  A stop
    that was not counted would be missing on top of that."""
    lags = [before[node] - after[node] for node in ("ab" if host is None else host)]
    least, most = (lags * 2 if host else
                   (sum(min(lag, 0) for lag in lags), sum(max(lag, 0) for lag in lags)))
    slack = 0.1 + before["spread"] + after["spread"]
    lost = (after["wall"] - before["wall"]) - (after[clock] - before[clock])
    return lost, least - slack, most + slack
