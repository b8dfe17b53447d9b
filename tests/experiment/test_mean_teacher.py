"""A mean teacher in a whole training: which rows serve which tasks, that it resumes, and what it refuses."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_moons

import polytask as pt
from polytask.errors import ConfigError

MIXED = {"mlp": {"widths": [8, 4], "dropout": 0.2}}


@pytest.fixture
def few(houses):
    """Houses a third of which nobody has labelled."""
    frame = houses.copy()
    frame.loc[64:, ["price", "sold"]] = None
    return frame


@pytest.fixture
def steps(monkeypatch):
    """What every step's teacher is asked: the tasks, and how many rows have no label at all."""
    found = []
    module = sys.modules["polytask.train.mean_teacher"]
    asks = module.AveragedTeacher.asks

    def asked(self, names, batch):
        names = asks(self, names, batch)
        found.append((tuple(names), batch.labelled, batch.num_rows))
        return names

    monkeypatch.setattr(module.AveragedTeacher, "asks", asked)
    return found


def test_rows_without_any_label_train_along(fit, few, steps):
    run = fit(few, mean_teacher={}, epochs=1, encoder=MIXED)
    whole = run.split().counts()
    assert whole["dropped"] == 32
    assert sum(rows for _, labelled, rows in steps if not labelled) >= 32
    assert {names for names, _, _ in steps} == {("price", "sold")}
    assert run.history["consistency"].iloc[0] > 0
    assert "penalty" not in run.history
    assert "tarvainen2017" in run.cite()


def test_every_table_serves_the_tasks_whose_inputs_it_has(fit, houses, steps):
    price, sold = houses[["rooms", "age", "area", "price"]], houses[["rooms", "age", "sold"]]
    fit({"price": price, "sold": sold}, mean_teacher={}, epochs=1, encoder=MIXED)
    assert {(names, labelled) for names, labelled, _ in steps} == {
        (("price", "sold"), ("price",)),  # it has all that sold reads
        (("sold",), ("sold",)),  # it lacks the area
    }


def test_a_label_in_another_tasks_table_is_none(fit, houses, steps):
    price, sold = houses[["rooms", "age", "price", "sold"]], houses[["rooms", "age", "sold", "price"]]
    fit({"price": price, "sold": sold}, mean_teacher={}, epochs=1, encoder=MIXED)
    assert {labelled for _, labelled, _ in steps} == {("price",), ("sold",)}


@pytest.mark.parametrize("split", [{"by_group": "street"}, {"by_time": "street"}])
def test_held_out_groups_and_times_do_not_train_along(fit, few, steps, split):
    few["street"] = np.arange(len(few)) % 8
    run = fit(few, mean_teacher={}, epochs=1, split=split, batch_size=16)
    parts = run.split().parts
    held = few["street"][parts > 0]
    is_held = few["street"].isin(held) if "by_group" in split else few["street"] >= held.min()
    free = ((parts == -1) & ~is_held).sum()
    assert 1 < free < 32
    unlabelled = [rows for _, labelled, rows in steps if not labelled]
    assert set(np.unique(unlabelled)) <= {free, 16, free - 16, 16 + free % 16}
    assert max(unlabelled) <= free


def test_a_killed_training_goes_on_bit_for_bit(fit, few, monkeypatch):
    settings = {"mean_teacher": {}, "epochs": 3, "encoder": MIXED, "augment": ["noise"]}
    whole = fit(few, folder="whole", **settings)
    module = sys.modules["polytask.train.loop"]
    save = module.save_checkpoint

    def killed(session, folder):
        save(session, folder)
        if session.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(few, **settings)
    monkeypatch.setattr(module, "save_checkpoint", save)
    again = fit(few, **settings)
    drop = ["timing.seconds", "timing.rows_per_second"]
    pd.testing.assert_frame_equal(again.history.drop(columns=drop), whole.history.drop(columns=drop))
    pd.testing.assert_frame_equal(again.predict(few), whole.predict(few))


def test_the_teacher_sees_augmented_rows_under_another_draw(fit, few, monkeypatch):
    seen = []
    module = sys.modules["polytask.train.mean_teacher"]
    compare = module.AveragedTeacher.compare

    def watched(self, batch, outputs):
        seen.append(batch)
        compare(self, batch, outputs)

    monkeypatch.setattr(module.AveragedTeacher, "compare", watched)
    fit(few, mean_teacher={}, epochs=1, augment=["noise"])
    assert all(batch.second is not None for batch in seen)
    assert all(not (batch.second["<numbers>"] == batch.inputs["<numbers>"]).all() for batch in seen)
    seen.clear()
    fit(few, mean_teacher={}, epochs=1, augment=["mixup"], folder="mixed")
    assert all(batch.second is None for batch in seen)


def test_it_goes_with_pseudo_labels(fit, few):
    run = fit(few, mean_teacher={}, pseudo_labels={"confidence": 0.0}, encoder=MIXED)
    assert run.folder.read_json("run.json")["borrowed"]["sold"] == 32
    assert run.history["consistency"].notna().all()


def test_what_cannot_be_is_a_sentence(fit, few, houses):
    with pytest.raises(ConfigError, match=r"mean_teacher: every row serves all tasks, but this agenda .* agenda joint"):
        fit(few, mean_teacher={}, agenda="alternating")
    with pytest.raises(ConfigError, match="draws a preference for each"):
        fit(few, mean_teacher={}, sharing="preference_conditioned", balancer="cosmos")
    tables = {"price": houses[["rooms", "age", "price"]], "sold": houses[["rooms", "age", "sold"]]}
    with pytest.raises(ConfigError, match=r"train.mean_teacher: every row serves all tasks whose inputs it has; "):
        fit(tables, mean_teacher={}, sharing="shared_private")


def test_it_is_said_how_many_rows_serve(fit, few, capsys):
    fit(few, mean_teacher={}, epochs=1, quiet=False)
    assert "32 of 32 rows without any label serve mean_teacher" in capsys.readouterr().err


@pytest.mark.parametrize("sharing", ["mmoe", "cross_stitch", "mtan", "top_k"])
def test_schemes_and_balancers_go_with_it(fit, few, sharing):
    run = fit(few, mean_teacher={}, epochs=1, sharing=sharing, balancer="pcgrad")
    assert run.history["consistency"].iloc[0] >= 0


def test_a_yaml_writes_it(fit, few):
    run = fit(few, mean_teacher={"weight": 2.0}, epochs=1)
    assert "mean_teacher: {weight: 2.0}" in (run.path / "config.yaml").read_text().replace("\n      ", "")


@pytest.mark.slow
def test_two_half_moons_are_told_apart_by_ten_labels_and_many_rows_without(fit):
    """Beside the plain training with the same noise, of as many steps at least as it needs."""
    task, gains = pt.Classification("moon", primary="log_loss"), []
    for seed in range(3):
        points, moon = make_moons(2080, noise=0.1, random_state=seed)
        frame = pd.DataFrame(points, columns=["a", "b"]).assign(moon=np.where(moon > 0, "up", "low"))
        generator = np.random.default_rng(seed)
        labelled = [generator.permutation(np.flatnonzero(moon[:1000] == side))[:5] for side in (0, 1)]
        train, judged = frame.iloc[:1040].assign(cut="train"), frame.iloc[1040:]
        train.loc[1000:, "cut"] = "validation"
        train.loc[np.setdiff1d(np.arange(1000), np.concatenate(labelled)), "moon"] = None
        settings = {
            "encoder": {"mlp": {"widths": [32, 32], "dropout": 0.0}},
            "augment": [{"noise": {"deviation": 0.15}}],
            "learning_rate": 0.02,
            "early_stopping": {"patience": None},
            "split": {"column": "cut"},
            "seed": seed,
        }
        plain = fit(train, [task], f"plain{seed}", epochs=80, batch_size=None, **settings)
        teacher = {"weight": 10.0, "decay": 0.9, "ramp": 0.5}
        taught = fit(train, [task], f"taught{seed}", epochs=50, batch_size=128, mean_teacher=teacher, **settings)
        right = [run.predict(judged)["moon"].eq(judged["moon"]).mean() for run in (plain, taught)]
        gains.append(right[1] - right[0])
    assert min(gains) > 0
    assert np.mean(gains) > 0.02
