# SPDX-License-Identifier: MIT
"""The Linux host as one kernel and one initrd: Debian's cloud kernel with KVM, busybox, QEMU.

QEMU, its libraries and its firmware are those that tools/setup installed on this machine; kernel
and busybox come out of their packages.  Nothing is changed in any of them.
"""

import os
import pathlib
import re

from lablib import debian
from lablib.proc import LabError

QEMU = "/usr/bin/qemu-system-x86_64"
FIRMWARE = ["/usr/share/seabios/bios-256k.bin",
            *(f"/usr/share/qemu/{name}.bin" for name in
              ("kvmvapic", "linuxboot", "linuxboot_dma", "multiboot", "multiboot_dma"))]
MODULES = ["drivers/virtio/virtio.ko", "drivers/virtio/virtio_ring.ko",
           "drivers/virtio/virtio_pci_modern_dev.ko", "drivers/virtio/virtio_pci_legacy_dev.ko",
           "drivers/virtio/virtio_pci.ko", "net/core/failover.ko", "drivers/net/net_failover.ko",
           "drivers/net/virtio_net.ko", "virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko",
           "arch/x86/kvm/kvm-amd.ko"]
APPLETS = ["sh", "mount", "insmod", "ip", "cat", "dmesg", "echo", "kill", "ls", "nc", "poweroff",
           "ps", "rm", "sleep", "tail", "top", "tr", "wc"]
LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


def libraries(listing):
    """The files that a program needs, from what ldd says of it."""
    if "not found" in listing:
        raise LabError(f"{QEMU} lacks a library:\n{listing}")
    return sorted(set(LIBRARY.findall(listing)))


def _with_parents(paths):
    """Every folder above the paths, each before those that are in it."""
    return sorted({str(parent).lstrip("/") for path in paths
                   for parent in pathlib.PurePath(path).parents} - {""})


def _tcprate(directory):
    """tcprate.c as one file without libraries: its bytes."""
    program = os.path.join(directory, "tcprate")
    debian.run(["cc", "-O2", "-Wall", "-Wextra", "-static", "-o", program,
                str(pathlib.Path(__file__).parent / "tcprate.c")])
    return pathlib.Path(program).read_bytes()


def _version(package):
    return debian.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", package], text=True)


def make(directory, guest_files):
    """Write host-vmlinuz and host-initrd to `directory`; guest_files ({name: path}) go to /guest.
    Returns (kernel, initrd, what it is made of)."""
    os.makedirs(directory, exist_ok=True)
    needed = [QEMU, *libraries(debian.run(["ldd", QEMU], text=True)), *FIRMWARE]
    missing = [path for path in needed if not os.path.exists(path)]
    if missing:
        raise LabError(f"the peer needs {', '.join(missing)}; run tools/setup")
    deb, shell = debian.kernel_package(), debian.busybox_package()
    _, image, modules = debian.kernel_files(deb, MODULES)
    begun = ("bin", "dev", "lib", "lib/modules", "proc", "sys")
    folders = [f for f in _with_parents(needed) if f not in begun]
    init = (pathlib.Path(__file__).parent / "hostinit").read_bytes()
    cpio = debian.initrd(init, debian.busybox(shell), APPLETS, modules, [*folders, "tmp", "guest"])
    for path in needed:
        cpio.file(path.lstrip("/"), pathlib.Path(path).read_bytes(), 0o755)
    for name, path in guest_files.items():
        cpio.file(f"guest/{name}", pathlib.Path(path).read_bytes())
    cpio.file("bin/tcprate", _tcprate(directory), 0o755)
    kernel, initrd = (os.path.join(directory, name) for name in ("host-vmlinuz", "host-initrd"))
    pathlib.Path(kernel).write_bytes(image)
    pathlib.Path(initrd).write_bytes(cpio.end())
    return kernel, initrd, [deb.name, shell.name, _version("qemu-system-x86"),
                            _version("seabios")]
