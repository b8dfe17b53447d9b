"""Every baseline on every kind of task: its output is the task's own, better than a constant, and honest."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from polytask.errors import ConfigError, MissingExtraError
from polytask.feature import NUMBERS
from polytask.studies.baselines import BASELINES, Rows, can_do, fit_baseline
from polytask.tasks import TASKS as KINDS
from polytask.tasks import Classification, Multilabel, Ordinal, Regression


def needs_lightgbm(name):
    if name == "lightgbm":
        pytest.importorskip("lightgbm")


@pytest.fixture(params=BASELINES)
def name(request):
    needs_lightgbm(request.param)
    return request.param


def fit(name, found, seed=0, **changes):
    rows = {part: changes.get(part, found.rows(part)) for part in ("training", "validation")}
    return fit_baseline(name, found.task, found.fitted, rows["training"], rows["validation"], seed)


def test_its_output_is_the_tasks_own_and_better_than_a_constant(name, given_):
    found = fit(name, given_)
    test = given_.rows("test")
    output = found.outputs(test.inputs)
    assert output.dtype == torch.float32
    assert output.shape == given_.task.constant(given_.fitted, len(test.target)).shape
    assert torch.isfinite(output).all()
    assert given_.skill(output) > 0.4
    assert found.validation_skill == pytest.approx(
        given_.skill(found.outputs(given_.rows("validation").inputs), "validation")
    )
    # The network's loss, decoding and probabilities read it too.
    total, count = given_.task.loss(output, test.target, test.present, torch.ones(test.present.shape))
    constant = given_.task.constant(given_.fitted, len(output))
    worst, _ = given_.task.loss(constant, test.target, test.present, torch.ones(test.present.shape))
    assert total / count < worst / count
    assert all(len(column) == len(output) for column in given_.task.decode(output, given_.fitted).values())
    probabilities = given_.task.probabilities(output, given_.fitted)
    if probabilities and given_.task.kind != "multilabel":
        np.testing.assert_allclose(sum(probabilities.values()), 1, rtol=1e-5)
    assert found.seconds > 0
    assert found.setting in [dict(s) for s in (*found.baseline.for_classes, *found.baseline.for_numbers)]


@pytest.mark.parametrize("task", ["number", "three classes"])
def test_a_seed_settles_it(name, task, case):
    found = case(task)
    inputs = found.rows("test").inputs
    first, again, other = (fit(name, found, seed) for seed in (0, 0, 1))
    assert torch.equal(first.outputs(inputs), again.outputs(inputs))
    if first.is_deterministic:
        assert torch.equal(first.outputs(inputs), other.outputs(inputs))
    else:
        assert not torch.equal(first.outputs(inputs), other.outputs(inputs))


def test_validation_rows_are_not_learnt_from(name, case):
    """Labels there choose and stop, no more."""
    found = case("number")
    validation = found.rows("validation")
    without = Rows(validation.inputs, validation.target, torch.zeros_like(validation.present))
    inputs = found.rows("test").inputs
    if name == "linear":
        wrong = dataclasses.replace(validation, target=-validation.target)
        first, other = fit(name, found), fit(name, found, validation=wrong)
        assert other.setting == {"alpha": 1000.0}  # all answers wrong: the nearest to none is best
        assert first.setting != other.setting
    # Without any label the first setting is kept, boosting runs for a fixed number of rounds, and the skill is unknown.
    blind = fit(name, found, validation=without)
    assert blind.setting == dict(blind.baseline.for_numbers[0])
    assert np.isnan(blind.validation_skill)
    assert found.skill(blind.outputs(inputs)) > 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_without_a_baseline_are_refused(kind):
    task = KINDS[kind]("target")
    assert all(can_do(name, task) == (kind not in ("similarity", "tagging")) for name in BASELINES)
    assert not can_do("forest", task)
    rows = Rows({NUMBERS: torch.zeros(2, 1)}, torch.zeros(2), torch.ones(2, dtype=torch.bool))
    if kind in ("similarity", "tagging"):
        said = f"task 'target': the baseline 'trees' knows no {kind} task; it does classification, multilabel"
        with pytest.raises(ConfigError, match=said):
            fit_baseline("trees", task, {}, rows, rows)
    with pytest.raises(ConfigError, match="unknown baseline 'tree'; did you mean 'trees'"):
        fit_baseline("tree", task, {}, rows, rows)


def test_a_missing_package_is_named_with_its_extra(monkeypatch, case):
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(
        MissingExtraError, match=r"the baseline 'lightgbm' needs lightgbm.*pip install 'polytask\[gbdt\]'"
    ):
        fit("lightgbm", case("number"))


def test_a_label_of_one_value_is_its_constant(name, case):
    found = case("labels")
    output = fit(name, found).outputs(found.rows("test").inputs)
    constant = found.task.constant(found.fitted, len(output))
    assert torch.equal(output[:, 2], constant[:, 2])
    assert (output[:, :2].std(dim=0) > 0).all()


def test_a_class_without_training_rows_is_all_but_impossible(name, case):
    found = case("order")
    output = fit(name, found).outputs(found.rows("test").inputs)
    probabilities = found.task.probabilities(output, found.fitted)
    assert max(probabilities["order[never]"]) < 0.01
    assert found.scores(output)["accuracy"] > 0.6


def test_a_class_that_only_validation_has_is_left_out(name, case):
    found = case("order")
    validation = found.rows("validation")
    target = torch.where(torch.arange(len(validation.target)) % 5 == 0, 3, validation.target)
    fitted = fit(name, found, validation=dataclasses.replace(validation, target=target))
    assert found.skill(fitted.outputs(found.rows("test").inputs)) > 0.4


def test_the_choice_is_by_the_primary_metric_on_validation_rows(monkeypatch, name, case):
    """A metric that only the last setting pleases makes it the choice."""
    found = case("two classes")
    num_settings = len(BASELINES[name].for_classes)
    asked = []

    def score(output, target, present, fitted):
        asked.append(output)
        return float(len(asked) % num_settings == 0)

    metric = dataclasses.replace(found.task.primary_metric(found.fitted), score=score)
    monkeypatch.setattr(type(found.task), "primary_metric", lambda self, fitted: metric)
    assert fit(name, found).setting == dict(BASELINES[name].for_classes[-1])


def test_an_undefined_metric_leaves_the_choice_to_the_loss(name, case):
    """ROC-AUC of validation rows of one class alone."""
    found = case("two classes")
    validation = found.rows("validation")
    one = dataclasses.replace(validation, present=validation.present & (validation.target == 1))
    fitted = fit(name, found, validation=one)
    assert np.isnan(fitted.validation_skill)
    assert found.skill(fitted.outputs(found.rows("test").inputs)) > 0.4


def test_pictures_are_read(name, pictures):
    task, fitted = Classification("side"), {"classes": [0, 1], "counts": [100, 100]}
    training, validation, test = (pictures(seed=seed) for seed in range(3))
    found = fit_baseline(name, task, fitted, training, validation)
    assert task.evaluate(found.outputs(test.inputs), test.target, test.present, fitted)["roc_auc"] > 0.95


def test_categories_of_more_levels_than_trees_take(name, case, frame_of):
    rng = np.random.default_rng(0)
    frame = frame_of(1500)
    levels = rng.integers(0, 700, 1500)
    frame["city"] = np.char.add("c", levels.astype(str))
    frame["two"] = (levels < 350).astype(float)
    found = case(Classification("two"), frame=frame)
    output = fit(name, found).outputs(found.rows("test").inputs)
    assert found.scores(output)["roc_auc"] > 0.5


def test_few_rows_are_learnt_from(name, case, frame_of):
    frame = frame_of(40)
    for task in (Regression("number"), Classification("three"), Ordinal("order", order=("low", "mid", "high"))):
        found = case(task, frame=frame)
        assert torch.isfinite(fit(name, found).outputs(found.rows("test").inputs)).all()


def test_inputs_and_outputs_against_scikit_learn_by_hand():
    """The linear baseline of numbers alone is ridge on standardised columns."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    X = rng.normal(3, [1, 5, 0.1], (90, 3)).astype(np.float32)
    y = X @ np.array([1.0, 0.2, 3.0]) + rng.normal(size=90)
    task = Regression("y")
    fitted = task.fit(y[:60], np.ones(60, dtype=bool))
    target, present = task.encode(y, np.ones(90, dtype=bool), fitted)
    rows = [
        Rows({NUMBERS: torch.from_numpy(X[part])}, target[part], present[part]) for part in (slice(60), slice(60, 90))
    ]
    found = fit_baseline("linear", task, fitted, *rows)
    expected = make_pipeline(StandardScaler(), Ridge(**found.setting)).fit(X[:60], target[:60].numpy())
    np.testing.assert_allclose(found.outputs(rows[1].inputs), expected.predict(X[60:]), rtol=1e-4, atol=1e-5)
    decoded = task.decode(found.outputs(rows[1].inputs), fitted)["y"]
    assert np.corrcoef(decoded, y[60:])[0, 1] > 0.7


def test_real_numbers_of_two_targets(shared_data, name):
    """Mulan's enb: 768 buildings, 8 numbers; a ridge has an RRMSE of .31, boosting of about .09."""
    table = pd.read_parquet(shared_data / "mulan_mtr" / "enb.parquet")
    columns = [column for column in table if not column.startswith("target__")]
    target_name = next(column for column in table if column.startswith("target__"))
    order = np.random.default_rng(0).permutation(len(table))
    parts = np.split(order, [460, 614])
    task = Regression("heat")
    values = table[target_name].to_numpy()
    fitted = task.fit(values[parts[0]], np.ones(460, dtype=bool))
    target, present = task.encode(values, np.ones(len(values), dtype=bool), fitted)
    inputs = torch.from_numpy(table[columns].to_numpy(np.float32))
    training, validation, test = (
        Rows({NUMBERS: inputs[p]}, target[p], present[p]) for p in map(torch.from_numpy, parts)
    )
    found = fit_baseline(name, task, fitted, training, validation)
    r2 = task.evaluate(found.outputs(test.inputs), test.target, test.present, fitted)["r2"]
    assert np.sqrt(1 - r2) < (0.35 if name == "linear" else 0.08)


def test_a_multilabel_task_of_lists(name, case):
    found = case(Multilabel("names"))
    output = fit(name, found).outputs(found.rows("test").inputs)
    assert output.shape[1] == 2
    assert found.scores(output)["macro_roc_auc"] > 0.9
