# SPDX-License-Identifier: MIT
"""One host without a network, booted and watched until it has said its verdict.

The limit that matters is CPU time of the emulator: it means the same on a busy machine as on an
idle one.  The wall clock is only the net below it.
"""

import os
import re
import tempfile
import time
from dataclasses import dataclass

from . import backends
from .iso import build_iso
from .machine import Machine
from .proc import Records

VERDICT = r"^(PASS|FAIL)\b"
POLL_S = 0.05
QUIET_CPU_S = 0.5
GRACE_WALL = 10         # wall seconds for a CPU second: a host that follows the wall may just idle


@dataclass
class Result:
    serial: str             # everything that came out of COM1
    debug: str              # what the emulator wrote to stdout, port 0xe9 included
    ended: str              # "verdict", "exit", "cpu limit" or "wall limit"
    verdict: str            # the line that matched, or ""
    cpu_seconds: float      # of the emulator
    ticks: int              # instructions from power on to the end, None where not known
    directory: str          # logs and configuration, kept

    def __repr__(self):
        return f"<{self.ended} {self.verdict!r}, files in {self.directory}>"

    @property
    def passed(self):
        return self.verdict.startswith("PASS")

    def tail(self, lines=40):
        """The end of the serial log, for a message."""
        return "\n".join(self.serial.splitlines()[-lines:])


ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")    # GRUB clears its terminal before us


def read_text(path):
    """The text of a log that may be being written, without what steers a terminal."""
    try:
        with open(path, "rb") as f:
            return ESCAPES.sub("", f.read().decode("utf-8", "replace"))
    except OSError:
        return ""


def complete(text):
    """The text without its last line while that has no end: it may be half of what it will be."""
    return text[:text.rfind("\n") + 1]


def line_that_matches(pattern):
    """For `until`: from the first match of a regular expression to the end of its line."""
    def find(text):
        found = re.search(pattern, text, re.MULTILINE)
        return text[found.start():].partition("\n")[0] if found else None
    return find


def _watch(process, serial_log, until, cpu_limit, wall_limit):
    """Wait for the first of verdict, exit and limits; returns (ended, verdict, CPU seconds)."""
    deadline = time.monotonic() + wall_limit
    size, cpu, grew_at = 0, 0.0, 0.0
    while True:
        alive = process.alive()
        cpu = max(cpu, process.cpu_seconds())
        text = read_text(serial_log)
        if len(text) != size:
            size, grew_at = len(text), cpu
        # A last line without its end is taken when nothing follows it.
        quiet = not alive or cpu - grew_at > QUIET_CPU_S
        verdict = until(text if quiet else complete(text))
        if verdict:
            return "verdict", verdict, cpu
        if not alive:
            return "exit", "", cpu
        if cpu > cpu_limit:
            return "cpu limit", "", cpu
        if time.monotonic() > deadline:
            return "wall limit", "", cpu
        time.sleep(POLL_S)


def boot(image, cmdline="", modules=(), *, directory=None, until=VERDICT, grace=1.0,
         cpu_limit=60.0, wall_limit=600.0, video="text", backend="", **machine):
    """Boot `image` with `modules` (iso.Module) and return a Result.

    `until` is a regular expression for the line that ends the run, or a function that is given
    what COM1 said and returns the verdict, or None; afterwards the host may take `grace` more CPU
    seconds to switch itself off, which makes the final tick known where the backend tells it.
    `machine` are fields of Machine: cpus, memory, cpu_model, ips, sync, bios.
    """
    if isinstance(until, str):
        until = line_that_matches(until)
    directory = directory or tempfile.mkdtemp(prefix="godwit-boot.")
    os.makedirs(directory, exist_ok=True)
    emulator = backends.get(backend or backends.default())
    host = Machine(emulator.name, directory=os.path.abspath(directory),
                   iso=os.path.join(os.path.abspath(directory), "boot.iso"), **machine)
    build_iso(host.iso, image, cmdline, modules, video)
    argv, env = emulator.prepare(host)
    records = Records(host.path("pids"))
    with open(host.path("stdout"), "wb") as out:
        process = records.spawn("host", argv, cwd=directory, env=env, stdout=out, stderr=out)
    try:
        ended, verdict, cpu = _watch(process, host.serial_log, until, cpu_limit, wall_limit)
        limit, deadline = cpu + grace, time.monotonic() + GRACE_WALL * grace
        while ended == "verdict" and process.alive() and process.cpu_seconds() < limit \
                and time.monotonic() < deadline:
            time.sleep(POLL_S)
        cpu = max(cpu, process.cpu_seconds())
    finally:
        process.kill()
        records.forget("host")
    return Result(serial=read_text(host.serial_log), debug=read_text(host.path("stdout")),
                  ended=ended, verdict=verdict, cpu_seconds=cpu,
                  ticks=emulator.final_tick(host), directory=directory)
