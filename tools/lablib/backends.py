# SPDX-License-Identifier: MIT
"""The backends by name, the best of them on this machine, and which node has which.

A backend has a name, what it offers, missing() (why this machine cannot run it), check(machine),
prepare(machine) and final_tick(machine): a class as in bochs.py and a line in BACKENDS.
"""

import os

from .bochs import Bochs
from .proc import LabError
from .qemu import Kvm, Qemu

BACKENDS = {b.name: b for b in (Kvm(), Qemu(), Bochs())}        # the best first


def best():
    """The name of the best backend that this machine can run."""
    for name, backend in BACKENDS.items():
        if not backend.missing():
            return name
    raise LabError("this machine can run no backend: " + "; ".join(
        f"{name}: {b.missing()}" for name, b in BACKENDS.items()))


def default():
    """What `LAB=` says, otherwise the best: words as for_nodes() takes them."""
    return os.environ.get("LAB") or best()


def for_nodes(text, names, what, default=None):
    """{node: value} from words VALUE (for all nodes) and VALUE@NODE; a later one replaces.  `what`
    names the option in an error."""
    found = {name: default for name in names}
    for word in text.split():
        value, at, node = word.partition("@")
        if at and node not in names:
            raise LabError(f"{what} {word}: the lab has no node {node!r}")
        found.update({name: value for name in ([node] if at else names)})
    for name, value in found.items():
        if value is None:
            raise LabError(f"{what} {text}: says nothing about node {name}")
    return found


def get(name):
    """A backend that this machine can run."""
    if name not in BACKENDS:
        raise LabError(f"no backend {name!r}; there are {', '.join(BACKENDS)}")
    missing = BACKENDS[name].missing()
    if missing:
        raise LabError(f"this machine cannot run the backend {name}: {missing}")
    return BACKENDS[name]


def in_words(by_node):
    """The other way round, as short as it can be said: "qemu", or "bochs@a qemu@b"."""
    values = set(by_node.values())
    if len(values) == 1:
        return values.pop()
    return " ".join(f"{value}@{node}" for node, value in by_node.items())
