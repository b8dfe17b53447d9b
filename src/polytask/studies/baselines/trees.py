"""Gradient-boosted trees of scikit-learn: the baseline that needs no further package."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from polytask.ragged import Blocks
from polytask.studies.baselines.baseline import Baseline, Learnt, Lesson, Matrix
from polytask.studies.baselines.columns import MOST_LEVELS, TreeColumns

#: Rounds at most, and rounds without a better validation loss before it stops.
MOST_ROUNDS, PATIENCE = 500, 30


class Trees(Baseline):
    """Histogram gradient boosting: learning rate .05, up to 500 rounds, those that are best on validation rows kept.

    Categories are split as sets of levels, at most 255 a column, the rarest of more in one. Leaves of 5 and of 20 rows
    at least are tried: 20 leave a small table without splits. It has no chance in it.

    Paper: G. Ke and others, LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017.
    """

    for_classes: ClassVar[tuple[Mapping[str, Any], ...]] = ({"min_samples_leaf": 20}, {"min_samples_leaf": 5})
    for_numbers: ClassVar[tuple[Mapping[str, Any], ...]] = for_classes
    is_deterministic: ClassVar[bool] = True

    def __init__(self, inputs: Blocks) -> None:
        self.columns = TreeColumns(inputs, MOST_LEVELS)

    def matrix(self, inputs: Blocks) -> Matrix:
        """Dense, categories first."""
        return self.columns(inputs)

    def learn(self, lesson: Lesson, setting: Mapping[str, Any], seed: int) -> Learnt:
        """One model; without validation rows it runs for 100 rounds."""
        shared = dict(
            learning_rate=0.05,
            max_iter=MOST_ROUNDS if lesson.has_validation else 100,
            early_stopping=lesson.has_validation,
            n_iter_no_change=PATIENCE,
            tol=0.0,
            categorical_features=self.columns.is_category,
            random_state=0,
            **setting,
        )
        if lesson.num_classes:
            model = HistGradientBoostingClassifier(**shared)
        else:
            model = HistGradientBoostingRegressor(
                loss="absolute_error" if lesson.is_absolute else "squared_error", **shared
            )
        judged = (lesson.validation, lesson.validation_target) if lesson.has_validation else (None, None)
        model.fit(lesson.rows, lesson.target, X_val=judged[0], y_val=judged[1])
        # The first entry is of no round at all.
        rounds = max(int(np.argmax(model.validation_score_)), 1) if lesson.has_validation else model.n_iter_
        staged = model.staged_decision_function if lesson.num_classes else model.staged_predict

        def scores(rows: Matrix) -> np.ndarray:
            found: np.ndarray = next(islice(staged(rows), rounds - 1, None))
            return found.ravel() if lesson.num_classes < 3 else found

        return scores
