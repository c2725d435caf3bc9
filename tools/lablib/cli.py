# SPDX-License-Identifier: MIT
"""The commands of tools/lab."""

import argparse
import json
import os
import select
import shlex
import signal
import socket
import sys
import termios
import time
import tty

from . import backends, pxe, vmdef
from .boot import VERDICT, boot
from .iso import VIDEO, Module, build_iso
from .lab import Lab, Options, instructions
from .machine import SYNC
from .proc import LabError
from .qemu import NICS

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEAVE = b"\x1d"                         # Ctrl-]


def say(text):
    print(text, file=sys.stderr, flush=True)


def print_json(value):
    json.dump(value, sys.stdout, indent=2)
    print()


# --- up, status, down ------------------------------------------------------------------------

def vm_at(text):
    path, at, node = text.rpartition("@")
    if not at or not path or not node:
        raise argparse.ArgumentTypeError(f"{text!r} is not FILE@NODE")
    return path, node


def add_machine_options(parser, memory, ips, sync):
    parser.add_argument("--image", default=os.path.join(TOP, "build/godwit.elf"),
                        help="the hypervisor (default: build/godwit.elf)")
    parser.add_argument("--cpus", type=int, default=1, help="CPUs of a host (default: 1)")
    parser.add_argument("--memory", type=int, default=memory, metavar="MIB",
                        help="memory of a host (default: %(default)s)")
    parser.add_argument("--ips", default=str(ips), metavar="N",
                        help="instructions a second of virtual time, where they are counted: "
                             "always in bochs, in qemu unless --sync slowdown (default: "
                             "%(default)s); for `up` also \"N@a M@b\": TSCs that differ")
    parser.add_argument("--sync", choices=SYNC, default=sync,
                        help="how virtual time follows ours (default: %(default)s)")
    parser.add_argument("--cpu-model", default="", metavar="MODEL",
                        help="as the backend calls it (default: one with all that we use); "
                             "\"MODEL@a MODEL@b\" for nodes that differ")
    parser.add_argument("--bios", default="", metavar="FILE",
                        help="another firmware than the backend's own")
    parser.add_argument("--video", choices=sorted(VIDEO), default="text",
                        help="text mode, or a linear framebuffer (default: text)")
    parser.add_argument("--cmdline", default="", metavar="WORDS",
                        help="added to the hypervisor's command line; a word replaces ours of "
                             "the same key; WORD@NODE for one node")


def add_image_options(parser):
    parser.add_argument("--image", default=os.path.join(TOP, "build/godwit.elf"),
                        help="the hypervisor (default: build/godwit.elf)")
    parser.add_argument("--cmdline", default="", metavar="WORDS", help="its command line")


def cmd_up(lab, args):
    fields = {name: getattr(args, name) for name in Options.__dataclass_fields__}
    fields["backend"] = " ".join(args.backend)
    fields["nic"] = " ".join(args.nic)
    config = lab.up(Options(**fields), say)
    if args.json:
        print_json(config)
        return 0
    for node in config["nodes"]:
        print(f"node {node['name']} ({node['backend']}): {node['address']}, "
              f"serial log {node['serial_log']}")
    print(f"client: {config['client']['address']} (interface {config['client']['interface']})")
    print("a command in this network: tools/lab exec -- COMMAND, or: "
          + shlex.join(config["enter"]) + " COMMAND")
    return 0


def cmd_status(lab, args):
    status = lab.status()
    if args.json:
        print_json(status)
        return 0
    print(f"lab in {status['directory']}, backend {status['backend']}")
    for node in status["nodes"]:
        state = "gone" if not node["alive"] else "ready" if node["ready"] else "not ready"
        print(f"node {node['name']} ({node['backend']}): {state}, {node['address']}, "
              f"{node['cpu_seconds']:.1f} CPU s, {node['resident_mib']} MiB")
    print("forwarding database:")
    for e in status["fdb"]:
        print(f"  {status['wires'][e['wire']]}  {e['mac']}  port {e['port']}  "
              f"({e['node'] or '?'}), {e['age_s']} s ago")
    return 0 if all(node["alive"] for node in status["nodes"]) else 1


def cmd_fdb(lab, args):
    entry = lab.fdb(args.mac)
    if args.json:
        print_json(entry)
    elif entry:
        print(f"{entry['mac']} port {entry['port']} ({entry['node'] or '?'})")
    else:
        print(f"{args.mac}: the bridge has no entry")
    return 0 if entry else 1


def cmd_down(lab, args):
    ended = lab.down()
    if args.json:
        print_json({"ended": ended})
    else:
        print("ended: " + ", ".join(ended) if ended else f"no lab was up in {lab.directory}")
    return 0


def cmd_exec(lab, args):
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise LabError("exec needs a command: tools/lab exec -- COMMAND")
    argv = lab.command(command)
    os.execvp(argv[0], argv)


# --- console ---------------------------------------------------------------------------------

def follow(path, alive):
    """Print a growing file until its writer is gone."""
    with open(path, "rb") as f:
        while True:
            last = not alive()
            data = f.read()
            if data:
                sys.stdout.buffer.write(data)
                sys.stdout.flush()
            elif last:
                return
            else:
                time.sleep(0.1)


def attach(door):
    """Our terminal is the host's: until Ctrl-], or the end of the host or of our input."""
    typed_from = sys.stdin.fileno()
    saved = termios.tcgetattr(typed_from) if os.isatty(typed_from) else None
    if saved:
        say("attached; Ctrl-] leaves\r")
        tty.setraw(typed_from)
    try:
        sources = [door, typed_from]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if door in ready:
                said = door.recv(4096)
                if not said:
                    return
                sys.stdout.buffer.write(said)
                sys.stdout.flush()
            if typed_from in ready:
                typed = os.read(typed_from, 4096)
                if LEAVE in typed:
                    return
                if typed:
                    door.sendall(typed)
                else:
                    sources.remove(typed_from)
    finally:
        if saved:
            termios.tcsetattr(typed_from, termios.TCSADRAIN, saved)


def cmd_console(lab, args):
    node = lab.node(args.node)
    process = lab.records.read("node-" + args.node)
    if args.no_follow or node["serial"] == "file":
        follow(node["serial_log"], lambda: not args.no_follow and process.alive())
        return 0
    os.chdir(lab.path(args.node))       # the address of a unix socket holds 107 bytes only
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect("console")
        except OSError:
            raise LabError(f"node {args.node} is gone; its log: {node['serial_log']}") from None
        attach(door)
    return 0


# --- one machine alone, and KVM --------------------------------------------------------------

def module_arg(text):
    path, _, words = text.partition("=")
    return Module(path, words or os.path.basename(path))


def cmd_boot(_, args):
    result = boot(args.image, args.cmdline, args.module, until=args.until,
                  cpu_limit=args.cpu_limit, wall_limit=args.wall_limit, video=args.video,
                  backend=args.backend, directory=args.directory, cpus=args.cpus,
                  memory=args.memory, ips=instructions(args.ips), sync=args.sync,
                  cpu_model=args.cpu_model, bios=args.bios)
    if args.json:
        print_json(vars(result))
    else:
        sys.stdout.write(result.serial)
        say(f"boot: {result.verdict or result.ended}; {result.cpu_seconds:.1f} CPU s, "
            f"{result.ticks or 'unknown'} ticks; files in {result.directory}")
    return 0 if result.ended == "verdict" and not result.verdict.startswith("FAIL") else 1


def cmd_iso(_, args):
    build_iso(args.out, args.image, args.cmdline, args.module + vmdef.modules(args.vms),
              args.video, portable=True)
    print(args.out)
    return 0


def cmd_pxe(_, args):
    hosts = pxe.read_hosts(args.hosts) if args.hosts else []
    pxe.build(args.out, args.image, hosts, args.cmdline, args.server)
    print(args.out)
    return 0


def cmd_backends(_, args):
    """The best backend first: what each offers, or why it does not run here."""
    found = [{"name": name, "offers": b.offers, "missing": b.missing()}
             for name, b in backends.BACKENDS.items()]
    if args.json:
        print_json(found)
        return 0
    for b in found:
        print(f"{b['name']:6} {'no: ' + b['missing'] if b['missing'] else b['offers']}")
    print(f"default here: {backends.default()}")
    return 0


# --- the command line ------------------------------------------------------------------------

def parser():
    p = argparse.ArgumentParser(
        prog="lab", description="Godwit hosts, a bridge and a client, on this machine alone.")
    p.add_argument("--directory", metavar="DIR",
                   help="the lab's directory (default: $GODWIT_LAB or build/lab)")
    commands = p.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")

    def add(name, run, text):
        c = commands.add_parser(name, help=text, description=text)
        c.set_defaults(run=run)
        c.add_argument("--json", action="store_true", help="print JSON")
        return c

    c = add("up", cmd_up, "start hosts on a network and wait until they are ready")
    add_machine_options(c, 512, 50_000_000, "slowdown")
    c.add_argument("--nodes", type=int, default=2, help="how many: a, b, ... (default: 2)")
    c.add_argument("--backend", action="append", default=[], metavar="NAME[@NODE]",
                   help="for all nodes or one; repeatable: --backend bochs@a --backend qemu@b "
                        "(default: $LAB, or the best on this machine; see `lab backends`)")
    c.add_argument("--nic", action="append", default=[], metavar="MODEL[@NODE]",
                   help="for all nodes or one; " + ", ".join(NICS) + "; bochs has e1000 only "
                        "(default: e1000)")
    c.add_argument("--nics", type=int, default=1,
                   help="NICs of a host; each is on a wire of its own (default: 1)")
    c.add_argument("--mtu", type=int, default=1500,
                   help="of the wires; a host's by --cmdline mtu=nic0,9000 (default: 1500)")
    c.add_argument("--vm", dest="vms", type=vm_at, action="append", default=[],
                   metavar="FILE@NODE", help="start the VM that FILE defines on NODE; repeatable")
    c.add_argument("--serial", choices=["file", "socket"], default="file",
                   help="COM1 to a file, or to a socket so that `lab console` can type")
    c.add_argument("--wait", type=float, default=300, metavar="S",
                   help="how long the hosts may take to be ready (default: 300)")
    c.add_argument("--keep", action="store_true",
                   help="leave a lab up that did not become ready")

    add("status", cmd_status, "what runs, what it cost, and what the bridge has learned")
    c = add("fdb", cmd_fdb, "the bridge's port for a MAC address")
    c.add_argument("mac")
    c = add("exec", cmd_exec, "run a command in the lab's network; its exit status is ours")
    c.add_argument("command", nargs=argparse.REMAINDER)
    c = add("console", cmd_console, "follow a host's serial line; interactive with --serial socket")
    c.add_argument("node")
    c.add_argument("--no-follow", action="store_true", help="print what there is, and end")
    add("down", cmd_down, "end everything that the lab started; its logs stay")

    c = add("boot", cmd_boot, "boot one host without a network, until it says its verdict")
    add_machine_options(c, 256, 4_000_000, "none")
    c.add_argument("--backend", default="", choices=sorted(backends.BACKENDS))
    c.add_argument("--module", type=module_arg, action="append", default=[],
                   metavar="FILE=WORDS", help="a boot module and its words; repeatable")
    c.add_argument("--until", default=VERDICT, metavar="REGEX",
                   help="the line that ends the run (default: %(default)s)")
    c.add_argument("--cpu-limit", type=float, default=60, metavar="S",
                   help="CPU seconds of the emulator (default: 60)")
    c.add_argument("--wall-limit", type=float, default=600, metavar="S")
    c.add_argument("--keep-in", dest="directory", default=argparse.SUPPRESS, metavar="DIR",
                   help="where its files go (default: a new directory under /tmp)")
    c = add("iso", cmd_iso, "write an image that boots by BIOS and UEFI, as a CD and as a disk")
    c.add_argument("out", metavar="FILE")
    add_image_options(c)
    c.add_argument("--module", type=module_arg, action="append", default=[],
                   metavar="FILE=WORDS", help="a boot module and its words; repeatable")
    c.add_argument("--vm", dest="vms", action="append", default=[], metavar="FILE",
                   help="start the VM that FILE defines; repeatable")
    c.add_argument("--video", choices=sorted(VIDEO), default="text",
                   help="of a BIOS machine; UEFI has a framebuffer only (default: text)")
    c = add("pxe", cmd_pxe, "write a TFTP folder for machines that boot over the network")
    c.add_argument("out", metavar="DIR")
    add_image_options(c)
    c.add_argument("--hosts", metavar="FILE",
                   help="JSON: a list of {mac, cmdline, vms}; other machines get --cmdline")
    c.add_argument("--server", metavar="ADDRESS",
                   help="the TFTP server, built in: for proxy DHCP")
    add("backends", cmd_backends, "which backends this machine can run, the best first")
    return p


def interrupted(signum, _):
    raise KeyboardInterrupt(signal.Signals(signum).name)


def main(argv=None):
    args = parser().parse_args(argv)
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, interrupted)
    lab = Lab(args.directory or os.environ.get("GODWIT_LAB") or os.path.join(TOP, "build/lab"))
    try:
        return args.run(lab, args)
    except LabError as e:
        say(f"lab: {e}")
        return 1
    except KeyboardInterrupt:
        say("lab: interrupted")
        return 130
    except BrokenPipeError:
        return 1
