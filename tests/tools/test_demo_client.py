# SPDX-License-Identifier: MIT
"""tools/demo-client and guests/linux/agent against each other, with a bad wire between them.

The agent listens on fixed ports, so all of it runs in a network namespace of its own: this file
runs itself there (the last lines) with the name of a case, and gets the client's report as JSON.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AGENT_SOURCES = os.path.join(TOP, "guests/linux/agent")
STREAM, RELAY, DIRTY, TIME = 7000, 7100, 7002, 7003
HEADER_BYTES = 32
LENGTH = 1024
SECONDS = 2
DAMAGE_AT = 20000                               # byte of the guest's stream
LIMIT_S = 120


# --- inside the namespace ------------------------------------------------------------------

def relay(change):
    """A TCP relay from RELAY to the agent; change(data, total) alters what the guest sends."""
    listener = socket.create_server(("127.0.0.1", RELAY))

    def pump(source, to, alter):
        total = 0
        while data := source.recv(4096):
            total += len(data)
            to.sendall(alter(data, total) if alter else data)
        to.shutdown(socket.SHUT_WR)

    def serve():
        client, _ = listener.accept()
        guest = connect(STREAM)
        threading.Thread(target=pump, args=(client, guest, None), daemon=True).start()
        pump(guest, client, change)
    threading.Thread(target=serve, daemon=True).start()


def flip_one_bit(data, total):
    if total - len(data) <= DAMAGE_AT < total:
        position = DAMAGE_AT - (total - len(data))
        return data[:position] + bytes([data[position] ^ 4]) + data[position + 1:]
    return data


def lose_one_byte(data, total):
    return data[1:] if total - len(data) <= DAMAGE_AT < total else data


class Pause:
    """Holds the stream back once, as a stopped guest would."""
    seconds = 1.5

    def __init__(self):
        self.over = threading.Event()

    def __call__(self, data, total):
        if not self.over.is_set() and total > DAMAGE_AT:
            time.sleep(self.seconds)
            self.over.set()
        return data


CASES = {"clean": None, "flip": flip_one_bit, "lose": lose_one_byte, "pause": Pause()}


def run_client(case):
    """A client finds damage, and ends, when it comes; the others are told when it is time."""
    with subprocess.Popen(
            [os.path.join(TOP, "tools/demo-client"), "127.0.0.1", "--stream-port", str(RELAY),
             "--seconds", str(SECONDS if case == "clean" else LIMIT_S), "--length", str(LENGTH),
             "--pace-ms", "10"], stdout=subprocess.PIPE) as client:
        if case == "pause":
            assert CASES[case].over.wait(LIMIT_S)
            client.terminate()
        report = json.loads(client.communicate(timeout=LIMIT_S)[0])
    return {**report, "status": client.returncode}


def connect(port):
    """To the agent, which may still be starting."""
    end = time.monotonic() + LIMIT_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), LIMIT_S)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def ask(port, *lines):
    """The agent's answers to lines on one of its text ports."""
    with connect(port) as connection:
        file = connection.makefile("rw")
        answers = []
        for line in lines:
            file.write(line + "\n")
            file.flush()
            answers.append(file.readline().strip())
        return answers


def inside(case, agent):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with subprocess.Popen([agent, "serve"]) as serve, \
         subprocess.Popen([agent, "dirty", "2", "2000", "0"]) as dirty:
        try:
            connect(TIME).close()       # the datagrams' port is open too, then
            if case == "services":
                report = {"dirty": ask(DIRTY, "status", "rate 0", "size 1", "jump"),
                          "time": ask(TIME, "?", "?")}
            else:
                relay(CASES[case])
                report = run_client(case)
        finally:
            serve.kill()
            dirty.kill()
    print(json.dumps(report))


# --- the tests -----------------------------------------------------------------------------

@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    path = tmp_path_factory.mktemp("agent") / "agent"
    sources = [os.path.join(AGENT_SOURCES, name) for name in sorted(os.listdir(AGENT_SOURCES))
               if name.endswith(".c")]
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra",
                    "-Werror", "-fsanitize=address,undefined", "-o", path, *sources], check=True)
    return path


@pytest.fixture
def run(agent):
    if not shutil.which("unshare") or subprocess.call(["unshare", "-rn", "true"]):
        pytest.skip("no network namespace without root here")

    def run_case(case):
        command = ["unshare", "-rn", sys.executable, os.path.abspath(__file__), case, agent]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=2 * LIMIT_S, check=True)
        return json.loads(done.stdout.splitlines()[-1])
    return run_case


def test_a_clean_wire_is_called_ok(run):
    report = run("clean")
    assert report["result"] == "ok" and report["status"] == 0
    assert report["tcp_checksum_ok"] is True
    assert report["packets_lost"] == 0
    sent, received = report["tcp_records"]
    assert received == sent + 1                  # the guest's last word
    assert report["tcp_bytes"] == (sent + received) * (LENGTH + HEADER_BYTES) + 16
    assert 0 < report["client_silence_ms"] < 1000 * report["seconds"]


def test_one_flipped_bit_is_found(run):
    report = run("flip")
    assert report["status"] == 1 and report["tcp_checksum_ok"] is False
    record = DAMAGE_AT // (LENGTH + HEADER_BYTES)
    assert f"record {record} from the guest has wrong contents" in report["result"]


def test_one_lost_byte_is_found(run):
    report = run("lose")
    assert report["status"] == 1 and report["tcp_checksum_ok"] is False


def test_a_silence_is_measured(run):
    report = run("pause")
    assert report["result"] == "ok"
    assert report["tcp_silence_ms"] > 1000 * Pause.seconds / 2
    assert report["udp_silence_ms"] < report["tcp_silence_ms"]      # not through the relay
    assert report["client_silence_ms"] == report["tcp_silence_ms"]


def test_dirty_and_time_answer(run):
    report = run("services")
    status, rate, size, jump = report["dirty"]
    assert status.startswith("ok pages=512 rate=2000 ") and status.endswith("errors=0")
    assert " rate=0 " in rate
    assert " pages=256 " in size
    assert jump.startswith("unknown command")
    first, second = (int(line.split()[1].removeprefix("monotonic_ns=")) for line in report["time"])
    assert second > first


if __name__ == "__main__":
    inside(*sys.argv[1:])
