# SPDX-License-Identifier: MIT
"""Migrations between two hosts with a network of their own: what works, what is refused,
and what happens when the cable is cut at each stage.  docs/migration.md has the table of those.

The guest, migrate-pattern, writes a pattern and checks each page before it writes it again, its
registers, its clocks and its devices; what a move damages shows on its console as FAIL.
"""

import itertools
import re

import pytest

from cable import Cable
from lablib.api import ApiError
from lablib.boot import complete
from moving import MOVE_S, WAIT_S, hosts_up

MIG_NIC = 1
SMALL = "pages=256 rate=100"            # a megabyte to move: these tests are about other things
NUMBERS = itertools.count(1)            # each test has guests of its own
SECOND_CPU = re.compile(r"CPU 1: (\d+) pages, (\d+) ticks, (\d+) calls")
SPEED_MIN = 0.7                         # in Bochs, by instructions; the throttle begins with a half
TIGHT_MS = 300                          # for a guest that must be throttled first
BYTES_MAX = 1.05                        # bytes sent for a byte that had to be sent


@pytest.fixture(scope="module")
def hosts(backend):
    with hosts_up(f"test_migration.{backend}", backend=backend, memory=128, nics=2,
                  ips=20_000_000) as h:
        yield h


@pytest.fixture
def guest(hosts):
    """guest(cmdline, node="a", ...): the name of a micro-guest of this test's own."""
    with hosts.guests() as start:
        yield lambda cmdline=SMALL, node="a", **options: start(
            node, f"guest{next(NUMBERS)}", cmdline, **options)


@pytest.fixture
def cable(hosts):
    one = Cable(hosts.lab, "b", MIG_NIC)
    yield one
    one.close()


# --- moves that work -------------------------------------------------------------------------

def test_there_and_back_with_equal_hashes(hosts, guest):
    name = guest("rate=200")            # half of its memory
    for source, to in ("ab", "ba"):
        status = hosts.move(source, name, to, verify=True)
        arrived = hosts.incoming(to)
        assert status["ram_hash"] == arrived["ram_hash"]
        assert hosts.where(name) == [to]
        hosts.nothing_left(source, name)
        hosts.await_beats(to, name, 3)
        assert status["bytes_sent"] <= BYTES_MAX * status["payload_bytes"]
        assert status["payload_bytes"] == 4096 * status["pages_sent"]
        assert status["pages_sent"] == sum(r["pages"] for r in status["rounds"])


def second_cpu(hosts, node, name):
    """What migrate-pair last said of CPU 1: pages written, ticks of its timer, calls answered."""
    hosts.beat(node, name)              # nothing is wrong
    text = complete(hosts.api.console(node, name)[0])
    return [int(n) for n in SECOND_CPU.findall(text)[-1]]


def test_two_cpus_move_there_and_back_while_both_run_and_call_each_other(hosts, guest):
    name = guest("rate=100 endless", cpus=2, elf="migrate-pair.elf")
    assert len(hosts.api.get("a", f"/v1/vms/{name}")["vcpus"]) == 2
    hosts.until(lambda: all(second_cpu(hosts, "a", name)), WAIT_S, "CPU 1 does not run")
    for source, to in ("ab", "ba"):
        status = hosts.move(source, name, to, verify=True)
        assert status["ram_hash"] == hosts.incoming(to)["ram_hash"]
        assert hosts.where(name) == [to]
        hosts.nothing_left(source, name)
        arrived = second_cpu(hosts, to, name)
        hosts.await_beats(to, name, 3)
        assert all(now > then for now, then in zip(second_cpu(hosts, to, name), arrived))


def test_cpu_that_waits_for_its_start_is_started_where_the_guest_has_moved_to(hosts, guest):
    name = guest("rate=100 parked", cpus=2, elf="migrate-pair.elf")
    hosts.move("a", name, "b", verify=True)
    hosts.await_beats("b", name, 1)
    assert second_cpu(hosts, "b", name) == [0, 0, 0]
    hosts.api.raw("b", "POST", f"/v1/vms/{name}/console", b"!")
    hosts.until(lambda: all(second_cpu(hosts, "b", name)), WAIT_S, "CPU 1 does not start")
    hosts.move("b", name, "a", verify=True)
    arrived = second_cpu(hosts, "a", name)
    hosts.await_beats("a", name, 3)
    assert all(now > then for now, then in zip(second_cpu(hosts, "a", name), arrived))


def test_downtime_is_what_its_parts_say_and_was_predicted_below_the_target(hosts, guest):
    """How near the prediction comes is a matter of time: tests/host/test_mig.c has time that a
    busy machine does not change."""
    status = hosts.move("a", guest("rate=200"), "b", downtime_ms=400)
    assert status["downtime_ms"] == pytest.approx(sum(status["downtime_parts_ms"].values()), abs=1)
    assert 0 < status["predicted_downtime_ms"] <= 400


def test_migration_takes_its_own_network(hosts, guest):
    def frames(node):
        return [n["rx_frames"] for n in hosts.node(node)["nics"]]
    name = guest()
    before = frames("b")
    status = hosts.move("a", name, "b")
    main, own = (now - then for now, then in zip(frames("b"), before))
    assert main < status["bytes_sent"] / 1460 <= own    # on the main one are our own questions


# --- moves that do not happen ----------------------------------------------------------------

def refused(hosts, name, *words):
    status = hosts.watch("a", hosts.begin("a", name, "b"))
    assert not status["ok"]
    for word in words:
        assert word in status["result"], status["result"]
    assert status["pages_sent"] == 0
    assert status["downtime_ms"] == 0
    assert hosts.state("a", name) == "RUNNING"
    hosts.await_beats("a", name, 2)


def test_too_little_memory_is_refused_before_the_first_page(hosts, guest):
    name = guest(memory=80)             # a host has 128 MiB; b gives 48 away first
    guest(node="b", memory=48)
    refused(hosts, name, "the guest needs", "MiB")
    assert hosts.state("b", name) is None


def test_name_that_exists_is_refused_before_the_first_page(hosts, guest):
    name = guest()
    hosts.start("b", name, SMALL)       # another guest of that name
    refused(hosts, name, f"another VM here is called {name}")
    assert hosts.state("b", name) == "RUNNING"


def test_nobody_at_the_address(hosts, guest):
    name = guest()
    number = hosts.api.post("a", f"/v1/vms/{name}/migrate", {"to": "10.78.0.99"})["id"]
    status = hosts.watch("a", number)
    assert not status["ok"] and "10.78.0.99" in status["result"]
    hosts.await_beats("a", name, 2)


@pytest.mark.parametrize("body, word", [
    ({}, "to"), ({"to": 7}, "to"), ({"to": "10.78.0.12", "verify": 1}, "verify"),
    ({"to": "10.78.0.12", "speed": 3}, "speed"), ({"to": "10.78.0.12", "throttle": 3}, "throttle")])
def test_wrong_request_is_a_400_with_a_sentence(hosts, guest, body, word):
    name = guest()
    with pytest.raises(ApiError) as e:
        hosts.api.post("a", f"/v1/vms/{name}/migrate", body)
    assert e.value.status == 400 and f'"{word}"' in e.value.sentence


def test_cancel_in_precopy_goes_on_as_if_nothing_had_happened(hosts, guest, cable):
    def code_splits():                  # frames of code by small leaves, where the CPU needs it
        return hosts.api.get("a", f"/v1/vms/{name}")["code_splits"]
    name = guest("rate=200")
    splits = code_splits()
    cable.block_at("ROUND", 2)          # so it is in precopy, however quick the hosts are
    number = hosts.begin("a", name, "b", downtime_ms=1)
    cable.await_block(MOVE_S)
    assert hosts.api.get("a", f"/v1/vms/{name}")["tracking"]
    hosts.api.post("a", f"/v1/migrations/{number}/cancel")
    status = hosts.watch("a", number)
    assert not status["ok"] and "cancelled" in status["result"]
    assert status["bytes_sent"] > 1 << 20
    cable.heal()
    assert hosts.where(name) == ["a"]
    assert not hosts.api.get("a", f"/v1/vms/{name}")["tracking"]
    hosts.await_beats("a", name, 2)
    assert code_splits() > splits or splits == 0        # joined, and split again by the next fetch
    hosts.nothing_left("b", name)
    hosts.move("a", name, "b", verify=True)             # the next one loses nothing
    hosts.await_beats("b", name, 2)


# --- a guest that writes faster than the link carries ------------------------------------------

# As fast as it can; and more than the wire carries in the time that a guest may stand still.  What
# 63 rounds carry is more than any of these tests waits for.
BUSY = {"bochs": {"cmdline": "rate=0 pages=256"}, "qemu": {"cmdline": "rate=0", "memory": 48}}


def busy(guest, backend):
    return guest(**BUSY.get(backend, BUSY["qemu"]))


def throttle(hosts, node, name):
    """The guest's throttle, and how often it has made a vCPU wait."""
    vm = hosts.api.get(node, f"/v1/vms/{name}")
    return vm["throttle"], sum(vcpu["holds"] for vcpu in vm["vcpus"])


def runs_unthrottled(hosts, node, name):
    """No throttle is set, and for a few seconds of the guest's time nothing makes it wait."""
    before = throttle(hosts, node, name)
    assert before[0] == 0
    hosts.await_beats(node, name, 3)
    assert throttle(hosts, node, name) == before


def test_busy_guest_is_throttled_until_it_converges(hosts, guest, backend):
    name = busy(guest, backend)
    exact = backend == "bochs"          # elsewhere a guest's speed is what the machine has left
    full, seen = hosts.speed("a", name) if exact else 0, []
    assert throttle(hosts, "a", name) == (0, 0)
    number = hosts.begin("a", name, "b", downtime_ms=1)         # never short enough
    hosts.watch("a", number, lambda s: s["throttle"] > 0)
    hosts.until(lambda: throttle(hosts, "a", name)[1] > 0, WAIT_S, "no vCPU was made to wait")
    hosts.api.post("a", f"/v1/migrations/{number}/cancel")
    hosts.watch("a", number)
    runs_unthrottled(hosts, "a", name)
    assert not exact or hosts.speed("a", name) > SPEED_MIN * full

    def look(status):
        if not status["ended"]:
            seen.append(status["throttle"])
        return status["ended"]
    status = hosts.watch("a", hosts.begin("a", name, "b", downtime_ms=TIGHT_MS), look)
    assert status["ok"], status["result"]
    assert seen == sorted(seen)
    assert status["throttle_max"] > 0
    runs_unthrottled(hosts, "b", name)
    assert not exact or hosts.speed("b", name) > SPEED_MIN * full


def test_busy_guest_without_throttle_stays_where_it_is(hosts, guest, backend):
    name = busy(guest, backend)
    status = hosts.watch("a", hosts.begin("a", name, "b", throttle=False, timeout_s=5,
                                           downtime_ms=1))
    assert not status["ok"] and "5 s" in status["result"], status["result"]
    assert status["throttle"] == 0
    assert hosts.where(name) == ["a"]
    hosts.await_beats("a", name, 2)
    hosts.nothing_left("b", name)


# --- the cable ---------------------------------------------------------------------------------

@pytest.mark.parametrize("record", ["ROUND", "END", "READY"])
def test_cut_before_grant_keeps_the_guest_here(hosts, guest, cable, record):
    name = guest()
    cable.cut_at(record)
    number = hosts.begin("a", name, "b")
    cable.await_cut(MOVE_S)
    status = hosts.watch("a", number)
    assert not status["ok"]
    assert status["state"] == "ABORTED"
    assert hosts.where(name) == ["a"]
    hosts.await_beats("a", name, 2)
    cable.heal()
    hosts.nothing_left("b", name)       # the ghost is gone
    hosts.move("a", name, "b", verify=True)
    hosts.await_beats("b", name, 2)


@pytest.mark.parametrize("record", ["GRANT", "RUNNING"])
def test_cut_after_grant_is_doubt_until_the_peer_answers(hosts, guest, cable, record):
    name = guest()
    cable.cut_at(record)
    number = hosts.begin("a", name, "b")
    cable.await_cut(MOVE_S)
    status = hosts.watch("a", number, lambda s: s["state"] == "DOUBT")
    assert "doubt" in status["result"] or not status["result"]
    assert hosts.where(name) == (["b"] if record == "RUNNING" else [])
    with pytest.raises(ApiError) as e:
        hosts.api.post("a", f"/v1/migrations/{number}/cancel")
    assert e.value.status == 409
    cable.heal()
    status = hosts.watch("a", number)
    home = "b" if status["ok"] else "a"
    assert record == "GRANT" or home == "b"
    assert hosts.where(name) == [home]
    hosts.await_beats(home, name, 2)
    hosts.nothing_left("a" if home == "b" else "b", name)
