# SPDX-License-Identifier: MIT
"""What the demo writes: names that scripts rely on, and what it calls a failure.  No emulator."""

import importlib.machinery
import importlib.util
import json
import os

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEYS = {"backend", "guest_kernel", "rounds", "bytes_sent", "downtime_ms", "downtime_parts_ms",
        "total_ms", "client_silence_ms", "packets_sent", "packets_lost", "tcp_bytes",
        "tcp_checksum_ok", "rarp_seen", "fdb_before", "fdb_after", "ram_hash_source",
        "ram_hash_destination", "result"}
MOVED = {"ok": True, "result": "ok", "rounds": [{"pages": 5, "zero_pages": 1, "bytes": 9, "ms": 2}],
         "bytes_sent": 9, "downtime_ms": 3.5, "downtime_parts_ms": {"stun": 1.0}, "total_ms": 8,
         "ram_hash": "ab"}
SEEN = {"result": "ok", "client_silence_ms": 4, "packets_sent": 7, "packets_lost": 0,
        "tcp_bytes": 6, "tcp_checksum_ok": True}


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """The demo, in hosts that do what they are told."""
    loader = importlib.machinery.SourceFileLoader("demo", os.path.join(TOP, "tools/demo"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("demo", loader))
    loader.exec_module(module)
    vm = tmp_path / "vm.json"
    vm.write_text(json.dumps({"name": "demo", "nics": [{"mac": "52:54:00:77:01:01"}]}))
    monkeypatch.setattr("sys.argv", ["demo", "--build", str(tmp_path), "--vm", str(vm)])
    one = module.Demo(module.arguments(), None)
    one.backend = "qemu"
    for name, does in {
            "up": lambda vms: None, "start_with_shared_cpu": lambda: None,
            "await_guest": lambda: "6.1",
            "watched_move": lambda source, to: {"to": to, "moved": dict(MOVED), "seen": dict(SEEN),
                                                "before": f"m port p (node {source})",
                                                "after": f"m port q (node {to})", "rarps": 3},
            "verified_move": lambda source, to: {"verified": dict(MOVED),
                                                 "arrived": {"ram_hash": "ab"}}}.items():
        setattr(one, name, does)
    return one


def test_the_report_has_the_names_that_scripts_rely_on(demo):
    report = demo.run()
    assert KEYS <= set(report)
    assert report["backend"] == "qemu" and report["result"] == "ok"
    assert report["rounds"] == [{"pages": 5, "bytes": 9, "ms": 2}]


def test_there_and_back_has_the_same_names_for_each_move(demo):
    report = demo.run_cross()
    assert [(m["from"], m["to"]) for m in report["moves"]] == [("a", "b"), ("b", "a")]
    assert all(KEYS <= set(m) and m["result"] == "ok" for m in report["moves"])
    assert report["result"] == "ok"


@pytest.mark.parametrize("part, changed, says", [
    ("moved", {"ok": False, "result": "refused"}, "the move failed: refused"),
    ("verified", {"ok": False, "result": "cut"}, "the verified move failed: cut"),
    ("verified", {"ram_hash": "cd"}, "hashes of the guest's RAM differ"),
    ("seen", {"result": "one byte lost"}, "the client: one byte lost"),
    ("rarps", 0, "no RARP"),
    ("after", "m port p (node a)", "still sends to the old host"),
])
def test_what_went_wrong_is_the_result(demo, part, changed, says):
    seen, hashed = demo.watched_move("a", "b"), demo.verified_move("b", "a")
    where = seen if part in seen else hashed
    where[part] = {**where[part], **changed} if isinstance(changed, dict) else changed
    assert says in demo.report("6.1", **seen, **hashed)["result"]
