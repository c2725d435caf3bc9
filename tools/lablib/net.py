# SPDX-License-Identifier: MIT
"""The lab's network: a namespace of its own, in it a Linux bridge for each NIC of the nodes.

Everything lives in one network namespace, held open by one sleeping process: when that ends and
the machines on it have ended, the kernel takes down bridges, taps and the client's port.  There
is nothing else to clean up and nothing that touches the machine's own network.  Made without
root where the machine allows user namespaces (`unshare -rn`), by root with a network namespace
alone.

Wire i (the nodes' nic i) is bridge br<i> with subnet 10.(77+i).0.0/24.  The client is an
ordinary port of it: one end of a veth pair, so that the bridge forwards for it, learns its
address, and shows it in the forwarding database like everybody else's.
"""

import json
import os
import select
import subprocess

from .proc import LabError

HOLDER_READY_S = 60
TAP_QUEUE_FRAMES = 2000                 # Bochs takes one frame a virtual millisecond
NEIGHBOUR_TRIES = 100                   # a second each: a busy machine's hosts are slow, not gone


def subnet(wire):
    return f"10.{77 + wire}.0"


def node_address(wire, index):
    return f"{subnet(wire)}.{11 + index}"


def client_address(wire):
    return f"{subnet(wire)}.1"


def client_port(wire):
    return "client" if wire == 0 else f"client{wire}"


def bridge(wire):
    return f"br{wire}"


def unshare_command():
    """How this user gets a network namespace of its own."""
    return ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]


def enter_command(pid):
    """The command prefix that runs a program in the namespace which process `pid` holds."""
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", "--target", str(pid), *user, "--net", "--"]


def hold(records):
    """Start the process that holds a new namespace open, and wait until it does."""
    holder = records.spawn("network", [*unshare_command(), "sh", "-c",
                                       "echo held; exec sleep infinity >/dev/null"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = holder.child.stdout, holder.child.stderr
    ready, _, _ = select.select([out], [], [], HOLDER_READY_S)
    held = ready and out.readline() == b"held\n"
    reason = "" if held else _drain(err)
    out.close()
    err.close()
    if not held:
        raise LabError("cannot make a network namespace"
                       + (f" ({reason})" if reason else "") + ": run as root, or allow user "
                       "namespaces (sysctl kernel.unprivileged_userns_clone=1)")
    return holder


def _drain(pipe):
    ready, _, _ = select.select([pipe], [], [], 1)
    return os.read(pipe.fileno(), 4096).decode("utf-8", "replace").strip() if ready else ""


def run(holder_pid, *argv, text=True):
    """Run a command in the namespace; returns its output, or raises with what it said."""
    try:
        done = subprocess.run([*enter_command(holder_pid), *argv], stdin=subprocess.DEVNULL,
                              capture_output=True, text=text, check=False, timeout=60)
    except FileNotFoundError:
        raise LabError("nsenter is not installed; run tools/setup") from None
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or 'failed'}")
    return done.stdout


def _ip(holder_pid, commands):
    """Run many `ip` commands in one process."""
    done = subprocess.run([*enter_command(holder_pid), "ip", "-batch", "-"],
                          input="\n".join(commands) + "\n", capture_output=True, text=True,
                          check=False, timeout=60)
    if done.returncode != 0:
        raise LabError("cannot set up the lab's network: " + done.stderr.strip())


def build(holder_pid, taps, mtu):
    """Make the wires, for packets of `mtu` bytes.  `taps[i]` are the taps' names on wire i."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise LabError("no access to /dev/net/tun: run as root, or chmod 666 /dev/net/tun")
    commands = ["link set lo up"]
    for wire, names in enumerate(taps):
        br, port = bridge(wire), client_port(wire)
        # No spanning tree, no snooping, no addresses of its own: frames come from us alone.
        commands += [f"link add {br} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                     f"link add {port} type veth peer name {port}-br"]
        commands += [f"tuntap add {tap} mode tap" for tap in names]
        commands += [f"link set {dev} mtu {mtu}" for dev in [br, f"{port}-br", port, *names]]
        for dev in [br, f"{port}-br", *names]:
            commands += [f"link set {dev} addrgenmode none"]
        commands += [f"link set {dev} master {br}" for dev in [f"{port}-br", *names]]
        commands += [f"link set {tap} txqueuelen {TAP_QUEUE_FRAMES}" for tap in names]
        # Otherwise the bridge itself answers for the client's address, with a MAC of its own.
        commands += [f"link set {br} arp off"]
        commands += [f"address add {client_address(wire)}/24 dev {port}"]
        commands += [f"ntable change name {cache} dev {port} ucast_probes {NEIGHBOUR_TRIES} "
                     f"mcast_probes {NEIGHBOUR_TRIES}" for cache in ("arp_cache", "ndisc_cache")]
        commands += [f"link set {dev} up" for dev in [br, f"{port}-br", port, *names]]
    _ip(holder_pid, commands)


def link(holder_pid, port, state):
    """Pull or plug a cable: `state` is "up" or "down".

    At the bridge's end: a write to a tap that is down ends Bochs.
    """
    forwarding, disabled = "3", "0"
    run(holder_pid, "bridge", "link", "set", "dev", port, "state",
        forwarding if state == "up" else disabled)


def fdb(holder_pid, wire=0):
    """The learned entries of a bridge's forwarding database: [{mac, port, age_s}]."""
    out = run(holder_pid, "bridge", "-statistics", "-json", "fdb", "show", "br", bridge(wire))
    return [{"mac": e["mac"], "port": e["ifname"], "age_s": e.get("updated", 0)}
            for e in json.loads(out or "[]")
            if e.get("state") != "permanent" and "self" not in e.get("flags", [])]
