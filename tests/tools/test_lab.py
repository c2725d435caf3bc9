# SPDX-License-Identifier: MIT
"""The lab, with a stand-in for the hypervisor: what it makes, and that nothing stays behind."""

import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest

from lablib import kvm, vmdef
from lablib.boot import boot
from lablib.iso import Module, grub_cfg
from lablib.lab import Lab, Options, command_line
from lablib.machine import BACKENDS, Machine
from lablib.proc import LabError, Process, Records

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.path.join(HERE, "../../tools/lab")
LIMIT_S = 120


@pytest.fixture(scope="session")
def standin(tmp_path_factory):
    """standin(FLAGS...): the path of the stand-in, assembled with these definitions."""
    folder = tmp_path_factory.mktemp("standin")

    def build(*flags):
        name = str(folder / "-".join(("standin",) + flags))
        subprocess.run(["gcc", "-m32", "-c", *[f"-D{f}" for f in flags], "-o", name + ".o",
                        os.path.join(HERE, "standin.S")], check=True)
        subprocess.run(["ld", "-m", "elf_i386", "-N", "--no-warn-rwx-segments",
                        "--section-start=.header=0x200000",
                        "-Ttext=0x200100", "-o", name + ".elf", name + ".o"], check=True)
        return name + ".elf"
    return build


def small(image, **fields):
    return Options(image=image, memory=64, wait=600, **fields)


# --- pieces ----------------------------------------------------------------------------------

def test_command_line_gives_a_second_nic_to_migrations():
    assert command_line("b", 1, Options(nics=2)).split() == [
        "node=b", "mgmt=nic0,10.77.0.12/24", "mig=nic1,10.78.0.12/24"]


def test_a_word_of_the_user_replaces_the_labs():
    words = command_line("a", 0, Options(cmdline="mgmt=nic0,dhcp test=x")).split()
    assert words == ["node=a", "mgmt=nic0,dhcp", "test=x"]


def test_grub_sees_no_variable_and_no_quote_in_what_the_user_wrote():
    text = grub_cfg("a=$b it's;", [Module("/x y", "file vmlinuz")], "fb")
    assert "multiboot2 /godwit.elf 'a=$b' 'it'\\''s;'\n" in text
    assert "module2 /m0 'file' 'vmlinuz'\n" in text
    # The header of the image sets gfxpayload, so ours comes after it.
    assert text.index("multiboot2 ") < text.index("set gfxpayload=1024x768x32")


def definition(folder, name, boot_of, **more):
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"name": name, "boot": boot_of, **more}))
    return str(path)


def test_a_vm_definition_becomes_modules(tmp_path):
    for name in ("vmlinuz", "initrd"):
        (tmp_path / name).write_text("x")
    one = definition(tmp_path, "one", {"kernel": "vmlinuz", "initrd": "initrd", "cmdline": "q r"})
    two = definition(tmp_path, "two", {"multiboot": "vmlinuz", "modules": ["initrd"]})
    assert [m.words for m in vmdef.modules([one, two])] == [
        "vm one", "vm two", "file vmlinuz", "file initrd"]


@pytest.mark.parametrize("boot_of,why", [
    ({"kernel": "gone"}, "no file"), ({"kernel": ["x"]}, "file name"),
    ({"kernel": "a b"}, "file name"), ({"modules": "x"}, "not a list"), ([], "no \"boot\"")])
def test_a_bad_vm_definition_is_refused_with_the_reason(tmp_path, boot_of, why):
    with pytest.raises(LabError, match=why):
        vmdef.read(definition(tmp_path, "bad", boot_of))


def test_two_files_of_one_name_on_a_node_are_refused(tmp_path):
    for folder in ("p", "q"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "k").write_text(folder)
    paths = [definition(tmp_path / f, f, {"kernel": "k"}) for f in ("p", "q")]
    with pytest.raises(LabError, match="rename one"):
        vmdef.modules(paths)


def test_bochs_refuses_what_it_cannot_do(tmp_path):
    with pytest.raises(LabError, match="2048 MiB"):
        BACKENDS["bochs"].check(Machine(str(tmp_path), "x.iso", memory=4096))


def test_kvm_check_says_why():
    assert kvm.check().sentence


# --- processes -------------------------------------------------------------------------------

def test_a_process_of_another_start_time_is_never_ours():
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        stranger = Process("x", sleeper.pid, 1)
        assert not stranger.alive()
        stranger.kill()
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_records_outlive_the_program_that_made_them(tmp_path):
    Records(str(tmp_path)).spawn("sleeper", ["sleep", "60"])
    again = Records(str(tmp_path))
    assert again.read("sleeper").alive()
    assert again.kill_all() == ["sleeper"]
    assert again.all() == []


# --- one machine -----------------------------------------------------------------------------

def test_boot_ends_at_the_verdict_and_knows_the_final_tick(standin, tmp_path):
    result = boot(standin("QUIT"), directory=str(tmp_path), memory=64)
    assert (result.ended, result.verdict, result.passed) == ("verdict", "PASS", True)
    assert result.serial == "godwit: ready\nPASS\n"
    assert result.ticks > 1_000_000


def test_boot_is_cut_off_by_cpu_time(standin, tmp_path):
    result = boot(standin(), directory=str(tmp_path), memory=64, until="^never", cpu_limit=3)
    assert result.ended == "cpu limit"
    assert Records(str(tmp_path / "pids")).all() == []


def test_boot_says_so_when_grub_refuses_the_image(tmp_path):
    result = boot(__file__, directory=str(tmp_path), memory=64)
    assert result.ended == "exit"
    assert "GRUB cannot start the image" in result.serial


def test_a_screen_that_nobody_reads_does_not_stop_the_host(standin, tmp_path):
    assert boot(standin("SCREEN", "QUIT"), directory=str(tmp_path), memory=64, cpu_limit=30,
                wall_limit=120).passed


def test_boot_reaches_an_image_on_a_framebuffer(standin, tmp_path):
    assert boot(standin("QUIT"), directory=str(tmp_path), memory=64, video="fb").passed


# --- a network -------------------------------------------------------------------------------

def test_a_lab_comes_up_is_seen_and_goes_away(standin, tmp_path):
    with Lab(str(tmp_path / "lab")) as lab:
        config = lab.up(small(standin(), nodes=2, nics=2))
        assert [n["address"] for n in config["nodes"]] == ["10.77.0.11", "10.77.0.12"]
        status = lab.status()
        assert all(n["alive"] and n["ready"] for n in status["nodes"])
        assert {e["port"] for e in status["fdb"]} >= {"client-br", "client1-br"}
        assert lab.run(["sh", "-c", "exit 7"]).returncode == 7
        links = lab.run(["ip", "-br", "link"], capture_output=True, text=True).stdout
        assert {line.split("@")[0].split()[0] for line in links.splitlines()} >= {
            "br0", "br1", "a0", "a1", "b0", "b1", "client", "client1"}
        with pytest.raises(LabError, match="a lab is up"):
            Lab(lab.directory).up(small(standin()))
        processes = lab.records.all()
    assert processes and not any(p.alive() for p in processes)
    with pytest.raises(LabError, match="no lab is up"):
        lab.status()


def test_the_console_can_be_typed_on(standin, tmp_path):
    with Lab(str(tmp_path / "lab")) as lab:
        lab.up(small(standin("ECHO"), nodes=1, serial="socket"))
        console = subprocess.Popen([sys.executable, LAB, "--directory", lab.directory, "console",
                                    "a"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            console.stdin.write(b"HAL")
            console.stdin.flush()
            said = b""
            while len(said) < 3 and select.select([console.stdout], [], [], LIMIT_S)[0]:
                said += os.read(console.stdout.fileno(), 3 - len(said)) or b"END"
            assert said == b"IBM"
        finally:
            console.kill()
            console.communicate()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_up_leaves_nothing_behind(standin, tmp_path, sig):
    directory = str(tmp_path / "lab")
    up = subprocess.Popen([sys.executable, LAB, "--directory", directory, "up", "--nodes", "1",
                           "--memory", "64", "--image", standin()],
                          stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT,
                                                           signal.default_int_handler))
    assert "node a starts" in up.stderr.readline()      # and needs seconds to be ready
    up.send_signal(sig)
    up.communicate(timeout=LIMIT_S)
    left = Records(os.path.join(directory, "pids")).all()
    if sig == signal.SIGKILL:           # the next command ends what this one could not
        assert any(p.alive() for p in left)
        Lab(directory).down()
    deadline = time.monotonic() + LIMIT_S
    while any(p.alive() for p in left) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(p.alive() for p in left)


def test_a_lab_that_is_not_ready_in_time_says_what_was_last_said(standin, tmp_path):
    lab = Lab(str(tmp_path / "lab"))
    with pytest.raises(LabError, match="(?s)node a was not ready.*serial log"):
        lab.up(Options(image=standin(), memory=64, nodes=1, wait=0.5))
    assert not any(p.alive() for p in lab.records.all())
