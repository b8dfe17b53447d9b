"""Names of what a study compares, as folders."""

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

#: Longer names are cut, and told apart by a digest.
MOST = 60


def slug(name: str) -> str:
    """A name as a folder: letters, digits, `_`, `-`, `=`, `.`.

    Example:
        >>> slug("sharing=hard(split=1)"), slug("learning_rate=0.01, ema=0.9")
        ('sharing=hard-split=1', 'learning_rate=0.01-ema=0.9')
    """
    found = re.sub(r"[^A-Za-z0-9_=.]+", "-", name).strip("-.") or "candidate"
    if len(found) > MOST:
        found = f"{found[:MOST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return found


def setting_text(setting: Mapping[str, Any]) -> str:
    """One point of a grid: `learning_rate=0.01, weight_decay=0.1`."""
    return ", ".join(f"{key}={value}" for key, value in setting.items())


def unused(name: str, taken: Collection[str]) -> str:
    """The name, with as many `_` behind it as it takes to be new.

    Example:
        >>> unused("task", ["task", "age"])
        'task_'
    """
    while name in taken:
        name += "_"
    return name
