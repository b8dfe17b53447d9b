"""Linear models: ridge regression, logistic regression."""

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from polytask.ragged import Blocks
from polytask.studies.baselines.baseline import Baseline, Learnt, Lesson, Matrix
from polytask.studies.baselines.columns import LinearColumns

#: Steps of the solver; what has not settled by then is judged as it is.
MOST_STEPS = 1000


class Linear(Baseline):
    """Ridge regression for numbers, (multinomial) logistic regression for classes.

    Categories are one-hot, numbers standardised. The strength of the penalty is chosen on validation rows: C of
    .01, .1, 1, 10 for classes, alpha of .01, .1, … 1000 for numbers. Numbers are fitted by squared error, whatever
    judges them.
    """

    for_classes: ClassVar[tuple[Mapping[str, Any], ...]] = tuple({"C": C} for C in (1.0, 0.1, 0.01, 10.0))
    for_numbers: ClassVar[tuple[Mapping[str, Any], ...]] = tuple(
        {"alpha": alpha} for alpha in (1.0, 10.0, 100.0, 1000.0, 0.1, 0.01)
    )
    is_deterministic: ClassVar[bool] = True

    def __init__(self, inputs: Blocks) -> None:
        self.columns = LinearColumns(inputs)

    def matrix(self, inputs: Blocks) -> Matrix:
        """One-hot and standardised."""
        return self.columns(inputs)

    def learn(self, lesson: Lesson, setting: Mapping[str, Any], seed: int) -> Learnt:
        """One model."""
        if not lesson.num_classes:
            ridge = Ridge(**setting).fit(lesson.rows, lesson.target)
            return lambda rows: np.asarray(ridge.predict(rows))
        model = LogisticRegression(**setting, max_iter=MOST_STEPS)
        with warnings.catch_warnings():
            # A weak penalty on classes that can be separated has no near optimum: stopping early is a penalty too,
            # and validation rows judge what it gave.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(lesson.rows, lesson.target)
        return lambda rows: np.asarray(model.decision_function(rows))
