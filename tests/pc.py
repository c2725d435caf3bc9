# SPDX-License-Identifier: MIT
"""A PC with a choice of firmware: QEMU with SeaBIOS or with OVMF, for tests of how we get booted.

The machine runs until its COM1 has said what the test waits for, complete with its line end, and is
killed then.  UEFI keeps its variables in a copy of its own for each machine.
"""

import os
import re
import shutil
import subprocess
import time

import pytest

QEMU = shutil.which("qemu-system-x86_64")
OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
WALL_LIMIT_S = 180
SAID_ITS_SENTENCE = r"godwit: (ready|stopped).*\n"
ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\r")


def needs(firmware):
    """Skip the test where the emulator or the firmware is missing."""
    if not QEMU:
        pytest.skip("no qemu-system-x86_64")
    if firmware == "uefi" and not os.path.exists(OVMF_CODE):
        pytest.skip(f"no {OVMF_CODE}")


def firmware_options(firmware, directory):
    if firmware == "bios":
        return []
    variables = os.path.join(directory, "uefi-variables.fd")
    shutil.copyfile(OVMF_VARS, variables)
    return ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF_CODE}",
            "-drive", f"if=pflash,format=raw,file={variables}"]


def complete_lines(path):
    """What a serial log holds, up to its last line end, without what steers a terminal."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = ESCAPES.sub("", f.read())
    except OSError:
        return ""
    return text[:text.rfind("\n") + 1]


class Pc:
    """A machine that is switched on; use it in a `with`.  `enter`: a command before QEMU's."""

    def __init__(self, directory, firmware="bios", options=(), enter=()):
        self.log = os.path.join(directory, "serial.log")
        self.process = subprocess.Popen(
            [*enter, QEMU, *firmware_options(firmware, directory), "-m", "256", "-display", "none",
             "-serial", f"file:{self.log}", "-no-reboot", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def wait_for(self, pattern, limit_s=WALL_LIMIT_S):
        """COM1's text, as soon as `pattern` is in it; a machine that ends or is silent fails."""
        deadline = time.monotonic() + limit_s
        while True:
            ended = self.process.poll() is not None
            text = complete_lines(self.log)
            if re.search(pattern, text):
                return text
            assert not ended, f"the machine ended without {pattern!r}:\n{text}"
            assert time.monotonic() < deadline, f"no {pattern!r} in {limit_s} s:\n{text}"
            time.sleep(0.1)


def boot(directory, firmware, *options, until=SAID_ITS_SENTENCE):
    """COM1's text of one machine, until it has said its sentence."""
    needs(firmware)
    with Pc(directory, firmware, options) as pc:
        return pc.wait_for(until)
