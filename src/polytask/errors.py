"""The errors a user meets: each says what came, where, and what would work.

`ValueError` and `TypeError` are raised for settings that cannot be; the classes here are for what a file, a
configuration or a Run folder holds. All are `PolytaskError`, which the command line prints as one sentence.
"""

import sys
import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from types import FrameType


class PolytaskError(ValueError):
    """A mistake in what polytask was given; its text names the place and what would work."""


class SchemaError(PolytaskError):
    """The data do not fit what was asked of them: a column, a row, a cell."""


class ConfigError(PolytaskError):
    """A written choice cannot be read: an unknown key, a wrong value."""


class RunError(PolytaskError):
    """A Run folder cannot be written, read or resumed."""


class ProcessError(PolytaskError):
    """A training in several processes cannot go on, since they differ or one of them has ended.

    Attributes:
        is_echo: whether another process has said why, so that this one need not.
    """

    def __init__(self, sentence: str, *, is_echo: bool = False) -> None:
        super().__init__(sentence)
        self.is_echo = is_echo


class MissingExtraError(PolytaskError, ImportError):
    """An optional dependency is not installed; the text names the extra that holds it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'polytask[{extra}]'")


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error sentence about an unknown name: its nearest known one, or all of them.

    Example:
        >>> nearest("pcgard", ["sum", "pcgrad"])
        "did you mean 'pcgrad'?"
        >>> nearest("PCGrad", ["sum", "pcgrad"])
        "did you mean 'pcgrad'?"
        >>> nearest("xyz", ["sum", "pcgrad"])
        'known: pcgrad, sum'
    """
    names = sorted(str(k) for k in known)
    by_small = {k.casefold(): k for k in names}
    close = get_close_matches(str(name), names, n=1, cutoff=0.6)
    close = close or [by_small[k] for k in get_close_matches(str(name).casefold(), by_small, n=1, cutoff=0.6)]
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:20]) + (f" … ({len(names)} in all)" if len(names) > 20 else "")
    return f"known: {shown}"


def warn_user(sentence: str) -> None:
    """A UserWarning that points at the user's line: the one that called polytask, whatever lies between."""
    frame: FrameType | None = sys._getframe(1)
    level = inside = 2  # 1 is this function
    while frame is not None:
        if frame.f_globals.get("__name__", "").split(".")[0] == "polytask":
            inside = level
        frame, level = frame.f_back, level + 1
    warnings.warn(sentence, UserWarning, stacklevel=inside + 1)
