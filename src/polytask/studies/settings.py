"""What a study is asked to do: the `study:` section of a run.yaml."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from polytask.studies.verdict import REGION

Companion = Literal["pooled", "placebo", "equal_parameters"]


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """How candidates are compared.

    Args:
        candidates: names of balancers, or overrides of the experiment (`{"sharing": "hard"}`); as a list or as
            `{name: overrides}`. The experiment as it is written where not given.
        seeds: how many, counted from the experiment's own; at least 3 for a verdict.
        grid: setting of `train` -> values to try (learning_rate, weight_decay …), for candidates and twins alike;
            chosen on validation rows under the first seed.
        resplits: other divisions of the rows: a number of repeated random splits, or "5-fold" for k folds; each is
            trained with every seed.
        baselines: outside models for each task: trees, lightgbm, linear.
        companions: what else is compared on request: pooled (one single-task model on all tasks' rows, where each has
            a table of its own), placebo (partners' labels permuted), equal_parameters (single-task nets that
            together have as many parameters as the candidate).
        group: a column whose groups of test rows belong together; that of `split.by_group` where not given.
        region: half-width of the practically-equal region in skill, for all tasks or by task.
        level: the chance of any false "helps" or "hurts".

    Raises:
        ValueError: a setting out of its range.
    """

    candidates: Any = None
    seeds: int = 5
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    resplits: int | str | None = None
    baselines: tuple[str, ...] = ("trees", "linear")
    companions: tuple[Companion, ...] = ()
    group: str | None = None
    region: float | dict[str, float] = REGION
    level: float = 0.05

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds}: at least 1, and at least 3 for a verdict")
        if not 0 < self.level < 1:
            raise ValueError(f"level={self.level}: a chance between 0 and 1, such as 0.05")
        for region in self.region.values() if isinstance(self.region, Mapping) else [self.region]:
            if not region >= 0:
                raise ValueError(f"region={region}: a difference in skill, at least 0")
        num_splits(self.resplits)

    @property
    def num_splits(self) -> int:
        """How many divisions of the rows there are."""
        return num_splits(self.resplits)

    @property
    def num_folds(self) -> int | None:
        """The k of k folds; None for random splits."""
        return self.num_splits if isinstance(self.resplits, str) else None


def num_splits(resplits: int | str | None) -> int:
    """How many divisions of the rows `resplits` asks for.

    Raises:
        ValueError: it is no number from 2, nor "k-fold".

    Example:
        >>> num_splits(None), num_splits(10), num_splits("5-fold")
        (1, 10, 5)
    """
    if resplits is None:
        return 1
    found = re.fullmatch(r"(\d+)-fold", resplits) if isinstance(resplits, str) else None
    number = int(found.group(1)) if found else resplits
    if isinstance(number, bool) or not isinstance(number, int) or number < 2:
        raise ValueError(f"resplits={resplits!r}: a number of random splits (10) or of folds ('5-fold'), from 2")
    return number
