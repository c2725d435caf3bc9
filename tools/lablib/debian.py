# SPDX-License-Identifier: MIT
"""Debian's packages, fetched and never installed, and initrds made of what is in them.

Packages come by apt-get from the machine's own sources, once, and are kept in
${XDG_CACHE_HOME:-~/.cache}/godwit; with the packages there, no network is needed.  Used by
guests/linux/build and by tools/bench-peer.
"""

import os
import pathlib
import re
import stat
import struct
import subprocess
import tarfile

from .proc import LabError

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "godwit"

SIGNATURE_MARK = b"~Module signature appended~\n"
SIGNATURE_INFO_BYTES = 12                       # struct module_signature, before the mark


def run(command, **options):
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout
    except FileNotFoundError:
        raise LabError(f"{command[0]} is not installed; run tools/setup") from None
    except subprocess.CalledProcessError as error:
        raise LabError(f"{' '.join(map(str, command))} ended with status "
                       f"{error.returncode}") from None


# --- packages --------------------------------------------------------------------------------

def _kernel_name():
    """The package that linux-image-cloud-amd64 stands for today."""
    depends = run(["apt-cache", "depends", "linux-image-cloud-amd64"], text=True)
    found = re.search(r"Depends: (linux-image-\S+-cloud-amd64)", depends)
    if not found:
        raise LabError("apt knows no linux-image-cloud-amd64; run apt-get update, and use "
                       "Debian's archive")
    return found.group(1)


def _cached(pattern):
    found = sorted(CACHE.glob(pattern), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def _package(pattern, name, refresh):
    """The path of a package in the cache; fetched when it is not there."""
    path = None if refresh else _cached(pattern)
    if path:
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    # As root apt would download as somebody who may not write here, and complain.
    run(["apt-get", "-o", "APT::Sandbox::User=root", "download", name()], cwd=CACHE)
    path = _cached(pattern)
    if not path:
        raise LabError(f"apt-get download left no {pattern} in {CACHE}")
    return path


def kernel_package(refresh=False):
    return _package("linux-image-*-cloud-amd64_*.deb", _kernel_name, refresh)


def busybox_package(refresh=False):
    return _package("busybox-static_*.deb", lambda: "busybox-static", refresh)


def unpack(deb, wanted):
    """{path: bytes} of those files of a package whose path `wanted` accepts."""
    files = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as dpkg:
        with tarfile.open(fileobj=dpkg.stdout, mode="r|") as tar:
            for member in tar:
                path = member.name.removeprefix("./")
                if member.isfile() and wanted(path):
                    files[path] = tar.extractfile(member).read()
    if dpkg.returncode:
        raise LabError(f"{deb} is not a whole package; remove it and try again")
    return files


def busybox(deb):
    """The program in a package of busybox-static."""
    found = unpack(deb, lambda path: path.endswith("bin/busybox"))
    if len(found) != 1:
        raise LabError(f"{deb.name} holds no bin/busybox")
    return next(iter(found.values()))


# --- kernels ---------------------------------------------------------------------------------

def _load_order(modules):
    """The modules {name: bytes} sorted so that each follows those that it depends on."""
    ordered = {}

    def place(name, wanted_by):
        if name in ordered:
            return
        if name not in modules:
            raise LabError(f"{wanted_by} needs the module {name}, which is not in the list")
        depends = re.search(rb"\0depends=([^\0]*)\0", modules[name]).group(1).decode()
        for other in filter(None, depends.split(",")):
            place(other.replace("-", "_"), name)
        ordered[name] = modules[name]

    for name in modules:
        place(name, "")
    return ordered


def _without_signature(module):
    """A module without the signature at its end, which takes the kernel 10 million instructions
    to check: a fifth of a second each on an emulated machine.  Debian's kernel loads both."""
    if not module.endswith(SIGNATURE_MARK):
        return module
    end = len(module) - len(SIGNATURE_MARK)
    (length,) = struct.unpack_from(">I", module, end - 4)
    return module[:end - SIGNATURE_INFO_BYTES - length]


def kernel_files(deb, wanted):
    """(release, bzImage, {module name: its bytes} in load order) of a kernel's package; `wanted`
    are the modules' paths below kernel/."""
    tails = tuple("/kernel/" + module for module in wanted)
    files = unpack(deb, lambda path: path.startswith("boot/vmlinuz-") or path.endswith(tails))
    images = [path for path in files if path.startswith("boot/vmlinuz-")]
    if len(images) != 1:
        raise LabError(f"{deb.name} holds {len(images)} kernels, not one")
    release = images[0].removeprefix("boot/vmlinuz-")
    modules = {}
    for module in wanted:
        path = f"lib/modules/{release}/kernel/{module}"
        if path not in files:
            raise LabError(f"{deb.name} has no {path}")
        name = pathlib.PurePath(module).stem.replace("-", "_")
        modules[name] = _without_signature(files[path])
    return release, files[images[0]], _load_order(modules)


# --- initrds ---------------------------------------------------------------------------------

class Cpio:
    """A "newc" archive whose bytes depend on nothing but its contents."""

    def __init__(self):
        self.bytes = bytearray()
        self.inode = 0

    def add(self, path, mode, data=b"", device=(0, 0)):
        self.inode += 1
        name = path.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0]
        self.bytes += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        self._pad()
        self.bytes += data
        self._pad()

    def _pad(self):
        self.bytes += bytes(-len(self.bytes) % 4)

    def folder(self, path):
        self.add(path, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o644):
        self.add(path, stat.S_IFREG | mode, data)

    def link(self, path, target):
        self.add(path, stat.S_IFLNK | 0o777, target.encode())

    def end(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.bytes)


def initrd(init, program, applets, modules, folders=()):
    """The archive that every initrd of ours begins with: process 1, busybox under its names, and
    the kernel's modules with the order in which they load."""
    cpio = Cpio()
    for folder in ("bin", "dev", "lib", "lib/modules", "proc", "sys", *folders):
        cpio.folder(folder)
    cpio.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    cpio.file("init", init, 0o755)
    cpio.file("bin/busybox", program, 0o755)
    for applet in applets:
        cpio.link(f"bin/{applet}", "busybox")
    cpio.file("lib/modules/order", "".join(f"{name}.ko\n" for name in modules).encode())
    for name, data in modules.items():
        cpio.file(f"lib/modules/{name}.ko", data)
    return cpio
