# SPDX-License-Identifier: MIT
"""A TFTP folder from which machines boot over the network, by BIOS and by UEFI.

	DIR/boot/grub/i386-pc/core.0        what a BIOS machine asks for first
	DIR/boot/grub/x86_64-efi/core.efi   and a UEFI machine
	DIR/boot/grub/grub.cfg              picks host-MAC.cfg, where there is one, or default.cfg
	DIR/boot/grub/host-MAC.cfg          one host: its command line and modules
	DIR/host-MAC/, DIR/default/         the image and the modules of each

Which host gets what stands in a file of JSON: a list of {"mac", "cmdline", "vms"}; vms are VM
definitions, relative to the file.  docs/hardware-lab.md tells how to serve the folder.

GRUB asks for its files at the server that its DHCP answer names.  A proxy that only adds PXE to
somebody else's DHCP is not in that answer: then the server's address is built in.
"""

import ipaddress
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field

from . import jsonfile, vmdef
from .iso import GRUB_BIOS, GRUB_UEFI, HEAD, check_files, place_payloads, portable_cfg
from .proc import LabError

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
KNOWN = {"mac", "cmdline", "vms"}
CORES = [                           # GRUB's modules, its format, its file, what it needs to load
    (GRUB_BIOS, "i386-pc-pxe", "i386-pc/core.0", ["pxe", "tftp"]),
    (GRUB_UEFI, "x86_64-efi", "x86_64-efi/core.efi", ["efinet", "tftp"]),
]


@dataclass
class Host:
    """One machine: the address of the card that it boots from, and what it boots."""
    mac: str
    cmdline: str
    modules: list = field(default_factory=list)


def read_host(entry, where, folder):
    if not isinstance(entry, dict) or set(entry) - KNOWN:
        raise LabError(f"{where}: not an object of mac, cmdline and vms")
    mac, cmdline, vms = (entry.get(key, default) for key, default in
                         (("mac", ""), ("cmdline", ""), ("vms", [])))
    mac = mac.lower() if isinstance(mac, str) else ""
    if not MAC.fullmatch(mac):
        raise LabError(f"{where}: mac is not like 52:54:00:77:01:00")
    if not isinstance(cmdline, str) or not isinstance(vms, list) or \
            not all(isinstance(vm, str) for vm in vms):
        raise LabError(f"{where}: cmdline is a string, vms a list of file names")
    return Host(mac, cmdline, vmdef.modules([os.path.join(folder, vm) for vm in vms]))


def read_hosts(path):
    """The hosts that the file `path` lists."""
    entries = jsonfile.read(path)
    if not isinstance(entries, list):
        raise LabError(f"{path}: not a list of hosts")
    folder = os.path.dirname(os.path.abspath(path))
    hosts = [read_host(entry, f"{path}: host {i}", folder) for i, entry in enumerate(entries)]
    macs = [host.mac for host in hosts]
    for mac in macs:
        if macs.count(mac) > 1:
            raise LabError(f"{path}: {mac} is there twice")
    return hosts


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


# GRUB cannot ask a TFTP server whether a file is there: it is tried, and says that it was.
FOUND = "set configured=yes\n"
PICK = "\n".join([*HEAD,
                  "source /boot/grub/host-$net_default_mac.cfg",
                  'if [ "$configured" != yes ]; then source /boot/grub/default.cfg; fi']) + "\n"


def run(*argv):
    made = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if made.returncode != 0:
        raise LabError(f"{argv[0]} failed:\n" + made.stderr[-2000:])


def fill(tree, image, hosts, cmdline, server):
    """Everything below `tree`, which is empty."""
    run("grub-mknetdir", f"--net-directory={tree}", "--subdir=/boot/grub", "--locales=",
        "--fonts=", "--themes=")
    grub = os.path.join(tree, "boot/grub")
    for folder, form, core, modules in CORES if server else []:
        run("grub-mkimage", "-d", folder, "-O", form, "-o", os.path.join(grub, core),
            "-p", f"(tftp,{server})/boot/grub", *modules)
    write(os.path.join(grub, "grub.cfg"), PICK)
    configurations = [("default", Host("", cmdline))]
    configurations += [("host-" + host.mac, host) for host in hosts]
    for name, host in configurations:
        folder = os.path.join(tree, name)
        os.mkdir(folder)
        place_payloads(folder, image, host.modules, place=shutil.copyfile)
        write(os.path.join(grub, name + ".cfg"),
              FOUND + portable_cfg(host.cmdline, host.modules, "text", "/" + name))


def build(out, image, hosts, cmdline, server=None):
    """Write the folder `out`; `cmdline` is for a machine that is not among `hosts`, `server` the
    address that is built in.  The folder's old content stays until the new one is complete."""
    if server:
        try:
            ipaddress.IPv4Address(server)
        except ValueError:
            raise LabError(f"{server} is not an IPv4 address") from None
    check_files(image, [m for host in hosts for m in host.modules], [GRUB_BIOS, GRUB_UEFI])
    out = os.path.abspath(out)
    if os.path.isdir(out) and os.listdir(out) and not os.path.isdir(os.path.join(out, "boot/grub")):
        raise LabError(f"{out} is there and was not made by this command: remove it first")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(out), prefix=".pxe.") as stage:
        tree = os.path.join(stage, "tree")
        os.mkdir(tree, mode=0o755)
        fill(tree, image, hosts, cmdline, server)
        if os.path.isdir(out):
            os.rename(out, os.path.join(stage, "old"))
        os.rename(tree, out)
