# SPDX-License-Identifier: MIT
"""The host on QEMU's emulated machines, which have no VT-x: it must get as far as saying so.

What Bochs cannot show: memory above 4 GiB, a machine without ACPI, a chipset with PCI Express.
Skipped where there is no QEMU; `make check` does not install it.
"""

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import time

import pytest

from lablib.boot import complete, read_text
from lablib.iso import build_iso

QEMU = shutil.which("qemu-system-x86_64")
WALL_LIMIT_S = 300
TEXT_AT, COLUMNS, ROWS = 0xb8000, 80, 25        # VGA's text memory
SCREEN_BYTES = 2 * COLUMNS * ROWS
GREY_ON_BLACK = 7
END = re.compile("godwit: (ready|stopped).*")
pytestmark = pytest.mark.skipif(not QEMU, reason="no qemu-system-x86_64")


def wait_for(process, log, pattern):
    """The complete lines of the serial log, as soon as they match or the time is over."""
    deadline = time.monotonic() + WALL_LIMIT_S
    text = ""
    while time.monotonic() < deadline and not pattern.search(text):
        assert process.poll() is None, f"QEMU ended:\n{text}"
        time.sleep(0.1)
        text = complete(read_text(log))
    return text


@pytest.fixture
def qemu(image, directory):
    """qemu(*options): boots the image until it is ready or stopped; returns the serial log.
    With `command` (QEMU's monitor) and `until`: gives the command then and waits for more.
    With `look`: calls it before the end, with the log's path and a function for such commands."""
    def run(*options, cmdline="node=t", command=None, until=None, look=None):
        iso, log = os.path.join(directory, "boot.iso"), os.path.join(directory, "serial.log")
        build_iso(iso, image, cmdline)
        argv = [QEMU, "-cdrom", iso, "-display", "none", "-serial", f"file:{log}",
                "-no-reboot", "-no-shutdown", "-monitor", "stdio", *options]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)

        def monitor(line):
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
        try:
            text = wait_for(process, log, END)
            if command:
                monitor(command)
                text = wait_for(process, log, re.compile(until))
            if look:
                look(log, monitor)
        finally:
            process.kill()
            process.wait()
        assert "godwit: " in text, "not a word on COM1"
        return text
    return run


def rows_on_screen(path):
    """The text screen in a memory dump, a string for each row; [] while the dump is incomplete."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as f:
        cells = f.read()
        if len(cells) == SCREEN_BYTES:
            assert set(cells[1::2]) == {GREY_ON_BLACK}
            text = cells[::2].decode("ascii")
            return [text[i:i + COLUMNS].rstrip() for i in range(0, len(text), COLUMNS)]
    return []


def test_com1_and_the_text_screen_say_the_same(qemu, directory):
    """Nothing scrolls: below the newest row are two empty ones, then comes the oldest."""
    def look(log, monitor):
        deadline = time.monotonic() + WALL_LIMIT_S
        for number in itertools.count():
            path = os.path.join(directory, f"screen{number}")
            monitor(f'pmemsave {TEXT_AT:#x} {SCREEN_BYTES} "{path}"')
            time.sleep(0.1)
            shown = rows_on_screen(path)
            said = [line[i:i + COLUMNS].rstrip() for line in complete(read_text(log)).splitlines()
                    for i in range(0, len(line), COLUMNS)]
            expected = said[2 - ROWS:] + ["", ""]
            if any(shown[i:] + shown[:i] == expected for i in range(ROWS)):
                return
            assert time.monotonic() < deadline, (shown, expected)
    qemu("-m", "128", "-cpu", "qemu64,-svm", look=look)


def test_names_both_vendors_where_there_is_neither_and_stops(qemu):
    text = qemu("-m", "128", "-cpu", "qemu64,-svm")
    assert re.search(r"self-test: MISSING +VT-x", text), text
    assert re.search(r"self-test: MISSING +AMD-V", text), text
    assert "godwit: stopped" in text and "panic" not in text


def test_names_what_an_amdv_lacks_and_stops(qemu):
    text = qemu("-m", "128", "-cpu", "EPYC-Rome,+svm,-npt")
    assert re.findall(r"self-test: MISSING +(\w+)", text) == ["NPT"], text
    for feature in ("nRIP", "decode assists", "flush by ASID", "VMCB clean bits", "TSC scaling"):
        assert f"self-test: no       {feature} (CPUID 8000000A" in text, text
    assert "godwit: stopped" in text and "panic" not in text


def test_uses_memory_above_4_gib(qemu):
    text = qemu("-m", "5G", "-smp", "2", "-cpu", "max")
    assert re.search(r"memory: 51\d\d MiB", text), text
    assert "mapped one to one" in text and "panic" not in text


def test_measures_by_the_pit_without_acpi(qemu):
    text = qemu("-m", "128", "-M", "pc,hpet=off", "-no-acpi")
    assert "acpi: the boot loader found no tables" in text
    assert "by the PIT" in text and "panic" not in text


def test_finds_the_devices_of_another_chipset(qemu):
    text = qemu("-m", "128", "-M", "q35")
    assert re.search(r"pci: 00:1f\.2 8086:2922", text), text
    assert "panic" not in text


def test_a_machine_check_prints_what_the_hardware_reports(qemu):
    text = qemu("-m", "128", command="mce 0 2 0xb600000000000123 0x5 0xabcde000 0x0",
                until="machine check(.|\n)*godwit: stopped")
    assert "machine check (vector 18" in text, text
    assert "bank 2: b600000000000123 at 0000abcde000" in text, text


def test_an_nmi_does_not_stop_the_host(qemu):
    text = qemu("-m", "128", command="nmi\nmce 0 2 0xb600000000000123 0x5 0x0 0x0",
                until="machine check(.|\n)*godwit: stopped")
    assert "vector 2" not in text and "vector 18" in text, text
