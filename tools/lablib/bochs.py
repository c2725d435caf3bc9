# SPDX-License-Identifier: MIT
"""The backend bochs: a machine with VT-x.  docs/lab.md says why it is set up as it is."""

import os
import subprocess
import tempfile

from .machine import BOOT_EPOCH
from .proc import LabError

BOCHS = "/usr/bin/bochs-bin"
BOCHS_ROM = "/usr/share/bochs/BIOS-bochs-latest"
VGA_ROM = "/usr/share/vgabios/vgabios.bin"
BOCHS_HOST_MIB_MAX = 2048               # a hard limit of Bochs 2.7
BOCHS_NICS_MAX = 4
HERE = os.path.dirname(os.path.abspath(__file__))
PACER = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build/lab-pace.so")


def pacer():
    """The library that makes Bochs follow the wall's clock (pace.c), built when it is not there."""
    source = os.path.join(HERE, "pace.c")
    if os.path.exists(PACER) and os.path.getmtime(PACER) >= os.path.getmtime(source):
        return PACER
    os.makedirs(os.path.dirname(PACER), exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(PACER), delete=False) as new:
        pass                            # two labs may build it at once: the last one stays
    try:
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", new.name, source], check=True,
                       capture_output=True, text=True)
        os.replace(new.name, PACER)
    except FileNotFoundError:
        raise LabError("gcc is not installed; run tools/setup") from None
    except subprocess.CalledProcessError as e:
        raise LabError(f"{source} does not compile: {e.stderr.strip()}") from None
    finally:
        if os.path.exists(new.name):
            os.unlink(new.name)
    return PACER


class Bochs:
    """Bochs 2.7 as Debian builds it, with its internal debugger: hence the debugger's script."""

    # The display that does without a screen.  Not term: it writes to a terminal that nobody
    # reads and stands still when that is full.  Not rfb: it offers GRUB 8 bits a pixel only.
    display = "sdl2"
    environment = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}

    name = "bochs"
    offers = "VT-x, emulated"
    cpu = "corei7_skylake_x"            # has all that we can use; docs/lab.md names others

    def missing(self):
        """Why this machine cannot run it, or ""."""
        return next((f"no {path}; run tools/setup" for path in (BOCHS, BOCHS_ROM, VGA_ROM)
                     if not os.path.exists(path)), "")

    def check(self, machine):
        if not 1 <= machine.memory <= BOCHS_HOST_MIB_MAX:
            raise LabError(f"Bochs gives a host 1 to {BOCHS_HOST_MIB_MAX} MiB of memory, "
                           f"not {machine.memory}")
        if len(machine.nics) > BOCHS_NICS_MAX:
            raise LabError(f"Bochs gives a host at most {BOCHS_NICS_MAX} e1000")
        for nic in machine.nics:
            if nic.model != "e1000":
                raise LabError(f"Bochs has no NIC {nic.model!r}, only e1000")

    def _nics(self, machine):
        return [f"e1000: card={card}, enabled=1, mac={nic.mac}, ethmod=tuntap, "
                f"ethdev=/dev/net/tun:{nic.tap}, script=none"
                for card, nic in enumerate(machine.nics)]

    def _config(self, m):
        if m.serial == "file":
            com1 = f"mode=file, dev={m.serial_log}"
        else:
            com1 = f"mode=socket-client, dev=127.0.0.1:{m.serial}"
        return "\n".join([
            "plugin_ctrl: unmapped=1, biosdev=1, speaker=0, parallel=0, gameport=0, "
            "extfpuirq=0, iodebug=1",
            "config_interface: textconfig",
            f"display_library: {self.display}",
            f"romimage: file={m.bios or BOCHS_ROM}",
            f"vgaromimage: file={VGA_ROM}",
            f"cpu: model={m.cpu_model or self.cpu}, count={m.cpus}, ips={m.ips}, "
            "reset_on_triple_fault=0, ignore_bad_msrs=0",
            f"memory: guest={m.memory}, host={m.memory}",
            "boot: cdrom",
            "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
            f"ata0-master: type=cdrom, path={m.iso}, status=inserted",
            "pci: enabled=1, chipset=i440fx",
            *self._nics(m),
            f"com1: enabled=1, {com1}",
            "port_e9_hack: enabled=1",
            f"clock: sync={m.sync}, time0={BOOT_EPOCH}",
            "panic: action=fatal", "error: action=report", "info: action=report",
            "debug: action=ignore",
            f"log: {m.path('bochs.log')}",
        ]) + "\n"

    def prepare(self, machine):
        """Write the machine's files; returns (command, environment) that run it."""
        self.check(machine)
        if any(c in machine.directory + machine.iso for c in ",\n"):
            raise LabError("Bochs cannot use a path with a comma or line break in it: "
                           + machine.directory)
        with open(machine.path("bochsrc"), "w", encoding="utf-8") as f:
            f.write(self._config(machine))
        with open(machine.path("debugger.rc"), "w", encoding="ascii") as f:
            f.write("c\nq\n")
        open(machine.serial_log, "w", encoding="ascii").close()
        return ([BOCHS, "-q", "-f", machine.path("bochsrc"),
                 "-rc", machine.path("debugger.rc")],
                dict(os.environ, **self.environment,
                     **({"LD_PRELOAD": pacer()} if machine.sync == "slowdown" else {})))

    def final_tick(self, machine):
        """Ticks (instructions) from power on to the end, or None while it runs."""
        try:
            with open(machine.path("bochs.log"), encoding="utf-8", errors="replace") as f:
                for line in f:
                    if "quit_sim called" in line:
                        return int(line.split("i[", 1)[0])
        except (OSError, ValueError):
            pass
        return None
