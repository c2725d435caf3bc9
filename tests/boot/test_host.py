# SPDX-License-Identifier: MIT
"""The host alone: it boots, names what it finds, and says why when it cannot go on.

Never a triple fault, never silence: each boot here ends in a sentence on COM1.
"""

import os
import re

import pytest

from conftest import only
from lablib.bochs import BOCHS_ROM

END = r"godwit: (ready|stopped).*"
TRIPLE_FAULT = "3rd (13) exception"


@pytest.fixture
def host(boot):
    """host(cmdline, ...): boots until ready or stopped; checks that it said which."""
    def run(cmdline="node=t", **options):
        result = boot(cmdline, until=END, grace=0, cpu_limit=100, **options)
        assert TRIPLE_FAULT not in result.debug, result.tail()
        assert result.ended == "verdict", f"{result.ended}:\n{result.tail()}"
        return result
    return run


def test_boots_and_names_each_feature_it_looked_for(host):
    result = host()
    assert "ready" in result.verdict, result.tail()
    looked = re.findall(r"self-test: (ok|no|MISSING) +(.+)", result.serial)
    assert [name for found, name in looked if found == "MISSING"] == []
    for feature in ("NX", "invariant TSC", "IOAPIC", "network card"):
        assert any(name.startswith(feature) for _, name in looked), feature


def test_boots_on_a_framebuffer(host):
    assert "ready" in host(video="fb").verdict


@only("bochs")                          # QEMU's CD answers when it answers
def test_the_same_boot_is_the_same_to_the_tick(host):
    def up_to_ready():
        result = host()                 # what follows may have come, or not yet
        return result.serial[:result.serial.index(result.verdict) + len(result.verdict)]
    assert up_to_ready() == up_to_ready()


def test_all_cpus_of_the_machine_come_up(host):
    result = host(cpus=4)
    assert "ready" in result.verdict
    assert re.findall(r"cpu: (\d) is APIC ID (\d)", result.serial) == [
        ("1", "1"), ("2", "2"), ("3", "3")]
    assert "cpu: 4 of 4 run" in result.serial


def test_the_command_line_limits_the_cpus(host):
    result = host("node=t cpus=2", cpus=4)
    assert "cpu: 2 of 4 run" in result.serial, result.tail()


@only("bochs")
@pytest.mark.parametrize("model", ["corei7_ivy_bridge_3770k", "corei7_haswell_4770",
                                   "broadwell_ult", "tigerlake", "ryzen"])
def test_boots_on_other_cpus(host, model):
    assert "ready" in host(cpu_model=model).verdict


@only("bochs")
@pytest.mark.parametrize("model,sentence", [
    ("pentium_mmx", "64-bit mode"),
    ("athlon64_clawhammer", "VT-x"),
    ("core2_penryn_t9600", "EPT"),
    ("corei5_lynnfield_750", "unrestricted guest"),
])
def test_a_cpu_that_cannot_is_told_so(host, model, sentence):
    result = host(cpu_model=model)
    assert "stopped" in result.verdict, result.tail()
    assert sentence in result.serial


@only("bochs")
def test_vtx_locked_off_by_firmware_is_said(host, directory):
    """Bochs's BIOS sets lock and enable of IA32_FEATURE_CONTROL (or $5, %eax); ours only locks."""
    read_or_write = b"\x0f\x32\x83\xc8%c\x0f\x30"
    with open(BOCHS_ROM, "rb") as f:
        rom = f.read()
    assert rom.count(read_or_write % 5) == 1
    firmware = os.path.join(directory, "locks-vtx-off.rom")
    with open(firmware, "wb") as f:
        f.write(rom.replace(read_or_write % 5, read_or_write % 1))
    result = host(bios=firmware)
    assert "stopped" in result.verdict, result.tail()
    assert "MISSING VT-x allowed by firmware" in re.sub(" +", " ", result.serial)
    assert "locked off in IA32_FEATURE_CONTROL" in result.serial


def test_too_little_memory_is_said(host):
    result = host(memory=24)
    assert "stopped" in result.verdict
    assert re.search(r"23 MiB of memory; at least \d+ MiB", result.serial)


@pytest.mark.parametrize("word", ["mgmt=nic0,10.77.0.300/24", "mgmt=nic0,10.77.0.1/33",
                                  "bogus=1", "node=" + "x" * 40])
def test_a_bad_word_on_the_command_line_is_named(host, word):
    result = host("node=t " + word)
    assert "stopped" in result.verdict, result.tail()
    assert re.search(r"failed: .*" + re.escape(word.split("=")[0]), result.serial)


@pytest.mark.parametrize("test,state", [
    ("fault", "invalid opcode (vector 6"),
    ("panic", "with the number 42"),
    ("guard", "stack overflowed into its guard page"),
    ("wx", "which its page forbids"),
    ("nx", "which its page forbids"),
    ("nullptr", "a null pointer"),
])
def test_an_exception_in_the_host_prints_one_screen_of_state(host, test, state):
    result = host(f"node=t test={test}")
    assert "stopped" in result.verdict
    screen = result.serial[result.serial.index("godwit: panic:"):]
    assert state in screen
    assert "called from" in screen and "cr3" in screen
    assert screen.count("godwit: panic") == 1
    assert len(screen.splitlines()) <= 25


def test_a_tasks_stack_has_a_guard_page_too(boot):
    result = boot("node=t test=task", until="^godwit: stopped", grace=0, cpu_limit=100)
    assert "a task's stack overflowed into its guard page" in result.serial, result.tail()
    assert "task crash test" in result.serial
