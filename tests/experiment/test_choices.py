"""Every choice can be written down and read back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polytask as pt
from polytask.config import Source
from polytask.errors import ConfigError
from polytask.experiment import DataSettings, Experiment, experiment_from
from polytask.yaml_file import parse_yaml, write_yaml

TASKS = [pt.Regression("price"), pt.Classification("sold")]


def through_yaml(experiment: Experiment) -> Experiment:
    values, source = parse_yaml(write_yaml(experiment.written()))
    return Experiment.read(values, source)


CHOICES = {
    "defaults": {},
    "encoder": {"encoder": {"mlp": {"widths": [8], "dropout": 0.0, "numbers": "plr"}}},
    "encoder as a class": {"encoder": pt.encoders.MLP.with_(widths=[8, 4])},
    "sharing": {"sharing": {"hard": {"split": 1}}},
    "sharing as a class": {"sharing": pt.sharing.Independent},
    "balancer": {"balancer": {"cagrad": {"c": 0.4}}},
    "fixed": {"balancer": {"fixed": {"weights": {"price": 1.0, "sold": 1e-5}}}},
    "balancer as a class": {"balancer": pt.balance.PCGrad},
    "agenda": {"agenda": {"alternating": {"order": "uniform", "steps": 7}}},
    "gradients": {"gradients": pt.Engine(chunk=1024)},
    "split": {"split": {"validation": 0.2, "test": 0.1, "by_group": "who: it's"}},
    "split as settings": {"split": pt.SplitSettings(column="part", stratify=False)},
    "preprocess": {"preprocess": {"numbers": "standard", "min_count": 3}},
    "columns": {"inputs": ["a b", "größe", "yes", "1e3", "#", "a: b"]},
    "ignore": {"ignore": ["null", "~", ""], "kinds": {"on": "category", "0x1": "number"}},
    "optimizer": {"optimizer": {"adam": {"betas": [0.9, 0.99]}}, "learning_rate": 1e-5, "weight_decay": 0.0},
    "loop": {
        "schedule": "cosine",
        "warmup": 0.1,
        "clip_norm": 1.0,
        "clip_value": 0.5,
        "ema": 0.999,
        "precision": "bfloat16",
        "compile": True,
        "device": "cpu",
        "threads": 2,
        "checkpoint_seconds": 0.5,
    },
    "stopping": {"early_stopping": {"patience": 3, "by": {"price": 2, "sold": 1}, "min_gain": 1e-4, "per_task": True}},
    "stopping by a task": {"early_stopping": pt.EarlyStopping(by="sold", patience=None)},
    "seed": {"seed": 2**40},
}


@pytest.mark.parametrize("name", CHOICES)
def test_what_is_chosen_is_read_back(name):
    experiment = experiment_from(TASKS, **CHOICES[name])
    assert Experiment.read(experiment.written()) == experiment
    assert through_yaml(experiment) == experiment
    assert through_yaml(experiment).written() == experiment.written()


@pytest.mark.parametrize(
    "task",
    [
        pt.Regression("price", column="Preis: 1'000 €", criterion="huber"),
        pt.Regression("p", weight="w", hidden=(8, 4), reads=(0, -1), primary="mae"),
        pt.Classification("sold", class_weight={"yes": 2.0, "no": 1.0}),
        pt.Classification("sold", class_weight="balanced", label_smoothing=0.1),
        pt.Ordinal("grade", order=["low", "mid", "high"]),
        pt.Ordinal("grade", order=["1", "2", "no"], after=["price"]),
        pt.Multilabel("labels", columns=["a b", "no", "1"]),
        pt.Similarity("who", dim=3, criterion="margin", margin=0.7, positive_margin=0.1),
    ],
    ids=repr,
)
def test_every_kind_of_task_is_read_back(task):
    experiment = Experiment(tasks=(pt.Regression("price") if task.name != "price" else pt.Regression("other"), task))
    assert through_yaml(experiment) == experiment


@given(
    path=st.one_of(st.none(), st.text(min_size=1), st.dictionaries(st.sampled_from(["price", "sold"]), st.text(min_size=1))),
    columns=st.lists(st.text(), unique=True),
    rate=st.floats(min_value=1e-300, max_value=1e300),
    seed=st.integers(min_value=0, max_value=2**70),
    shares=st.tuples(st.floats(0.01, 0.49), st.floats(0, 0.49)),
)  # fmt: skip
def test_any_text_and_number_is_read_back(path, columns, rate, seed, shares):
    experiment = Experiment(
        tasks=tuple(TASKS),
        data=DataSettings(
            path=path,
            ignore=tuple(columns),
            kinds=dict.fromkeys(columns, "number"),
            split=pt.SplitSettings(validation=shares[0], test=shares[1]),
        ),
        train=pt.Training(learning_rate=rate, clip_norm=rate),
        seed=seed,
    )
    text = experiment.written()
    assert Experiment.read(text) == experiment
    if all(c.isprintable() for c in [*columns, *(path.values() if isinstance(path, dict) else [path or ""])]):
        assert through_yaml(experiment) == experiment


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"taks": {}}, r"taks: unknown key 'taks'; did you mean 'tasks'"),
        ({"tasks": []}, r"tasks: wants a mapping"),
        ({}, r"tasks: wants a mapping"),
        ({"tasks": {}}, r"there is no task"),
        ({"tasks": {"a": {"kind": "regresion"}}}, r"tasks\.a\.kind: unknown kind of task 'regresion'; did you mean 'regression'"),
        ({"tasks": {"a": {}}}, r"tasks\.a: a task wants its kind"),
        ({"tasks": {"a": "regression"}}, r"tasks\.a: a task wants its kind .* got 'regression'"),
        ({"tasks": {"mean": {"kind": "regression"}}}, r"cannot be called 'mean'"),
        ({"tasks": {"a": {"kind": "regression"}}, "seed": True}, r"seed: a whole number from 0 is wanted, got True"),
        ({"tasks": {"a": {"kind": "regression"}}, "data": {"inputs": []}}, r"inputs is empty"),
        ({"tasks": {"a": {"kind": "regression"}}, "data": {"inputs": ["b"], "ignore": ["c"]}}, r"ignore has no effect"),
        ({"tasks": {"a": {"kind": "regression", "after": ["b"]}}}, r"task 'a' waits for 'b'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(values, says):
    with pytest.raises(ConfigError, match=says):
        Experiment.read(values, Source())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tasks": "price"}, r"'price' is no task; write pt\.Classification\('price'\)"),
        ({"tasks": ["price"]}, r"'price' is no task"),
        ({"tasks": []}, r"there is no task"),
        ({"tasks": [TASKS[0], TASKS[0]]}, r"two tasks are called 'price'"),
        ({"epoch": 3}, r"unknown setting 'epoch'; did you mean 'epochs'"),
        ({"inputs": "rooms"}, r"inputs: a list of columns is wanted, got 'rooms'; write \['rooms'\]"),
        ({"ignore": "rooms"}, r"ignore: a list of columns is wanted"),
        ({"balancer": "pcgard"}, r"unknown balancer 'pcgard'; did you mean 'pcgrad'"),
        ({"encoder": {"mlp": {"width": 3}}}, r"unknown setting 'width'; did you mean 'widths'"),
        ({"split": {"validaton": 0.1}}, r"unknown key 'validaton'; did you mean 'validation'"),
        ({"preprocess": {"numbers": "robot"}}, r"numbers"),
        ({"early_stopping": {"patience": 0}}, r"patience=0"),
    ],
)
def test_arguments_that_cannot_be(arguments, says):
    with pytest.raises(ConfigError, match=says):
        experiment_from(**{"tasks": TASKS, **arguments})


def test_one_task_needs_no_list():
    assert experiment_from(TASKS[0]).tasks == (TASKS[0],)
