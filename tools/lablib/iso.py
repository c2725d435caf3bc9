# SPDX-License-Identifier: MIT
"""A bootable image: the hypervisor, its modules, and a GRUB that starts it at once.

GRUB reads the CD at about 2 MB a second of Bochs's CPU time, so the image holds only the GRUB
modules it uses and the BIOS side only.  GRUB also speaks on COM1: what it has to complain about
then stands in the serial log, where the tests look.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from .proc import LabError

GRUB_BIOS = "/usr/lib/grub/i386-pc"
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


def grub_cfg(cmdline, modules, video):
    payload, insmods = VIDEO[video]
    lines = ["set timeout=0",
             "serial --unit=0 --speed=115200",
             "terminal_output console serial"]
    lines += [f"insmod {name}" for name in insmods]
    lines.append("multiboot2 /godwit.elf " + " ".join(map(grub_word, cmdline.split())))
    for i, module in enumerate(modules):
        words = " ".join(map(grub_word, module.words.split()))
        lines.append(f"module2 /m{i} {words}")
    # After `multiboot2`, which sets it to what the image's header asks for.  What follows
    # `boot` is reached only when something failed; GRUB has said what.
    lines += [f"set gfxpayload={payload}",
              "boot", "echo 'GRUB cannot start the image'", "halt"]
    return "\n".join(lines) + "\n"


def _place(source, target):
    """The file at `source` under another name, without a copy where that is possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def build_iso(out, image, cmdline="", modules=(), video="text"):
    """Write the bootable image `out`; its old content stays until the new one is complete."""
    for path in [image] + [m.path for m in modules]:
        if not os.path.isfile(path):
            raise LabError(f"no file {path}")
    if not os.path.isdir(GRUB_BIOS):
        raise LabError(f"no {GRUB_BIOS}; run tools/setup")
    out = os.path.abspath(out)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(out), prefix=".iso.") as stage:
        tree = os.path.join(stage, "tree")
        os.makedirs(os.path.join(tree, "boot/grub"))
        _place(os.path.realpath(image), os.path.join(tree, "godwit.elf"))
        for i, module in enumerate(modules):
            target = os.path.join(tree, f"m{i}")
            if module.text is None:
                _place(os.path.realpath(module.path), target)
            else:
                with open(target, "w", encoding="utf-8") as f:
                    f.write(module.text)
        with open(os.path.join(tree, "boot/grub/grub.cfg"), "w", encoding="utf-8") as f:
            f.write(grub_cfg(cmdline, modules, video))
        grub_modules = " ".join(GRUB_MODULES + VIDEO[video][1])
        made = subprocess.run(
            ["grub-mkrescue", "-d", GRUB_BIOS, "-o", os.path.join(stage, "iso"), tree,
             f"--install-modules={grub_modules}", "--locales=", "--fonts=", "--themes="],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise LabError("grub-mkrescue failed:\n" + made.stderr[-2000:])
        os.replace(os.path.join(stage, "iso"), out)
