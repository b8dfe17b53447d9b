"""What makes features of a column's cells: fitted on training rows, stored without pickle."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from polytask.config import choose

#: What a featurizer learnt from training cells: numpy arrays, and JSON values.
Learnt = dict[str, Any]


class Featurizer(ABC):
    """Turns each cell of a column into a vector, a picture or a series: an encoder's input.

    Its settings are keyword-only. Cells come as `cells_of` gives them, those of missing rows are left out. Pictures,
    recordings and videos are decoded whenever they are asked for: once a pass over the cells.
    """

    #: `TheFeaturizer.with_(**settings)`: a choice, to be built later.
    with_: ClassVar[Any] = classmethod(choose)
    #: The kinds of columns that it reads.
    reads: ClassVar[tuple[str, ...]]
    #: Key of its publication; None where there is none.
    paper: ClassVar[str | None] = None
    #: What a cell becomes: float32 `[width]`, `[channels, height, width]` or `[length, channels]`.
    gives: Literal["vector", "picture", "sequence"] = "vector"
    #: Whether its numbers are standardised by the training rows'.
    is_standardised: ClassVar[bool] = True

    def fit(self, cells: Sequence[Any], place: str) -> Learnt:
        """Learns from the cells of training rows; nothing by default.

        Args:
            cells: at least one.
            place: the column, for an error.

        Raises:
            SchemaError: cells that it can learn nothing from.
        """
        return {}

    @abstractmethod
    def transform(self, cells: Sequence[Any], learnt: Learnt) -> Any:
        """The features of these cells, each by itself.

        Returns:
            `[cells, …]` as numpy; a scipy sparse matrix where nearly all is 0; a list of arrays for series.

        Raises:
            SchemaError: a cell of which none can be made.
        """

    def cited(self) -> tuple[str, ...]:
        """Keys of the publications behind it as it is set."""
        return () if self.paper is None else (self.paper,)
