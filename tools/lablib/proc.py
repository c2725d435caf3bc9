# SPDX-License-Identifier: MIT
"""Processes of ours, known by PID and start time.

A PID alone may have gone to somebody else since; with the start time that the kernel gave it,
it names one process for as long as the machine is up.  A process writes its own record before
it becomes the program that we want, so there is no moment in which it runs unrecorded: what a
killed `lab up` leaves behind is found and ended by the next command.
"""

import os
import signal
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class LabError(Exception):
    """Something that the user can read and act on."""


def _stat(pid):
    """The fields of /proc/PID/stat that follow the command's name, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()
    except OSError:
        return None


class Process:
    """One process, alive or not, ours or of an earlier run."""

    def __init__(self, name, pid, start):
        self.name, self.pid, self.start = name, pid, start
        self.child = None           # the Popen when we are its parent: it wants reaping

    def _fields(self):
        if self.child is not None:
            self.child.poll()
        fields = _stat(self.pid)
        if not fields or fields[0] in "ZX" or int(fields[19]) != self.start:
            return None
        return fields

    def alive(self):
        return self._fields() is not None

    def cpu_seconds(self):
        """User and system time so far; 0 when it is gone."""
        fields = self._fields()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND if fields else 0.0

    def resident_mib(self):
        fields = self._fields()
        return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") >> 20 if fields else 0

    def kill(self, timeout=60.0):
        """SIGKILL (Bochs ignores SIGTERM while it runs), then wait until it is gone."""
        deadline = time.monotonic() + timeout
        while self.alive():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            except PermissionError:
                raise LabError(f"{self.name} (PID {self.pid}) runs as another user; "
                               "end the lab as the user who started it") from None
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} (PID {self.pid}) does not end")
            time.sleep(0.02)


class Records:
    """The directory of records: one file a process, its content "PID START"."""

    def __init__(self, directory):
        self.directory = directory

    def spawn(self, name, argv, **popen):
        """Start argv in a session of its own, recorded as `name`."""
        os.makedirs(self.directory, exist_ok=True)
        path = os.path.join(self.directory, name)

        def record():
            with open(path, "w", encoding="ascii") as f:
                f.write(f"{os.getpid()} {_stat('self')[19]}\n")

        popen.setdefault("stdin", subprocess.DEVNULL)
        try:
            child = subprocess.Popen(argv, start_new_session=True, preexec_fn=record, **popen)
        except FileNotFoundError:
            raise LabError(f"{argv[0]} is not installed; run tools/setup") from None
        except subprocess.SubprocessError:
            raise LabError(f"cannot record the process \"{name}\": is /proc mounted, and "
                           f"{self.directory} writable?") from None
        process = self.read(name)
        process.child = child
        return process

    def read(self, name):
        try:
            with open(os.path.join(self.directory, name), encoding="ascii") as f:
                pid, start = f.read().split()
            return Process(name, int(pid), int(start))
        except (OSError, ValueError):
            return None

    def all(self):
        names = sorted(os.listdir(self.directory)) if os.path.isdir(self.directory) else []
        return [p for p in map(self.read, names) if p]

    def forget(self, name):
        try:
            os.unlink(os.path.join(self.directory, name))
        except FileNotFoundError:
            pass

    def kill_all(self):
        """End every recorded process and forget it.  Returns the names of those that lived."""
        ended = []
        for process in self.all():
            if process.alive():
                process.kill()
                ended.append(process.name)
            self.forget(process.name)
        return ended
