"""How files of a Run are written and named: refusals in one sentence, checksums, strict JSON."""

import errno
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polytask.errors import RunError


def is_staged(path: Path) -> bool:
    """Whether `write` was still at it."""
    return path.name.startswith(".") and path.name.endswith(".new")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals into one sentence.

    Raises:
        RunError: no space, no permission, a read-only or missing place.
    """
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "there is no space left on the disk; free some and start the same command again",
            errno.EDQUOT: "the disk quota is used up; free some space and start the same command again",
            errno.EFBIG: "a file grew beyond the size allowed here; raise the limit and start the same command again",
            errno.EACCES: "permission denied; choose a folder that you may write",
            errno.EROFS: "the file system is read-only; choose another folder",
            errno.ENOTDIR: "a part of this path is a file; choose another folder",
        }
        reason = reasons.get(error.errno or 0, error.strerror or str(error))
        raise RunError(f"{path} cannot be written: {reason}") from error


def sha256(path: Path) -> str:
    """The hex digest of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def json_bytes(values: Any) -> bytes:
    """Readable JSON."""
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def finite(values: Any) -> Any:
    """The same nested values with None for NaN and infinities, as strict JSON needs."""
    if isinstance(values, Mapping):
        return {key: finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return None
    return values
