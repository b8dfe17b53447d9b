"""Tasks of every kind with rows that can be learnt from, encoded as a network would get them."""

import numpy as np
import pandas as pd
import pytest
import torch

from polytask.data import Preprocessor, Table, encode_targets, fit_task
from polytask.feature import InputSpec
from polytask.studies.baselines import Rows
from polytask.tasks import Classification, Multilabel, Ordinal, Regression

TASKS = {
    "two classes": Classification("two"),
    "three classes": Classification("three"),
    "number": Regression("number"),
    "number, absolute": Regression("number", primary="mae"),
    "order": Ordinal("order", order=("low", "mid", "high", "never")),
    "labels": Multilabel("labels", columns=("two", "rare", "always")),
    "names": Multilabel("names"),
}


def make_frame(num_rows, seed=0):
    """Two numbers and a category decide everything; a fifth of the targets is missing."""
    rng = np.random.default_rng(seed)
    a, b, city = rng.normal(size=num_rows), rng.normal(size=num_rows), rng.choice(list("uvwxyz"), num_rows)
    score = a + 0.5 * b + np.where(city < "w", 1.0, -0.5)
    targets = pd.DataFrame(
        {
            "two": (score > 0).astype(float),
            "three": np.digitize(score, [-0.7, 0.7]).astype(float),
            "number": 100 + 20 * score + rng.normal(size=num_rows),
            "order": np.array(["low", "mid", "high"], dtype=object)[np.digitize(score, [-0.7, 0.7])],
            "rare": (score > 1.5).astype(float),
            "always": 1.0,
            "names": [["p"] * bool(s > 0) + ["q"] * bool(s < 1) for s in score],
        }
    )
    hidden = rng.random(targets.shape) < 0.2
    inputs = pd.DataFrame({"a": np.where(rng.random(num_rows) < 0.05, np.nan, a), "b": b, "city": city})
    return pd.concat([inputs, targets.mask(hidden)], axis=1)


class Given:
    """One task: rows to learn from, to choose by, and to be judged on."""

    def __init__(self, task, num_rows=600, frame=None):
        self.task = task
        self.table = Table(make_frame(num_rows) if frame is None else frame)
        order = np.random.default_rng(1).permutation(self.table.num_rows)
        cuts = [int(0.6 * len(order)), int(0.8 * len(order))]
        self.parts = dict(zip(("training", "validation", "test"), np.split(order, cuts), strict=True))
        self.fitted = fit_task(self.table, task, self.parts["training"])
        self.preprocessor = Preprocessor.fit(self.table, ["a", "b", "city"], self.parts["training"])

    @property
    def spec(self) -> InputSpec:
        return self.preprocessor.spec

    def rows(self, part):
        chosen = self.parts[part]
        targets = encode_targets(self.table, [self.task], {self.task.name: self.fitted}, chosen)
        name = self.task.name
        return Rows(self.preprocessor.transform(self.table, chosen), targets.values[name], targets.present[name])

    def scores(self, output, part="test"):
        rows = self.rows(part)
        return self.task.evaluate(output, rows.target, rows.present, self.fitted)

    def skill(self, output, part="test"):
        primary = self.task.primary_metric(self.fitted).name
        constant = self.task.constant(self.fitted, len(output))
        values = [self.scores(found, part)[primary] for found in (output, constant)]
        return self.task.skill(*values, self.fitted)


def picture_rows(num_rows=200, size=(1, 6, 6), seed=0):
    """Pictures whose left half is bright where the answer is yes."""
    rng = np.random.default_rng(seed)
    answer = rng.integers(0, 2, num_rows)
    pixels = rng.normal(size=(num_rows, *size)).astype(np.float32)
    pixels[answer == 1, :, :, : size[2] // 2] += 1.0
    return Rows({"photo": torch.from_numpy(pixels)}, torch.from_numpy(answer), torch.ones(num_rows, dtype=torch.bool))


@pytest.fixture(params=TASKS)
def given_(request):
    return Given(TASKS[request.param])


@pytest.fixture
def case():
    """`case(task or its name here, frame=…)`."""
    return lambda task, **settings: Given(TASKS.get(task, task) if isinstance(task, str) else task, **settings)


@pytest.fixture
def frame_of():
    return make_frame


@pytest.fixture
def pictures():
    return picture_rows
