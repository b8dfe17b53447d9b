import math

import pytest
import torch

from polytask.errors import ConfigError
from polytask.train import EarlyStopping
from polytask.train.selection import Selection

NAN = math.nan


def run(selection, epochs):
    """Feeds one dict of skills an epoch; the weights are the epoch's number. Returns the epoch after which it ends."""
    for epoch, skills in enumerate(epochs, start=1):
        selection.update(epoch, skills, {"w": torch.tensor(float(epoch))})
        if selection.is_over(epoch):
            return epoch
    return None


def kept(selection):
    return {name: int(weights["w"]) for name, weights in selection.weights.items()}


EPOCHS = [{"a": 0.1, "b": 0.8}, {"a": 0.5, "b": 0.6}, {"a": 0.6, "b": 0.1}, {"a": 0.2, "b": 0.65}]


@pytest.mark.parametrize(
    ("by", "best"),
    [("mean", 2), ("a", 3), ("b", 1), ({"a": 1.0}, 3), ({"a": 1.0, "b": 9.0}, 1), ({"a": 9.0, "b": 1.0}, 3)],
)
def test_best_weights_for_the_watched_score_and_for_every_task(by, best):
    selection = Selection(["a", "b"], EarlyStopping(by=by, patience=None))
    assert run(selection, EPOCHS) is None
    assert kept(selection) == {"mean": best, "a": 3, "b": 1}
    assert selection.best["a"] == (0.6, 3)


def test_the_watched_score_is_a_weighted_mean():
    selection = Selection(["a", "b"], EarlyStopping(by={"a": 1.0, "b": 3.0}))
    assert selection.watched({"a": 0.2, "b": 0.6}) == pytest.approx(0.5)


def test_kept_weights_are_a_copy():
    selection, weight = Selection(["a"], EarlyStopping()), torch.tensor(1.0)
    selection.update(1, {"a": 0.5}, {"w": weight})
    weight.add_(1)
    assert kept(selection)["mean"] == 1


def test_a_task_without_a_skill_is_left_out_of_the_mean():
    selection = Selection(["a", "b"], EarlyStopping())
    assert selection.watched({"a": 0.3, "b": NAN}) == 0.3
    assert math.isnan(selection.watched({"a": NAN, "b": NAN}))
    assert math.isnan(Selection(["a", "b"], EarlyStopping(by={"b": 1.0})).watched({"a": 0.3, "b": NAN}))


def test_without_any_skill_the_newest_weights_count_as_the_best():
    selection = Selection(["a", "b"], EarlyStopping(patience=2))
    assert run(selection, [{"a": NAN, "b": 0.5}] * 3) == 3
    assert kept(selection) == {"mean": 1, "a": 3, "b": 1}


def test_a_skill_that_appears_later_beats_none_and_a_later_nan_beats_nothing():
    selection = Selection(["a"], EarlyStopping(patience=None))
    run(selection, [{"a": NAN}, {"a": -5.0}, {"a": NAN}, {"a": -6.0}])
    assert kept(selection) == {"mean": 2, "a": 2}


def test_patience_counts_epochs_without_gain():
    selection = Selection(["a"], EarlyStopping(patience=2))
    assert run(selection, [{"a": s} for s in (0.1, 0.2, 0.2, 0.19, 0.5)]) == 4
    assert kept(selection)["mean"] == 2


def test_min_gain():
    skills = [{"a": s} for s in (0.1, 0.14, 0.19, 0.21)]
    selection = Selection(["a"], EarlyStopping(patience=3, min_gain=0.1))
    assert run(selection, skills) is None
    assert kept(selection)["mean"] == 4
    assert run(Selection(["a"], EarlyStopping(patience=2, min_gain=0.1)), skills) == 3


def test_weights_are_kept_for_any_gain_but_patience_counts_the_least_gain_alone():
    selection = Selection(["a"], EarlyStopping(patience=3, min_gain=0.1))
    assert run(selection, [{"a": s} for s in (0.5, 0.55, 0.59, 0.58, 0.7)]) == 4
    assert kept(selection) == {"mean": 3, "a": 3}
    slow = Selection(["a"], EarlyStopping(patience=3, min_gain=0.1))
    assert run(slow, [{"a": s} for s in (0.5, 0.55, 0.59, 0.61, 0.62, 0.63, 0.64)]) == 7, "small gains add up to one"


def test_a_task_without_a_skill_does_not_train_for_ever():
    selection = Selection(["a", "b"], EarlyStopping(patience=2, per_task=True))
    assert run(selection, [{"a": 0.5, "b": NAN}] * 6) == 3
    watching = Selection(["a", "b"], EarlyStopping(patience=2, by="b"))
    assert run(watching, [{"a": 0.5 + epoch, "b": NAN} for epoch in range(6)]) == 3
    assert kept(watching) == {"mean": 3, "a": 3, "b": 3}, "the newest weights, where nothing says which are best"


def test_per_task_one_stops_while_the_other_goes_on():
    selection = Selection(["a", "b"], EarlyStopping(patience=2, per_task=True))
    active = []
    for epoch, (a, b) in enumerate([(0.5, 0.1), (0.4, 0.2), (0.4, 0.3), (0.9, 0.4), (0.9, 0.4), (0.9, 0.4)], start=1):
        selection.update(epoch, {"a": a, "b": b}, {"w": torch.tensor(float(epoch))})
        active.append(list(selection.active))
        if selection.is_over(epoch):
            break
    assert active == [["a", "b"], ["a", "b"], ["b"], ["b"], ["b"], []]
    assert kept(selection)["a"] == 1, "a stopped task's later scores are not its own work"
    assert kept(selection)["mean"] == 4


def test_state_round_trip():
    one = Selection(["a", "b"], EarlyStopping(patience=2, per_task=True))
    run(one, EPOCHS[:3])
    other = Selection(["a", "b"], one.settings)
    other.restore(one.state(), one.weights)
    assert (other.best, other.active, kept(other)) == (one.best, one.active, kept(one))
    assert other.state() == one.state()
    for selection in (one, other):
        selection.update(4, EPOCHS[3], {"w": torch.tensor(4.0)})
    assert other.state() == one.state()


def test_by_nobody():
    with pytest.raises(ConfigError, match=r"early_stopping\.by: 'pirce' is no task; did you mean 'price'\?"):
        Selection(["price"], EarlyStopping(by="pirce"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"patience": 0}, "patience=0"),
        ({"min_gain": -1.0}, "min_gain"),
        ({"by": {"a": -1.0, "b": 2.0}}, "none negative"),
        ({"by": {"a": 0.0}}, "not all 0"),
        ({"by": {}}, "not all 0"),
        ({"patience": None, "per_task": True}, "per_task has no effect without a patience"),
    ],
)
def test_settings_that_cannot_be(settings, says):
    with pytest.raises(ValueError, match=says):
        EarlyStopping(**settings)
