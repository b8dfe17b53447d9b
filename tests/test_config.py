"""Written choices: what is taken, what is refused and in which words, and that nothing is lost on the way."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.config import (
    AnyFloat,
    Choice,
    Source,
    as_choice,
    build,
    check_settings,
    check_value,
    choose,
    name_of,
    plain,
    settings_of,
    written,
)
from polytask.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Stopping:
    patience: int = 5
    by: Literal["mean", "task"] = "mean"


@dataclass(frozen=True)
class Settings:
    name: str
    _: KW_ONLY
    epochs: int = 20
    rate: float = 1e-3
    widths: tuple[int, ...] = (256, 128)
    reads: int | tuple[int, ...] = -1
    stopping: Stopping | None = None
    share: float | Literal["all"] = "all"
    by_task: dict[str, float] = field(default_factory=dict)
    folder: Path = Path()
    nested: tuple[Stopping, ...] = ()

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs is at least 0, got {self.epochs}")


class Sum:
    with_ = classmethod(choose)

    def __init__(self, tasks: list[str]) -> None:
        self.tasks = tasks


class CAGrad:
    with_ = classmethod(choose)

    def __init__(
        self,
        tasks: list[str],
        *,
        c: float = 0.5,
        rescale: bool = True,
        engine: Any = None,
        steps: "int | None" = None,
    ) -> None:
        self.tasks, self.c, self.rescale, self.steps = tasks, c, rescale, steps


BALANCERS: dict[str, type] = {"sum": Sum, "cagrad": CAGrad}
SOURCE = Source("run.yaml", {("train",): 3, ("train", "epochs"): 4, ("train", "widths"): 5, ("balancer",): 9})


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (float, 0.5, 0.5),
        (bool, False, False),
        (str, "", ""),
        (int | None, None, None),
        (int | float, 3, 3),
        (float | int, 3, 3),
        (float | None, 3, 3.0),
        (int, np.int64(3), 3),
        (float, np.float32(0.5), 0.5),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, ...], (), ()),
        (tuple[int, float], [1, 2], (1, 2.0)),
        (list[float], (1, 2), [1.0, 2.0]),
        (Sequence[int], [1, 2], (1, 2)),
        (frozenset[str], ["a", "a"], frozenset({"a"})),
        (dict[str, float], {"a": 1}, {"a": 1.0}),
        (Mapping[str, list[int]], {"a": [1]}, {"a": [1]}),
        (dict[int, float], {"3": 1, 4: 2}, {3: 1.0, 4: 2.0}),
        (dict, {"a": object}, {"a": object}),
        (tuple, [1, "a"], (1, "a")),
        (int | tuple[int, ...], [1], (1,)),
        (tuple[tuple[int, int], ...], [[1, 2], [3, 4]], ((1, 2), (3, 4))),
        (Literal["a", 1, None], 1, 1),
        (Path, "runs/a", Path("runs/a")),
        (str | Path, Path("a"), Path("a")),
        (Stopping | None, {"patience": 2}, Stopping(patience=2)),
        (Stopping, Stopping(patience=3), Stopping(patience=3)),
        (type[Sum], Sum, Sum),
        (Callable[[int], int], abs, abs),
        (Any, "anything", "anything"),
        (AnyFloat, math.inf, math.inf),
    ],
)
def test_what_is_taken(kind, value, result):
    got = check_value(kind, value)
    assert got == result
    assert type(got) is type(result)


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (int, True, "got True, a whole number is wanted"),
        (float, False, "got False, a number is wanted"),
        (int, "3", "got '3', a whole number is wanted: write 3 without quotes"),
        (float, "0.1", "got '0.1', a number is wanted: write 0.1 without quotes"),
        (float, "fast", "got 'fast', a number is wanted"),
        (int, "3.7", "got '3.7', a whole number is wanted"),
        (int, 3.0, "got 3.0, a whole number is wanted: write 3"),
        (int, 2.5, "got 2.5, a whole number is wanted"),
        (int, None, "got None, a whole number is wanted"),
        (float, math.nan, "got nan, a number is wanted, neither NaN nor infinite"),
        (float | None, -math.inf, "got -inf, a number or null is wanted"),
        (float, 10**400, "a number is wanted (this one is too large)"),
        (
            float,
            2**53 + 1,
            "got 9007199254740993, a number is wanted (this one is too large to be kept exactly)",
        ),
        (float, 1j, "got 1j, a number is wanted"),
        (bool, 1, "got 1, true or false is wanted"),
        (bool, "no", "got 'no', true or false is wanted: write false"),
        (str, 3, "got 3, text is wanted: write '3' in quotes"),
        (str, ["a"], "got ['a'], text is wanted"),
        (str | None, 3, "got 3, text or null is wanted: write '3' in quotes"),
        (None | int, "x", "got 'x', a whole number or null is wanted"),
        (tuple[int, ...], 64, "got 64, a list of whole numbers is wanted: write [64]"),
        (tuple[int, ...], "64", "got '64', a list of whole numbers is wanted"),
        (tuple[int, ...], {"a": 1}, "got {'a': 1}, a list of whole numbers is wanted"),
        (
            tuple[int, int],
            [1, 2, 3],
            "got [1, 2, 3], a list of exactly 2 (a whole number, a whole number) is wanted",
        ),
        (dict[str, float], [1], "got [1], a mapping of text to numbers is wanted"),
        (list, 1, "got 1, a list is wanted"),
        (Literal["mean", "sum"], "maen", "got 'maen', 'mean' or 'sum' is wanted; did you mean 'mean'?"),
        (Literal["a", "b", "c"], 1, "got 1, 'a', 'b' or 'c' is wanted"),
        (Literal[1, 2], True, "got True, 1 or 2 is wanted"),
        (float | Literal["auto"], "atuo", "got 'atuo', a number or 'auto' is wanted; did you mean 'auto'?"),
        (Stopping, 5, "got 5, a mapping (patience:, by:) is wanted"),
        (Path, "", "got '', a path is wanted"),
        (type[Sum], CAGrad, "a class is wanted"),
        (Callable[[int], int], 3, "got 3, a function is wanted"),
        (Sum, 3, "got 3, an object of class Sum is wanted"),
        (int, "x" * 500, " …, a whole number is wanted"),
    ],
)
def test_what_is_refused_and_how(kind, value, sentence):
    with pytest.raises(ConfigError) as caught:
        check_value(kind, value)
    text = str(caught.value)
    assert sentence in text
    assert "\n" not in text
    assert len(text) < 200


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": "a", "epochs": "3"}, "run.yaml, line 4, train.epochs: got '3', a whole number"),
        ({"name": "a", "widths": [1, "2"]}, "run.yaml, line 5, train.widths[1]: got '2', a whole number"),
        (
            {"name": "a", "epoch": 3},
            "run.yaml, line 3, train.epoch: unknown key 'epoch'; did you mean 'epochs'?",
        ),
        ({"name": "a", 3: 3}, "run.yaml, line 3, train[3]: unknown key 3; known: by_task, "),
        ({"epochs": 3}, "run.yaml, line 3, train: the key 'name' is missing"),
        ({"name": "a", "epochs": -1}, "run.yaml, line 3, train: epochs is at least 0, got -1"),
        (
            {"name": "a", "stopping": {"patince": 3}},
            "train.stopping.patince: unknown key 'patince'; did you mean",
        ),
        (
            {"name": "a", "stopping": {"by": "tasks"}},
            "train.stopping.by: got 'tasks', 'mean' or 'task' is wanted; did you",
        ),
        ({"name": "a", "stopping": 3}, "train.stopping: got 3, a mapping (patience:, by:) or null is wanted"),
        ({"name": "a", "reads": [0, "x"]}, "train.reads[1]: got 'x', a whole number is wanted"),
        (
            {"name": "a", "nested": [{}, {"patience": None}]},
            "train.nested[1].patience: got None, a whole number",
        ),
        ({"name": "a", "by_task": {"b": "c"}}, "train.by_task.b: got 'c', a number is wanted"),
        (
            {"name": "a", "rate": math.nan},
            "train.rate: got nan, a number is wanted, neither NaN nor infinite",
        ),
        ([1], "run.yaml, line 3, train: a mapping (key: value) is wanted here, got [1]"),
        (None, "run.yaml, line 3, train: a mapping (key: value) is wanted here, got None"),
    ],
)
def test_errors_of_a_dataclass_say_the_place(values, sentence):
    with pytest.raises(ConfigError) as caught:
        build(Settings, values, SOURCE, ("train",))
    assert sentence in str(caught.value)


def test_without_a_source_the_class_is_the_place():
    with pytest.raises(ConfigError, match=r"^Settings: the key 'name' is missing$"):
        build(Settings, {})
    with pytest.raises(ConfigError, match=r"^epochs: got 'x'"):
        build(Settings, {"name": "a", "epochs": "x"})
    assert build(Settings, Settings("a")) == Settings("a")


def test_the_settings_of_a_constructor_are_its_keywords():
    assert list(settings_of(CAGrad)) == ["c", "rescale", "steps"]
    assert settings_of(Sum) == {}
    assert list(settings_of(Stopping)) == ["patience", "by"]


def test_a_choice_is_checked_when_made_and_built_when_called():
    choice = CAGrad.with_(c=1, steps=3)
    assert choice.settings == {"c": 1.0, "steps": 3}
    built = choice(["a", "b"])
    assert (built.tasks, built.c, built.steps, built.rescale) == (["a", "b"], 1.0, 3, True)
    assert Choice(Sum)(["a"]).tasks == ["a"]
    with pytest.raises(ConfigError, match=r"^CAGrad\.rescal: unknown setting 'rescal'; did you mean 'rescale'\?$"):
        CAGrad.with_(rescal=1)
    with pytest.raises(ConfigError, match=r"^CAGrad\.c: got 'x', a number is wanted$"):
        CAGrad.with_(c="x")
    with pytest.raises(ConfigError, match=r"^CAGrad\.steps: got True, a whole number or null is wanted$"):
        choose(CAGrad, steps=True)
    with pytest.raises(ConfigError, match="unknown setting 'engine'"):
        CAGrad.with_(engine=3)
    with pytest.raises(ConfigError, match="Sum has no settings"):
        Sum.with_(c=1)


@pytest.mark.parametrize(
    "value",
    ["cagrad", {"cagrad": {}}, {"cagrad": None}, CAGrad, Choice(CAGrad), CAGrad.with_()],
)
def test_a_choice_may_be_written_in_many_ways(value):
    assert as_choice(value, BALANCERS, "balancer") == Choice(CAGrad)


def test_settings_of_a_choice_are_converted():
    assert as_choice({"cagrad": {"c": 1}}, BALANCERS, "balancer") == CAGrad.with_(c=1.0)
    assert check_settings(CAGrad, {"c": 1}, SOURCE, ()) == {"c": 1.0}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("cagard", "run.yaml, line 9, balancer.cagard: unknown balancer 'cagard'; did you mean 'cagrad'?"),
        ("", "unknown balancer ''; known: cagrad, sum"),
        ({"cagard": {}}, "balancer.cagard: unknown balancer 'cagard'; did you mean 'cagrad'?"),
        ({1: {}}, "unknown balancer 1; known: cagrad, sum"),
        ({"cagrad": {"see": 1}}, "balancer.cagrad.see: unknown setting 'see'; known: c, rescale, steps"),
        ({"cagrad": {"c": "1"}}, "balancer.cagrad.c: got '1', a number is wanted: write 1 without quotes"),
        ({"sum": {"c": 1}}, "balancer.sum.c: unknown setting 'c'; Sum has no settings"),
        ({"cagrad": 0.4}, "balancer.cagrad: the settings of cagrad are a mapping (setting: value), got 0.4"),
        (
            {"cagrad": {}, "sum": {}},
            "balancer: a balancer is a name or one name with its settings ({sum: {…}}), got",
        ),
        ({}, "a balancer is a name or one name with its settings ({sum: {…}}), got {}"),
        (["sum"], "got ['sum']"),
        (None, "got None"),
        (3, "got 3"),
        (int, "balancer: int is not in the catalogue"),
        (Choice(Stopping), "BALANCERS['my_balancer'] = Stopping"),
    ],
)
def test_what_is_no_choice_is_answered_in_one_sentence(value, sentence):
    with pytest.raises(ConfigError) as caught:
        as_choice(value, BALANCERS, "balancer", SOURCE, ("balancer",))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_choice_is_written_as_it_is_read():
    for choice in (Choice(Sum), CAGrad.with_(c=0.25, rescale=False)):
        assert as_choice(written(choice, BALANCERS, "balancer"), BALANCERS, "balancer") == choice
    assert written(Choice(Sum), BALANCERS, "balancer") == "sum"
    assert written(CAGrad.with_(c=0.25), BALANCERS, "balancer") == {"cagrad": {"c": 0.25}}
    assert name_of(Choice(CAGrad), BALANCERS, "balancer") == "cagrad"


def test_plain_leaves_defaults_out_and_keeps_what_only_looks_like_one():
    assert plain(Settings("a")) == {"name": "a"}
    assert plain(Settings("a", widths=(3,), stopping=Stopping(patience=2))) == {
        "name": "a",
        "widths": [3],
        "stopping": {"patience": 2},
    }

    @dataclass(frozen=True)
    class Both:
        value: bool | int = 1

    assert plain(Both(True)) == {"value": True}
    assert plain(Both(1)) == {}


def test_plain_makes_python_values_of_numpy_ones_and_text_of_paths():
    got = plain({"a": np.float32(0.5), "b": np.int64(2), 3: Path("x") / "y", "c": {2, 1}})
    assert got == {"a": 0.5, "b": 2, "3": "x/y", "c": [1, 2]}
    assert [type(got[key]) for key in "ab"] == [float, int]


@pytest.mark.parametrize("value", [abs, object(), np.zeros(3), Choice(Sum), Sum, 1j])
def test_what_cannot_be_written_is_refused(value):
    with pytest.raises(ConfigError, match="cannot be written down"):
        plain({"a": [value]})


def test_a_place_is_as_exact_as_it_is_known():
    assert SOURCE.place(("train", "epochs")) == "run.yaml, line 4, train.epochs"
    assert SOURCE.place(("train", "stopping", "by")) == "run.yaml, line 3, train.stopping.by"
    assert SOURCE.place(("data",)) == "run.yaml, data"
    assert Source().place(("a", "0", "b")) == "a[0].b"
    assert Source().place(()) == ""


finite = st.floats(allow_nan=False, allow_infinity=False)
stoppings = st.builds(Stopping, patience=st.integers(), by=st.sampled_from(["mean", "task"]))
everything = st.builds(
    Settings,
    st.text(),
    epochs=st.integers(min_value=0),
    rate=finite,
    widths=st.lists(st.integers()).map(tuple),
    reads=st.integers() | st.lists(st.integers()).map(tuple),
    stopping=st.none() | stoppings,
    share=finite | st.just("all"),
    by_task=st.dictionaries(st.text(), finite),
    folder=st.sampled_from([Path(), Path("runs/a"), Path("/b")]),
    nested=st.lists(stoppings).map(tuple),
)


@given(everything)
def test_what_is_written_is_read_back_equal(settings):
    assert build(Settings, plain(settings)) == settings


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KINDS = [
    int,
    float,
    bool,
    str,
    tuple[int, ...],
    dict[str, float],
    Literal["a", 1],
    float | str | None,
    Stopping,
    Path,
    Settings,
]


@given(json_values, st.sampled_from(KINDS))
def test_any_value_is_taken_or_refused_in_one_line(value, kind):
    sentence, result = "", value
    try:
        result = check_value(kind, value)
    except ConfigError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert sentence or check_value(kind, plain(result)) == result
