# SPDX-License-Identifier: MIT
"""What boot tests and migrations share: an image, a host that boots it, a lab.

Files of a test stay in build/check/files/NAME: the serial log of a failed test is there to be read.
BACKENDS is the one list of what tests run on; LAB= says another.
"""

import contextlib
import json
import os
import re
import shutil
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("GODWIT_BUILD") or os.path.join(TOP, "build")
# What tests share, and what is under test.
sys.path[:0] = [os.path.join(TOP, "tests/e2e"), os.path.join(TOP, "tools")]

from lablib.boot import boot as lab_boot        # noqa: E402
from lablib.iso import Module                   # noqa: E402
from lablib.lab import Lab, Options             # noqa: E402

BACKENDS = [os.environ["LAB"]] if os.environ.get("LAB") else ["bochs", "qemu"]


def only(name):
    """For a test of one backend's CPU models, firmware or exactness."""
    return pytest.mark.parametrize("backend", [b for b in BACKENDS if b == name], scope="module")


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    """What the hosts run in."""
    return request.param


@pytest.fixture(scope="session")
def image():
    """The hypervisor."""
    path = os.path.join(BUILD, "godwit.elf")
    if not os.path.exists(path):
        pytest.fail(f"no {path}: run make first", pytrace=False)
    return path


@contextlib.contextmanager
def lab_up(name, **fields):
    """A Lab with these Options for a whole file of tests; files in build/check/files/NAME."""
    with Lab(os.path.join(BUILD, "check/files", name)) as lab:
        lab.up(Options(**{"image": os.path.join(BUILD, "godwit.elf"), **fields}), print)
        yield lab


@pytest.fixture
def directory(request):
    """An empty folder for this test's files; it stays."""
    name = re.sub(r"[^\w.-]+", "_", request.node.nodeid.split("::", 1)[0].split("/")[-1][:-3]
                  + "." + request.node.name)
    path = os.path.join(BUILD, "check/files", name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


@pytest.fixture
def boot(image, directory, backend):
    """boot(cmdline, modules, until=REGEX, cpu_limit=S, cpus=, memory=, cpu_model=, ...): a
    lablib.boot.Result.  May be called more than once in a test."""
    count = 0

    def run(cmdline="node=t", modules=(), **options):
        nonlocal count
        count += 1
        own = os.path.join(directory, f"boot{count}")
        return lab_boot(options.pop("image", image), cmdline, modules, directory=own,
                        backend=backend, **options)
    return run


@pytest.fixture
def micro_guest(directory):
    """micro_guest(NAME, **definition): the boot modules that start tests/guest/NAME.c."""
    def modules(name, **definition):
        elf = os.path.join(BUILD, "guest", name + ".elf")
        if not os.path.exists(elf):
            pytest.fail(f"no {elf}: run make first", pytrace=False)
        boot_of = {"multiboot": name + ".elf", **definition.pop("boot", {})}
        path = os.path.join(directory, name + ".json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"name": name, "memory": 16, "cpus": 1, "boot": boot_of, "nics": [],
                       **definition}, f)
        return [Module(path, f"vm {name}"), Module(elf, f"file {name}.elf")]
    return modules


@pytest.fixture
def lab(image, directory, backend):
    """lab(**fields of lablib.lab.Options): a Lab that is up; it is down after the test."""
    labs = []

    def up(**fields):
        one = Lab(os.path.join(directory, f"lab{len(labs)}"))
        labs.append(one)
        one.up(Options(**{"image": image, "backend": backend, **fields}), print)
        return one
    yield up
    for one in labs:
        one.down()
