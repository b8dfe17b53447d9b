"""Gradient-boosted trees of LightGBM."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from polytask.ragged import Blocks
from polytask.studies.baselines.baseline import Baseline, Learnt, Lesson, Matrix
from polytask.studies.baselines.columns import TreeColumns

#: Rounds at most, and rounds without a better validation loss before it stops.
MOST_ROUNDS, PATIENCE = 500, 30


class LightGBM(Baseline):
    """LightGBM: learning rate .05, rows and columns sampled .8, up to 500 rounds, the best on validation rows kept.

    Leaves of 5 and of 20 rows at least are tried. It runs on as many threads as torch does; the result does not depend
    on their number.

    Raises:
        MissingExtraError: LightGBM is not installed.

    Paper: G. Ke and others, LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017.
    """

    for_classes: ClassVar[tuple[Mapping[str, Any], ...]] = ({"min_child_samples": 20}, {"min_child_samples": 5})
    for_numbers: ClassVar[tuple[Mapping[str, Any], ...]] = for_classes
    is_deterministic: ClassVar[bool] = False

    requires: ClassVar[tuple[str, str] | None] = ("lightgbm", "gbdt")

    def __init__(self, inputs: Blocks) -> None:
        self.check_installed()
        import lightgbm

        self.lightgbm = lightgbm
        self.columns = TreeColumns(inputs)

    def matrix(self, inputs: Blocks) -> Matrix:
        """Dense, categories first."""
        return self.columns(inputs)

    def learn(self, lesson: Lesson, setting: Mapping[str, Any], seed: int) -> Learnt:
        """One model; without validation rows it runs for 100 rounds."""
        parameters = {
            **_objective(lesson),
            **setting,
            "learning_rate": 0.05,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "feature_fraction": 0.8,
            "seed": seed % 2**31,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": torch.get_num_threads(),
            "verbosity": -1,
        }
        training = self._dataset(lesson.rows, lesson.target)
        stopping: dict[str, Any] = {}
        if lesson.has_validation:
            judged = self._dataset(lesson.validation, lesson.validation_target, training)
            stop = self.lightgbm.early_stopping(PATIENCE, verbose=False)
            stopping = {"valid_sets": [judged], "callbacks": [stop]}
        rounds = MOST_ROUNDS if lesson.has_validation else 100
        model = self.lightgbm.train(parameters, training, rounds, **stopping)
        # Its best iteration is 0 where nothing stopped it: then all rounds count.
        return lambda rows: np.asarray(model.predict(rows, raw_score=True, num_iteration=model.best_iteration or None))

    def _dataset(self, rows: Matrix, target: np.ndarray, reference: Any = None) -> Any:
        return self.lightgbm.Dataset(
            rows, target, reference=reference, categorical_feature=self.columns.is_category.tolist()
        )


def _objective(lesson: Lesson) -> dict[str, Any]:
    if lesson.num_classes > 2:
        return {"objective": "multiclass", "num_class": lesson.num_classes}
    if lesson.num_classes:
        return {"objective": "binary"}
    return {"objective": "l1" if lesson.is_absolute else "l2"}
