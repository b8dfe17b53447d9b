"""How rows are split: shares, groups, time or a column."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """How rows are split.

    Args:
        validation: share of rows for validation, > 0.
        test: share of rows for the test, >= 0; 0: no test part.
        by_group: a column whose groups of rows stay on one side.
        largest_first: groups are not drawn: ordered by size (of one size, by their first row), the largest train until
            `1 - validation - test` of the rows are reached, the next validate, and the many small ones are the test, as
            molecules are split by their scaffolds (MoleculeNet, Wu et al. 2018).
        by_time: a column of dates or numbers: the earliest rows train, the next validate, the last test; rows
            of one time stay together.
        column: a column that says it: train, valid (validation, val, dev), test, in any case. Where it has no
            validation rows, `validation` of its training rows are drawn at random.
        stratify: whether every part gets its share of every class, label and range of values of every task.
        seed: of what is drawn. It is not the run's: runs of several seeds share one split.

    Raises:
        ValueError: a share out of range, or choices that exclude each other.
    """

    validation: float = 0.15
    test: float = 0.15
    by_group: str | None = None
    largest_first: bool = False
    by_time: str | None = None
    column: str | None = None
    stratify: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.validation < 1:
            raise ValueError(
                f"split: validation={self.validation} is out of range; a share in (0, 1) is wanted, as 0.15"
            )
        if not 0 <= self.test < 1:
            raise ValueError(f"split: test={self.test} is out of range; a share in [0, 1) is wanted, as 0.15")
        if self.validation + self.test >= 1:
            raise ValueError(
                f"split: validation={self.validation} and test={self.test} leave no rows to train on; "
                "their sum has to be below 1"
            )
        if self.by_time and (self.by_group or self.column):
            other = "by_group" if self.by_group else "column"
            raise ValueError(f"split: by_time and {other} exclude each other; choose one")
        if self.largest_first and not self.by_group:
            raise ValueError("split: largest_first orders groups by size: name their column too, as by_group: scaffold")
