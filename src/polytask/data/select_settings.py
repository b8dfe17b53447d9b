"""Which input columns are worth reading: how that is found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Select:
    """How input columns are selected, on training rows.

    Args:
        method: "mutual_information": what a column alone tells of a target, summed over tasks; "multi_task_lasso": the
            weight of a column in one linear model of all tasks that keeps or drops a column for all at once.
        keep: columns that stay: their number, or their share in (0, 1) of those that can be judged.
        per: "all": the best for all tasks together; "task": the best of each task, all of which are read.

    Raises:
        ValueError: a setting that cannot be.
    """

    method: Literal["mutual_information", "multi_task_lasso"] = "mutual_information"
    keep: int | float = 0.5
    per: Literal["all", "task"] = "all"

    def __post_init__(self) -> None:
        if self.method not in ("mutual_information", "multi_task_lasso"):
            raise ValueError(f"select: method={self.method!r}: 'mutual_information' or 'multi_task_lasso' is wanted")
        if self.per not in ("all", "task"):
            raise ValueError(f"select: per={self.per!r}: 'all' or 'task' is wanted")
        is_share = isinstance(self.keep, float) and not self.keep.is_integer()
        if isinstance(self.keep, bool) or not (0 < self.keep < 1 if is_share else self.keep >= 1):
            raise ValueError(f"select: keep={self.keep!r}: a number of columns >= 1 or a share in (0, 1) is wanted")

    def number(self, columns: int) -> int:
        """How many of so many columns stay."""
        return min(columns, int(self.keep) if self.keep >= 1 else max(1, round(self.keep * columns)))
