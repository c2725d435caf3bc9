# SPDX-License-Identifier: MIT
"""gwctl and a real node: a VM's life, refusals that leave nothing, an absent peer."""

import json
import os
import re
import shutil
import time

import pytest

from conftest import BUILD, lab_up

ADDRESS = "10.77.0.11"
GWCTL = os.path.join(BUILD, "gwctl")
GUEST = os.path.join(BUILD, "guest/migrate-pattern.elf")
REFUSED, NO_ANSWER, NOT_MOVED = 1, 3, 4
LIMIT_S = 300


@pytest.fixture(scope="module")
def lab(backend):
    """One host for all of this file: a test leaves it as it found it."""
    with lab_up(f"test_gwctl_node.{backend}", backend=backend, nodes=1, memory=128) as one:
        yield one


@pytest.fixture
def gwctl(lab):
    """gwctl(WORDS...): (exit code, JSON answer or None, standard error)"""
    def run(*words):
        done = lab.run([GWCTL, "-n", ADDRESS, "--json", *words], capture_output=True,
                       timeout=LIMIT_S)
        answer = json.loads(done.stdout) if done.stdout.strip() else None
        return done.returncode, answer, done.stderr.decode()
    return run


def ok(result):
    code, answer, err = result
    assert code == 0, err
    return answer


@pytest.fixture
def unchanged(gwctl):
    """The node has as much memory, as many VMs and images after the test as before."""
    def state():
        memory = ok(gwctl("node", "show"))["memory"]
        return {"memory": memory, "vms": ok(gwctl("vm", "list"))["vms"],
                "images": ok(gwctl("image", "list"))["images"]}
    before = state()
    yield
    after = state()
    # Pages are joined to frames again when the last of 512 is free: totals, not their split.
    for key in ("guest_bytes", "hypervisor_bytes"):
        assert after["memory"][key] == before["memory"][key], key
    assert (after["vms"], after["images"]) == (before["vms"], before["images"])


def write(directory, **changes):
    """A definition of a guest that says "beat N" each second; `changes` replace members."""
    shutil.copy(GUEST, os.path.join(directory, "guest.elf"))
    path = os.path.join(directory, "guest.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"name": "pat", "memory": 16, "cpus": 1, "nics": [],
                   "boot": {"multiboot": "guest.elf", "cmdline": "rate=20 pages=100"},
                   **changes}, f)
    return path


def await_text(gwctl, pattern, at=0):
    """Follow the console from byte `at` until `pattern` comes; where that was."""
    until, text = time.monotonic() + LIMIT_S, ""
    while not re.search(pattern, text):
        assert time.monotonic() < until, text[-500:]
        answer = ok(gwctl("vm", "console", "pat", "--from", str(at)))
        text, at = text + answer["text"], answer["next"]
    return at


def remove(gwctl):
    for image in ok(gwctl("image", "list"))["images"]:
        ok(gwctl("image", "delete", image["name"]))


def test_life_of_a_vm(gwctl, unchanged, tmp_path):
    made = ok(gwctl("vm", "create", write(tmp_path)))
    assert made["state"] == "STOPPED"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                        made["uuid"])
    assert ok(gwctl("vm", "start", "pat"))["state"] == "RUNNING"
    at = await_text(gwctl, r"beat 2,")
    assert [v["name"] for v in ok(gwctl("vm", "list"))["vms"]] == ["pat"]

    assert ok(gwctl("vm", "pause", "pat"))["state"] == "PAUSED"
    at = ok(gwctl("vm", "console", "pat", "--from", str(at)))["next"]
    paused = ok(gwctl("vm", "show", "pat"))["clock_ms"]
    time.sleep(2.5)
    assert ok(gwctl("vm", "show", "pat"))["clock_ms"] == paused
    assert ok(gwctl("vm", "console", "pat", "--from", str(at)))["text"] == ""
    assert ok(gwctl("vm", "resume", "pat"))["state"] == "RUNNING"
    await_text(gwctl, r"beat \d+,", at)

    code, _, err = gwctl("vm", "delete", "pat")
    assert code == REFUSED and "RUNNING" in err
    code, _, err = gwctl("vm", "start", "pat")
    assert code == REFUSED and "RUNNING" in err
    stopped = ok(gwctl("vm", "stop", "pat"))
    assert stopped["state"] == "STOPPED" and stopped["why"]
    assert ok(gwctl("vm", "start", "pat"))["starts"] == 2
    ok(gwctl("vm", "stop", "pat"))
    ok(gwctl("vm", "delete", "pat"))
    code, _, err = gwctl("vm", "show", "pat")
    assert code == REFUSED and "no VM \"pat\"" in err
    remove(gwctl)


def test_trace_shows_exits_of_the_guest(gwctl, unchanged, tmp_path):
    ok(gwctl("vm", "create", "--start", write(tmp_path)))
    await_text(gwctl, r"beat 1,")
    ok(gwctl("vm", "pause", "pat"))
    records = ok(gwctl("trace", "pat"))["records"]
    assert len(records) > 100
    kinds = {r.get("kind") for r in records}
    assert {"io", "hlt"} & kinds
    times = [r["us"] for r in records]
    assert times == sorted(times)
    ok(gwctl("vm", "stop", "pat"))
    ok(gwctl("vm", "delete", "pat"))
    remove(gwctl)


@pytest.mark.parametrize("changes, says", [
    ({"memory": 1}, "memory"),
    ({"memory": 100000}, "memory"),
    ({"memory": 512}, "MiB"),                   # more than the host has
    ({"memory": "16"}, "\"memory\" must be a number"),
    ({"name": "Pat"}, "name"),
    ({"name": ""}, "name"),
    ({"cpus": 0}, "cpus"),
    ({"cpus": 99}, "cpus"),
    ({"nics": [{"mac": "52:54:00"}]}, "mac"),
    ({"nics": [{"mac": "01:00:5e:00:00:01"}]}, "mac"),
    ({"colour": "red"}, "\"colour\""),
    ({"boot": {"multiboot": "guest.elf", "speed": 1}}, "\"speed\""),
    ({"boot": {"multiboot": "guest.json"}}, "multiboot"),
], ids=lambda v: json.dumps(v) if isinstance(v, dict) else "")
def test_wrong_definition_names_the_field_and_leaves_nothing(gwctl, unchanged, tmp_path, changes,
                                                             says):
    code, _, err = gwctl("vm", "create", "--start", write(tmp_path, **changes))
    if ok(gwctl("vm", "list"))["vms"]:          # refused only when it is started
        ok(gwctl("vm", "delete", "pat"))
        remove(gwctl)
    assert code == REFUSED
    assert says in err


def test_payload_that_does_not_fit_is_refused_and_leaves_nothing(gwctl, unchanged, tmp_path):
    with open(tmp_path / "big", "wb") as f:
        f.truncate(200 << 20)
    code, _, err = gwctl("vm", "create", write(tmp_path, boot={"multiboot": "big"}))
    assert code == REFUSED
    assert "big" in err


def test_second_vm_of_a_name_is_refused_and_the_first_stays(gwctl, unchanged, tmp_path):
    ok(gwctl("vm", "create", write(tmp_path)))
    code, _, err = gwctl("vm", "create", write(tmp_path))
    assert code == REFUSED and "pat" in err
    assert len(ok(gwctl("vm", "list"))["vms"]) == 1
    ok(gwctl("vm", "delete", "pat"))
    remove(gwctl)


def test_migration_to_nobody_and_to_itself_leaves_the_guest_running(gwctl, unchanged, tmp_path):
    ok(gwctl("vm", "create", "--start", write(tmp_path)))
    await_text(gwctl, r"beat 1,")
    for peer in ("10.77.0.99", ADDRESS, "nowhere", "10.77.0.1"):
        code, answer, err = gwctl("migrate", "pat", peer)
        assert code == NOT_MOVED, (peer, err)
        assert answer["state"] == "ABORTED" and answer["result"] in err
        assert answer["downtime_ms"] == 0
    vm = ok(gwctl("vm", "show", "pat"))
    assert vm["state"] == "RUNNING" and not vm["migrating"] and not vm["tracking"]
    at = ok(gwctl("vm", "console", "pat"))["next"]
    await_text(gwctl, r"beat \d+,", at)
    code, _, err = gwctl("migration", "cancel", "1")
    assert code == REFUSED and "ended" in err
    ok(gwctl("vm", "stop", "pat"))
    code, _, err = gwctl("migrate", "pat", "10.77.0.12")
    assert code == REFUSED and "STOPPED" in err
    ok(gwctl("vm", "delete", "pat"))
    remove(gwctl)


@pytest.mark.parametrize("command", ["reboot", "poweroff"])
def test_a_host_with_a_guest_does_not_go_down_unless_forced(gwctl, unchanged, tmp_path, command):
    ok(gwctl("vm", "create", write(tmp_path), "--start"))
    code, _, err = gwctl("node", command)
    assert code == REFUSED and '1 guest would be lost, among them "pat" (RUNNING)' in err
    ok(gwctl("vm", "pause", "pat"))
    assert "(PAUSED)" in gwctl("node", command)[2]
    ok(gwctl("vm", "stop", "pat"))
    ok(gwctl("vm", "delete", "pat"))
    remove(gwctl)


def test_a_host_that_is_forced_goes_down_with_its_guest(lab, gwctl, tmp_path):
    """The last test of this file: its host is gone."""
    ok(gwctl("vm", "create", write(tmp_path), "--start"))
    await_text(gwctl, r"beat 1,")
    ok(gwctl("node", "poweroff", "--force"))
    lab.await_log("a", r"power: off by ACPI's S5.*", LIMIT_S)
    assert "shutdown: power off on request, whatever runs" in lab.log("a")
    code, _, _ = gwctl("node", "show")
    assert code == NO_ANSWER
