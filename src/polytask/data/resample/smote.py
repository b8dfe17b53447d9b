"""SMOTE: new rows of rare classes, between a row and its neighbours of the same class."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from polytask.data.resample.base import codes_of
from polytask.data.resample.of_class import OfClass, lacking_rows
from polytask.data.targets import Targets
from polytask.errors import ConfigError, MissingExtraError
from polytask.feature import CATEGORIES, NUMBERS
from polytask.ragged import Blocks, InputRows, Ragged, Rows
from polytask.tasks import Fitted, Task


class SMOTE(OfClass):
    """New rows of rarer classes are made until each class has `ratio` times the rows of the largest.

    A new row stands between a row and one of its nearest neighbours of the same class: x + u (x' − x), u uniform in
    [0, 1]. It is made of prepared inputs, where all numbers have one scale; categories, truth values and indicators
    of missing cells are those of most neighbours (SMOTE-NC). A new row has a label of this task only: the targets of
    all other tasks are missing there. Numbers, dates, truth values and categories can be inputs beside it; of pictures,
    texts and sequences there is nothing between.

    Args:
        task: its name; the only task of classes where not given. Of tables of their own, a name for each.
        ratio: rows of a class over those of the largest that are wanted, in (0, 1].
        neighbors: of the same class, >= 1.

    Raises:
        ValueError: a setting out of range.

    Paper: Chawla, Bowyer, Hall, Kegelmeyer: SMOTE: synthetic minority over-sampling technique, Journal of
        Artificial Intelligence Research 16, 2002, arXiv 1106.1813.
    """

    name: ClassVar[str] = "smote"
    paper: ClassVar[str | None] = "chawla2002"

    def __init__(self, *, task: str | tuple[str, ...] | None = None, ratio: float = 1.0, neighbors: int = 5) -> None:
        super().__init__(task=task, ratio=ratio)
        if neighbors < 1:
            raise ValueError(f"smote: neighbors={neighbors} is out of range; a number >= 1 is wanted, as 5")
        self.neighbors = neighbors

    def positions(
        self,
        targets: Targets,
        tasks: Sequence[Task],
        fitted: Mapping[str, Fitted],
        generator: np.random.Generator,
    ) -> np.ndarray:
        """All rows as they are."""
        return np.arange(targets.num_rows)

    def extended(
        self,
        inputs: Blocks,
        targets: Targets,
        tasks: Sequence[Task],
        fitted: Mapping[str, Fitted],
        generator: np.random.Generator,
    ) -> tuple[dict[str, InputRows], Targets]:
        """See `Resampler.extended`."""
        task = self.own(targets)
        if task is None:
            return dict(inputs), targets
        codes = codes_of(targets, task)
        lacking = lacking_rows(codes, self.ratio)
        if not lacking.any():
            return dict(inputs), targets
        self._check(inputs, targets, codes, lacking, fitted[task]["classes"])
        table = {name: block for name, block in inputs.items() if isinstance(block, torch.Tensor)}
        blocks = [table[name].numpy().astype(np.float64) for name in (NUMBERS, CATEGORIES) if name in table]
        num_numbers = table[NUMBERS].shape[1] if NUMBERS in table else 0
        made, of_class = self._made(np.concatenate(blocks, axis=1), codes, lacking, num_numbers, generator)
        new = {NUMBERS: made[:, :num_numbers], CATEGORIES: made[:, num_numbers:]}
        joined: dict[str, InputRows] = {
            name: torch.cat([block, torch.from_numpy(new[name]).to(block.dtype)]) for name, block in table.items()
        }
        return joined, self._targets(targets, codes, of_class)

    def _made(
        self,
        cells: np.ndarray,
        codes: np.ndarray,
        lacking: np.ndarray,
        num_numbers: int,
        generator: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The new rows and their classes."""
        try:
            from imblearn import over_sampling
        except ImportError:
            raise MissingExtraError("imbalanced-learn", "data", "resampling by smote") from None
        is_category = np.arange(cells.shape[1]) >= num_numbers
        is_category |= np.isin(cells, (0.0, 1.0)).all(axis=0)
        labelled = codes >= 0
        counts = np.bincount(codes[labelled])
        settings: dict[str, Any] = {
            "sampling_strategy": {int(k): int(counts[k] + lacking[k]) for k in np.flatnonzero(lacking)},
            "k_neighbors": self.neighbors,
            "random_state": int(generator.integers(2**31)),
        }
        if not is_category.any():
            sampler = over_sampling.SMOTE(**settings)
        elif is_category.all():
            sampler = over_sampling.SMOTEN(**settings)
        else:
            sampler = over_sampling.SMOTENC(categorical_features=np.flatnonzero(is_category).tolist(), **settings)
        found, of_class = sampler.fit_resample(cells[labelled], codes[labelled])
        old = int(labelled.sum())
        return np.asarray(found, dtype=np.float64)[old:], np.asarray(of_class)[old:]

    def _check(
        self, inputs: Blocks, targets: Targets, codes: np.ndarray, lacking: np.ndarray, classes: Sequence[Any]
    ) -> None:
        odd = [name for name in inputs if name not in (NUMBERS, CATEGORIES)]
        if odd:
            raise ConfigError(
                f"data.resample: smote makes rows between rows, and input {odd[0]!r} is neither number nor category; "
                "oversample clones rows of any kind"
            )
        ragged = [name for name, values in targets.values.items() if isinstance(values, Ragged)]
        if ragged:
            raise ConfigError(
                f"data.resample: smote makes rows without targets of the other tasks, and those of task {ragged[0]!r} "
                "have no fixed length; oversample clones rows of any kind"
            )
        counts = np.bincount(codes[codes >= 0], minlength=len(classes))
        for code in np.argsort(counts, kind="stable"):
            if lacking[code] and counts[code] <= self.neighbors:
                hint = (
                    f"neighbors: {counts[code] - 1} would do, or oversample" if counts[code] > 1 else "oversample does"
                )
                raise ConfigError(
                    f"data.resample: smote wants more than neighbors={self.neighbors} training rows of a class, and "
                    f"class {classes[code]!r} of task {self.own(targets)!r} has {counts[code]}; {hint}"
                )

    def _targets(self, targets: Targets, codes: np.ndarray, of_class: np.ndarray) -> Targets:
        """The targets with those of the new rows: a class here, nothing elsewhere."""
        template = torch.from_numpy(np.array([int(np.argmax(codes == code)) for code in of_class], dtype=np.int64))
        values: dict[str, Rows] = {}
        present: dict[str, Rows] = {}
        weight: dict[str, Rows] = {}
        for name in targets.values:
            here, there, heavy = targets.values[name], targets.present[name], targets.weight[name]
            assert isinstance(here, torch.Tensor)
            assert isinstance(there, torch.Tensor)
            assert isinstance(heavy, torch.Tensor)
            new_present, new_weight = torch.zeros_like(there[template]), torch.zeros_like(heavy[template])
            if name == self.own(targets):
                new_present[:] = True
                # Rows of a class may weigh differently: a new one weighs what they do on average.
                for code in np.unique(of_class):
                    new_weight[torch.from_numpy(of_class == code)] = heavy[torch.from_numpy(codes == code)].mean()
            values[name] = torch.cat([here, here[template]])
            present[name] = torch.cat([there, new_present])
            weight[name] = torch.cat([heavy, new_weight])
        return Targets(values, present, weight)
