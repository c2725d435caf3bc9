# SPDX-License-Identifier: MIT
"""Files of JSON that people wrote."""

import json

from .proc import LabError


def read(path):
    """What the file holds; LabError names the file and what is wrong with it."""
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except OSError as e:
        raise LabError(f"{path}: {e.strerror}") from None
    except ValueError as e:
        raise LabError(f"{path}: not JSON: {e}") from None
