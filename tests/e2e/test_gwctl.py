# SPDX-License-Identifier: MIT
"""gwctl against a control service in this process: words, answers, exit codes, cleaning up."""

import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import BUILD
from standin_node import Node

GWCTL = os.path.join(BUILD, "gwctl")
REFUSED, USAGE, UNREACHABLE, NOT_MOVED, INTERRUPTED = 1, 2, 3, 4, 130
LIMIT_S = 120


@pytest.fixture
def node():
    one = Node()
    yield one
    one.close()


@pytest.fixture
def gwctl(node):
    """gwctl(WORDS...): the finished process; output is text."""
    def run(*words, address=node.address, stdin=""):
        where = ["-n", address] if address else []
        env = {k: v for k, v in os.environ.items() if k != "GODWIT_NODE"}
        return subprocess.run([GWCTL, *where, *words], input=stdin, capture_output=True, text=True,
                              timeout=LIMIT_S, check=False, env=env)
    return run


def definition(directory, **boot):
    path = os.path.join(directory, "guest.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"name": "new", "memory": 16, "cpus": 1, "boot": boot, "nics": []}, f)
    return path


def payload(directory, name, content):
    with open(os.path.join(directory, name), "wb") as f:
        f.write(content)
    return hashlib.sha256(content).hexdigest()[:12] + "-" + os.path.basename(name)


# --- words, options, exit codes -----------------------------------------------------------------

@pytest.mark.parametrize("words, says", [
    (["vm"], "list, show, create"),
    (["vm", "fly"], "list, show, create"),
    (["teleport"], "no command \"teleport\""),
    (["vm", "show"], "usage: gwctl [-n NODE] [--json] vm show VM"),
    (["vm", "list", "x"], "usage:"),
    (["migrate", "demo"], "migrate VM TO"),
    (["migrate", "demo", "x", "--downtime-ms", "soon"], "\"soon\""),
    (["migration", "resolve", "1", "mine"], "\"ours\""),
])
def test_wrong_words_exit_with_2_and_say_what_is_right(gwctl, words, says):
    done = gwctl(*words)
    assert done.returncode == USAGE
    assert says in done.stderr
    assert done.stdout == ""


def test_without_a_node_it_says_how_to_name_one(gwctl):
    done = gwctl("vm", "list", address=None)
    assert done.returncode == USAGE
    assert "GODWIT_NODE" in done.stderr


def test_node_comes_from_the_environment(node):
    done = subprocess.run([GWCTL, "vm", "list"], capture_output=True, text=True, timeout=LIMIT_S,
                          check=False, env={**os.environ, "GODWIT_NODE": node.address})
    assert done.returncode == 0
    assert "demo" in done.stdout


def test_node_that_does_not_answer_exits_with_3(gwctl):
    done = gwctl("vm", "list", address="127.0.0.1:1")
    assert done.returncode == UNREACHABLE
    assert "127.0.0.1:1 does not answer" in done.stderr


@pytest.fixture
def other_node():
    """A second node, of another vendor, with less."""
    other = Node()
    other.cpu.update(vendor="AuthenticAMD", phys_bits=40, shareable=["SSE3", "AES"],
                     levels=[{"name": "x86-64-v1", "missing": []},
                             {"name": "x86-64-v2", "missing": ["POPCNT (leaf 0x1, ECX bit 23)"]}])
    yield other
    other.close()


def test_cluster_baseline_is_what_all_nodes_share(gwctl, node, other_node):
    words = ["cluster", "baseline", node.address, other_node.address]
    answer = json.loads(gwctl("--json", *words, address=None).stdout)
    assert answer["cpu"] == {"features": ["SSE3"], "phys_bits": 40}
    assert answer["levels"] == ["x86-64-v1"]
    assert answer["not_shared"] == {"AVX2": [node.address], "AES": [other_node.address]}
    assert answer["tsc"][node.address] == {"khz": 50000, "scaling": False}
    done = gwctl(*words, address=None)
    assert done.returncode == 0
    assert f"AVX2             only on {node.address}" in done.stdout
    assert "TSC 50.000 MHz, scaled by exits" in done.stdout
    assert '"cpu": {"features": ["SSE3"], "phys_bits": 40}' in done.stdout


def test_cluster_baseline_needs_every_node(gwctl, node):
    done = gwctl("cluster", "baseline", node.address, "127.0.0.1:1", address=None)
    assert done.returncode == UNREACHABLE
    assert "127.0.0.1:1 does not answer" in done.stderr
    assert gwctl("cluster", "baseline", address=None).returncode == USAGE


def test_refusal_is_the_nodes_sentence_and_harmless_to_a_terminal(gwctl, node):
    node.refuse["POST", "/v1/vms/demo/start"] = (409, "VM demo is \x1b[31mRUNNING")
    done = gwctl("vm", "start", "demo")
    assert done.returncode == REFUSED
    assert "gwctl: VM demo is ?[31mRUNNING" in done.stderr


def test_names_are_encoded_in_paths(gwctl, node):
    assert gwctl("vm", "show", "a/../b?c").returncode == REFUSED
    assert node.requests[-1][1] == "/v1/vms/a%2F..%2Fb%3Fc"


JSON_COMMANDS = [
    ["node", "show"], ["node", "cpu"], ["node", "log"], ["node", "reboot"], ["node", "poweroff"],
    ["vm", "list"], ["vm", "show", "demo"],
    ["vm", "start", "demo"], ["vm", "pause", "demo"], ["vm", "resume", "demo"],
    ["vm", "stop", "demo"], ["vm", "console", "demo"], ["vm", "delete", "demo"],
    ["migrate", "demo", "10.77.0.12"], ["migration", "list"], ["image", "list"], ["trace", "demo"],
]


@pytest.mark.parametrize("words", JSON_COMMANDS, ids="-".join)
def test_every_command_speaks_json_and_for_people(gwctl, words):
    plain, with_json = gwctl(*words), gwctl("--json", *words)
    assert plain.returncode == 0, plain.stderr
    if words[1] != "delete":            # it is gone already
        assert with_json.returncode == 0, with_json.stderr
        json.loads(with_json.stdout)
        assert words in (["migration", "list"], ["image", "list"]) or plain.stdout
        assert plain.stdout != with_json.stdout or words == ["image", "list"]


# --- vm create ----------------------------------------------------------------------------------

@pytest.mark.parametrize("words,forced", [(["node", "reboot"], False),
                                          (["node", "poweroff", "--force"], True)])
def test_a_host_goes_down_with_its_guests_only_by_force(gwctl, node, words, forced):
    assert gwctl(*words).returncode == 0
    assert node.forced is forced


def test_create_uploads_by_content_and_puts_the_names_into_the_definition(gwctl, node, tmp_path):
    kernel = payload(tmp_path, "vmlinuz", b"kernel" * 1000)
    initrd = payload(tmp_path, "init rd", b"")
    path = definition(tmp_path, kernel="vmlinuz", initrd=str(tmp_path / "init rd"), cmdline="quiet")
    done = gwctl("vm", "create", path)
    assert done.returncode == 0, done.stderr
    assert node.images == {kernel: b"kernel" * 1000, initrd.replace(" ", "_"): b""}
    sent = json.loads(node.sent("POST", "/v1/vms")[0])
    assert sent["boot"] == {"kernel": kernel, "initrd": initrd.replace(" ", "_"),
                            "cmdline": "quiet"}
    assert "vm start new" in done.stdout


def test_create_sends_no_payload_that_is_there_already(gwctl, node, tmp_path):
    name = payload(tmp_path, "g.elf", b"elf")
    node.images[name] = b"elf"
    done = gwctl("vm", "create", "--json", definition(tmp_path, multiboot="g.elf"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "STOPPED"
    assert not [r for r in node.requests if r[0] == "PUT"]


def test_create_that_is_refused_takes_back_what_it_uploaded_and_no_more(gwctl, node, tmp_path):
    old = payload(tmp_path, "old", b"old")
    node.images[old] = b"old"
    payload(tmp_path, "new", b"new")
    node.refuse["POST", "/v1/vms"] = (409, "there is already a VM \"new\"")
    done = gwctl("vm", "create", definition(tmp_path, multiboot="new", modules=["old"]))
    assert done.returncode == REFUSED
    assert "already a VM" in done.stderr
    assert list(node.images) == [old]


def test_create_with_a_payload_that_is_missing_leaves_nothing(gwctl, node, tmp_path):
    payload(tmp_path, "vmlinuz", b"k")
    done = gwctl("vm", "create", definition(tmp_path, kernel="vmlinuz", initrd="nowhere"))
    assert done.returncode == REFUSED
    assert "nowhere: No such file" in done.stderr
    assert node.images == {}
    assert not node.sent("POST", "/v1/vms")


def test_create_whose_upload_is_refused_says_why(gwctl, node, tmp_path):
    name = payload(tmp_path, "big", b"x" * 100)
    node.refuse["PUT", "/v1/images/" + name] = (507, "no memory for 100 bytes")
    done = gwctl("vm", "create", definition(tmp_path, multiboot="big"))
    assert done.returncode == REFUSED
    assert "no memory for 100 bytes" in done.stderr


@pytest.mark.parametrize("text, says", [
    ("{\n \"name\": \"x\",\n oops}", "line 3"),
    ("[]", "a definition is a JSON object"),
    ("{\"name\": \"x\"}", "no object \"boot\""),
    ("{\"name\": \"x\", \"name\": \"y\", \"boot\": {}}", "line 1"),
    ("{\"name\": \"x\", \"boot\": {\"multiboot\": 3}}", "boot.multiboot must be a path"),
    ("{\"name\": \"x\", \"boot\": {\"modules\": \"m\"}}", "boot.modules must be a list"),
])
def test_create_names_what_is_wrong_in_the_file(gwctl, node, tmp_path, text, says):
    path = tmp_path / "guest.json"
    path.write_text(text)
    done = gwctl("vm", "create", str(path))
    assert done.returncode == REFUSED
    assert says in done.stderr
    assert not node.sent("POST", "/v1/vms")


def test_create_of_a_file_that_is_not_there(gwctl):
    done = gwctl("vm", "create", "/nowhere/guest.json")
    assert done.returncode == REFUSED
    assert "/nowhere/guest.json" in done.stderr


def test_create_can_start_it_too(gwctl, node, tmp_path):
    payload(tmp_path, "g.elf", b"elf")
    done = gwctl("vm", "create", "--start", "--json", definition(tmp_path, multiboot="g.elf"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "RUNNING"
    assert node.sent("POST", "/v1/vms/new/start")


# --- vm console ---------------------------------------------------------------------------------

def test_console_of_a_script_types_and_prints_until_it_is_quiet(gwctl, node):
    done = gwctl("vm", "console", "demo", "--wait-ms", "300", stdin="ls\n")
    assert done.returncode == 0, done.stderr
    assert node.typed == b"ls\n"
    assert done.stdout == "hello\nLS\n"          # read as text: CR LF is one newline


@pytest.mark.parametrize("accepted", [-1, 4, 1 << 40])
def test_console_does_not_believe_a_node_that_took_more_than_was_typed(gwctl, node, accepted):
    node.accepted = accepted
    done = gwctl("vm", "console", "demo", stdin="ls\n")
    assert done.returncode == REFUSED
    assert f"took {accepted} of 3 bytes" in done.stderr
    assert len(node.sent("POST", "/v1/vms/demo/console")) == 1


def test_console_in_json_says_where_to_go_on(gwctl, node):
    node.console = b"caf\xc3\xa9 \xff\n"
    first = json.loads(gwctl("--json", "vm", "console", "demo").stdout)
    assert first == {"text": "caf?? ?\n", "next": len(node.console)}
    node.console = "café".encode()
    assert json.loads(gwctl("--json", "vm", "console", "demo").stdout)["text"] == "café"
    assert json.loads(gwctl("--json", "vm", "console", "demo", "--from", "3").stdout)["text"] == "é"


class Terminal:
    """gwctl with a terminal of its own."""
    def __init__(self, node, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(GWCTL, [GWCTL, "-n", node.address, *words])
        self.seen = b""

    def expect(self, what):
        until = time.monotonic() + LIMIT_S
        while what not in self.seen:
            assert time.monotonic() < until, f"no {what!r} in {self.seen!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 4096)
                except OSError:                 # it has ended
                    assert what in self.seen, f"it ended: {self.seen!r}"

    def type(self, keys):
        os.write(self.fd, keys)

    def wait(self):
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.fd, 4096)
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"it does not end: {self.seen!r}")


@pytest.mark.parametrize("leave", [b"\x1d", b"\r~."], ids=["ctrl-bracket", "tilde-dot"])
def test_console_on_a_terminal_passes_keys_until_one_leaves(node, leave):
    t = Terminal(node, "vm", "console", "demo")
    t.expect(b"hello")
    t.type(b"\x03x")                    # Ctrl-C is for the guest
    t.expect(b"X")
    t.type(leave)
    assert t.wait() == 0
    assert node.typed == b"\x03x" + leave.rstrip(b"\x1d").replace(b"~.", b"")


def test_console_passes_a_tilde_that_does_not_leave(node):
    t = Terminal(node, "vm", "console", "demo")
    t.expect(b"hello")
    t.type(b"~")
    time.sleep(0.5)
    assert node.typed == b""
    t.type(b"a")
    t.expect(b"~A")
    t.type(b"b~c\x1d")
    assert t.wait() == 0
    assert node.typed == b"~ab~c"


# --- migrate ------------------------------------------------------------------------------------

def await_sent(node, method, path):
    """Until a request of this kind has come."""
    until = time.monotonic() + LIMIT_S
    while not node.sent(method, path):
        assert time.monotonic() < until, f"no {method} {path}"
        time.sleep(0.05)


def test_migrate_sums_up_and_passes_its_options(gwctl, node):
    done = gwctl("migrate", "demo", "10.77.0.12", "--downtime-ms", "100", "--timeout-s", "60",
                 "--verify", "--no-throttle")
    assert done.returncode == 0, done.stderr
    body = json.loads(node.sent("POST", "/v1/vms/demo/migrate")[0])
    assert body == {"to": "10.77.0.12", "downtime_ms": 100, "timeout_s": 60, "verify": True,
                    "throttle": False}
    assert "demo runs at 10.77.0.12 now" in done.stdout
    assert re.search(r"stood still +54\.1 ms:.*grant 44\.6", done.stdout)
    assert "round 0" in done.stdout
    assert "would stop for 812 ms" in done.stderr


def test_migrate_without_options_leaves_the_choice_to_the_node(gwctl, node):
    gwctl("migrate", "demo", "10.77.0.12")
    assert json.loads(node.sent("POST", "/v1/vms/demo/migrate")[0]) == {"to": "10.77.0.12"}


def test_migration_that_fails_exits_with_4_and_the_reason(gwctl, node):
    node.end = {"state": "ABORTED", "ok": False, "result": "b refused: the CPU here lacks AVX2"}
    done = gwctl("--json", "migrate", "demo", "b")
    assert done.returncode == NOT_MOVED
    assert "stays where it was: b refused: the CPU here lacks AVX2" in done.stderr
    assert json.loads(done.stdout)["state"] == "ABORTED"


def test_migrate_that_is_refused_at_once(gwctl, node):
    node.refuse["POST", "/v1/vms/demo/migrate"] = (409, "VM demo is in a migration already")
    done = gwctl("migrate", "demo", "b")
    assert done.returncode == REFUSED
    assert "already" in done.stderr


def test_migrate_can_be_left_alone(gwctl, node):
    done = gwctl("--json", "migrate", "demo", "b", "--detach")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"id": 1}
    assert not node.sent("GET", "/v1/migrations/1")


def test_interrupt_asks_for_a_cancel_and_waits_for_the_end(node):
    node.polls_to_end = 10 ** 6
    p = subprocess.Popen([GWCTL, "-n", node.address, "migrate", "demo", "b"], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    await_sent(node, "GET", "/v1/migrations/1")
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=LIMIT_S)
    assert node.sent("POST", "/v1/migrations/1/cancel")
    assert p.returncode == NOT_MOVED
    assert "stays where it was: cancelled" in err
    assert "ABORTED" in out


def test_second_interrupt_leaves_the_migration_alone(node):
    node.polls_to_end = 10 ** 6
    node.refuse["POST", "/v1/migrations/1/cancel"] = (409, "it is too late to cancel")
    p = subprocess.Popen([GWCTL, "-n", node.address, "migrate", "demo", "b"], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    await_sent(node, "GET", "/v1/migrations/1")
    p.send_signal(signal.SIGINT)
    await_sent(node, "POST", "/v1/migrations/1/cancel")
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=LIMIT_S)
    assert p.returncode == INTERRUPTED
    assert "too late to cancel" in err and "goes on without us" in err


def test_doubt_tells_the_operator_what_to_do(gwctl, node):
    first = {"state": "DOUBT", "result": "in doubt: the peer may run the guest"}
    node.polls_to_end = 4
    make = node.on_vm

    def on_vm(method, vm, what, query, body):
        found = make(method, vm, what, query, body)
        if what == "migrate":
            node.migrations["1"].update(first)
        return found
    node.on_vm = on_vm
    done = gwctl("migrate", "demo", "b")
    assert done.returncode == 0
    assert "in doubt: the peer may run the guest; " in done.stderr
    assert "\"gwctl migration resolve 1 ours|theirs\"" in done.stderr


def test_bar_on_a_terminal_shows_the_share_that_is_the_same(node):
    node.polls_to_end = 6
    t = Terminal(node, "migrate", "demo", "b")
    t.expect(b"50%  round 1, 2048 pages left, 1.43 MiB/s, would stop for 812 ms")
    t.expect(b"demo runs at b now")
    assert t.wait() == 0


def test_resolve_says_whose_the_guest_is(gwctl, node):
    gwctl("migrate", "demo", "b")
    node.on_migrations = lambda *a: (200, node.migrations["1"])
    assert gwctl("migration", "resolve", "1", "ours").returncode == 0
    assert gwctl("migration", "resolve", "1", "theirs").returncode == 0
    assert [json.loads(b) for b in node.sent("POST", "/v1/migrations/1/resolve")] \
        == [{"ours": True}, {"ours": False}]


# --- trace --------------------------------------------------------------------------------------

def test_trace_reads_to_the_end_and_can_go_on_from_there(gwctl):
    done = json.loads(gwctl("--json", "trace", "demo").stdout)
    assert [r["us"] for r in done["records"]] == [0, 10, 20, 30, 40]
    assert done["next"] == 5
    assert len(gwctl("trace", "demo", "--from", "3").stdout.splitlines()) == 2
