# SPDX-License-Identifier: MIT
"""Waiting for what a lab does: used by tools/bench and tools/soak."""

import time

from .proc import LabError

WAIT_S = 600
POLL_S = 1.0


def until(what, found, wait_s=WAIT_S):
    """Ask found() until it gives something; its answer."""
    deadline = time.monotonic() + wait_s
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"no {what} within {wait_s} s")
        time.sleep(POLL_S)


def move(api, source, to, vm, **request):
    """One migration; its final status.  A LabError when the guest did not move."""
    made = api.post(source, f"/v1/vms/{vm}/migrate", {"to": api.address[to], **request})
    path = f"/v1/migrations/{made['id']}"
    status = until("end of the migration", lambda: next(
        (s for s in [api.get(source, path)] if s["ended"]), None))
    if not status["ok"]:
        raise LabError(f"the migration failed: {status['result']}")
    return status
