# SPDX-License-Identifier: MIT
"""Bootable images: the hypervisor, its modules, and a GRUB that starts it at once.

Two kinds.  The lab's is for BIOS alone and holds only the GRUB modules it uses, because GRUB reads
the CD at about 2 MB a second of Bochs's CPU time.  The portable one is for machines that we do not
know: BIOS and UEFI, CD and disk (it may be written to a USB stick as it is).  GRUB also speaks on
COM1: what it has to complain about then stands in the serial log, where the tests look.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from .proc import LabError

GRUB_BIOS = "/usr/lib/grub/i386-pc"
GRUB_UEFI = "/usr/lib/grub/x86_64-efi"
GRUB_MODULES = ["normal", "iso9660", "configfile", "boot", "multiboot2", "serial", "terminal",
                "echo", "halt"]
VIDEO = {                           # name: (gfxpayload, GRUB modules)
    "text": ("text", []),
    "fb": ("1024x768x32,auto", ["vbe", "video", "video_fb"]),
}


@dataclass
class Module:
    """A file that GRUB loads beside the image, and the words that the image sees with it."""
    path: str
    words: str
    text: str = None                # loaded instead of what the file holds


def grub_word(text):
    """One word of a GRUB command, quoted: nothing in it means anything to GRUB."""
    if "\n" in text or "\0" in text:
        raise LabError(f"a line break cannot stand in a boot command: {text!r}")
    return "'" + text.replace("'", "'\\''") + "'"


HEAD = ["set timeout=0",
        "serial --unit=0 --speed=115200",
        "terminal_output console serial"]


def load_commands(cmdline, modules, root=""):
    """GRUB's commands that load the image and its modules from the folder `root`."""
    lines = [f"multiboot2 {root}/godwit.elf " + " ".join(map(grub_word, cmdline.split()))]
    for i, module in enumerate(modules):
        words = " ".join(map(grub_word, module.words.split()))
        lines.append(f"module2 {root}/m{i} {words}")
    return lines


def grub_cfg(cmdline, modules, video):
    """For the lab's BIOS.  What follows `boot` is reached only when something failed; GRUB said
    what.  gfxpayload comes after `multiboot2`, which sets it to what the image's header asks."""
    payload, insmods = VIDEO[video]
    return "\n".join([*HEAD, *(f"insmod {name}" for name in insmods),
                      *load_commands(cmdline, modules), f"set gfxpayload={payload}",
                      "boot", "echo 'GRUB cannot start the image'", "halt"]) + "\n"


def portable_cfg(cmdline, modules, video, root=""):
    """For any firmware: UEFI has no text mode.  A failure stays on the screen until a key."""
    bios_payload = VIDEO[video][0]
    return "\n".join([*HEAD, "insmod all_video", *load_commands(cmdline, modules, root),
                      'if [ "$grub_platform" = efi ]; then set gfxpayload=1024x768x32,auto',
                      f"else set gfxpayload={bios_payload}; fi",
                      "boot", "echo 'GRUB cannot start the image'",
                      "sleep --interruptible 300"]) + "\n"


def _place(source, target):
    """The file at `source` under another name, without a copy where that is possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def place_payloads(folder, image, modules, place=_place):
    """Put the image and its modules into `folder`, where load_commands() names them."""
    place(os.path.realpath(image), os.path.join(folder, "godwit.elf"))
    for i, module in enumerate(modules):
        target = os.path.join(folder, f"m{i}")
        if module.text is None:
            place(os.path.realpath(module.path), target)
        else:
            with open(target, "w", encoding="utf-8") as f:
                f.write(module.text)


def check_files(image, modules, grub_folders):
    for path in [image] + [m.path for m in modules]:
        if not os.path.isfile(path):
            raise LabError(f"no file {path}")
    for folder in grub_folders:
        if not os.path.isdir(folder):
            raise LabError(f"no {folder}; run tools/setup")


def build_iso(out, image, cmdline="", modules=(), video="text", portable=False):
    """Write the bootable image `out`; its old content stays until the new one is complete."""
    check_files(image, modules, [GRUB_BIOS, GRUB_UEFI] if portable else [GRUB_BIOS])
    out = os.path.abspath(out)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(out), prefix=".iso.") as stage:
        tree = os.path.join(stage, "tree")
        os.makedirs(os.path.join(tree, "boot/grub"))
        place_payloads(tree, image, modules)
        with open(os.path.join(tree, "boot/grub/grub.cfg"), "w", encoding="utf-8") as f:
            f.write((portable_cfg if portable else grub_cfg)(cmdline, modules, video))
        # Without -d and a list of modules: every firmware that GRUB is installed for, whole.
        options = [] if portable else \
            ["-d", GRUB_BIOS, "--install-modules=" + " ".join(GRUB_MODULES + VIDEO[video][1])]
        made = subprocess.run(
            ["grub-mkrescue", *options, "-o", os.path.join(stage, "iso"), tree,
             "--locales=", "--fonts=", "--themes="],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise LabError("grub-mkrescue failed:\n" + made.stderr[-2000:])
        os.replace(os.path.join(stage, "iso"), out)
