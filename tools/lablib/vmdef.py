# SPDX-License-Identifier: MIT
"""VM definitions: which files a VM starts from.

The hypervisor checks a definition; we read only as much of it as naming its payloads takes.  A
definition calls a payload by a name; the file is found relative to the definition's own folder.
"""

import json
import os

from .iso import Module
from .proc import LabError


def payload_names(definition, path):
    """The payloads that a definition names, in order, each once."""
    boot = definition.get("boot") if isinstance(definition, dict) else None
    if not isinstance(boot, dict):
        raise LabError(f"{path}: no \"boot\" object")
    modules = boot.get("modules", [])
    if not isinstance(modules, list):
        raise LabError(f"{path}: boot.modules is not a list")
    names = []
    for key, value in [(k, boot[k]) for k in ("kernel", "initrd", "multiboot") if k in boot] \
            + [(f"modules[{i}]", m) for i, m in enumerate(modules)]:
        if not isinstance(value, str) or not value or value.split() != [value]:
            raise LabError(f"{path}: boot.{key} is not a file name without spaces: {value!r}")
        if value not in names:
            names.append(value)
    return names


def read(path):
    """A definition's VM name and its payloads: (name, {payload name: file})."""
    try:
        with open(path, encoding="utf-8") as f:
            definition = json.load(f)
    except OSError as e:
        raise LabError(f"{path}: {e.strerror}") from None
    except ValueError as e:
        raise LabError(f"{path}: not JSON: {e}") from None
    payloads = {}
    for name in payload_names(definition, path):
        payloads[name] = os.path.join(os.path.dirname(os.path.abspath(path)), name)
        if not os.path.isfile(payloads[name]):
            raise LabError(f"{path}: names {name!r}, but there is no file {payloads[name]}")
    name = definition.get("name")
    if not isinstance(name, str) or not name or name.split() != [name]:
        raise LabError(f"{path}: \"name\" is not a word")
    return name, payloads


def modules(paths):
    """The boot modules for the VMs defined by the files `paths`, to start on one node."""
    found, vms, files = [], set(), {}
    for path in paths:
        name, payloads = read(path)
        if name in vms:
            raise LabError(f"{path}: this node has a VM named {name!r} already")
        vms.add(name)
        found.append(Module(path, f"vm {name}"))
        for payload, file in payloads.items():
            if files.setdefault(payload, file) != file:
                raise LabError(f"{path}: {payload!r} is {file} here and {files[payload]} in "
                               "another definition on the same node; rename one of them")
    return found + [Module(file, f"file {name}") for name, file in files.items()]
