# SPDX-License-Identifier: MIT
"""Several hosts on a network: up, status, down.

A lab is a directory (build/lab unless told otherwise): lab.json says what is up, pids/ which
processes run it, NODE/ holds a node's image, configuration and serial log.  Two labs in two
directories do not know of each other.  Also for programs: `with Lab(directory) as lab: ...`
takes the lab down at the end, whatever happened.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import string
import subprocess
import sys
import time
from dataclasses import dataclass, field

from . import backends, net, vmdef
from .boot import complete, read_text
from .iso import build_iso
from .machine import Machine, Nic
from .proc import LabError, Records

READY = "godwit: ready"
STOPPED = "godwit: stopped"             # the boot said why, and halted
NODES_MAX = 16
RELAY_PORT = 7000                       # in the lab's own namespace, so never taken
RELAY_READY_S = 60
POLL_S = 0.1


@dataclass
class Options:
    """What a lab is made of.  The defaults are the demo's."""
    image: str = "build/godwit.elf"
    backend: str = ""                   # "qemu", "bochs@a qemu@b"; "": the best on this machine
    nodes: int = 2
    cpus: int = 1
    memory: int = 512                   # MiB, each node
    nics: int = 1
    nic: str = ""                       # their model: "e1000", or "e1000@a virtio-net@b"
    mtu: int = 1500                     # of the wires; hosts' by cmdline: mtu=nic0,9000
    ips: object = 50_000_000            # N, or "N@a M@b": nodes whose TSCs differ
    sync: str = "slowdown"              # one network, one clock: virtual time follows ours
    cpu_model: str = ""                 # "MODEL", or "MODEL@a MODEL@b"; "": the backend's choice
    bios: str = ""                      # another firmware than the backend's own
    video: str = "text"
    serial: str = "file"                # or "socket": `lab console` can type
    cmdline: str = ""                   # words added to command lines, WORD@NODE to one node's
    vms: list = field(default_factory=list)     # (definition file, node name)
    wait: float = 300.0                 # wall seconds until every node is ready
    keep: bool = False                  # leave a lab up that did not become ready


def node_names(count):
    if not 1 <= count <= NODES_MAX:
        raise LabError(f"a lab has 1 to {NODES_MAX} nodes, not {count}")
    return list(string.ascii_lowercase[:count])


def mac_address(index, nic):
    return f"52:54:00:77:{index + 1:02x}:{nic:02x}"


def instructions(text):
    """A number of --ips."""
    if not text.isdigit() or int(text) == 0:
        raise LabError(f"--ips {text}: not a number of instructions a second")
    return int(text)


def words_for(name, options):
    """Those of --cmdline that are for this node."""
    split = [word.partition("@") for word in options.cmdline.split()]
    for word, _, node in split:
        if node and node not in node_names(options.nodes):
            raise LabError(f"--cmdline {word}@{node}: the lab has no node {node!r}")
    return [word for word, _, node in split if node in ("", name)]


def command_line(name, index, options):
    """What the node is told about itself.  A word given by the user replaces ours."""
    words = {"node": name, "mgmt": f"nic0,{net.node_address(0, index)}/24"}
    if options.nics > 1:                # otherwise one NIC does it all
        words["mig"] = f"nic1,{net.node_address(1, index)}/24"
    extra = words_for(name, options)
    ours = [f"{k}={v}" for k, v in words.items()
            if not any(w.startswith(k + "=") for w in extra)]
    return " ".join(ours + extra)


class Lab:
    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        self.records = Records(self.path("pids"))
        self.ours = False               # we began it, so its end is ours as well

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.ours:
            self.down()

    @contextlib.contextmanager
    def _locked(self):
        """One command at a time changes a lab."""
        os.makedirs(self.directory, exist_ok=True)
        with open(self.path("lock"), "w", encoding="ascii") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LabError(f"another command is changing the lab in {self.directory}") \
                    from None
            yield

    # --- what is there ------------------------------------------------------------------

    def config(self):
        """The running lab's lab.json; an error when there is none."""
        config, holder = self._config(), self.records.read("network")
        if config is None or holder is None or not holder.alive():
            raise LabError(f"no lab is up in {self.directory}")
        return config

    def _config(self):
        try:
            with open(self.path("lab.json"), encoding="utf-8") as f:
                return json.load(f)
        except (OSError, ValueError):
            return None

    def _write_config(self, config):
        with open(self.path("lab.json.new"), "w", encoding="utf-8") as f:
            json.dump(config, f, indent=2)
        os.replace(f.name, self.path("lab.json"))

    def holder_pid(self):
        self.config()
        return self.records.read("network").pid

    def node(self, name):
        for node in self.config()["nodes"]:
            if node["name"] == name:
                return node
        raise LabError(f"the lab has no node {name!r}")

    def status(self):
        """Processes, what they cost so far, and what the bridges have learned."""
        config = self.config()
        process = {p.name: p for p in self.records.all()}
        for node in config["nodes"]:
            p = process.get("node-" + node["name"])
            node["alive"] = p is not None and p.alive()
            node["cpu_seconds"] = p.cpu_seconds() if p else 0.0
            node["resident_mib"] = p.resident_mib() if p else 0
            node["ready"] = READY in complete(read_text(node["serial_log"]))
        config["fdb"] = [dict(entry, wire=wire, node=self._owner(config, entry["port"]))
                         for wire in range(len(config["wires"]))
                         for entry in net.fdb(self.holder_pid(), wire)]
        return config

    @staticmethod
    def _owner(config, port):
        for node in config["nodes"]:
            if any(nic["tap"] == port for nic in node["nics"]):
                return node["name"]
        return "client" if port.startswith("client") else ""

    def fdb(self, mac):
        """Where a bridge would send frames for `mac`: {mac, port, age_s, wire, node} or None."""
        return next((e for e in self.status()["fdb"] if e["mac"] == mac.lower()), None)

    # --- commands in the lab's network --------------------------------------------------

    def command(self, argv):
        """argv, to be run from outside, so that it runs in the lab's network."""
        return [*net.enter_command(self.holder_pid()), *argv]

    def run(self, argv, **kwargs):
        return subprocess.run(self.command(argv), check=False, **kwargs)

    def popen(self, argv, **kwargs):
        return subprocess.Popen(self.command(argv), **kwargs)

    def set_link(self, name, state, nic=0):
        """Pull or plug the cable of a node: state "down" or "up"."""
        net.link(self.holder_pid(), self.node(name)["nics"][nic]["tap"], state)

    # --- what a node says on COM1 -------------------------------------------------------

    def log(self, name):
        """The serial log of a node, complete lines only: the next one may be half written."""
        return complete(read_text(self.node(name)["serial_log"]))

    def await_log(self, name, pattern, seconds):
        """Wait for `pattern` (one line, or parts of several) in a node's log; the match."""
        deadline = time.monotonic() + seconds
        while True:
            alive = self.records.read("node-" + name).alive()   # asked before the log is read
            found = re.search(pattern, self.log(name), re.MULTILINE)
            if found:
                return found
            if not alive:
                raise LabError(self._obituary(name, f"ended before it said {pattern!r}"))
            if time.monotonic() > deadline:
                raise LabError(self._obituary(name, f"did not say {pattern!r} in {seconds} s"))
            time.sleep(POLL_S)

    # --- up -----------------------------------------------------------------------------

    def up(self, options, say=lambda text: None):
        """Start the lab and wait until every node is ready.  Half a lab never stays behind."""
        with self._locked():
            if (self._config() or {}).get("ready") and any(p.alive() for p in self.records.all()):
                raise LabError(f"a lab is up in {self.directory}; end it with `lab down`")
            self.ours = True
            if self._sweep():
                say("swept what an unfinished `up` had left running")
            try:
                config = self._start(options, say)
                self._await_ready(config, options, say)
            except BaseException:
                if not options.keep:
                    self._sweep()
                raise
            config["ready"] = True
            self._write_config(config)
            return config

    def _plan(self, options):
        """The machines to be, by node name, and their modules; checked before any is started."""
        names = node_names(options.nodes)
        backend = backends.for_nodes(options.backend or backends.default(), names, "--backend")
        nic = backends.for_nodes(options.nic, names, "--nic", Nic.model)
        cpu = backends.for_nodes(options.cpu_model, names, "--cpu-model", Machine.cpu_model)
        ips = backends.for_nodes(str(options.ips), names, "--ips")
        definitions = {name: [] for name in names}
        for path, name in options.vms:
            if name not in definitions:
                raise LabError(f"--vm {path}@{name}: the lab has no node {name!r}")
            definitions[name].append(path)
        machines = {}
        for index, name in enumerate(names):
            here = self.path(name)
            machines[name] = Machine(
                backend=backend[name], directory=here, iso=os.path.join(here, "boot.iso"),
                cpus=options.cpus, memory=options.memory, cpu_model=cpu[name],
                ips=instructions(ips[name]), sync=options.sync, bios=options.bios,
                serial="file" if options.serial == "file" else str(RELAY_PORT + index),
                nics=[Nic(mac_address(index, i), f"{name}{i}", nic[name])
                      for i in range(options.nics)])
            backends.get(backend[name]).check(machines[name])
        return machines, {name: vmdef.modules(definitions[name]) for name in names}

    def _start(self, options, say):
        machines, modules = self._plan(options)
        for index, (name, machine) in enumerate(machines.items()):
            shutil.rmtree(machine.directory, ignore_errors=True)
            os.makedirs(machine.directory)
            build_iso(machine.iso, options.image, command_line(name, index, options),
                      modules[name], options.video)
        holder = net.hold(self.records)
        net.build(holder.pid, [[m.nics[i].tap for m in machines.values()]
                               for i in range(options.nics)], options.mtu)
        config = self._describe(options, machines, holder.pid)
        self._write_config(config)
        for name, machine in machines.items():
            self._start_node(name, machine, holder.pid)
            say(f"node {name} ({machine.backend}) starts; its serial log is {machine.serial_log}")
        return config

    def _start_node(self, name, machine, holder_pid):
        argv, env = backends.get(machine.backend).prepare(machine)
        enter = net.enter_command(holder_pid)
        if machine.serial != "file":
            self._start_relay(name, machine, enter)
        with open(machine.path("stdout"), "wb") as out:
            self.records.spawn("node-" + name, [*enter, *argv], cwd=machine.directory, env=env,
                               stdout=out, stderr=out)

    def _start_relay(self, name, machine, enter):
        # A relative path: the address of a unix socket holds 107 bytes only.
        relay = self.records.spawn(
            "relay-" + name, [*enter, sys.executable, os.path.join(os.path.dirname(__file__),
                              "relay.py"), machine.serial, "serial.log", "console"],
            cwd=machine.directory)
        deadline = time.monotonic() + RELAY_READY_S
        while not os.path.exists(machine.path("console")):
            if not relay.alive() or time.monotonic() > deadline:
                raise LabError(f"the console relay of node {name} does not start")
            time.sleep(POLL_S)

    def _describe(self, options, machines, holder_pid):
        nodes = []
        for index, (name, machine) in enumerate(machines.items()):
            nodes.append({
                "name": name, "backend": machine.backend, "address": net.node_address(0, index),
                "serial_log": machine.serial_log, "serial": options.serial,
                "nics": [{"mac": nic.mac, "tap": nic.tap, "model": nic.model}
                         for nic in machine.nics]})
        backend = backends.in_words({name: m.backend for name, m in machines.items()})
        return {"directory": self.directory, "backend": backend, "ready": False,
                "nodes": nodes,
                "client": {"address": net.client_address(0), "interface": net.client_port(0)},
                "wires": [net.bridge(i) for i in range(options.nics)],
                "enter": net.enter_command(holder_pid)}

    def _await_ready(self, config, options, say):
        deadline = time.monotonic() + options.wait
        waiting = {node["name"]: node["serial_log"] for node in config["nodes"]}
        while waiting:
            for name, log in list(waiting.items()):
                alive = self.records.read("node-" + name).alive()   # asked before the log is read
                text = complete(read_text(log))
                if READY in text:
                    say(f"node {name} is ready")
                    del waiting[name]
                elif STOPPED in text:
                    raise LabError(self._obituary(name, "refuses to run here"))
                elif not alive:
                    raise LabError(self._obituary(name, "ended before it was ready"))
                elif time.monotonic() > deadline:
                    raise LabError(self._obituary(
                        name, f"was not ready after {options.wait:.0f} s"))
            time.sleep(POLL_S)

    def _obituary(self, name, what):
        lines = [f"node {name} {what}"]
        for title, file, count in (("serial log", "serial.log", 20), ("emulator", "stdout", 8)):
            text = read_text(self.path(name, file)).rstrip().splitlines()[-count:]
            lines += [f"--- the end of its {title} ({self.path(name, file)}):"] + text
        return "\n".join(lines)

    # --- down ---------------------------------------------------------------------------

    def _sweep(self):
        """End what runs, forget what is recorded; returns the names of what ran."""
        ended = self.records.kill_all()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("lab.json"))
        return ended

    def down(self):
        """End the lab; its logs stay.  Harmless when nothing is up."""
        if not os.path.isdir(self.directory):
            return []
        with self._locked():
            return self._sweep()
