# SPDX-License-Identifier: MIT
"""Micro-guests on the hypervisor: tests/guest/NAME.c, each one feature (tests/guest/README.md).

Those that measure time have the CPU alone; the others share one host and show that guests do not
disturb each other.  All of them run on both vendors' CPUs, from one list.  `lenient` is given to
two guests, for what TCG's CPU gets wrong: what our machine gets wrong is ours to mend.
"""

import re

import pytest

VENDORS = {"bochs": "VT-x", "qemu": "AMD-V"}
END = r"(powered off|stopped by us): .*"
READY = "godwit: ready"

ALONE = ["pit", "rtc", "uart", "pic", "ioapic", "lapic", "x2apic", "tsc-deadline", "hlt",
         "kvmclock", "realmode", "virtio-rng", "virtio-hostile"]
TOGETHER = ["hello", "cpuid", "msr", "exceptions", "paging", "xsave", "port-io", "mmio", "dirty"]
NIC = {"nics": [{"mac": "52:54:00:77:01:01"}]}


def last_words(result, name):
    """What a guest said last, and how it ended: two lines of the host's log."""
    words = re.search(rf"{name}: its last words: (.*)", result.serial)
    end = re.search(rf"{name}: {END}", result.serial)
    return (words.group(1) if words else "", end.group(0) if end else "still running")


def words(backend, name, cmdline):
    """TCG checks neither canonical addresses nor all reserved bits (docs/limits.md)."""
    return "lenient" if backend == "qemu" and name in ("exceptions", "msr") else cmdline


@pytest.fixture
def run(backend, boot, micro_guest):
    """run(NAME, ...): a host with these guests, until each has ended."""
    def boot_with(*names, cmdline="", cpu_limit=150, cpus_of_host=1, **definition):
        modules = [module for name in names for module in
                   micro_guest(name, boot={"cmdline": words(backend, name, cmdline)}, **definition)]
        result = boot("node=t", modules, grace=0, cpu_limit=cpu_limit, cpus=cpus_of_host,
                      until=lambda text:
                      "all ended" if len(re.findall(END, text)) >= len(names) else None)
        assert READY in result.serial, result.tail()
        assert f"self-test: ok       {VENDORS.get(backend, '')}" in result.serial
        return result
    return boot_with


@pytest.mark.parametrize("name", ALONE)
def test_passes_alone(run, name):
    words, end = last_words(run(name), name)
    assert words == f"PASS {name}", end
    assert "code 0 " in end


@pytest.mark.parametrize("cpus", [1, 4])
def test_guests_that_share_a_host_all_pass(run, cpus):
    result = run(*TOGETHER, cpus_of_host=cpus)
    assert {name: last_words(result, name)[0] for name in TOGETHER} == {
        name: f"PASS {name}" for name in TOGETHER}


def test_a_baseline_has_sysenter_in_long_mode_whatever_the_host(run):
    """SDM vol. 2, "SYSENTER" and "SYSEXIT": AMD's CPUs have neither."""
    result = run("sysenter", cpu="x86-64-v1")
    assert last_words(result, "sysenter")[0] == "PASS sysenter"


def test_a_network_card_is_found_on_the_bus(run):
    assert last_words(run("pci-scan", **NIC), "pci-scan")[0] == "PASS pci-scan"


def test_a_network_card_sends_without_a_network(run):
    result = run("virtio-net", cmdline="serve=1", **NIC)
    assert last_words(result, "virtio-net")[0] == "PASS virtio-net"


def test_the_end_of_one_guest_is_not_the_end_of_others(run):
    """SDM vol. 3, "Triple Fault"; an instruction that is not emulated; a port that says stop."""
    result = run("triple-fault", "unsupported", "shutdown", "migrate-pattern", cmdline="beats=2")
    assert "stopped by us: triple fault" in last_words(result, "triple-fault")[1]
    assert "no instruction that is emulated: 0f 11 00" in last_words(result, "unsupported")[1]
    assert '"Shutdown" to port 0x8900' in last_words(result, "shutdown")[1]
    assert last_words(result, "migrate-pattern")[0] == "PASS migrate-pattern"


@pytest.mark.parametrize("cmdline", ["beats=3", "beats=2 rate=0", "beats=2 endless"])
def test_two_cpus_share_the_hosts_one(run, cmdline):
    result = run("migrate-pair", cmdline=cmdline, cpus=2)
    assert last_words(result, "migrate-pair")[0] == "PASS migrate-pair"


def test_every_page_keeps_its_pattern_while_the_cpu_is_busy(run):
    result = run("migrate-pattern", cmdline="beats=2 rate=0")
    assert last_words(result, "migrate-pattern")[0] == "PASS migrate-pattern"


def test_exits_of_all_kinds_can_be_measured(run):
    assert last_words(run("exitbench", cmdline="loops=200"), "exitbench")[0] == "PASS exitbench"
