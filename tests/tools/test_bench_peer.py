# SPDX-License-Identifier: MIT
"""The bench against a peer: what it reads, and what it writes.  No emulator runs here."""

import json
import subprocess

import pytest

from lablib.debian import Cpio
from lablib.proc import LabError
from peerlib import hostimage, linuxhosts, qmp, report
from peerlib.systems import LOADS, cmdline


# --- what QEMU says --------------------------------------------------------------------------

@pytest.mark.parametrize("line, meaning", [
    ('{"return": {}}', ("return", {})),
    ('{"return": {"status": "running"}}', ("return", {"status": "running"})),
    ('{"error": {"class": "GenericError", "desc": "no such thing"}}', ("error", "no such thing")),
    ('{"error": {}}', ("error", "no reason given")),
    ('{"timestamp": {"seconds": 1}, "event": "STOP"}', ("event", "STOP")),
    ('{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}}}',
     ("greeting", "7.2.22")),
])
def test_a_line_of_qmp_is_an_answer_an_event_or_a_greeting(line, meaning):
    assert qmp.answer(line) == meaning


@pytest.mark.parametrize("line", ["", "not json", "[]", "{}", '{"returned": 1}'])
def test_a_line_that_is_not_qmp_is_refused(line):
    with pytest.raises(LabError, match="^QMP: "):
        qmp.answer(line)


def test_a_migration_that_ended_well_is_reported_in_our_words():
    assert qmp.migration({
        "status": "completed", "total-time": 3400, "downtime": 112, "setup-time": 21,
        "ram": {"transferred": 83896986, "dirty-sync-count": 3, "duplicate": 45423}}) == {
            "total_ms": 3400, "downtime_ms": 112, "bytes": 83896986, "rounds": 3,
            "converged": True}


@pytest.mark.parametrize("status, converged", [("failed", False), ("cancelled", False)])
def test_a_migration_that_did_not_end_well_did_not_converge(status, converged):
    found = qmp.migration({"status": status, "ram": {"transferred": 5, "dirty-sync-count": 9}})
    assert found["converged"] is converged
    assert found["downtime_ms"] is None


@pytest.mark.parametrize("status", ["setup", "active", "device", "cancelling", None])
def test_a_migration_that_goes_on_is_not_reported(status):
    assert qmp.migration({"status": status} if status else {}) is None


class Script:
    """A line whose other end says what it was told to say."""

    def __init__(self, *lines):
        self.lines, self.said = list(lines), []

    def say(self, text):
        self.said.append(json.loads(text))

    def hear(self, _):
        return self.lines.pop(0)


GREETING = '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}}}'


def test_the_monitor_greets_negotiates_and_passes_over_events():
    line = Script(GREETING, '{"return": {}}', '{"event": "STOP"}', '{"return": {"a": 1}}')
    monitor = qmp.Qmp(line, 1)
    assert monitor.version == "7.2.0"
    assert monitor.run("query-x", depth=2) == {"a": 1}
    assert line.said == [{"execute": "qmp_capabilities", "arguments": {}},
                         {"execute": "query-x", "arguments": {"depth": 2}}]


def test_a_refusal_of_the_monitor_has_its_sentence():
    monitor = qmp.Qmp(Script(GREETING, '{"return": {}}', '{"error": {"desc": "busy"}}'), 1)
    with pytest.raises(qmp.Refused, match="busy"):
        monitor.run("migrate", uri="tcp:x")


def test_a_shell_gives_back_what_a_command_printed():
    class Plain(Script):
        def say(self, text):
            self.said.append(text)
    line = Plain("one", "two", "", linuxhosts.Shell.END, "", linuxhosts.Shell.END)
    shell = linuxhosts.Shell(line)
    assert shell.run("first") == "one\ntwo\n"
    assert shell.run("second") == ""


# --- what the guests say ---------------------------------------------------------------------

def test_beats_are_read_from_whole_lines_only():
    console = ("guest: ready\r\nbeat 1: 0 written, 0 wrong\r\nbeat 2: 512 written, 3 wrong\r\n"
               "xbeat 9: 1 written, 1 wrong\r\nbeat 3: 1024 written, 0 wro")
    assert report.beats(console) == [(1, 0, 0), (2, 512, 3)]


EXITBENCH = """exitbench: TSC 1000000 kHz, empty loop 6 ticks\r
bench exit_cpuid 395\r
bench exit_rdmsr 486\r
bench exit_wrmsr 645\r
bench exit_pio_device 626\r
bench exit_pio_device_in 632\r
bench exit_lapic_mmio 983\r
PASS exitbench\r
"""


def test_exits_have_the_reports_names():
    assert report.exits(EXITBENCH) == {"cpuid": 395, "rdmsr": 486, "lapic_mmio": 983,
                                       "pio_device": 626}


def test_an_exit_that_was_not_measured_is_named():
    with pytest.raises(ValueError, match="rdmsr"):
        report.exits(EXITBENCH.replace("exit_rdmsr", "exit_other"))


@pytest.mark.parametrize("load, words", [("idle", "godwit.dirty=0,0"),
                                         ("500x32", "godwit.dirty=32,500"),
                                         ("2000x64", "godwit.dirty=64,2000")])
def test_a_load_is_words_on_the_guests_command_line(load, words):
    assert words in cmdline(load).split()
    assert set(LOADS) == {"idle", "500x32", "2000x64"}


# --- the report ------------------------------------------------------------------------------

def moved(system, run, total, down, load="idle", converged=True):
    measured = {"total_ms": total, "downtime_ms": down, "bytes": 64000000, "rounds": 2,
                "converged": converged, "more": "is left out"}
    return report.entry(system, run, load, measured, 1.5)


def test_an_entry_has_the_keys_that_scripts_rely_on():
    assert set(moved("kvm", 1, 3400, 112)) == {
        "load", "system", "total_ms", "downtime_ms", "bytes", "rounds", "converged", "run",
        "loadavg"}


def three(ours, theirs):
    return {"migrations": [m for run in (1, 2, 3) for m in (
        moved("godwit", run, *ours[run - 1]), moved("kvm", run, *theirs[run - 1]))], "exits": [],
            "wire": []}


def test_measures_are_held_against_medians():
    theirs = [(4000, 200), (3000, 100), (9000, 150)]
    assert report.missed(three([(1900, 70), (1000, 60), (8000, 90)], theirs)) == []
    found = report.missed(three([(2100, 70), (1000, 76), (8000, 90)], theirs))
    assert len(found) == 2
    assert "total_ms is 0.53" in found[0] and "downtime_ms is 0.51" in found[1]


def test_a_move_that_did_not_converge_counts_in_no_median():
    of = three([(1900, 70), (1000, 60), (8000, 90)], [(4000, 200), (3000, 100), (9000, 150)])
    of["migrations"].append(moved("kvm", 4, 120000, None, converged=False))
    assert report.ratio(of["migrations"], "idle", "total_ms") == 1900 / 4000
    assert "1 did not converge" in report.table(of)


def test_what_was_not_measured_is_not_missed():
    none = {"migrations": [], "exits": [], "wire": []}
    assert report.missed(none) == []
    assert report.missed({**none, "migrations": [moved("godwit", 1, 5000, 90)]}) == []
    assert report.missed({**none, "wire": [{"bytes_s": 1e9}]}) == []


def test_a_move_carries_more_than_half_of_what_the_wire_does():
    of = three([(1000, 70)] * 3, [(3000, 200)] * 3)
    rate = of["migrations"][0]["bytes"]         # in a second
    of["wire"] = [{"bytes_s": n * rate} for n in (1.5, 1.9, 9)]
    assert report.missed(of) == []
    assert "carries 0.53 of it" in report.table(of)
    of["wire"][0]["bytes_s"] = of["wire"][1]["bytes_s"] = 2 * rate
    assert "0.50 of the wire's TCP rate" in report.missed(of)[0]


def test_the_rate_of_the_wire_is_read_from_a_whole_line():
    assert report.wire_rate("tcprate 5000000 bytes 250000 us\n") == 20e6
    for text in ("", "tcprate 5 bytes", "accept: no\n", "tcprate 5000000 bytes 250000 us"):
        with pytest.raises(ValueError):
            report.wire_rate(text)


def test_the_table_has_a_line_for_each_load_and_system():
    of = three([(1900, 70), (1000, 60), (8000, 90)], [(4000, 200), (3000, 100), (9000, 150)])
    of["exits"] = [{"system": "kvm", "cpuid": 2721, "rdmsr": 2795, "lapic_mmio": 3577,
                    "pio_device": 4924}]
    text = report.table(of)
    assert "1900 / 1000 / 8000" in text
    assert "godwit by kvm: total 0.47, downtime 0.47" in text
    assert "2721" in text.splitlines()[-1]


# --- the Linux host --------------------------------------------------------------------------

def test_libraries_are_found_in_what_ldd_says():
    assert hostimage.libraries(
        "\tlinux-vdso.so.1 (0x00007ffd)\n"
        "\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f12)\n"
        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f34)\n") == [
            "/lib/x86_64-linux-gnu/libz.so.1", "/lib64/ld-linux-x86-64.so.2"]
    with pytest.raises(LabError, match="libz"):
        hostimage.libraries("\tlibz.so.1 => not found\n")


def test_an_archive_is_what_cpio_reads(tmp_path):
    cpio = Cpio()
    cpio.folder("etc")
    cpio.file("etc/odd", b"12345")
    cpio.link("sh", "busybox")
    listed = subprocess.run(["busybox", "cpio", "-t"], input=cpio.end(), capture_output=True,
                            check=True, cwd=tmp_path).stdout
    assert listed.split() == [b"etc", b"etc/odd", b"sh"]
