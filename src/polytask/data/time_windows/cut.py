"""Where windows begin, which part each is of, and which are left out, and why."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from polytask.data.parts import DROPPED
from polytask.data.time_windows.settings import WindowSettings

#: Why a window is left out, in the order in which it is asked.
REASONS = (
    "whose target crosses a border",
    "whose target is of no part",
    "whose history has rows of a later part",
    "whose history reaches back over a border",
    "over a gap in time",
    "with a missing value",
)


@dataclass(frozen=True)
class Windows:
    """The windows of one group.

    Attributes:
        starts: position, in the group, of the first row of each target, `[windows]`.
        parts: part of each.
        left_out: reason -> how many windows are left out for it.
    """

    starts: np.ndarray
    parts: np.ndarray
    left_out: dict[str, int]


def cut(parts: np.ndarray, gaps: np.ndarray, missing: np.ndarray, settings: WindowSettings) -> Windows:
    """The windows of a group whose rows are in order; each is of the part in which its whole target lies.

    Args:
        parts: of each row, `[rows]`.
        gaps: whether the step to each row from the one before is not the usual one.
        missing: whether a series has no value there.
        settings: lengths, stride, `look_back`.
    """
    history, horizon = settings.history, settings.horizon
    starts = np.arange(history, len(parts) - horizon + 1, settings.stride)
    if not len(starts):
        return Windows(starts, parts[:0], {})
    begins, ends = starts - history, starts + horizon
    changes = np.concatenate([[False], parts[1:] != parts[:-1]])
    latest = sliding_window_view(parts, history).max(axis=1)[begins]
    of_target = parts[starts]
    bad = {
        REASONS[0]: _any(changes, starts + 1, ends),
        REASONS[1]: of_target == DROPPED,
        REASONS[2]: latest > of_target,
        REASONS[3]: _any(changes, begins + 1, starts + 1) & (not settings.look_back),
        REASONS[4]: _any(gaps, begins + 1, ends),
        REASONS[5]: _any(missing, begins, ends),
    }
    kept, left_out = np.ones(len(starts), dtype=bool), {}
    for reason, found in bad.items():
        left_out[reason] = int((kept & found).sum())
        kept &= ~found
    return Windows(starts[kept], of_target[kept], left_out)


def _any(flags: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether a flag is up anywhere in [begin, end), for each pair."""
    sums = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(sums[ends] > sums[begins])
