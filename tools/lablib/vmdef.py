# SPDX-License-Identifier: MIT
"""VM definitions: which files a VM starts from.

The hypervisor checks a definition; we read only as much of it as naming its payloads takes.  In a
file, a payload is a path relative to the definition's own folder; the hypervisor gets the payload
under the last part of that path, and a definition that says so.
"""

import json
import os

from . import jsonfile
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


def image_name(payload):
    """What the hypervisor calls a payload."""
    return os.path.basename(payload)


def with_image_names(definition):
    """The definition as the hypervisor gets it."""
    boot = dict(definition["boot"])
    for key in ("kernel", "initrd", "multiboot"):
        if key in boot:
            boot[key] = image_name(boot[key])
    if "modules" in boot:
        boot["modules"] = [image_name(m) for m in boot["modules"]]
    return json.dumps(dict(definition, boot=boot))


def read(path):
    """A definition: (name, {image name: file}, the text for the hypervisor)."""
    definition = jsonfile.read(path)
    payloads = {}
    for payload in payload_names(definition, path):
        file = os.path.join(os.path.dirname(os.path.abspath(path)), payload)
        if not os.path.isfile(file):
            raise LabError(f"{path}: names {payload!r}, but there is no file {file}")
        if payloads.setdefault(image_name(payload), file) != file:
            raise LabError(f"{path}: two payloads are called {image_name(payload)!r}")
    name = definition.get("name")
    if not isinstance(name, str) or not name or name.split() != [name]:
        raise LabError(f"{path}: \"name\" is not a word")
    return name, payloads, with_image_names(definition)


def modules(paths):
    """The boot modules for the VMs defined by the files `paths`, to start on one node."""
    found, vms, files = [], set(), {}
    for path in paths:
        name, payloads, text = read(path)
        if name in vms:
            raise LabError(f"{path}: this node has a VM named {name!r} already")
        vms.add(name)
        found.append(Module(path, f"vm {name}", text))
        for payload, file in payloads.items():
            if files.setdefault(payload, file) != file:
                raise LabError(f"{path}: {payload!r} is {file} here and {files[payload]} in "
                               "another definition on the same node; rename one of them")
    return found + [Module(file, f"file {name}") for name, file in files.items()]
