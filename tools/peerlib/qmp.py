# SPDX-License-Identifier: MIT
"""QMP, the monitor of QEMU in JSON lines: what its answers mean, and asking over a text line."""

import json

from lablib.proc import LabError


class Refused(LabError):
    """QEMU said no."""


def answer(line):
    """One line from QEMU: ("return", value), ("error", sentence), ("event", name) or
    ("greeting", version)."""
    try:
        said = json.loads(line)
    except ValueError:
        raise LabError(f"QMP: not JSON: {line[:200]!r}") from None
    if not isinstance(said, dict):
        raise LabError(f"QMP: no object: {line[:200]!r}")
    if "return" in said:
        return "return", said["return"]
    if "error" in said:
        return "error", said["error"].get("desc", "no reason given")
    if "event" in said:
        return "event", said["event"]
    if "QMP" in said:
        version = said["QMP"]["version"]["qemu"]
        return "greeting", f"{version['major']}.{version['minor']}.{version['micro']}"
    raise LabError(f"QMP: neither answer nor event: {line[:200]!r}")


ENDED = ("completed", "failed", "cancelled")


def migration(info):
    """What query-migrate says, in the words of our report; None while it has not ended.

    Its rounds are how often QEMU fetched the dirty pages; the first time is before round 0.
    """
    if info.get("status") not in ENDED:
        return None
    ram = info.get("ram", {})
    return {"total_ms": info.get("total-time"), "downtime_ms": info.get("downtime"),
            "bytes": ram.get("transferred"), "rounds": ram.get("dirty-sync-count"),
            "converged": info["status"] == "completed"}


class Qmp:
    """A monitor at the other end of `line`, which has say(text), hear(seconds) and close()."""

    def __init__(self, line, wait_s):
        self.line, self.wait_s = line, wait_s
        self.version = self._await("greeting")
        self.run("qmp_capabilities")

    def _await(self, wanted):
        while True:
            kind, value = answer(self.line.hear(self.wait_s))
            if kind == wanted:
                return value
            if kind == "error":
                raise Refused(value)

    def run(self, command, **arguments):
        self.line.say(json.dumps({"execute": command, "arguments": arguments}))
        return self._await("return")

    def close(self):
        self.line.close()
