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

from lablib import backends, kvm, vmdef
from lablib.boot import boot
from lablib.iso import Module, grub_cfg
from lablib.lab import Lab, Options, command_line
from lablib.bochs import Bochs
from lablib.machine import Machine, Nic
from lablib.proc import LabError, Process, Records
from lablib.qemu import Qemu

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


@pytest.fixture(params=["bochs", "qemu"])
def backend(request):
    """kvm is qemu with another CPU; not every machine has it."""
    return request.param


def small(image, **fields):
    return Options(image=image, memory=64, wait=600, **fields)


# --- pieces ----------------------------------------------------------------------------------

def test_command_line_gives_a_second_nic_to_migrations():
    assert command_line("b", 1, Options(nics=2)).split() == [
        "node=b", "mgmt=nic0,10.77.0.12/24", "mig=nic1,10.78.0.12/24"]


def test_a_word_of_the_user_replaces_the_labs():
    words = command_line("a", 0, Options(cmdline="mgmt=nic0,dhcp test=x")).split()
    assert words == ["node=a", "mgmt=nic0,dhcp", "test=x"]


def test_a_word_may_be_for_one_node():
    options = Options(cmdline="test=x mig=nic0.20,10.79.0.11/24@a mig=nic0.20,10.79.0.12/24@b")
    assert command_line("b", 1, options).split() == [
        "node=b", "mgmt=nic0,10.77.0.12/24", "test=x", "mig=nic0.20,10.79.0.12/24"]
    with pytest.raises(LabError, match="no node 'c'"):
        command_line("a", 0, Options(cmdline="test=x@c"))


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
        Bochs().check(Machine("bochs", str(tmp_path), "x.iso", memory=4096))
    with pytest.raises(LabError, match="virtio-net"):
        Bochs().check(Machine("bochs", str(tmp_path), "x.iso", nics=[Nic("", "", "virtio-net")]))


def test_each_node_may_have_a_backend_of_its_own():
    assert backends.for_nodes("qemu", "ab", "x") == {"a": "qemu", "b": "qemu"}
    assert backends.for_nodes("qemu bochs@b", "ab", "x") == {"a": "qemu", "b": "bochs"}
    assert backends.for_nodes("m@b", "ab", "x", "") == {"a": "", "b": "m"}
    with pytest.raises(LabError, match="node 'c'"):
        backends.for_nodes("qemu@c", "ab", "x")
    with pytest.raises(LabError, match="nothing about node b"):
        backends.for_nodes("bochs@a", "ab", "x")


@pytest.mark.parametrize("by_node", [{"a": "qemu", "b": "qemu"}, {"a": "bochs", "b": "qemu"}])
def test_backends_in_words_are_what_for_nodes_reads(by_node):
    assert backends.for_nodes(backends.in_words(by_node), "ab", "x") == by_node


def test_the_default_backend_is_what_lab_says_or_runs_here(monkeypatch):
    monkeypatch.setenv("LAB", "bochs@a qemu@b")
    assert backends.default() == "bochs@a qemu@b"
    monkeypatch.delenv("LAB")
    assert not backends.BACKENDS[backends.default()].missing()


def test_a_backend_that_cannot_run_here_says_why(monkeypatch):
    with pytest.raises(LabError, match="no backend 'xen'"):
        backends.get("xen")
    monkeypatch.setattr(kvm, "probe", lambda: kvm.Found("", "there is no /dev/kvm"))
    with pytest.raises(LabError, match="kvm: there is no /dev/kvm"):
        backends.get("kvm")


@pytest.mark.parametrize("cpu,offers", [("EPYC-Rome,+svm", "AMD-V"), ("EPYC-Rome,-svm", "")])
def test_the_probe_for_nested_kvm_knows_a_cpu_that_can_from_one_that_cannot(cpu, offers):
    """On emulated CPUs: whether this machine's own can is nothing that a test may assume."""
    assert kvm.run_probe("-accel", "tcg", "-cpu", cpu) == offers


def qemu_command(tmp_path, **fields):
    return " ".join(Qemu().prepare(Machine("qemu", str(tmp_path), "x.iso", **fields))[0])


@pytest.mark.parametrize("ips,sync,says", [
    (10**9, "none", "thread=single -cpu EPYC-Rome,+svm,+npt -icount shift=0,sleep=off"),
    (50_000_000, "realtime", "-icount shift=4,sleep=on"),
    (1, "none", "-icount shift=10,sleep=off"),
    (50_000_000, "slowdown", "thread=multi")])
def test_qemu_counts_instructions_unless_it_follows_the_clock(tmp_path, ips, sync, says):
    command = qemu_command(tmp_path, ips=ips, sync=sync)
    assert says in command
    assert ("-icount" in command) == (sync != "slowdown")


def test_qemu_has_one_thread_for_several_cpus(tmp_path):
    assert "thread=single" in qemu_command(tmp_path, sync="slowdown", cpus=2)


def test_qemu_gets_nics_with_their_properties_and_paths_with_commas(tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    nics = [Nic("52:54:00:77:01:00", "a0", "virtio-net,rx_queue_size=512"),
            Nic("52:54:00:77:01:01", "a1")]
    command = qemu_command(folder, nics=nics)
    assert "virtio-net-pci,disable-legacy=on,netdev=net0,mac=52:54:00:77:01:00," in command
    assert "romfile=,rx_queue_size=512 -netdev tap,id=net1,ifname=a1," in command
    assert "a,,b/serial.log" in command
    with pytest.raises(LabError, match="no NIC 'ne2k'"):
        qemu_command(folder, nics=[Nic("", "", "ne2k")])


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

def test_boot_ends_at_the_verdict_and_knows_the_final_tick(standin, tmp_path, backend):
    result = boot(standin("QUIT"), directory=str(tmp_path), memory=64, backend=backend)
    assert (result.ended, result.verdict, result.passed) == ("verdict", "PASS", True)
    assert result.serial == "godwit: ready\nPASS\n"
    assert backend != "bochs" or result.ticks > 1_000_000       # QEMU does not tell


def test_a_host_that_switches_itself_off_has_ended(standin, tmp_path, backend):
    result = boot(standin("QUIT"), directory=str(tmp_path), memory=64, backend=backend,
                  until="^never")
    assert result.ended == "exit"


def test_boot_is_cut_off_by_cpu_time(standin, tmp_path, backend):
    result = boot(standin(), directory=str(tmp_path), memory=64, backend=backend,
                  until="^never", cpu_limit=3)
    assert result.ended == "cpu limit"
    assert Records(str(tmp_path / "pids")).all() == []


def test_boot_says_so_when_grub_refuses_the_image(tmp_path, backend):
    result = boot(__file__, directory=str(tmp_path), memory=64, backend=backend)
    assert result.ended == "exit"
    assert "GRUB cannot start the image" in result.serial


def test_a_screen_that_nobody_reads_does_not_stop_the_host(standin, tmp_path, backend):
    assert boot(standin("SCREEN", "QUIT"), directory=str(tmp_path), memory=64, cpu_limit=30,
                wall_limit=120, backend=backend).passed


def test_boot_reaches_an_image_on_a_framebuffer(standin, tmp_path, backend):
    assert boot(standin("QUIT"), directory=str(tmp_path), memory=64, video="fb",
                backend=backend).passed


# --- a network -------------------------------------------------------------------------------

@pytest.mark.parametrize("backend", ["bochs", "qemu", "bochs@a qemu@b"])
def test_a_lab_comes_up_is_seen_and_goes_away(standin, tmp_path, backend):
    with Lab(str(tmp_path / "lab")) as lab:
        config = lab.up(small(standin(), nodes=2, nics=2, backend=backend))
        assert config["backend"] == backend
        assert {n["backend"] for n in config["nodes"]} == {
            word.partition("@")[0] for word in backend.split()}
        assert [n["address"] for n in config["nodes"]] == ["10.77.0.11", "10.77.0.12"]
        status = lab.status()
        assert all(n["alive"] and n["ready"] for n in status["nodes"])
        assert {e["port"] for e in status["fdb"]} >= {"client-br", "client1-br"}
        assert lab.run(["sh", "-c", "exit 7"]).returncode == 7
        links = lab.run(["ip", "-br", "link"], capture_output=True, text=True).stdout
        assert {line.split("@")[0].split()[0] for line in links.splitlines()} >= {
            "br0", "br1", "a0", "a1", "b0", "b1", "client", "client1"}
        with pytest.raises(LabError, match="a lab is up"), Lab(lab.directory) as another:
            another.up(small(standin()))
        assert all(n["alive"] for n in lab.status()["nodes"])
        processes = lab.records.all()
    assert processes and not any(p.alive() for p in processes)
    with pytest.raises(LabError, match="no lab is up"):
        lab.status()


def test_the_console_can_be_typed_on(standin, tmp_path, backend):
    with Lab(str(tmp_path / "lab")) as lab:
        lab.up(small(standin("ECHO"), nodes=1, serial="socket", backend=backend))
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
def test_an_interrupted_up_leaves_nothing_behind(standin, tmp_path, sig, backend):
    directory = str(tmp_path / "lab")
    up = subprocess.Popen([sys.executable, LAB, "--directory", directory, "up", "--nodes", "1",
                           "--memory", "64", "--image", standin(), "--backend", backend],
                          stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT,
                                                           signal.default_int_handler))
    # It needs seconds to be ready.
    assert f"node a ({backend}) starts" in up.stderr.readline()
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
        lab.up(Options(image=standin(), memory=64, nodes=1, wait=0.5, backend="bochs"))
    assert not any(p.alive() for p in lab.records.all())
