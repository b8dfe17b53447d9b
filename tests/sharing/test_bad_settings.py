"""Settings of sharing schemes and regularizers that cannot be: one sentence each, and nothing written."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt

NAMES = ["price", "sold", "grade"]
TASKS = [pt.Regression("price"), pt.Classification("sold"), pt.Classification("grade")]
NORMED, COSMOS = {"encoder": {"mlp": {"batch_norm": True}}}, {"balancer": "cosmos"}

SHARING = [
    ("mmoee", {}, "did you mean 'mmoe'"),
    ({"mmoe": {"expert": 3}}, {}, "did you mean 'experts'"),
    ({"mmoe": {"experts": "four"}}, {}, "a whole number is wanted"),
    ({"mmoe": {"experts": 0}}, {}, "there are no experts"),
    ({"mmoe": {"split": 9}}, {}, "needs 10 stages or more, but the encoder has 3"),
    ({"mmoe": {"dropout": float("nan")}}, {}, "neither NaN nor infinite"),
    ({"top_k": {"experts": 4, "k": 5}}, {}, "k=5 of 4 experts"),
    ({"dselect_k": {"experts": 4, "k": 5}}, {}, "k=5 of 4 experts"),
    ({"ple": {"levels": 9}}, {}, "9 levels of experts needs 10 stages"),
    ({"hard": {"split": -1}}, {}, "0 to 3"),
    ({"soft": {"weight": [1, 2]}}, {}, "2 weights, but the encoder has 3 stages"),
    ({"branching": {"tree": [[["price", "sold"]]]}}, {}, "lacks task 'grade'"),
    ({"branching": {"tree": [[["price", "sold", "grad"]]]}}, {}, "names task 'grad'"),
    ({"branching": {"tree": [[["price"], ["sold", "grade"]], [NAMES]]}}, {}, "has parted"),
    ({"branching": {"tree": [[NAMES]] * 5}}, {}, "5 partitions, but the encoder has 3 stages"),
    ({"branching": {"tree": NAMES}}, {}, "a list of lists of text is wanted"),
    ({"cross_stitch": {"stages": [9]}}, {}, "0 to 2"),
    ({"film": {"stages": 1}}, {}, r"write \[1\]"),
    ({"lora": {"stages": [0]}}, {}, "condition others"),
    ("task_norm", {}, "batch_norm: true"),
    ({"task_norm": {"groups": [["price", "sold"], ["grad"]]}}, NORMED, "did you mean 'grade'"),
    ("preference_conditioned", {}, "balancer: cosmos"),
    ({"preference_conditioned": {"preference": {"price": 1, "sold": 1}}}, COSMOS, "no preference for task 'grade'"),
    ({"own_encoders": {"encoders": {"pric": "mlp"}}}, {}, "did you mean 'price'"),
    ("shared_private", {}, "adversarial: 0"),
    ({"joint_many_task": {"order": ["price", "sold"]}}, {}, "names every task once"),
    ({"aitm": {"order": ["price", "sold", "grad"]}}, {}, "did you mean 'grade'"),
    ("rotograd", {"agenda": "alternating"}, "every step trains one task alone"),
]

REGULARIZERS = [
    (["output_agreement"], "'price' is no classification"),
    ([{"output_agreement": {"tasks": ["sold", "grade"]}}], "different classes"),
    (["deep_relationship"], "heads of tasks 'grade' and 'price'"),
    (["ordered_outputs"], "order is missing"),
    ([{"ordered_outputs": {"order": ["sold", "grade"]}}], "'grade' is no classification of two classes"),
    ("output_agreement", "a list is wanted"),
]


@pytest.fixture(scope="module")
def table():
    x = np.random.default_rng(0).normal(size=60)
    grade = np.select([x < -0.5, x < 0.5], ["low", "mid"], "high")
    return pd.DataFrame({"x": x, "y": -x[::-1], "price": 2 * x, "sold": np.where(x > 0, "yes", "no"), "grade": grade})


def refused(table, folder, wanted, **choices):
    with pytest.raises(ValueError, match=wanted) as caught:
        pt.fit(table, TASKS, folder=folder, epochs=1, quiet=True, **choices)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


@pytest.mark.parametrize(("sharing", "others", "wanted"), SHARING, ids=lambda value: str(value)[:40])
def test_sharing(table, tmp_path, sharing, others, wanted):
    refused(table, tmp_path / "run", wanted, sharing=sharing, **others)


@pytest.mark.parametrize(("regularizers", "wanted"), REGULARIZERS, ids=lambda value: str(value)[:40])
def test_regularizers(table, tmp_path, regularizers, wanted):
    refused(table, tmp_path / "run", wanted, regularizers=regularizers)


@pytest.mark.parametrize("sharing", ["cross_stitch", "nddr", "rotograd", "preference_conditioned"])
def test_schemes_that_need_one_table_refuse_several(table, tmp_path, sharing):
    tables = {task.name: table[["x", "y", task.name]] for task in TASKS}
    others = COSMOS if sharing == "preference_conditioned" else {}
    with pytest.raises(ValueError, match="one table") as caught:
        pt.fit(tables, TASKS, sharing=sharing, folder=tmp_path / "run", epochs=1, quiet=True, **others)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
